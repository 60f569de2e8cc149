//! Outcomes and durations since the start and over a sliding window. Pure: the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::Outcome;

/// Slots of a window. The one that fills now counts, so a window of 60 s shows the last 55 to 60 s.
pub(super) const SLOTS: u32 = 12;

/// Durations are told apart to an eighth: each power of two of microseconds has this many buckets.
const PER_OCTAVE: usize = 8;
/// Everything from 2^30 microseconds (18 minutes) on is in the last bucket.
const BUCKETS: usize = 225;

/// Upper bounds of the buckets that are counted since the start, in seconds; one more bucket has no bound.
pub(super) const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const SPREAD: usize = BOUNDS.len() + 1;

/// What is counted: the outcomes, and the calls that were not made.
pub(super) const KINDS: usize = Outcome::ALL.len() + 2;
/// Not made, because no slot was free or a limit was reached.
pub(super) const OVERLOADED: usize = Outcome::ALL.len();
/// Not made, because the circuit was open.
pub(super) const CIRCUIT_OPEN: usize = Outcome::ALL.len() + 1;

/// The bucket of a duration.
fn bucket(duration: Duration) -> usize {
    let micros = usize::try_from(duration.as_micros()).unwrap_or(usize::MAX);
    if micros < PER_OCTAVE {
        return micros;
    }
    let octave = micros.ilog2() as usize;
    let eighth = (micros >> (octave - 3)) & (PER_OCTAVE - 1);
    ((octave - 2) * PER_OCTAVE + eighth).min(BUCKETS - 1)
}

/// The longest duration of a bucket, in whole microseconds.
fn longest(bucket: usize) -> Duration {
    let micros = if bucket < PER_OCTAVE {
        bucket
    } else {
        let octave = bucket / PER_OCTAVE + 2;
        ((PER_OCTAVE + bucket % PER_OCTAVE + 1) << (octave - 3)) - 1
    };
    Duration::from_micros(micros as u64)
}

/// One span of time, or several added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Span {
    pub(super) counts: [u64; KINDS],
    /// Of all that ended with an outcome but [`Outcome::Cancelled`]: how long something would have taken nobody knows.
    pub(super) time: Duration,
    /// The longest of these.
    longest: Duration,
    /// Empty until the first of these.
    buckets: Vec<u64>,
}

impl Span {
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize]
    }

    /// All that ended, whatever the outcome.
    pub(super) fn ended(&self) -> u64 {
        Outcome::ALL.iter().map(|outcome| self.count(*outcome)).sum()
    }

    /// All that ended by itself.
    pub(super) fn timed(&self) -> u64 {
        self.ended() - self.count(Outcome::Cancelled)
    }

    /// All whose caller got what was asked for.
    pub(super) fn successful(&self) -> u64 {
        let is_success = |outcome: &&Outcome| outcome.is_success();
        Outcome::ALL
            .iter()
            .filter(is_success)
            .map(|outcome| self.count(*outcome))
            .sum()
    }

    /// The duration that the share `quantile` (0 to 1) of them did not exceed: too long by an eighth at most, never too
    /// short. `None` without any.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let all: u64 = self.buckets.iter().sum();
        let rank = rank(quantile, all)?;
        let mut seen = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                // The last bucket has no end of its own.
                let end = if place + 1 == BUCKETS {
                    Duration::MAX
                } else {
                    longest(place)
                };
                return Some(end.min(self.longest));
            }
        }
        None
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(other.counts) {
            *own += other;
        }
        self.time += other.time;
        self.longest = self.longest.max(other.longest);
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
                *own += other;
            }
        }
    }

    fn take(&mut self, kind: usize, time: Option<Duration>) {
        self.counts[kind] += 1;
        if let Some(time) = time {
            self.time = self.time.saturating_add(time);
            self.longest = self.longest.max(time);
            if self.buckets.is_empty() {
                self.buckets = vec![0; BUCKETS];
            }
            self.buckets[bucket(time)] += 1;
        }
    }

    fn clear(&mut self) {
        self.counts = [0; KINDS];
        self.time = Duration::ZERO;
        self.longest = Duration::ZERO;
        self.buckets.fill(0);
    }
}

/// The place, from 1, of a quantile among `all`; `None` if there are none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a minute are far below 2^52"
)]
pub(super) fn rank(quantile: f64, all: u64) -> Option<u64> {
    (all > 0).then(|| ((quantile * all as f64).ceil() as u64).clamp(1, all))
}

/// Since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) counts: [u64; KINDS],
    /// Of all that ended, the cancelled ones included.
    pub(super) time: Duration,
    /// Of all but the cancelled ones, with their number in each bucket of [`BOUNDS`].
    pub(super) timed: Duration,
    pub(super) spread: [u64; SPREAD],
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(other.counts) {
            *own += other;
        }
        self.time += other.time;
        self.timed += other.timed;
        for (own, other) in self.spread.iter_mut().zip(other.spread) {
            *own += other;
        }
    }
}

/// The totals and the slots of the window.
#[derive(Debug)]
pub(super) struct Record {
    begun: Instant,
    /// Nanoseconds.
    slot_time: u64,
    totals: Totals,
    /// Each with the number of the slot of time that it holds, counted from `begun`.
    slots: [(u64, Span); SLOTS as usize],
}

impl Record {
    pub(super) fn new(begun: Instant, window: Duration) -> Self {
        Self {
            begun,
            slot_time: u64::try_from((window / SLOTS).as_nanos())
                .unwrap_or(u64::MAX)
                .max(1_000_000),
            totals: Totals::default(),
            slots: Default::default(),
        }
    }

    /// Something ended.
    pub(super) fn end(&mut self, now: Instant, outcome: Outcome, time: Duration) {
        let timed = (outcome != Outcome::Cancelled).then_some(time);
        self.totals.counts[outcome as usize] += 1;
        self.totals.time = self.totals.time.saturating_add(time);
        if let Some(time) = timed {
            self.totals.timed = self.totals.timed.saturating_add(time);
            // Most calls are quicker than the first bound, for which no division is needed.
            let is_quick = time <= Duration::from_millis(5);
            let place = if is_quick {
                Some(0)
            } else {
                let seconds = time.as_secs_f64();
                BOUNDS.iter().position(|bound| seconds <= *bound)
            };
            self.totals.spread[place.unwrap_or(BOUNDS.len())] += 1;
        }
        self.slot(now).take(outcome as usize, timed);
    }

    /// Something was not begun: [`OVERLOADED`] or [`CIRCUIT_OPEN`].
    pub(super) fn turn_away(&mut self, now: Instant, kind: usize) {
        self.totals.counts[kind] += 1;
        self.slot(now).take(kind, None);
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What the window holds.
    pub(super) fn recent(&self, now: Instant) -> Span {
        let newest = self.number(now);
        let mut sum = Span::default();
        for (number, span) in &self.slots {
            if number + u64::from(SLOTS) > newest {
                sum.add(span);
            }
        }
        sum
    }

    fn slot(&mut self, now: Instant) -> &mut Span {
        let number = self.number(now);
        let place = usize::try_from(number % u64::from(SLOTS)).unwrap_or_default();
        let (held, span) = &mut self.slots[place];
        // A thread that read the clock and then waited for the lock may come a little late; it is counted all the same.
        if *held < number {
            *held = number;
            span.clear();
        }
        span
    }

    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.begun).as_nanos();
        let slots = u64::try_from(passed).unwrap_or(u64::MAX) / self.slot_time;
        slots.min(u64::MAX - u64::from(SLOTS))
    }
}

#[cfg(test)]
mod tests;
