//! The HTTP API for Rust callers. A [`Client`] gives the documents of `captions-api` and typed [`Error`]s.
//!
//! - A failed attempt is repeated where that is worth it, as the official SDKs of model providers do (`retry`). A POST has
//!   an `Idempotency-Key` that is the same for all its attempts, so that what it asks for is done and paid for once.
//! - A caption can be watched while it is written ([`Client::stream`]); a connection that breaks is taken up again.
//! - A history is one stream of captions, whatever its pages ([`Client::history`]).
//! - Newer servers do no harm: unknown fields are passed over, unknown words are left out and told ([`Reply::unknown`]).
//!
//! Every call may be dropped at any time: the connection is closed, and the server stops the work that only this call
//! waits for. Nothing goes on in the background.

mod call;
mod captions;
mod error;
mod options;
mod reply;
mod retry;
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
