//! Limits of rate, by the generic cell rate algorithm: how much may be taken in a time, when again, and what is left.
//!
//! A [`Plan`] names the windows that are counted together; a [`Meter`] is what was taken from them. A window is counted by
//! one number: the instant at which it would be full again. Taking moves it into the future by the time in which as much
//! comes back; more than a whole window ahead it cannot get. So a window is not a grid with seams: over any stretch of time
//! no more is taken than the limit and what comes back in that time.
//!
//! All arithmetic is in whole microseconds, and everything that divides is done here beforehand ([`Plan::costs`]), so that
//! a meter in another place, in a script of a Redis server, only has to add and to compare. Whoever owns a meter passes the
//! time in; it must never go back.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use arrayvec::ArrayVec;
use uuid::Uuid;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    Requests,
    Tokens,
}

/// The longest window, 31 days in microseconds: far below what a floating point number holds exactly.
const LONGEST: u64 = 31 * 24 * 3600 * 1_000_000;

/// The most windows of one plan.
const MOST_WINDOWS: usize = 8;

/// So many units in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    unit: Unit,
    limit: u64,
    per: Duration,
    /// Microseconds in which the whole limit comes back.
    capacity: u64,
    /// Microseconds in which one unit comes back, rounded up.
    spacing: u64,
}

impl Window {
    /// At most `limit` units (0 acts as 1, and there are at most 2^40) in any stretch of `per` (1 ms to 31 days), above what
    /// was there at its beginning. Until something is taken all of the limit is there.
    pub fn new(unit: Unit, limit: u64, per: Duration) -> Self {
        let limit = limit.clamp(1, 1 << 40);
        let micros = micros(per).clamp(1000, LONGEST);
        let spacing = micros.div_ceil(limit);
        Self {
            unit,
            limit,
            per: Duration::from_micros(micros),
            // A whole number of microseconds for each unit, where that slows the rate by less than a thousandth: else the
            // odd parts of many single units would add up, and the last of the limit would not fit.
            capacity: if spacing >= 1000 { limit * spacing } else { micros },
            spacing,
        }
    }

    pub const fn unit(&self) -> Unit {
        self.unit
    }

    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// As it was asked for.
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// Microseconds in which this much comes back, rounded up.
    fn cost(&self, amount: Amount) -> u64 {
        let units = match self.unit {
            Unit::Requests => amount.requests,
            Unit::Tokens => amount.tokens,
        };
        // As most corrections are, and most takes: dividing takes longer than all the rest.
        if units <= 1 {
            return units * self.spacing;
        }
        // Nearly always it fits; dividing wider numbers takes many times as long.
        if let Some(exact) = units.checked_mul(self.capacity) {
            return exact.div_ceil(self.limit);
        }
        let exact = u128::from(units) * u128::from(self.capacity);
        u64::try_from(exact.div_ceil(u128::from(self.limit))).unwrap_or(u64::MAX)
    }

    /// What a take costs in it.
    fn costs(&self, take: &Take) -> Cost {
        Cost {
            capacity: self.capacity,
            cost: self.cost(take.amount).min(self.capacity),
            // More than this makes no difference.
            refund: self.cost(take.correction.refund).min(2 * self.capacity),
            charge: self.cost(take.correction.charge).min(2 * self.capacity),
        }
    }

    /// Whole units that are left in a window which is full again in `ahead` microseconds.
    fn left(&self, ahead: u64) -> u64 {
        let free = self.capacity.saturating_sub(ahead);
        if let Some(room) = free.checked_mul(self.limit) {
            return room / self.capacity;
        }
        // The units that come back in whole microseconds and the rest of them apart, where that is narrow enough.
        let (whole, rest) = (self.limit / self.capacity, self.limit % self.capacity);
        if let Some(room) = free.checked_mul(rest) {
            return free * whole + room / self.capacity;
        }
        let room = u128::from(free) * u128::from(self.limit);
        u64::try_from(room / u128::from(self.capacity)).unwrap_or(self.limit)
    }
}

/// So much of each unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub requests: u64,
    pub tokens: u64,
}

impl Amount {
    /// One request of about so many tokens.
    pub const fn request(tokens: u64) -> Self {
        Self { requests: 1, tokens }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    /// How much this is more than `other`, unit by unit.
    fn beyond(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }
}

/// By how much earlier takes were too large or too small, as it turned out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Correction {
    /// Was taken and not used.
    pub refund: Amount,
    /// Was used and not taken.
    pub charge: Amount,
}

impl Correction {
    /// Of a take of `taken` by which `used` was used.
    pub fn of(taken: Amount, used: Amount) -> Self {
        Self {
            refund: taken.beyond(used),
            charge: used.beyond(taken),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            refund: self.refund.plus(other.refund),
            charge: self.charge.plus(other.charge),
        }
    }

    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is wanted of a meter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Take {
    /// Of a unit that is wanted more of than a window holds, all that it holds is taken.
    pub amount: Amount,
    /// How long the taker would wait for its turn; an hour at most. What comes back within it is taken beforehand, so that
    /// those who wait are served in the order in which they came.
    pub patience: Duration,
    /// Put right first, also where the take is refused. Nothing gets fuller than full by a refund, and by a charge none
    /// gets further than a whole window into debt.
    pub correction: Correction,
}

/// What became of a take: all of it from every window, or nothing from any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub is_taken: bool,
    /// If taken: it may be used after this time and not before. If refused: a taker without patience that comes after
    /// exactly this time gets it, unless somebody else comes first.
    pub wait: Duration,
    /// What it was decided by, and how its windows stand since, in order.
    plan: Plan,
    windows: ArrayVec<Stand, MOST_WINDOWS>,
}

impl Decision {
    /// How each window of the plan stands since, in order.
    pub fn room(&self) -> Vec<Room> {
        let windows = self.plan.0.iter().zip(&self.windows);
        windows
            .map(|(window, stand)| Room {
                left: window.left(stand.ahead),
                full_in: Duration::from_micros(stand.ahead),
                wait: Duration::from_micros(stand.wait),
            })
            .collect()
    }
}

/// How a window stands, in microseconds: few of those who take want to know how many units that is, which takes longer to
/// tell than to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stand {
    /// Until it is full.
    ahead: u64,
    /// How long it has the taker wait.
    wait: u64,
}

/// How a window stands after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Whole units that could be taken at once.
    pub left: u64,
    /// Until the window is full.
    pub full_in: Duration,
    /// How long this very window has the taker wait.
    pub wait: Duration,
}

/// A step of somebody who may be one of so many at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// To be one of `limit` (0 acts as 1) until it leaves, and no longer than the lease, which the same id begins anew: whoever
    /// is killed leaves so.
    Enter {
        id: Uuid,
        limit: u64,
        lease: Duration,
    },
    Leave {
        id: Uuid,
    },
}

/// The windows that are counted together. Without any, everything is allowed. Clones share them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Plan(Arc<[Window]>);

impl Plan {
    /// At most eight windows; further ones are left out.
    pub fn new(windows: impl IntoIterator<Item = Window>) -> Self {
        Self(windows.into_iter().take(MOST_WINDOWS).collect())
    }

    /// The usual three, where 0 is no limit.
    pub fn per_minute_and_hour(requests_per_minute: u64, requests_per_hour: u64, tokens_per_minute: u64) -> Self {
        let (minute, hour) = (Duration::from_mins(1), Duration::from_hours(1));
        Self::new(
            [
                (Unit::Requests, requests_per_minute, minute),
                (Unit::Requests, requests_per_hour, hour),
                (Unit::Tokens, tokens_per_minute, minute),
            ]
            .into_iter()
            .filter(|(_, limit, _)| *limit > 0)
            .map(|(unit, limit, per)| Window::new(unit, limit, per)),
        )
    }

    /// The same with one window more, where 0 is no limit.
    #[must_use]
    pub fn and(&self, unit: Unit, limit: u64, per: Duration) -> Self {
        let more = (limit > 0).then(|| Window::new(unit, limit, per));
        Self::new(self.0.iter().copied().chain(more))
    }

    pub fn windows(&self) -> &[Window] {
        &self.0
    }

    /// True if it allows everything.
    pub fn is_unlimited(&self) -> bool {
        self.0.is_empty()
    }

    /// The share of one of `parts` that count on their own: the limits divided, rounded down, and never 0.
    #[must_use]
    pub fn divided(&self, parts: u32) -> Self {
        let share = |window: &Window| Window::new(window.unit, window.limit / u64::from(parts.max(1)), window.per);
        Self(self.0.iter().map(share).collect())
    }

    /// The amount without what no window could ever give.
    pub fn fitting(&self, amount: Amount) -> Amount {
        self.0.iter().fold(amount, |amount, window| match window.unit {
            Unit::Requests => Amount {
                requests: amount.requests.min(window.limit),
                ..amount
            },
            Unit::Tokens => Amount {
                tokens: amount.tokens.min(window.limit),
                ..amount
            },
        })
    }

    /// A name for these windows, in letters, digits and `-`: equal plans have equal names and no others do. What was
    /// counted under one plan says nothing under another.
    pub fn name(&self) -> String {
        self.0.iter().fold(String::new(), |mut name, window| {
            let unit = match window.unit {
                Unit::Requests => 'r',
                Unit::Tokens => 't',
            };
            let dash = if name.is_empty() { "" } else { "-" };
            // Writing to a string cannot fail.
            let _ = write!(name, "{dash}{}{unit}{}", window.limit, micros(window.per));
            name
        })
    }

    /// What a take costs in each window.
    pub fn costs(&self, take: &Take) -> Vec<Cost> {
        self.0.iter().map(|window| window.costs(take)).collect()
    }

    /// The decision of a meter that stands, after it, so many microseconds `ahead` of now in each window.
    pub fn decision(&self, costs: &[Cost], is_taken: bool, wait: u64, ahead: &[u64]) -> Decision {
        let windows = costs.iter().zip(ahead).take(MOST_WINDOWS).map(|(cost, &ahead)| Stand {
            ahead,
            wait: if is_taken { 0 } else { cost.wait(ahead) },
        });
        Decision {
            is_taken,
            wait: Duration::from_micros(wait),
            plan: self.clone(),
            windows: windows.collect(),
        }
    }
}

/// A take in one window, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// How far ahead of now the window may get.
    pub capacity: u64,
    pub cost: u64,
    pub refund: u64,
    pub charge: u64,
}

impl Cost {
    /// How long to wait for room in a window that is full in `ahead`.
    const fn wait(&self, ahead: u64) -> u64 {
        (ahead + self.cost).saturating_sub(self.capacity)
    }
}

/// The longest patience, in microseconds.
const MOST_PATIENCE: u64 = 3600 * 1_000_000;

/// The patience of a take in whole microseconds, as far as it counts.
pub fn patience(take: &Take) -> u64 {
    micros(take.patience).min(MOST_PATIENCE)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What was taken under one plan: for each window the instant at which it is full again, in microseconds. Not in a vector:
/// who counts for thousands has to fetch each from memory, and two places take twice as long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meter([u64; MOST_WINDOWS]);

impl Meter {
    /// Takes from every window of the plan or from none. `now` is in microseconds since whenever, and never goes back.
    /// The plan must be the same every time.
    pub fn take(&mut self, plan: &Plan, take: &Take, now: u64) -> Decision {
        // Not in a vector: this is asked for every request, and no plan has more windows.
        let mut costs = [Cost::default(); MOST_WINDOWS];
        for (cost, window) in costs.iter_mut().zip(plan.0.iter()) {
            *cost = window.costs(take);
        }
        let costs = &costs[..plan.0.len().min(MOST_WINDOWS)];
        let mut wait = 0;
        for (full_at, cost) in self.0.iter_mut().zip(costs) {
            let mut at = (*full_at).max(now);
            at = at.saturating_sub(cost.refund).max(now);
            at = at.max((at + cost.charge).min(now + 2 * cost.capacity));
            *full_at = at;
            wait = cost.wait(at - now).max(wait);
        }
        let is_taken = wait <= patience(take);
        if is_taken {
            // The taker comes back at this instant, to a window that may be full by then.
            let turn = now + wait;
            for (full_at, cost) in self.0.iter_mut().zip(costs) {
                *full_at = (*full_at).max(turn) + cost.cost;
            }
        }
        let mut ahead = [0; MOST_WINDOWS];
        for ((ahead, full_at), _) in ahead.iter_mut().zip(&self.0).zip(costs) {
            *ahead = full_at - now;
        }
        plan.decision(costs, is_taken, wait, &ahead)
    }

    /// The instant from which on this meter is as good as a new one.
    pub fn full_at(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

/// What a provider says of its own limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notice {
    /// It wants no calls for this long.
    pub hold: Option<Duration>,
    pub requests: Option<Reading>,
    pub tokens: Option<Reading>,
}

impl Notice {
    /// True if it says anything.
    pub fn says_something(&self) -> bool {
        *self != Self::default()
    }
}

/// What is left of one limit of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The whole limit, where it is told.
    pub limit: Option<u64>,
    /// Units that are left.
    pub remaining: u64,
    /// Until the whole limit is there again.
    pub reset: Duration,
}

#[cfg(test)]
mod tests;
