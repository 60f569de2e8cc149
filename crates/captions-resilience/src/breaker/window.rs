//! What the calls of the last while came to: exact counts in ten buckets, whatever the number of calls.

use std::time::Duration;

use tokio::time::Instant;

use super::{Reason, WindowSettings};

/// The window slides in steps of a tenth of its length.
const BUCKETS: usize = 10;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Counts {
    /// The share that failed, from 0 to 1; `None` without a call.
    pub(super) fn failure_rate(self) -> Option<f64> {
        self.share(self.failures)
    }

    /// The share that was slow, from 0 to 1; `None` without a call.
    pub(super) fn slow_rate(self) -> Option<f64> {
        self.share(self.slow)
    }

    fn share(self, part: u32) -> Option<f64> {
        // Where all is well nothing need be divided, call after call.
        (self.calls > 0).then(|| {
            if part == 0 {
                0.0
            } else {
                f64::from(part) / f64::from(self.calls)
            }
        })
    }

    fn add(&mut self, failed: bool, slow: bool) {
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(failed));
        self.slow = self.slow.saturating_add(u32::from(slow));
    }
}

#[derive(Debug)]
pub(super) struct Window {
    settings: WindowSettings,
    /// The begin of step 0: the first call.
    origin: Option<Instant>,
    /// The length of a step in nanoseconds.
    step: u64,
    /// The newest step that has a bucket; the nine before it have the others.
    newest: u64,
    /// When the next step begins, if the clock can tell.
    next: Option<Instant>,
    buckets: [Counts; BUCKETS],
    /// Of all buckets.
    total: Counts,
}

impl Window {
    pub(super) fn new(settings: WindowSettings) -> Self {
        let step = settings.length.as_nanos().div_ceil(BUCKETS as u128).max(1);
        Self {
            settings,
            origin: None,
            step: u64::try_from(step).unwrap_or(u64::MAX),
            newest: 0,
            next: None,
            buckets: [Counts::default(); BUCKETS],
            total: Counts::default(),
        }
    }

    /// Counts a finished call. What it took may make it slow, whether it failed or not.
    pub(super) fn record(&mut self, now: Instant, failed: bool, took: Duration) {
        self.origin.get_or_insert(now);
        self.slide(now);
        let slow = took >= self.settings.slow_call;
        self.bucket(self.newest).add(failed, slow);
        self.total.add(failed, slow);
    }

    /// Why the circuit has to open, if it has to.
    pub(super) fn trips(&self) -> Option<Reason> {
        let WindowSettings {
            min_calls,
            failure_rate,
            slow_rate,
            ..
        } = self.settings;
        let total = self.total;
        if total.calls < min_calls {
            return None;
        }
        let reaches =
            |share: Option<f64>, bound: Option<f64>| share.zip(bound).is_some_and(|(share, bound)| share >= bound);
        if reaches(total.failure_rate(), failure_rate) {
            return Some(Reason::FailureRate);
        }
        reaches(total.slow_rate(), slow_rate).then_some(Reason::SlowRate)
    }

    /// What is in the window at `now`.
    pub(super) fn counts(&mut self, now: Instant) -> Counts {
        self.slide(now);
        self.total
    }

    /// Empties the buckets of the steps that have passed. A clock that went back changes nothing.
    fn slide(&mut self, now: Instant) {
        let Some(origin) = self.origin else {
            return;
        };
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        let passed = u64::try_from(now.saturating_duration_since(origin).as_nanos()).unwrap_or(u64::MAX);
        let reached = passed / self.step;
        // After a jump over the whole window each bucket is emptied once.
        let first = (self.newest + 1).max(reached.saturating_sub(BUCKETS as u64 - 1));
        for passed in first..=reached {
            *self.bucket(passed) = Counts::default();
        }
        self.newest = self.newest.max(reached);
        let begins = (self.newest + 1).checked_mul(self.step).map(Duration::from_nanos);
        self.next = begins.and_then(|begins| origin.checked_add(begins));
        self.total = self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            calls: sum.calls.saturating_add(bucket.calls),
            failures: sum.failures.saturating_add(bucket.failures),
            slow: sum.slow.saturating_add(bucket.slow),
        });
    }

    fn bucket(&mut self, step: u64) -> &mut Counts {
        let place = usize::try_from(step % BUCKETS as u64).unwrap_or_default();
        &mut self.buckets[place]
    }
}
