//! What a provider last failed with, for those who look after it.

use std::sync::{Arc, Mutex, PoisonError};

use async_stream::stream;
use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::LlmError,
    ports::{ChunkStream, Completion, Description, LlmProvider},
    prompt::Prompt,
};
use futures_util::StreamExt;
use time::OffsetDateTime;

/// The last failure, and when the request came in that met it.
pub type LastFailure = Option<(LlmError, OffsetDateTime)>;

/// A provider whose last failure is kept. Goes outside of its policy, so that this is what the chain sees.
pub struct Remembered {
    inner: Arc<dyn LlmProvider>,
    last: Arc<Mutex<LastFailure>>,
}

impl Remembered {
    /// Nothing has failed yet.
    pub fn new(inner: Arc<dyn LlmProvider>) -> Self {
        Self {
            inner,
            last: Arc::default(),
        }
    }

    /// The last failure of any call since the start.
    pub fn last_failure(&self) -> LastFailure {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A refusal of the content is an answer, and says nothing of the provider.
fn remember(last: &Mutex<LastFailure>, cx: &Context, error: &LlmError) {
    if !matches!(error, LlmError::Refused | LlmError::TooLong) {
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((error.clone(), cx.now));
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl LlmProvider for Remembered {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let done = self.inner.complete(cx, prompt).await;
        done.inspect_err(|error| remember(&self.last, cx, error))
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let opened = self.inner.stream(cx, prompt).await;
        let mut chunks = opened.inspect_err(|error| remember(&self.last, cx, error))?;
        let (last, cx) = (Arc::clone(&self.last), cx.clone());
        Ok(Box::pin(stream! {
            while let Some(next) = chunks.next().await {
                if let Err(error) = &next {
                    remember(&last, &cx, error);
                }
                yield next;
            }
        }))
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests;
