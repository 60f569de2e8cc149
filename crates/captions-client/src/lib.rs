//! The HTTP API for Rust callers. A [`Client`] gives the documents of `captions-api` and typed [`Error`]s.
//!
//! - A failed attempt is repeated where that is worth it, as the official SDKs of model providers do (`retry`). A POST has
//!   an `Idempotency-Key` that is the same for all its attempts, so that what it asks for is done and paid for once.
//! - A caption can be watched while it is written ([`Client::stream`]); a connection that breaks is taken up again.
//! - A history is one stream of captions, whatever its pages ([`Client::history`]).
//! - Newer servers do no harm: unknown fields are passed over, unknown words are left out and told ([`Reply::unknown`]).
//!
//! ```
//! use captions_client::{Client, Options, api::generate::GenerateBody};
//!
//! # use captions_testkit::receiver::Receiver;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let caption = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/caption.json"));
//! # let busy = r#"{"type": "", "title": "", "status": 503, "detail": "busy", "code": "overloaded", "retryable": true}"#;
//! # let wrong = r#"{"type": "", "title": "", "status": 422, "detail": "no", "code": "invalid_request", "retryable": false,
//! #     "errors": [{"pointer": "/tone", "code": "unknown_choice", "detail": "unknown tone", "nearest": "friendly"}]}"#;
//! # let answer = |status: &str, body: &str| format!(
//! #     "HTTP/1.1 {status}\r\nretry-after-ms: 1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
//! # let script = [answer("503 Busy", busy), answer("201 Created", caption), answer("422 No", wrong)];
//! # let server = Receiver::scripted(&script.each_ref().map(String::as_str)).await;
//! # let url = server.url("");
//! let mut options = Options::new(url); // https://captions.example.com
//! options.key = Some("captions_...".into());
//! let client = Client::new(&options)?;
//!
//! let mut body = GenerateBody {
//!     content_description: Some("golden hour at our Lisbon cafe".to_owned()),
//!     ..GenerateBody::default()
//! };
//! // The server is busy at first: the client waits as long as it is told to, and asks again under the same key.
//! let written = client.generate(&body).await?;
//! println!("{} ({:?})", written.document.text, written.header("captions-provider"));
//! # assert_eq!(server.requests().len(), 2);
//!
//! body.tone = Some("freindly".to_owned());
//! let error = client.generate(&body).await.unwrap_err();
//! assert_eq!(error.code(), Some("invalid_request"));
//! let broken = &error.problem().unwrap().errors[0];
//! assert_eq!((broken.pointer.as_str(), broken.nearest.as_deref()), ("/tone", Some("friendly")));
//! # Ok(())
//! # }
//! ```
//!
//! Every call may be dropped at any time: the connection is closed, and the server stops the work that only this call
//! waits for. Nothing goes on in the background.

mod batches;
mod call;
mod captions;
mod error;
mod keys;
mod options;
mod reply;
mod retry;
mod service;
mod stream;
mod users;

use std::sync::Arc;

use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};

/// The documents and bodies.
pub use captions_api as api;
/// The words that stand in documents.
pub use captions_domain as domain;

use self::call::{Ask, Line};
pub use self::{
    batches::BatchLine,
    error::{Cause, Error, Refusal},
    options::Options,
    reply::Reply,
    stream::{CaptionStream, STARTED_ANEW},
};

/// One server. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    line: Arc<Line>,
}

impl Client {
    /// Checks the options; no IO. Where this process has not chosen a TLS provider yet, it gets ring.
    pub fn new(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            line: Arc::new(Line::new(options)?),
        })
    }

    /// Any call, for addresses that have no method here yet: `call("GET", &["v1", "stats"], None)`. Segments of the path
    /// are taken as they are.
    pub async fn call<T>(
        &self,
        method: &str,
        path: &[&str],
        body: Option<&serde_json::Value>,
    ) -> Result<Reply<T>, Error>
    where
        T: DeserializeOwned + Send,
    {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Error::Options(format!("there is no method {method}")))?;
        let ask = self.line.ask(method, path);
        match body {
            Some(body) => self.line.document(&ask.with(body)?).await,
            None => self.line.document(&ask).await,
        }
    }

    async fn get<T: DeserializeOwned + Send>(&self, path: &[&str]) -> Result<Reply<T>, Error> {
        self.line.document(&self.line.ask(Method::GET, path)).await
    }

    async fn post<T: DeserializeOwned + Send>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<Reply<T>, Error> {
        self.line.document(&self.line.ask(Method::POST, path).with(body)?).await
    }

    /// What changes something that has a version.
    fn change(&self, method: Method, path: &[&str], version: Option<&str>) -> Ask {
        self.line.ask(method, path).only_if(version)
    }
}
