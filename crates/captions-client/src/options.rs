//! Which server is asked, as whom, and how patiently.

use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use crate::Error;

/// One server. [`Options::new`] has the usual values.
#[derive(Debug, Clone)]
pub struct Options {
    /// Such as `https://captions.example.com`; a path in it stands before every address.
    pub base_url: String,
    /// Sent as `Authorization: Bearer`; never printed.
    pub key: Option<SecretString>,
    /// Time to open a connection.
    pub connect_timeout: Duration,
    /// Time for one attempt, answer included. It does not end a stream.
    pub timeout: Duration,
    /// Time in which the server has to be done with one request (`Request-Timeout-Ms`); its own deadline stands if that is
    /// shorter. `timeout` has to leave room for it.
    pub deadline: Option<Duration>,
    /// How long a stream may be silent before its connection counts as lost. Servers send a sign of life every 15 s.
    pub silence: Duration,
    /// How often a failed attempt is repeated, and a stream that was cut off taken up again.
    pub retries: u32,
    /// The longest wait that a server may ask for between two attempts; beyond it the failure is handed over instead.
    pub longest_wait: Duration,
}

impl Options {
    /// 5 s to connect, 60 s for an attempt, 2 retries, waits of up to 60 s, streams silent for up to 45 s; no key.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            key: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            deadline: None,
            silence: Duration::from_secs(45),
            retries: 2,
            longest_wait: Duration::from_secs(60),
        }
    }

    /// The address under which all others are, if it can be one.
    pub(crate) fn base(&self) -> Result<Url, Error> {
        let wrong = |what: &str| Error::Options(format!("the server's URL {what}"));
        let url = Url::parse(self.base_url.trim()).map_err(|_| wrong("is no URL; write https://HOST"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("does not begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a user or a password; give the key apart"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("holds a query or a fragment"));
        }
        Ok(url)
    }
}
