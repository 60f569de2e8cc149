//! Money and what tokens cost, in whole millionths: no rounding but the last one, which is up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::request::Invalid;

/// Decimals of an amount.
const PLACES: usize = 6;
/// Millionths of a unit, and tokens for which a price is told.
const MILLION: u64 = 1_000_000;

/// An amount in millionths of the currency's unit. As text and in documents a decimal number: `0.000412`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(u64);

impl Money {
    pub const ZERO: Self = Self(0);
    /// The most that is read: a thousand million units, far from any overflow of sums.
    pub const MAX: Self = Self(1_000_000_000 * MILLION);

    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(count as u64))
    }

    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// With as many decimals as are needed, at least two.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % MILLION);
        let needed = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / MILLION, &decimals[..needed])
    }
}

impl FromStr for Money {
    type Err = Invalid;

    /// Digits, and after a point at most six more.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let rule = format!(
                "an amount is a decimal number from 0 to {}, with at most 6 decimals",
                Self::MAX.0 / MILLION
            );
            Invalid::new("bad_format", rule)
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) || decimals.len() > PLACES {
            return Err(invalid());
        }
        let whole: u64 = whole.parse().map_err(|_| invalid())?;
        let decimals: u64 = format!("{decimals:0<PLACES$}").parse().map_err(|_| invalid())?;
        let micros = whole.checked_mul(MILLION).and_then(|whole| whole.checked_add(decimals));
        micros.map(Self).filter(|money| *money <= Self::MAX).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Money {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}

/// Three capital letters, as in ISO 4217. Only told: nothing is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        <[u8; 3]>::try_from(text.as_bytes())
            .ok()
            .filter(|letters| letters.iter().all(u8::is_ascii_uppercase))
            .map(Self)
            .ok_or_else(|| Invalid::new("bad_format", "a currency is three capital letters, such as USD"))
    }
}

impl TryFrom<String> for Currency {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.to_string()
    }
}

/// What something has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub amount: Money,
    pub currency: Currency,
}

impl Cost {
    /// Both together; `None` if they are of different currencies.
    pub fn and(self, other: Self) -> Option<Self> {
        (self.currency == other.currency).then(|| Self {
            amount: self.amount.saturating_add(other.amount),
            ..self
        })
    }
}

/// What a model asks for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    pub input: Money,
    pub output: Money,
    pub currency: Currency,
}

impl Prices {
    /// Those of a writer inside the program.
    pub const fn free(currency: Currency) -> Self {
        Self {
            input: Money::ZERO,
            output: Money::ZERO,
            currency,
        }
    }

    /// True if no tokens cost anything.
    pub const fn is_free(&self) -> bool {
        self.input.0 == 0 && self.output.0 == 0
    }

    /// What so many tokens cost. Less than a millionth counts as one.
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> Cost {
        let part = |tokens: u64, price: Money| u128::from(tokens) * u128::from(price.0);
        let exact = part(input_tokens, self.input).saturating_add(part(output_tokens, self.output));
        let micros = u64::try_from(exact.div_ceil(u128::from(MILLION))).unwrap_or(u64::MAX);
        Cost {
            amount: Money(micros),
            currency: self.currency,
        }
    }
}

#[cfg(test)]
mod tests;
