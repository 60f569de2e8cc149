//! The form of an answer of several captions: as a JSON schema, and as the example that stands in the question.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{PLACEHOLDERS, angles};

/// How much an answer says beside the captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// With alt text, and where the hashtags come from.
    Full,
    /// The parts of the captions and their hashtags.
    Compact,
}

static FULL: LazyLock<Value> = LazyLock::new(|| {
    let tag = object(&[
        ("tag", text()),
        ("tier", json!({ "type": "string", "enum": ["niche", "mid", "broad"] })),
        ("source", text()),
    ]);
    variants(&[
        ("angle", angle()),
        ("hook", text()),
        ("body", text()),
        ("cta", text_or_null()),
        ("hashtags", list(&tag)),
        ("alt_text", text_or_null()),
    ])
});

static COMPACT: LazyLock<Value> = LazyLock::new(|| {
    variants(&[
        ("angle", angle()),
        ("hook", text()),
        ("body", text()),
        ("cta", text_or_null()),
        ("hashtags", list(&text())),
    ])
});

/// The JSON schema of an answer to [`Format::Variants`](super::Format::Variants), in the subset that every provider's strict
/// mode takes: all fields required, none extra, no bounds, a field that may be missing typed as a list with `null`. The
/// bounds are checked here afterwards. It is the same for every question, because providers compile a schema when they first see it.
pub fn variants_schema(shape: Shape) -> &'static Value {
    match shape {
        Shape::Full => &FULL,
        Shape::Compact => &COMPACT,
    }
}

/// The same form as an example for the model.
pub(super) fn form(shape: Shape) -> String {
    let [first, rest, cta, picture] = PLACEHOLDERS;
    let begin = format!(r#"{{"variants":[{{"angle":"its name","hook":"{first}","body":"{rest}","cta":"{cta}","#);
    let end = match shape {
        Shape::Full => format!(
            "{}\"{picture}\"}}]}}",
            r#""hashtags":[{"tag":"word","tier":"niche, mid or broad","source":"its words in the brief"}],"alt_text":"#
        ),
        Shape::Compact => r#""hashtags":["word"]}]}"#.to_owned(),
    };
    begin + &end
}

fn variants(fields: &[(&str, Value)]) -> Value {
    object(&[("variants", list(&object(fields)))])
}

fn object(fields: &[(&str, Value)]) -> Value {
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let fields: serde_json::Map<_, _> = fields
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "required": names, "properties": fields })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

fn angle() -> Value {
    let names: Vec<_> = angles::all().iter().map(|angle| angle.name).collect();
    json!({ "type": "string", "enum": names })
}
