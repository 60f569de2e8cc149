//! The caches: memory over Redis, and what is read through them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use captions_domain::{
    answers::{AnswerCache, Uncached, Unwritten, Written},
    ports::{Cache, CaptionStore, Invalidations, UserStore},
};
use captions_embedded::memory::MemoryCache;
use captions_resilience::{
    guarded::Guarded,
    jitter::Jitter,
    monitor::{Dependency, Monitor, watched::Watched},
    policy::Policy,
    readthrough::{CacheCounts, CacheOptions, Layers, ReadThrough},
    tasks::Tasks,
    users::{CachedUsers, UserTimes},
};

use crate::{
    assemble::{AssembleError, redis},
    gauges, policies,
    readiness::{Component, Probe},
    settings::Settings,
};

/// A larger value is put neither into memory nor into Redis: no caption comes near it.
pub(crate) const LARGEST_CACHED: usize = 1 << 20;

/// Changes with the form of what is kept of a caption.
const CAPTION_SCHEMA: u32 = 1;
/// Changes with the form of what is kept of a user.
const USER_SCHEMA: u32 = 1;

/// What this process keeps.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    captions: Option<ReadThrough<Written, Unwritten>>,
    users: Option<CachedUsers>,
}

impl Caches {
    /// What each cache has done since the start, by what it holds: `captions`, `preferences`, `profiles`. Empty if nothing
    /// is kept.
    pub fn counts(&self) -> BTreeMap<&'static str, CacheCounts> {
        let captions = self.captions.iter().map(|cache| ("captions", cache.counts()));
        let users = self.users.iter().flat_map(|users| {
            let [preferences, profiles] = users.counts();
            [("preferences", preferences), ("profiles", profiles)]
        });
        captions.chain(users).collect()
    }

    /// The history: what is erased there is found in no cache either.
    pub(crate) fn history(&self, store: Arc<dyn CaptionStore>) -> Arc<dyn CaptionStore> {
        match &self.users {
            Some(users) => users.history(store),
            None => store,
        }
    }

    /// Captions, as the engine reads them. Where nothing is kept, nothing is looked up that could be counted.
    pub(crate) fn answers(&self, monitor: &Monitor) -> Arc<dyn AnswerCache> {
        match &self.captions {
            Some(captions) => Arc::new(Watched::new(Arc::new(captions.clone()), monitor.clone())),
            None => Arc::new(Uncached),
        }
    }
}

/// How processes that share a cache tell each other of a change, and hear it, over the connection by which it listens anyway.
pub(crate) fn told_by(layers: Option<&Arc<Layers>>) -> Option<(Arc<dyn Cache>, Invalidations)> {
    let layers = layers?;
    Some((Arc::clone(layers.shared()?), layers.invalidations()))
}

/// Where what all replicas are to find is kept for a while, outside of the read-through caches.
#[derive(Clone)]
pub struct Replays {
    pub cache: Arc<dyn Cache>,
    /// Whether other processes find it there too.
    pub is_shared: bool,
}

/// The layers, and Redis as a part of the service that can fail. No layers: nothing is kept.
pub(crate) fn layers(
    settings: &Settings,
    cpus: u32,
    tasks: &Tasks,
    monitor: &Monitor,
) -> Result<(Option<Arc<Layers>>, Component), AssembleError> {
    let unguarded = || Component::new("cache", None, Probe::None);
    if !settings.cache.enabled {
        return Ok((None, unguarded()));
    }
    // Nothing in it can fail or take long, so there is nothing to guard.
    let memory = Arc::new(MemoryCache::new(settings.cache.memory_bytes));
    let looked_at = Arc::clone(&memory);
    monitor.memory(move || gauges::memory(&looked_at));
    let Some(url) = &settings.redis.url else {
        let layers = Layers::new(Some(memory), None, tasks.clone());
        return Ok((Some(layers), unguarded()));
    };
    let redis = Arc::new(redis(url, &settings.redis, cpus)?);
    let policy = monitor.watch(Dependency::Cache, Policy::new(policies::redis(&settings.redis)));
    let guarded = Arc::new(Guarded::new(Arc::clone(&redis), policy.clone()));
    let shared = Arc::new(Watched::new(guarded, monitor.clone()));
    let layers = Layers::new(Some(memory), Some(shared), tasks.clone());
    let component = Component::new("cache", Some(policy), Probe::Redis(redis));
    Ok((Some(layers), component))
}

/// The shared cache where there is one, else the one in memory; `None` if nothing is kept.
pub(crate) fn replays(layers: Option<&Arc<Layers>>) -> Option<Replays> {
    let layers = layers?;
    let shared = layers.shared().map(|cache| (cache, true));
    let (cache, is_shared) = shared.or_else(|| layers.memory().map(|cache| (cache, false)))?;
    Some(Replays {
        cache: Arc::clone(cache),
        is_shared,
    })
}

/// What is read through the layers, and the users: as requests use them, and for those who only show them.
pub(crate) fn caches(
    layers: Option<&Arc<Layers>>,
    users: Arc<dyn UserStore>,
    settings: &Settings,
) -> (Caches, Arc<dyn UserStore>, Arc<dyn UserStore>) {
    let Some(layers) = layers else {
        return (Caches::default(), Arc::clone(&users), users);
    };
    let captions = ReadThrough::new(Arc::clone(layers), caption_options(settings), Jitter::random());
    let cache = &settings.cache;
    let times = UserTimes {
        preferences: cache.preferences(),
        profile: cache.profile(),
        negative: cache.negative,
    };
    let options = user_options(settings);
    let users = CachedUsers::new(users, Arc::clone(layers), times, options, Jitter::random());
    let for_showing = Arc::new(users.for_showing());
    let for_requests = Arc::new(users.clone());
    let caches = Caches {
        captions: Some(captions),
        users: Some(users),
    };
    (caches, for_requests, for_showing)
}

fn caption_options(settings: &Settings) -> CacheOptions {
    CacheOptions {
        schema: CAPTION_SCHEMA,
        changes: false,
        // To write one takes longer than anybody should wait for a store; past `revalidate` a new one is worth the wait.
        patience: None,
        // A caption that may not be served past its time is not kept past it either.
        stale: if settings.fallback.stale {
            settings.cache.stale
        } else {
            Duration::ZERO
        },
        ..options(settings)
    }
}

fn user_options(settings: &Settings) -> CacheOptions {
    CacheOptions {
        schema: USER_SCHEMA,
        changes: true,
        ..options(settings)
    }
}

fn options(settings: &Settings) -> CacheOptions {
    let cache = &settings.cache;
    let default = CacheOptions::default();
    CacheOptions {
        stale: cache.stale,
        memory_age: cache.memory_age,
        early_refresh: default.early_refresh.filter(|_| cache.early_refresh),
        revalidate: cache.revalidate,
        coalesce: cache.coalesce,
        compress_over: default.compress_over.filter(|_| cache.compress),
        largest: LARGEST_CACHED,
        refresh_time: settings.engine.deadline,
        refresh_attempts: settings.api.max_attempts,
        ..default
    }
}

#[cfg(test)]
mod tests;
