//! Memory over a shared cache, and what keeps the two in step with the writes of all processes.
//!
//! A write is announced first ([`Layers::owe`]), made, and settled last ([`Owed::settle`]). In between, and for as long as
//! it cannot be settled, this process reads past both layers. To settle is to put a *closed* entry into the shared layer,
//! which tells the others to drop their copies, is no value to anybody, and for [`CLOSED_FOR`] keeps those who had read
//! the store before the write from putting what they read. Whoever cannot be told drops its copies by age.

use std::{
    collections::HashMap,
    fmt,
    future::ready,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use captions_domain::{
    caption::Degraded,
    context::{Attempts, Class, Context},
    fault::{Fault, FaultKind},
    ports::{Cache, CacheKey, Invalidation, Invalidations},
};
use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::{
    runtime::Handle,
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::entry::{Digest, Entry, Place};
use crate::tasks::Tasks;

/// How long after a write nothing is put into the shared layer for its key.
pub(super) const CLOSED_FOR: Duration = Duration::from_secs(30);
/// A load that took longer than this may have begun before a write whose closed entry is gone by the time it is put.
pub(super) const LONGEST_LOAD: Duration = Duration::from_secs(20);
/// Time for one call of a layer, whatever is left of the request that makes it: others may wait for the same.
const LAYER_TIME: Duration = Duration::from_secs(5);
/// Between two tries to settle what is owed.
const SETTLE_AGAIN: Duration = Duration::from_secs(1);
/// More writes than this are not remembered while the shared layer is away; theirs are visible elsewhere by age alone.
const MOST_OWED: usize = 10_000;
/// Messages that wait for a slow listener of this process; it then doubts everything.
const HEARD: usize = 1024;

/// The layers that the caches of one process have in common. Dropping it ends its listening.
pub struct Layers {
    memory: Option<Arc<dyn Cache>>,
    shared: Option<Arc<dyn Cache>>,
    tasks: Tasks,
    /// How often the copies in memory were given up as a whole.
    epoch: AtomicU64,
    watched: Mutex<Watched>,
    owed: Mutex<HashMap<Place, Debt>>,
    /// So that reads need no lock in the usual case of none.
    owed_places: AtomicUsize,
    /// Whether the background is at it.
    is_settling: AtomicBool,
    /// What the listener hears, for others of this process.
    heard: broadcast::Sender<Invalidation>,
    _listening: DropGuard,
}

/// Of the places that somebody is reading: whether a write has overtaken them.
#[derive(Default)]
struct Watched {
    flags: HashMap<Place, Arc<AtomicBool>>,
    /// At this size the flags that nobody holds any more are swept out.
    sweep_at: usize,
}

/// Writes to one place that others may not know of yet.
#[derive(Default)]
struct Debt {
    /// Being made now.
    writing: usize,
    /// Left for the background: their caller is gone, or the shared layer was away.
    left: usize,
}

/// What one layer says of a place.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Nothing,
    Copy(Copy),
    /// Bytes that are no entry.
    Corrupt,
    /// The layer could not be asked.
    Away,
}

/// An entry that was found.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub(super) entry: Entry,
    /// How old the value is.
    pub(super) age: Duration,
    /// How long this layer has had it.
    pub(super) held: Duration,
    pub(super) digest: Digest,
}

/// What a put into the shared layer may replace.
#[derive(Debug, Clone)]
pub(super) enum Over {
    Nothing,
    /// These bytes and no others.
    Exactly(Bytes),
    Anything,
}

/// Held by a reader from before it looks until it has kept what it found.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    is_void: Arc<AtomicBool>,
    epoch: u64,
}

impl Watch {
    /// True if a write has come in between: what was read may be old, and must neither be kept nor given to newcomers.
    pub(super) fn is_void(&self) -> bool {
        self.is_void.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("memory", &self.memory.is_some())
            .field("shared", &self.shared.is_some())
            .field("owed", &self.owed_places.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Layers {
    /// Memory, if there is any, over a cache that several processes share, if there is one; both as they are to be called,
    /// with their safeguards. Listens, as one of the `tasks`, to what others change. Needs a tokio runtime.
    pub fn new(memory: Option<Arc<dyn Cache>>, shared: Option<Arc<dyn Cache>>, tasks: Tasks) -> Arc<Self> {
        let end = CancellationToken::new();
        let told = match &shared {
            Some(shared) => shared.invalidations(),
            None => stream::pending().boxed(),
        };
        let layers = Arc::new(Self {
            memory,
            shared,
            tasks: tasks.clone(),
            epoch: AtomicU64::new(1),
            watched: Mutex::default(),
            owed: Mutex::default(),
            owed_places: AtomicUsize::new(0),
            is_settling: AtomicBool::new(false),
            heard: broadcast::Sender::new(HEARD),
            _listening: end.clone().drop_guard(),
        });
        let listening = listen(Arc::downgrade(&layers), told);
        tasks.spawn_endless("cache invalidations", async move {
            end.run_until_cancelled(listening).await;
        });
        layers
    }

    /// What others change, for whoever else has copies in memory: as this listener hears it, over its one connection.
    /// [`Invalidation::Everything`] comes first, and after each gap. Ends with the layers.
    pub fn invalidations(&self) -> Invalidations {
        let heard = stream::unfold(self.heard.subscribe(), |mut heard| async {
            match heard.recv().await {
                Ok(told) => Some((told, heard)),
                Err(RecvError::Lagged(_)) => Some((Invalidation::Everything, heard)),
                Err(RecvError::Closed) => None,
            }
        });
        stream::once(ready(Invalidation::Everything)).chain(heard).boxed()
    }

    pub(super) const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The cache of this process alone.
    pub const fn memory(&self) -> Option<&Arc<dyn Cache>> {
        self.memory.as_ref()
    }

    /// The cache that several processes share.
    pub const fn shared(&self) -> Option<&Arc<dyn Cache>> {
        self.shared.as_ref()
    }

    /// Begins to watch for writes to this place.
    pub(super) fn watch(&self, place: &Place) -> Watch {
        let mut watched = self.watched();
        // While a write is owed, what is read now is not to be kept either.
        let is_void = if self.is_owed(place) {
            Arc::new(AtomicBool::new(true))
        } else {
            if watched.flags.len() >= watched.sweep_at {
                watched.flags.retain(|_, flag| Arc::strong_count(flag) > 1);
                watched.sweep_at = 2 * watched.flags.len() + 64;
            }
            Arc::clone(watched.flags.entry(place.clone()).or_default())
        };
        Watch {
            is_void,
            epoch: self.epoch.load(Ordering::SeqCst),
        }
    }

    /// What memory has.
    pub(super) async fn look_in_memory(&self, cx: &Context, place: &Place, schema: u32) -> Seen {
        let Some(memory) = &self.memory else {
            return Seen::Nothing;
        };
        let (seen, _) = look(&**memory, &patient(cx), place, schema).await;
        match &seen {
            Seen::Copy(copy) if copy.entry.epoch != self.epoch.load(Ordering::SeqCst) => Seen::Nothing,
            Seen::Corrupt => {
                // Memory cannot be trusted to heal by itself, and a put there is no more than a put.
                drop(memory.remove(cx, &place.key).await);
                seen
            }
            _ => seen,
        }
    }

    /// What the shared layer has, and what a put may replace.
    pub(super) async fn look_in_shared(&self, cx: &Context, place: &Place, schema: u32) -> (Seen, Over) {
        let Some(shared) = &self.shared else {
            return (Seen::Nothing, Over::Nothing);
        };
        match look(&**shared, &patient(cx), place, schema).await {
            (Seen::Copy(copy), _) if copy.entry.is_closed => (Seen::Nothing, Over::Nothing),
            (seen @ Seen::Corrupt, None) => (seen, Over::Anything),
            (seen, found) => (seen, found.map_or(Over::Nothing, Over::Exactly)),
        }
    }

    /// Keeps a copy in memory, unless a write has come in between.
    pub(super) async fn remember(
        &self,
        cx: &Context,
        place: &Place,
        schema: u32,
        mut entry: Entry,
        age: Duration,
        watch: &Watch,
    ) {
        let Some(memory) = &self.memory else { return };
        if watch.is_void() {
            return;
        }
        entry.age = age;
        entry.epoch = watch.epoch;
        let ttl = entry.kept_for.saturating_sub(age);
        drop(memory.put(cx, &place.key, entry.encode(place, schema), ttl).await);
        // The write's own removal either came before this and is seen here, or comes after it.
        if watch.is_void() {
            self.forget(cx, place).await;
        }
    }

    /// Drops the copy in memory.
    pub(super) async fn forget(&self, cx: &Context, place: &Place) {
        if let Some(memory) = &self.memory {
            drop(memory.remove(cx, &place.key).await);
        }
    }

    /// Drops it from both layers.
    pub(super) async fn drop_everywhere(&self, cx: &Context, place: &Place) {
        self.forget(cx, place).await;
        if let Some(shared) = &self.shared {
            drop(shared.remove(&patient(cx), &place.key).await);
        }
    }

    /// Puts an entry into the shared layer, if what it may replace is what stands there.
    pub(super) async fn put_in_shared(
        &self,
        cx: &Context,
        place: &Place,
        bytes: Bytes,
        ttl: Duration,
        over: Over,
    ) -> Result<(), Fault> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let cx = &patient(cx);
        match over {
            Over::Anything => return shared.put(cx, &place.key, bytes, ttl).await,
            Over::Exactly(found) => {
                if !shared.remove_if(cx, &place.key, found).await? {
                    return Ok(());
                }
            }
            Over::Nothing => {}
        }
        shared.put_if_absent(cx, &place.key, bytes, ttl).await.map(drop)
    }

    /// Announces a write to these keys. From now on this process reads past what is kept of them, until the write is
    /// settled: by [`Owed::settle`], or, if the returned value is dropped without it, in the background.
    pub fn owe(self: &Arc<Self>, cx: &Context, keys: &[CacheKey]) -> Owed {
        let places: Vec<Place> = keys
            .iter()
            .map(|key| Place {
                tenant: cx.tenant.clone(),
                key: key.clone(),
            })
            .collect();
        {
            let mut owed = self.owed();
            for place in &places {
                owed.entry(place.clone()).or_default().writing += 1;
            }
            self.owed_places.store(owed.len(), Ordering::SeqCst);
        }
        for place in &places {
            self.void(place);
        }
        Owed {
            layers: Arc::clone(self),
            places,
        }
    }

    /// True while a write to this place is under way, or others could not be told of one yet.
    pub(super) fn is_owed(&self, place: &Place) -> bool {
        self.owed_places.load(Ordering::SeqCst) > 0 && self.owed().contains_key(place)
    }

    /// Writes that other processes may not know of yet.
    pub fn owed_writes(&self) -> usize {
        self.owed_places.load(Ordering::Relaxed)
    }

    /// Whoever is reading this place now keeps nothing of it.
    fn void(&self, place: &Place) {
        if let Some(flag) = self.watched().flags.remove(place) {
            flag.store(true, Ordering::SeqCst);
        }
    }

    /// Tells everybody of a write to this place.
    async fn tell(&self, cx: &Context, place: &Place) -> Result<(), Fault> {
        self.void(place);
        self.forget(cx, place).await;
        let closed = Entry::closed(CLOSED_FOR).encode(place, 0);
        self.put_in_shared(cx, place, closed, CLOSED_FOR, Over::Anything).await
    }

    fn change_debt(&self, place: &Place, change: impl FnOnce(&mut Debt)) {
        let mut owed = self.owed();
        if let Some(debt) = owed.get_mut(place) {
            change(debt);
            if debt.writing == 0 && debt.left == 0 {
                owed.remove(place);
            }
        }
        let left = owed.values().filter(|debt| debt.left > 0).count();
        if left > MOST_OWED {
            tracing::warn!(
                left,
                "too many writes wait to be told to other processes; giving one up"
            );
            owed.remove(place);
        }
        self.owed_places.store(owed.len(), Ordering::SeqCst);
    }

    /// Has what is left settled in the background, again and again; at the end of the process once more.
    fn settle_in_background(self: &Arc<Self>) {
        // Outside of a runtime the listener sees to it later.
        if Handle::try_current().is_err() || self.is_settling.swap(true, Ordering::SeqCst) {
            return;
        }
        // Also dropped by a panic, by a refusal, and at the end.
        let settling = Settling(Arc::clone(self));
        let work = async move {
            let layers = &settling.0;
            while !layers.settle_what_is_left().await {
                tokio::select! {
                    () = sleep(SETTLE_AGAIN) => {}
                    () = layers.tasks.stopping() => {
                        if !layers.settle_what_is_left().await {
                            let writes = layers.owed_writes();
                            tracing::warn!(writes, "ending before other processes could be told of writes to users");
                        }
                        break;
                    }
                }
            }
        };
        // Refused: the listener tries again.
        drop(self.tasks.spawn("cache debts", work));
    }

    fn has_left(&self) -> bool {
        self.owed_writes() > 0 && self.owed().values().any(|debt| debt.left > 0)
    }

    /// Tells what was left to the background, until the shared layer fails. True if nothing is left.
    async fn settle_what_is_left(&self) -> bool {
        let left: Vec<(Place, usize)> = {
            let owed = self.owed();
            let left = owed.iter().filter(|(_, debt)| debt.left > 0);
            left.map(|(place, debt)| (place.clone(), debt.left)).collect()
        };
        for (place, count) in left {
            if self.tell(&housekeeping(&place), &place).await.is_err() {
                return false;
            }
            self.change_debt(&place, |debt| debt.left -= count.min(debt.left));
        }
        true
    }

    async fn hear(&self, told: Invalidation) {
        match told {
            Invalidation::One(tenant, key) => {
                let place = Place { tenant, key };
                self.void(&place);
                self.forget(&housekeeping(&place), &place).await;
            }
            Invalidation::Everything => {
                self.epoch.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owed(&self) -> MutexGuard<'_, HashMap<Place, Debt>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that others are to be told of. See [`Layers::owe`].
#[must_use]
#[derive(Debug)]
pub struct Owed {
    layers: Arc<Layers>,
    places: Vec<Place>,
}

impl Owed {
    /// The write has been made, or may have been: drops the copies here and tells the others. What cannot be told now is
    /// noted in [`Context::notes`] and told in the background, again and again.
    pub async fn settle(mut self, cx: &Context) {
        while let Some(place) = self.places.last() {
            if self.layers.tell(cx, place).await.is_err() {
                cx.notes.add(Degraded::CacheUnavailable);
                return;
            }
            self.layers.change_debt(place, |debt| debt.writing -= 1);
            self.places.pop();
        }
    }

    /// The write was certainly not made: what is kept stays.
    pub fn forgive(mut self) {
        for place in self.places.drain(..) {
            self.layers.change_debt(&place, |debt| debt.writing -= 1);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        for place in &self.places {
            self.layers.change_debt(place, |debt| {
                debt.writing -= 1;
                debt.left += 1;
            });
        }
        if !self.places.is_empty() {
            self.layers.settle_in_background();
        }
    }
}

/// Hears what others change, and looks now and then whether something is owed that nobody is settling.
/// Settling is going on while it lives.
struct Settling(Arc<Layers>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.is_settling.store(false, Ordering::SeqCst);
    }
}

async fn listen(layers: Weak<Layers>, told: Invalidations) {
    let mut told = told.chain(stream::pending());
    loop {
        let heard = timeout(SETTLE_AGAIN, told.next()).await;
        let Some(layers) = layers.upgrade() else { return };
        if let Ok(Some(told)) = heard {
            // Nobody else may be listening.
            drop(layers.heard.send(told.clone()));
            layers.hear(told).await;
        }
        // Also for what was left just as the last settling ended.
        if layers.has_left() {
            layers.settle_in_background();
        }
    }
}

/// What a layer has for a place, with the bytes that it has.
pub(super) async fn look(layer: &dyn Cache, cx: &Context, place: &Place, schema: u32) -> (Seen, Option<Bytes>) {
    let found = match layer.get(cx, &place.key).await {
        Ok(Some(found)) => found,
        Ok(None) => return (Seen::Nothing, None),
        Err(fault) if fault.kind == FaultKind::Corrupt => return (Seen::Corrupt, None),
        Err(_) => return (Seen::Away, None),
    };
    // A closed entry belongs to all schemas.
    let entry = Entry::decode(place, schema, &found.bytes).or_else(|invalid| {
        let closed = Entry::decode(place, 0, &found.bytes)?;
        if closed.is_closed { Ok(closed) } else { Err(invalid) }
    });
    let Ok(entry) = entry else {
        return (Seen::Corrupt, Some(found.bytes));
    };
    let age = entry.age.saturating_add(found.age);
    if age >= entry.kept_for && !entry.is_closed {
        return (Seen::Nothing, Some(found.bytes));
    }
    let copy = Copy {
        entry,
        age,
        held: found.age,
        digest: Entry::digest(&found.bytes),
    };
    (Seen::Copy(copy), Some(found.bytes))
}

/// The same request with the time that a layer's call may take, which is not the reader's own.
pub(super) fn patient(cx: &Context) -> Context {
    Context {
        deadline: (Instant::now() + LAYER_TIME).into_std(),
        ..cx.clone()
    }
}

/// For what no request asked for. Only the tenant of it is read by a cache.
pub(super) fn housekeeping(place: &Place) -> Context {
    Context {
        tenant: place.tenant.clone(),
        request_id: "cache".into(),
        fresh_id: Uuid::nil(),
        now: OffsetDateTime::UNIX_EPOCH,
        deadline: (Instant::now() + LAYER_TIME).into_std(),
        attempts: Arc::new(Attempts::up_to(0)),
        class: Class::Batch,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: captions_domain::usage::Tab::default(),
    }
}
