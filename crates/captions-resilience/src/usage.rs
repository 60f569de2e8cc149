//! Usage, written behind: requests add to what is in memory, one task brings it to the store about once a second.
//!
//! What is under way to the store keeps its id until the store has it, so an answer that was lost counts nothing twice. While
//! the store is away, or takes it to a place where it waits, what comes is added up here; beyond the bounds of the
//! [`Tally`] it is counted and lost; so is a batch that waits longer than the store would know of it. A process that is killed loses what it had not brought there yet: a second of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::{
    context::{Attempts, Class, Context, TenantId},
    fault::{FaultKind, StoreError},
    ports::UsageStore,
    usage::{Batch, Group, Hour, Query, Tab, Tally, is_late},
};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// Places in memory: a user, a key and a model in an hour are one.
const PLACES: usize = 20_000;
/// Between two deliveries.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows of one batch: a statement of the store adds them.
const ROWS: usize = 500;
/// The most that one delivery may take.
const DELIVERY: Duration = Duration::from_secs(5);
/// A batch that the store refuses for good is given up after so many tries, in case it is the store that errs.
const REFUSALS: u32 = 60;

/// Brings usage to a store. Clones are the same.
#[derive(Clone)]
pub struct UsageWriter(Arc<Inner>);

struct Inner {
    store: Arc<dyn UsageStore>,
    /// `None`: for ever.
    keep_for: Option<Duration>,
    tally: Arc<Tally>,
    under_way: Mutex<Option<UnderWay>>,
    waiting: AtomicU64,
    written: AtomicU64,
    refused: AtomicU64,
}

struct UnderWay {
    batch: Batch,
    refusals: u32,
}

/// Usage on its way to the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageCounts {
    /// Rows that are in memory and nowhere else.
    pub waiting: u64,
    /// Rows that the store, or a place where they wait for it, has taken.
    pub written: u64,
    /// Entries that found no room, and rows that the store refused for good: they are in no report.
    pub dropped: u64,
}

impl UsageWriter {
    /// For `store`, which is called as it is given, with its safeguards. There it is kept for so long; `None`: for ever.
    pub fn new(store: Arc<dyn UsageStore>, keep_for: Option<Duration>) -> Self {
        Self(Arc::new(Inner {
            store,
            keep_for,
            tally: Arc::new(Tally::up_to(PLACES)),
            under_way: Mutex::default(),
            waiting: AtomicU64::new(0),
            written: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Where requests put down what they use.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.0.tally
    }

    /// How it goes, without waiting for anything.
    pub fn counts(&self) -> UsageCounts {
        let inner = &*self.0;
        UsageCounts {
            waiting: inner.tally.waiting() as u64 + inner.waiting.load(Ordering::Relaxed),
            written: inner.written.load(Ordering::Relaxed),
            dropped: inner.tally.dropped() + inner.refused.load(Ordering::Relaxed),
        }
    }

    /// The sums of the tenant of `cx`, with all that was used at this process until now.
    pub async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError> {
        // What cannot be delivered now is not in it; the store itself is asked all the same.
        drop(self.flush(DELIVERY).await);
        self.0.store.report(cx, query, limit).await
    }

    /// The oldest hour that is kept; `None`: all are.
    pub fn kept_since(&self, now: OffsetDateTime) -> Option<Hour> {
        let keep_for: time::Duration = self.0.keep_for?.try_into().unwrap_or(time::Duration::MAX);
        Some(Hour::of(now.saturating_sub(keep_for)))
    }

    /// Removes at most so many of the sums in the store that are older than they are kept, and tells how many it were.
    pub async fn sweep(&self, cx: &Context, limit: u32) -> Result<u64, StoreError> {
        match self.kept_since(cx.now) {
            Some(oldest) => self.0.store.sweep(cx, oldest, limit).await,
            None => Ok(0),
        }
    }

    /// Delivers for ever. May be dropped at any moment.
    pub async fn run(&self) {
        loop {
            sleep(PAUSE).await;
            // What is not delivered is tried again.
            drop(self.flush(DELIVERY).await);
        }
    }

    /// Delivers all that is there now, each batch within this time; what comes meanwhile is left for the next time. May be
    /// dropped at any moment; the error is of a batch that is kept.
    pub async fn flush(&self, each: Duration) -> Result<(), StoreError> {
        let inner = &*self.0;
        let mut place = inner.under_way.lock().await;
        let mut left = inner.tally.waiting();
        loop {
            if place.is_none() {
                let rows = inner.tally.take(ROWS.min(left));
                left -= rows.len();
                if rows.is_empty() {
                    return Ok(());
                }
                let batch = Batch {
                    id: Uuid::now_v7(),
                    rows,
                };
                *place = Some(UnderWay { batch, refusals: 0 });
            }
            let Some(under_way) = place.as_mut() else { return Ok(()) };
            let rows = under_way.batch.rows.len() as u64;
            inner.waiting.store(rows, Ordering::Relaxed);
            if is_late(under_way.batch.id, OffsetDateTime::now_utc()) {
                tracing::error!(rows, "usage could not be delivered for days; it is in no report");
                inner.refused.fetch_add(rows, Ordering::Relaxed);
            } else {
                match inner.store.add(&context(each), &under_way.batch).await {
                    Ok(()) => {
                        inner.written.fetch_add(rows, Ordering::Relaxed);
                    }
                    Err(error) => {
                        under_way.refusals += u32::from(is_refusal(&error));
                        if under_way.refusals < REFUSALS {
                            return Err(error);
                        }
                        tracing::error!(?error, rows, "the store refuses usage; it is in no report");
                        inner.refused.fetch_add(rows, Ordering::Relaxed);
                    }
                }
            }
            *place = None;
            inner.waiting.store(0, Ordering::Relaxed);
        }
    }
}

/// True if the store says more than "not now".
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::Conflict | StoreError::Full { .. } => true,
        StoreError::Fault(fault) => {
            !fault.is_transient() && !matches!(fault.kind, FaultKind::CircuitOpen { .. } | FaultKind::Overloaded)
        }
    }
}

fn context(time: Duration) -> Context {
    Context {
        tenant: TenantId::local(),
        request_id: "usage".into(),
        fresh_id: Uuid::now_v7(),
        now: OffsetDateTime::now_utc(),
        deadline: (Instant::now() + time).into_std(),
        attempts: Arc::new(Attempts::up_to(0)),
        class: Class::Batch,
        notes: Arc::default(),
        payers: Arc::default(),
        tab: Tab::default(),
    }
}

#[cfg(test)]
mod tests;
