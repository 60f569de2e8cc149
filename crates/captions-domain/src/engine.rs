//! The walk of a request: preferences, look-up, writing, checking, keeping. Decides what to do when a part fails.
//!
//! A fault of a store or of the cache never costs the caller the caption: the engine goes on without it and says so in
//! [`Answer::degraded`] or [`Answer::warnings`]. Retries, time-outs and failover between providers are not decided here:
//! the ports are handed in already guarded. Nor is it decided here who writes when many ask the same: the answer cache
//! does that with the desk of each; what stands below the chain is each reader's own again.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::stream::BoxStream;

use self::desk::{Desk, beside};
pub use self::more::{Grown, MoreError};

use crate::{
    answers::{AnswerCache, Found, Unwritten, Wish, Written},
    brief::Brief,
    caption::{Answer, CaptionId, Degraded, Record, Source, Warning},
    choice::{CacheUse, nearest},
    context::Context,
    engagement::{Results, Unknown},
    fault::{LlmError, StoreError, Unpaid},
    injection,
    key::{caption_key, edition_key},
    ports::{CacheKey, CaptionStore, LlmProvider, UserStore},
    prompt::Templates,
    request::{CaptionRequest, Invalid, ProviderName, UserId},
    usage::Visit,
    user::Preferences,
};

mod desk;
mod more;
mod past;
mod rewrite;
mod stream;
mod writing;

/// What of the request's time is left for what stands below the provider chain, whoever was waited for: a silent provider
/// must not use up the time in which a stale caption or a template could still be given. The chain itself ends earlier still, by the time
/// for keeping what it wrote.
const LADDER: Duration = Duration::from_millis(150);

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
        /// Provider calls begun for it, by this request or by the one whose failure it shared.
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
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a caption of the first provider is fresh.
    pub caption_ttl: Duration,
    /// Whether one past that time is served, labelled, where there is nothing better.
    pub stale: bool,
    /// How the providers are asked.
    pub templates: Templates,
}

/// Generates captions over the ports.
pub struct Engine {
    pub users: Arc<dyn UserStore>,
    pub captions: Arc<dyn CaptionStore>,
    /// What is written is found again here, and is written once for everybody who asks the same at the same time.
    pub answers: Arc<dyn AnswerCache>,
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

/// A request on its way.
struct Job {
    desk: Arc<Desk>,
    /// What the user's posts have reached.
    results: Result<Results, Unknown>,
    key: CacheKey,
    wish: Wish,
    warnings: Vec<Warning>,
}

impl Job {
    /// The context in which the answers are read: a caption may still come from below the chain after it.
    fn reading(&self, cx: &Context) -> Context {
        match cx.deadline.checked_sub(LADDER) {
            Some(deadline) if self.desk.has_ladder => cx.until(deadline),
            _ => cx.clone(),
        }
    }
}

impl Engine {
    /// Answers one request. `cx` is this request's own: what its notes hold at the end is the answer's `degraded`.
    pub async fn generate(&self, cx: &Context, request: &CaptionRequest) -> Result<Answer, GenerateError> {
        let cx = &cx.of_user(request.user.as_ref());
        let job = self.prepare(cx, request, None).await?;
        let mut visit = Visit::begin(cx);
        let reading = job.reading(cx);
        let found = self
            .answers
            .read(&reading, &job.key, job.wish.clone(), job.desk.whole())
            .await;
        let found = self.own(&reading, &job, found).await;
        let answer = self.answer(cx, job, found).await?;
        visit.answered(&answer);
        Ok(answer)
    }

    /// What this request has put into the history already, where it was begun before and not brought to its end.
    pub async fn written_before(&self, cx: &Context) -> Result<Option<Record>, StoreError> {
        for id in [cx.fresh_id, beside(cx.fresh_id)] {
            if let Some(record) = self.captions.read(cx, CaptionId(id)).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Who asks for another caption than those seen cannot share one that was being written for somebody who did not, and
    /// nobody shares the end of somebody else's budget.
    async fn own(&self, cx: &Context, job: &Job, found: Found<Written, Unwritten>) -> Found<Written, Unwritten> {
        let is_other_s = match &found {
            Found::Loaded { shared, .. } => *shared && job.desk.request.regenerate,
            Found::Failed { error, .. } => match &error.error {
                LlmError::Unpaid(Unpaid::OverBudget { account, .. }) => {
                    !cx.payers.iter().any(|payer| payer.account == *account)
                }
                _ => false,
            },
            Found::Hit { .. } | Found::Stale { .. } => false,
        };
        if !is_other_s {
            return found;
        }
        let wish = Wish {
            cache: CacheUse::Bypass,
            ..job.wish.clone()
        };
        self.answers.read(cx, &job.key, wish, job.desk.whole()).await
    }

    /// Preferences, then the brief and the key that both make. `shown`: what there is already for the same question.
    async fn prepare(
        &self,
        cx: &Context,
        request: &CaptionRequest,
        shown: Option<Written>,
    ) -> Result<Job, GenerateError> {
        let chain = self.llm.describe();
        self.knows(request.provider.as_ref())?;
        if self.rungs.is_empty() || !request.allow_fallback {
            self.sees(request)?;
        }
        let known = self.preferences(cx, request.user.as_ref()).await;
        let (brief, mut warnings) = match &known {
            Some(preferences) => Brief::resolve(request, preferences),
            None => Brief::resolve(request, &Preferences::default()),
        };
        warnings.extend(injection::warning(&brief));
        // Not in it is what does not change the text: whether and under which campaign it is stored, and whether
        // something below the chain may answer instead.
        let key = caption_key(
            &cx.tenant,
            request.user.as_ref(),
            known.as_ref(),
            &brief,
            request.provider.as_ref(),
            &chain.fingerprint,
            &self.options.templates.edition(),
        );
        let wish = Wish {
            // What is kept has been seen.
            cache: match request.cache {
                CacheUse::Use if request.regenerate => CacheUse::Refresh,
                asked => asked,
            },
            stale: request.allow_fallback && self.options.stale && !request.regenerate,
            owner: request.user.as_ref().map(|user| edition_key(&cx.tenant, user)),
        };
        let kept = if shown.is_some() {
            shown
        } else if request.regenerate && wish.cache != CacheUse::Bypass {
            self.answers.kept(cx, &key, wish.owner.as_ref()).await
        } else {
            None
        };
        let desk = Desk {
            llm: Arc::clone(&self.llm),
            captions: Arc::clone(&self.captions),
            request: request.clone(),
            brief,
            key: key.clone(),
            templates: self.options.templates.clone(),
            caption_ttl: self.options.caption_ttl,
            has_ladder: wish.stale || (request.allow_fallback && !self.rungs.is_empty()),
            noted: cx.notes.all(),
            kept,
            past: OnceLock::new(),
        };
        let results = known.and_then(|preferences| preferences.results).ok_or_else(|| {
            if cx.notes.all().contains(&Degraded::PreferencesDefault) {
                Unknown::Unreadable
            } else {
                Unknown::NoHistory
            }
        });
        Ok(Job {
            desk: Arc::new(desk),
            results,
            key,
            wish,
            warnings,
        })
    }

    /// An error if the request has a picture that no provider it may go to looks at.
    fn sees(&self, request: &CaptionRequest) -> Result<(), GenerateError> {
        if request.image.is_none() || self.llm.describe().sees(request.provider.as_ref()) {
            return Ok(());
        }
        let rule = match &request.provider {
            Some(name) => format!("the provider {name} does not look at pictures"),
            None => "no provider here looks at pictures; a setting of theirs, vision, says which do".to_owned(),
        };
        Err(GenerateError::Invalid(Invalid::new("not_supported", rule).at("/image")))
    }

    /// `Err` if a provider is named that the chain does not have.
    fn knows(&self, provider: Option<&ProviderName>) -> Result<(), GenerateError> {
        let members = &self.llm.describe().members;
        let Some(name) = provider.filter(|name| !members.iter().any(|member| member == name.as_str())) else {
            return Ok(());
        };
        let known = members.join(", ");
        let mut invalid =
            Invalid::new("unknown_choice", format!("no provider is named so; there is {known}")).at("/provider");
        invalid.nearest = nearest(name.as_str(), members.iter().map(String::as_str)).map(Into::into);
        Err(GenerateError::Invalid(invalid))
    }

    /// What the user always wants, as far as it is known. Nobody has to be registered to get a caption.
    async fn preferences(&self, cx: &Context, user: Option<&UserId>) -> Option<Preferences> {
        let known = self.users.preferences(cx, user?).await;
        if known.is_err() {
            cx.notes.add(Degraded::PreferencesDefault);
        }
        known.ok().flatten()
    }

    /// What was found, or what stands below it, as an answer to this reader.
    async fn answer(&self, cx: &Context, job: Job, found: Found<Written, Unwritten>) -> Result<Answer, GenerateError> {
        let (mut written, source, age, shared) = match found {
            Found::Hit { value, age } => (found_later(value), Source::Cache, Some(age), false),
            Found::Stale { value, age } => (found_later(value), Source::Stale, Some(age), false),
            Found::Loaded { value, shared } => {
                let source = value.source;
                (value, source, None, shared)
            }
            Found::Failed { error, stale } => {
                let (written, source, age) = self.fall_back(cx, &job.desk, error, stale).await?;
                (written, source, age, false)
            }
        };
        if source == Source::Stale {
            cx.notes.add(Degraded::StaleAnswer);
        }
        if age.is_some() || shared {
            job.desk.store_found(cx, &mut written).await;
        }
        let outlook = job.results.and_then(|results| {
            let text = written.caption.variants.first().map_or("", |best| &best.text);
            results.outlook(job.desk.brief.content_type, text, &job.desk.brief.language)
        });
        written.degraded.iter().for_each(|how| cx.notes.add(*how));
        let mut warnings = job.warnings;
        warnings.append(&mut written.warnings);
        Ok(Answer {
            id: written.is_stored.then_some(written.id),
            caption: written.caption,
            source,
            attempts: written.attempts,
            degraded: cx.notes.all(),
            warnings,
            age,
            outlook,
            shared,
        })
    }

    /// The rungs below the chain: an older answer to the same question, then the writers that need no network.
    async fn fall_back(
        &self,
        cx: &Context,
        desk: &Desk,
        failure: Unwritten,
        stale: Option<(Written, Duration)>,
    ) -> Result<(Written, Source, Option<Duration>), GenerateError> {
        failure.degraded.iter().for_each(|how| cx.notes.add(*how));
        // A failure that came because this reader's time was up does not know of the calls.
        let attempts = failure.attempts.max(cx.attempts.begun());
        let error = failure.error;
        // A refusal is an answer. Asking somebody else would be a way around it.
        if !desk.request.allow_fallback || error.is_final() {
            return Err(GenerateError::Provider { error, attempts });
        }
        if let Some((value, age)) = stale {
            let written = Written {
                attempts,
                ..found_later(value)
            };
            return Ok((written, Source::Stale, Some(age)));
        }
        for rung in &self.rungs {
            if let Some(written) = desk.by_rung(cx, rung, attempts).await {
                return Ok((written, rung.source, None));
            }
        }
        self.sees(&desk.request)?;
        Err(GenerateError::Provider { error, attempts })
    }
}

/// Without what belongs to the writing, whichever layer it was found in.
fn found_later(written: Written) -> Written {
    Written {
        attempts: 0,
        degraded: Vec::new(),
        warnings: Vec::new(),
        ..written
    }
}

#[cfg(test)]
mod tests;
