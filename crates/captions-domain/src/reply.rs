//! What a model answered: from its text to drafts. Tolerant of how models wrap JSON, strict about having any content.

mod draft;
mod forms;
mod json;
pub(crate) mod language;
mod leak;
mod refusal;

use serde::Serialize;

pub use self::draft::{Draft, ProposedTag};
pub(crate) use self::forms::holds_form;
use self::leak::Secrets;
use crate::{
    fault::LlmError,
    polish::{self, given_text},
    ports::Grade,
    prompt::{self, Format, Prompt},
};

#[derive(Serialize)]
struct Reply {
    variants: Vec<Draft>,
}

/// The text of a [`Format::Variants`] answer, for writers that make their drafts without a model's JSON.
pub fn encode(drafts: Vec<Draft>) -> String {
    serde_json::to_string(&Reply { variants: drafts }).unwrap_or_default()
}

/// Reads the answer to a prompt by a writer of this grade. Never empty.
///
/// Of a language model, an answer that declines in prose is a refusal of the content like one that its provider declares,
/// and one that is plainly in another language is unusable, as is one that tells what the model was told. The other
/// writers speak in words of our own and the user's.
pub fn read(text: &str, prompt: &Prompt, grade: Grade) -> Result<Vec<Draft>, LlmError> {
    let is_model = grade == Grade::Standard;
    if is_model && refusal::is_refusal(&without_thoughts(text)) {
        return Err(LlmError::Refused);
    }
    let mut drafts = parse(text, prompt.format)?;
    if is_model && prompt.markers().any(|marker| text.contains(marker)) {
        return Err(LlmError::unusable("the answer repeats the question"));
    }
    if is_model {
        drafts.retain(|draft| !refusal::is_refusal(&draft.text()));
        if drafts.is_empty() {
            return Err(LlmError::Refused);
        }
    }
    if grade != Grade::Template {
        let secrets = Secrets::of(prompt);
        drafts.retain(|draft| !secrets.are_told_in(&draft.text()));
        if drafts.is_empty() {
            return Err(LlmError::unusable("the answer tells what the model was told"));
        }
        for draft in &mut drafts {
            let (tags, has_alt) = (draft.hashtags.len(), draft.alt_text.is_some());
            draft.alt_text.take_if(|text| secrets.are_told_in(text));
            draft.hashtags.retain(|proposed| !secrets.are_told_in(&proposed.tag));
            let is_told = secrets.are_told_in(&draft.angle);
            if is_told {
                draft.angle.clear();
            }
            if is_told || draft.hashtags.len() < tags || has_alt != draft.alt_text.is_some() {
                draft
                    .repairs
                    .push("removed what the model was told from beside the text");
            }
        }
    }
    if is_model {
        drafts.retain(|draft| !speaks_of_the_form(&draft.text(), prompt));
        if drafts.is_empty() {
            return Err(LlmError::unusable(
                "the answer is about its form and not about the post",
            ));
        }
        let (wanted, given) = (&prompt.brief.language, given_text(&prompt.brief));
        drafts.retain(|draft| {
            let text = draft.text();
            !language::is_another(&text, wanted) && !language::is_all_switched(&text, wanted, &given)
        });
        if drafts.is_empty() {
            return Err(LlmError::unusable("the answer is in another language than asked for"));
        }
    }
    Ok(drafts)
}

/// Reads an answer of the given form. Never empty; [`LlmError::Unusable`] says what is wrong, without quoting it.
pub fn parse(text: &str, format: Format) -> Result<Vec<Draft>, LlmError> {
    let text = without_thoughts(text);
    if text.trim().is_empty() {
        return Err(LlmError::unusable("the answer is empty"));
    }
    if echoes_the_question(&text) {
        return Err(LlmError::unusable("the answer repeats the question"));
    }
    let not_asked_for = || LlmError::unusable("the answer is not the plain text asked for");
    let found = match format {
        // Some models answer in JSON whatever they are asked for; braces are no way to begin a caption.
        Format::Plain => {
            let plain = out_of_fence(&text);
            if plain.starts_with('{') || holds_form(plain) || holds_form(&text) {
                some(forms::drafts(&text)).ok_or_else(not_asked_for)?
            } else {
                vec![Draft::plain(plain)]
            }
        }
        Format::Variants => {
            some(forms::drafts(&text)).ok_or_else(|| LlmError::unusable("the answer is not the JSON asked for"))?
        }
    };
    let is_caption = |draft: &Draft| {
        let text = draft.text();
        is_written(&text) && !(forms::may_hold_form(&text) && holds_form(&polish::plain(&text)))
    };
    let drafts: Vec<_> = found.into_iter().filter(is_caption).collect();
    if drafts.is_empty() {
        return Err(LlmError::unusable("the answer holds no caption"));
    }
    Ok(drafts)
}

/// What the form's example calls its parts.
const PARTS_OF_THE_FORM: [&str; 3] = ["first sentence", "may be empty", "call to action"];

/// True if a caption has words of the form's example that nothing in the brief has: small models write about the form
/// instead of the post.
fn speaks_of_the_form(text: &str, prompt: &Prompt) -> bool {
    let (text, given) = (text.to_lowercase(), given_text(&prompt.brief).to_lowercase());
    PARTS_OF_THE_FORM
        .iter()
        .any(|words| text.contains(words) && !given.contains(words))
}

/// True if there is a text and it repeats nothing of the form's example, with or without its brackets.
fn is_written(text: &str) -> bool {
    let lower = text.to_lowercase();
    // The longer ones are nobody's words with their "or null"; "the first sentence" may be.
    let repeats = |placeholder: &str| {
        let words = placeholder.trim_matches(['[', ']']);
        lower.contains(placeholder) || lower.trim() == words || (words.contains(',') && lower.contains(words))
    };
    !text.is_empty() && !prompt::PLACEHOLDERS.into_iter().any(repeats)
}

/// True if the text holds the fence of a brief: small models repeat what they were told instead of answering.
fn echoes_the_question(text: &str) -> bool {
    let signs = ["BRIEF ", "END "].into_iter().flat_map(|sign| text.match_indices(sign));
    signs.into_iter().any(|(at, sign)| {
        let marker = text[at + sign.len()..].chars().take(prompt::MARKER_LENGTH);
        marker.filter(char::is_ascii_hexdigit).count() == prompt::MARKER_LENGTH
    })
}

/// Drops what reasoning models think aloud.
fn without_thoughts(text: &str) -> String {
    match (text.find("<think>"), text.rfind("</think>")) {
        (Some(start), Some(end)) if start < end => format!("{}{}", &text[..start], &text[end + "</think>".len()..]),
        (None, Some(end)) => text[end + "</think>".len()..].to_owned(),
        // Still thinking when it stopped.
        (Some(start), _) => text[..start].to_owned(),
        (None, None) => text.to_owned(),
    }
}

fn some(drafts: Vec<Draft>) -> Option<Vec<Draft>> {
    (!drafts.is_empty()).then_some(drafts)
}

/// What stands in the one fence of an answer; all of it if there is none or more than one.
fn out_of_fence(text: &str) -> &str {
    let text = text.trim();
    let mut pieces = text.split("```");
    let (Some(_), Some(inner), Some(_), None) = (pieces.next(), pieces.next(), pieces.next(), pieces.next()) else {
        return text;
    };
    let inner = inner.split_once('\n').map_or(inner, |(_, body)| body).trim();
    if inner.is_empty() { text } else { inner }
}

#[cfg(test)]
mod tests;
