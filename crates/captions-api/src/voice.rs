//! A user's voice on the wire: their own captions, what is usual in them, and what their feedback suggests.

use captions_domain::{
    request::{Invalid, MAX_SAMPLES, Sample},
    user::Preferences,
    voice::{Casing, LEAST_SAMPLES, StyleCard, Suggestion},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use crate::{
    fields::Fields,
    schema::{list, number, object, one_of, string, text, whole},
};

/// A user's own captions and what is usual in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VoiceDocument {
    /// As they were published.
    pub samples: Vec<String>,
    #[schema(schema_with = style_card_schema, required)]
    pub style_card: Option<StyleCard>,
}

impl From<&Preferences> for VoiceDocument {
    fn from(preferences: &Preferences) -> Self {
        Self {
            samples: preferences
                .samples
                .iter()
                .map(|sample| sample.as_str().to_owned())
                .collect(),
            style_card: preferences.style_card.clone(),
        }
    }
}

/// Reads the body that sets a user's samples. `Err` names every broken rule.
pub fn parse(body: &Value) -> Result<Vec<Sample>, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let samples = fields.list("samples", MAX_SAMPLES, Sample::new);
    let samples = fields.require("samples", samples).unwrap_or_default();
    fields.finish()?;
    Ok(samples)
}

/// A change of preferences that the feedback speaks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuggestionDocument {
    /// To accept it by; the same suggestion always has the same.
    pub id: String,
    /// The preference that it changes.
    pub field: String,
    /// The new value; of a list the word that is added.
    #[schema(schema_with = value_schema)]
    pub value: Value,
    /// The present value, null if there is none; of a list all of it.
    #[schema(schema_with = value_schema)]
    pub from: Value,
    /// The evidence in plain words, with its counts.
    pub because: String,
    pub support: SupportDocument,
}

/// How many captions speak for a suggestion, of those that could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SupportDocument {
    pub agree: usize,
    pub of: usize,
}

/// What a user's feedback suggests, best supported first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SuggestionsDocument {
    pub data: Vec<SuggestionDocument>,
}

impl SuggestionsDocument {
    /// Suggestions for whoever has these preferences now.
    pub fn of(suggestions: &[Suggestion], preferences: &Preferences) -> Self {
        let document = |suggestion: &Suggestion| SuggestionDocument {
            id: suggestion.change.id(),
            field: suggestion.change.field().to_owned(),
            value: suggestion.change.value(),
            from: suggestion.change.from(preferences),
            because: suggestion.because.clone(),
            support: SupportDocument {
                agree: suggestion.support.agree,
                of: suggestion.support.of,
            },
        };
        Self {
            data: suggestions.iter().map(document).collect(),
        }
    }
}

/// The body that sets a user's samples, for the OpenAPI document; it is read by [`parse`].
pub enum VoiceBody {}

impl PartialSchema for VoiceBody {
    fn schema() -> RefOr<Schema> {
        let samples = list(
            "Captions that the user wrote themselves, as published.",
            MAX_SAMPLES,
            text("A caption.", 1, 2200),
        );
        ObjectBuilder::new()
            .property("samples", samples)
            .required("samples")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for VoiceBody {}

fn style_card_schema() -> RefOr<Schema> {
    style_card().into()
}

fn value_schema() -> RefOr<Schema> {
    let kinds = [Type::String, Type::Integer, Type::Array, Type::Null];
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter(kinds))
        .description(Some("A value of the field."))
        .items(RefOr::T(string("A word of a list.").into()))
        .into()
}

/// What is usual in the samples.
pub(crate) fn style_card() -> Schema {
    let spread = |description: &str| {
        object(
            description,
            [
                ("mean", number("The mean.", (0, u32::MAX))),
                ("sd", number("The standard deviation.", (0, u32::MAX))),
            ],
        )
    };
    let share = |description: &str| number(description, (0, 1));
    let strings = |description: &str, of: &str| -> Schema {
        ArrayBuilder::new()
            .description(Some(description))
            .items(RefOr::T(string(of).into()))
            .into()
    };
    let properties = [
        (
            "captions",
            whole(
                "How many captions it was measured from.",
                (LEAST_SAMPLES as u64, MAX_SAMPLES as u64),
            ),
        ),
        (
            "language",
            string("The language whose words for \"I\" and \"we\" were counted.").into(),
        ),
        ("characters", spread("Code points, without the hashtags at the end.")),
        ("sentence_words", spread("Words in a sentence.")),
        ("emoji", spread("Emoji.")),
        ("hashtags", spread("Hashtags.")),
        ("exclamation_marks", spread("Exclamation marks.")),
        ("questions", spread("Question marks.")),
        ("line_breaks", spread("Line breaks.")),
        (
            "first_person",
            crate::schema::or_null(share(
                "The share of captions that say \"I\" or \"we\"; null where the language's words for it are not known.",
            )),
        ),
        (
            "lower_case_starts",
            share("The share of captions whose first letter is a small one."),
        ),
        (
            "casing",
            one_of(
                "How letters are cased.",
                Casing::ALL.iter().map(|casing| casing.as_str()),
            ),
        ),
        (
            "openers",
            strings(
                "The first two words of at least two captions, most usual first.",
                "Two words.",
            ),
        ),
        (
            "words",
            strings("The user's own frequent words, most usual first.", "A word."),
        ),
        (
            "favourite_emoji",
            strings("Emoji of at least two captions, most usual first.", "An emoji."),
        ),
    ];
    properties
        .into_iter()
        .fold(ObjectBuilder::new(), |card, (name, schema)| {
            card.property(name, schema).required(name)
        })
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(
            "What is usual in the samples; null for fewer than 3. Measured, not set: what is sent here is passed over.",
        ))
        .read_only(true)
        .into()
}

#[cfg(test)]
mod tests;
