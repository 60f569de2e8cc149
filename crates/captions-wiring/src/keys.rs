//! API keys: whether one is asked for, what is known of them in memory, and where new ones come from.

use std::sync::Arc;

use captions_domain::{
    fault::{Fault, FaultKind},
    keys::Secret,
    ports::{Cache, KeyStore},
};
use captions_redis::RedisCache;
use captions_resilience::{
    guarded::Guarded,
    keys::{CachedKeys, KeyTimes},
    tasks::Tasks,
};
use rand::{TryRngCore, rngs::OsRng};

use crate::{readiness::Component, settings::Auth};

/// The secret of a new key, from the operating system's source of chance.
pub fn fresh_secret() -> Result<Secret, Fault> {
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Fault::because(FaultKind::Unavailable, error))?;
    Ok(Secret::new(bytes))
}

/// What is known of the keys of `store`, which is called as it is given. Other replicas are told by way of Redis, where there
/// is one.
pub(crate) fn cached(store: Arc<dyn KeyStore>, cache: &Component, settings: &Auth, tasks: &Tasks) -> CachedKeys {
    let shared = cache.redis().map(|(redis, policy)| -> Arc<dyn Cache> {
        Arc::new(Guarded::<RedisCache>::new(Arc::clone(redis), policy.clone()))
    });
    let times = KeyTimes {
        fresh: settings.fresh,
        stale: settings.stale,
    };
    CachedKeys::new(store, shared, times, tasks.clone())
}
