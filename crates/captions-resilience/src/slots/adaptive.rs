//! How many calls at once the other side bears, found out from how the calls end. No clock, no lock of its own.
//!
//! Additive increase, multiplicative decrease: a tenth less when the other side asks for less, one more for each round of
//! calls that went well. Its latency is left alone, because that of a language model follows the length of its answers.

use std::time::Duration;

use tokio::time::Instant;

/// How far a limit that adapts itself may fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveSettings {
    /// It does not fall below this; 0 acts as 1.
    pub min: usize,
}

impl Default for AdaptiveSettings {
    fn default() -> Self {
        Self { min: 1 }
    }
}

/// What is left of the limit each time it falls.
const FALL: f64 = 0.9;
/// A limit that has neither been reached nor fallen for this long is lifted: what it knew is old.
pub(super) const FORGET: Duration = Duration::from_secs(60);

/// What a call that ended says about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// It was borne.
    Borne,
    /// It was too much: asked to slow down, timed out, or overloaded.
    TooMuch,
    /// Nothing.
    Unknown,
}

/// A change that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has left its maximum.
    Falling,
    /// It is back there.
    Restored,
}

/// A call that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Over {
    pub(super) load: Load,
    pub(super) begun: Instant,
    /// Calls under way when it began, itself included.
    pub(super) company: usize,
    /// The limit of that moment.
    pub(super) limit: usize,
}

#[derive(Debug)]
pub(super) struct Adaptive {
    limit: f64,
    min: f64,
    max: f64,
    fell: Option<Instant>,
    /// When the limit last fell or was in reach.
    mattered: Option<Instant>,
}

impl Adaptive {
    /// It begins at `max`, so that nobody is held up on a guess.
    pub(super) fn new(settings: AdaptiveSettings, max: usize) -> Self {
        let max = count(max.max(1));
        Self {
            limit: max,
            min: count(settings.min.max(1)).min(max),
            max,
            fell: None,
            mattered: None,
        }
    }

    /// The most calls at once, now.
    pub(super) fn limit(&self) -> usize {
        // Between 1 and the maximum, which was a usize.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let whole = self.limit as usize;
        whole
    }

    /// Learns from a call that is over, while `in_flight` calls are under way, itself included.
    pub(super) fn learn(&mut self, now: Instant, over: Over, in_flight: usize) -> Option<Turn> {
        let was_at_max = self.is_at_max();
        match over.load {
            Load::TooMuch => self.fall(now, over, in_flight),
            Load::Borne => self.grow(now, count(in_flight)),
            Load::Unknown => {}
        }
        match (was_at_max, self.is_at_max()) {
            (true, false) => Some(Turn::Falling),
            (false, true) => Some(Turn::Restored),
            (true, true) | (false, false) => None,
        }
    }

    fn fall(&mut self, now: Instant, over: Over, in_flight: usize) {
        let company = count(over.company.max(in_flight));
        // So few are always allowed, so that their failure says nothing about a limit. Without this the lone probes of a
        // long outage would take the limit down to nothing for the time after it.
        if company <= self.min {
            return;
        }
        // Calls that began before the last fall do not know of it yet. A limit that is far out of reach holds nobody back,
        // so that there each of them counts: else it would take minutes from a high maximum down to where it matters.
        let is_out_of_reach = self.limit > 2.0 * company;
        if is_out_of_reach || self.fell.is_none_or(|fell| over.begun >= fell) {
            // What it has grown by since the call began was for nothing: the call was too much already. Without this, the
            // many short successes beside a few slow time-outs would hold the limit up.
            self.limit = (self.limit.min(count(over.limit)) * FALL).max(self.min);
            self.fell = Some(now);
            self.mattered = Some(now);
        }
    }

    fn grow(&mut self, now: Instant, in_flight: f64) {
        if in_flight * 2.0 >= self.limit {
            self.mattered = Some(now);
            self.limit = (self.limit + 1.0 / self.limit).min(self.max);
        } else if self
            .mattered
            .is_some_and(|at| now.saturating_duration_since(at) >= FORGET)
        {
            self.limit = self.max;
        }
    }

    fn is_at_max(&self) -> bool {
        self.limit >= self.max
    }
}

/// Counts of calls are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn count(calls: usize) -> f64 {
    calls as f64
}

#[cfg(test)]
mod tests;
