//! Budgets: how much money a caller may spend in a period of the calendar.
//!
//! Before a call is made its upper bound is *reserved*, and the reservation is *settled* to what the call cost once that is
//! known, which is nothing where no call was made. What is settled and what is reserved never go beyond the budget together,
//! however many ask at once. A reservation is a lease: whoever dies with one open holds it until [`Step::Reserve::expires_at`] at
//! most, and from then on it stands in nobody's way. Whoever was only late is counted all the same.

use std::{fmt, str::FromStr, sync::Arc, time::Duration as Span};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, Time};
use uuid::Uuid;

use crate::{
    choice::{Unknown, nearest},
    money::{Money, Prices},
    prompt::Prompt,
};

/// A calendar period, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Month,
}

impl Period {
    pub const NAMES: &'static [&'static str] = &["day", "month"];
    /// Where nothing is said.
    pub const USUAL: Self = Self::Month;

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// When the period began that this instant is in.
    pub fn start(self, at: OffsetDateTime) -> OffsetDateTime {
        let day = at.to_offset(time::UtcOffset::UTC).replace_time(Time::MIDNIGHT);
        match self {
            Self::Day => day,
            Self::Month => day - Duration::days(i64::from(day.day()) - 1),
        }
    }

    /// When the next one begins.
    pub fn end(self, at: OffsetDateTime) -> OffsetDateTime {
        let start = self.start(at);
        match self {
            Self::Day => start.saturating_add(Duration::DAY),
            // Past the end of any month, and long before the end of the next.
            Self::Month => self.start(start.saturating_add(Duration::days(32))),
        }
    }
}

impl FromStr for Period {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            other => Err(Unknown {
                what: "period",
                given: other.chars().take(40).collect(),
                nearest: nearest(other, Self::NAMES.iter().copied()),
                allowed: Self::NAMES,
            }),
        }
    }
}

/// So much money in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Budget {
    pub limit: Money,
    pub per: Period,
}

/// Whose money is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Account {
    /// All that a tenant asks, with whatever key.
    Tenant,
    /// A family of keys, named by its id.
    Family(String),
}

impl Account {
    /// What kind of account it is, for callers.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Family(_) => "key",
        }
    }
}

/// The name of the account among those of its tenant.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::Family(id) => write!(f, "key:{id}"),
        }
    }
}

/// Who pays for the calls of a request, and how much that may be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payer {
    pub account: Account,
    pub budget: Budget,
}

impl Payer {
    /// The family by a budget of its `own`, and the tenant by the `usual` one: what is spent counts with both. A budget of
    /// zero is none.
    pub fn all(own: Option<(String, Budget)>, usual: Option<Budget>) -> Arc<[Self]> {
        let own = own.map(|(family, budget)| Self {
            account: Account::Family(family),
            budget,
        });
        let usual = usual.map(|budget| Self {
            account: Account::Tenant,
            budget,
        });
        let all = own.into_iter().chain(usual);
        all.filter(|payer| payer.budget.limit > Money::ZERO).collect()
    }

    /// One step with the account in the period of `at`.
    pub fn spend(&self, at: OffsetDateTime, step: Step) -> Spend {
        Spend {
            account: self.account.clone(),
            at,
            period: self.budget.per.start(at),
            limit: self.budget.limit,
            step,
        }
    }

    /// How long the period of `at` goes on.
    pub fn left(&self, at: OffsetDateTime) -> Span {
        Span::try_from(self.budget.per.end(at) - at).unwrap_or_default()
    }
}

/// How long a reservation is remembered after it expired, for whoever settles it late.
pub const MEMORY: Duration = Duration::DAY;

/// A step with an account, in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    pub account: Account,
    /// The time it is: what expired until then is given back.
    pub at: OffsetDateTime,
    /// The beginning of the period.
    pub period: OffsetDateTime,
    pub limit: Money,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Takes `amount` if it fits beside all that is spent, and reserved and not expired.
    Reserve {
        id: Uuid,
        amount: Money,
        /// Later than the call can end.
        expires_at: OffsetDateTime,
    },
    /// What it was in the end, in the place of the reservation: zero where nothing was spent. Only the first one counts. One
    /// that comes after the reservation expired counts for [`MEMORY`], whatever is left.
    Settle { id: Uuid, amount: Money },
    /// How it stands.
    Look,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spent {
    Granted,
    /// It does not fit; nothing was taken.
    Refused,
    Settled,
    /// There is no such reservation: it was settled before, or is long forgotten.
    Unknown,
    Stands(Balance),
}

/// How an account stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    pub spent: Money,
    /// Without those that expired.
    pub reserved: Money,
}

/// Tokens beside the words of a prompt: what a provider's own template adds, and what a picture takes at most.
const FRAME_TOKENS: u64 = 256;
const PICTURE_TOKENS: u64 = 8192;

/// The most that one call with this prompt costs: a token holds a byte at least, in both wordings of the prompt.
pub fn bound(prompt: &Prompt, prices: &Prices) -> Money {
    let full = prompt.system.len() + prompt.user.len();
    let compact = prompt.compact.as_ref();
    let small = compact.map_or(0, |words| words.system.len() + words.user.len());
    let most = compact.map_or(0, |words| words.max_tokens).max(prompt.max_tokens);
    let picture = if prompt.brief.image.is_some() {
        PICTURE_TOKENS
    } else {
        0
    };
    let input = full.max(small) as u64 + FRAME_TOKENS + picture;
    prices.cost(input, most.into()).amount
}

#[cfg(test)]
mod tests;
