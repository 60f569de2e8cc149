//! The HTTP side: one client per provider, bounded waits and sizes, faults named by what really happened.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use captions_domain::{
    fault::{Fault, FaultKind, LlmError},
    quota::Notice,
};
use reqwest::{
    Certificate, Client, RequestBuilder, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SERVER},
    redirect,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::{
    failure::{Document, Failure},
    options::{Listener, OpenAiOptions},
    profile::{Auth, Profile},
    wait,
};

/// The most that an answer may have, unpacked, in bytes: a thousand times a caption, and no bomb.
pub(crate) const MAX_ANSWER: usize = 4 << 20;
/// The most that is read of an error document, in bytes.
const MAX_ERROR: usize = 64 << 10;
/// How often an HTTP/2 connection is asked for a sign of life, and how long it may take to give one. All calls share such
/// a connection, so one that has died unnoticed would fail every call until the system notices, which takes minutes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
const SIGN_LIMIT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept. Balancers in front of providers commonly close theirs after a minute, and a call
/// that goes out on one just then is lost.
const UNUSED: Duration = Duration::from_secs(45);
/// Headers in which providers name the call, for their support desks.
const REQUEST_IDS: [&str; 5] = [
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-generation-id",
];

/// The way to one provider.
#[derive(Debug)]
pub(crate) struct Line {
    client: Client,
    base: Url,
    /// llama.cpp promises to keep a connection and closes it after every stream. A request that follows at once would
    /// be written to a closing connection, so its streams get connections of their own.
    closes_after_streams: AtomicBool,
    listener: Option<Listener>,
}

/// A response whose head is here and whose body is not.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Response,
    read: usize,
}

impl Line {
    /// Checks the options; no IO.
    pub(crate) fn new(options: &OpenAiOptions, profile: Profile) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::because(FaultKind::Internal, format!("provider {}: {what}", options.name));
        let base = Url::parse(&options.base_url).map_err(|_| wrong("the base URL is no URL"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("the base URL does not begin with http:// or https://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("the base URL holds a user or a password; name the key apart"));
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(wrong("this process has installed no TLS provider"));
        }
        let host = base.host_str().unwrap_or_default().to_owned();
        let mut client = Client::builder()
            // Whether to call again is decided above, where calls are counted.
            .retry(reqwest::retry::never())
            // A key must not follow a redirect to another host.
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .http2_keep_alive_interval(SIGN_OF_LIFE)
            .http2_keep_alive_timeout(SIGN_LIMIT)
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .pool_max_idle_per_host(options.max_idle)
            .pool_idle_timeout(UNUSED)
            .user_agent(concat!("captions/", env!("CARGO_PKG_VERSION")))
            .default_headers(
                headers(options, profile).ok_or_else(|| wrong("the key or a header holds a forbidden character"))?,
            );
        if base.scheme() == "http" {
            // No certificates are needed, so none are looked for: a machine without any still reaches its own model.
            client = client.tls_certs_only(std::iter::empty());
        }
        if let Some(file) = &options.ca_file {
            if base.scheme() == "http" {
                return Err(wrong("a CA file needs an https:// URL"));
            }
            client = client.tls_certs_only(authorities(file).map_err(|why| wrong(&why))?);
        }
        if is_loopback(&host) {
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| Fault::because(FaultKind::Internal, error))?;
        Ok(Self {
            client,
            base,
            closes_after_streams: AtomicBool::new(profile == Profile::LlamaCpp),
            listener: options.listener.clone(),
        })
    }

    /// What asks for a completion.
    pub(crate) fn request(&self, body: &Value, stream: bool) -> RequestBuilder {
        let accept = if stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let request = self
            .client
            .post(self.url("chat/completions"))
            .header(ACCEPT, accept)
            .json(body);
        if stream && self.closes_after_streams.load(Ordering::Relaxed) {
            request.header(CONNECTION, "close")
        } else {
            request
        }
    }

    /// Asks for the list of models.
    pub(crate) async fn models(&self) -> Result<Result<Answer, Failure>, LlmError> {
        self.send(self.client.get(self.url("models")).header(ACCEPT, "application/json"))
            .await
    }

    /// Sends it. The outer error is the line's, the inner one the provider's.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Result<Answer, Failure>, LlmError> {
        let response = request.send().await.map_err(broken)?;
        let status = response.status().as_u16();
        if response
            .headers()
            .get(SERVER)
            .is_some_and(|server| server == "llama.cpp")
        {
            self.closes_after_streams.store(true, Ordering::Relaxed);
        }
        let notice = wait::left(response.headers(), SystemTime::now());
        let mut answer = Answer { response, read: 0 };
        if (200..300).contains(&status) {
            self.tell(notice);
            return Ok(Ok(answer));
        }
        let wait = answer.wait();
        // The status already says enough; a body that breaks off must not turn a refusal into a broken line.
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = answer.response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        let document = Document::of(&body);
        let failure = Failure { status, document, wait };
        // Of what else it may have said no, only this one is about the rate.
        let hold = match failure.error() {
            LlmError::Fault(Fault {
                kind: FaultKind::RateLimited { retry_after },
                ..
            }) => retry_after,
            _ => None,
        };
        self.tell(Notice { hold, ..notice });
        Ok(Err(failure))
    }

    fn tell(&self, notice: Notice) {
        if let Some(listener) = &self.listener {
            listener.tell(notice);
        }
    }

    /// `path` below the base URL, whose query is kept.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

impl Answer {
    /// The provider's own name of the call.
    pub(crate) fn request_id(&self) -> Option<String> {
        let headers = self.response.headers();
        let id = REQUEST_IDS.iter().find_map(|name| headers.get(*name)?.to_str().ok())?;
        Some(id.chars().take(200).collect())
    }

    /// True if it is one document and not a stream of events.
    pub(crate) fn is_document(&self) -> bool {
        let content_type = self
            .response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        content_type.is_some_and(|content_type| content_type.contains("json"))
    }

    /// How long its headers ask us to wait.
    pub(crate) fn wait(&self) -> Option<Duration> {
        wait::asked_for(self.response.headers(), SystemTime::now())
    }

    /// The next bytes of the body, unpacked; `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, LlmError> {
        let bytes = self.response.chunk().await.map_err(broken)?;
        self.read += bytes.as_ref().map_or(0, Bytes::len);
        if self.read > MAX_ANSWER {
            let detail = format!("the answer is larger than {} MiB", MAX_ANSWER >> 20);
            return Err(Fault::because(FaultKind::Corrupt, detail).into());
        }
        Ok(bytes)
    }

    /// The whole body as JSON.
    pub(crate) async fn document(&mut self) -> Result<Value, LlmError> {
        let mut body = Vec::new();
        while let Some(bytes) = self.next().await? {
            body.extend_from_slice(&bytes);
        }
        serde_json::from_slice(&body).map_err(|_| corrupt("the answer is no JSON"))
    }
}

/// An answer that makes no sense. The detail is ours and quotes nothing.
pub(crate) fn corrupt(detail: &str) -> LlmError {
    Fault::because(FaultKind::Corrupt, detail).into()
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let unusable = |why: &dyn std::fmt::Display| format!("the CA file {} cannot be used: {why}", file.display());
    let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
    if found.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(found)
}

fn headers(options: &OpenAiOptions, profile: Profile) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &options.api_key {
        let key = key.expose_secret();
        let (name, value) = match profile.abilities(&options.model).auth {
            Auth::Bearer => (AUTHORIZATION, format!("Bearer {key}")),
            Auth::ApiKeyHeader => (HeaderName::from_static("api-key"), key.to_owned()),
        };
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    for (name, value) in &options.headers {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name).ok()?, value);
    }
    Some(headers)
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What a broken call amounts to. The URL is left out of the cause: its query may hold a secret.
fn broken(error: reqwest::Error) -> LlmError {
    let kind = if error.is_timeout() {
        FaultKind::Timeout
    } else if error.is_builder() {
        FaultKind::Internal
    } else if is_garbled(&error) {
        FaultKind::Corrupt
    } else {
        FaultKind::Unavailable
    };
    Fault::because(kind, error.without_url()).into()
}

/// The bytes came and could not be unpacked.
fn is_garbled(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)) {
            return true;
        }
        source = cause.source();
    }
    false
}
