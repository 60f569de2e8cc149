//! What the engine needs from outside. An adapter implements these traits and nothing else of ours.
//!
//! Rules for every implementation: cancel-safe (a dropped future leaves nothing behind), no retries and no waiting
//! beyond its own connection limits (that is the policy's work), errors classified by [`FaultKind`],
//! every row and key bound to [`Context::tenant`]. The suites in `captions-testkit` check all of it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use crate::{
    batch::{Batch, BatchId, Change, NewBatch, Outcome, Page, Settlement, Taken, Ticket, Turn},
    budget::{Spend, Spent},
    caption::{CaptionId, Record, Usage},
    context::{Context, TenantId},
    fault::{Fault, FaultKind, LlmError, StoreError},
    history::{Amendment, Extent, Filter, Removed},
    keys::{By, Change as KeyChange, Key, KeyId},
    once::{Standing, Step},
    prompt::{Prompt, Task},
    quota::{Decision, Plan, Presence, Take},
    request::{Language, ProviderName, UserId},
    usage::{Batch as UsageBatch, Group, Hour, Query},
    user::{Entry, Preferences, User},
};

/// What a writer expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No such user yet.
    Absent,
    /// The user at exactly this version.
    Version(u64),
}

/// Profiles and preferences.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UserStore: Send + Sync {
    /// The whole user; `None` if there is none.
    async fn read(&self, cx: &Context, user: &UserId) -> Result<Option<User>, StoreError>;

    /// Only the preferences, for the path of every request; `None` if there is no such user. An older copy, served because
    /// the store is away, is noted as [`Degraded::PreferencesStale`](crate::caption::Degraded) in [`Context::notes`].
    async fn preferences(&self, cx: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError>;

    /// Users of this tenant without their preferences, in the order of the bytes of their ids, at most `limit`, behind
    /// `after` if given. How long it takes MUST NOT depend on how many there are.
    async fn list(&self, cx: &Context, after: Option<UserId>, limit: u32) -> Result<Vec<Entry>, StoreError>;

    /// Writes the user as given, except for `version`, which becomes 1 or the expected version + 1 and is returned.
    /// MUST be atomic and MUST return [`StoreError::Conflict`] if the expectation does not hold.
    async fn write(&self, cx: &Context, user: &User, expect: Expect) -> Result<u64, StoreError>;

    /// Removes the user. `false` if there was none.
    async fn erase(&self, cx: &Context, user: &UserId) -> Result<bool, StoreError>;
}

/// The history of captions, and of the calls that made them.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait CaptionStore: Send + Sync {
    /// Keeps a caption. MUST be idempotent: the same id again changes nothing and is no error. One that is safe but not
    /// yet in the history is noted as [`Degraded::HistoryDelayed`](crate::caption::Degraded) in [`Context::notes`]. One that
    /// was erased, or whose user was erased after it had been written, MUST NOT come back: it is dropped, without an error.
    async fn append(&self, cx: &Context, record: &Record) -> Result<(), StoreError>;

    /// One caption of this tenant.
    async fn read(&self, cx: &Context, id: CaptionId) -> Result<Option<Record>, StoreError>;

    /// The captions that the filter admits, newest first (ids of version 7 sort by time), at most `limit`, older than
    /// `before` if given. How long it takes MUST NOT depend on how many there are, but for the last words of a filter: what
    /// is rare, and a text, is looked for one by one.
    async fn history(
        &self,
        cx: &Context,
        filter: &Filter,
        before: Option<CaptionId>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError>;

    /// Changes a caption and returns its version, which goes up by one where the change makes a difference; `None` if there
    /// is no such caption. MUST be atomic and MUST return [`StoreError::Conflict`] if it is at another version than the one
    /// expected.
    async fn amend(
        &self,
        cx: &Context,
        id: CaptionId,
        amendment: &Amendment,
        expect: Option<u64>,
    ) -> Result<Option<u64>, StoreError>;

    /// Removes captions, for good ([`CaptionStore::append`]); with a user's go what is kept of calls about the user, and in
    /// batches. Returns what there was. Whatever begins after the first of it is gone knows that it is erased.
    async fn erase(&self, cx: &Context, extent: &Extent) -> Result<Removed, StoreError>;

    /// Takes a step with the record of a call that was given a key (see [`once`](crate::once)), by one clock for all who
    /// share the store. MUST be atomic: of all who claim the same call at the same time one holds it. Only
    /// [`Step::Sweep`] reaches records of other tenants.
    async fn once(&self, cx: &Context, step: &Step) -> Result<Standing, StoreError>;
}

/// Batches and their items.
///
/// Times of leases and delays are counted by one clock for everybody who shares the store. Whatever ends an item enters it
/// in the counts of its batch in the same step, and the last one ends the batch.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait BatchQueue: Send + Sync {
    /// Keeps a batch. Nothing of it is seen before all of it is safe. MUST be idempotent: the same id again changes
    /// nothing and is no error. [`StoreError::Full`], and nothing kept, if it has more items than there is room for: of all
    /// who submit for a tenant at the same time together no more are kept than [`NewBatch::most_open`].
    async fn submit(&self, cx: &Context, batch: &NewBatch) -> Result<(), StoreError>;

    /// This tenant's batches, newest first, at most `limit`, older than `before` if given.
    async fn list(&self, cx: &Context, before: Option<BatchId>, limit: u32) -> Result<Vec<Batch>, StoreError>;

    /// One batch of this tenant, and of its outcomes in input order those of the page, up to the first item that has none
    /// yet.
    async fn read(&self, cx: &Context, id: BatchId, page: Page) -> Result<Option<(Batch, Vec<Outcome>)>, StoreError>;

    /// Does it, and returns the batch as it is since; `None` if this tenant has no such batch. MUST be idempotent.
    async fn change(&self, cx: &Context, id: BatchId, change: Change) -> Result<Option<Batch>, StoreError>;

    /// Leases items that are due: of any tenant, first come first served within a batch, batches in turns by chance. No
    /// item is leased twice at a time, whoever asks. With [`Turn::tidy`] it first ends what is cancelled or out of time,
    /// and removes what was over long ago.
    async fn claim(&self, cx: &Context, turn: &Turn) -> Result<Taken, StoreError>;

    /// Settles a leased item. `false`, and nothing is changed, if the ticket holds no longer.
    async fn settle(&self, cx: &Context, ticket: &Ticket, settlement: &Settlement) -> Result<bool, StoreError>;
}

/// A cache key: `captions:<namespace>:<64 hex digits>`. Only digests go in, so no key can leak or forge text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CacheKey(String);

impl CacheKey {
    /// The key of `digest` within `namespace`, a short constant of ours.
    pub fn new(namespace: &'static str, digest: &blake3::Hash) -> Self {
        Self(format!("captions:{namespace}:{}", digest.to_hex()))
    }

    /// The key that [`CacheKey::as_str`] gave, read back; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, digest) = text.strip_prefix("captions:")?.split_once(':')?;
        let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        let is_one = !namespace.is_empty()
            && namespace.bytes().all(known)
            && digest.len() == 64
            && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_one.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A cache hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    pub bytes: Bytes,
    /// Time since it was put, to within a second.
    pub age: Duration,
}

/// A change that other processes made to a shared cache: copies of it in memory are out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidation {
    /// This key of this tenant.
    One(TenantId, CacheKey),
    /// Messages may have been lost: any key of any tenant.
    Everything,
}

/// Invalidations as they come in. Never ends; dropping it ends the listening.
pub type Invalidations = BoxStream<'static, Invalidation>;

/// Bytes with a time to live. A miss is `Ok(None)`; an empty value is a hit.
///
/// [`Cache::put`] and [`Cache::remove`] tell every process that shares the cache ([`Cache::invalidations`]);
/// [`Cache::put_if_absent`] and [`Cache::remove_if`], which fill gaps and hold leases, do not.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Cache: Send + Sync {
    async fn get(&self, cx: &Context, key: &CacheKey) -> Result<Option<Cached>, Fault>;

    /// Replaces what is there. A value that is larger than the cache allows MAY be dropped silently.
    async fn put(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<(), Fault>;

    /// Removing what is not there is no error.
    async fn remove(&self, cx: &Context, key: &CacheKey) -> Result<(), Fault>;

    /// Puts the bytes where nothing is, in one step; `false` if something was there. A lease is taken this way.
    async fn put_if_absent(&self, cx: &Context, key: &CacheKey, bytes: Bytes, ttl: Duration) -> Result<bool, Fault>;

    /// Removes the key if exactly these bytes stand there, in one step; `false` if not. A lease is given back this way.
    async fn remove_if(&self, cx: &Context, key: &CacheKey, bytes: Bytes) -> Result<bool, Fault>;

    /// What other processes change from now on. [`Invalidation::Everything`] comes after each gap in the listening, also
    /// after the one before its start. A cache of one process alone gives none.
    fn invalidations(&self) -> Invalidations;
}

/// Typed help over [`Cache`]: JSON in, JSON out.
#[async_trait]
pub trait CacheExt: Cache {
    /// The value and its age. Bytes that do not decode are a [`FaultKind::Corrupt`] fault, which callers treat as a miss.
    async fn get_as<T: DeserializeOwned + Send>(
        &self,
        cx: &Context,
        key: &CacheKey,
    ) -> Result<Option<(T, Duration)>, Fault> {
        let Some(cached) = self.get(cx, key).await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&cached.bytes).map_err(|error| Fault::because(FaultKind::Corrupt, error))?;
        Ok(Some((value, cached.age)))
    }

    /// Stores the value for `ttl`.
    async fn put_as<T: Serialize + Sync>(
        &self,
        cx: &Context,
        key: &CacheKey,
        value: &T,
        ttl: Duration,
    ) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(value).map_err(|error| Fault::because(FaultKind::Internal, error))?;
        self.put(cx, key, bytes.into(), ttl).await
    }
}

impl<C: Cache + ?Sized> CacheExt for C {}

/// Whose limits are counted; written `captions:quota:<namespace>:<64 hex digits>`. Only digests go in, so no key can leak or
/// forge text. The owner, tenant or host, is part of the digest: limits belong to whom the key says, and not to
/// [`Context::tenant`], because all tenants share a provider's.
#[derive(Clone, PartialEq, Eq)]
pub struct QuotaKey {
    namespace: &'static str,
    digest: [u8; 32],
}

impl QuotaKey {
    /// The key of whoever `owner` names within `namespace`, a short constant of ours.
    pub fn new(namespace: &'static str, owner: &str) -> Self {
        Self {
            namespace,
            digest: blake3::hash(owner.as_bytes()).into(),
        }
    }
}

impl Hash for QuotaKey {
    /// The beginning of a digest tells as much as all of it; only the same owner's keys in several namespaces meet.
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(beginning) = self.digest.first_chunk() {
            state.write_u64(u64::from_le_bytes(*beginning));
        }
    }
}

impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = blake3::Hash::from_bytes(self.digest);
        write!(f, "captions:quota:{}:{}", self.namespace, digest.to_hex())
    }
}

impl fmt::Debug for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Limits of rate, counted for everybody who shares them.
///
/// What is counted under one key with one plan has nothing to do with other keys or plans. A meter of which nothing is
/// taken any more may be forgotten once it is full. A refused take costs nothing; one whose answer is lost may have
/// been made.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Quota: Send + Sync {
    /// Decides as [`Meter::take`](crate::quota::Meter::take) does, in one step and by one clock for all who share the key.
    async fn take(&self, cx: &Context, key: &QuotaKey, plan: &Plan, take: &Take) -> Result<Decision, Fault>;

    /// Counts those who are there at the same moment, in one step and by one clock for all who share the key. `Some`: the one
    /// is in, and so many more could be; `None`: there are as many as may be, and nothing is changed. Who leaves without
    /// being there, or twice, is no error. Has nothing to do with what is taken under the same key.
    async fn attend(&self, cx: &Context, key: &QuotaKey, presence: &Presence) -> Result<Option<u64>, Fault>;
}

/// API keys, and the money that is spent with them. Times are kept to the microsecond.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Keeps a new key, under the tenant that it names. MUST be idempotent: the same id again changes nothing and is no
    /// error. The digest of another key is a [`StoreError::Conflict`].
    async fn add(&self, cx: &Context, key: &Key) -> Result<(), StoreError>;

    /// One key, whatever its standing at [`Context::now`]: by its digest of any tenant, else of this one.
    async fn find(&self, cx: &Context, by: By) -> Result<Option<Key>, StoreError>;

    /// Keys of this tenant, newest first, at most `limit`, older than `before` if given.
    async fn list(&self, cx: &Context, before: Option<KeyId>, limit: u32) -> Result<Vec<Key>, StoreError>;

    /// Changes a key of this tenant, and returns it as it is then; `None`, and nothing done, if there is none to which the
    /// change applies.
    async fn change(&self, cx: &Context, id: KeyId, change: &KeyChange) -> Result<Option<Key>, StoreError>;

    /// Notes when keys of whichever tenants were used last. Never sets a time back.
    async fn used(&self, cx: &Context, uses: &[(KeyId, OffsetDateTime)]) -> Result<(), StoreError>;

    /// Takes a step with an account of this tenant (see [`budget`](crate::budget)). MUST be atomic: of all who reserve at the
    /// same time together no more is granted than fits. The id of a reservation that is open is refused a second time, or is
    /// an error, and takes nothing.
    async fn spend(&self, cx: &Context, spend: &Spend) -> Result<Spent, StoreError>;
}

/// What callers have used, by the hour (see [`usage`](crate::usage)).
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Adds rows of whichever tenants, all or none. MUST be idempotent: a batch of the same id again changes nothing, for
    /// [`LATEST`](crate::usage::LATEST) at least. What is added for a user who was erased after [`Row::since`](crate::usage::Row::since)
    /// is added without the user; [`CaptionStore::erase`] does so to what is there.
    async fn add(&self, cx: &Context, batch: &UsageBatch) -> Result<(), StoreError>;

    /// The sums of this tenant, at most `limit` groups: those of older pieces of time first, and within one in the order of
    /// provider, model, user and key, of which none comes before all names. [`Query::after`] begins in the middle of that.
    async fn report(&self, cx: &Context, query: &Query, limit: u32) -> Result<Vec<Group>, StoreError>;

    /// Removes sums, of whichever tenants, of hours before this one: the oldest first, at most `limit`. How many it were; MUST
    /// NOT wait for whoever adds.
    async fn sweep(&self, cx: &Context, before: Hour, limit: u32) -> Result<u64, StoreError>;
}

/// What kind of writer a provider is. Callers are told, and nothing lower is swapped in silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// A full language model.
    Standard,
    /// A very small model: safe, plain sentences close to the description.
    Basic,
    /// No model at all.
    Template,
}

impl Grade {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Basic => "basic",
            Self::Template => "template",
        }
    }
}

/// Who a provider is and what it can do. Known without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The configured name, shown to callers.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    pub grade: Grade,
    /// The names of the providers inside: of a chain all of them in order, else just `provider`.
    pub members: Vec<String>,
    /// Primary language subtags that it can write; `None` means any.
    pub languages: Option<&'static [&'static str]>,
    /// The members that can look at a picture, in order.
    pub seeing: Vec<String>,
    /// Whether it can change a given text as it is told to ([`Task::Rewrite`]), and not only write new ones. Of a chain:
    /// whether any provider inside can.
    pub rewrites: bool,
    /// Changes whenever the same prompt may give another answer: names, models and versions, in order for a chain.
    /// Part of every caption's cache key.
    pub fingerprint: String,
}

impl Description {
    /// True if it can write this language.
    pub fn writes(&self, language: &Language) -> bool {
        self.languages.is_none_or(|all| all.contains(&language.primary()))
    }

    /// True if the member of this name, or any where none is named, can look at a picture.
    pub fn sees(&self, provider: Option<&ProviderName>) -> bool {
        match provider {
            Some(name) => self.seeing.iter().any(|member| member == name.as_str()),
            None => !self.seeing.is_empty(),
        }
    }

    /// True if it can do what the prompt is about, in its language.
    pub fn takes(&self, prompt: &Prompt) -> bool {
        self.writes(&prompt.brief.language) && (self.rewrites || prompt.task == Task::Write)
    }
}

/// Who answered, and at what price.
#[derive(Debug, Clone, PartialEq)]
pub struct Credit {
    pub provider: String,
    pub model: String,
    pub grade: Grade,
    /// `false` if an earlier provider of the chain was passed over or failed.
    pub first_choice: bool,
    pub usage: Option<Usage>,
    /// The provider's own id of the call, for its support desk.
    pub provider_request_id: Option<String>,
}

impl Credit {
    /// The credit of an answer that took two calls: who wrote last, at the price of both.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        self.usage = match (self.usage, earlier.usage) {
            (Some(own), Some(earlier)) => Some(Usage {
                input_tokens: own.input_tokens + earlier.input_tokens,
                output_tokens: own.output_tokens + earlier.output_tokens,
                cost: own.cost.zip(earlier.cost).and_then(|(own, earlier)| own.and(earlier)),
            }),
            // What one of them cost is not what both did.
            (own, earlier) => own.or(earlier).map(|usage| Usage { cost: None, ..usage }),
        };
        self
    }
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The model's text, in the form that the prompt asked for, not yet checked.
    pub text: String,
    pub credit: Credit,
}

/// A piece of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// More text.
    Text(String),
    /// All text so far is void and the next text starts anew: the provider broke off and another one begins.
    Withdrawn {
        /// Why: [`LlmError::code`].
        code: &'static str,
    },
    /// The writer is at work and has no text yet: `done` of `of` candidates.
    Progress { done: u32, of: u32 },
    /// The last piece. A stream that ends without it was cut off.
    End(Credit),
}

/// The pieces of one answer. Exactly one `End` or one error comes last. Dropping it cancels the call.
pub type ChunkStream = BoxStream<'static, Result<Chunk, LlmError>>;

/// Writes text.
///
/// An implementation MUST tell a length-truncated or otherwise unfinished answer as [`LlmError::Unusable`], never as
/// text, MUST stop working (and paying) within 100 ms after its future or stream is dropped, and MUST enter a second
/// call of its own in [`Context::attempts`].
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait LlmProvider: Send + Sync {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError>;

    /// The same as [`LlmProvider::complete`], piece by piece.
    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError>;

    fn describe(&self) -> &Description;
}
