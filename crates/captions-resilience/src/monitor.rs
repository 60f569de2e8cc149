//! The I/O monitor: what is asked of this process, what it asks of its dependencies, how that ends and how long it takes.
//!
//! Two things are counted, and never one of them as the other. An *operation* is what a caller asks for: a caption, or
//! one method of a port, retries included; [`Monitor::begin`] and [`watched`] count these. A *call* is one attempt at a
//! dependency; a policy that [`Monitor::watch`] has seen counts each with its time, so that the figures of a dependency
//! are those of the real calls. Operations, dependencies and outcomes are fixed sets: nothing that a caller sends becomes
//! a name here, and nothing grows with use.

mod prometheus;
mod recorder;
mod sources;
mod stalls;
mod summary;
pub mod watched;
mod window;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use captions_domain::{
    caption::{Answer, Degraded, Source},
    engine::GenerateError,
    fault::{Fault, LlmError, PortError},
    ports::Credit,
    rewrite::Rewritten,
};
use tokio::time::Instant;

pub(crate) use self::recorder::Recorder;
pub use self::{
    recorder::Timer,
    sources::{BatchStats, LimiterStats, MemoryStats, PoolStats, ProcessStats, SpoolStats},
    stalls::{EventLoop, watch_event_loop},
    summary::{
        ApiStats, BreakerStats, CacheKindStats, CacheStats, CallStats, CallerStats, DatabaseStats, EventLoopStats,
        OperationStats, Outcomes, ProviderStats, RecentCalls, RecentLookUps, RecentOperations, SharedCacheStats,
        Summary, Tokens,
    },
};
use self::{sources::Sources, summary::Part};
use crate::{
    breaker::{Breaker, Verdict},
    policy::Policy,
};

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the method that its name says")]
pub enum Operation {
    CaptionGeneration,
    CaptionStream,
    Rewrite,
    UsersRead,
    UsersPreferences,
    UsersWrite,
    UsersErase,
    CaptionsAppend,
    CaptionsRead,
    CaptionsHistory,
    CaptionsAmend,
    CaptionsErase,
    CaptionsOnce,
    BatchesSubmit,
    BatchesList,
    BatchesRead,
    BatchesChange,
    BatchesClaim,
    BatchesSettle,
    KeysAdd,
    KeysFind,
    KeysList,
    KeysRotate,
    KeysRevoke,
    KeysBudget,
    KeysUsed,
    KeysSpend,
    AnswersRead,
    CacheGet,
    CachePut,
    CacheRemove,
    CachePutIfAbsent,
    CacheRemoveIf,
    LlmComplete,
    LlmStream,
}

impl Operation {
    /// In the order of the enum.
    pub const ALL: [Self; 35] = [
        Self::CaptionGeneration,
        Self::CaptionStream,
        Self::Rewrite,
        Self::UsersRead,
        Self::UsersPreferences,
        Self::UsersWrite,
        Self::UsersErase,
        Self::CaptionsAppend,
        Self::CaptionsRead,
        Self::CaptionsHistory,
        Self::CaptionsAmend,
        Self::CaptionsErase,
        Self::CaptionsOnce,
        Self::BatchesSubmit,
        Self::BatchesList,
        Self::BatchesRead,
        Self::BatchesChange,
        Self::BatchesClaim,
        Self::BatchesSettle,
        Self::KeysAdd,
        Self::KeysFind,
        Self::KeysList,
        Self::KeysRotate,
        Self::KeysRevoke,
        Self::KeysBudget,
        Self::KeysUsed,
        Self::KeysSpend,
        Self::AnswersRead,
        Self::CacheGet,
        Self::CachePut,
        Self::CacheRemove,
        Self::CachePutIfAbsent,
        Self::CacheRemoveIf,
        Self::LlmComplete,
        Self::LlmStream,
    ];

    /// What callers of the service ask for. The others happen inside of these.
    pub const OF_CALLERS: [Self; 3] = [Self::CaptionGeneration, Self::CaptionStream, Self::Rewrite];

    /// The name used in statistics and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaptionGeneration => "caption_generation",
            Self::CaptionStream => "caption_stream",
            Self::Rewrite => "rewrite",
            Self::UsersRead => "users.read",
            Self::UsersPreferences => "users.preferences",
            Self::UsersWrite => "users.write",
            Self::UsersErase => "users.erase",
            Self::CaptionsAppend => "captions.append",
            Self::CaptionsRead => "captions.read",
            Self::CaptionsHistory => "captions.history",
            Self::CaptionsAmend => "captions.amend",
            Self::CaptionsErase => "captions.erase",
            Self::CaptionsOnce => "captions.once",
            Self::BatchesSubmit => "batches.submit",
            Self::BatchesList => "batches.list",
            Self::BatchesRead => "batches.read",
            Self::BatchesChange => "batches.change",
            Self::BatchesClaim => "batches.claim",
            Self::BatchesSettle => "batches.settle",
            Self::KeysAdd => "keys.add",
            Self::KeysFind => "keys.find",
            Self::KeysList => "keys.list",
            Self::KeysRotate => "keys.rotate",
            Self::KeysRevoke => "keys.revoke",
            Self::KeysBudget => "keys.budget",
            Self::KeysUsed => "keys.used",
            Self::KeysSpend => "keys.spend",
            Self::AnswersRead => "answers.read",
            Self::CacheGet => "cache.get",
            Self::CachePut => "cache.put",
            Self::CacheRemove => "cache.remove",
            Self::CachePutIfAbsent => "cache.put_if_absent",
            Self::CacheRemoveIf => "cache.remove_if",
            Self::LlmComplete => "llm.complete",
            Self::LlmStream => "llm.stream",
        }
    }
}

/// How an operation or a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, as asked.
    Ok,
    /// Found in a cache.
    Hit,
    /// Answered with something older than wanted, because nothing newer could be had.
    Stale,
    /// Answered with what another one of the same kind had just fetched.
    Coalesced,
    /// Answered by somebody further down the ladder.
    Fallback,
    /// Turned down for what was asked, by the rules or by the other side. Nothing is broken.
    Refused,
    /// Gave nothing that could be used.
    Failed,
    /// Its caller left, or had no more time.
    Cancelled,
}

impl Outcome {
    /// In the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Hit,
        Self::Stale,
        Self::Coalesced,
        Self::Fallback,
        Self::Refused,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name used in statistics and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Coalesced => "coalesced",
            Self::Fallback => "fallback",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// True if the caller got what was asked for. [`Outcome::Refused`] and [`Outcome::Cancelled`] are neither a success nor
    /// a failure.
    pub const fn is_success(self) -> bool {
        matches!(
            self,
            Self::Ok | Self::Hit | Self::Stale | Self::Coalesced | Self::Fallback
        )
    }

    /// What the engine's answer counts as.
    pub fn of_generation(generated: &Result<Answer, GenerateError>) -> Self {
        match generated {
            Ok(answer) => Self::of_answer(answer),
            Err(error) => Self::of_failure(error),
        }
    }

    /// What a caption counts as.
    pub fn of_answer(answer: &Answer) -> Self {
        if answer.shared {
            return Self::Coalesced;
        }
        match answer.source {
            Source::Cache => Self::Hit,
            Source::Stale => Self::Stale,
            Source::Local | Source::Template => Self::Fallback,
            Source::Provider if answer.shared => Self::Coalesced,
            Source::Provider if answer.degraded.contains(&Degraded::FallbackProvider) => Self::Fallback,
            Source::Provider => Self::Ok,
        }
    }

    /// What a changed caption counts as.
    pub fn of_rewritten(done: &Rewritten) -> Self {
        let is_fallback = |how: &Degraded| matches!(how, Degraded::RulesFallback | Degraded::FallbackProvider);
        if done.degraded.iter().any(is_fallback) {
            Self::Fallback
        } else {
            Self::Ok
        }
    }

    /// What the lack of a caption counts as.
    pub const fn of_failure(error: &GenerateError) -> Self {
        match error {
            GenerateError::Invalid(_)
            | GenerateError::Provider {
                error: LlmError::Refused,
                ..
            } => Self::Refused,
            GenerateError::Provider { .. } => Self::Failed,
        }
    }

    /// What an error counts as where no more is known than what it says.
    pub(crate) fn of_error<E: PortError>(error: &E) -> Self {
        Self::of_fault(error.fault())
    }

    /// What one call counts as that ended with an error.
    pub(crate) fn of_call(verdict: Verdict, fault: Option<&Fault>) -> Self {
        match verdict {
            Verdict::Healthy => Self::Ok,
            Verdict::Sick => Self::Failed,
            Verdict::Neutral => Self::of_fault(fault),
        }
    }

    fn of_fault(fault: Option<&Fault>) -> Self {
        use captions_domain::fault::FaultKind;
        match fault.map(|fault| fault.kind) {
            // No and slower are answers.
            None | Some(FaultKind::RateLimited { .. }) => Self::Refused,
            Some(
                FaultKind::Timeout
                | FaultKind::Unavailable
                | FaultKind::CircuitOpen { .. }
                | FaultKind::Overloaded
                | FaultKind::Corrupt
                | FaultKind::Internal,
            ) => Self::Failed,
        }
    }
}

/// A dependency whose calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency<'a> {
    /// The store of users and captions.
    Database,
    /// The shared cache.
    Cache,
    /// One provider over the network, by its name in the settings.
    Provider(&'a str),
    /// All providers together, as a caller asks them. What it turns away is part of their sum; its calls are theirs and are
    /// not counted again.
    Chain,
}

/// Counts. Clones count into the same figures.
#[derive(Debug, Clone)]
pub struct Monitor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    begun: Instant,
    window: Duration,
    operations: [Arc<Recorder>; Operation::ALL.len()],
    /// Requests within the limits of their callers, and beyond them.
    admitted: AtomicU64,
    turned_away: AtomicU64,
    event_loop: EventLoop,
    parts: Mutex<Parts>,
}

/// What the composition root has told of.
#[derive(Debug, Default)]
struct Parts {
    database: Option<Part>,
    cache: Option<Part>,
    /// In the order of the chain.
    providers: Vec<(String, Part)>,
    /// What is turned away before any provider is asked.
    chain: Option<Arc<Recorder>>,
    sources: Sources,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new(Self::WINDOW)
    }
}

impl Monitor {
    /// The window of rates, averages and percentiles.
    pub const WINDOW: Duration = Duration::from_mins(1);

    /// One that has counted nothing. Rates, averages and percentiles are those of the last `window`.
    pub fn new(window: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                begun: Instant::now(),
                window,
                operations: std::array::from_fn(|_| Arc::new(Recorder::new(window))),
                admitted: AtomicU64::new(0),
                turned_away: AtomicU64::new(0),
                event_loop: EventLoop::default(),
                parts: Mutex::default(),
            }),
        }
    }

    /// An operation begins now.
    pub fn begin(&self, operation: Operation) -> Timer {
        self.inner.operations[operation as usize].begin()
    }

    /// A request was within the limits of its caller.
    pub fn caller_admitted(&self) {
        self.inner.admitted.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was beyond the limits of its caller. If it asked for something that is counted, that is refused too.
    pub fn caller_turned_away(&self, asked_for: Option<Operation>) {
        self.inner.turned_away.fetch_add(1, Ordering::Relaxed);
        if let Some(operation) = asked_for {
            self.begin(operation).end(Outcome::Refused);
        }
    }

    /// Counts the calls of this policy's dependency from now on, and shows its breaker. The policy to use is the one that is
    /// returned; clones of it count too.
    pub fn watch(&self, dependency: Dependency<'_>, policy: Policy) -> Policy {
        let calls = Arc::new(Recorder::new(self.inner.window));
        let policy = policy.watched(Arc::clone(&calls));
        let part = Part::new(Arc::clone(&calls), policy.clone());
        let mut parts = self.parts();
        match dependency {
            Dependency::Database => parts.database = Some(part),
            Dependency::Cache => parts.cache = Some(part),
            Dependency::Provider(name) => parts.providers.push((name.to_owned(), part)),
            Dependency::Chain => parts.chain = Some(calls),
        }
        policy
    }

    /// Enters the price of an answer with the provider that wrote it, if that is one that is watched.
    pub fn charge(&self, credit: &Credit) {
        let Some(usage) = credit.usage else { return };
        let parts = self.parts();
        if let Some((_, part)) = parts.providers.iter().find(|(name, _)| *name == credit.provider) {
            part.charge(usage);
        }
    }

    /// The gauges of the event loop, for [`watch_event_loop`] to keep.
    pub fn event_loop(&self) -> EventLoop {
        self.inner.event_loop.clone()
    }

    /// Every watched breaker with its name: `database`, `cache`, and `api.NAME` for a provider.
    pub fn breakers(&self) -> Vec<(String, BreakerStats)> {
        let parts = self.parts();
        parts
            .named()
            .filter_map(|(name, part)| Some((name, part.breaker()?)))
            .collect()
    }

    /// Has an operator's hand on the breaker of this name; `None` if there is none.
    pub fn with_breaker(&self, name: &str, hand: impl FnOnce(&Breaker)) -> Option<BreakerStats> {
        let policy = self
            .parts()
            .named()
            .find(|(known, _)| known == name)
            .map(|(_, part)| part.policy().clone())?;
        hand(policy.breaker()?);
        policy.breaker().map(BreakerStats::of)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.inner.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn named(&self) -> impl Iterator<Item = (String, &Part)> {
        let database = self.database.iter().map(|part| ("database".to_owned(), part));
        let cache = self.cache.iter().map(|part| ("cache".to_owned(), part));
        // No provider's name holds a dot, so none can be taken for another dependency.
        let providers = self.providers.iter().map(|(name, part)| (format!("api.{name}"), part));
        database.chain(cache).chain(providers)
    }
}

#[cfg(test)]
mod tests;
