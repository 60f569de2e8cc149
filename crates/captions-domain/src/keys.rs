//! API keys: who may call, for which tenant, and what for.
//!
//! A key is 256 bits of chance that its owner keeps as text and we keep as a digest. Keys of one *family* follow each other
//! by rotation: they share tenant, name, scopes and limits, and differ in their secrets. The domain makes no randomness: the
//! bytes are passed in.

mod text;

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Duration as Span,
};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub use self::text::{NotAKey, PREFIX};
use crate::{
    budget::{Budget, Period},
    choice::Unknown,
    context::TenantId,
    money::Money,
    quota::{Plan, Unit, Window},
    request::Invalid,
};

/// The longest that the key before may go on after a rotation, 30 days.
pub const LONGEST_GRACE: Duration = Duration::days(30);

/// The secret itself. Shown once, when it is made; never stored and never printed by accident.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret of these bytes, which have to be chance of the best kind.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// `captions_`, 43 letters and digits of secret, and 6 of checksum: found by secret scanners as
    /// `captions_[0-9A-Za-z]{49}`, selected by a double click, and known to be mistyped without asking anybody.
    pub fn text(&self) -> String {
        text::write(&self.0)
    }

    /// Reads what [`Secret::text`] wrote.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        text::read(text).map(Self)
    }

    /// What is stored of it. Nobody gets from it back to the secret: there are 2^256 of them.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(blake3::derive_key("captions 2026-11 digest of an API key", &self.0).into())
    }

    /// The end of its text, by which people recognise it.
    pub fn last_four(&self) -> String {
        let text = self.text();
        text[text.len() - 4..].to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The digest of a secret. Comparing two takes the same time whatever they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(blake3::Hash);

impl KeyDigest {
    /// The digest of these bytes, as a store gives them back.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl Hash for KeyDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// A key's public name: a UUID of version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(pub Uuid);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for KeyId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| Invalid::new("bad_format", "a key id is a UUID"))
    }
}

/// What a key may be used for. None contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Looking: what is stored, and what is answered by rules alone.
    Read,
    /// Whatever changes something or costs something.
    Write,
    /// The keys of the tenant.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];
    /// The names, in the same order.
    pub const NAMES: &'static [&'static str] = &["read", "write", "admin"];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = Unknown;

    fn from_str(given: &str) -> Result<Self, Unknown> {
        let word = given.trim().to_lowercase();
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| Unknown {
                what: "scope",
                given: crate::text::cut(given, 40).to_owned(),
                nearest: crate::choice::nearest(&word, Self::NAMES.iter().copied()),
                allowed: Self::NAMES,
            })
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | 1 << scope as u8))
    }

    /// Everything: for whoever is asked for no key.
    pub fn all() -> Self {
        Self::new(Scope::ALL)
    }

    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// In the order of the enum.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        Self::new(scopes)
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

/// What people call a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// 1-100 characters on one line after trimming, without control characters.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        const MAX: usize = 100;
        let name = name.trim();
        if name.is_empty() {
            return Err(Invalid::new("too_short", "a name has at least 1 character"));
        }
        if name.chars().any(char::is_control) {
            return Err(Invalid::new("forbidden_character", "a name has no control characters"));
        }
        if name.chars().count() > MAX {
            let cut: String = name.chars().take(MAX).collect();
            return Err(Invalid::new("too_long", format!("a name has at most {MAX} characters")).nearest(cut));
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Limits of a family's own. `None`: as the settings have it for everybody; 0: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_hour: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests that are being answered at the same moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u64>,
    /// Money in a period of the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl KeyLimits {
    /// True if no limit of rate differs from the settings. Money is counted apart.
    pub fn is_default(&self) -> bool {
        let rates = Self { budget: None, ..*self };
        rates == Self::default()
    }

    /// The windows that count for the family: its own, and where it has none those of `default`.
    pub fn plan(&self, default: &Plan) -> Plan {
        let (minute, hour) = (Span::from_mins(1), Span::from_hours(1));
        let own = [
            (Unit::Requests, minute, self.requests_per_minute),
            (Unit::Requests, hour, self.requests_per_hour),
            (Unit::Tokens, minute, self.tokens_per_minute),
        ];
        let is_replaced = |window: &&Window| {
            own.iter()
                .any(|(unit, per, limit)| limit.is_some() && *unit == window.unit() && *per == window.per())
        };
        let kept = default.windows().iter().filter(|window| !is_replaced(window)).copied();
        let own = own.iter().filter_map(|(unit, per, limit)| {
            let limit = limit.filter(|limit| *limit > 0)?;
            Some(Window::new(*unit, limit, *per))
        });
        Plan::new(own.chain(kept))
    }
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Active,
    Expired,
    Revoked,
}

impl Standing {
    pub const NAMES: &'static [&'static str] = &["active", "expired", "revoked"];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A key as it is stored: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: KeyId,
    /// The id of the first key of the family. Limits count by it, so that a rotation starts none anew.
    pub family: KeyId,
    pub tenant: TenantId,
    pub name: KeyName,
    pub scopes: Scopes,
    pub limits: KeyLimits,
    pub digest: KeyDigest,
    /// The end of the secret's text.
    pub last_four: String,
    pub created_at: OffsetDateTime,
    /// From this instant on it opens nothing.
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    /// To within a minute or two; written behind.
    pub last_used_at: Option<OffsetDateTime>,
}

impl Key {
    /// Whether it opens anything at this time.
    pub fn standing(&self, now: OffsetDateTime) -> Standing {
        if self.revoked_at.is_some() {
            Standing::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Standing::Expired
        } else {
            Standing::Active
        }
    }

    /// Its family with the budget that this has of its own.
    pub fn own_budget(&self) -> Option<(String, Budget)> {
        self.limits.budget.map(|budget| (self.family.to_string(), budget))
    }

    /// The key that takes this one's place: another secret, the same rights. One that ends gets as long a life as this one
    /// had.
    #[must_use]
    pub fn successor(&self, id: KeyId, secret: &Secret, now: OffsetDateTime) -> Self {
        let life = self.expires_at.map(|end| end - self.created_at);
        Self {
            id,
            digest: secret.digest(),
            last_four: secret.last_four(),
            created_at: now,
            expires_at: life.and_then(|life| now.checked_add(life)),
            revoked_at: None,
            last_used_at: None,
            ..self.clone()
        }
    }
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Puts `successor` beside it, and ends it at `until` or as it would have ended, whichever is first: both or neither.
    /// Only a key that is active at the time of `successor.created_at`. The successor is kept with the limits that the key has
    /// then, which may have changed since it was read.
    Rotate { successor: Box<Key>, until: OffsetDateTime },
    /// For good, at this time unless it was revoked before.
    Revoke { at: OffsetDateTime },
    /// Of its whole family: of keys in their grace too, and of every successor from now on. What is spent and reserved stays
    /// counted. Of a key in whatever standing.
    Budget(BudgetChange),
}

/// What is said anew of a budget; what is left out stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetChange {
    /// Zero: no budget of its own any more.
    pub limit: Option<Money>,
    /// Nothing happens to a family without a budget. Where a new one has none said, it is [`Period::USUAL`].
    pub per: Option<Period>,
}

impl BudgetChange {
    /// The budget after the change.
    pub fn over(self, current: Option<Budget>) -> Option<Budget> {
        let limit = self.limit.or(current.map(|budget| budget.limit))?;
        let per = self.per.or(current.map(|budget| budget.per));
        (limit > Money::ZERO).then(|| Budget {
            limit,
            per: per.unwrap_or(Period::USUAL),
        })
    }
}

/// By what a key is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Whoever's it is: this is how one learns the tenant.
    Digest(KeyDigest),
    /// Among those of the tenant.
    Id(KeyId),
    /// Of those of the tenant that follow each other by rotation, an active one if there is any, and the newest of several.
    Family(KeyId),
}

#[cfg(test)]
mod tests;
