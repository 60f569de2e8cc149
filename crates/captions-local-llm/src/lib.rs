//! A language model inside this process, for whoever has no key and no server.
//!
//! The model has 135 million parameters. Left alone it invents things, so it never writes freely: it chooses among
//! harmless words and the words of the description, several times over, and the best text wins. What comes out is
//! plain, safe and near the description, and is labelled [`Grade::Basic`].
//! English only, one or two sentences whatever length was asked for. Style, audience, brand voice and free instructions
//! have no effect here; the tone chooses the examples that the model reads first.
//!
//! One thread owns the model and works through a short queue; a full queue is told at once. The model file is fetched
//! beforehand with [`model::pull`]; nothing here fetches it unasked.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use captions_domain::{
    caption::Usage,
    choice::Tone,
    context::Context,
    fault::{Fault, FaultKind, LlmError, Rejection},
    ports::{Chunk, ChunkStream, Completion, Credit, Description, Grade, LlmProvider},
    prompt::{Format, Prompt},
    reply,
};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

mod copy;
mod dress;
mod exemplars;
mod grammar;
mod infer;
mod lane;
mod lexicon;
pub mod model;
mod sampler;
mod tokens;
mod words;
mod worker;
mod write;

#[doc(hidden)]
pub use infer::{Steps, steps};
pub use model::{ModelError, ModelFiles, Progress, locate, pull};
use worker::{Job, Order, Report, Work, Worker};

/// The languages that the model can write.
const LANGUAGES: &[&str] = &["en"];

/// How the local model works.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The provider's name, shown to callers.
    pub name: String,
    pub files: ModelFiles,
    /// Calls that may wait while one is being worked on.
    pub queue: usize,
    /// Texts written for each caption, of which the best is kept; about a third of a second each. More are written where
    /// more variants are asked for. At least 1.
    pub candidates: u32,
    /// Tokens after which a text is cut off, 8 or more.
    pub max_tokens: u32,
}

impl LocalOptions {
    /// The defaults: `local-smollm2`, a queue of 8, 4 candidates of at most 40 tokens.
    pub fn new(files: ModelFiles) -> Self {
        Self {
            name: "local-smollm2".to_owned(),
            files,
            queue: 8,
            candidates: 4,
            max_tokens: 40,
        }
    }
}

/// The local model as a provider.
pub struct LocalLlm {
    description: Description,
    worker: Worker,
    candidates: u32,
    max_tokens: u32,
}

impl LocalLlm {
    /// Starts the model's thread. The file is opened at the first call; until it is there, calls fail as
    /// [`FaultKind::Unavailable`] with a [`ModelError`] as cause. The thread ends soon after this value is dropped.
    ///
    /// Fails only if the system refuses a further thread.
    pub fn start(options: LocalOptions) -> std::io::Result<Self> {
        let LocalOptions {
            name,
            files,
            queue,
            candidates,
            max_tokens,
        } = options;
        let (candidates, max_tokens) = (candidates.max(1), max_tokens.max(8));
        let facts = files.facts;
        Ok(Self {
            description: Description {
                provider: name.clone(),
                model: facts.model.to_owned(),
                grade: Grade::Basic,
                members: vec![name],
                languages: Some(LANGUAGES),
                seeing: Vec::new(),
                rewrites: false,
                fingerprint: format!(
                    "{} w{} n{candidates} t{max_tokens}",
                    facts.sha256.get(..12).unwrap_or(facts.sha256),
                    lexicon::VERSION
                ),
            },
            worker: Worker::start(files, queue)?,
            candidates,
            max_tokens,
        })
    }

    /// Loads the model and reads the examples of the default tone now, so that the first caption does not wait for it.
    pub async fn warm(&self, deadline: Instant) -> Result<(), LlmError> {
        let (reply, mut reports) = unbounded_channel();
        self.worker.ask(Job {
            work: Work::Warm(Tone::default()),
            deadline,
            reply,
        })?;
        while let Some(report) = reports.recv().await {
            if let Report::Warm(result) = report {
                return result;
            }
        }
        Err(ended().into())
    }

    fn ask(&self, cx: &Context, prompt: &Prompt) -> Result<UnboundedReceiver<Report>, LlmError> {
        let brief = &prompt.brief;
        if !self.description.writes(&brief.language) {
            return Err(LlmError::Rejected {
                kind: Rejection::Request,
                detail: format!(
                    "the local model writes English only, not {}",
                    brief.language.english_name()
                ),
            });
        }
        let variants = match prompt.format {
            Format::Variants => u32::from(brief.variants.get()),
            Format::Plain => 1,
        };
        // Fresh ids end in random bits, so a request without a seed gets a new caption each time.
        let seed = brief
            .seed
            .unwrap_or_else(|| cx.fresh_id.as_u64_pair().0 ^ cx.fresh_id.as_u64_pair().1);
        let seed = seed_of_attempt(seed, cx.attempts.begun());
        let (reply, reports) = unbounded_channel();
        self.worker.ask(Job {
            work: Work::Write(Box::new(Order {
                brief: brief.clone(),
                temperature: prompt.temperature,
                seed,
                candidates: self.candidates.max(variants + variants / 2),
                max_tokens: self.max_tokens,
            })),
            deadline: cx.deadline,
            reply,
        })?;
        Ok(reports)
    }

    fn credit(&self, usage: Usage) -> Credit {
        Credit {
            provider: self.description.provider.clone(),
            model: self.description.model.clone(),
            grade: Grade::Basic,
            first_choice: true,
            usage: Some(usage),
            provider_request_id: None,
        }
    }
}

/// A further question of one request gives other candidates; the same seed and attempt always give the same ones. The
/// first call counts as 1, and as 0 where no calls are counted.
fn seed_of_attempt(seed: u64, begun: u32) -> u64 {
    seed.wrapping_add(u64::from(begun.saturating_sub(1)).wrapping_mul(0xD1B5_4A32_D192_ED03))
}

fn ended() -> Fault {
    Fault::because(FaultKind::Internal, "the local model gave no answer")
}

/// The drafts of an answer, best first, each with a first sentence of its own as far as there are enough.
fn drafts(prompt: &Prompt, frame: &dress::Frame, written: &write::Written) -> Vec<reply::Draft> {
    let wanted = match prompt.format {
        Format::Variants => usize::from(prompt.brief.variants.get()),
        Format::Plain => 1,
    };
    let mut hooks = Vec::new();
    let (fresh, repeated): (Vec<_>, Vec<_>) = written.candidates.iter().partition(|candidate| {
        let is_fresh = !hooks.contains(&&candidate.first);
        hooks.push(&candidate.first);
        is_fresh
    });
    fresh
        .into_iter()
        .chain(repeated)
        .take(wanted)
        .enumerate()
        .map(|(number, candidate)| frame.dress(candidate, &prompt.brief, number))
        .collect()
}

#[async_trait]
impl LlmProvider for LocalLlm {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let mut reports = self.ask(cx, prompt)?;
        while let Some(report) = reports.recv().await {
            if let Report::Written(result) = report {
                let (frame, written) = result?;
                let drafts = drafts(prompt, &frame, &written);
                return Ok(Completion {
                    text: match prompt.format {
                        Format::Variants => reply::encode(drafts),
                        Format::Plain => drafts.first().map(reply::Draft::text).unwrap_or_default(),
                    },
                    credit: self.credit(written.usage),
                });
            }
        }
        Err(ended().into())
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let reports = self.ask(cx, prompt)?;
        let prompt = Arc::new(prompt.clone());
        let credit = self.credit(Usage::default());
        let pieces = stream::unfold(Some(reports), move |reports| {
            let (prompt, credit) = (Arc::clone(&prompt), credit.clone());
            async move {
                let mut reports = reports?;
                let chunks = match reports.recv().await {
                    Some(Report::Progress { done, of }) => {
                        return Some((vec![Ok(Chunk::Progress { done, of })], Some(reports)));
                    }
                    Some(Report::Written(Ok((frame, written)))) => {
                        let drafts = drafts(&prompt, &frame, &written);
                        let text = match prompt.format {
                            Format::Variants => reply::encode(drafts),
                            Format::Plain => drafts.first().map(reply::Draft::text).unwrap_or_default(),
                        };
                        let words = text.split_inclusive(' ').map(|word| Ok(Chunk::Text(word.to_owned())));
                        words
                            .chain([Ok(Chunk::End(Credit {
                                usage: Some(written.usage),
                                ..credit
                            }))])
                            .collect()
                    }
                    Some(Report::Written(Err(error)) | Report::Warm(Err(error))) => vec![Err(error)],
                    Some(Report::Warm(Ok(()))) | None => vec![Err(ended().into())],
                };
                Some((chunks, None))
            }
        });
        Ok(pieces.flat_map(stream::iter).boxed())
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

#[cfg(test)]
mod tests;
