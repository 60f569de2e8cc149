//! The desk at which one request's caption is written: asked for, checked, put into the history, labelled.
//!
//! What is written here may go to several readers who ask the same at the same time, and may go on after the one who
//! began it has left. So a desk owns all that it needs, and what it gives says nothing of the request that it was for.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::FutureExt;

use super::{Rung, past::Past};
use crate::{
    answers::{Load, Loaded, Unwritten, Written},
    brief::Brief,
    caption::{Caption, CaptionId, Degraded, Record, Source, Variant, Warning},
    context::{Context, Notes},
    fault::LlmError,
    hashtags,
    more::Wishes,
    platform::RULES_AS_OF,
    ports::{CacheKey, CaptionStore, Credit, LlmProvider},
    prompt::Templates,
    request::CaptionRequest,
};

/// How long a caption of a later provider, or too few variants, are served: the first one gets its chance again soon.
const SECOND_BEST_TTL: Duration = Duration::from_secs(30);

/// What the chain leaves of a reader's time, where something stands below it, for putting what it wrote into the history.
pub(super) const KEEPING: Duration = Duration::from_millis(100);

/// The warning of a caption that was to be stored and is not.
const NOT_STORED: &str = "not_stored";

/// One request, and all that it takes to write its caption.
pub(super) struct Desk {
    pub(super) llm: Arc<dyn LlmProvider>,
    pub(super) captions: Arc<dyn CaptionStore>,
    pub(super) request: CaptionRequest,
    pub(super) brief: Brief,
    /// Where a cache may have what is written.
    pub(super) key: CacheKey,
    /// How the writers are asked.
    pub(super) templates: Templates,
    /// How long a caption of the first provider is fresh.
    pub(super) caption_ttl: Duration,
    /// Whether something may answer where the chain does not.
    pub(super) has_ladder: bool,
    /// What went less well before the writing; the history keeps it with the caption.
    pub(super) noted: Vec<Degraded>,
    /// What is kept for the same question, where it is not to come again.
    pub(super) kept: Option<Written>,
    /// What the user has been given before, once it is known.
    pub(super) past: OnceLock<Past>,
}

impl Desk {
    /// Writes by the chain, whole.
    pub(super) fn whole(self: &Arc<Self>) -> Load {
        let desk = Arc::clone(self);
        load(move |cx| async move { desk.write_whole(&cx).await })
    }

    pub(super) async fn write_whole(&self, cx: &Context) -> Result<Loaded<Written>, LlmError> {
        let cx_of_chain = self.time_of_the_chain(cx);
        let past = self.past(&cx_of_chain).await;
        let (variants, credit) = self.write(&cx_of_chain, &self.brief, &*self.llm, past, &[]).await?;
        Ok(self.keep(cx, variants, credit).await)
    }

    /// Writes by a rung below the chain, for this one reader, after so many calls of the chain. `None` if it cannot.
    pub(super) async fn by_rung(&self, cx: &Context, rung: &Rung, attempts: u32) -> Option<Written> {
        if !rung.llm.describe().writes(&self.brief.language) {
            return None;
        }
        // There is no time left for the history, but where nothing of it may come again.
        let past = if self.request.regenerate {
            self.past(cx).await
        } else {
            self.past.get_or_init(Past::default)
        };
        let (variants, credit) = self.write(cx, &self.brief, &*rung.llm, past, &[]).await.ok()?;
        cx.notes.add(if rung.source == Source::Local {
            Degraded::LocalFallback
        } else {
            Degraded::TemplateFallback
        });
        // The load that failed this reader may still succeed for others, and has the request's own id then.
        let id = CaptionId(beside(cx.fresh_id));
        Some(self.store(cx, id, variants, credit, rung.source, attempts).await)
    }

    /// The context of calls to the chain: they end early where something may still answer after them.
    pub(super) fn time_of_the_chain(&self, cx: &Context) -> Context {
        match cx.deadline.checked_sub(KEEPING) {
            Some(deadline) if self.has_ladder => cx.until(deadline),
            _ => cx.clone(),
        }
    }

    /// Puts into the history what the chain wrote, and says for how long it is fresh.
    pub(super) async fn keep(&self, cx: &Context, variants: Vec<Variant>, credit: Credit) -> Loaded<Written> {
        let is_best = credit.first_choice && variants.len() >= self.wanted();
        let is_publishable = variants.iter().all(|variant| variant.publishable);
        if !credit.first_choice {
            cx.notes.add(Degraded::FallbackProvider);
        }
        let ttl = if is_best {
            self.caption_ttl
        } else {
            SECOND_BEST_TTL.min(self.caption_ttl)
        };
        let id = CaptionId(cx.fresh_id);
        Loaded {
            value: self.store(cx, id, variants, credit, Source::Provider, 0).await,
            fresh_for: (is_publishable && !ttl.is_zero()).then_some(ttl),
        }
    }

    /// Wraps up what was written, and puts it into the history as far as that was asked for. `attempts` were begun for it by
    /// whichever request.
    async fn store(
        &self,
        cx: &Context,
        id: CaptionId,
        variants: Vec<Variant>,
        credit: Credit,
        source: Source,
        attempts: u32,
    ) -> Written {
        let wanted = self.wanted();
        // About the content, so it stays with it; what the request itself caused is the request's alone.
        let mut warnings = Vec::new();
        if variants.len() < wanted {
            warnings.push(Warning::new(
                "fewer_variants",
                format!(
                    "{wanted} captions were asked for, {} different ones were written",
                    variants.len()
                ),
            ));
        }
        if let Some(best) = variants.first() {
            warnings.extend(hashtags::shortfall(&self.brief, best.hashtags.len()));
        }
        if self.brief.image.is_some() && matches!(source, Source::Local | Source::Template) {
            let detail = "nobody who looks at pictures answered; this is written from the description alone";
            warnings.push(Warning::new("image_not_seen", detail));
        }
        let is_seen = |variant: &Variant| self.past.get().is_some_and(|past| past.has_seen(&variant.caption));
        if variants.iter().any(is_seen) {
            warnings.push(Warning::new(
                "like_an_earlier_one",
                "nothing was written that differs from every earlier caption of this user",
            ));
        }
        let caption = Caption {
            variants,
            platform: self.brief.platform,
            language: self.brief.language.clone(),
            tone: Some(self.brief.tone),
            provider: credit.provider,
            model: credit.model,
            grade: credit.grade.as_str().to_owned(),
            provider_request_id: credit.provider_request_id,
            usage: credit.usage,
            created_at: cx.now,
            rules_as_of: RULES_AS_OF.to_owned(),
            warnings,
            additions: Vec::new(),
        };
        let mut written = Written {
            id,
            is_stored: false,
            caption: Arc::new(caption),
            attempts: attempts.max(cx.attempts.begun()),
            degraded: Vec::new(),
            warnings: Vec::new(),
            earlier: self.earlier(),
            source,
        };
        if self.request.store {
            self.enter(cx, &mut written).await;
        }
        written.degraded = cx.notes.all();
        written
    }

    /// For a reader who wants in the history what was written for somebody who did not. All who do so give it the same
    /// id, so it stands there once.
    pub(super) async fn store_found(&self, cx: &Context, written: &mut Written) {
        if !self.request.store {
            written.warnings.retain(|warning| warning.code != NOT_STORED);
        }
        // Whoever shares a writing shares its attempt to store, too.
        let was_tried = written.warnings.iter().any(|warning| warning.code == NOT_STORED);
        if self.request.store && !written.is_stored && !was_tried {
            self.enter(cx, written).await;
        }
    }

    async fn enter(&self, cx: &Context, written: &mut Written) {
        let degraded = Notes::default();
        let told = self.noted.iter().copied().chain(cx.notes.all());
        told.for_each(|how| degraded.add(how));
        let record = Record {
            id: written.id,
            request_id: cx.request_id.to_string(),
            user: self.request.user.clone(),
            campaign: self.request.campaign.clone(),
            description: self.request.description.clone(),
            wishes: Some(Wishes::from(&self.request)),
            caption: Caption::clone(&written.caption),
            source: written.source,
            attempts: written.attempts,
            degraded: degraded.all(),
            feedback: None,
            selected: None,
            cached_under: Some(self.key.clone()),
            version: 1,
        };
        match self.captions.append(cx, &record).await {
            Ok(()) => written.is_stored = true,
            Err(_) => written.warnings.push(Warning::new(
                NOT_STORED,
                "the history could not be written; this answer is the only copy",
            )),
        }
    }

    fn wanted(&self) -> usize {
        self.request.variants.get().into()
    }
}

/// A load with notes of its own: what goes less well while it runs is told to everybody who waits for it, what went less
/// well for one reader before is not.
pub(super) fn load<W, F>(writing: W) -> Load
where
    W: FnOnce(Context) -> F + Send + 'static,
    F: Future<Output = Result<Loaded<Written>, LlmError>> + Send + 'static,
{
    Box::new(|cx| {
        async move {
            let cx = Context {
                notes: Arc::new(cx.notes.of_a_part()),
                ..cx
            };
            writing(cx.clone()).await.map_err(|error| Unwritten {
                error,
                attempts: cx.attempts.begun(),
                degraded: cx.notes.all(),
            })
        }
        .boxed()
    })
}

/// Another id of the same request, for a second thing that it creates: the same time, and as unlikely to meet any other.
pub(super) fn beside(id: uuid::Uuid) -> uuid::Uuid {
    uuid::Uuid::from_u128(id.as_u128() ^ 1)
}
