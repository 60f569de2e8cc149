//! The walk of a request: preferences, look-up, writing, checking, keeping. Decides what to do when a part fails.
//!
//! A fault of a store or of the cache never costs the caller the caption: the engine goes on without it and says so in
//! [`Answer::degraded`] or [`Answer::warnings`]. Retries, time-outs and failover between providers are not decided here:
//! the ports are handed in already guarded.

use std::{sync::Arc, time::Duration};

use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{
    brief::Brief,
    caption::{Answer, Caption, CaptionId, Degraded, Record, Source, Variant, Warning},
    check::Violation,
    choice::{CacheUse, nearest},
    context::Context,
    fault::LlmError,
    key::caption_key,
    platform::RULES_AS_OF,
    polish::polish,
    ports::{Cache, CacheExt, CacheKey, CaptionStore, Completion, Credit, LlmProvider, UserStore},
    prompt::{self, Format, Prompt},
    reply,
    request::{CaptionRequest, Invalid},
    user::Preferences,
};

mod stream;

/// How long a caption of a later provider, or too few variants, are served: the first one gets its chance again soon.
const SECOND_BEST_TTL: Duration = Duration::from_secs(30);

/// What the provider chain leaves of the request's time for what stands below it: a silent provider must not use up the
/// time in which a stale caption or a template could still be given.
const FALLBACK_RESERVE: Duration = Duration::from_millis(250);

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

/// What is cached: content only, never the request that made it.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// Its id in the history, if it was stored.
    id: Option<CaptionId>,
    /// Seconds for which it is a hit; later it is stale.
    fresh_for: u64,
    caption: Caption,
}

/// A request on its way.
struct Job<'a> {
    request: &'a CaptionRequest,
    brief: Brief,
    key: CacheKey,
    warnings: Vec<Warning>,
    degraded: Vec<Degraded>,
    stale: Option<(Entry, Duration)>,
}

impl Job<'_> {
    fn degrade(&mut self, how: Degraded) {
        if !self.degraded.contains(&how) {
            self.degraded.push(how);
        }
    }
}

impl Engine {
    /// Answers one request.
    pub async fn generate(&self, cx: &Context, request: &CaptionRequest) -> Result<Answer, GenerateError> {
        let mut job = self.prepare(cx, request).await?;
        if let Some(answer) = self.look_up(cx, &mut job).await {
            return Ok(answer);
        }
        match write(&self.time_of_the_chain(cx, request), &job.brief, request, &*self.llm).await {
            Ok((variants, credit)) => Ok(self.keep(cx, job, variants, credit, Source::Provider).await),
            Err(error) => self.fall_back(cx, job, error).await,
        }
    }

    /// The context of calls to the chain: they end early where something may still answer after them.
    fn time_of_the_chain(&self, cx: &Context, request: &CaptionRequest) -> Context {
        let has_more = request.allow_fallback && (!self.rungs.is_empty() || !self.options.stale_ttl.is_zero());
        match cx.deadline.checked_sub(FALLBACK_RESERVE) {
            Some(deadline) if has_more => cx.until(deadline),
            _ => cx.clone(),
        }
    }

    /// Preferences, then the brief and the key that both make.
    async fn prepare<'a>(&self, cx: &Context, request: &'a CaptionRequest) -> Result<Job<'a>, GenerateError> {
        let chain = self.llm.describe();
        if let Some(name) = &request.provider
            && !chain.members.iter().any(|member| member == name.as_str())
        {
            let known = chain.members.join(", ");
            let mut invalid =
                Invalid::new("unknown_choice", format!("no provider is named so; there is {known}")).at("/provider");
            invalid.nearest = nearest(name.as_str(), chain.members.iter().map(String::as_str)).map(Into::into);
            return Err(GenerateError::Invalid(invalid));
        }
        let mut degraded = Vec::new();
        let mut known = None;
        if let Some(user) = &request.user {
            match self.users.preferences(cx, user).await {
                // Nobody has to be registered to get a caption.
                Ok(found) => known = found,
                Err(_) => degraded.push(Degraded::PreferencesDefault),
            }
        }
        let (brief, warnings) = match &known {
            Some(preferences) => Brief::resolve(request, preferences),
            None => Brief::resolve(request, &Preferences::default()),
        };
        let key = caption_key(
            &cx.tenant,
            request.user.as_ref(),
            known.as_ref(),
            &brief,
            request.provider.as_ref(),
            &chain.fingerprint,
        );
        Ok(Job {
            request,
            brief,
            key,
            warnings,
            degraded,
            stale: None,
        })
    }

    /// A fresh cached answer; one that is stale, or to be replaced, is put aside in the job for want of a better one.
    async fn look_up(&self, cx: &Context, job: &mut Job<'_>) -> Option<Answer> {
        if job.request.cache == CacheUse::Bypass {
            return None;
        }
        let (entry, age) = match self.cache.get_as::<Entry>(cx, &job.key).await {
            Ok(found) => found?,
            Err(fault) => {
                // What cannot be read is a miss, and no sign of an outage: the next put replaces it.
                if fault.kind != crate::fault::FaultKind::Corrupt {
                    job.degrade(Degraded::CacheUnavailable);
                }
                return None;
            }
        };
        if entry.caption.variants.is_empty() {
            return None;
        }
        if age.as_secs() >= entry.fresh_for || job.request.cache == CacheUse::Refresh {
            // Where no stale answers are wanted, an entry that is to be replaced is none either.
            job.stale = (!self.options.stale_ttl.is_zero()).then_some((entry, age));
            return None;
        }
        Some(Answer {
            id: entry.id,
            caption: entry.caption,
            source: Source::Cache,
            attempts: 0,
            degraded: std::mem::take(&mut job.degraded),
            warnings: std::mem::take(&mut job.warnings),
            age: Some(age),
        })
    }

    /// The rungs below the chain: an older answer to the same question, then the writers that need no network.
    async fn fall_back(&self, cx: &Context, mut job: Job<'_>, error: LlmError) -> Result<Answer, GenerateError> {
        let attempts = cx.attempts.begun();
        // A refusal is an answer. Asking somebody else would be a way around it.
        if !job.request.allow_fallback || matches!(error, LlmError::Refused) {
            return Err(GenerateError::Provider { error, attempts });
        }
        if let Some((entry, age)) = job.stale.take() {
            job.degrade(Degraded::StaleAnswer);
            return Ok(Answer {
                id: entry.id,
                caption: entry.caption,
                source: Source::Stale,
                attempts,
                degraded: job.degraded,
                warnings: job.warnings,
                age: Some(age),
            });
        }
        for rung in &self.rungs {
            if !rung.llm.describe().writes(&job.brief.language) {
                continue;
            }
            if let Ok((variants, credit)) = write(cx, &job.brief, job.request, &*rung.llm).await {
                job.degrade(if rung.source == Source::Local {
                    Degraded::LocalFallback
                } else {
                    Degraded::TemplateFallback
                });
                return Ok(self.keep(cx, job, variants, credit, rung.source).await);
            }
        }
        Err(GenerateError::Provider { error, attempts })
    }

    /// Stores and caches what was written, as far as was asked, and wraps it up.
    async fn keep(
        &self,
        cx: &Context,
        mut job: Job<'_>,
        variants: Vec<Variant>,
        credit: Credit,
        source: Source,
    ) -> Answer {
        let wanted = usize::from(job.request.variants.get());
        // About the content, so it stays with it; what the request itself caused is the request's alone.
        let mut content_warnings = Vec::new();
        let complete = variants.len() >= wanted;
        if !complete {
            content_warnings.push(Warning::new(
                "fewer_variants",
                format!(
                    "{wanted} captions were asked for, {} different ones were written",
                    variants.len()
                ),
            ));
        }
        if source == Source::Provider && !credit.first_choice {
            job.degrade(Degraded::FallbackProvider);
        }
        let publishable = variants.iter().all(|variant| variant.publishable);
        let caption = Caption {
            variants,
            platform: job.brief.platform,
            language: job.brief.language.clone(),
            provider: credit.provider,
            model: credit.model,
            grade: credit.grade.as_str().to_owned(),
            provider_request_id: credit.provider_request_id,
            usage: credit.usage,
            created_at: cx.now,
            rules_as_of: RULES_AS_OF.to_owned(),
            warnings: content_warnings,
        };
        let attempts = cx.attempts.begun();
        let mut answer = Answer {
            id: None,
            caption,
            source,
            attempts,
            degraded: Vec::new(),
            warnings: std::mem::take(&mut job.warnings),
            age: None,
        };
        if job.request.store {
            let record = Record {
                id: CaptionId(cx.fresh_id),
                request_id: cx.request_id.to_string(),
                user: job.request.user.clone(),
                campaign: job.request.campaign.clone(),
                description: job.request.description.clone(),
                caption: answer.caption.clone(),
                source,
                attempts,
                degraded: job.degraded.clone(),
                feedback: None,
            };
            match self.captions.append(cx, &record).await {
                Ok(()) => answer.id = Some(record.id),
                Err(_) => answer.warnings.push(Warning::new(
                    "not_stored",
                    "the history could not be written; this answer is the only copy",
                )),
            }
        }
        let is_best = credit.first_choice && complete;
        let ttl = match (source, is_best) {
            (Source::Provider, true) => self.options.caption_ttl,
            (Source::Provider, false) => SECOND_BEST_TTL.min(self.options.caption_ttl),
            _ => Duration::ZERO,
        };
        if publishable && job.request.cache != CacheUse::Bypass && !ttl.is_zero() {
            let entry = Entry {
                id: answer.id,
                fresh_for: ttl.as_secs(),
                caption: answer.caption,
            };
            // Kept in each case: it replaces what could have been served as stale before.
            let kept_for = ttl + self.options.stale_ttl;
            if self.cache.put_as(cx, &job.key, &entry, kept_for).await.is_err() {
                job.degrade(Degraded::CacheUnavailable);
            }
            answer.caption = entry.caption;
        }
        answer.degraded = job.degraded;
        answer
    }
}

/// Has one writer write, and checks what it wrote. An answer that cannot be used, or that no rule could mend, is asked
/// for once more; whether there is time and budget for that, the guarded port decides.
async fn write(
    cx: &Context,
    brief: &Brief,
    request: &CaptionRequest,
    llm: &dyn LlmProvider,
) -> Result<(Vec<Variant>, Credit), LlmError> {
    let prompt = prompt::render(brief, Format::Variants, request.provider.clone());
    match ask(cx, &prompt, llm).await {
        Ok((variants, credit)) if variants.iter().any(|variant| variant.publishable) => Ok((variants, credit)),
        Ok((variants, credit)) => {
            let again = prompt::ask_again(&prompt, broken_rules(&variants));
            match ask(cx, &again, llm).await {
                Ok((better, second)) if better.iter().any(|variant| variant.publishable) => {
                    Ok((better, second.after(&credit)))
                }
                // Still broken, or no second answer: the first one is kept and says that it is not publishable.
                Ok((_, second)) => Ok((variants, second.after(&credit))),
                Err(_) => Ok((variants, credit)),
            }
        }
        Err(LlmError::Unusable { detail }) => {
            // A model that cannot keep to a form may still write a plain caption.
            let simpler = if brief.variants.get() == 1 {
                prompt::render(brief, Format::Plain, request.provider.clone())
            } else {
                prompt
            };
            ask(cx, &simpler, llm).await.map_err(|second| match second {
                LlmError::Refused => second,
                _ => LlmError::Unusable { detail },
            })
        }
        Err(error) => Err(error),
    }
}

/// One question, its answer checked, mended and scored, best first.
async fn ask(cx: &Context, prompt: &Prompt, llm: &dyn LlmProvider) -> Result<(Vec<Variant>, Credit), LlmError> {
    let Completion { text, credit } = llm.complete(cx, prompt).await?;
    let mut drafts = reply::read(&text, prompt, credit.grade)?;
    // A few more than were asked for make up for duplicates; a flood of them is not worth the time.
    drafts.truncate(2 * usize::from(prompt.brief.variants.get()));
    let variants = rank(
        drafts.iter().map(|draft| polish(draft, &prompt.brief)).collect(),
        &prompt.brief,
    );
    if variants.is_empty() {
        return Err(LlmError::unusable("nothing is left of the answer after the rules"));
    }
    Ok((variants, credit))
}

/// Publishable ones first, then by score; without duplicates, at most as many as were asked for.
fn rank(mut variants: Vec<Variant>, brief: &Brief) -> Vec<Variant> {
    variants.retain(|variant| !variant.caption.trim().is_empty());
    variants.sort_by(|a, b| {
        b.publishable
            .cmp(&a.publishable)
            .then(b.quality.score.total_cmp(&a.quality.score))
    });
    let mut kept: Vec<Variant> = Vec::new();
    for variant in variants {
        if kept.iter().all(|other| !is_same_text(&other.caption, &variant.caption)) {
            kept.push(variant);
        }
    }
    kept.truncate(brief.variants.get().into());
    kept
}

/// The same words in the same order, whatever case, signs and emoji.
fn is_same_text(a: &str, b: &str) -> bool {
    crate::text::words(a)
        .map(str::to_lowercase)
        .eq(crate::text::words(b).map(str::to_lowercase))
}

fn broken_rules(variants: &[Variant]) -> &[Violation] {
    variants.first().map_or(&[], |variant| &variant.violations)
}

#[cfg(test)]
mod tests;
