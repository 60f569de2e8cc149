//! The settings: embedded defaults < file < environment < flags, typed, checked, with the origin of every value.
//!
//! [`defaults.toml`](defaults_toml) is the documentation of every key. Only
//! [`Sources::of_this_process`] reads the process environment.

mod alerts;
mod error;
mod layers;
mod origin;
mod providers;
mod reference;
mod rule;
mod secret;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use captions_domain::{
    budget::Period,
    money::{Currency, Money},
};
use serde::{Deserialize, Deserializer, de::Error as _};

pub use self::{
    alerts::Alerts,
    error::SettingsError,
    layers::load,
    origin::{Origin, Origins, Shown},
    providers::{Provider, ProviderKind},
    reference::{config_doc, defaults_toml},
    secret::SecretUrl,
};

/// Where settings come from, besides the embedded defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// Dotted key and value, as text; the last one of a key wins.
    pub flags: Vec<(String, String)>,
    /// The whole process environment.
    pub env: BTreeMap<String, String>,
    /// The file of `--config`; it must exist.
    pub config_flag: Option<PathBuf>,
    /// The folder that `captions.toml` is looked for in and that relative paths start from.
    pub cwd: PathBuf,
}

/// Settings, and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    /// By dotted key; the whole list of providers is one key.
    pub origins: Origins,
    /// The settings file that was read, if there was one.
    pub file: Option<PathBuf>,
    shown: Vec<Shown>,
}

impl Loaded {
    /// Every effective setting with its origin, in the order of the defaults, secrets as `***`.
    pub fn show(&self) -> &[Shown] {
        &self.shown
    }
}

/// All settings. The comments of `defaults.toml` say what each one does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub server: Server,
    pub auth: Auth,
    pub engine: Engine,
    pub database: Database,
    pub spool: Spool,
    pub redis: Redis,
    pub cache: Cache,
    pub api: Api,
    pub llm: Llm,
    pub prompt: Prompt,
    pub fallback: Fallback,
    pub local: Local,
    pub limits: Limits,
    pub budgets: Budgets,
    pub idempotency: Idempotency,
    pub usage: Usage,
    pub batches: Batches,
    pub monitor: Monitor,
    pub admin: Admin,
    pub telemetry: Telemetry,
    pub alerts: Alerts,
    pub log: Log,
    /// The folder below which a fetched model is kept; `None` on a machine without HOME.
    #[serde(skip)]
    pub cache_folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    /// Bytes.
    pub body_limit: usize,
    #[serde(deserialize_with = "seconds")]
    pub body_timeout: Duration,
    pub json_depth: usize,
    #[serde(deserialize_with = "seconds")]
    pub header_timeout: Duration,
    /// Bytes.
    pub uri_limit: usize,
    /// Bytes.
    pub header_limit: usize,
    pub header_count: usize,
    #[serde(deserialize_with = "seconds")]
    pub stream_keep_alive: Duration,
    #[serde(deserialize_with = "seconds")]
    pub stream_replay: Duration,
    /// Parted by spaces.
    cors_origins: String,
    #[serde(deserialize_with = "seconds")]
    pub drain_timeout: Duration,
}

impl Server {
    /// The most that the background work keeps for itself of the time for draining.
    const LONGEST_BACKGROUND: Duration = Duration::from_secs(5);

    /// Web pages of these origins may read the answers; `*` is any.
    pub fn cors_origins(&self) -> Vec<String> {
        self.cors_origins.split_whitespace().map(Into::into).collect()
    }

    /// What requests in flight have of [`Server::drain_timeout`].
    pub fn time_for_requests(&self) -> Duration {
        self.drain_timeout.saturating_sub(self.time_for_background())
    }

    /// What the work in the background has after them: a fifth of [`Server::drain_timeout`], at most 5 s.
    pub fn time_for_background(&self) -> Duration {
        (self.drain_timeout / 5).min(Self::LONGEST_BACKGROUND)
    }
}

/// Whether callers of the HTTP API present keys, and how long what is known of a key counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub required: Required,
    pub allow_remote: bool,
    #[serde(deserialize_with = "seconds")]
    pub fresh: Duration,
    #[serde(deserialize_with = "seconds")]
    pub stale: Duration,
}

impl Auth {
    /// Whether a server that listens there turns away whoever presents no key.
    pub fn is_required(&self, listen: SocketAddr) -> bool {
        match self.required {
            Required::Auto => !listen.ip().is_loopback(),
            Required::Always => true,
            Required::Never => false,
        }
    }
}

/// When a key is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Required {
    /// Unless nobody but this machine can reach the server.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    #[serde(deserialize_with = "seconds")]
    pub deadline: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Never empty: without one it is the SQLite file of the data folder.
    pub url: SecretUrl,
    pub pool_size: PoolSize,
    pub pooling: bool,
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub acquire_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub statement_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub max_lifetime: Duration,
    pub max_attempts: u32,
    #[serde(deserialize_with = "seconds_or_never")]
    pub hedge: Option<Duration>,
    pub queue_length: usize,
    pub migrate: Migrate,
    pub breaker: Breaker,
}

impl Database {
    /// Connections on a machine with `cpus`.
    pub fn connections(&self, cpus: u32) -> u32 {
        match self.pool_size {
            PoolSize::Auto => cpus.saturating_mul(2).clamp(4, 20),
            PoolSize::Exactly(count) => count,
        }
    }
}

/// When the store's tables are brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Migrate {
    Auto,
    Check,
    Never,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    pub enabled: bool,
    /// Absolute; `None` on a machine without HOME if no path is set.
    #[serde(deserialize_with = "path_or_none")]
    pub path: Option<PathBuf>,
    pub max_rows: u64,
    pub max_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    #[serde(deserialize_with = "url_or_none")]
    pub url: Option<SecretUrl>,
    #[serde(deserialize_with = "path_or_none")]
    pub ca_file: Option<PathBuf>,
    pub pool_size: PoolSize,
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub read_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub write_timeout: Duration,
    #[serde(deserialize_with = "seconds_or_never")]
    pub hedge: Option<Duration>,
    pub breaker: Breaker,
}

impl Redis {
    /// Connections on a machine with `cpus`.
    pub fn connections(&self, cpus: u32) -> u32 {
        match self.pool_size {
            PoolSize::Auto => cpus.clamp(1, 4),
            PoolSize::Exactly(count) => count,
        }
    }
}

/// `auto` or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolSize {
    Auto,
    Exactly(u32),
}

impl<'de> Deserialize<'de> for PoolSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The configuration tree hands out numbers as text where text is asked for.
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Self::Auto),
            count => count.parse().map(Self::Exactly).map_err(D::Error::custom),
        }
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub enabled: bool,
    pub memory_bytes: u64,
    #[serde(deserialize_with = "seconds")]
    ttl: Duration,
    #[serde(deserialize_with = "seconds")]
    caption: Duration,
    #[serde(deserialize_with = "seconds")]
    preferences: Duration,
    #[serde(deserialize_with = "seconds")]
    profile: Duration,
    #[serde(deserialize_with = "seconds")]
    pub negative: Duration,
    #[serde(deserialize_with = "seconds")]
    pub stale: Duration,
    #[serde(deserialize_with = "seconds")]
    pub revalidate: Duration,
    #[serde(deserialize_with = "seconds")]
    pub memory_age: Duration,
    pub early_refresh: bool,
    pub coalesce: bool,
    pub compress: bool,
    #[serde(deserialize_with = "path_or_none")]
    pub warm_up: Option<PathBuf>,
}

impl Cache {
    /// How long a caption is fresh.
    pub fn caption(&self) -> Duration {
        self.own_or_ttl(self.caption)
    }

    /// How long a user's preferences are fresh.
    pub fn preferences(&self) -> Duration {
        self.own_or_ttl(self.preferences)
    }

    /// How long a whole user is fresh, where it is only shown.
    pub fn profile(&self) -> Duration {
        self.own_or_ttl(self.profile)
    }

    fn own_or_ttl(&self, own: Duration) -> Duration {
        if own.is_zero() { self.ttl } else { own }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    #[serde(deserialize_with = "seconds")]
    pub timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub first_byte_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    pub max_attempts: u32,
    #[serde(deserialize_with = "seconds")]
    pub retry_delay: Duration,
    /// From 0 to 1.
    pub retry_budget: f64,
    #[serde(deserialize_with = "seconds_or_never")]
    pub hedge: Option<Duration>,
    pub max_connections: usize,
    pub max_per_host: usize,
    pub requests_per_minute: u64,
    pub requests_per_hour: u64,
    pub tokens_per_minute: u64,
    pub tokens_per_hour: u64,
    pub quota_headers: bool,
    pub queue_length: usize,
    #[serde(deserialize_with = "seconds")]
    pub queue_wait: Duration,
    pub adaptive: bool,
    pub adaptive_min: usize,
    pub breaker: Breaker,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    pub enabled: bool,
    pub failure_threshold: u32,
    #[serde(deserialize_with = "seconds")]
    pub recovery_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    pub minimum_calls: u32,
    /// From 0 to 1; `None` if no share opens it.
    #[serde(deserialize_with = "share_or_never")]
    pub failure_rate: Option<f64>,
    /// The same of slow calls.
    #[serde(deserialize_with = "share_or_never")]
    pub slow_rate: Option<f64>,
    #[serde(deserialize_with = "seconds")]
    pub slow_call: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Llm {
    /// Never empty, in the order in which they are tried.
    pub providers: Vec<Provider>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Absolute; `None` for the shipped templates alone.
    #[serde(deserialize_with = "path_or_none")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    pub stale: bool,
    pub local: bool,
    pub template: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    #[serde(deserialize_with = "path_or_none")]
    pub model_path: Option<PathBuf>,
    pub queue: usize,
    pub candidates: u32,
}

/// Of one caller; 0 is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub requests_per_minute: u64,
    pub requests_per_hour: u64,
    pub tokens_per_minute: u64,
    pub tokens_per_hour: u64,
    pub concurrent_requests: u64,
    pub replicas: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    pub currency: Currency,
    pub limit: Money,
    pub period: Period,
    #[serde(deserialize_with = "seconds")]
    pub lease: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idempotency {
    #[serde(deserialize_with = "seconds")]
    pub keep_for: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    #[serde(deserialize_with = "seconds")]
    keep_for: Duration,
}

impl Usage {
    /// `None`: for ever.
    pub fn keep_for(&self) -> Option<Duration> {
        Some(self.keep_for).filter(|time| !time.is_zero())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// Items at a time; 0: this process does not work on batches.
    pub workers: u32,
    #[serde(deserialize_with = "seconds")]
    pub item_deadline: Duration,
    #[serde(deserialize_with = "seconds")]
    pub lease: Duration,
    pub max_tries: u32,
    #[serde(deserialize_with = "seconds")]
    pub retry_delay: Duration,
    #[serde(deserialize_with = "seconds")]
    pub poll: Duration,
    #[serde(deserialize_with = "seconds")]
    pub expiry: Duration,
    #[serde(deserialize_with = "seconds")]
    pub retention: Duration,
    /// Of one tenant; 0: any number.
    pub max_open_items: u64,
    /// Bytes.
    pub body_limit: usize,
    pub webhook_allow_private: bool,
}

impl Batches {
    /// The most items without an outcome that a tenant may have.
    pub fn most_open(&self) -> Option<u64> {
        (self.max_open_items > 0).then_some(self.max_open_items)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// Zero: nobody looks.
    #[serde(deserialize_with = "seconds")]
    pub stall_limit: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    #[serde(deserialize_with = "address_or_none")]
    pub listen: Option<SocketAddr>,
    pub allow_remote: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    #[serde(deserialize_with = "url_or_none")]
    pub otlp_endpoint: Option<SecretUrl>,
    pub service_name: String,
    /// 0 to 1.
    pub sample_ratio: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// 0 is `None`.
fn seconds_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let time = seconds(deserializer)?;
    Ok((!time.is_zero()).then_some(time))
}

/// 0 is `None`.
fn share_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(deserializer)?;
    Ok((share > 0.0).then_some(share))
}

fn url_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretUrl>, D::Error> {
    let url = SecretUrl::deserialize(deserializer)?;
    Ok((!url.expose().is_empty()).then_some(url))
}

fn address_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(D::Error::custom)
}

fn path_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}
