//! The cache itself: keys, commands, limits.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind},
    ports::{Cache, CacheKey, Cached},
};

use crate::{
    link::{Health, Link},
    options::RedisOptions,
    value,
};

/// What `PTTL` says of a key that never expires.
const NO_EXPIRY: i64 = -1;

/// A cache on one Redis server.
///
/// A stored value that was damaged, written by another program, or has no expiry is [`FaultKind::Corrupt`]: to be
/// counted, and to be treated as a miss. The next put replaces it.
pub struct RedisCache {
    links: Vec<Link>,
    next: AtomicUsize,
    prefix: String,
    read_timeout: Duration,
    write_timeout: Duration,
    max_value_bytes: usize,
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache")
            .field("prefix", &self.prefix)
            .field("connections", &self.links.len())
            .finish_non_exhaustive()
    }
}

impl RedisCache {
    /// Checks the options and reads the CA file, if one is named; connects to nothing. A mistake in the options is
    /// [`FaultKind::Internal`].
    pub fn new(options: RedisOptions) -> Result<Self, Fault> {
        let client = options.client()?;
        let health = Arc::new(Health::default());
        let link = || Link::new(client.clone(), options.connect_timeout, Arc::clone(&health));
        Ok(Self {
            links: (0..options.connections).map(|_| link()).collect(),
            next: AtomicUsize::new(0),
            prefix: options.prefix,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
            max_value_bytes: options.max_value_bytes,
        })
    }

    /// Asks the server for a sign of life, within the limits of a look-up.
    pub async fn ping(&self) -> Result<(), Fault> {
        let ask = |mut connection| async move { redis::cmd("PING").exec_async(&mut connection).await };
        self.link().run(self.read_timeout, ask).await
    }

    fn link(&self) -> &Link {
        &self.links[self.next.fetch_add(1, Ordering::Relaxed) % self.links.len()]
    }

    fn key(&self, cx: &Context, key: &CacheKey) -> String {
        // Read from the right, this is one key of one tenant: neither has more colons than we know of.
        let colon = if self.prefix.is_empty() { "" } else { ":" };
        format!("{}{colon}{}:{}", self.prefix, cx.tenant, key.as_str())
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        let key = self.key(cx, key);
        let mut commands = redis::pipe();
        // One round trip, and no transaction: a server that is out of memory refuses those, even to read. Another
        // client's put may therefore fall between the two. In this order it makes the value look older than it is,
        // never younger.
        commands.cmd("PTTL").arg(&key).cmd("GET").arg(&key);
        let ask = |mut connection| async move { commands.query_async(&mut connection).await };
        let (left, encoded): (i64, Option<Bytes>) = self.link().run(self.read_timeout, ask).await?;
        let Some(encoded) = encoded else {
            return Ok(None);
        };
        if left == NO_EXPIRY {
            return Err(Fault::because(FaultKind::Corrupt, "a cached value that never expires"));
        }
        let (bytes, ttl) = value::decode(&key, &encoded)?;
        Ok(Some(Cached {
            bytes,
            // Another negative number: there was nothing yet a moment ago.
            age: u64::try_from(left).map_or(Duration::ZERO, |left| Duration::from_millis(ttl.saturating_sub(left))),
        }))
    }

    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        let Some(millis) = value::millis(ttl).filter(|_| bytes.len() <= self.max_value_bytes) else {
            // What is not kept must not leave an older value in its place.
            return self.remove(cx, key).await;
        };
        let key = self.key(cx, key);
        let mut command = redis::cmd("SET");
        command
            .arg(&key)
            .arg(value::encode(&key, millis, &bytes))
            .arg("PX")
            .arg(millis);
        let ask = |mut connection| async move { command.exec_async(&mut connection).await };
        self.link().run(self.write_timeout, ask).await
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key(cx, key));
        let ask = |mut connection| async move { command.exec_async(&mut connection).await };
        self.link().run(self.write_timeout, ask).await
    }
}
