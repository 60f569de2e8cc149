//! The cache itself: keys, commands, limits.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    context::Context,
    fault::{Fault, FaultKind},
    ports::{Cache, CacheKey, Cached, Invalidations},
};

use redis::{Client, Pipeline};

use crate::{
    invalidation,
    link::{Link, Links},
    options::RedisOptions,
    quota::RedisQuota,
    value,
};

/// What `PTTL` says of a key that never expires.
const NO_EXPIRY: i64 = -1;

/// Compares the value behind the header, which holds the time to live, and removes the key in the same step.
const REMOVE_IF: &str = r"
local found = redis.call('GET', KEYS[1])
if found and string.sub(found, tonumber(ARGV[2]) + 1) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0";

/// A cache on one Redis server.
///
/// A stored value that was damaged, written by another program, or has no expiry is [`FaultKind::Corrupt`]: to be
/// counted, and to be treated as a miss. The next put replaces it.
pub struct RedisCache {
    links: Arc<Links>,
    /// For listening, which takes a connection of its own.
    client: Client,
    /// Who we are among those who share the server, so that we do not listen to ourselves.
    origin: String,
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
        Ok(Self {
            links: Arc::new(Links::new(&client, options.connections, options.connect_timeout)),
            client,
            origin: invalidation::origin(),
            prefix: options.prefix,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
            max_value_bytes: options.max_value_bytes,
        })
    }

    /// Limits of rate on the same server, over the same connections. A decision has the time of a look-up.
    pub fn quota(&self) -> RedisQuota {
        RedisQuota::new(Arc::clone(&self.links), self.prefix.clone(), self.read_timeout)
    }

    /// Asks the server for a sign of life, within the limits of a look-up.
    pub async fn ping(&self) -> Result<(), Fault> {
        let ask = |mut connection| async move { redis::cmd("PING").exec_async(&mut connection).await };
        self.link().run(self.read_timeout, ask).await
    }

    /// Has everybody else who shares the server drop their copies of this key.
    fn tell(&self, commands: &mut Pipeline, key: &str) {
        commands
            .cmd("PUBLISH")
            .arg(invalidation::channel(&self.prefix))
            .arg(format!("{} {key}", self.origin))
            .ignore();
    }

    fn link(&self) -> &Link {
        self.links.next()
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
        let mut commands = redis::pipe();
        commands
            .cmd("SET")
            .arg(&key)
            .arg(value::encode(&key, millis, &bytes))
            .arg("PX")
            .arg(millis)
            .ignore();
        self.tell(&mut commands, &key);
        let ask = |mut connection| async move { commands.exec_async(&mut connection).await };
        self.link().run(self.write_timeout, ask).await
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        let key = self.key(cx, key);
        let mut commands = redis::pipe();
        commands.cmd("DEL").arg(&key).ignore();
        self.tell(&mut commands, &key);
        let ask = |mut connection| async move { commands.exec_async(&mut connection).await };
        self.link().run(self.write_timeout, ask).await
    }

    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        let Some(millis) = value::millis(ttl).filter(|_| bytes.len() <= self.max_value_bytes) else {
            return Ok(false);
        };
        let key = self.key(cx, key);
        let mut command = redis::cmd("SET");
        command
            .arg(&key)
            .arg(value::encode(&key, millis, &bytes))
            .arg("NX")
            .arg("PX")
            .arg(millis);
        let ask = |mut connection| async move { command.query_async(&mut connection).await };
        let put: Option<String> = self.link().run(self.write_timeout, ask).await?;
        Ok(put.is_some())
    }

    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault> {
        let mut command = redis::cmd("EVAL");
        command
            .arg(REMOVE_IF)
            .arg(1)
            .arg(self.key(cx, key))
            .arg(&*bytes)
            .arg(value::HEADER);
        let ask = |mut connection| async move { command.query_async(&mut connection).await };
        self.link().run(self.write_timeout, ask).await
    }

    fn invalidations(&self) -> Invalidations {
        invalidation::listen(self.client.clone(), self.prefix.clone(), self.origin.clone())
    }
}
