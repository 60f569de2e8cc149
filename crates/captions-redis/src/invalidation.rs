//! Telling the other processes what has changed, by a channel of the server.
//!
//! A message is `ORIGIN KEY`. The server keeps no message for those who are not there, so every new connection of a
//! listener counts as a gap.

use std::time::Duration;

use captions_domain::{
    context::TenantId,
    ports::{CacheKey, Invalidation, Invalidations},
};
use futures_util::{StreamExt, stream};
use redis::Client;
use tokio::time::sleep;
use uuid::Uuid;

/// Between two attempts to listen again.
const PAUSE: Duration = Duration::from_millis(250);

/// A name for this process among those who share the server.
pub(crate) fn origin() -> String {
    Uuid::new_v4().simple().to_string()
}

pub(crate) fn channel(prefix: &str) -> String {
    let colon = if prefix.is_empty() { "" } else { ":" };
    format!("{prefix}{colon}captions:invalidations")
}

/// Listens until it is dropped, connecting again whenever the connection is lost.
pub(crate) fn listen(client: Client, prefix: String, origin: String) -> Invalidations {
    let channel = channel(&prefix);
    let connections = stream::repeat(()).then(move |()| {
        let (client, channel) = (client.clone(), channel.clone());
        async move {
            loop {
                if let Ok(mut connection) = client.get_async_pubsub().await
                    && connection.subscribe(&channel).await.is_ok()
                {
                    return connection;
                }
                sleep(PAUSE).await;
            }
        }
    });
    connections
        .flat_map(move |connection| {
            let (prefix, origin) = (prefix.clone(), origin.clone());
            let told = connection.into_on_message().filter_map(move |message| {
                let told = message
                    .get_payload::<String>()
                    .ok()
                    .and_then(|payload| read(&payload, &prefix, &origin));
                async move { told }
            });
            stream::once(async { Invalidation::Everything }).chain(told)
        })
        .boxed()
}

/// What a message says; `None` if it is our own. One that cannot be read may have meant anything.
fn read(payload: &str, prefix: &str, origin: &str) -> Option<Invalidation> {
    let (from, key) = payload.split_once(' ').unwrap_or_default();
    if from == origin {
        return None;
    }
    let key = if prefix.is_empty() {
        Some(key)
    } else {
        key.strip_prefix(prefix).and_then(|key| key.strip_prefix(':'))
    };
    let one = key.and_then(|key| {
        let (tenant, key) = key.split_once(':')?;
        Some(Invalidation::One(TenantId::new(tenant).ok()?, CacheKey::parse(key)?))
    });
    Some(one.unwrap_or(Invalidation::Everything))
}
