//! The read-through cache: found in memory, or in a cache that processes share, or loaded once for everybody who asks.
//!
//! One mechanism for captions, preferences and profiles. [`Layers`] is memory over the shared cache, one for all;
//! [`ReadThrough`] reads values of one kind through it. The contract is that of
//! [`AnswerCache`], which it implements for captions. What it adds:
//!
//! - **Times.** A value is *fresh* for the time that its load gave it, up to 10 % less by chance so that what was loaded
//!   together is not due together; then it is *stale* for [`CacheOptions::stale`] more. A value that says that there is
//!   nothing (`null` as JSON) is never stale: it goes.
//! - **Stale while revalidating.** A reader who takes stale values gets one at once, up to [`CacheOptions::revalidate`]
//!   past its time, while one load runs in the background. Older ones are given only if the load fails.
//! - **Patience.** A reader who must wait for a load, and would take the stale value that is there, waits for
//!   [`CacheOptions::patience`]; the load goes on.
//! - **Throttle.** After a failed load, readers who take a stale value get it for [`CacheOptions::throttle`] without
//!   another try.
//! - **Early refresh.** A reader who finds a value in its last tenth has it loaded anew in the background.
//! - **Coalescing.** At most one load per key runs in this process, and, by a lease in the shared layer, among all of them.
//!   [`CacheUse::Refresh`] looks nothing up: it joins a load that runs at that moment, here or elsewhere, else begins one
//!   and puts its value over what is there; if that fails, what is kept is what it may fall back on, whatever its age.
//! - **Owners.** What is kept for an owner ([`Wish::owner`]) is found until the owner's key is written to
//!   ([`Layers::owe`]), and by nobody after that.
//! - **Distrust.** Every entry is checked at every hit; one that is damaged, of another version or kind, or that makes no
//!   sense is counted and passed over.

mod counts;
mod editions;
mod entry;
mod flights;
mod layers;
mod lease;
mod load;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use captions_domain::{
    answers::{AnswerCache, Found, Loaded, Unwritten, Wish, Written},
    caption::Degraded,
    choice::CacheUse,
    context::{Context, LookUp, Why},
    fault::PortError,
    ports::CacheKey,
};
use futures_util::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout_at};

pub use self::{
    counts::CacheCounts,
    layers::{Layers, Owed},
};
use self::{
    counts::{Tally, count},
    editions::Edition,
    entry::{Digest, Place},
    flights::Flights,
    layers::{Copy, Over, Seen, Watch},
    load::Outcome,
};
use crate::jitter::Jitter;

/// So many values of a kind are kept as they are beside their bytes in memory: those that are read again and again.
const READ_LATELY: usize = 512;

/// More places than this are not remembered as having failed a moment ago.
const MOST_THROTTLED: usize = 10_000;

/// Gives a value. Called at most once, with the context that it is to keep to.
pub type Load<T, E> = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Loaded<T>, E>> + Send>;

/// What a cache does, and for how long. Zero and `None` leave a thing out.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheOptions {
    /// Changes with the form of the value: entries of another one are passed over. From 1.
    pub schema: u32,
    /// Whether writes go to what is kept ([`Layers::owe`]). Then a copy in memory is trusted for `memory_age` only, also
    /// while nobody can be asked; else it is good for its whole time, and checked against the shared layer at intervals.
    pub changes: bool,
    /// How long a value is kept past its time.
    pub stale: Duration,
    /// How long a copy in memory is used without a look at the shared layer.
    pub memory_age: Duration,
    /// The share of a value's time, 0 to 1, after which a reader has it loaded anew in the background.
    pub early_refresh: Option<f64>,
    /// How far past its time a value is still served at once, while it is being loaded anew; not where it `changes`.
    pub revalidate: Duration,
    /// After a failed load, for how long a stale value is served without another try.
    pub throttle: Duration,
    /// How long a reader who would take a stale value waits for its load before it gets that; the load goes on.
    pub patience: Option<Duration>,
    /// Whether readers of one key share a load, also those of other processes.
    pub coalesce: bool,
    /// How long a lease holds unless it is renewed; `None`: each process loads for itself.
    pub lease: Option<Duration>,
    /// Values whose JSON is longer are compressed, bytes.
    pub compress_over: Option<usize>,
    /// An entry larger than this is not kept, bytes.
    pub largest: usize,
    /// What a load in the background may take.
    pub refresh_time: Duration,
    /// Provider calls that it may begin.
    pub refresh_attempts: u32,
}

impl Default for CacheOptions {
    /// Everything on: kept for 24 h past its time, copies checked after 30 s, refresh at nine tenths, served at once up to
    /// an hour past its time, tried again 2 s after a failure, waited for 1 s where there is a stale value, leases of 5 s, compressed over 1 KiB, entries up to 1 MiB,
    /// refreshes of 20 s and 3 calls.
    fn default() -> Self {
        Self {
            schema: 1,
            changes: false,
            stale: Duration::from_secs(24 * 3600),
            memory_age: Duration::from_secs(30),
            early_refresh: Some(0.9),
            revalidate: Duration::from_secs(3600),
            throttle: Duration::from_secs(2),
            patience: Some(Duration::from_secs(1)),
            coalesce: true,
            lease: Some(Duration::from_secs(5)),
            compress_over: Some(1024),
            largest: 1 << 20,
            refresh_time: Duration::from_secs(20),
            refresh_attempts: 3,
        }
    }
}

/// Values of one kind, read through the layers. Clones are the same cache.
pub struct ReadThrough<T, E> {
    inner: Arc<Inner<T, E>>,
}

struct Inner<T, E> {
    layers: Arc<Layers>,
    options: CacheOptions,
    jitter: Jitter,
    look_ups: Flights<Looked<T>>,
    loads: Flights<Outcome<T, E>>,
    editions: Flights<Option<Edition>>,
    /// What entries in memory say, by their digests: checked at every hit, but read once.
    read: quick_cache::sync::Cache<Digest, Arc<T>>,
    /// Where a load failed a moment ago, and until when no other is tried.
    throttled: Mutex<HashMap<Place, Instant>>,
    tally: Tally,
}

/// A value that was found in a layer.
#[derive(Debug, Clone)]
struct Kept<T> {
    value: T,
    serial: u64,
    age: Duration,
    fresh_for: Duration,
    /// Whether it may be taken for current.
    is_fresh: bool,
    is_negative: bool,
}

impl<T> Kept<T> {
    /// What is told of it to those who get it.
    fn told(&self) -> LookUp {
        match self.fresh_for.checked_sub(self.age) {
            Some(fresh_for) if self.is_fresh => LookUp::Hit { fresh_for },
            // One that nobody could be asked about may be within its time all the same.
            _ => LookUp::Stale {
                past: self.age.saturating_sub(self.fresh_for),
            },
        }
    }
}

/// The outcome of a look at the layers.
#[derive(Debug, Clone)]
struct Looked<T> {
    kept: Option<Kept<T>>,
    in_memory: bool,
    /// The shared layer could not be asked.
    away: bool,
    /// What a put into the shared layer may replace, if that layer was asked.
    over: Option<Over>,
}

impl<T> Looked<T> {
    const fn nothing() -> Self {
        Self {
            kept: None,
            in_memory: false,
            away: false,
            over: None,
        }
    }
}

impl<T, E> Clone for ReadThrough<T, E> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T, E> fmt::Debug for ReadThrough<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThrough")
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl AnswerCache for ReadThrough<Written, Unwritten> {
    async fn read(
        &self,
        cx: &Context,
        key: &CacheKey,
        wish: Wish,
        load: captions_domain::answers::Load,
    ) -> Found<Written, Unwritten> {
        Self::read(self, cx, key, wish, load).await
    }

    async fn kept(&self, cx: &Context, key: &CacheKey, owner: Option<&CacheKey>) -> Option<Written> {
        Self::kept(self, cx, key, owner).await
    }
}

impl<T, E> ReadThrough<T, E>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: PortError + Clone + Send + Sync + 'static,
{
    /// A cache over these layers.
    pub fn new(layers: Arc<Layers>, options: CacheOptions, jitter: Jitter) -> Self {
        Self {
            inner: Arc::new(Inner {
                layers,
                options,
                jitter,
                look_ups: Flights::default(),
                loads: Flights::default(),
                editions: Flights::default(),
                read: quick_cache::sync::Cache::new(READ_LATELY),
                throttled: Mutex::default(),
                tally: Tally::default(),
            }),
        }
    }

    /// What it has done since the start.
    pub fn counts(&self) -> CacheCounts {
        self.inner.tally.counts()
    }

    /// The value of this key, kept or loaded. Keeps to the contract of
    /// [`AnswerCache`].
    pub async fn read(&self, cx: &Context, key: &CacheKey, wish: Wish, load: Load<T, E>) -> Found<T, E> {
        let place = |key: &CacheKey| Place {
            tenant: cx.tenant.clone(),
            key: key.clone(),
        };
        let owner = wish.owner.as_ref().filter(|_| wish.cache != CacheUse::Bypass);
        let Some(owner) = owner else {
            return self.read_at(cx, &place(key), &wish, load).await;
        };
        match self.inner.edition(cx, &place(owner)).await {
            Some(edition) => self.read_at(cx, &place(&edition.key(key)), &wish, load).await,
            None => self.load_only(cx, &place(key), load).await,
        }
    }

    /// The value that is kept for this owner, whatever its age.
    pub async fn kept(&self, cx: &Context, key: &CacheKey, owner: Option<&CacheKey>) -> Option<T> {
        let place = |key: &CacheKey| Place {
            tenant: cx.tenant.clone(),
            key: key.clone(),
        };
        let place = match owner {
            Some(owner) => place(&self.inner.edition(cx, &place(owner)).await?.key(key)),
            None => place(key),
        };
        self.inner.look(&place, cx).await.kept.map(|kept| kept.value)
    }

    /// Loaded, together with those who ask the same here at this moment; neither looked up nor kept.
    async fn load_only(&self, cx: &Context, place: &Place, load: Load<T, E>) -> Found<T, E> {
        cx.notes.add(Degraded::CacheUnavailable);
        let unkept: Load<T, E> = Box::new(move |cx| {
            Box::pin(async move {
                let Loaded { value, .. } = load(cx).await?;
                Ok(Loaded { value, fresh_for: None })
            })
        });
        // Without a lease, as if the shared layer had been asked in vain.
        let looked = Looked {
            away: true,
            ..Looked::nothing()
        };
        let found = load::wait(&self.inner, cx, place, &looked, None, Why::Wanted, unkept).await;
        cx.notes.looked_up(LookUp::Made {
            why: Why::Missing,
            shared: matches!(found, Found::Loaded { shared: true, .. }),
            stored: false,
        });
        found
    }

    async fn read_at(&self, cx: &Context, place: &Place, wish: &Wish, load: Load<T, E>) -> Found<T, E> {
        match wish.cache {
            CacheUse::Bypass => {
                cx.notes.looked_up(LookUp::Made {
                    why: Why::Bypassed,
                    shared: false,
                    stored: false,
                });
                match load(cx.clone()).await {
                    Ok(Loaded { value, .. }) => Found::Loaded { value, shared: false },
                    Err(error) => Found::Failed { error, stale: None },
                }
            }
            CacheUse::Refresh => {
                let found = load::wait(&self.inner, cx, place, &Looked::nothing(), None, Why::Wanted, load).await;
                match found {
                    Found::Failed { error, .. } if wish.stale => {
                        let kept = self.inner.look(place, cx).await.kept;
                        self.failed(cx, error, kept)
                    }
                    found => found,
                }
            }
            CacheUse::Use => self.look_or_load(cx, place, wish, load).await,
        }
    }

    async fn look_or_load(&self, cx: &Context, place: &Place, wish: &Wish, load: Load<T, E>) -> Found<T, E> {
        let inner = &self.inner;
        let mut looked = inner.look(place, cx).await;
        if looked.away {
            cx.notes.add(Degraded::CacheUnavailable);
        }
        if let Some(kept) = looked.kept.take_if(|kept| kept.is_fresh) {
            count(if looked.in_memory {
                &inner.tally.memory_hits
            } else {
                &inner.tally.shared_hits
            });
            if kept.is_negative {
                count(&inner.tally.negative);
            }
            cx.notes.looked_up(kept.told());
            let (value, age) = (kept.value.clone(), kept.age);
            if inner.is_due(&kept) && !inner.is_throttled(place) {
                looked.kept = Some(kept);
                load::in_background(inner, cx, place, &looked, load);
            }
            return Found::Hit { value, age };
        }
        if let Some(kept) = looked.kept.as_ref().filter(|_| wish.stale) {
            let is_throttled = inner.is_throttled(place);
            if is_throttled || inner.may_wait(kept) {
                count(&inner.tally.stale);
                cx.notes.looked_up(kept.told());
                let (value, age) = (kept.value.clone(), kept.age);
                if !is_throttled {
                    load::in_background(inner, cx, place, &looked, load);
                }
                return Found::Stale { value, age };
            }
        }
        count(&inner.tally.misses);
        let has_stale = wish.stale && looked.kept.is_some();
        let patience = inner.options.patience.filter(|_| has_stale);
        let why = if looked.kept.is_some() {
            Why::Stale
        } else {
            Why::Missing
        };
        match load::wait(inner, cx, place, &looked, patience, why, load).await {
            Found::Failed { error, .. } => self.failed(cx, error, looked.kept.filter(|_| wish.stale)),
            found => found,
        }
    }

    fn failed(&self, cx: &Context, error: E, kept: Option<Kept<T>>) -> Found<T, E> {
        if let Some(kept) = &kept {
            cx.notes.looked_up(kept.told());
        }
        let stale = kept.map(|kept| (kept.value, kept.age));
        if stale.is_some() {
            count(&self.inner.tally.rescued);
        }
        Found::Failed { error, stale }
    }
}

impl<T, E> Inner<T, E>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    E: PortError + Clone + Send + Sync + 'static,
{
    /// Memory first; then, if what it has will not do, the shared layer, which readers of one key ask together.
    async fn look(self: &Arc<Self>, place: &Place, cx: &Context) -> Looked<T> {
        if self.layers.is_owed(place) {
            return Looked::nothing();
        }
        let mine = match self.layers.look_in_memory(cx, place, self.options.schema).await {
            Seen::Copy(copy) => self
                .read_again(&copy)
                .map(|kept| (kept, copy.held >= self.options.memory_age)),
            Seen::Corrupt => {
                count(&self.tally.corrupt);
                None
            }
            Seen::Nothing | Seen::Away => None,
        };
        let from_memory = |kept| Looked {
            kept: Some(kept),
            in_memory: true,
            ..Looked::nothing()
        };
        let is_alone = self.layers.shared().is_none();
        let mine = match mine {
            Some((kept, is_old)) if kept.is_fresh && (!is_old || is_alone && !self.options.changes) => {
                return from_memory(kept);
            }
            other => other,
        };
        // Nobody can be asked about it: what changes elsewhere is not taken for current any more.
        let unchecked = |(mut kept, is_old): (Kept<T>, bool)| {
            kept.is_fresh &= !(is_old && self.options.changes);
            kept
        };
        if is_alone {
            return mine.map_or_else(Looked::nothing, |mine| from_memory(unchecked(mine)));
        }
        let (inner, its_cx, its_place) = (Arc::clone(self), layers::patient(cx), place.clone());
        let (flight, _) = self.look_ups.join(
            place,
            || self.layers.watch(place),
            |watch| Box::pin(async move { inner.look_in_shared(&its_cx, &its_place, Some(&watch)).await }),
        );
        // Past the deadline nothing more is found; what follows will say so.
        let Ok(looked) = timeout_at(Instant::from_std(cx.deadline), flight).await else {
            return mine.map_or_else(Looked::nothing, |mine| from_memory(unchecked(mine)));
        };
        if looked.kept.is_some() {
            return looked;
        }
        // Not there any more: then an old copy of it goes too. A young one may not have arrived there yet.
        let kept = mine.filter(|(_, is_old)| looked.away || !is_old).map(unchecked);
        Looked {
            in_memory: kept.is_some(),
            kept,
            ..looked
        }
    }

    /// Asks the shared layer, and keeps a copy of what it has in memory.
    async fn look_in_shared(&self, cx: &Context, place: &Place, watch: Option<&Watch>) -> Looked<T> {
        let (seen, over) = self.layers.look_in_shared(cx, place, self.options.schema).await;
        let mut looked = Looked {
            over: Some(over),
            ..Looked::nothing()
        };
        match seen {
            Seen::Nothing => {}
            Seen::Corrupt => count(&self.tally.corrupt),
            Seen::Away => {
                count(&self.tally.unavailable);
                looked.away = true;
                looked.over = None;
            }
            Seen::Copy(copy) => {
                looked.kept = self.read_copy(&copy);
                if let Some(watch) = watch.filter(|_| looked.kept.is_some()) {
                    let Copy { entry, age, .. } = copy;
                    let schema = self.options.schema;
                    self.layers.remember(cx, place, schema, entry, age, watch).await;
                }
            }
        }
        looked
    }

    /// The value of an entry in memory, which is read more often than put.
    fn read_again(&self, copy: &Copy) -> Option<Kept<T>> {
        if let Some(known) = self.read.get(&copy.digest) {
            return Some(Self::kept(T::clone(&known), copy));
        }
        let kept = self.read_copy(copy)?;
        self.read.insert(copy.digest, Arc::new(kept.value.clone()));
        Some(kept)
    }

    /// The value of an entry; one that cannot be read is counted.
    fn read_copy(&self, copy: &Copy) -> Option<Kept<T>> {
        let json = copy.entry.json(self.options.largest).ok();
        let Some(value) = json.and_then(|json| serde_json::from_slice(&json).ok()) else {
            count(&self.tally.corrupt);
            return None;
        };
        Some(Self::kept(value, copy))
    }

    fn kept(value: T, copy: &Copy) -> Kept<T> {
        Kept {
            value,
            serial: copy.entry.serial,
            age: copy.age,
            fresh_for: copy.entry.fresh_for,
            is_fresh: copy.age < copy.entry.fresh_for,
            is_negative: copy.entry.is_negative(),
        }
    }

    /// True in the last part of a value's time.
    fn is_due(&self, kept: &Kept<T>) -> bool {
        let part = self.options.early_refresh.filter(|_| !kept.is_negative);
        part.is_some_and(|part| kept.age >= kept.fresh_for.mul_f64(part.clamp(0.0, 1.0)))
    }

    /// True if a stale value is served before its load is done.
    fn may_wait(&self, kept: &Kept<T>) -> bool {
        !self.options.changes && kept.age < kept.fresh_for.saturating_add(self.options.revalidate)
    }

    fn is_throttled(&self, place: &Place) -> bool {
        let throttled = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        throttled.get(place).is_some_and(|until| Instant::now() < *until)
    }

    fn throttle(&self, place: &Place) {
        let now = Instant::now();
        let mut throttled = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        if throttled.len() >= MOST_THROTTLED {
            throttled.retain(|_, until| now < *until);
        }
        if throttled.len() < MOST_THROTTLED {
            throttled.insert(place.clone(), now + self.options.throttle);
        }
    }

    fn unthrottle(&self, place: &Place) {
        self.throttled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(place);
    }
}

#[cfg(test)]
pub(crate) mod tests;
