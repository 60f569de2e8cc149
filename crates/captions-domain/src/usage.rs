//! Usage: what callers have asked for, what that took, and what the cache has spared them.
//!
//! It is put down in two places: whoever prices the calls of a provider enters each of them, and the engine enters each request
//! with its end. Both enter it in the [`Tab`] of the request's context, at once and without waiting for anybody; the [`Tally`]
//! behind it adds up, and is emptied into a store by and by.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    caption::{Answer, Usage},
    choice::{Unknown, nearest},
    context::{Context, TenantId},
    keys::KeyId,
    money::Money,
    request::{Invalid, UserId},
    rewrite::Rewritten,
};

/// The most of anything that one entry counts: no sum of such overflows, whatever a provider tells of its tokens.
const MOST: u64 = 1_000_000_000_000;
/// How long a delivery may be on its way, in memory or on a disk, before it is given up. Much shorter than for captions: each
/// process makes one a second while it is used, and the store has to know each for so long.
pub const LATEST: Duration = Duration::days(7);
/// How long a store knows that it has a delivery. None comes again after [`LATEST`] (whoever brings one looks, see
/// [`is_late`]); a day more, for clocks that differ.
pub const KNOWN: Duration = Duration::days(8);
/// The longest report by the hour, and by the day.
const LONGEST_BY_HOUR: Duration = Duration::days(31);
const LONGEST_BY_DAY: Duration = Duration::days(366);

/// An hour of UTC: whole ones since 1970 began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour of this instant.
    pub const fn of(at: OffsetDateTime) -> Self {
        Self(at.unix_timestamp().div_euclid(3600))
    }

    /// When it begins.
    pub fn start(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.saturating_mul(3600)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// What sums are kept of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub tenant: TenantId,
    pub hour: Hour,
    /// For whom it was asked; `None`: for nobody in particular, or for somebody who is erased.
    pub user: Option<UserId>,
    /// The family of the key that it was asked with.
    pub key: Option<KeyId>,
    /// Who was called, or wrote what was given; `None` for a request that got no caption.
    pub provider: Option<String>,
    pub model: Option<String>,
}

/// Sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Requests for a caption or a change of one, however they ended; each time that an item of a batch is asked about is one.
    pub requests: u64,
    /// Captions that were written or changed for them, each variant counted. What was found written is not among them.
    pub captions: u64,
    /// Calls of a provider.
    pub calls: u64,
    /// Those of them whose cost is not in `cost`: the provider did not tell its tokens, or has no price in the settings.
    pub unpriced_calls: u64,
    /// As the provider counted them.
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of calls that were cut off, in both directions: nobody tells those, so they are guessed.
    pub guessed_tokens: u64,
    /// What the calls have cost, as far as it is known.
    #[serde(with = "micros")]
    pub cost: Money,
    /// Requests that were given what was found written, or was being written for another one.
    pub cache_hits: u64,
    /// Tokens, and cost, of what was found so: what writing it anew would have taken.
    pub saved_tokens: u64,
    #[serde(with = "micros")]
    pub saved_cost: Money,
}

/// Money as a whole number, which stores add up.
mod micros {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Money;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(money: &Money, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(money.micros())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Money, D::Error> {
        u64::deserialize(input).map(Money::from_micros)
    }
}

impl Amounts {
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            captions: self.captions.saturating_add(other.captions),
            calls: self.calls.saturating_add(other.calls),
            unpriced_calls: self.unpriced_calls.saturating_add(other.unpriced_calls),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            guessed_tokens: self.guessed_tokens.saturating_add(other.guessed_tokens),
            cost: self.cost.saturating_add(other.cost),
            cache_hits: self.cache_hits.saturating_add(other.cache_hits),
            saved_tokens: self.saved_tokens.saturating_add(other.saved_tokens),
            saved_cost: self.saved_cost.saturating_add(other.saved_cost),
        }
    }

    fn capped(self) -> Self {
        let money = |money: Money| money.min(Money::MAX);
        Self {
            input_tokens: self.input_tokens.min(MOST),
            output_tokens: self.output_tokens.min(MOST),
            guessed_tokens: self.guessed_tokens.min(MOST),
            cost: money(self.cost),
            saved_tokens: self.saved_tokens.min(MOST),
            saved_cost: money(self.saved_cost),
            ..self
        }
    }
}

/// What is added to a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    #[serde(flatten)]
    pub place: Place,
    /// When the oldest request came in of those that it is about, in microseconds since 1970: a user who was erased since is not named.
    pub since: i64,
    #[serde(flatten)]
    pub amounts: Amounts,
}

/// What is added in one go, of any tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// By which a second delivery is known; of version 7, so it tells when the batch was made.
    pub id: Uuid,
    /// Each place at most once, in their order.
    pub rows: Vec<Row>,
}

/// True if the [`Batch`] of this id must not be delivered any more: the store may have forgotten that it has it.
pub fn is_late(delivery: Uuid, now: OffsetDateTime) -> bool {
    let made = delivery.get_timestamp().map(|time| time.to_unix().0);
    let made = made.and_then(|seconds| i64::try_from(seconds).ok());
    made.is_some_and(|made| now.unix_timestamp().saturating_sub(made) > LATEST.whole_seconds())
}

/// The usage that no store has yet. Bounded: what finds no place is counted and lost.
#[derive(Debug)]
pub struct Tally {
    rows: Mutex<HashMap<Place, (OffsetDateTime, Amounts)>>,
    limit: usize,
    dropped: AtomicU64,
}

impl Tally {
    /// An empty one for at most so many places.
    pub fn up_to(limit: usize) -> Self {
        Self {
            rows: Mutex::default(),
            limit,
            dropped: AtomicU64::new(0),
        }
    }

    fn enter(&self, place: Place, at: OffsetDateTime, amounts: Amounts) {
        let mut rows = self.rows();
        let is_full = rows.len() >= self.limit;
        match rows.entry(place) {
            Entry::Occupied(mut row) => {
                let (since, sums) = row.get_mut();
                *since = at.min(*since);
                *sums = sums.and(amounts.capped());
            }
            Entry::Vacant(_) if is_full => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Entry::Vacant(row) => {
                row.insert((at, amounts.capped()));
            }
        }
    }

    /// Takes out at most so many rows, in the order of their places.
    pub fn take(&self, most: usize) -> Vec<Row> {
        let mut rows = self.rows();
        let mut places: Vec<Place> = rows.keys().take(most).cloned().collect();
        places.sort_unstable();
        let taken = places.into_iter().filter_map(|place| {
            let (since, amounts) = rows.remove(&place)?;
            let since = i64::try_from(since.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX);
            Some(Row { place, since, amounts })
        });
        taken.collect()
    }

    /// Places of which something is to be stored.
    pub fn waiting(&self) -> usize {
        self.rows().len()
    }

    /// Entries that were lost for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Place, (OffsetDateTime, Amounts)>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose usage the calls of a request are, and where it is put down.
#[derive(Debug, Clone, Default)]
pub struct Tab {
    /// `None`: nowhere.
    pub tally: Option<Arc<Tally>>,
    pub user: Option<UserId>,
    /// The family of the key that was presented.
    pub key: Option<KeyId>,
}

/// What came of the calls of a provider that were made for one question.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calls {
    pub begun: u32,
    /// Those whose cost nobody knows.
    pub unpriced: u32,
    /// As it was told.
    pub usage: Option<Usage>,
    /// Tokens, guessed, of those that were cut off.
    pub cut_off: u64,
}

impl Context {
    /// The same request, for this user.
    #[must_use]
    pub(crate) fn of_user(&self, user: Option<&UserId>) -> Self {
        let mut cx = self.clone();
        cx.tab.user = user.cloned();
        cx
    }

    /// Enters calls in the tab.
    pub fn called(&self, provider: &str, model: &str, calls: &Calls) {
        let usage = calls.usage.unwrap_or_default();
        let amounts = Amounts {
            calls: calls.begun.into(),
            unpriced_calls: calls.unpriced.into(),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            guessed_tokens: calls.cut_off,
            cost: usage.cost.map(|cost| cost.amount).unwrap_or_default(),
            ..Amounts::default()
        };
        if amounts != Amounts::default() {
            self.enter(Some((provider, model)), amounts);
        }
    }

    fn enter(&self, by: Option<(&str, &str)>, amounts: Amounts) {
        let Some(tally) = &self.tab.tally else { return };
        let place = Place {
            tenant: self.tenant.clone(),
            hour: Hour::of(self.now),
            user: self.tab.user.clone(),
            key: self.tab.key,
            provider: by.map(|(provider, _)| provider.to_owned()),
            model: by.map(|(_, model)| model.to_owned()),
        };
        tally.enter(place, self.now, amounts);
    }
}

/// A request for a caption, entered in its tab when this is dropped, however it ends.
pub(crate) struct Visit {
    cx: Context,
    by: Option<(String, String)>,
    amounts: Amounts,
}

impl Visit {
    pub(crate) fn begin(cx: &Context) -> Self {
        Self {
            cx: cx.clone(),
            by: None,
            amounts: Amounts {
                requests: 1,
                ..Amounts::default()
            },
        }
    }

    pub(crate) fn answered(&mut self, answer: &Answer) {
        let caption = &answer.caption;
        self.by = Some((caption.provider.clone(), caption.model.clone()));
        if answer.age.is_none() && !answer.shared {
            self.amounts.captions = caption.variants.len() as u64;
            return;
        }
        let usage = caption.usage.unwrap_or_default();
        self.amounts.cache_hits = 1;
        self.amounts.saved_tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.amounts.saved_cost = usage.cost.map(|cost| cost.amount).unwrap_or_default();
    }

    pub(crate) fn changed(&mut self, done: &Rewritten) {
        self.by = Some((done.provider.clone(), done.model.clone()));
        self.amounts.captions = 1;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let by = self.by.as_ref();
        let by = by.map(|(provider, model)| (provider.as_str(), model.as_str()));
        self.cx.enter(by, self.amounts);
    }
}

/// Pieces of time that a report tells apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bucket {
    Hour,
    #[default]
    Day,
}

impl Bucket {
    pub const NAMES: &'static [&'static str] = &["1h", "1d"];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// Its length.
    pub const fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
        }
    }

    const fn longest(self) -> Duration {
        match self {
            Self::Hour => LONGEST_BY_HOUR,
            Self::Day => LONGEST_BY_DAY,
        }
    }
}

impl FromStr for Bucket {
    type Err = Unknown;

    fn from_str(word: &str) -> Result<Self, Unknown> {
        match word {
            "1h" => Ok(Self::Hour),
            "1d" => Ok(Self::Day),
            other => Err(unknown("bucket", other, Self::NAMES)),
        }
    }
}

/// What a report tells apart within a piece of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in the question")]
pub struct Grouping {
    pub provider: bool,
    pub model: bool,
    pub user: bool,
    pub key: bool,
}

impl Grouping {
    pub const NAMES: &'static [&'static str] = &["provider", "model", "user", "key"];

    /// Names of [`Grouping::NAMES`] with commas between; nothing: all together.
    pub fn parse(list: &str) -> Result<Self, Unknown> {
        let mut grouping = Self::default();
        if list.trim().is_empty() {
            return Ok(grouping);
        }
        for word in list.split(',') {
            match word.trim() {
                "provider" => grouping.provider = true,
                "model" => grouping.model = true,
                "user" => grouping.user = true,
                "key" => grouping.key = true,
                other => return Err(unknown("group", other, Self::NAMES)),
            }
        }
        Ok(grouping)
    }

    /// In the order of [`Grouping::NAMES`].
    pub fn names(self) -> Vec<&'static str> {
        let chosen = [self.provider, self.model, self.user, self.key];
        let named = Self::NAMES.iter().zip(chosen).filter(|(_, is_chosen)| *is_chosen);
        named.map(|(name, _)| *name).collect()
    }
}

fn unknown(what: &'static str, given: &str, allowed: &'static [&'static str]) -> Unknown {
    Unknown {
        what,
        given: given.chars().take(40).collect(),
        nearest: nearest(given, allowed.iter().copied()),
        allowed,
    }
}

/// What is asked of a tenant's usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Whole pieces of time: from this hour on, and before the other one.
    pub start: Hour,
    pub end: Hour,
    pub bucket: Bucket,
    pub by: Grouping,
    /// Only what comes behind it.
    pub after: Option<Mark>,
}

/// Where a group stands in a report, which is in the order of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub hour: Hour,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub user: Option<UserId>,
    pub key: Option<KeyId>,
}

impl Mark {
    /// The names in their order, as stores keep them: empty for none.
    pub fn names(&self) -> [String; 4] {
        [
            self.provider.clone(),
            self.model.clone(),
            self.user.as_ref().map(|user| user.as_str().to_owned()),
            self.key.map(|key| key.0.to_string()),
        ]
        .map(Option::unwrap_or_default)
    }
}

impl Query {
    /// The most groups of an answer.
    pub const MOST_GROUPS: u32 = 1000;

    /// From `start` on and before `end`, widened to whole pieces of time.
    pub fn new(start: OffsetDateTime, end: OffsetDateTime, bucket: Bucket, by: Grouping) -> Result<Self, Invalid> {
        if start > end {
            return Err(Invalid::new("out_of_range", "start is not after end"));
        }
        if end - start > bucket.longest() {
            let (days, name) = (bucket.longest().whole_days(), bucket.as_str());
            let rule = format!("a report in pieces of {name} is about {days} days at most");
            return Err(Invalid::new("out_of_range", rule));
        }
        let length = bucket.hours();
        let first = Hour::of(start).0.div_euclid(length) * length;
        let last = Hour::of(end - Duration::NANOSECOND).0.div_euclid(length) * length;
        let is_written = |hour: i64| OffsetDateTime::from_unix_timestamp(hour * 3600).is_ok_and(|at| at.year() >= 0);
        if !is_written(first) || !is_written(last + length) {
            return Err(Invalid::new("out_of_range", "a report is of the years 0 to 9999"));
        }
        Ok(Self {
            start: Hour(first),
            end: Hour(last + length),
            bucket,
            by,
            after: None,
        })
    }

    /// By which a text is known again that was given to the tenant for a report with such groups, of whatever time.
    pub fn seal(&self, tenant: &TenantId, text: &str) -> u64 {
        let by = self.by.names().join(",");
        let mut hasher = blake3::Hasher::new();
        for part in ["usage", tenant.as_str(), self.bucket.as_str(), &by, text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let digest = hasher.finalize();
        let first = digest.as_bytes().iter().take(8);
        first.fold(0, |seal, byte| seal << 8 | u64::from(*byte))
    }
}

/// The sums of a group in a piece of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The first hour of the piece.
    pub hour: Hour,
    /// These four are `None` where they are not told apart, too.
    pub provider: Option<String>,
    pub model: Option<String>,
    pub user: Option<UserId>,
    pub key: Option<KeyId>,
    pub amounts: Amounts,
}

impl Group {
    pub fn mark(&self) -> Mark {
        Mark {
            hour: self.hour,
            provider: self.provider.clone(),
            model: self.model.clone(),
            user: self.user.clone(),
            key: self.key,
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
