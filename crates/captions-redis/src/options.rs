//! Where the server is and how long to wait for it.

use std::{fmt, path::PathBuf, time::Duration};

use captions_domain::fault::{Fault, FaultKind};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use crate::fault::fault;

/// Idle time after which the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The settings of a [`RedisCache`](crate::RedisCache).
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/db]`, the same with `rediss` for TLS, or `unix:///path`.
    pub url: String,
    /// PEM file of the authorities to trust instead of the system's; only with `rediss://`.
    pub ca_file: Option<PathBuf>,
    /// Multiplexed connections, used in turn; at least 1. Each carries any number of commands at a time.
    pub connections: usize,
    /// The limit of one attempt to connect, TLS and login included. Only the first use of a connection waits for it;
    /// later commands wait for a reconnection no longer than their own limit.
    pub connect_timeout: Duration,
    /// The limit of a look-up.
    pub read_timeout: Duration,
    /// The limit of a put or a remove.
    pub write_timeout: Duration,
    /// Stands before every key, followed by `:`; empty for none.
    pub prefix: String,
    /// Larger values are not kept.
    pub max_value_bytes: usize,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            ca_file,
            connections,
            connect_timeout,
            read_timeout,
            write_timeout,
            prefix,
            max_value_bytes,
        } = self;
        f.debug_struct("RedisOptions")
            .field("url", &without_password(url))
            .field("ca_file", ca_file)
            .field("connections", connections)
            .field("connect_timeout", connect_timeout)
            .field("read_timeout", read_timeout)
            .field("write_timeout", write_timeout)
            .field("prefix", prefix)
            .field("max_value_bytes", max_value_bytes)
            .finish()
    }
}

impl RedisOptions {
    /// The client that these options describe; reads the CA file, connects to nothing.
    pub(crate) fn client(&self) -> Result<Client, Fault> {
        if self.connections == 0 {
            return Err(mistake("at least 1 connection to Redis is needed"));
        }
        let info = self
            .url
            .as_str()
            .into_connection_info()
            .map_err(|error| fault(&error))?;
        let tls = match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(mistake(
                    "#insecure is not supported: name the server's authority in ca_file",
                ));
            }
            ConnectionAddr::TcpTls { .. } => true,
            _ => false,
        };
        // Without TCP_NODELAY the second part of a large command waits for the server's delayed acknowledgement.
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE));
        let info: ConnectionInfo = info.set_tcp_settings(tcp);
        let Some(ca_file) = &self.ca_file else {
            return Client::open(info).map_err(|error| fault(&error));
        };
        if !tls {
            return Err(mistake("a CA file needs a rediss:// URL"));
        }
        let authorities = std::fs::read(ca_file)
            .map_err(|error| mistake(format!("the CA file {} cannot be read: {error}", ca_file.display())))?;
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(authorities),
        };
        Client::build_with_tls(info, certificates).map_err(|error| Fault::because(FaultKind::Internal, error))
    }
}

fn mistake(text: impl Into<String>) -> Fault {
    Fault::because(FaultKind::Internal, text.into())
}

fn without_password(url: &str) -> String {
    let Some(mut parsed) = redis::parse_redis_url(url) else {
        return "(not a Redis URL)".to_owned();
    };
    if parsed.password().is_some() && parsed.set_password(Some("***")).is_err() {
        return "(hidden)".to_owned();
    }
    parsed.into()
}

#[cfg(test)]
mod tests;
