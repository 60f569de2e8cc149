//! [`OpenAi`]: an [`LlmProvider`] on any URL that speaks the `OpenAI` chat completions format.
//!
//! Read it as a call goes: [`options`] and [`profile`] (who is called, and what it understands), `dialect` (what was
//! learned of it), `wire` (the foreign JSON), `line` (HTTP), then `sse`, `thoughts` and `stream` for answers in pieces;
//! `failure` and `wait` for answers that are none.
//!
//! It retries nothing, with two exceptions that enter the request's ledger and happen at most once each: a refused
//! parameter is renamed or left away, and a model that only thought aloud is told to write.

pub mod options;
pub mod profile;

mod dialect;
mod failure;
mod line;
mod sse;
mod stream;
mod thoughts;
mod wait;
mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use captions_domain::{
    caption::Usage,
    context::Context,
    fault::{Fault, FaultKind, LlmError},
    ports::{ChunkStream, Completion, Credit, Description, Grade, LlmProvider},
    prompt::{Prompt, Size},
};
use tracing::warn;

use self::{
    dialect::Dialect,
    failure::{Document, Failure},
    line::{Answer, Line, corrupt},
    options::OpenAiOptions,
    profile::Profile,
    thoughts::Thoughts,
    wire::{Finish, Piece},
};

/// The most characters that a token stands for when an answer is judged too long: twice what is usual in any language.
const CHARS_PER_TOKEN: usize = 8;

/// One model at one URL. Clones share the connections and what was learned.
#[derive(Clone)]
pub struct OpenAi {
    inner: Arc<Inner>,
}

struct Inner {
    description: Description,
    profile: Profile,
    size: Size,
    line: Line,
    dialect: Mutex<Dialect>,
}

impl OpenAi {
    /// Checks the options and prepares the client; no IO. Needs the process-wide TLS provider to be installed.
    ///
    /// The fault is always internal: a base URL, a header or a model name that cannot be.
    pub fn new(options: &OpenAiOptions) -> Result<Self, Fault> {
        if options.model.trim().is_empty() {
            let detail = format!("provider {}: no model is named", options.name);
            return Err(Fault::because(FaultKind::Internal, detail));
        }
        let profile = options.profile.unwrap_or_else(|| Profile::guess(&options.base_url));
        let description = Description {
            provider: options.name.clone(),
            model: options.model.clone(),
            grade: Grade::Standard,
            members: vec![options.name.clone()],
            languages: None,
            seeing: options.vision.then(|| options.name.clone()).into_iter().collect(),
            rewrites: true,
            // Without the query, which may hold a secret.
            fingerprint: format!(
                "{}={}@{}{}{}",
                options.name,
                options.model,
                options.base_url.split('?').next().unwrap_or_default(),
                match options.prompt {
                    Size::Full => "",
                    Size::Compact => "+compact",
                },
                if options.vision { "+vision" } else { "" },
            ),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                description,
                profile,
                size: options.prompt,
                line: Line::new(options, profile)?,
                dialect: Mutex::new(Dialect::new(profile.abilities(&options.model))),
            }),
        })
    }

    /// The models that the provider offers, in its order; `options.model` is not looked at.
    pub async fn models(options: &OpenAiOptions) -> Result<Vec<String>, LlmError> {
        let profile = options.profile.unwrap_or_else(|| Profile::guess(&options.base_url));
        let mut answer = match Line::new(options, profile)?.models().await? {
            Ok(answer) => answer,
            Err(failure) => return Err(failure.error()),
        };
        let document = answer.document().await?;
        if let Some(told) = Document::within(&document) {
            return Err(Failure::told(told, answer.wait()).error());
        }
        wire::models(&document).ok_or_else(|| corrupt("the answer is no list of models"))
    }
}

/// Shows what the refusals of the provider have taught since the start.
impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("provider", &self.inner.description.provider)
            .field("model", &self.inner.description.model)
            .field("profile", &self.inner.profile)
            .field("learned", &self.inner.dialect().learned())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl LlmProvider for OpenAi {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        let inner = &self.inner;
        let mut may_adapt = true;
        loop {
            let (mut answer, sent) = inner.ask(cx, prompt, false, &mut may_adapt).await?;
            let document = answer.document().await?;
            let mut said = Said::new(&answer);
            let text = said.document(&document, answer.wait())?;
            match said.judge(&text, prompt)? {
                Judged::Usable => {
                    return Ok(Completion {
                        text,
                        credit: said.credit(&inner.description),
                    });
                }
                Judged::OnlyThoughts => inner.without_thoughts(cx, &sent, &mut may_adapt)?,
            }
        }
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let mut may_adapt = true;
        let first = self.inner.ask(cx, prompt, true, &mut may_adapt).await?;
        Ok(stream::pieces(
            Arc::clone(&self.inner),
            cx.clone(),
            prompt.clone(),
            may_adapt,
            first,
        ))
    }

    fn describe(&self) -> &Description {
        &self.inner.description
    }
}

impl Inner {
    fn dialect(&self) -> Dialect {
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the prompt and says how it was worded. If a parameter or its value is refused and `may_adapt` allows it,
    /// sends it a second time without that parameter, and clears `may_adapt`.
    async fn ask(
        &self,
        cx: &Context,
        prompt: &Prompt,
        stream: bool,
        may_adapt: &mut bool,
    ) -> Result<(Answer, Dialect), LlmError> {
        let mut sent = self.dialect();
        loop {
            let body = || wire::request(&self.description.model, prompt, self.size, &sent, stream);
            // The document is many small pieces: it is written out before anything is waited for, and made anew where it is
            // looked at again, which is seldom.
            let request = self.line.request(&body(), stream);
            let failure = match self.line.send(request).await? {
                Ok(answer) => return Ok((answer, sent)),
                Err(failure) => failure,
            };
            let complaints = failure.complaints(&body());
            // Learned in any case, for the next request.
            self.learn(|dialect| {
                for complaint in complaints.iter().filter(|complaint| complaint.for_good) {
                    dialect.yield_to(complaint.about, &sent);
                }
            });
            let again = !complaints.is_empty() && *may_adapt && cx.attempts.begin();
            if !again {
                return Err(failure.error());
            }
            *may_adapt = false;
            sent = self.dialect().for_one_call(&complaints, &sent);
        }
    }

    /// Changes how the provider is spoken to, and logs it if that is news.
    fn learn(&self, lesson: impl FnOnce(&mut Dialect)) {
        let mut dialect = self.dialect.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *dialect;
        lesson(&mut dialect);
        let after = *dialect;
        drop(dialect);
        if after != before {
            warn!(
                provider = self.description.provider,
                model = self.description.model,
                learned = after.learned().join("; "),
                "this provider is asked another way from now on"
            );
        }
    }

    /// Prepares the second call for a model that only thought aloud; an error if there can be none.
    fn without_thoughts(&self, cx: &Context, sent: &Dialect, may_adapt: &mut bool) -> Result<(), LlmError> {
        let mut can = false;
        self.learn(|dialect| can = dialect.stop_thinking(sent));
        if !can || !cx.attempts.begin() {
            return Err(LlmError::unusable("the model thought and wrote nothing"));
        }
        // Should the switch be refused, asking without it would only end here again.
        *may_adapt = false;
        Ok(())
    }
}

/// What a provider has said so far in one answer.
#[derive(Debug, Default)]
struct Said {
    thoughts: Thoughts,
    thought: bool,
    refused: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
    request_id: Option<String>,
}

enum Judged {
    Usable,
    /// Empty, and the model thought: worth one more call.
    OnlyThoughts,
}

impl Said {
    fn new(answer: &Answer) -> Self {
        Self {
            request_id: answer.request_id(),
            ..Self::default()
        }
    }

    /// Takes in a whole completion and returns its text. A provider that says no reason for its end is believed that
    /// the document is whole: JSON that ends early does not parse.
    fn document(
        &mut self,
        document: &serde_json::Value,
        wait: Option<std::time::Duration>,
    ) -> Result<String, LlmError> {
        if let Some(told) = Document::within(document) {
            return Err(Failure::told(told, wait).error());
        }
        let piece = Piece::read(document).ok_or_else(|| corrupt("the answer is no completion"))?;
        if !piece.has_choice {
            return Err(LlmError::unusable("the answer holds no choice"));
        }
        let mut text = self.take(piece);
        text.push_str(&self.thoughts.finish());
        self.finish.get_or_insert(Finish::Stop);
        Ok(text)
    }

    /// Takes in a piece and returns the text that can be passed on.
    fn take(&mut self, piece: Piece) -> String {
        self.thought |= piece.thought;
        self.refused |= piece.refused;
        self.finish = piece.finish.or(self.finish);
        self.usage = piece.usage.or(self.usage);
        if self.request_id.is_none() {
            self.request_id = piece.id;
        }
        self.thoughts.pass(&piece.text)
    }

    /// Whether `text`, all that was passed on, is an answer.
    fn judge(&self, text: &str, prompt: &Prompt) -> Result<Judged, LlmError> {
        if self.refused || self.finish == Some(Finish::Filtered) {
            return Err(LlmError::Refused);
        }
        let Some(finish) = self.finish else {
            return Err(Fault::because(FaultKind::Unavailable, "the stream was cut off").into());
        };
        if finish == Finish::Error {
            return Err(Fault::because(FaultKind::Unavailable, "the provider broke off").into());
        }
        if text.trim().is_empty() {
            return if self.thought || self.thoughts.seen {
                Ok(Judged::OnlyThoughts)
            } else {
                Err(LlmError::unusable("the answer is empty"))
            };
        }
        if finish == Finish::Length {
            return Err(LlmError::unusable("the answer was cut off at the token limit"));
        }
        is_within_bounds(text.chars().count(), prompt)?;
        Ok(Judged::Usable)
    }

    fn credit(&self, description: &Description) -> Credit {
        Credit {
            provider: description.provider.clone(),
            model: description.model.clone(),
            grade: description.grade,
            first_choice: true,
            usage: self.usage,
            provider_request_id: self.request_id.clone(),
        }
    }
}

/// Some servers ignore the token limit, so it is enforced here too, with room to spare.
fn is_within_bounds(characters: usize, prompt: &Prompt) -> Result<(), LlmError> {
    let limit = usize::try_from(prompt.max_tokens)
        .unwrap_or(usize::MAX)
        .saturating_mul(CHARS_PER_TOKEN);
    if characters > limit {
        return Err(LlmError::unusable("the answer is far longer than it may be"));
    }
    Ok(())
}
