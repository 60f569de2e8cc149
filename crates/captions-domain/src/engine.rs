//! The walk of a request: preferences, look-up, writing, checking, keeping. Decides what to do when a part fails.

use std::{sync::Arc, time::Duration};

use futures_util::stream::BoxStream;

use crate::{
    caption::{Answer, Source},
    context::Context,
    fault::LlmError,
    ports::{Cache, CaptionStore, LlmProvider, UserStore},
    request::{CaptionRequest, Invalid},
};

/// Why there is no caption.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GenerateError {
    /// The request names something that this installation does not have.
    #[error("{0}")]
    Invalid(Invalid),
    /// No provider wrote a caption and no rung below them was allowed to.
    #[error("{error}")]
    Provider {
        error: LlmError,
        /// Provider calls begun.
        attempts: u32,
    },
}

/// A writer below the provider chain, asked only when the whole chain has failed.
pub struct Rung {
    /// How its answers are labelled: [`Source::Local`] or [`Source::Template`].
    pub source: Source,
    pub llm: Arc<dyn LlmProvider>,
}

/// The engine's own settings.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long a caption of the first provider is served from the cache.
    pub caption_ttl: Duration,
    /// How long it is kept beyond that, to be served if every provider fails; zero keeps none.
    pub stale_ttl: Duration,
}

/// Generates captions over the ports.
pub struct Engine {
    pub users: Arc<dyn UserStore>,
    pub captions: Arc<dyn CaptionStore>,
    pub cache: Arc<dyn Cache>,
    /// The provider chain.
    pub llm: Arc<dyn LlmProvider>,
    /// Asked in order when the chain has failed and the request allows it.
    pub rungs: Vec<Rung>,
    pub options: Options,
}

/// What happens while a caption is streamed.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// More text of this candidate.
    Delta { candidate: u32, text: String },
    /// All text of this candidate is void; the next delta starts a new one.
    Withdrawn { candidate: u32, code: &'static str },
    /// The writer works on candidates that it does not show: `done` of `of`.
    Progress { done: u32, of: u32 },
    /// The end: the whole answer, checked. Its text replaces what the deltas gave.
    Completed(Box<Answer>),
}

/// Ends with exactly one [`Event::Completed`] or one error. Dropping it cancels the call to the provider.
pub type EventStream = BoxStream<'static, Result<Event, GenerateError>>;

impl Engine {
    /// Answers one request.
    pub async fn generate(&self, cx: &Context, request: &CaptionRequest) -> Result<Answer, GenerateError> {
        let _ = (cx, request);
        Err(GenerateError::Provider { error: LlmError::Refused, attempts: 0 })
    }

    /// The same, piece by piece. The first variant is streamed; further ones come with [`Event::Completed`].
    pub fn generate_stream(self: Arc<Self>, cx: Context, request: CaptionRequest) -> EventStream {
        let _ = (cx, request);
        Box::pin(futures_util::stream::empty())
    }
}
