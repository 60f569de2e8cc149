//! All on the paused clock, over layers that are maps.

mod ageing;
mod coalescing;
mod crowd;
mod editions;
mod model;
mod replicas;
mod told;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use captions_domain::{
    answers::{Found, Loaded, Wish},
    choice::CacheUse,
    context::{Context, TenantId},
    fault::{Fault, FaultKind, LlmError},
    ports::{Cache, CacheKey, Cached, Invalidation, Invalidations},
};
use futures_util::{StreamExt, stream};
use tokio::{
    sync::broadcast,
    task::yield_now,
    time::{Instant, sleep},
};

use super::{CacheOptions, Layers, Load, ReadThrough};
use crate::{
    jitter::Jitter,
    samples::{context, ms, relaxed},
    tasks::Tasks,
};

pub(super) const TIME: Duration = Duration::from_secs(100);
pub(super) const USE: Wish = Wish {
    cache: CacheUse::Use,
    stale: true,
    owner: None,
};
pub(super) const STRICT: Wish = Wish {
    cache: CacheUse::Use,
    stale: false,
    owner: None,
};
pub(super) const REFRESH: Wish = Wish {
    cache: CacheUse::Refresh,
    stale: true,
    owner: None,
};

type Value = Option<String>;
type Tested = ReadThrough<Value, LlmError>;

type Entries = HashMap<(TenantId, CacheKey), (Bytes, Instant, Duration)>;

/// A layer that is a map, with a door that can be shut.
#[derive(Default)]
pub(crate) struct Shelf {
    entries: Mutex<Entries>,
    is_away: AtomicBool,
    takes: Mutex<Duration>,
    gets: AtomicUsize,
    told: Mutex<Option<broadcast::Sender<(usize, Invalidation)>>>,
}

impl Shelf {
    pub(crate) fn new() -> Arc<Self> {
        let shelf = Self::default();
        *shelf.told.lock().unwrap() = Some(broadcast::channel(1024).0);
        Arc::new(shelf)
    }

    /// The shelf as process `number` sees it.
    pub(crate) fn side(self: &Arc<Self>, number: usize) -> Arc<dyn Cache> {
        Arc::new(Side {
            shelf: Arc::clone(self),
            number,
        })
    }

    pub(crate) fn shut(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn sender(&self) -> broadcast::Sender<(usize, Invalidation)> {
        self.told.lock().unwrap().clone().unwrap()
    }

    /// From now on nobody hears of anything.
    fn fall_silent(&self) {
        *self.told.lock().unwrap() = Some(broadcast::channel(1024).0);
    }

    fn bytes(&self, key: &CacheKey) -> Option<Bytes> {
        let entries = self.entries.lock().unwrap();
        entries
            .get(&(TenantId::local(), key.clone()))
            .map(|(bytes, ..)| bytes.clone())
    }

    fn change(&self, key: &CacheKey, change: impl FnOnce(Bytes) -> Bytes) {
        let mut entries = self.entries.lock().unwrap();
        let entry = entries.get_mut(&(TenantId::local(), key.clone())).unwrap();
        entry.0 = change(entry.0.clone());
    }

    fn is_empty(&self) -> bool {
        self.entries.lock().unwrap().is_empty()
    }

    fn keys(&self) -> Vec<CacheKey> {
        let entries = self.entries.lock().unwrap();
        let alive = entries.iter().filter(|(_, (_, put_at, ttl))| put_at.elapsed() < *ttl);
        alive.map(|((_, key), _)| key.clone()).collect()
    }
}

struct Side {
    shelf: Arc<Shelf>,
    number: usize,
}

impl Side {
    fn open(&self) -> Result<(), Fault> {
        if self.shelf.is_away.load(Ordering::SeqCst) {
            return Err(Fault::new(FaultKind::Unavailable));
        }
        Ok(())
    }

    fn tell(&self, cx: &Context, key: &CacheKey) {
        let one = Invalidation::One(cx.tenant.clone(), key.clone());
        drop(self.shelf.sender().send((self.number, one)));
    }
}

#[async_trait]
impl Cache for Side {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault> {
        self.open()?;
        self.shelf.gets.fetch_add(1, Ordering::SeqCst);
        let takes = *self.shelf.takes.lock().unwrap();
        if !takes.is_zero() {
            sleep(takes).await;
        }
        let entries = self.shelf.entries.lock().unwrap();
        let found = entries.get(&(cx.tenant.clone(), key.clone()));
        Ok(found
            .filter(|(_, put_at, ttl)| put_at.elapsed() < *ttl)
            .map(|(bytes, put_at, _)| Cached {
                bytes: bytes.clone(),
                age: put_at.elapsed(),
            }))
    }

    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault> {
        self.open()?;
        let takes = *self.shelf.takes.lock().unwrap();
        if !takes.is_zero() {
            sleep(takes).await;
        }
        let place = (cx.tenant.clone(), key.clone());
        let entry = (bytes, Instant::now(), ttl);
        self.shelf.entries.lock().unwrap().insert(place, entry);
        self.tell(cx, key);
        Ok(())
    }

    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault> {
        self.open()?;
        self.shelf
            .entries
            .lock()
            .unwrap()
            .remove(&(cx.tenant.clone(), key.clone()));
        self.tell(cx, key);
        Ok(())
    }

    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault> {
        self.open()?;
        let mut entries = self.shelf.entries.lock().unwrap();
        let place = (cx.tenant.clone(), key.clone());
        let is_there = entries
            .get(&place)
            .is_some_and(|(_, put_at, ttl)| put_at.elapsed() < *ttl);
        if !is_there {
            entries.insert(place, (bytes, Instant::now(), ttl));
        }
        Ok(!is_there)
    }

    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault> {
        self.open()?;
        let mut entries = self.shelf.entries.lock().unwrap();
        let place = (cx.tenant.clone(), key.clone());
        let is_it = entries
            .get(&place)
            .is_some_and(|(found, put_at, ttl)| *found == bytes && put_at.elapsed() < *ttl);
        if is_it {
            entries.remove(&place);
        }
        Ok(is_it)
    }

    fn invalidations(&self) -> Invalidations {
        let number = self.number;
        let told = stream::unfold(self.shelf.sender().subscribe(), move |mut told| async move {
            loop {
                match told.recv().await {
                    Ok((from, _)) if from == number => {}
                    Ok((_, one)) => return Some((one, told)),
                    Err(broadcast::error::RecvError::Lagged(_)) => return Some((Invalidation::Everything, told)),
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        stream::once(async { Invalidation::Everything }).chain(told).boxed()
    }
}

/// One process: its memory over the shelf, if there is one.
pub(crate) async fn layers(shelf: Option<&Arc<Shelf>>, number: usize, tasks: &Tasks) -> Arc<Layers> {
    let memory = Shelf::new().side(number);
    let layers = Layers::new(Some(memory), shelf.map(|shelf| shelf.side(number)), tasks.clone());
    // It hears first that anything may have changed before it listened.
    settle().await;
    layers
}

/// Lets everything happen that can happen without time passing.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Where values come from: the text of the present, or a failure, after a time.
pub(super) struct Source {
    now: Mutex<Result<Option<&'static str>, LlmError>>,
    takes: Mutex<Duration>,
    pub(super) fresh_for: Mutex<Duration>,
    begun: AtomicUsize,
    running: AtomicUsize,
    /// The most that ran at once.
    pub(super) most: AtomicUsize,
    panics: AtomicBool,
}

impl Source {
    pub(super) fn new(text: &'static str, takes: Duration) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(Ok(Some(text))),
            takes: Mutex::new(takes),
            fresh_for: Mutex::new(TIME),
            begun: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            panics: AtomicBool::new(false),
        })
    }

    pub(super) fn gives(&self, text: &'static str) {
        *self.now.lock().unwrap() = Ok(Some(text));
    }

    pub(super) fn has_nothing(&self) {
        *self.now.lock().unwrap() = Ok(None);
    }

    pub(super) fn fails(&self) {
        *self.now.lock().unwrap() = Err(Fault::new(FaultKind::Unavailable).into());
    }

    pub(super) fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Reads what is there when it begins, and gives it at the end: as a store does that is asked before a write. Keeps to
    /// its context's deadline.
    pub(super) fn load(self: &Arc<Self>) -> Load<Value, LlmError> {
        struct Running(Arc<Source>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.running.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let source = Arc::clone(self);
        Box::new(move |cx| {
            Box::pin(async move {
                source.begun.fetch_add(1, Ordering::SeqCst);
                let running = source.running.fetch_add(1, Ordering::SeqCst) + 1;
                source.most.fetch_max(running, Ordering::SeqCst);
                let _running = Running(Arc::clone(&source));
                let (found, takes) = (source.now.lock().unwrap().clone(), *source.takes.lock().unwrap());
                let end = Instant::now() + takes;
                let deadline = Instant::from_std(cx.deadline);
                tokio::time::sleep_until(end.min(deadline)).await;
                assert!(!source.panics.load(Ordering::SeqCst), "on purpose");
                if end > deadline {
                    return Err(Fault::new(FaultKind::Timeout).into());
                }
                let value = found?.map(str::to_owned);
                let fresh_for = *source.fresh_for.lock().unwrap();
                let time = if value.is_some() { fresh_for } else { fresh_for / 10 };
                Ok(Loaded {
                    value,
                    fresh_for: Some(time),
                })
            })
        })
    }
}

/// Nothing by chance, and nothing in the background unless a test wants it.
pub(super) fn plain() -> CacheOptions {
    CacheOptions {
        early_refresh: None,
        revalidate: Duration::ZERO,
        ..CacheOptions::default()
    }
}

pub(super) fn cache(layers: &Arc<Layers>, options: CacheOptions) -> Tested {
    ReadThrough::new(Arc::clone(layers), options, Jitter::fixed(0.0))
}

pub(super) fn key(name: &str) -> CacheKey {
    CacheKey::new("test", &blake3::hash(name.as_bytes()))
}

/// What a reader gets, in a few words.
pub(super) fn told(found: &Found<Value, LlmError>) -> String {
    let text = |value: &Value| value.clone().unwrap_or_else(|| "nothing".to_owned());
    match found {
        Found::Hit { value, .. } => format!("hit {}", text(value)),
        Found::Stale { value, .. } => format!("stale {}", text(value)),
        Found::Loaded { value, shared } => format!("{} {}", if *shared { "shared" } else { "loaded" }, text(value)),
        Found::Failed { error, stale: None } => format!("failed {}", error.code()),
        Found::Failed {
            error,
            stale: Some((value, _)),
        } => format!("failed {} but {}", error.code(), text(value)),
    }
}

/// One read of the key "a" with time to spare.
pub(super) async fn read(cache: &Tested, wish: Wish, source: &Arc<Source>) -> String {
    told(&cache.read(&relaxed(), &key("a"), wish, source.load()).await)
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
