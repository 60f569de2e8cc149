//! The event loop: does a task come to its turn when it should?
//!
//! A task that computes, or blocks its thread, keeps every other task on that thread from its turn. A task of ours that only
//! sleeps sees this as a late waking.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::EventLoopStats;

/// So long without a stall, and an episode is over.
const QUIET: Duration = Duration::from_secs(10);
/// Looks for each time as long as the limit.
const LOOKS: u32 = 4;

/// The gauges. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct EventLoop(Arc<Gauges>);

#[derive(Debug, Default)]
struct Gauges {
    stalls: AtomicU64,
    stalled: AtomicBool,
    lag_micros: AtomicU64,
    max_lag_micros: AtomicU64,
    /// Since it was last taken.
    longest_micros: AtomicU64,
}

impl EventLoop {
    /// As they are now.
    pub fn stats(&self) -> EventLoopStats {
        let seconds = |micros: &AtomicU64| Duration::from_micros(micros.load(Ordering::Relaxed)).as_secs_f64();
        EventLoopStats {
            stalls: self.0.stalls.load(Ordering::Relaxed),
            stalled: self.0.stalled.load(Ordering::Relaxed),
            lag: seconds(&self.0.lag_micros),
            max_lag: seconds(&self.0.max_lag_micros),
        }
    }

    /// The longest lag since this was last asked, or since the start. One reader only: it is forgotten by being told.
    pub fn take_longest(&self) -> Duration {
        Duration::from_micros(self.0.longest_micros.swap(0, Ordering::Relaxed))
    }

    fn saw(&self, lag: Duration, is_stall: bool) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.0.lag_micros.store(micros, Ordering::Relaxed);
        self.0.max_lag_micros.fetch_max(micros, Ordering::Relaxed);
        self.0.longest_micros.fetch_max(micros, Ordering::Relaxed);
        if is_stall {
            self.0.stalls.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stalls(&self) -> u64 {
        self.0.stalls.load(Ordering::Relaxed)
    }
}

/// Looks for stalls longer than `limit` for as long as it is polled: its owner spawns it and ends it. One line goes into the
/// log when an episode of stalls begins and one when it is over.
pub async fn watch_event_loop(gauges: EventLoop, limit: Duration) {
    let pause = (limit / LOOKS).max(Duration::from_millis(1));
    let mut quiet_since = Instant::now();
    let mut before = 0;
    loop {
        let begun = Instant::now();
        sleep(pause).await;
        let lag = begun.elapsed().saturating_sub(pause);
        let is_stall = lag > limit;
        gauges.saw(lag, is_stall);
        let was_stalled = gauges.0.stalled.load(Ordering::Relaxed);
        if is_stall {
            quiet_since = Instant::now();
            if !was_stalled {
                before = gauges.stalls() - 1;
                gauges.0.stalled.store(true, Ordering::Relaxed);
                tracing::warn!(
                    lag_ms = lag.as_secs_f64() * 1e3,
                    limit_ms = limit.as_secs_f64() * 1e3,
                    "event loop stalled: something computes or blocks where it should wait"
                );
            }
        } else if was_stalled && quiet_since.elapsed() >= QUIET {
            gauges.0.stalled.store(false, Ordering::Relaxed);
            tracing::info!(stalls = gauges.stalls() - before, "event loop runs freely again");
        }
    }
}

#[cfg(test)]
mod tests;
