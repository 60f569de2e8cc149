//! Who receives the events, and what is allowed on the way.

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::reach::is_public;

/// One receiver. [`WebhookOptions::new`] has the safe values.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// May hold a key, so it is not printed.
    pub url: SecretString,
    /// `whsec_<base64>`, the newest first; every event is signed with each of them. At least one.
    pub secrets: Vec<SecretString>,
    /// Whether addresses may be connected to that are not public: loopback, private, link-local, unique-local and the like.
    pub allow_private: bool,
    /// Whether the URL may be http://.
    pub allow_http: bool,
    /// Time to open a connection.
    pub connect_timeout: Duration,
    /// Time for the whole exchange, up to the head of the answer.
    pub timeout: Duration,
    /// A larger event is not sent.
    pub max_body_bytes: usize,
}

impl WebhookOptions {
    /// https to public addresses only; 3 s to connect, 10 s in all, events of up to 256 KiB.
    pub fn new(url: impl Into<SecretString>, secrets: Vec<SecretString>) -> Self {
        Self {
            url: url.into(),
            secrets,
            allow_private: false,
            allow_http: false,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            max_body_bytes: 256 << 10,
        }
    }

    /// The URL, if it is one that may be used. A name is looked at when it is looked up; an address is looked at here.
    pub(crate) fn checked_url(&self) -> Result<Url, &'static str> {
        let url = Url::parse(self.url.expose_secret()).map_err(|_| "the webhook's URL is no URL")?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err("the webhook's URL is http://, which is not allowed"),
            _ => return Err("the webhook's URL does not begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the webhook's URL holds a user or a password; events are signed instead");
        }
        // A bracketed host is an IPv6 address. Names that only look like addresses, such as 0x7f.1, were made
        // addresses by the parser.
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse();
        if !self.allow_private && address.is_ok_and(|address| !is_public(address)) {
            return Err("the webhook's URL names an address that is not public, which is not allowed");
        }
        Ok(url)
    }
}
