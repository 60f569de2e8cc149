//! The template writer: no model, only the user's own description made into a plain caption.
//!
//! It states no fact that the description does not state. Of the brief it honours description, language, tone, style,
//! audience, lengths, emoji, call to action, keywords and required words, words to avoid, disclosure, variants, seed, and
//! of the style card the casing and the usual emoji; brand tags are the engine's. The brand's voice in words, free wishes,
//! samples and temperature need a model. It does not translate: the description stands as it was written.
//!
//! Lines for every tone, style, audience and topic exist in English, Spanish, French, German, Italian and Portuguese.
//! Russian, Japanese, Korean and Chinese have a few that go with any tone, and the calls to action; in any other language
//! the caption is the description alone.
//! A caption that is to be long gets no more than four lines that state nothing: it stays shorter rather than padded.

mod angles;
mod compose;
mod emoji;
mod fronting;
mod layout;
mod lines;
mod phrases;
mod picture;
mod source;
mod subject;
mod topics;

use async_trait::async_trait;
use captions_domain::{
    context::Context,
    fault::LlmError,
    ports::{Chunk, ChunkStream, Completion, Credit, Description, Grade, LlmProvider},
    prompt::{Format, Prompt},
    reply,
};
use futures_util::{StreamExt as _, stream};

/// Changes with every change of what the same brief gives: it is part of the cache key.
const MODEL: &str = "template-4";

/// Fills the description into sentences. Instant, and the same brief always gives the same bytes, at the
/// same count of attempts.
///
/// Of several variants each has its own angle and no two are equal. There may be fewer than asked for where a
/// description can be put in fewer ways, as one short sentence in a language without endings can. A further question of
/// one request begins with other angles, and of those that are next to the same as a caption of [`Prompt::seen`] none is given as
/// long as there are others. About loss, illness or disaster nothing is added but what was asked for. Never
/// fails.
#[derive(Debug)]
pub struct TemplateWriter {
    description: Description,
}

impl TemplateWriter {
    /// A writer of this configured name.
    pub fn new(name: impl Into<String>) -> Self {
        let provider = name.into();
        Self {
            description: Description {
                model: MODEL.to_owned(),
                grade: Grade::Template,
                members: vec![provider.clone()],
                languages: None,
                seeing: Vec::new(),
                rewrites: false,
                fingerprint: format!("{provider}={MODEL}"),
                provider,
            },
        }
    }

    fn credit(&self) -> Credit {
        Credit {
            provider: self.description.provider.clone(),
            model: self.description.model.clone(),
            grade: self.description.grade,
            first_choice: true,
            usage: None,
            provider_request_id: None,
        }
    }
}

#[async_trait]
impl LlmProvider for TemplateWriter {
    async fn complete(&self, cx: &Context, prompt: &Prompt) -> Result<Completion, LlmError> {
        Ok(Completion {
            text: write(cx, prompt),
            credit: self.credit(),
        })
    }

    async fn stream(&self, cx: &Context, prompt: &Prompt) -> Result<ChunkStream, LlmError> {
        let words: Vec<String> = write(cx, prompt).split_inclusive(' ').map(str::to_owned).collect();
        let end = Chunk::End(self.credit());
        Ok(stream::iter(words.into_iter().map(Chunk::Text).chain([end]).map(Ok)).boxed())
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

fn write(cx: &Context, prompt: &Prompt) -> String {
    let brief = &prompt.brief;
    // The first call counts as 1, and as 0 where no calls are counted.
    let turn = cx.attempts.begun().saturating_sub(1);
    let turn = usize::try_from(turn).unwrap_or(0);
    match prompt.format {
        Format::Variants => reply::encode(angles::drafts(brief, brief.variants.get().into(), turn, &prompt.seen)),
        Format::Plain => angles::drafts(brief, 1, turn, &prompt.seen)
            .first()
            .map(reply::Draft::text)
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
