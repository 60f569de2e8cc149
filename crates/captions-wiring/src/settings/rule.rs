//! Every key there is and the rule that its value must meet. The rule's text is what people read in the
//! documentation and in errors.

use std::{fmt, net::SocketAddr};

use captions_domain::{
    budget::Period,
    money::{Currency, Money},
};
use captions_openai::profile::Profile;
use toml::Value;

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    Flag,
    /// Both ends included.
    Seconds(f64, f64),
    /// From 0 to 1, both included.
    Share,
    /// Both ends included.
    Whole(i64, i64),
    /// The word `auto` or a whole number.
    AutoOrWhole(i64, i64),
    OneOf(&'static [&'static str]),
    Address,
    AddressOrNone,
    /// As [`Rule::BaseUrl`], or empty for none.
    EndpointOrNone,
    /// Of web pages; may be empty.
    Origins,
    Filter,
    Path,
    /// May hold a password, so it is neither printed nor repeated in errors.
    SecretUrl,
    /// `http` or `https`, without user and password: keys have their own place. Its query may hold one all the same.
    BaseUrl,
    /// Upper case only, so that a key pasted here by mistake is refused instead of being taken for a name.
    VariableName,
    /// The same, or empty for none.
    VariableOrNone,
    /// As [`Rule::BaseUrl`], or empty for none. Receivers put keys into the path too, so no more than its host is printed.
    HookUrl,
    /// 1 to 64 of `[a-z0-9_-]`.
    Name,
    /// Not empty.
    Text,
    /// An amount in the currency of the budgets.
    Money,
    Currency,
    /// Values may be keys.
    Headers,
    Providers,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Seconds(min, max) => write!(f, "seconds, {min} to {max}"),
            Self::Share => f.write_str("number, 0 to 1"),
            Self::Whole(min, max) => write!(f, "whole number, {min} to {max}"),
            Self::AutoOrWhole(min, max) => write!(f, "auto, or whole number, {min} to {max}"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::Address => f.write_str("address and port, such as 127.0.0.1:8080 or [::1]:8080"),
            Self::AddressOrNone => f.write_str("address and port, such as 127.0.0.1:9091, or empty"),
            Self::EndpointOrNone => f.write_str("http or https URL without user and password, or empty"),
            Self::Origins => f.write_str("origins such as https://app.example.com, parted by spaces, or *, or empty"),
            Self::Filter => f.write_str("filter directives"),
            Self::Path => f.write_str("path, or empty"),
            Self::SecretUrl => f.write_str("URL; a password in it is never printed"),
            Self::BaseUrl => f.write_str("http or https URL without user and password"),
            Self::VariableName => f.write_str("name of an environment variable: A-Z, 0-9 and _, at most 64"),
            Self::VariableOrNone => f.write_str("name of an environment variable, or empty"),
            Self::HookUrl => {
                f.write_str("https or http URL without user and password, or empty; only its host is printed")
            }
            Self::Name => f.write_str("1 to 64 of a-z, 0-9, _ and -"),
            Self::Text => f.write_str("text, not empty"),
            Self::Money => f.write_str("amount, 0 to 1000000000, at most 6 decimals"),
            Self::Currency => f.write_str("three capital letters"),
            Self::Headers => f.write_str("table of header names and texts"),
            Self::Providers => f.write_str("list of [[llm.providers]] tables, described below"),
        }
    }
}

impl Rule {
    /// True if a wrong value must not be repeated in an error, because it may be or hold a secret.
    pub(super) const fn hides_its_value(self) -> bool {
        matches!(
            self,
            Self::SecretUrl
                | Self::BaseUrl
                | Self::EndpointOrNone
                | Self::VariableName
                | Self::VariableOrNone
                | Self::HookUrl
                | Self::Headers
                | Self::Providers
        )
    }

    /// True if the value meets the rule. Lists are judged entry by entry, elsewhere.
    pub(super) fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Flag, Value::Boolean(_)) | (Self::Providers, Value::Array(_)) => true,
            (Self::Seconds(min, max), _) => number(value).is_some_and(|seconds| (min..=max).contains(&seconds)),
            (Self::Share, _) => number(value).is_some_and(|share| (0.0..=1.0).contains(&share)),
            (Self::Whole(min, max) | Self::AutoOrWhole(min, max), Value::Integer(count)) => (min..=max).contains(count),
            (Self::Money, Value::Float(amount)) => amount.to_string().parse::<Money>().is_ok(),
            (Self::Money, Value::Integer(amount)) => amount.to_string().parse::<Money>().is_ok(),
            (Self::Headers, Value::Table(headers)) => headers.iter().all(|(name, value)| is_header(name, value)),
            (_, Value::String(text)) => self.admits_text(text),
            _ => false,
        }
    }

    fn admits_text(self, text: &str) -> bool {
        match self {
            Self::AutoOrWhole(..) => text == "auto",
            Self::OneOf(words) => words.contains(&text),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::EndpointOrNone | Self::HookUrl => text.is_empty() || Self::BaseUrl.admits_text(text),
            Self::AddressOrNone => text.is_empty() || text.parse::<SocketAddr>().is_ok(),
            Self::Origins => text.split_whitespace().all(|origin| origin == "*" || is_origin(origin)),
            Self::Filter => !text.trim().is_empty() && tracing_subscriber::EnvFilter::builder().parse(text).is_ok(),
            Self::Path => !text.contains('\0'),
            Self::SecretUrl => {
                let complete = text.contains("://") && url::Url::parse(text).is_ok();
                text.is_empty() || text.starts_with("sqlite:") || complete
            }
            Self::BaseUrl => url::Url::parse(text).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.fragment().is_none()
            }),
            Self::VariableName => {
                text.len() <= 64
                    && text.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
                    && text
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            }
            Self::VariableOrNone => text.is_empty() || Self::VariableName.admits_text(text),
            Self::Name => {
                (1..=64).contains(&text.len())
                    && text
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
            }
            Self::Text => !text.trim().is_empty(),
            Self::Currency => text.parse::<Currency>().is_ok(),
            Self::Flag
            | Self::Seconds(..)
            | Self::Share
            | Self::Whole(..)
            | Self::Money
            | Self::Headers
            | Self::Providers => false,
        }
    }

    /// Reads what an environment variable or a flag says, which is always text. Text that is not of the rule's type
    /// stays text, and the rule then refuses it.
    pub(super) fn read(self, text: &str) -> Value {
        let plain = || Value::String(text.to_owned());
        let trimmed = text.trim();
        match self {
            Self::Flag => trimmed.parse().map_or_else(|_| plain(), Value::Boolean),
            Self::Whole(..) | Self::AutoOrWhole(..) => trimmed.parse().map_or_else(|_| plain(), Value::Integer),
            Self::Seconds(..) | Self::Share | Self::Money => trimmed.parse().map_or_else(|_| plain(), Value::Float),
            Self::Providers => {
                let table = toml::from_str::<toml::Table>(&format!("list = {trimmed}"));
                table
                    .ok()
                    .and_then(|mut table| table.remove("list"))
                    .unwrap_or_else(plain)
            }
            Self::OneOf(_)
            | Self::Address
            | Self::AddressOrNone
            | Self::EndpointOrNone
            | Self::Origins
            | Self::Filter
            | Self::Path
            | Self::SecretUrl
            | Self::BaseUrl
            | Self::VariableName
            | Self::VariableOrNone
            | Self::HookUrl
            | Self::Name
            | Self::Text
            | Self::Currency
            // Only inside a list, which is read as a whole.
            | Self::Headers => plain(),
        }
    }
}

fn is_header(name: &str, value: &Value) -> bool {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    is_name
        && value
            .as_str()
            .is_some_and(|text| text.chars().all(|c| c == ' ' || c.is_ascii_graphic()))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        // Exact for every whole number that a rule allows.
        Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        _ => None,
    }
}

/// The rule of a key; `None` for a key that does not exist.
pub(super) fn of(rules: &[(&str, Rule)], key: &str) -> Option<Rule> {
    rules.iter().find(|(known, _)| *known == key).map(|(_, rule)| *rule)
}

const FAILURES: Rule = Rule::Whole(1, 1000);
const CALLS: Rule = Rule::Whole(1, 100_000);
const WINDOW: Rule = Rule::Seconds(1.0, 3600.0);
const SLOW: Rule = Rule::Seconds(0.001, 600.0);
const WAITING: Rule = Rule::Whole(0, 65_536);
const HEDGE: Rule = Rule::Seconds(0.0, 60.0);
const RECOVERY: Rule = Rule::Seconds(0.5, 3600.0);
const CONNECT: Rule = Rule::Seconds(0.01, 60.0);
const CALL: Rule = Rule::Seconds(0.01, 600.0);
const LIFETIME: Rule = Rule::Seconds(1.0, 86_400.0);
const KEPT: f64 = 2_592_000.0;
const PER_MINUTE: Rule = Rule::Whole(0, 10_000_000);
const PER_HOUR: Rule = Rule::Whole(0, 100_000_000);
const TOKENS: Rule = Rule::Whole(0, 1_000_000_000);
const TOKENS_PER_HOUR: Rule = Rule::Whole(0, 10_000_000_000);
/// As browsers send it: scheme, host and a port that is not the scheme's own.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text)
}

const IN_FLIGHT: Rule = Rule::Whole(1, 65_536);
const ATTEMPTS: Rule = Rule::Whole(1, 10);
const LEAST: Rule = Rule::Whole(0, 1_000_000_000);
const LOOKS: Rule = Rule::Whole(1, 1000);

/// Every key, in the order of `defaults.toml`.
pub(super) const KEYS: &[(&str, Rule)] = &[
    ("server.listen", Rule::Address),
    ("server.body_limit", Rule::Whole(1024, 33_554_432)),
    ("server.body_timeout", Rule::Seconds(0.1, 300.0)),
    ("server.json_depth", Rule::Whole(5, 120)),
    ("server.header_timeout", Rule::Seconds(0.1, 300.0)),
    ("server.uri_limit", Rule::Whole(256, 65_536)),
    ("server.header_limit", Rule::Whole(1024, 1_048_576)),
    ("server.header_count", Rule::Whole(10, 1000)),
    ("server.stream_keep_alive", Rule::Seconds(0.1, 3600.0)),
    ("server.stream_replay", Rule::Seconds(0.0, 3600.0)),
    ("server.cors_origins", Rule::Origins),
    ("server.drain_timeout", Rule::Seconds(0.0, 300.0)),
    ("auth.required", Rule::OneOf(&["auto", "always", "never"])),
    ("auth.allow_remote", Rule::Flag),
    ("auth.fresh", Rule::Seconds(1.0, 3600.0)),
    ("auth.stale", Rule::Seconds(0.0, 86_400.0)),
    ("engine.deadline", Rule::Seconds(0.1, 600.0)),
    ("database.url", Rule::SecretUrl),
    ("database.pool_size", Rule::AutoOrWhole(1, 1000)),
    ("database.pooling", Rule::Flag),
    ("database.connect_timeout", CONNECT),
    ("database.acquire_timeout", CONNECT),
    ("database.statement_timeout", Rule::Seconds(0.01, 300.0)),
    ("database.idle_timeout", LIFETIME),
    ("database.max_lifetime", LIFETIME),
    ("database.max_attempts", ATTEMPTS),
    ("database.hedge", HEDGE),
    ("database.queue_length", WAITING),
    ("database.migrate", Rule::OneOf(&["auto", "check", "never"])),
    ("database.breaker.enabled", Rule::Flag),
    ("database.breaker.failure_threshold", FAILURES),
    ("database.breaker.recovery_timeout", RECOVERY),
    ("database.breaker.window", WINDOW),
    ("database.breaker.minimum_calls", CALLS),
    ("database.breaker.failure_rate", Rule::Share),
    ("database.breaker.slow_rate", Rule::Share),
    ("database.breaker.slow_call", SLOW),
    ("spool.enabled", Rule::Flag),
    ("spool.path", Rule::Path),
    ("spool.max_rows", Rule::Whole(1, 10_000_000)),
    ("spool.max_bytes", Rule::Whole(65_536, 1_099_511_627_776)),
    ("redis.url", Rule::SecretUrl),
    ("redis.ca_file", Rule::Path),
    ("redis.pool_size", Rule::AutoOrWhole(1, 64)),
    ("redis.connect_timeout", CONNECT),
    ("redis.read_timeout", Rule::Seconds(0.001, 60.0)),
    ("redis.write_timeout", Rule::Seconds(0.001, 60.0)),
    ("redis.hedge", HEDGE),
    ("redis.breaker.enabled", Rule::Flag),
    ("redis.breaker.failure_threshold", FAILURES),
    ("redis.breaker.recovery_timeout", RECOVERY),
    ("redis.breaker.window", WINDOW),
    ("redis.breaker.minimum_calls", CALLS),
    ("redis.breaker.failure_rate", Rule::Share),
    ("redis.breaker.slow_rate", Rule::Share),
    ("redis.breaker.slow_call", SLOW),
    ("cache.enabled", Rule::Flag),
    ("cache.memory_bytes", Rule::Whole(1_048_576, 68_719_476_736)),
    ("cache.ttl", Rule::Seconds(1.0, KEPT)),
    ("cache.caption", Rule::Seconds(0.0, KEPT)),
    ("cache.preferences", Rule::Seconds(0.0, KEPT)),
    ("cache.profile", Rule::Seconds(0.0, KEPT)),
    ("cache.negative", Rule::Seconds(0.0, 3600.0)),
    ("cache.stale", Rule::Seconds(0.0, KEPT)),
    ("cache.revalidate", Rule::Seconds(0.0, KEPT)),
    ("cache.memory_age", Rule::Seconds(0.0, 3600.0)),
    ("cache.early_refresh", Rule::Flag),
    ("cache.coalesce", Rule::Flag),
    ("cache.compress", Rule::Flag),
    ("cache.warm_up", Rule::Path),
    ("api.timeout", CALL),
    ("api.first_byte_timeout", CALL),
    ("api.idle_timeout", CALL),
    ("api.connect_timeout", CONNECT),
    ("api.max_attempts", ATTEMPTS),
    ("api.retry_delay", Rule::Seconds(0.0, 60.0)),
    ("api.retry_budget", Rule::Share),
    ("api.hedge", HEDGE),
    ("api.max_connections", IN_FLIGHT),
    ("api.max_per_host", IN_FLIGHT),
    ("api.requests_per_minute", PER_MINUTE),
    ("api.requests_per_hour", PER_HOUR),
    ("api.tokens_per_minute", TOKENS),
    ("api.tokens_per_hour", TOKENS_PER_HOUR),
    ("api.quota_headers", Rule::Flag),
    ("api.queue_length", WAITING),
    ("api.queue_wait", Rule::Seconds(0.0, 60.0)),
    ("api.adaptive", Rule::Flag),
    ("api.adaptive_min", IN_FLIGHT),
    ("api.breaker.enabled", Rule::Flag),
    ("api.breaker.failure_threshold", FAILURES),
    ("api.breaker.recovery_timeout", RECOVERY),
    ("api.breaker.window", WINDOW),
    ("api.breaker.minimum_calls", CALLS),
    ("api.breaker.failure_rate", Rule::Share),
    ("api.breaker.slow_rate", Rule::Share),
    ("api.breaker.slow_call", SLOW),
    ("llm.providers", Rule::Providers),
    ("prompt.folder", Rule::Path),
    ("fallback.stale", Rule::Flag),
    ("fallback.local", Rule::Flag),
    ("fallback.template", Rule::Flag),
    ("local.model_path", Rule::Path),
    ("local.queue", Rule::Whole(1, 1024)),
    ("local.candidates", Rule::Whole(1, 16)),
    ("limits.requests_per_minute", PER_MINUTE),
    ("limits.requests_per_hour", PER_HOUR),
    ("limits.tokens_per_minute", TOKENS),
    ("limits.tokens_per_hour", TOKENS_PER_HOUR),
    ("limits.concurrent_requests", WAITING),
    ("limits.replicas", Rule::Whole(1, 1000)),
    ("budgets.currency", Rule::Currency),
    ("budgets.limit", Rule::Money),
    ("budgets.period", Rule::OneOf(Period::NAMES)),
    ("budgets.lease", Rule::Seconds(1.0, 86_400.0)),
    ("idempotency.keep_for", Rule::Seconds(60.0, 2_592_000.0)),
    ("usage.keep_for", Rule::Seconds(0.0, 3_153_600_000.0)),
    ("batches.workers", Rule::Whole(0, 256)),
    ("batches.item_deadline", Rule::Seconds(0.1, 600.0)),
    ("batches.lease", Rule::Seconds(1.0, 600.0)),
    ("batches.max_tries", Rule::Whole(1, 100)),
    ("batches.retry_delay", Rule::Seconds(0.0, 300.0)),
    ("batches.poll", Rule::Seconds(0.01, 60.0)),
    ("batches.expiry", Rule::Seconds(1.0, 2_592_000.0)),
    ("batches.retention", Rule::Seconds(1.0, 31_536_000.0)),
    ("batches.max_open_items", Rule::Whole(0, 1_000_000_000)),
    ("batches.body_limit", Rule::Whole(1024, 1_073_741_824)),
    ("batches.webhook_allow_private", Rule::Flag),
    ("monitor.window", Rule::Seconds(1.0, 3600.0)),
    ("monitor.stall_limit", Rule::Seconds(0.0, 60.0)),
    ("admin.listen", Rule::AddressOrNone),
    ("admin.allow_remote", Rule::Flag),
    ("telemetry.otlp_endpoint", Rule::EndpointOrNone),
    ("telemetry.service_name", Rule::Text),
    ("telemetry.sample_ratio", Rule::Share),
    ("alerts.enabled", Rule::Flag),
    ("alerts.interval", Rule::Seconds(0.1, 3600.0)),
    ("alerts.database_error_rate", Rule::Share),
    ("alerts.api_response", Rule::Seconds(0.001, 600.0)),
    ("alerts.breaker_open", Rule::Seconds(0.0, 86_400.0)),
    ("alerts.hit_rate_drop", Rule::Share),
    ("alerts.pool_waiting", Rule::Whole(0, 65_536)),
    ("alerts.overload_refused", LEAST),
    ("alerts.event_loop_lag", Rule::Seconds(0.001, 60.0)),
    ("alerts.spool_rows", LEAST),
    ("alerts.min_calls", LEAST),
    ("alerts.min_lookups", LEAST),
    ("alerts.fire_after", LOOKS),
    ("alerts.resolve_after", LOOKS),
    ("alerts.cool_down", Rule::Seconds(0.0, 86_400.0)),
    ("alerts.repeat", LIFETIME),
    ("alerts.webhook_url", Rule::HookUrl),
    ("alerts.webhook_secret_env", Rule::VariableOrNone),
    ("alerts.webhook_secret_file", Rule::Path),
    ("alerts.webhook_allow_private", Rule::Flag),
    ("log.filter", Rule::Filter),
    ("log.format", Rule::OneOf(&["auto", "text", "json"])),
];

/// Every key of a `[[llm.providers]]` table and what it is for.
pub(super) const PROVIDER_KEYS: &[(&str, Rule, &str)] = &[
    ("name", Rule::Name, "Shown to callers; unique. Required."),
    (
        "kind",
        Rule::OneOf(&["openai", "local", "template"]),
        "openai: any URL that speaks the OpenAI chat API. local: the model inside the program, at most once. template: no model. Required.",
    ),
    (
        "base_url",
        Rule::BaseUrl,
        "Ends before `/chat/completions`. Required for openai, and only for it.",
    ),
    (
        "model",
        Rule::Text,
        "Left out: the first model that the provider lists. Only for openai.",
    ),
    (
        "api_key_env",
        Rule::VariableName,
        "The variable that holds the key. Neither this nor a file: no Authorization header is sent. Only for openai.",
    ),
    (
        "api_key_file",
        Rule::Path,
        "The file that holds the key, instead of a variable. Only for openai.",
    ),
    (
        "ca_file",
        Rule::Path,
        "PEM file of the authorities whose certificates are accepted, for https. Left out: the system's. Only for openai.",
    ),
    (
        "profile",
        Rule::OneOf(Profile::NAMES),
        "Which provider's dialect of the API it speaks. Left out: guessed from base_url. Only for openai.",
    ),
    (
        "prompt",
        Rule::OneOf(&["full", "compact"]),
        "Which wording it is sent: full, or compact for small models (docs/PROMPTS.md). Left out: full. Only for openai.",
    ),
    (
        "vision",
        Rule::Flag,
        "Its model looks at pictures. Requests with a picture pass over the others. Left out: no. Only for openai.",
    ),
    (
        "headers",
        Rule::Headers,
        "Sent with every request; their values are never printed. Only for openai.",
    ),
    ("timeout", CALL, "Instead of api.timeout. Only for openai."),
    (
        "first_byte_timeout",
        CALL,
        "Instead of api.first_byte_timeout. Only for openai.",
    ),
    ("idle_timeout", CALL, "Instead of api.idle_timeout. Only for openai."),
    (
        "max_attempts",
        ATTEMPTS,
        "Tries of this provider within one request; api.max_attempts still caps the sum. Only for openai.",
    ),
    (
        "price_input",
        Rule::Money,
        "What a million tokens of the prompt cost, in budgets.currency; goes with price_output. Left out: answers tell no cost. Only for openai.",
    ),
    ("price_output", Rule::Money, "The same of the answer. Only for openai."),
];

/// The short names of the environment and the keys that they set. A `CAPTIONS_` variable of the same key wins.
pub(super) const SHORT_NAMES: &[(&str, &str)] = &[
    ("DATABASE_URL", "database.url"),
    ("REDIS_URL", "redis.url"),
    ("API_TIMEOUT", "api.timeout"),
    ("MAX_CONNECTIONS", "api.max_connections"),
    ("RUST_LOG", "log.filter"),
];
