//! What one provider is: where it stands, what to call it, how long to wait for it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use captions_domain::{prompt::Size, quota::Notice};
use secrecy::SecretString;

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
    /// Which wording of a question it is sent.
    pub prompt: Size,
    /// Whether the model looks at pictures. One that does not is never handed any.
    pub vision: bool,
    /// A PEM file of the only authorities whose certificates are accepted, for `https`; without one the system's are.
    pub ca_file: Option<PathBuf>,
    /// For name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The longest silence: before the answer begins, and between two reads of it. Not a bound on the whole answer.
    pub read_timeout: Duration,
    /// Connections that are kept open for later calls. How many calls are in flight, and with them how many connections
    /// are open, is for the caller to bound: here nothing waits, so that slowness is the provider's alone.
    pub max_idle: usize,
    /// Sent with every request, after our own.
    pub headers: Vec<(String, String)>,
    /// Told what the answers of the provider say of its limits. Called in the course of a call, so it must not wait.
    pub listener: Option<Listener>,
}

/// Whom to tell of a provider's limits.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Notice) + Send + Sync>);

impl Listener {
    pub fn new(listen: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    /// Passes on what says something.
    pub(crate) fn tell(&self, notice: Notice) {
        if notice.says_something() {
            (self.0)(notice);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl OpenAiOptions {
    /// No key, the guessed profile, the full wording, 3 s to connect, 30 s of silence, 64 idle connections.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            model: model.into(),
            api_key: None,
            profile: None,
            prompt: Size::Full,
            vision: false,
            ca_file: None,
            connect_timeout: Duration::from_secs(3),
            read_timeout: Duration::from_secs(30),
            max_idle: 64,
            headers: Vec::new(),
            listener: None,
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
            .field("prompt", &self.prompt)
            .field("vision", &self.vision)
            .field("ca_file", &self.ca_file)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("max_idle", &self.max_idle)
            .field("headers", &headers)
            .field("listener", &self.listener)
            .finish()
    }
}

#[cfg(test)]
mod tests;
