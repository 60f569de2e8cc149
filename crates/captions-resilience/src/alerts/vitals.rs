//! The numbers that alerts are made of.

use std::time::Duration;

/// The numbers of one window: what happened in it, and how things stand now. `None` is a figure that
/// nobody could give; the rules that need it are passed over in this window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vitals {
    /// Calls to the store. A call that an open circuit turned away is a call that failed.
    pub database: Option<Calls>,
    /// Calls to providers.
    pub api: Option<ApiCalls>,
    /// Every circuit breaker; those that are not listed are taken for closed.
    pub breakers: Option<Vec<BreakerVital>>,
    /// Look-ups in the cache.
    pub cache: Option<CacheHits>,
    /// The store's connections.
    pub pool: Option<PoolUse>,
    /// Calls in the window that were refused because no slot was free.
    pub overload_refused: Option<u64>,
    /// The longest in the window that a task which was due had to wait for a thread.
    pub event_loop_lag: Option<Duration>,
    /// Rows that wait on the disk for the store now.
    pub spool_rows: Option<u64>,
}

/// Calls in the window, and those of them that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them.
    pub calls: u64,
    /// Faults of the other side or of the way to it; a refusal by the rules of the domain is none.
    pub failures: u64,
}

/// Calls to providers in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApiCalls {
    /// All of them, and those that failed.
    pub counts: Calls,
    /// Their average time.
    pub average: Duration,
    /// The time that 95 % of them did not exceed.
    pub p95: Duration,
}

/// Where one breaker stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerVital {
    /// Its dependency.
    pub name: String,
    /// The name of its state, as in `half_open`.
    pub state: String,
    /// For how long nothing has worked; `None` while it is closed or forced.
    pub open_for: Option<Duration>,
}

/// Look-ups of the window beside those of a longer time before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheHits {
    /// Look-ups in the window.
    pub lookups: u64,
    /// Those that found something.
    pub hits: u64,
    /// Look-ups of the time to compare with.
    pub usual_lookups: u64,
    /// Those that found something.
    pub usual_hits: u64,
}

/// The store's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that there may be.
    pub size: u32,
    /// Callers that wait for one now.
    pub waiting: u32,
    /// Callers in the window that waited in vain.
    pub timeouts: u64,
}
