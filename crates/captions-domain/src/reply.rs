//! What a model answered: from its text to drafts. Tolerant of how models wrap JSON, strict about having any content.

mod draft;
mod language;
mod refusal;

use serde::Serialize;
use serde_json::Value;

pub use self::draft::{Claim, Draft, ProposedTag};
use crate::{
    fault::LlmError,
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
/// and one that is plainly in another language is unusable. The other writers speak in words of our own and the user's.
pub fn read(text: &str, prompt: &Prompt, grade: Grade) -> Result<Vec<Draft>, LlmError> {
    let is_model = grade == Grade::Standard;
    if is_model && refusal::is_refusal(&without_thoughts(text)) {
        return Err(LlmError::Refused);
    }
    let mut drafts = parse(text, prompt.format)?;
    if is_model {
        drafts.retain(|draft| !refusal::is_refusal(&draft.text()));
        if drafts.is_empty() {
            return Err(LlmError::Refused);
        }
        drafts.retain(|draft| !language::is_another(&draft.text(), &prompt.brief.language));
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
    let drafts = match format {
        // Some models answer in JSON whatever they are asked for; braces are no way to begin a caption.
        Format::Plain => match without_fence(&text) {
            json if json.starts_with('{') => {
                from_json(json).ok_or_else(|| LlmError::unusable("the answer is not the plain text asked for"))?
            }
            plain => vec![Draft::plain(plain)],
        },
        Format::Variants => {
            from_json(&text).ok_or_else(|| LlmError::unusable("the answer is not the JSON asked for"))?
        }
    };
    let drafts: Vec<_> = drafts.into_iter().filter(|draft| is_written(&draft.text())).collect();
    if drafts.is_empty() {
        return Err(LlmError::unusable("the answer holds no caption"));
    }
    Ok(drafts)
}

/// True if there is a text and it repeats nothing of the form's example, with or without its brackets.
fn is_written(text: &str) -> bool {
    let lower = text.to_lowercase();
    let repeats =
        |placeholder: &str| lower.contains(placeholder) || lower.trim() == placeholder.trim_matches(['[', ']']);
    !text.is_empty() && !prompt::PLACEHOLDERS.into_iter().any(repeats)
}

/// True if the text holds the fence of a brief: small models repeat what they were told instead of answering.
fn echoes_the_question(text: &str) -> bool {
    text.match_indices("BRIEF ").any(|(at, sign)| {
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

fn without_fence(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else {
        return text;
    };
    inner.split_once('\n').map_or(inner, |(_, body)| body).trim()
}

/// The first JSON value in the text that has the right shape: the object asked for, a bare list of drafts, or one draft.
fn from_json(text: &str) -> Option<Vec<Draft>> {
    text.match_indices(['{', '[']).take(8).find_map(|(start, _)| {
        let value = serde_json::Deserializer::from_str(&text[start..])
            .into_iter::<Value>()
            .next()?
            .ok()?;
        drafts_of(value)
    })
}

/// Only objects are drafts: serde would also read one from any list of words, such as the tags of a broken answer.
fn drafts_of(value: Value) -> Option<Vec<Draft>> {
    let listed = match value {
        Value::Object(mut fields) => match fields.remove("variants") {
            Some(Value::Array(listed)) => listed,
            Some(_) => return None,
            None => vec![Value::Object(fields)],
        },
        Value::Array(listed) => listed,
        _ => return None,
    };
    let drafts: Vec<Draft> = listed
        .into_iter()
        .filter(Value::is_object)
        .filter_map(|draft| serde_json::from_value(draft).ok())
        .collect();
    drafts.iter().any(|draft| !draft.text().is_empty()).then_some(drafts)
}

#[cfg(test)]
mod tests;
