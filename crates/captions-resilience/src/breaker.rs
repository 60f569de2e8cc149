//! The circuit breaker of one dependency: after enough failures in a row, or too large a share of failed or slow calls in
//! a sliding window, nobody calls, until one probe succeeds.
//!
//! The state machine is pure and lives in `machine`, its counts in `window`; `permit` gives it a clock, a lock, a name and a
//! line in the log for every change of state.

mod machine;
mod permit;
mod window;
/// The lock of the machine; the tests of its interleavings put another one in its place.
mod lock {
    pub(super) use std::sync::{Mutex, MutexGuard, atomic::AtomicU64 as Word};
}

use std::time::Duration;

use captions_domain::fault::{FaultKind, PortError};
use tokio::time::Instant;

pub use self::permit::{Breaker, Permit};

/// When a breaker opens, and for how long at most. Whatever rule is met first opens it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// Failures in a row that open it; 0 = they do not.
    pub failure_threshold: u32,
    /// The shares of failed and slow calls that open it; `None` = they do not.
    pub window: Option<WindowSettings>,
    /// The longest that it stays open between two probes.
    ///
    /// It opens for 0.5 s first, then for 0.9 s while the outage is younger than 30 s, then twice as long each time up to
    /// this; always up to 15 % less by jitter. So a short outage heals in under a second and a long one is probed rarely.
    pub recovery_timeout: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            window: Some(WindowSettings::default()),
            recovery_timeout: Duration::from_mins(1),
        }
    }
}

/// The shares of failed and slow calls that open a breaker. Only calls that ended well or in a failure of the other side
/// are counted; each change of state begins an empty window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSettings {
    /// How far back it looks. It slides in ten steps, so that a call is forgotten between nine and ten tenths of this
    /// after its end.
    pub length: Duration,
    /// With fewer calls in the window no share opens the circuit; 0 acts as 1.
    pub min_calls: u32,
    /// The share of failures, above 0 and up to 1, that opens it; `None` = failures open it in a row only.
    pub failure_rate: Option<f64>,
    /// A call that took this long or longer is slow, whether it succeeded or failed.
    pub slow_call: Duration,
    /// The share of slow calls, above 0 and up to 1, that opens it; `None` = slowness does not.
    pub slow_rate: Option<f64>,
}

impl Default for WindowSettings {
    fn default() -> Self {
        Self {
            length: Duration::from_secs(30),
            min_calls: 20,
            failure_rate: Some(0.5),
            slow_call: Duration::from_secs(15),
            slow_rate: Some(0.8),
        }
    }
}

/// Which rule opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// As many failures in a row as the threshold says.
    Row,
    /// The share of failures in the window.
    FailureRate,
    /// The share of slow calls in the window.
    SlowRate,
    /// The probe failed.
    Probe,
}

impl Reason {
    /// The name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Row => "failures_in_a_row",
            Self::FailureRate => "failure_rate",
            Self::SlowRate => "slow_rate",
            Self::Probe => "probe_failed",
        }
    }
}

/// What a finished call says about the health of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Healthy,
    /// It gave nothing that a caller could use.
    Sick,
    /// Nothing either way.
    Neutral,
}

impl Verdict {
    /// What an error says by its fault alone.
    ///
    /// A refusal by the rules of the domain says nothing: it may come from a proxy before a dead server as well as from
    /// a sound one. Being asked to slow down is a matter of rate, not of health. Refusals of our own and our own mistakes
    /// are not the other side's.
    pub fn of<E: PortError>(error: &E) -> Self {
        match error.fault().map(|fault| fault.kind) {
            Some(FaultKind::Timeout | FaultKind::Unavailable | FaultKind::Corrupt) => Self::Sick,
            None
            | Some(
                FaultKind::RateLimited { .. }
                | FaultKind::CircuitOpen { .. }
                | FaultKind::Overloaded
                | FaultKind::Internal,
            ) => Self::Neutral,
        }
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// No call passes until the next probe is due.
    Open,
    /// A probe is due or under way; nobody else passes.
    HalfOpen,
    /// An operator lets nobody pass.
    ForcedOpen,
    /// An operator lets everybody pass, whatever happens.
    ForcedClosed,
}

impl State {
    /// The name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

/// A breaker at one instant, for readiness pages and metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// Since when nothing has worked; `None` while it is closed or forced.
    pub open_since: Option<Instant>,
    /// Time until the next probe may go; zero if one may go now or is under way, `None` while closed or forced.
    pub next_probe: Option<Duration>,
    /// Calls counted in the window; 0 unless it is closed and has one.
    pub calls: u32,
    /// The share of them that failed, from 0 to 1; `None` without a call.
    pub failure_rate: Option<f64>,
    /// The share of them that was slow, from 0 to 1; `None` without a call.
    pub slow_rate: Option<f64>,
    /// How often it has opened by itself since the start.
    pub opened: u64,
    /// Calls that it has refused since the start.
    pub refused: u64,
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
