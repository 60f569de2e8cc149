//! How the engine reads captions through a cache: found, or written once for everybody who asks the same.
//!
//! Layers, leases, coalescing and refreshing need a clock and tasks, so they live in `captions-resilience`; what they
//! promise stands here. [`Uncached`] is the least that keeps the promise.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{
    caption::{Caption, CaptionId, Degraded, Source, Warning},
    choice::CacheUse,
    context::Context,
    fault::LlmError,
    ports::CacheKey,
};

/// A caption that was written, as it is cached: content, and the id under which it stands in the history. What is skipped
/// belongs to the writing and is told to everybody who waited for it, but not to those who find it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    pub id: Option<CaptionId>,
    pub caption: Caption,
    /// Provider calls begun for it.
    #[serde(skip)]
    pub attempts: u32,
    #[serde(skip)]
    pub degraded: Vec<Degraded>,
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    #[serde(skip, default = "provider")]
    pub source: Source,
}

fn provider() -> Source {
    Source::Provider
}

/// What a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub cache: CacheUse,
    /// Whether a value past its time will do: at once while it is being loaded anew, or because it cannot be.
    pub stale: bool,
}

/// What a load gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    pub value: T,
    /// How long it is fresh; `None`: it is not to be kept.
    pub fresh_for: Option<Duration>,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T, E> {
    /// A kept value within its time.
    Hit { value: T, age: Duration },
    /// A kept value past its time: it is being loaded anew, or a load has failed a moment ago.
    Stale { value: T, age: Duration },
    /// Loaded just now; `shared` if another reader's load gave it.
    Loaded { value: T, shared: bool },
    /// The load failed; `stale` is a kept value past its time, if the wish allows one and there is one.
    Failed { error: E, stale: Option<(T, Duration)> },
}

/// Writes a caption. Called at most once, with the context that the writing is to keep to: the reader's own, or one of a
/// refresh for which nobody waits.
pub type Load = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Loaded<Written>, LlmError>> + Send>;

/// A read-through cache of captions.
///
/// At most one load per key runs at a time; readers of the same key share its outcome, each within its own deadline
/// (past it: [`Found::Failed`] with a time-out). A reader that leaves ends the load if nobody else waits for it, else the
/// load goes on. A load that failed because its first reader's time was up is begun again for those that have more.
/// With [`CacheUse::Bypass`] nothing is looked up, shared or kept. A layer that is away is passed over and noted as
/// [`Degraded::CacheUnavailable`] in [`Context::notes`].
#[async_trait]
pub trait AnswerCache: Send + Sync {
    async fn read(&self, cx: &Context, key: &CacheKey, wish: Wish, load: Load) -> Found<Written, LlmError>;
}

/// Keeps nothing and shares nothing: every reader loads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uncached;

#[async_trait]
impl AnswerCache for Uncached {
    async fn read(&self, cx: &Context, _: &CacheKey, _: Wish, load: Load) -> Found<Written, LlmError> {
        match load(cx.clone()).await {
            Ok(Loaded { value, .. }) => Found::Loaded { value, shared: false },
            Err(error) => Found::Failed { error, stale: None },
        }
    }
}
