//! Figures that other parts keep, asked for when a summary is made.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Serialize;
use utoipa::ToSchema;

use super::Monitor;
use crate::alerts;
use crate::readthrough::CacheCounts;
use crate::usage::UsageCounts;

/// A pool of connections at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PoolStats {
    /// The most connections at a time.
    pub size: u64,
    /// Open and waiting for work.
    pub idle: u64,
    /// At work, or being opened.
    pub in_use: u64,
    /// Callers that wait for one.
    pub waiting: u64,
    /// At work for longer than any statement may take.
    pub leaked: u64,
    /// Connections opened since the start.
    pub opened: u64,
    /// Connections closed in the middle of their work since the start.
    pub broken: u64,
    /// Callers that waited for one in vain since the start, or found the line full.
    pub refused: u64,
}

/// The limits that we keep toward one provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimiterStats {
    /// Calls that it let pass since the start.
    pub allowed: u64,
    /// Calls that it turned away since the start.
    pub refused: u64,
    /// Calls that had to wait for their turn since the start.
    pub waited: u64,
    /// Decisions that this process took alone since the start, because the shared limits were away; of all limits together.
    pub alone: u64,
}

/// The cache inside the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MemoryStats {
    /// Entries that it holds.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// The most bytes that it may take.
    pub limit: u64,
}

/// Writes that wait on disk for the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SpoolStats {
    /// Writes that wait.
    pub waiting: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Writes that have reached the store since the start, after waiting.
    pub delivered: u64,
    /// Writes that were given up since the start, for want of room or because the store refused them.
    pub dropped: u64,
}

/// The queue of batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct BatchStats {
    /// Batches that are not over, of everybody who shares the store, as this process last saw them.
    pub open: u64,
    /// Their items without an outcome.
    pub waiting: u64,
    /// How long ago the oldest of these batches came in; null where there is none.
    pub oldest_seconds: Option<f64>,
    /// Items that this process has written captions for since the start.
    pub succeeded: u64,
    /// Items that it has given up.
    pub failed: u64,
    /// Items that it has given back, to be tried again.
    pub retried: u64,
    /// Items that it has taken over from a process that was lost.
    pub reclaimed: u64,
}

/// The process as the machine sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct ProcessStats {
    /// When it began: seconds since 1970 began in UTC.
    pub started: f64,
    /// Bytes of memory in use.
    pub resident_bytes: u64,
    /// Open files and sockets.
    pub open_files: u64,
    /// Tasks of the asynchronous runtime: work that is under way, and what waits for work. A request in flight is one or more.
    pub tasks: u64,
}

/// Where the figures of one kind are asked for, if anybody has them.
#[derive(Clone)]
pub(super) struct Source<T>(Option<Arc<dyn Fn() -> T + Send + Sync>>);

impl<T> Source<T> {
    fn new(ask: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ask)))
    }

    pub(super) fn ask(&self) -> Option<T> {
        self.0.as_ref().map(|ask| ask())
    }
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "known" } else { "unknown" })
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    pub(super) pool: Source<PoolStats>,
    pub(super) memory: Source<MemoryStats>,
    pub(super) spool: Source<SpoolStats>,
    pub(super) usage: Source<UsageCounts>,
    pub(super) batches: Source<BatchStats>,
    pub(super) alerts: Source<alerts::Counted>,
    pub(super) process: Source<ProcessStats>,
    /// By the kind of what is kept.
    pub(super) caches: Source<BTreeMap<&'static str, CacheCounts>>,
    /// By provider.
    pub(super) limiters: Vec<(String, Source<LimiterStats>)>,
}

/// Each source is called whenever a summary is made: it has to be quick and must not wait.
impl Monitor {
    /// Where the figures of the store's pool are.
    pub fn pool(&self, source: impl Fn() -> PoolStats + Send + Sync + 'static) {
        self.parts().sources.pool = Source::new(source);
    }

    /// Where the figures of the cache in memory are.
    pub fn memory(&self, source: impl Fn() -> MemoryStats + Send + Sync + 'static) {
        self.parts().sources.memory = Source::new(source);
    }

    /// Where the figures of the read-through caches are, by the kind of what they keep.
    pub fn caches(&self, source: impl Fn() -> BTreeMap<&'static str, CacheCounts> + Send + Sync + 'static) {
        self.parts().sources.caches = Source::new(source);
    }

    /// Where the figures of the spool are.
    pub fn spool(&self, source: impl Fn() -> SpoolStats + Send + Sync + 'static) {
        self.parts().sources.spool = Source::new(source);
    }

    /// Where the figures of the usage are that is on its way to the store.
    pub fn usage(&self, source: impl Fn() -> UsageCounts + Send + Sync + 'static) {
        self.parts().sources.usage = Source::new(source);
    }

    /// Where the figures of the batches are.
    pub fn batches(&self, source: impl Fn() -> BatchStats + Send + Sync + 'static) {
        self.parts().sources.batches = Source::new(source);
    }

    /// Where the figures of the alert loop are.
    pub fn alerts(&self, source: impl Fn() -> alerts::Counted + Send + Sync + 'static) {
        self.parts().sources.alerts = Source::new(source);
    }

    /// Where the figures of the process are.
    pub fn process(&self, source: impl Fn() -> ProcessStats + Send + Sync + 'static) {
        self.parts().sources.process = Source::new(source);
    }

    /// Where the figures of the limits toward this provider are.
    pub fn limiter(&self, provider: &str, source: impl Fn() -> LimiterStats + Send + Sync + 'static) {
        let source = Source::new(source);
        self.parts().sources.limiters.push((provider.to_owned(), source));
    }
}
