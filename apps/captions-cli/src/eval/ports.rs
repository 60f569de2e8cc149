//! The engine's ports as a run needs them: a writer that is listened to, preferences of the briefs, no history.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use captions_domain::{
    caption::{CaptionId, Record},
    context::Context,
    evaluation::Baseline,
    fault::{LlmError, StoreError},
    history::{Amendment, Extent, Filter, Removed},
    once::{Standing, Step},
    ports::{CaptionStore, ChunkStream, Completion, Description, Expect, LlmProvider, UserStore},
    prompt::Prompt,
    request::UserId,
    user::{Entry, Preferences, User},
};

/// Passes every question on, and keeps how the first answer to each request reads unrepaired.
pub(crate) struct Listener {
    inner: Arc<dyn LlmProvider>,
    first: Mutex<HashMap<Arc<str>, Baseline>>,
}

impl Listener {
    pub(crate) fn to(inner: Arc<dyn LlmProvider>) -> Self {
        Self {
            inner,
            first: Mutex::default(),
        }
    }

    /// The baseline of this request, once; `None` if nobody was asked for it.
    pub(crate) fn take(&self, request_id: &str) -> Option<Baseline> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(request_id)
    }
}

#[async_trait]
impl LlmProvider for Listener {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let answer = self.inner.complete(cx, prompt).await;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first
            .entry(Arc::clone(&cx.request_id))
            .or_insert_with(|| match &answer {
                Ok(Completion { text, credit }) => Baseline::of(text, prompt, credit.grade),
                Err(error) => Baseline::failed(error.code()),
            });
        drop(first);
        answer
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        self.inner.stream(cx, prompt).await
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

/// The preferences that stand beside the briefs. Nothing can be written.
pub(crate) struct Given(pub(crate) HashMap<UserId, Preferences>);

#[async_trait]
impl UserStore for Given {
    async fn read(&self, _: &Context, _: &UserId) -> Result<Option<User>, StoreError> {
        Ok(None)
    }

    async fn preferences(&self, _: &Context, user: &UserId) -> Result<Option<Preferences>, StoreError> {
        Ok(self.0.get(user).cloned())
    }

    async fn list(&self, _: &Context, _: Option<UserId>, _: u32) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    async fn write(&self, _: &Context, _: &User, _: Expect) -> Result<u64, StoreError> {
        Err(StoreError::Conflict)
    }

    async fn erase(&self, _: &Context, _: &UserId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// Always empty: what one brief got has no influence on another.
pub(crate) struct NoHistory;

#[async_trait]
impl CaptionStore for NoHistory {
    async fn append(&self, _: &Context, _: &Record) -> Result<(), StoreError> {
        Ok(())
    }

    async fn read(&self, _: &Context, _: CaptionId) -> Result<Option<Record>, StoreError> {
        Ok(None)
    }

    async fn history(&self, _: &Context, _: &Filter, _: Option<CaptionId>, _: u32) -> Result<Vec<Record>, StoreError> {
        Ok(Vec::new())
    }

    async fn amend(&self, _: &Context, _: CaptionId, _: &Amendment, _: Option<u64>) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn erase(&self, _: &Context, _: &Extent) -> Result<Removed, StoreError> {
        Ok(Removed::default())
    }

    async fn once(&self, cx: &Context, _: &Step) -> Result<Standing, StoreError> {
        Ok(Standing::Held { id: cx.fresh_id })
    }
}
