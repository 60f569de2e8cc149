//! When a failed call is tried again: how often, how long after, and out of which budget.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How calls are tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetrySettings {
    /// Tries in all, the first one included; 0 acts as 1.
    pub max_attempts: u32,
    /// The longest pause before the second try. Each further one may be twice as long.
    pub base_delay: Duration,
    /// No pause of our own choice is longer than this.
    pub delay_cap: Duration,
    /// A `Retry-After` up to this is waited for; at a longer one the error is returned at once, so that somebody else
    /// can be asked. A chain's earlier members want it short.
    pub longest_wait: Duration,
    /// A try that would have less time than this before the deadline is not begun.
    pub least_time: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(250),
            delay_cap: Duration::from_secs(5),
            longest_wait: Duration::from_secs(30),
            least_time: Duration::from_millis(100),
        }
    }
}

impl RetrySettings {
    /// The pause after `failed` failed tries (1 or more): anything from nothing to the doubled base, evenly spread,
    /// because callers that failed together must not come back together.
    pub(crate) fn pause(&self, failed: u32, unit: f64) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        self.base_delay
            .saturating_mul(1 << doublings)
            .min(self.delay_cap)
            .mul_f64(unit)
    }
}

/// Bounds the further tries, after a failure or beside a slow one, over all calls to a dependency, so that an outage costs 1.2 times the calls and not 3 times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetSettings {
    /// Further tries that each call pays for.
    pub ratio: f64,
    /// Further tries that are there from the start, and that come back by time.
    pub floor: f64,
    /// How many of the floor come back in a second.
    pub per_second: f64,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            floor: 10.0,
            per_second: 1.0,
        }
    }
}

/// What a call puts in is there for nine to ten seconds: yesterday's calls must not pay for today's storm.
const SECONDS: usize = 10;

/// A token bucket: every call puts a share of a token in, every further try takes a whole one out.
#[derive(Debug)]
pub(crate) struct Budget {
    settings: BudgetSettings,
    state: Mutex<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    /// What comes back by time, up to the floor of the settings.
    floor: f64,
    as_of: Instant,
    /// What calls have put in, by the second in which they did.
    shares: [f64; SECONDS],
    /// The place of the second that began at `newest_began`.
    newest: usize,
    newest_began: Instant,
}

impl Tokens {
    /// Forgets what was put in too long ago.
    fn slide(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.newest_began).as_secs();
        if passed == 0 {
            return;
        }
        for _ in 0..passed.min(SECONDS as u64) {
            self.newest = (self.newest + 1) % SECONDS;
            self.shares[self.newest] = 0.0;
        }
        self.newest_began += Duration::from_secs(passed);
    }

    /// Takes one out, of what is forgotten the soonest first, and says how much of it the floor gave. `None` if there is none.
    fn take(&mut self) -> Option<f64> {
        // The shares of a fifth do not add up to a whole exactly.
        if self.floor + self.shares.iter().sum::<f64>() < 1.0 - 1e-9 {
            return None;
        }
        let mut missing = 1.0;
        for age in (0..SECONDS).rev() {
            let share = &mut self.shares[(self.newest + SECONDS - age) % SECONDS];
            let part = share.min(missing);
            *share -= part;
            missing -= part;
        }
        let of_floor = self.floor.min(missing);
        self.floor -= of_floor;
        Some(of_floor)
    }
}

impl Budget {
    pub(crate) fn new(settings: BudgetSettings) -> Self {
        let now = Instant::now();
        Self {
            settings,
            state: Mutex::new(Tokens {
                floor: settings.floor,
                as_of: now,
                shares: [0.0; SECONDS],
                newest: 0,
                newest_began: now,
            }),
        }
    }

    /// A call came in, of somebody who has just looked at the clock.
    pub(crate) fn deposit(&self, now: Instant) {
        let mut tokens = self.tokens();
        tokens.slide(now);
        let newest = tokens.newest;
        tokens.shares[newest] += self.settings.ratio;
    }

    /// Takes a token for a further try, or says that none is left.
    pub(crate) fn reserve(&self) -> Option<Reserved<'_>> {
        let now = Instant::now();
        let mut tokens = self.tokens();
        tokens.slide(now);
        let grown = now.saturating_duration_since(tokens.as_of).as_secs_f64() * self.settings.per_second;
        tokens.floor = (tokens.floor + grown).min(self.settings.floor);
        tokens.as_of = now;
        tokens.take().map(|of_floor| Reserved {
            budget: self,
            of_floor,
            spent: false,
        })
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token out of the budget. Dropped before the try was made, it goes back.
#[derive(Debug)]
#[must_use = "a dropped token goes back into the budget"]
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    /// The part of it that was not calls'.
    of_floor: f64,
    spent: bool,
}

impl Reserved<'_> {
    /// The try is being made.
    pub(crate) fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.spent {
            let mut tokens = self.budget.tokens();
            // What has come back meanwhile by time is not there twice.
            tokens.floor = (tokens.floor + self.of_floor).min(self.budget.settings.floor);
            let newest = tokens.newest;
            tokens.shares[newest] += 1.0 - self.of_floor;
        }
    }
}

#[cfg(test)]
mod tests;
