//! `[alerts]`, and the secrets that its webhook signs with.

use std::{fs, path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{Origin, Origins, SettingsError, Sources, path_or_none, providers::contradiction, seconds};

/// What every secret begins with, by the standard; the rest is looked at where it is used.
const SECRET: &str = "whsec_";
const URL: &str = "alerts.webhook_url";
const VARIABLE: &str = "alerts.webhook_secret_env";
const FILE: &str = "alerts.webhook_secret_file";

/// What counts as wrong, how often it is looked at, and who is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    pub enabled: bool,
    #[serde(deserialize_with = "seconds")]
    pub interval: Duration,
    /// 0 to 1.
    pub database_error_rate: f64,
    #[serde(deserialize_with = "seconds")]
    pub api_response: Duration,
    #[serde(deserialize_with = "seconds")]
    pub breaker_open: Duration,
    /// 0 to 1.
    pub hit_rate_drop: f64,
    pub pool_waiting: u32,
    pub overload_refused: u64,
    #[serde(deserialize_with = "seconds")]
    pub event_loop_lag: Duration,
    pub spool_rows: u64,
    pub min_calls: u64,
    pub min_lookups: u64,
    pub fire_after: u32,
    pub resolve_after: u32,
    #[serde(deserialize_with = "seconds")]
    pub cool_down: Duration,
    #[serde(deserialize_with = "seconds")]
    pub repeat: Duration,
    /// May hold a key, so it is not printed.
    #[serde(deserialize_with = "secret_or_none")]
    pub webhook_url: Option<SecretString>,
    #[serde(deserialize_with = "text_or_none")]
    pub webhook_secret_env: Option<String>,
    #[serde(deserialize_with = "path_or_none")]
    pub webhook_secret_file: Option<PathBuf>,
    pub webhook_allow_private: bool,
    /// What the variable or the file holds; at least one where there is a URL, never in the settings themselves.
    #[serde(skip)]
    pub webhook_secrets: Vec<SecretString>,
}

impl Alerts {
    /// Fetches the secrets from where the settings say that they are.
    pub(super) fn read_secrets(&mut self, sources: &Sources, origins: &Origins) -> Result<(), SettingsError> {
        let origin = |key: &str| origins.get(key).cloned().unwrap_or(Origin::Default);
        let fail = |key: &str, what: &str| Err(contradiction(key, what, &origin(key)));
        let (key, text) = match (&self.webhook_url, &self.webhook_secret_env, &self.webhook_secret_file) {
            (None, None, None) => return Ok(()),
            (_, Some(_), Some(_)) => {
                return fail(
                    FILE,
                    "cannot stand beside alerts.webhook_secret_env: one place for the secret",
                );
            }
            (None, Some(_), None) => return fail(VARIABLE, "has no effect without alerts.webhook_url"),
            (None, None, Some(_)) => return fail(FILE, "has no effect without alerts.webhook_url"),
            (Some(_), None, None) => {
                return fail(
                    URL,
                    "needs alerts.webhook_secret_env or alerts.webhook_secret_file: events are signed",
                );
            }
            (Some(_), Some(variable), None) => match sources.variable(variable) {
                Some(text) => (VARIABLE, text.to_owned()),
                None => {
                    return Err(SettingsError::VariableUnset {
                        key: VARIABLE.to_owned(),
                        variable: variable.clone(),
                        origin: origin(VARIABLE),
                    });
                }
            },
            (Some(_), None, Some(file)) => {
                let path = sources.cwd.join(file);
                match fs::read_to_string(&path) {
                    Ok(text) => (FILE, text),
                    Err(source) => {
                        return Err(SettingsError::KeyFile {
                            key: FILE.to_owned(),
                            path,
                            origin: origin(FILE),
                            source,
                        });
                    }
                }
            }
        };
        let secrets = text.split_whitespace();
        if secrets.clone().next().is_none() || !secrets.clone().all(|secret| secret.starts_with(SECRET)) {
            return Err(SettingsError::UnusableSecret {
                key: key.to_owned(),
                origin: origin(key),
            });
        }
        self.webhook_secrets = secrets.map(SecretString::from).collect();
        Ok(())
    }
}

fn secret_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    text_or_none(deserializer).map(|text| text.map(SecretString::from))
}

fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then_some(text))
}
