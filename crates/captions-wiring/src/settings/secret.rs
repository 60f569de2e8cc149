//! URLs that may hold a password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

/// A URL whose password is never printed.
#[derive(Clone)]
pub struct SecretUrl(SecretString);

impl SecretUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(SecretString::from(url.into()))
    }

    /// The whole URL, for the driver only.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What stands before the first colon, in lower case; empty if there is none.
    pub fn scheme(&self) -> String {
        let scheme = self.expose().split_once(':').map_or("", |(scheme, _)| scheme);
        scheme.to_ascii_lowercase()
    }

    /// The URL with `***` for its password and for every query value. What cannot be taken apart is `***` as a whole.
    pub fn redacted(&self) -> String {
        let text = self.expose();
        if text.is_empty() || text.starts_with("sqlite:") {
            return text.to_owned();
        }
        let Ok(mut url) = Url::parse(text) else {
            return "***".to_owned();
        };
        // Without an authority, as in `user:password@host`, what is secret cannot be told from what is not.
        // An unescaped sign in a password moves the rest of it into the path.
        if url.cannot_be_a_base() || url.path().contains('@') {
            return "***".to_owned();
        }
        if url.password().is_some() && url.set_password(Some("***")).is_err() {
            return "***".to_owned();
        }
        // Drivers take passwords as parameters too, under several names.
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=***")).collect();
        if url.query().is_some() {
            url.set_query(Some(&names.join("&")));
        }
        url.set_fragment(None);
        url.into()
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({})", self.redacted())
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
