//! What a cache has seen. Each look-up ends in exactly one of hit, stale and miss, so that their sum is the look-ups.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use utoipa::ToSchema;

/// What a read-through cache has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CacheCounts {
    /// Look-ups that found a value within its time in memory.
    pub memory_hits: u64,
    /// Look-ups that found one in the shared layer.
    pub shared_hits: u64,
    /// Look-ups that were answered with a value past its time, at once.
    pub stale: u64,
    /// Look-ups that had to wait for a load.
    pub misses: u64,
    /// Hits that said that there is nothing.
    pub negative: u64,
    /// Stored bytes that were passed over: damaged, of another version, or making no sense.
    pub corrupt: u64,
    /// Readers who were given the outcome of a load that another reader began.
    pub coalesced: u64,
    /// Loads begun, refreshes included.
    pub loads: u64,
    /// Loads that failed.
    pub load_failures: u64,
    /// Loads begun in the background, for a value that was there.
    pub refreshes: u64,
    /// Readers whose load failed and who were given a value past its time instead.
    pub rescued: u64,
    /// Loads that first waited for another process that loads the same.
    pub lease_waits: u64,
    /// Values that were not kept because they are too large.
    pub too_large: u64,
    /// Calls of the shared layer that failed.
    pub unavailable: u64,
}

impl CacheCounts {
    /// Look-ups that have ended.
    pub const fn look_ups(&self) -> u64 {
        self.hits() + self.stale + self.misses
    }

    /// Look-ups that found a value within its time.
    pub const fn hits(&self) -> u64 {
        self.memory_hits + self.shared_hits
    }

    /// Hits over look-ups; `None` before the first.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.look_ups() > 0).then(|| self.hits() as f64 / self.look_ups() as f64)
    }
}

/// [`CacheCounts`] in the making.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) memory_hits: AtomicU64,
    pub(super) shared_hits: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) negative: AtomicU64,
    pub(super) corrupt: AtomicU64,
    pub(super) coalesced: AtomicU64,
    pub(super) loads: AtomicU64,
    pub(super) load_failures: AtomicU64,
    pub(super) refreshes: AtomicU64,
    pub(super) rescued: AtomicU64,
    pub(super) lease_waits: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) unavailable: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Tally {
    pub(super) fn counts(&self) -> CacheCounts {
        CacheCounts {
            memory_hits: self.memory_hits.load(Relaxed),
            shared_hits: self.shared_hits.load(Relaxed),
            stale: self.stale.load(Relaxed),
            misses: self.misses.load(Relaxed),
            negative: self.negative.load(Relaxed),
            corrupt: self.corrupt.load(Relaxed),
            coalesced: self.coalesced.load(Relaxed),
            loads: self.loads.load(Relaxed),
            load_failures: self.load_failures.load(Relaxed),
            refreshes: self.refreshes.load(Relaxed),
            rescued: self.rescued.load(Relaxed),
            lease_waits: self.lease_waits.load(Relaxed),
            too_large: self.too_large.load(Relaxed),
            unavailable: self.unavailable.load(Relaxed),
        }
    }
}
