//! The cache in memory: bounded in bytes, with a time to live.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    context::{Context, TenantId},
    fault::Fault,
    ports::{Cache, CacheKey, Cached, Invalidations},
};
use futures_util::{StreamExt, stream};
use quick_cache::{
    DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter,
    sync::{Cache as Store, DefaultLifecycle, EntryAction, EntryResult},
};
// Not the standard library's: tests turn this one's clock.
use tokio::time::Instant;

/// What an entry costs besides its key and its value: table, lists, and the memory that evicted keys are remembered in.
const OVERHEAD: u64 = 256;

/// The most parts that the cache is divided into, each behind a lock of its own.
const MAX_SHARDS: usize = 8;

/// The least size of a part, in bytes: a part bounds the size of a single value.
const MIN_SHARD: u64 = 4 << 20;

/// A guess at the usual size of an entry, for the eviction's memory of what it evicted.
const USUAL_ENTRY: u64 = 4096;

/// A cache in this process.
///
/// Holds at most the given number of bytes, keys and overhead included, and evicts what is used least. A value that is
/// larger than nine tenths of the cache, its overhead included, is not kept; in a cache of 8 MiB or more one larger
/// than 3 MiB may not be.
pub struct MemoryCache {
    store: Store<Key, Entry, Weigh>,
}

#[derive(Clone, Hash, PartialEq, Eq)]
struct Key {
    tenant: TenantId,
    key: CacheKey,
}

/// A [`Key`] to look up by, without owning its parts; hashes like one.
#[derive(Hash)]
struct Lookup<'a> {
    tenant: &'a TenantId,
    key: &'a CacheKey,
}

impl Equivalent<Key> for Lookup<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.tenant == key.tenant && *self.key == key.key
    }
}

#[derive(Clone)]
struct Entry {
    bytes: Bytes,
    put_at: Instant,
    ttl: Duration,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Key, Entry> for Weigh {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        (key.tenant.as_str().len() + key.key.as_str().len() + entry.bytes.len()) as u64 + OVERHEAD
    }
}

impl MemoryCache {
    /// An empty cache of at most `max_bytes`; 0 keeps nothing.
    pub fn new(max_bytes: u64) -> Self {
        let fitting = usize::try_from(max_bytes / MIN_SHARD)
            .unwrap_or(usize::MAX)
            .clamp(1, MAX_SHARDS);
        // A power of two, and a capacity that they divide: else the store rounds both up.
        let shards = 1_usize << fitting.ilog2();
        let capacity = max_bytes - max_bytes % shards as u64;
        // The store joins shards in which it expects fewer than 32 entries.
        let usual = usize::try_from(capacity / USUAL_ENTRY)
            .unwrap_or(usize::MAX)
            .max(32 * MAX_SHARDS);
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(usual)
            .weight_capacity(capacity)
            .build();
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let store = match options {
            Ok(options) => Store::with_options(options, Weigh, hasher, lifecycle),
            // Only where one of the numbers above were missing.
            Err(_) => Store::with(usual, capacity, Weigh, hasher, lifecycle),
        };
        Self { store }
    }

    /// Bytes held now, keys and overhead included.
    pub fn used_bytes(&self) -> u64 {
        self.store.weight()
    }

    /// The most bytes that it holds.
    pub fn max_bytes(&self) -> u64 {
        self.store.capacity()
    }

    /// Entries held now, those that are past their time and not yet noticed included.
    pub fn entries(&self) -> usize {
        self.store.len()
    }
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("max_bytes", &self.max_bytes())
            .field("used_bytes", &self.used_bytes())
            .finish()
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        let lookup = Lookup {
            tenant: &cx.tenant,
            key,
        };
        let Some(entry) = self.store.get(&lookup) else {
            return Ok(None);
        };
        let age = entry.put_at.elapsed();
        if age >= entry.ttl {
            // By now there may be a newer one.
            self.store
                .remove_if(&lookup, |found| found.put_at.elapsed() >= found.ttl);
            return Ok(None);
        }
        Ok(Some(Cached {
            bytes: entry.bytes,
            age,
        }))
    }

    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        if ttl.is_zero() {
            return self.remove(cx, key).await;
        }
        let owned = Key {
            tenant: cx.tenant.clone(),
            key: key.clone(),
        };
        let entry = Entry {
            // A copy, because the bytes may be a small piece of a large buffer that they would keep alive uncounted.
            bytes: Bytes::copy_from_slice(&bytes),
            put_at: Instant::now(),
            ttl,
        };
        self.store.insert(owned, entry);
        Ok(())
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        self.store.remove(&Lookup {
            tenant: &cx.tenant,
            key,
        });
        Ok(())
    }

    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        let owned = Key {
            tenant: cx.tenant.clone(),
            key: key.clone(),
        };
        let entry = Entry {
            bytes: Bytes::copy_from_slice(&bytes),
            put_at: Instant::now(),
            ttl,
        };
        // The place is locked from the look to the put.
        Ok(
            match self.store.entry(&owned, None, |_, found| {
                if found.put_at.elapsed() < found.ttl {
                    EntryAction::Retain(())
                } else {
                    EntryAction::ReplaceWithGuard
                }
            }) {
                EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => {
                    // A place that something else took meanwhile was not absent.
                    !ttl.is_zero() && place.insert(entry).is_ok()
                }
                EntryResult::Retained(()) | EntryResult::Removed(..) | EntryResult::Timeout => false,
            },
        )
    }

    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault> {
        let lookup = Lookup {
            tenant: &cx.tenant,
            key,
        };
        let removed = self.store.remove_if(&lookup, |found| {
            found.bytes == bytes && found.put_at.elapsed() < found.ttl
        });
        Ok(removed.is_some())
    }

    fn invalidations(&self) -> Invalidations {
        stream::pending().boxed()
    }
}

#[cfg(test)]
mod tests;
