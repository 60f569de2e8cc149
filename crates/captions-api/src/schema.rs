//! The building blocks of the OpenAPI schemas. Names and ranges come from the domain; tests hold the two together.

use captions_domain::{
    alt::AltSource,
    caption::{Degraded, Source},
    check::Standing,
    choice::{Platform, Profile},
};
use utoipa::{
    Number,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

/// A string of `min..=max` code points after trimming.
pub fn text(description: &str, min: usize, max: usize) -> Schema {
    string(description).min_length(Some(min)).max_length(Some(max)).into()
}

/// An id that callers choose.
pub fn identifier(description: &str) -> Schema {
    string(description).pattern(Some("^[A-Za-z0-9_-]{1,100}$")).into()
}

/// An amount of money, a decimal number.
pub fn amount(description: &str) -> Schema {
    let pattern = "^(1000000000(\\.0{1,6})?|[0-9]{1,9}(\\.[0-9]{1,6})?)$";
    string(description).pattern(Some(pattern)).examples(["25.00"]).into()
}

/// A BCP 47 language tag.
pub fn language(description: &str) -> Schema {
    string(description).examples(["en", "pt-BR", "zh-Hant"]).into()
}

/// One of `names`. What counts if it is left out is said in words: generated clients send a `default` of the schema
/// themselves, where a user's preferences were to count.
pub fn choice(description: &str, names: &[&str], default: &str) -> Schema {
    string(&format!("{description} If nobody says otherwise: {default}."))
        .enum_values(Some(names.iter().copied()))
        .into()
}

/// One of `names`, in an answer.
pub fn one_of<'a>(description: &str, names: impl IntoIterator<Item = &'a str>) -> Schema {
    string(description).enum_values(Some(names)).into()
}

/// `true` or `false`.
pub fn flag(description: &str, default: bool) -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some(description))
        .default(Some(default.into()))
        .into()
}

/// A whole number of a range.
pub fn whole<N: Into<Number>>(description: &str, (min, max): (N, N)) -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(description))
        .minimum(Some(min))
        .maximum(Some(max))
        .into()
}

/// A number of a range.
pub fn number<N: Into<Number>>(description: &str, (min, max): (N, N)) -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .description(Some(description))
        .minimum(Some(min))
        .maximum(Some(max))
        .into()
}

/// A list of at most `most` entries.
pub fn list(description: &str, most: usize, items: Schema) -> Schema {
    ArrayBuilder::new()
        .description(Some(description))
        .max_items(Some(most))
        .items(RefOr::T(items))
        .into()
}

/// The same, or null.
pub fn or_null(mut schema: Schema) -> Schema {
    let with_null = |kind: &mut SchemaType| {
        if let SchemaType::Type(one) = kind {
            *kind = SchemaType::from_iter([one.clone(), Type::Null]);
        }
    };
    match &mut schema {
        Schema::Object(object) => {
            with_null(&mut object.schema_type);
            if let Some(names) = &mut object.enum_values {
                names.push(serde_json::Value::Null);
            }
        }
        Schema::Array(array) => with_null(&mut array.schema_type),
        // Combined schemas say themselves what they allow.
        _ => {}
    }
    schema
}

/// An object that has all of `properties` and no others.
pub(crate) fn object<const N: usize>(description: &str, properties: [(&str, Schema); N]) -> Schema {
    properties
        .into_iter()
        .fold(
            ObjectBuilder::new().description(Some(description)),
            |object, (name, schema)| object.property(name, schema).required(name),
        )
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}

/// Any string.
pub(crate) fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

/// Every [`Source`].
pub const SOURCES: [Source; 5] = [
    Source::Provider,
    Source::Cache,
    Source::Stale,
    Source::Local,
    Source::Template,
];

/// Every [`Degraded`].
pub const DEGRADED: [Degraded; 11] = [
    Degraded::FallbackProvider,
    Degraded::StaleAnswer,
    Degraded::LocalFallback,
    Degraded::TemplateFallback,
    Degraded::PreferencesStale,
    Degraded::PreferencesDefault,
    Degraded::HistoryDelayed,
    Degraded::CacheUnavailable,
    Degraded::LimitsLocal,
    Degraded::PartialAnalysis,
    Degraded::RulesFallback,
];

/// Every grade of a writer, in words.
pub const GRADES: [&str; 3] = ["standard", "basic", "template"];

pub(crate) fn platform() -> RefOr<Schema> {
    one_of(
        "The platform whose rules it was checked against.",
        Platform::NAMES.iter().copied(),
    )
    .into()
}

pub(crate) fn source() -> RefOr<Schema> {
    one_of(
        "Where the answer came from.",
        SOURCES.iter().map(|source| source.as_str()),
    )
    .into()
}

pub(crate) fn grade() -> RefOr<Schema> {
    one_of("What kind of writer it was.", GRADES).into()
}

pub(crate) fn degraded() -> RefOr<Schema> {
    let items = one_of(
        "A part that went less well than it should.",
        DEGRADED.iter().map(|part| part.as_str()),
    );
    ArrayBuilder::new()
        .description(Some("What went less well than it should; empty if nothing did."))
        .items(RefOr::T(items))
        .into()
}

pub(crate) fn warnings() -> RefOr<Schema> {
    let items = object(
        "Something that the caller should know and that is no fault.",
        [
            ("code", string("A stable name, as in `hashtag_count_lowered`.").into()),
            ("detail", string("The same in words.").into()),
        ],
    );
    ArrayBuilder::new()
        .description(Some("What was changed or left out of what was asked for."))
        .items(RefOr::T(items))
        .into()
}

pub(crate) fn violations() -> RefOr<Schema> {
    let items = object(
        "A broken rule.",
        [
            ("rule", string("The rule's stable name, as in `too_long`.").into()),
            ("value", string("What the text has.").into()),
            ("limit", string("What is allowed.").into()),
        ],
    );
    ArrayBuilder::new()
        .description(Some("The rules that `text` breaks."))
        .items(RefOr::T(items))
        .into()
}

pub(crate) fn profile() -> RefOr<Schema> {
    one_of(
        "Which of the platform's sets of rules it was checked against.",
        Profile::NAMES.iter().copied(),
    )
    .into()
}

/// Places in the published text.
pub(crate) fn places(description: &str) -> Schema {
    let items = object(
        "A place in `text`.",
        [
            ("text", string("What stands there.").into()),
            ("start", whole("The first code point, from 0.", (0_u64, u64::MAX))),
            ("end", whole("The code point behind the last.", (0_u64, u64::MAX))),
        ],
    );
    ArrayBuilder::new()
        .description(Some(description))
        .items(RefOr::T(items))
        .into()
}

/// The lengths of a text.
pub(crate) fn counts() -> RefOr<Schema> {
    let count = |description: &str| whole(description, (0_u64, u64::MAX));
    object(
        "The lengths of the text.",
        [
            ("code_points", count("Unicode code points.")),
            ("utf16", count("UTF-16 code units.")),
            ("graphemes", count("What people see as one character.")),
            ("bytes", count("UTF-8 bytes.")),
            ("words", count("Words by Unicode word boundaries.")),
        ],
    )
    .into()
}

/// The compliance report.
pub(crate) fn rules() -> RefOr<Schema> {
    let items = object(
        "A rule, and how the text stands to it.",
        [
            ("rule", string("The rule's stable name, as in `length`.").into()),
            ("value", string("What the text has.").into()),
            ("limit", string("What is allowed.").into()),
            ("unit", string("What value and limit count.").into()),
            (
                "verdict",
                one_of(
                    "ok; near: within a twentieth of the limit; broken: a hard rule, not publishable; advice: against advice.",
                    Standing::ALL.iter().map(|standing| standing.as_str()),
                ),
            ),
            (
                "hard",
                ObjectBuilder::new()
                    .schema_type(Type::Boolean)
                    .description(Some("False for advice."))
                    .into(),
            ),
            ("spans", places("What breaks the rule.")),
            ("source", string("Where the rule is from; `request` for a wish.").into()),
            (
                "as_of",
                or_null(string("The day of the source; null for a wish.").into()),
            ),
        ],
    );
    ArrayBuilder::new()
        .description(Some("Every rule that `text` was judged by."))
        .items(RefOr::T(items))
        .into()
}

pub(crate) fn parts() -> RefOr<Schema> {
    let items = object(
        "One part of the score.",
        [
            ("name", string("The part's stable name.").into()),
            ("value", number("How good it is.", (0, 1))),
            ("weight", number("How much it counts; all weights sum to 1.", (0, 1))),
            (
                "evidence",
                string("What it rests on: `platform`, `measured 2017-2019 panel`, `published`, `judgement`, several joined by commas; empty in scores from before it was told.").into(),
            ),
            ("spans", places("What in the published text costs points.")),
            (
                "fix",
                ObjectBuilder::new()
                    .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                    .description(Some("What would raise it most."))
                    .into(),
            ),
        ],
    );
    ArrayBuilder::new()
        .description(Some("What the score is made of."))
        .items(RefOr::T(items))
        .into()
}

/// Who wrote an alt text, or null where there is none.
pub(crate) fn alt_text_source() -> RefOr<Schema> {
    let names = AltSource::ALL.iter().map(|source| source.as_str());
    or_null(one_of(
        "Who says what the picture shows: the writer of the caption, or the beginning of the description.",
        names,
    ))
    .into()
}

pub(crate) fn untraced() -> RefOr<Schema> {
    places("What the caption says and nobody gave: numbers, prices, dates, links, @mentions, names.").into()
}

/// Derived, and says so.
pub(crate) fn percentile() -> RefOr<Schema> {
    or_null(whole(
        "How many of 100 captions that people wrote have a lower `raw_score`: a normal distribution with the mean 83 and the standard deviation 9 that a rubric of this kind gave captions of 2017-2019, so it is derived and not counted. Null in scores from before it.",
        (0, 100),
    ))
    .into()
}

/// Tokens, or null where the writer counts none.
pub(crate) fn usage() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("Tokens as the provider counted them; null if it did not."))
        .property("input_tokens", whole("Tokens of the prompt.", (0_u64, u64::MAX)))
        .required("input_tokens")
        .property("output_tokens", whole("Tokens of the answer.", (0_u64, u64::MAX)))
        .required("output_tokens")
        .property("cost", cost())
        .required("cost")
        .into()
}

/// What tokens cost, or null where nobody knows.
fn cost() -> Schema {
    let amount =
        string("A decimal number; less than a millionth counts as one.").pattern(Some(r"^[0-9]+\.[0-9]{2,6}$"));
    let currency = string("The currency of the operator's price list.").pattern(Some("^[A-Z]{3}$"));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(
            "What these tokens cost when they were used, by the operator's price list; null where it has no price for the provider, or the provider did not tell all its tokens.",
        ))
        .property("amount", amount)
        .required("amount")
        .property("currency", currency)
        .required("currency")
        .into()
}
