//! One call: its request, its attempts, its answer.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use captions_api::problem::Problem;
use reqwest::{
    Client as Http, Method, RequestBuilder, Response, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH},
    redirect,
};
use secrecy::ExposeSecret as _;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Error, Options, Reply,
    error::Refusal,
    reply,
    retry::{Again, Failed, Patience, advice, asked_wait},
};

/// The most of an answer that is read, in bytes; a page of a hundred captions is a tenth of it.
const MAX_ANSWER: usize = 64 << 20;
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/jsonl";
const JSON: &str = "application/json";

/// What is asked for, as often as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    url: Url,
    body: Option<(&'static str, Bytes)>,
    if_match: Option<String>,
    /// The same for all attempts of a POST: the server does it once.
    once: Option<String>,
}

/// The way to one server.
#[derive(Debug)]
pub(crate) struct Line {
    http: Http,
    base: Url,
    timeout: Duration,
    deadline: Option<Duration>,
    pub(crate) silence: Duration,
    pub(crate) patience: Patience,
}

impl Line {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let base = options.base()?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may be faster, which is as well.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = &options.key {
            let bearer = format!("Bearer {}", key.expose_secret().trim());
            let mut bearer = HeaderValue::from_str(&bearer)
                .map_err(|_| Error::Options("the key holds a character that no key has".to_owned()))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let mut http = Http::builder()
            // Attempts are counted and waited for here.
            .retry(reqwest::retry::never())
            // A key must not follow a redirect to another host.
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(options.connect_timeout)
            .user_agent(concat!("captions-client/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers);
        if base.scheme() == "http" {
            // No certificates are needed, so none are looked for.
            http = http.tls_certs_only(std::iter::empty());
        }
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| Error::Options(format!("no HTTP client can be made: {}", error.without_url())))?;
        Ok(Self {
            http,
            base,
            timeout: options.timeout,
            deadline: options.deadline,
            silence: options.silence,
            patience: Patience {
                retries: options.retries,
                longest_wait: options.longest_wait,
            },
        })
    }

    /// An address below the server's, each segment as it is.
    pub(crate) fn ask(&self, method: Method, path: &[&str]) -> Ask {
        let mut url = self.base.clone();
        // The scheme was checked: http and https URLs have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let once = (method == Method::POST).then(|| Uuid::now_v7().to_string());
        Ask {
            method,
            url,
            body: None,
            if_match: None,
            once,
        }
    }

    /// Sends it until there is an answer, and reads that.
    pub(crate) async fn document<T: DeserializeOwned + Send>(&self, ask: &Ask) -> Result<Reply<T>, Error> {
        self.patience
            .persist(|_| async move {
                let request = self.request(ask, JSON).timeout(self.timeout);
                let response = self.accepted(request, ask).await?;
                let (status, headers) = (response.status(), response.headers().clone());
                let body = whole(response).await.map_err(|error| self.cut(error, ask))?;
                reply::read(status, headers, &body).map_err(never)
            })
            .await
    }

    /// Sends it until events begin to come. `last` is the id of the last one that came before the stream was cut off.
    pub(crate) async fn events(&self, ask: &Ask, last: Option<&str>) -> Result<Response, Error> {
        self.open(ask, EVENTS, last).await
    }

    /// Sends it until lines of JSON begin to come.
    pub(crate) async fn lines(&self, ask: &Ask) -> Result<Response, Error> {
        self.open(ask, LINES, None).await
    }

    async fn open(&self, ask: &Ask, wanted: &'static str, last: Option<&str>) -> Result<Response, Error> {
        self.patience
            .persist(|_| async move {
                let mut request = self.request(ask, wanted);
                if let Some(last) = last {
                    request = request.header("last-event-id", last);
                }
                // The time is for the head of the answer: what follows has a time of its own.
                let sent = tokio::time::timeout(self.timeout, self.accepted(request, ask)).await;
                let response = sent.unwrap_or_else(|_| Err(again(Error::TimedOut(self.timeout), None)))?;
                let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                if kind.is_some_and(|kind| kind.starts_with(wanted)) {
                    return Ok(response);
                }
                Err(never(Error::Unreadable {
                    status: response.status().as_u16(),
                    request_id: reply::request_id(response.headers()),
                    what: format!("it is not {wanted}"),
                    document: None,
                }))
            })
            .await
    }

    fn request(&self, ask: &Ask, accept: &'static str) -> RequestBuilder {
        let mut request = self
            .http
            .request(ask.method.clone(), ask.url.clone())
            .header(ACCEPT, accept);
        if let Some((kind, body)) = &ask.body {
            request = request.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        if let Some(version) = &ask.if_match {
            request = request.header(IF_MATCH, version);
        }
        if let Some(once) = &ask.once {
            request = request.header("idempotency-key", once);
        }
        if let Some(deadline) = self.deadline {
            request = request.header("request-timeout-ms", deadline.as_millis().to_string());
        }
        request
    }

    /// One attempt up to the head of an answer that is a success.
    async fn accepted(&self, request: RequestBuilder, ask: &Ask) -> Result<Response, Failed> {
        let response = request.send().await.map_err(|error| self.cut(error, ask))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        // A refusal whose words got lost is still one.
        let body = whole(response).await.unwrap_or_default();
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let now = SystemTime::now();
        let again = advice(status, &headers, problem.as_ref(), now);
        let told = problem.as_ref().and_then(Problem::retry_after);
        let refusal = Refusal {
            status: status.as_u16(),
            request_id: reply::request_id(&headers)
                .or_else(|| problem.as_ref().and_then(|problem| problem.request_id.clone())),
            is_retryable: again != Again::Never,
            retry_after: asked_wait(&headers, now).or(told),
            problem,
        };
        Err(Failed {
            error: Error::Refused(Box::new(refusal)),
            again,
        })
    }

    /// An attempt that the network ended. What depends on a version is not sent again once it may have arrived: its own
    /// first attempt would be the one that changed the version. Nor is a POST without a key.
    fn cut(&self, error: reqwest::Error, ask: &Ask) -> Failed {
        let error = error.without_url();
        if error.is_connect() {
            return again(Error::Unreachable(error.into()), None);
        }
        if error.is_builder() {
            return never(Error::Options(format!("the request cannot be sent: {error}")));
        }
        let error = if error.is_timeout() {
            Error::TimedOut(self.timeout)
        } else {
            Error::Broken(error.into())
        };
        if ask.if_match.is_some() || (ask.method == Method::POST && ask.once.is_none()) {
            never(error)
        } else {
            again(error, None)
        }
    }
}

impl Ask {
    pub(crate) fn with(mut self, body: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let kind = if self.method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            JSON
        };
        let bytes = serde_json::to_vec(body)
            .map_err(|error| Error::Options(format!("the body cannot be written as JSON: {error}")))?;
        self.body = Some((kind, bytes.into()));
        Ok(self)
    }

    /// Under this key instead of one of its own.
    pub(crate) fn once(mut self, key: &str) -> Self {
        self.once = Some(key.to_owned());
        self
    }

    /// Without a key: what makes a secret is kept nowhere, and so not made again either once it may have arrived.
    pub(crate) fn unrepeated(mut self) -> Self {
        self.once = None;
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// One page of a list.
    pub(crate) fn page(self, limit: u32, cursor: Option<&str>) -> Self {
        let ask = self.query("limit", &limit.to_string());
        match cursor {
            Some(cursor) => ask.query("cursor", cursor),
            None => ask,
        }
    }

    pub(crate) fn only_if(mut self, version: Option<&str>) -> Self {
        self.if_match = version.map(Into::into);
        self
    }
}

const fn never(error: Error) -> Failed {
    Failed {
        error,
        again: Again::Never,
    }
}

const fn again(error: Error, wait: Option<Duration>) -> Failed {
    Failed {
        error,
        again: Again::After(wait),
    }
}

async fn whole(mut response: Response) -> Result<Bytes, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ANSWER {
            // What is left of it is no JSON any more, which is then said.
            break;
        }
    }
    Ok(body.freeze())
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
