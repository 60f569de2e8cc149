//! [`Webhook`]: one receiver of signed events, by the Standard Webhooks format. [`Courier`]: what many receivers that
//! callers name are sent through.
//!
//! Each event is a POST of JSON with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`; the last holds
//! one `v1,<base64 of HMAC-SHA256 over id.timestamp.body>` for each secret, so that a receiver can change over from one
//! secret to the next. Whoever chooses the URL must not be able to reach what only we can reach: no redirect is followed,
//! no proxy is used, and only public addresses are connected to unless the options allow more (`reach`).
//!
//! It retries nothing. Who sends an event keeps it and sends it again under the same id; receivers drop ids that they know.

mod courier;
mod options;
mod reach;
mod secret;

use std::{error::Error as _, fmt, sync::Arc, time::Duration};

use captions_domain::fault::{Fault, FaultKind};
use reqwest::{
    Client, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use secrecy::SecretString;
use time::OffsetDateTime;

pub use self::{courier::Courier, options::WebhookOptions};
use self::{reach::Refused, secret::Secret};

/// The most characters of an event's id.
const MAX_ID: usize = 128;

/// One receiver. Clones share its connections.
#[derive(Clone)]
pub struct Webhook {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    url: Url,
    secrets: Vec<Secret>,
    max_body_bytes: usize,
}

impl Webhook {
    /// Checks the options and prepares the client; no IO. Needs the process-wide TLS provider to be installed.
    ///
    /// The fault is always internal: a URL or a secret that cannot be, or a URL that the options forbid.
    pub fn new(options: WebhookOptions) -> Result<Self, Fault> {
        let url = options.checked_url().map_err(internal)?;
        // No certificates are needed for plain HTTP, so none are looked for.
        let client = courier::client(&options, url.scheme() == "https")?;
        Self::through(client, url, &options.secrets, options.max_body_bytes)
    }

    fn through(client: Client, url: Url, secrets: &[SecretString], max_body_bytes: usize) -> Result<Self, Fault> {
        if secrets.is_empty() {
            return Err(internal("a webhook needs a secret to sign with"));
        }
        let secrets: Result<Vec<Secret>, &str> = secrets.iter().map(Secret::read).collect();
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                url,
                secrets: secrets.map_err(internal)?,
                max_body_bytes,
            }),
        })
    }

    /// Posts one event: JSON, signed with the time `at`, which is now for every sending. `id` is 1 to 128 of
    /// `A-Z a-z 0-9 _ -` and stays the same when the same event is sent again.
    ///
    /// `Ok` once the receiver has answered 2xx; what else it says is not read. Transient faults are worth another try
    /// later: no answer in time, not reachable, 5xx, 408, 425, 429. The others are not: a refused address, a redirect, any other
    /// status, a body over the limit. No fault names the URL, which may hold a key.
    pub async fn send(&self, id: &str, at: OffsetDateTime, event: &[u8]) -> Result<(), Fault> {
        let inner = &*self.inner;
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.is_empty() || id.len() > MAX_ID || !id.chars().all(is_id) {
            return Err(internal("the id of an event is 1 to 128 of A-Z, a-z, 0-9, _ and -"));
        }
        if event.len() > inner.max_body_bytes {
            let why = format!(
                "the event has {} bytes; {} may be sent",
                event.len(),
                inner.max_body_bytes
            );
            return Err(internal(why));
        }
        let timestamp = at.unix_timestamp().to_string();
        let signatures: Vec<String> = inner
            .secrets
            .iter()
            .map(|secret| secret.signature(id, &timestamp, event))
            .collect();
        let request = inner
            .client
            .post(inner.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(event.to_vec());
        let answer = request.send().await.map_err(broken)?;
        judge(answer.status(), answer.headers())
    }
}

/// Neither the URL nor the secrets: both may be keys.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.inner.url.host_str())
            .field("secrets", &self.inner.secrets.len())
            .finish_non_exhaustive()
    }
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), Fault> {
    if status.is_success() {
        return Ok(());
    }
    let kind = match status {
        StatusCode::REQUEST_TIMEOUT => FaultKind::Timeout,
        StatusCode::TOO_MANY_REQUESTS => FaultKind::RateLimited {
            retry_after: seconds(headers),
        },
        StatusCode::TOO_EARLY => FaultKind::Unavailable,
        status if status.is_server_error() => FaultKind::Unavailable,
        _ => FaultKind::Internal,
    };
    Err(Fault::because(
        kind,
        format!("the receiver answered {}", status.as_u16()),
    ))
}

/// `Retry-After` in seconds; the form with a date is taken for none.
fn seconds(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

fn broken(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let mut source = error.source();
    while let Some(deeper) = source {
        if deeper.is::<Refused>() {
            return internal(Refused);
        }
        source = deeper.source();
    }
    let kind = if error.is_timeout() {
        FaultKind::Timeout
    } else if error.is_builder() {
        FaultKind::Internal
    } else {
        FaultKind::Unavailable
    };
    Fault::because(kind, error)
}

fn internal(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::because(FaultKind::Internal, why)
}
