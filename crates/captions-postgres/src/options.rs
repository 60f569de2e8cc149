//! Where the database is and how long to wait for it.

use std::{fmt, time::Duration};

use captions_domain::fault::{Fault, FaultKind};
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use url::Url;

/// Settings of a [`PgStore`](crate::PgStore).
#[derive(Clone)]
pub struct PgOptions {
    /// `postgres://user:password@host:port/database?sslmode=...`. What it leaves out, the driver takes from the usual
    /// `PG*` environment variables and the password file. An unknown parameter is refused.
    pub url: String,
    /// The most connections at a time; at least 1. A connection given up because the server fell silent counts no longer,
    /// although the server may keep its end until the statement's time is over.
    pub pool_size: u32,
    /// The most that opening one connection may take, with TLS and log-in.
    pub connect_timeout: Duration,
    /// The most that waiting for a free connection may take.
    pub acquire_timeout: Duration,
    /// The most that one statement may take. The server enforces it; a server that falls silent is given up a quarter of a
    /// second later.
    pub statement_timeout: Duration,
    /// A connection that was unused for so long is closed, at the next use of the store.
    pub idle_timeout: Duration,
    /// A connection that is so old is closed, at the next use of the store.
    pub max_lifetime: Duration,
    /// `false`: no connection is kept, each statement opens its own. `pool_size` holds all the same.
    pub pooling: bool,
}

/// Without user name, password and parameters.
impl fmt::Debug for PgOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgOptions")
            .field("url", &endpoint(&self.url))
            .field("pool_size", &self.pool_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("pooling", &self.pooling)
            .finish()
    }
}

/// The part of a database URL that may be shown.
pub(crate) fn endpoint(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "(not a URL)".into();
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

/// The parameters that the driver understands; it would pass over any other, and print its value in a warning.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Checks the URL and turns it into the driver's form, without limits on statements.
pub(crate) fn connect_options(url: &str) -> Result<PgConnectOptions, Fault> {
    let refused = |why: String| Fault::because(FaultKind::Internal, why);
    // The URL itself must not get into the message: it may hold a password.
    let parsed = Url::parse(url).map_err(|error| refused(format!("the database URL: {error}")))?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(refused(format!(
            "the database URL: {}: is not a scheme of Postgres",
            parsed.scheme()
        )));
    }
    for (name, _) in parsed.query_pairs() {
        let is_known = PARAMETERS.contains(&name.as_ref()) || (name.starts_with("options[") && name.ends_with(']'));
        if !is_known {
            return Err(refused(format!("the database URL: '{name}' is not a parameter of it")));
        }
    }
    let options = PgConnectOptions::from_url(&parsed)
        // The driver repeats the value that it does not understand, which may be part of a password.
        .map_err(|_| refused("the database URL: a parameter of it has a value that is not understood".to_owned()))?;
    let named = options.get_application_name().is_some();
    // Slow calls are seen by the policy around the store; the driver would log each statement besides.
    let options = options.disable_statement_logging();
    Ok(if named {
        options
    } else {
        options.application_name("captions")
    })
}

#[cfg(test)]
mod tests;
