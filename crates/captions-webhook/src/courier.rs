//! The way to receivers: one client, and what it may connect to.

use std::{fmt, sync::Arc, time::Duration};

use captions_domain::fault::Fault;
use reqwest::{Client, redirect};
use secrecy::SecretString;

use crate::{Webhook, WebhookOptions, internal, reach};

/// A connection to a receiver is kept this long for the next event.
const IDLE: Duration = Duration::from_secs(30);

/// Sends to any number of receivers whose URLs callers choose, all by the same rules and over the same connections. Clones
/// are the same.
#[derive(Clone)]
pub struct Courier {
    client: Client,
    /// Without a receiver: its URL and its secrets are empty.
    rules: WebhookOptions,
}

impl Courier {
    /// Takes times, limits and permissions from `rules`; its URL and secrets are left aside. No IO, but the system's
    /// certificates are read. Needs the process-wide TLS provider to be installed.
    pub fn new(rules: WebhookOptions) -> Result<Self, Fault> {
        Ok(Self {
            client: client(&rules, true)?,
            rules: WebhookOptions {
                url: SecretString::default(),
                secrets: Vec::new(),
                ..rules
            },
        })
    }

    /// Why this URL can never be sent to, in words for whoever chose it; they do not repeat it. A name may still turn out to
    /// have no address that is allowed: that is looked up, and refused, with each sending.
    pub fn check(&self, url: &SecretString) -> Result<(), &'static str> {
        self.receiver(url).checked_url().map(drop)
    }

    /// The receiver at this URL. The fault is always internal: what [`Courier::check`] refuses, or a secret that is none.
    pub fn to(&self, url: &SecretString, secrets: &[SecretString]) -> Result<Webhook, Fault> {
        let url = self.receiver(url).checked_url().map_err(internal)?;
        Webhook::through(self.client.clone(), url, secrets, self.rules.max_body_bytes)
    }

    fn receiver(&self, url: &SecretString) -> WebhookOptions {
        WebhookOptions {
            url: url.clone(),
            ..self.rules.clone()
        }
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier")
            .field("allow_private", &self.rules.allow_private)
            .field("allow_http", &self.rules.allow_http)
            .finish_non_exhaustive()
    }
}

/// A client that connects to nothing that `rules` do not allow.
pub(crate) fn client(rules: &WebhookOptions, speaks_tls: bool) -> Result<Client, Fault> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(internal("this process has installed no TLS provider"));
    }
    let mut client = Client::builder()
        .retry(reqwest::retry::never())
        // Where an answer points to was checked by nobody.
        .redirect(redirect::Policy::none())
        // A proxy would look the name up again, and by itself.
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(rules.connect_timeout)
        .timeout(rules.timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("captions/", env!("CARGO_PKG_VERSION")));
    if !rules.allow_private {
        client = client.dns_resolver(Arc::new(reach::public()));
    }
    if !speaks_tls {
        client = client.tls_certs_only(std::iter::empty());
    }
    client.build().map_err(|error| internal(error.without_url()))
}
