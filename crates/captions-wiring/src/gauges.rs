//! What the monitor asks for when somebody looks: figures that other parts keep, read without waiting.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use captions_embedded::{memory::MemoryCache, spool::Counts};
use captions_resilience::{
    monitor::{MemoryStats, PoolStats, ProcessStats, SpoolStats},
    policy::Policy,
};
use tokio::runtime::Handle;

use crate::store::Store;

/// The connections of a store; of a file only how many there may be and how many are unused. Callers wait for one at the
/// `policy` before it, and only a few of them at the pool itself.
pub(crate) fn pool(store: &Store, policy: &Policy) -> PoolStats {
    let crowd = policy.crowd().unwrap_or_default();
    let queued = (crowd.interactive + crowd.batch) as u64;
    match store {
        Store::Postgres(store) => {
            let pool = store.pool();
            PoolStats {
                size: pool.limit as u64,
                idle: pool.idle as u64,
                in_use: pool.in_use as u64,
                waiting: queued + pool.waiting as u64,
                leaked: pool.leaked as u64,
                opened: pool.opened,
                broken: pool.broken,
                refused: crowd.refused + pool.refused,
            }
        }
        Store::Sqlite(store) => PoolStats {
            size: store.pool_size().into(),
            idle: store.idle() as u64,
            waiting: queued,
            refused: crowd.refused,
            ..PoolStats::default()
        },
    }
}

/// The cache in memory.
pub(crate) fn memory(cache: &MemoryCache) -> MemoryStats {
    MemoryStats {
        entries: cache.entries() as u64,
        bytes: cache.used_bytes(),
        limit: cache.max_bytes(),
    }
}

/// The waiting room on disk.
pub(crate) const fn spool(counts: Counts) -> SpoolStats {
    SpoolStats {
        waiting: counts.waiting,
        bytes: counts.bytes,
        delivered: counts.delivered,
        dropped: counts.lost,
    }
}

/// This process, with the tasks of the runtime that this is called in; it is taken to have begun when this is first asked for.
/// `None` on a machine that does not tell.
pub(crate) fn process() -> Option<impl Fn() -> ProcessStats + Send + Sync + 'static> {
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64());
    resident_bytes()?;
    let runtime = Handle::try_current().ok();
    Some(move || ProcessStats {
        started,
        resident_bytes: resident_bytes().unwrap_or_default(),
        open_files: open_files(),
        tasks: runtime
            .as_ref()
            .map_or(0, |runtime| runtime.metrics().num_alive_tasks() as u64),
    })
}

/// The kernel makes these pages up as they are read: no disk is waited for.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn open_files() -> u64 {
    // The folder that is being read is open itself.
    fs::read_dir("/proc/self/fd").map_or(0, |open| (open.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests;
