//! API keys: whether one is asked for, what is known of them in memory, and where new ones come from.

use std::sync::Arc;

use captions_domain::{
    fault::{Fault, FaultKind},
    keys::Secret,
    ports::KeyStore,
};
use captions_resilience::{
    keys::{CachedKeys, KeyTimes},
    readthrough::Layers,
    tasks::Tasks,
};
use rand::{TryRngCore, rngs::OsRng};

use crate::{caches, settings::Auth};

/// The secret of a new key, from the operating system's source of chance.
pub fn fresh_secret() -> Result<Secret, Fault> {
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Fault::because(FaultKind::Unavailable, error))?;
    Ok(Secret::new(bytes))
}

/// What is known of the keys of `store`, which is called as it is given. Other replicas are told by way of the shared cache,
/// where there is one, and heard over the connection by which it listens anyway.
pub(crate) fn cached(
    store: Arc<dyn KeyStore>,
    layers: Option<&Arc<Layers>>,
    settings: &Auth,
    tasks: &Tasks,
) -> CachedKeys {
    let shared = caches::told_by(layers);
    let times = KeyTimes {
        fresh: settings.fresh,
        stale: settings.stale,
    };
    CachedKeys::new(store, shared, times, tasks.clone())
}
