//! A user's voice on the wire.

use captions_domain::{
    request::MAX_SAMPLES,
    voice::{Casing, LEAST_SAMPLES},
};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type, schema::SchemaType};

use crate::schema::{number, object, one_of, string, whole};

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
