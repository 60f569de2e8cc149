//! Alerts: what is wrong with the service as a whole, told once when it begins and once when it is over.
//!
//! Read it as one look goes: [`Vitals`] are the numbers of one window; `rules` judges them, by thresholds and minimum
//! counts; `machine` makes of each judgement a change of state, if it is one; [`run()`] looks again every interval and
//! hands the changes to its sinks. The first three are pure. A figure that nobody can give is passed over.

mod machine;
mod rules;
mod run;
mod vitals;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use self::{
    machine::{Alerts, Pace},
    rules::Thresholds,
    run::{Counted, Counts, LogSink, Sink, Source, run},
    vitals::{ApiCalls, BreakerVital, CacheHits, Calls, PoolUse, Vitals},
};

/// What can be wrong. Each has a page in `docs/runbooks`, named by [`Alert::runbook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert {
    /// Too large a share of the store's calls fails.
    DatabaseErrors,
    /// Providers take too long to answer.
    ApiSlow,
    /// A dependency has not worked for too long.
    BreakerOpen,
    /// The cache answers far less than it used to.
    HitRateCollapse,
    /// Callers wait for a connection of the store.
    PoolWaiting,
    /// Callers are turned away because everything is busy.
    Overload,
    /// Something blocks the threads that everything runs on.
    EventLoopStalled,
    /// Rows that wait for the store pile up on the disk.
    SpoolGrowing,
}

impl Alert {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DatabaseErrors,
        Self::ApiSlow,
        Self::BreakerOpen,
        Self::HitRateCollapse,
        Self::PoolWaiting,
        Self::Overload,
        Self::EventLoopStalled,
        Self::SpoolGrowing,
    ];

    /// The name used in logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DatabaseErrors => "database_errors",
            Self::ApiSlow => "api_slow",
            Self::BreakerOpen => "breaker_open",
            Self::HitRateCollapse => "hit_rate_collapse",
            Self::PoolWaiting => "pool_waiting",
            Self::Overload => "overload",
            Self::EventLoopStalled => "event_loop_stalled",
            Self::SpoolGrowing => "spool_growing",
        }
    }

    /// The page that says what to do, from the root of the source tree.
    pub const fn runbook(self) -> &'static str {
        match self {
            Self::DatabaseErrors => "docs/runbooks/database-errors.md",
            Self::ApiSlow => "docs/runbooks/api-slow.md",
            Self::BreakerOpen => "docs/runbooks/breaker-open.md",
            Self::HitRateCollapse => "docs/runbooks/hit-rate-collapse.md",
            Self::PoolWaiting => "docs/runbooks/pool-waiting.md",
            Self::Overload => "docs/runbooks/overload.md",
            Self::EventLoopStalled => "docs/runbooks/event-loop-stalled.md",
            Self::SpoolGrowing => "docs/runbooks/spool-growing.md",
        }
    }
}

/// Which change of state is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It has been wrong for long enough.
    Firing,
    /// It is still wrong, a repeat interval after it was last told.
    Repeated,
    /// It has been right for long enough.
    Resolved,
}

impl Phase {
    /// The name used in logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
        }
    }
}

/// One thing to tell an operator. Small whatever happens: its texts are [`Bounded`].
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Counts up from 1 in this process. A notice that is sent again keeps its number.
    pub number: u64,
    /// What it is about.
    pub alert: Alert,
    /// What of it, where there are several: a breaker's dependency; else empty.
    pub subject: Bounded,
    /// What has changed.
    pub phase: Phase,
    /// One sentence with the figures of the window that changed it.
    pub summary: Bounded,
    /// What was compared; `None` once it is resolved.
    pub figure: Option<Figure>,
    /// When it changed.
    pub at: Instant,
    /// How long it has been wrong, or was.
    pub lasted: Duration,
}

/// A figure and its threshold, both in the unit of the threshold: a share, seconds, or a count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// What it was.
    pub value: f64,
    /// What it may be at most.
    pub threshold: f64,
}

/// A text of at most [`Bounded::MAX`] bytes: what is longer is cut, so that an alert cannot grow with what it tells of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounded(String);

impl Bounded {
    /// The most bytes.
    pub const MAX: usize = 256;

    /// The text, or its beginning; control characters become spaces.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(Self::MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text[..end].chars();
        // None of the two-byte control characters becomes longer by this.
        Self(text.map(|c| if c.is_control() { ' ' } else { c }).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
