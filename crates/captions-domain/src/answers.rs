//! How the engine reads captions through a cache: found, or written once for everybody who asks the same.
//!
//! Layers, leases, coalescing and refreshing need a clock and tasks, so they live in `captions-resilience`; what they
//! promise stands here. [`Uncached`] is the least that keeps the promise.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{
    caption::{Caption, CaptionId, Degraded, Source, Warning},
    choice::CacheUse,
    context::{Context, LookUp, Why},
    fault::{Fault, LlmError, PortError},
    ports::CacheKey,
};

/// A caption that was written, as it is cached: content, its id, and what belongs to the writing (`attempts`, `degraded`,
/// `warnings`): that is told to everybody who waited for it, in whichever process, but not to those who find it later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// The id under which it stands in the history, or will for the first reader who wants it there.
    pub id: CaptionId,
    /// Whether it was put into the history when it was written.
    pub is_stored: bool,
    /// Never without variants, also when it is read back.
    #[serde(deserialize_with = "with_variants")]
    pub caption: Arc<Caption>,
    /// Provider calls begun for it.
    pub attempts: u32,
    pub degraded: Vec<Degraded>,
    pub warnings: Vec<Warning>,
    /// Captions that were given for the same question before, newest first, where another one was asked for.
    #[serde(default)]
    pub earlier: Vec<String>,
    /// Only what the chain wrote is cached.
    #[serde(skip, default = "provider")]
    pub source: Source,
}

fn provider() -> Source {
    Source::Provider
}

fn with_variants<'de, D: Deserializer<'de>>(input: D) -> Result<Arc<Caption>, D::Error> {
    let caption = Caption::deserialize(input)?;
    if caption.variants.is_empty() {
        return Err(D::Error::custom("a caption without variants"));
    }
    Ok(Arc::new(caption))
}

/// Why a caption was not written, and what it took: everybody who waited for it is told.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct Unwritten {
    pub error: LlmError,
    /// Provider calls begun for it.
    pub attempts: u32,
    /// What went less well while it was tried.
    pub degraded: Vec<Degraded>,
}

impl From<LlmError> for Unwritten {
    fn from(error: LlmError) -> Self {
        Self {
            error,
            attempts: 0,
            degraded: Vec::new(),
        }
    }
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Self {
        LlmError::from(fault).into()
    }
}

impl PortError for Unwritten {
    fn fault(&self) -> Option<&Fault> {
        self.error.fault()
    }
}

/// What a reader accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub cache: CacheUse,
    /// Whether a value past its time will do: at once while it is being loaded anew, or because it cannot be.
    pub stale: bool,
    /// For whom it is written, as [`edition_key`](crate::key::edition_key) says: whose erasure makes that nothing that was
    /// kept before is found again. `None`: for nobody in particular.
    pub owner: Option<CacheKey>,
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
pub type Load = Box<dyn FnOnce(Context) -> BoxFuture<'static, Result<Loaded<Written>, Unwritten>> + Send>;

/// A read-through cache of captions.
///
/// At most one load per key runs at a time; readers of the same key share its outcome, each within its own deadline
/// (past it: [`Found::Failed`] with a time-out). A reader that leaves ends the load if nobody else waits for it, else the
/// load goes on. A load that failed because its first reader's time was up is begun again for those that have more.
/// With [`CacheUse::Bypass`] nothing is looked up, shared or kept. A layer that is away is passed over and noted as
/// [`Degraded::CacheUnavailable`] in [`Context::notes`], where how the look-up went is noted in any case.
#[async_trait]
pub trait AnswerCache: Send + Sync {
    async fn read(&self, cx: &Context, key: &CacheKey, wish: Wish, load: Load) -> Found<Written, Unwritten>;

    /// What is kept under the key for this owner, whatever its age. Nothing is loaded, noted or counted.
    async fn kept(&self, cx: &Context, key: &CacheKey, owner: Option<&CacheKey>) -> Option<Written>;
}

/// Keeps nothing and shares nothing: every reader loads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uncached;

#[async_trait]
impl AnswerCache for Uncached {
    async fn read(&self, cx: &Context, _: &CacheKey, _: Wish, load: Load) -> Found<Written, Unwritten> {
        cx.notes.looked_up(LookUp::Made {
            why: Why::Bypassed,
            shared: false,
            stored: false,
        });
        match load(cx.clone()).await {
            Ok(Loaded { value, .. }) => Found::Loaded { value, shared: false },
            Err(error) => Found::Failed { error, stale: None },
        }
    }

    async fn kept(&self, _: &Context, _: &CacheKey, _: Option<&CacheKey>) -> Option<Written> {
        None
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::{brief::Brief, polish::polish, reply::Draft, request, request::CaptionRequest, user::Preferences};

    fn written(variants: usize) -> Written {
        let request = CaptionRequest::new(request::Description::new("Bread on the counter").unwrap());
        let brief = Brief::resolve(&request, &Preferences::default()).0;
        let variant = polish(&Draft::plain("The counter is full of bread."), &brief);
        Written {
            id: CaptionId(Uuid::from_u128(7)),
            is_stored: true,
            caption: Arc::new(Caption {
                variants: vec![variant; variants],
                platform: brief.platform,
                language: brief.language,
                tone: None,
                provider: "primary".into(),
                model: "m1".into(),
                grade: "standard".into(),
                provider_request_id: None,
                usage: None,
                created_at: datetime!(2026-11-23 12:00 UTC),
                rules_as_of: crate::platform::RULES_AS_OF.into(),
                warnings: Vec::new(),
                additions: Vec::new(),
            }),
            attempts: 2,
            degraded: vec![Degraded::FallbackProvider],
            warnings: vec![Warning::new("not_stored", "why")],
            earlier: vec!["Bread before.".into()],
            source: Source::Provider,
        }
    }

    #[test]
    fn another_process_that_waited_for_it_can_be_told_what_belongs_to_the_writing() {
        let written = written(1);

        let kept: Written = serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap();

        assert_eq!(kept, written);
    }

    #[test]
    fn a_caption_without_variants_cannot_be_read_back() {
        let bytes = serde_json::to_vec(&written(0)).unwrap();

        assert!(serde_json::from_slice::<Written>(&bytes).is_err());
    }
}
