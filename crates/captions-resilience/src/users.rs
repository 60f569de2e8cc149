//! Profiles and preferences, read through the cache.
//!
//! What is kept of a user is given up with every write, before the writer is answered: the next read sees it, on this
//! process and, as far as the shared layer tells it, on all others. A process that cannot be told uses its own copy for
//! [`CacheOptions::memory_age`] at most. With the store away what was kept last is served, and noted as
//! [`Degraded::PreferencesStale`].
//!
//! Whoever is erased takes along what is kept of their captions: with the user, and once more with the history
//! ([`CachedUsers::history`]).

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use captions_domain::{
    answers::{Found, Loaded, Wish},
    caption::{CaptionId, Degraded, Record},
    choice::CacheUse,
    context::Context,
    fault::{FaultKind, PortError, StoreError},
    history::{Amendment, Extent, Filter, Removed},
    key::edition_key,
    once::{Standing, Step},
    ports::{CacheKey, CaptionStore, Expect, UserStore},
    request::UserId,
    user::{Entry, Preferences, User},
};

use crate::{
    jitter::Jitter,
    readthrough::{CacheCounts, CacheOptions, Layers, Load, ReadThrough},
};

/// Older values will do where there are none better: nobody is refused a caption because the store is away.
const WISH: Wish = Wish {
    cache: CacheUse::Use,
    stale: true,
    owner: None,
};

/// How long what is read of a user is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserTimes {
    /// Preferences.
    pub preferences: Duration,
    /// Whole users.
    pub profile: Duration,
    /// That there is no such user. Zero: it is asked each time.
    pub negative: Duration,
}

/// A store of users, with a cache over its reads. Clones are the same.
#[derive(Clone)]
pub struct CachedUsers {
    store: Arc<dyn UserStore>,
    layers: Arc<Layers>,
    preferences: ReadThrough<Option<Preferences>, StoreError>,
    profiles: ReadThrough<Option<User>, StoreError>,
    times: UserTimes,
    /// Whether [`UserStore::read`] may answer with a copy.
    reads_copies: bool,
}

impl fmt::Debug for CachedUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedUsers")
            .field("times", &self.times)
            .field("reads_copies", &self.reads_copies)
            .finish_non_exhaustive()
    }
}

impl CachedUsers {
    /// A cache over `store`, which is called as it is given, with its safeguards. Of the options, whatever the arguments
    /// say, writes go to what is kept (`changes`), and each process loads for itself: to ask a store takes less than to
    /// agree on who does.
    pub fn new(
        store: Arc<dyn UserStore>,
        layers: Arc<Layers>,
        times: UserTimes,
        options: CacheOptions,
        jitter: Jitter,
    ) -> Self {
        let options = CacheOptions {
            changes: true,
            lease: None,
            ..options
        };
        Self {
            store,
            preferences: ReadThrough::new(Arc::clone(&layers), options.clone(), jitter.clone()),
            profiles: ReadThrough::new(Arc::clone(&layers), options, jitter),
            layers,
            times,
            reads_copies: false,
        }
    }

    /// The same users for those who only show them: [`UserStore::read`] answers with a copy where there is one.
    ///
    /// Of [`CachedUsers::new`] it always asks the store, because what is read there is changed and written back at its
    /// version, or compared with the version that a caller names: a copy that is a moment too old would refuse a caller who
    /// is right, or erase what it should not.
    #[must_use]
    pub fn for_showing(&self) -> Self {
        Self {
            reads_copies: true,
            ..self.clone()
        }
    }

    /// The history, with which what is kept of a user's captions is erased. After the user, so that nothing is found of what
    /// was written while they were being erased.
    pub fn history(&self, store: Arc<dyn CaptionStore>) -> Arc<dyn CaptionStore> {
        Arc::new(History {
            store,
            users: self.clone(),
        })
    }

    /// What was done for preferences and for whole users since the start.
    pub fn counts(&self) -> [CacheCounts; 2] {
        [self.preferences.counts(), self.profiles.counts()]
    }

    fn loaded<T>(&self, value: Option<T>, time: Duration) -> Loaded<Option<T>> {
        let fresh_for = Some(if value.is_some() { time } else { self.times.negative });
        Loaded { value, fresh_for }
    }

    /// Makes a write and gives up what is kept under these keys.
    async fn write_through<T: Send>(
        &self,
        cx: &Context,
        keys: &[CacheKey],
        write: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        // Announced before it is made: a caller who leaves in the middle leaves it to the background to tell the others.
        let owed = self.layers.owe(cx, keys);
        let written = write.await;
        match written
            .as_ref()
            .err()
            .and_then(PortError::fault)
            .map(|fault| fault.kind)
        {
            // It was never sent, and what is kept may be all that there is for some time.
            Some(FaultKind::CircuitOpen { .. } | FaultKind::Overloaded) => owed.forgive(),
            // Made, or perhaps; and after a conflict what is kept is at least suspect.
            _ => owed.settle(cx).await,
        }
        written
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl UserStore for CachedUsers {
    async fn read(&self, cx: &Context, user: &UserId) -> Result<Option<User>, StoreError> {
        if !self.reads_copies {
            return self.store.read(cx, user).await;
        }
        let [_, key] = keys(cx, user);
        let (users, user) = (self.clone(), user.clone());
        let load: Load<Option<User>, StoreError> = Box::new(move |cx| {
            Box::pin(async move {
                let found = users.store.read(&cx, &user).await?;
                Ok(users.loaded(found, users.times.profile))
            })
        });
        told(cx, self.profiles.read(cx, &key, WISH, load).await)
    }

    async fn preferences(&self, cx: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        let [key, _] = keys(cx, user);
        let (users, user) = (self.clone(), user.clone());
        let load: Load<Option<Preferences>, StoreError> = Box::new(move |cx| {
            Box::pin(async move {
                let found = users.store.preferences(&cx, &user).await?;
                Ok(users.loaded(found, users.times.preferences))
            })
        });
        told(cx, self.preferences.read(cx, &key, WISH, load).await)
    }

    async fn list(&self, cx: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.store.list(cx, after, limit).await
    }

    async fn write(&self, cx: &Context, user: &User, expect: Expect) -> Result<u64, StoreError> {
        self.write_through(cx, &keys(cx, &user.id), self.store.write(cx, user, expect))
            .await
    }

    async fn erase(&self, cx: &Context, user: &UserId) -> Result<bool, StoreError> {
        // Captions are kept for those too who are not registered.
        let [preferences, profile] = keys(cx, user);
        let keys = [preferences, profile, edition_key(&cx.tenant, user)];
        self.write_through(cx, &keys, self.store.erase(cx, user)).await
    }
}

/// See [`CachedUsers::history`].
struct History {
    store: Arc<dyn CaptionStore>,
    users: CachedUsers,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CaptionStore for History {
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError> {
        self.store.append(cx, record).await
    }

    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError> {
        self.store.read(cx, id).await
    }

    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.store.history(cx, filter, before, limit).await
    }

    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        self.store.amend(cx, id, amendment, expect).await
    }

    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError> {
        let key = match extent {
            Extent::OfUser(user) => Some(edition_key(&cx.tenant, user)),
            Extent::One(id) => {
                let record = self.store.read(cx, *id).await?;
                record.and_then(|record| record.cached_under)
            }
        };
        let erase = self.store.erase(cx, extent);
        let removed = self.users.write_through(cx, key.as_slice(), erase).await?;
        Ok(Removed {
            cached: None,
            ..removed
        })
    }

    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError> {
        self.store.once(cx, step).await
    }
}

fn told<T>(cx: &Context, found: Found<T, StoreError>) -> Result<T, StoreError> {
    match found {
        Found::Hit { value, .. } | Found::Loaded { value, .. } => Ok(value),
        Found::Stale { value, .. }
        | Found::Failed {
            stale: Some((value, _)),
            ..
        } => {
            cx.notes.add(Degraded::PreferencesStale);
            Ok(value)
        }
        Found::Failed { error, stale: None } => Err(error),
    }
}

/// Where the preferences and the whole of a user are kept.
fn keys(cx: &Context, user: &UserId) -> [CacheKey; 2] {
    let mut hasher = blake3::Hasher::new();
    for part in [cx.tenant.as_str(), user.as_str()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    [CacheKey::new("preferences", &digest), CacheKey::new("profile", &digest)]
}

#[cfg(test)]
mod tests;
