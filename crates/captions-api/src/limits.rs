//! How the limits of a caller stand, on the wire.

use captions_domain::{
    budget::{Balance, Payer},
    money::{Currency, Money},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What whoever asks may still do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitsStatus {
    pub tenant: String,
    /// The id of the key; null where none was presented.
    #[schema(required)]
    pub key: Option<String>,
    /// Empty where nothing is limited, or where it cannot be told at the moment.
    pub limits: Vec<LimitDocument>,
    /// Money, of the key and of the tenant; empty where nobody counts what is spent.
    pub budgets: Vec<BudgetDocument>,
}

/// Money that may be spent in a period of the calendar. Amounts are decimal numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetDocument {
    /// key: of the key and its successors; tenant: of the tenant with all its keys.
    pub of: String,
    pub limit: String,
    /// What calls have cost.
    pub spent: String,
    /// The most that calls may cost which are being made.
    pub reserved: String,
    /// What is left of the limit beside both.
    pub remaining: String,
    pub currency: String,
    /// day or month, in UTC.
    pub period: String,
    /// When the next period begins, with nothing spent.
    #[serde(with = "time::serde::rfc3339")]
    pub resets_at: OffsetDateTime,
}

impl BudgetDocument {
    /// How the budget stands at this time.
    pub fn of(payer: &Payer, balance: Balance, currency: Currency, now: OffsetDateTime) -> Self {
        let (limit, per) = (payer.budget.limit, payer.budget.per);
        let taken = balance.spent.saturating_add(balance.reserved);
        let remaining = Money::from_micros(limit.micros().saturating_sub(taken.micros()));
        Self {
            of: payer.account.kind().to_owned(),
            limit: limit.to_string(),
            spent: balance.spent.to_string(),
            reserved: balance.reserved.to_string(),
            remaining: remaining.to_string(),
            currency: currency.to_string(),
            period: per.as_str().to_owned(),
            resets_at: per.end(now),
        }
    }
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitDocument {
    /// Its name in the `RateLimit` fields.
    pub name: String,
    /// requests, tokens, or concurrent-requests: those that are answered at the same moment.
    pub unit: String,
    pub limit: u64,
    /// Null for what is counted at the moment.
    #[schema(required)]
    pub window_seconds: Option<u64>,
    pub remaining: u64,
    /// Until all of it is there again; null for what is counted at the moment.
    #[schema(required)]
    pub resets_in_seconds: Option<u64>,
}
