//! Batches: the workers of the queue, who is told of the end, and waiting for it.
//!
//! Each process claims as many items as it has free slots, works on each within a lease that it keeps renewing, and
//! settles it. Nothing else is agreed on between processes: what a killed one held comes back when its leases run out.

mod item;
mod tell;
mod watch;

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::{
    batch::{Backlog, Batch, BatchId, Change, Claimed, Forms, NewBatch, Settlement, Tidy, Turn},
    budget::Budget,
    context::{Attempts, Class, Context, TenantId},
    engine::Engine,
    fault::StoreError,
    limiter::Limiter,
    ports::{BatchQueue, Cache, CacheKey, Invalidation, Invalidations, KeyStore},
    request::Invalid,
    usage::{Tab, Tally},
};
use captions_resilience::{
    jitter::Jitter,
    monitor::{BatchStats, Monitor},
    tasks::Tasks,
};
use futures_util::StreamExt;
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch::Sender},
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use self::watch::Watched;
use crate::{policies, settings};

/// What a call of the queue may take, retries included.
const CALL: Duration = Duration::from_secs(10);
/// Looks for work between two looks after what is over.
const TIDY_EVERY: u32 = 5;
/// Looks grow rarer while no batch is open, up to this many times the usual pause: whoever takes a batch says so.
const QUIETEST: u32 = 8;
/// The name under which those who share a cache tell each other that there is something to do.
const NAMESPACE: &str = "batches";
/// Whoever tells a receiver has so long before another process does.
const TELLING: Duration = Duration::from_mins(1);
/// The longest that this process leaves everything alone because providers are not to be called.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The batches of this process. Clones are the same.
#[derive(Clone)]
pub struct Batches(Arc<Inner>);

struct Inner {
    queue: Arc<dyn BatchQueue>,
    /// By which other processes are told of a new batch.
    shared: Option<Arc<dyn Cache>>,
    engine: Arc<Engine>,
    /// Asked before each item: what is known of a key for a while is too old where nobody waits.
    keys: Arc<dyn KeyStore>,
    /// Without the limits that keys have of their own.
    callers: Limiter,
    budget: Option<Budget>,
    settings: settings::Batches,
    /// Provider calls that one try of an item may begin.
    max_attempts: u32,
    tally: Arc<Tally>,
    /// What an item under way has left once the process is to end.
    leaving: Duration,
    tasks: Tasks,
    /// There may be something to do.
    nudge: Notify,
    /// True: nothing more is begun.
    resting: Sender<bool>,
    /// Batches that are left out, and until when: others, also of the same tenant, have other keys and other providers.
    held: Mutex<HashMap<BatchId, Instant>>,
    /// Until when nothing is begun.
    paused: Mutex<Option<Instant>>,
    pace: Mutex<Option<Pace>>,
    backlog: Mutex<Backlog>,
    counts: Counts,
    watched: Watched,
    jitter: Jitter,
}

/// One item at a time, and none sooner than so long after the one before.
struct Pace {
    each: Duration,
    next: Instant,
}

/// Since the start.
#[derive(Default)]
struct Counts {
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// Given back, to be tried again.
    retried: AtomicU64,
    reclaimed: AtomicU64,
}

/// What batches are made of.
pub(crate) struct Parts {
    pub(crate) queue: Arc<dyn BatchQueue>,
    /// Where others share the queue: how they are told of a new batch, and heard.
    pub(crate) shared: Option<(Arc<dyn Cache>, Invalidations)>,
    pub(crate) engine: Arc<Engine>,
    /// Without a memory.
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) callers: Limiter,
    /// What each tenant may spend.
    pub(crate) budget: Option<Budget>,
    pub(crate) settings: settings::Batches,
    pub(crate) max_attempts: u32,
    /// Where what the items use is put down.
    pub(crate) tally: Arc<Tally>,
    /// What the background work has in all once the process is to end.
    pub(crate) time_for_background: Duration,
    pub(crate) tasks: Tasks,
}

impl Batches {
    pub(crate) fn new(parts: Parts) -> Self {
        let (shared, told) = parts.shared.unzip();
        let batches = Self(Arc::new(Inner {
            queue: parts.queue,
            shared,
            engine: parts.engine,
            keys: parts.keys,
            callers: parts.callers,
            budget: parts.budget,
            settings: parts.settings,
            max_attempts: parts.max_attempts,
            tally: parts.tally,
            // The rest is for giving the items back.
            leaving: parts.time_for_background / 2,
            tasks: parts.tasks,
            nudge: Notify::new(),
            resting: Sender::new(false),
            held: Mutex::default(),
            paused: Mutex::default(),
            pace: Mutex::default(),
            backlog: Mutex::default(),
            counts: Counts::default(),
            watched: Watched::default(),
            jitter: Jitter::random(),
        }));
        if let Some(mut told) = told {
            let listening = Arc::downgrade(&batches.0);
            batches.0.tasks.spawn_endless("batch invalidations", async move {
                while let Some(told) = told.next().await {
                    let Some(inner) = listening.upgrade() else { return };
                    if told == Invalidation::Everything || matches!(&told, Invalidation::One(_, key) if *key == news())
                    {
                        inner.nudge.notify_one();
                    }
                }
            });
        }
        batches
    }

    /// The queue itself, guarded: for reading and changing batches.
    pub fn queue(&self) -> &dyn BatchQueue {
        &*self.0.queue
    }

    /// How batches are kept and how large they may be.
    pub fn settings(&self) -> &settings::Batches {
        &self.0.settings
    }

    /// Keeps a batch; it is safe once this returns. The workers of this process begin at once, and so do those who share a
    /// cache with it; others find it at their next look. If this is dropped midway, or fails, what there is of it is discarded.
    pub async fn submit(&self, cx: &Context, batch: &NewBatch) -> Result<(), StoreError> {
        let mut draft = Draft {
            inner: &self.0,
            tenant: &cx.tenant,
            id: batch.id,
            is_settled: false,
        };
        let kept = self.0.queue.submit(cx, batch).await;
        draft.is_settled = matches!(kept, Ok(()) | Err(StoreError::Full { .. }));
        drop(draft);
        kept?;
        self.tell(cx).await;
        Ok(())
    }

    /// Has tried again what failed of a batch and may succeed later, or `all` that failed, if there is room for it.
    pub async fn retry(&self, cx: &Context, id: BatchId, all: bool) -> Result<Option<Batch>, StoreError> {
        let change = Change::RetryFailed {
            all,
            most_open: self.0.settings.most_open(),
        };
        let batch = self.0.queue.change(cx, id, change).await?;
        self.tell(cx).await;
        Ok(batch)
    }

    /// Why a batch of so many items is never kept, however little is open.
    pub fn too_many(&self, items: usize) -> Option<Invalid> {
        let most = self.0.settings.most_open().filter(|most| items as u64 > *most)?;
        let rule = format!("this server keeps at most {most} items of a tenant at a time, these are {items}");
        Some(Invalid::new("too_many", rule).nearest(most))
    }

    /// That there is something to do.
    async fn tell(&self, cx: &Context) {
        self.0.nudge.notify_one();
        if let Some(shared) = &self.0.shared {
            // If it is lost, they look by themselves.
            drop(shared.remove(cx, &news()).await);
        }
    }

    /// There is something to do: the workers of this process need not wait for their next look.
    pub fn nudge(&self) {
        self.0.nudge.notify_one();
    }

    /// Works on the queue from now on until the process ends: on so many items at a time, and only on one batch if it is
    /// named. None at all with 0 workers.
    pub fn work(&self, forms: Forms, workers: u32, only: Option<BatchId>) {
        if workers == 0 {
            return;
        }
        let inner = Arc::clone(&self.0);
        let work = async move { inner.run(forms, policies::size(workers), only).await };
        if self.0.tasks.spawn("batches", work).is_err() {
            tracing::error!("the workers of the batches were not started");
        }
    }

    /// Begins at most so many items a minute from now on, evenly, in this process. Items that are tried again count again.
    pub fn pace(&self, per_minute: NonZeroU32) {
        *lock(&self.0.pace) = Some(Pace {
            each: Duration::from_mins(1) / per_minute.get(),
            next: Instant::now(),
        });
    }

    /// Begins nothing more. What was begun goes on until the process ends.
    pub fn rest(&self) {
        self.0.resting.send_replace(true);
    }

    /// Has the monitor told how the queue is.
    pub(crate) fn report_to(&self, monitor: &Monitor) {
        let queue = self.clone();
        monitor.batches(move || queue.stats());
    }

    /// How the queue is, as far as this process knows.
    fn stats(&self) -> BatchStats {
        let backlog = *lock(&self.0.backlog);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BatchStats {
            open: backlog.batches,
            waiting: backlog.items,
            oldest_seconds: backlog
                .oldest
                .map(|oldest| (OffsetDateTime::now_utc() - oldest).as_seconds_f64().max(0.0)),
            succeeded: count(&self.0.counts.succeeded),
            failed: count(&self.0.counts.failed),
            retried: count(&self.0.counts.retried),
            reclaimed: count(&self.0.counts.reclaimed),
        }
    }
}

impl Inner {
    /// Ends when the process does, and never in the middle of a claim: what was leased then would be nobody's for a while.
    async fn run(self: Arc<Self>, forms: Forms, workers: usize, only: Option<BatchId>) {
        let slots = Arc::new(Semaphore::new(workers));
        // In all, and those in a row that found no batch that is not over.
        let (mut looks, mut quiet) = (0_u32, 0_u32);
        loop {
            let Some(mut free) = self.free(&slots).await else {
                return;
            };
            // Who works on one batch alone looks after it all the same: it may be cancelled.
            let tidy = (looks.is_multiple_of(TIDY_EVERY) || quiet > 0).then_some(Tidy {
                retention: self.settings.retention,
                lease: TELLING,
            });
            looks = looks.wrapping_add(1);
            let turn = Turn {
                items: u32::try_from(free.len()).unwrap_or(u32::MAX),
                lease: self.settings.lease,
                only,
                held: self.held(),
                tidy,
            };
            let taken = match self.queue.claim(&self.context("batches"), &turn).await {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::debug!(%error, "no items could be claimed");
                    drop(free);
                    if self.idle(0).await.is_some() {
                        continue;
                    }
                    return;
                }
            };
            if let Some(backlog) = taken.backlog {
                *lock(&self.backlog) = backlog;
                quiet = if backlog.batches == 0 {
                    quiet.saturating_add(1)
                } else {
                    0
                };
            }
            for notice in taken.notices {
                let inner = Arc::clone(&self);
                let told = async move { inner.tell(notice).await };
                // Once the end has come it is another process's.
                drop(self.tasks.spawn("batch webhook", told));
            }
            let found = !taken.items.is_empty();
            if found && let Some(pace) = &mut *lock(&self.pace) {
                pace.next = Instant::now() + pace.each;
            }
            for item in taken.items {
                self.begin(forms, item, free.pop()).await;
            }
            drop(free);
            if !found {
                match self.idle(quiet).await {
                    Some(Woken::ByTime) => {}
                    Some(Woken::ByWord) => quiet = 0,
                    None => return,
                }
            }
        }
    }

    /// Every free slot, or one where there is a pace, as soon as there is one and nothing is paused; `None` once the process is
    /// to end.
    async fn free(&self, slots: &Arc<Semaphore>) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            biased;
            () = self.resting() => return None,
            slot = Arc::clone(slots).acquire_owned() => slot.ok()?,
        };
        let next = lock(&self.pace).as_ref().map(|pace| pace.next);
        let paused = *lock(&self.paused);
        if let Some(until) = paused.max(next) {
            tokio::select! {
                biased;
                () = self.resting() => return None,
                () = sleep_until(until) => {}
            }
        }
        if next.is_some() {
            return Some(vec![first]);
        }
        let mut free = vec![first];
        while let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            free.push(slot);
        }
        Some(free)
    }

    /// Waits until there may be something to do, longer after so many `quiet` looks. `None` once the process is to end.
    async fn idle(&self, quiet: u32) -> Option<Woken> {
        let times = 1_u32
            .checked_shl(quiet.saturating_sub(1))
            .unwrap_or(QUIETEST)
            .min(QUIETEST);
        // Replicas must not look all at once.
        let poll = self.settings.poll.mul_f64(self.jitter.unit().mul_add(0.5, 0.75)) * times;
        tokio::select! {
            biased;
            () = self.resting() => None,
            () = self.nudge.notified() => Some(Woken::ByWord),
            () = sleep(poll) => Some(Woken::ByTime),
        }
    }

    /// Returns once nothing more is to be begun.
    async fn resting(&self) {
        let mut resting = self.resting.subscribe();
        tokio::select! {
            () = self.tasks.stopping() => {}
            _ = resting.wait_for(|resting| *resting) => {}
        }
    }

    async fn begin(self: &Arc<Self>, forms: Forms, item: Claimed, slot: Option<OwnedSemaphorePermit>) {
        let inner = Arc::clone(self);
        let ticket = item.ticket;
        let work = async move {
            inner.work_on(forms, item).await;
            drop(slot);
        };
        if self.tasks.spawn("batch item", work).is_err() {
            // The end has come, or the machine is at its limit. Left alone, its lease would run out and count as a try.
            let later = Settlement::Later {
                after: self.settings.retry_delay,
                counts: false,
            };
            self.settle(&ticket, &later).await;
        }
    }

    /// Batches that are left out now.
    fn held(&self) -> Vec<BatchId> {
        let mut held = lock(&self.held);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        held.keys().copied().collect()
    }

    fn hold(&self, batch: BatchId, wait: Duration) {
        lock(&self.held).insert(batch, Instant::now() + wait);
    }

    /// Begins nothing for a while: whom it would need is not to be called.
    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_PAUSE);
        let mut paused = lock(&self.paused);
        *paused = Some(paused.map_or(until, |other| other.max(until)));
    }

    /// The context of a call of the queue.
    fn context(&self, name: &str) -> Context {
        Context {
            tenant: TenantId::local(),
            request_id: name.into(),
            fresh_id: Uuid::now_v7(),
            now: OffsetDateTime::now_utc().truncate_to_microsecond(),
            deadline: (Instant::now() + CALL).into_std(),
            attempts: Arc::new(Attempts::up_to(self.max_attempts)),
            class: Class::Batch,
            notes: Arc::default(),
            payers: Arc::default(),
            tab: Tab::default(),
        }
    }
}

/// A batch that is being submitted. Dropped unsettled, it gives its room back.
struct Draft<'s> {
    inner: &'s Arc<Inner>,
    tenant: &'s TenantId,
    id: BatchId,
    is_settled: bool,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let (inner, id) = (Arc::clone(self.inner), self.id);
        let cx = Context {
            tenant: self.tenant.clone(),
            ..inner.context("batch-draft")
        };
        let discarding = async move {
            if let Err(error) = inner.queue.change(&cx, id, Change::Discard).await {
                tracing::debug!(%error, "the draft of a batch stays until its time is over");
            }
        };
        // At the end of the process, too, it stays until its time is over.
        drop(self.inner.tasks.spawn("batch draft", discarding));
    }
}

/// Why somebody looks again.
enum Woken {
    ByTime,
    /// Somebody said that there is something to do.
    ByWord,
}

fn news() -> CacheKey {
    CacheKey::new(NAMESPACE, &blake3::hash(NAMESPACE.as_bytes()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
