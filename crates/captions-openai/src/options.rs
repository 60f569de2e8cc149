//! What one provider is: where it stands, what to call it, how long to wait for it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tokio::sync::Semaphore;

use crate::profile::Profile;

/// One provider. `Debug` shows neither the key nor header values.
#[derive(Clone)]
pub struct OpenAiOptions {
    /// The name shown to callers.
    pub name: String,
    /// Everything before `/chat/completions`, usually ending in `/v1`. A query is kept. `http` or `https`, without a
    /// user name or password in it. Proxies of the environment are used, except toward loopback addresses.
    pub base_url: String,
    /// As the provider calls it.
    pub model: String,
    /// Without one no authorization header is sent.
    pub api_key: Option<SecretString>,
    /// How the provider speaks; guessed from the base URL if not set.
    pub profile: Option<Profile>,
    /// For name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The longest silence: before the answer begins, and between two reads of it. Not a bound on the whole answer.
    pub read_timeout: Duration,
    /// Places for calls in flight, shared with other providers.
    pub connections: Connections,
    /// Sent with every request, after our own.
    pub headers: Vec<(String, String)>,
}

impl OpenAiOptions {
    /// No key, the guessed profile, 3 s to connect, 30 s of silence, unshared [`Connections`] of the default size.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            profile: None,
            connect_timeout: Duration::from_secs(3),
            read_timeout: Duration::from_secs(30),
            connections: Connections::default(),
            headers: Vec::new(),
        }
    }
}

impl fmt::Debug for OpenAiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        // A query or a user part may hold a secret.
        let end = self.base_url.find('?').unwrap_or(self.base_url.len());
        let base_url = &self.base_url[..end];
        f.debug_struct("OpenAiOptions")
            .field("name", &self.name)
            .field("base_url", if base_url.contains('@') { &"(hidden)" } else { &base_url })
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|_| "(hidden)"))
            .field("profile", &self.profile)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("connections", &self.connections)
            .field("headers", &headers)
            .finish()
    }
}

/// How many calls may be in flight at once, over all providers and toward each host. Clones share the places.
///
/// A call over HTTP/1 holds one connection, so this bounds the open sockets; over HTTP/2 it bounds the streams. A call
/// that finds no place waits for one; how long is the caller's affair.
#[derive(Clone)]
pub struct Connections {
    total: Arc<Semaphore>,
    max: usize,
    max_per_host: usize,
    hosts: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl Connections {
    /// At most `max` calls in all, at most `max_per_host` toward one host and port; both at least 1.
    pub fn new(max: usize, max_per_host: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            total: Arc::new(Semaphore::new(max)),
            max,
            max_per_host: max_per_host.clamp(1, max),
            hosts: Arc::default(),
        }
    }

    pub(crate) fn max_per_host(&self) -> usize {
        self.max_per_host
    }

    pub(crate) fn total(&self) -> Arc<Semaphore> {
        Arc::clone(&self.total)
    }

    /// The places toward `host`, the same ones for everybody who asks.
    pub(crate) fn toward(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let places = hosts
            .entry(host.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.max_per_host)));
        Arc::clone(places)
    }
}

impl Default for Connections {
    /// 8192 in all and toward each host.
    fn default() -> Self {
        Self::new(8192, 8192)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connections({} in all, {} per host)", self.max, self.max_per_host)
    }
}

#[cfg(test)]
mod tests;
