//! The foreign JSON: requests, completions, chunks and model lists. Nothing of it leaves this crate.
//!
//! Answers are read leniently, field by field: a provider that adds, omits or retypes a field that we do not need must
//! not cost a caption.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use captions_domain::{
    caption::Usage,
    image::Shown,
    prompt::{Format, Prompt, Size, variants_schema},
};
use serde_json::{Map, Value, json};

use crate::{
    dialect::Dialect,
    profile::{Structure, ThinkingSwitch},
};

/// Tokens granted on top to models whose thoughts count against the limit.
const ROOM_FOR_THOUGHTS: u32 = 4096;

/// The body of a request, with as few fields as possible.
pub(crate) fn request(model: &str, prompt: &Prompt, size: Size, dialect: &Dialect, stream: bool) -> Value {
    let abilities = &dialect.now;
    let (system, user, max_tokens) = prompt.words(size);
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    set("model", model.into());
    set(
        "messages",
        json!([{"role": "system", "content": system}, {"role": "user", "content": said(prompt, user)}]),
    );
    if let Some(field) = abilities.token_limit.field() {
        let room = if abilities.thinks { ROOM_FOR_THOUGHTS } else { 0 };
        set(field, max_tokens.saturating_add(room).into());
    }
    if abilities.temperature {
        set("temperature", short(prompt.temperature));
    }
    if let (Some(field), Some(seed)) = (abilities.seed, prompt.brief.seed) {
        set(field, narrow(seed).into());
    }
    if stream {
        set("stream", true.into());
        if abilities.stream_usage {
            set("stream_options", json!({"include_usage": true}));
        }
    } else if prompt.format == Format::Variants {
        match abilities.structure {
            Structure::Schema => set(
                "response_format",
                json!({"type": "json_schema", "json_schema": {
                    "name": "captions", "strict": true, "schema": variants_schema(prompt.shape(size)),
                }}),
            ),
            Structure::Object => set("response_format", json!({"type": "json_object"})),
            Structure::Prompt => {}
        }
    }
    if abilities.thinking_off {
        match abilities.thinking_switch {
            ThinkingSwitch::Effort => set("reasoning_effort", "none".into()),
            ThinkingSwitch::TemplateArgument => set("chat_template_kwargs", json!({"enable_thinking": false})),
            ThinkingSwitch::Object => set("reasoning", json!({"enabled": false})),
            ThinkingSwitch::Missing => {}
        }
    }
    if abilities.store_off {
        set("store", false.into());
    }
    Value::Object(body)
}

/// What the user says: the text, and the picture beside it where there is one.
fn said(prompt: &Prompt, user: &str) -> Value {
    let Some(image) = &prompt.brief.image else {
        return user.into();
    };
    let url = match image.shown() {
        Shown::Address(url) => url.to_owned(),
        Shown::Bytes { media_type, bytes } => {
            let mut url = format!("data:{};base64,", media_type.as_str());
            STANDARD.encode_string(bytes, &mut url);
            url
        }
    };
    json!([{"type": "text", "text": user}, {"type": "image_url", "image_url": {"url": url}}])
}

/// The number as people write it: 0.9, not 0.8999999761581421.
fn short(number: f32) -> Value {
    let text = number.to_string();
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

/// Many servers read the seed as a signed number of 32 bits; smaller seeds go through unchanged.
fn narrow(seed: u64) -> u64 {
    const MAX: u64 = i32::MAX as u64;
    if seed <= MAX { seed } else { (seed ^ (seed >> 32)) & MAX }
}

/// How a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    /// The token limit cut it.
    Length,
    /// The content filter stopped it.
    Filtered,
    /// The provider broke off.
    Error,
}

/// A completion, or a piece of one: both forms carry the same things.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// The model thought aloud, outside its text.
    pub(crate) thought: bool,
    pub(crate) refused: bool,
    pub(crate) finish: Option<Finish>,
    pub(crate) usage: Option<Usage>,
    pub(crate) id: Option<String>,
    /// There was a choice in it. Without one it is only about the call: the usage at the end, the filter at the start.
    pub(crate) has_choice: bool,
}

impl Piece {
    /// Reads a completion (`message`) or a chunk (`delta`). `None` if it is neither.
    pub(crate) fn read(document: &Value) -> Option<Self> {
        let choices = document.get("choices")?.as_array()?;
        let mut piece = Self {
            usage: usage(document.get("usage").or_else(|| document.pointer("/x_groq/usage"))),
            id: document["id"].as_str().map(Into::into),
            ..Self::default()
        };
        let Some(choice) = choices.first() else {
            return Some(piece);
        };
        piece.has_choice = true;
        piece.finish = choice["finish_reason"].as_str().map(finish);
        let message = choice
            .get("message")
            .or_else(|| choice.get("delta"))
            .unwrap_or(&Value::Null);
        let (text, thought) = content(&message["content"]);
        piece.text = text;
        let thoughts = ["reasoning", "reasoning_content", "thinking"];
        piece.thought = thought
            || thoughts
                .iter()
                .any(|name| message[name].as_str().is_some_and(|text| !text.is_empty()));
        piece.refused = message["refusal"].as_str().is_some_and(|text| !text.is_empty());
        Some(piece)
    }
}

fn finish(reason: &str) -> Finish {
    match reason.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => Finish::Length,
        "error" => Finish::Error,
        reason if reason.contains("content_filter") || reason.contains("safety") || reason == "refusal" => {
            Finish::Filtered
        }
        _ => Finish::Stop,
    }
}

/// The text of a string or of a list of parts, and whether thoughts stood among the parts.
fn content(content: &Value) -> (String, bool) {
    match content {
        Value::String(text) => (text.clone(), false),
        Value::Array(parts) => {
            let text = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            (text, parts.iter().any(|part| part["type"] == "thinking"))
        }
        _ => (String::new(), false),
    }
}

fn usage(usage: Option<&Value>) -> Option<Usage> {
    let usage = usage?;
    let count = |name: &str| usage[name].as_u64();
    let (input, output) = (count("prompt_tokens"), count("completion_tokens"));
    (input.is_some() || output.is_some()).then(|| Usage {
        input_tokens: input.unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        cost: None,
    })
}

/// The ids of a model list, in the provider's order. `None` if it is none.
pub(crate) fn models(document: &Value) -> Option<Vec<String>> {
    let list = document
        .get("data")
        .or_else(|| document.get("models"))
        .unwrap_or(document)
        .as_array()?;
    let name = |model: &Value| {
        let name = model.get("id").or_else(|| model.get("name")).unwrap_or(model);
        name.as_str().map(Into::into)
    };
    Some(list.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests;
