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

/// What calls can save up beyond the floor: a long quiet time must not pay for a storm.
const SAVINGS: f64 = 100.0;

/// A token bucket: every call puts a share of a token in, every further try takes a whole one out.
#[derive(Debug)]
pub(crate) struct Budget {
    settings: BudgetSettings,
    state: Mutex<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    count: f64,
    as_of: Instant,
}

impl Budget {
    pub(crate) fn new(settings: BudgetSettings) -> Self {
        Self {
            settings,
            state: Mutex::new(Tokens {
                count: settings.floor,
                as_of: Instant::now(),
            }),
        }
    }

    /// A call came in.
    pub(crate) fn deposit(&self) {
        let most = self.settings.floor + SAVINGS;
        let mut tokens = self.tokens();
        // Nothing comes back by time up there, so the clock need not be asked; whoever takes a token down asks it.
        if tokens.count < self.settings.floor {
            self.catch_up(&mut tokens);
        }
        tokens.count = (tokens.count + self.settings.ratio).min(most);
    }

    /// Takes a token for a further try, or says that none is left.
    pub(crate) fn reserve(&self) -> Option<Reserved<'_>> {
        self.with(|tokens| {
            // The shares of a fifth do not add up to a whole exactly.
            let enough = tokens.count >= 1.0 - 1e-9;
            if enough {
                tokens.count -= 1.0;
            }
            enough
        })
        .then(|| Reserved {
            budget: self,
            spent: false,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Tokens) -> T) -> T {
        let mut tokens = self.tokens();
        self.catch_up(&mut tokens);
        act(&mut tokens)
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what has come back by time.
    fn catch_up(&self, tokens: &mut Tokens) {
        let now = Instant::now();
        let grown = now.saturating_duration_since(tokens.as_of).as_secs_f64() * self.settings.per_second;
        // Time fills up to the floor only; what calls have saved beyond it stays.
        if tokens.count < self.settings.floor {
            tokens.count = (tokens.count + grown).min(self.settings.floor);
        }
        tokens.as_of = now;
    }
}

/// A token out of the budget. Dropped before the try was made, it goes back.
#[derive(Debug)]
#[must_use = "a dropped token goes back into the budget"]
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
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
            self.budget.with(|tokens| tokens.count += 1.0);
        }
    }
}

#[cfg(test)]
mod tests;
