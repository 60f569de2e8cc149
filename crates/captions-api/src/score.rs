//! A text that somebody has, and how good it is for what it is about: no model is asked and nothing is stored.

use std::sync::Arc;

use captions_domain::{
    brief::Brief,
    caption::Warning,
    check::{self, Violation},
    choice::{Cta, Emoji, Length, Platform, Profile},
    platform::RULES_AS_OF,
    quality::{self, Part, Wished},
    request::{
        BrandVoice, CaptionRequest, Description, HashtagCount, Instructions, Invalid, Keyword, Language, MAX_KEYWORDS,
        MaxChars, UserId,
    },
    text::Place,
    user::Preferences,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::{
    fields::Fields,
    schema::{choice, flag, identifier, language, list, text, whole},
};

/// The most code points of a text. Only Facebook takes longer ones, and nobody reads them.
const MAX_TEXT: usize = 10_000;

/// What a client sends. It may hold anything; [`ScoreBody::check`] tells what of it breaks a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ScoreBody {
    pub text: Option<String>,
    pub content_description: Option<String>,
    pub user_id: Option<String>,
    pub language: Option<String>,
    pub platform: Option<String>,
    pub profile: Option<String>,
    pub length: Option<String>,
    pub max_chars: Option<f64>,
    pub hashtag_count: Option<f64>,
    pub emoji: Option<String>,
    pub cta: Option<String>,
    pub keywords: Option<Vec<String>>,
    pub avoid: Option<Vec<String>>,
    pub brand_voice: Option<String>,
    pub instructions: Option<String>,
    pub sponsored: Option<bool>,
}

impl ScoreBody {
    /// Checks every field, as [`parse`] does for JSON from outside.
    pub fn check(&self) -> Result<ScoreRequest, Vec<Invalid>> {
        let value = serde_json::to_value(self)
            .map_err(|_| vec![Invalid::new("bad_format", "the request cannot be written as JSON")])?;
        parse(&value)
    }
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRequest {
    /// As it would be published.
    text: String,
    /// What a caption would have been asked for by.
    request: CaptionRequest,
}

impl ScoreRequest {
    /// Whose preferences fill what is left out.
    pub fn user(&self) -> Option<&UserId> {
        self.request.user.as_ref()
    }
}

/// Reads a body. `Err` names every broken rule with a JSON pointer, unknown fields included; it is never empty.
pub fn parse(body: &Value) -> Result<ScoreRequest, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let text = fields.text("text", caption_text);
    let text = fields.require("text", text);
    let description = fields.text("content_description", Description::new);
    let description = fields.require("content_description", description);
    let user = fields.text("user_id", UserId::new).value();
    let language = fields.text("language", Language::new).value();
    let platform = fields.text("platform", str::parse::<Platform>).value();
    let profile = fields.text("profile", str::parse::<Profile>).value();
    let length = fields.text("length", str::parse::<Length>).value();
    let max_chars = fields.number("max_chars", MaxChars::new).value();
    let hashtag_count = fields.number("hashtag_count", HashtagCount::new).value();
    let emoji = fields.text("emoji", str::parse::<Emoji>).value();
    let cta = fields.text("cta", str::parse::<Cta>).value();
    let keywords = fields.list("keywords", MAX_KEYWORDS, Keyword::new).value();
    let avoid = fields.list("avoid", MAX_KEYWORDS, Keyword::new).value();
    let brand_voice = fields.text("brand_voice", BrandVoice::new).value();
    let instructions = fields.text("instructions", Instructions::new).value();
    let sponsored = fields.flag("sponsored").value();
    fields.finish()?;
    let (Some(text), Some(description)) = (text, description) else {
        return Err(vec![Invalid::new(
            "required",
            "text and content_description are required",
        )]);
    };
    Ok(ScoreRequest {
        text,
        request: CaptionRequest {
            user,
            language,
            platform,
            profile,
            length,
            max_chars,
            hashtag_count,
            emoji,
            cta,
            keywords: keywords.unwrap_or_default(),
            avoid: avoid.unwrap_or_default(),
            brand_voice,
            instructions,
            sponsored: sponsored.unwrap_or_default(),
            ..CaptionRequest::new(description)
        },
    })
}

fn caption_text(text: &str) -> Result<String, Invalid> {
    let length = text.chars().count();
    if length > MAX_TEXT {
        let rule = format!("a text has at most {MAX_TEXT} characters, this has {length}");
        return Err(Invalid::new("too_long", rule));
    }
    Ok(text.to_owned())
}

/// How good a text is, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreDocument {
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub quality_score: f64,
    /// 100 x the sum of value x weight over `parts`.
    pub raw_score: f64,
    #[schema(schema_with = crate::schema::percentile, required)]
    pub percentile: Option<u8>,
    /// By which rules it was scored: scores of different versions cannot be compared.
    pub version: String,
    /// False if a rule of the platform or of the request is broken.
    pub publishable: bool,
    #[schema(schema_with = crate::schema::violations)]
    pub violations: Vec<Violation>,
    #[schema(schema_with = crate::schema::parts)]
    pub parts: Arc<[Part]>,
    #[schema(schema_with = crate::schema::untraced)]
    pub untraced: Vec<Place>,
    #[schema(schema_with = crate::schema::platform)]
    pub platform: Platform,
    /// The date of the platform rules that it was checked against.
    pub rules_as_of: String,
    /// The language that it was judged in, as a BCP 47 tag.
    pub language: String,
    #[schema(schema_with = crate::schema::warnings)]
    pub warnings: Vec<Warning>,
}

impl ScoreDocument {
    /// Scores the text of a request for somebody with these preferences.
    pub fn of(asked: &ScoreRequest, preferences: &Preferences) -> Self {
        let (brief, warnings) = Brief::resolve(&asked.request, preferences);
        let report = check::report(&asked.text, &brief);
        let violations = report.violations();
        let wished = Wished {
            length: asked.request.length.or(preferences.length).is_some(),
            emoji: asked.request.emoji.or(preferences.emoji).is_some(),
        };
        let quality = quality::score_text(&brief, &asked.text, wished, &violations);
        Self {
            quality_score: quality.score,
            raw_score: quality.raw_score,
            percentile: quality.percentile,
            version: quality.version,
            publishable: report.publishable,
            violations,
            parts: quality.parts,
            untraced: quality.untraced,
            platform: brief.platform,
            rules_as_of: RULES_AS_OF.to_owned(),
            language: brief.language.as_str().to_owned(),
            warnings,
        }
    }
}

impl PartialSchema for ScoreBody {
    fn schema() -> RefOr<Schema> {
        let word = || text("A word or short phrase.", 1, 50);
        ObjectBuilder::new()
            .description(Some(
                "A text to be scored, and what it is about. What is left out is taken from the user's preferences, then from the defaults; a length or a number of emoji that nobody wished for is not judged.",
            ))
            .property("text", text("The text as it would be published, hashtags included.", 0, MAX_TEXT))
            .required("text")
            .property("content_description", text("What the post shows: what the text says beyond it is `untraced`.", 3, 2000))
            .required("content_description")
            .property("user_id", identifier("Whose preferences and voice count."))
            .property("language", language("The language that it is to be in, as a BCP 47 tag. Default en."))
            .property("platform", choice("Where it would be published.", Platform::NAMES, Platform::default().as_str()))
            .property("profile", choice("Which of the platform's sets of rules.", Profile::NAMES, Profile::default().as_str()))
            .property("length", choice("The length that was wished for.", Length::NAMES, Length::default().as_str()))
            .property("max_chars", whole("The most code points of the text.", MaxChars::RANGE))
            .property("hashtag_count", whole("How many hashtags were wished for; 0 makes none the best.", HashtagCount::RANGE))
            .property("emoji", choice("How many emoji were wished for.", Emoji::NAMES, Emoji::default().as_str()))
            .property("cta", choice("What the reader is to be asked to do.", Cta::NAMES, Cta::default().as_str()))
            .property("keywords", list("Words that it should contain.", MAX_KEYWORDS, word()))
            .property("avoid", list("Words that it must not contain.", MAX_KEYWORDS, word()))
            .property("brand_voice", text("How the brand speaks; what stands here is not untraced.", 1, 500))
            .property("instructions", text("Further facts and wishes; what stands here is not untraced.", 1, 1000))
            .property("sponsored", flag("A paid post: it must disclose it before the fold.", false))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for ScoreBody {}

#[cfg(test)]
mod tests {
    use captions_domain::user::Preferences;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const ABOUT: &str = "Sourdough loaves fresh from the oven";

    fn scored(body: &Value) -> ScoreDocument {
        ScoreDocument::of(&parse(body).unwrap(), &Preferences::default())
    }

    #[test]
    fn a_text_is_scored_with_its_reasons() {
        let text = "Fresh sourdough for $49, warm from our oven. #FreshSourdough";
        let document = scored(&json!({"text": text, "content_description": ABOUT}));

        assert!(document.publishable && document.violations.is_empty(), "{document:?}");
        assert_eq!(document.version, quality::VERSION);
        assert!(document.percentile.is_some());
        let names: Vec<&str> = document.parts.iter().map(|part| &*part.name).collect();
        assert_eq!(
            names,
            [
                "faithfulness",
                "hook",
                "human_voice",
                "brief_adherence",
                "readability",
                "hashtags",
                "format"
            ]
        );
        let sum: f64 = document.parts.iter().map(|part| part.value * part.weight).sum();
        assert!((document.raw_score - 100.0 * sum).abs() < 1e-9);
        assert_eq!(
            serde_json::to_value(&document.untraced).unwrap(),
            json!([{"text": "$49", "start": 20, "end": 23}])
        );
        let adherence = document
            .parts
            .iter()
            .find(|part| part.name == "brief_adherence")
            .unwrap();
        assert!(
            (adherence.value - 1.0).abs() < 1e-9,
            "nobody wished for a length or for emoji"
        );
    }

    #[test]
    fn what_is_not_publishable_has_at_most_49() {
        let document = scored(&json!({"text": "Sourdough #a #b #c #d #e #f", "content_description": ABOUT}));

        assert!(!document.publishable && document.quality_score <= 49.0, "{document:?}");
        assert_eq!(document.violations[0].rule, "too_many_hashtags");
    }

    #[rstest]
    #[case(json!({"emoji": "none"}), 1.0)]
    #[case(json!({"emoji": "many"}), 0.5)]
    #[case(json!({"length": "long"}), 0.5)]
    #[case(json!({"keywords": ["rye"]}), 0.5)]
    #[case(json!({"cta": "save"}), 0.5)]
    fn a_wish_counts(#[case] wish: Value, #[case] expected: f64) {
        let mut body = json!({"text": "Fresh sourdough, warm from our oven.", "content_description": ABOUT});
        body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        let document = scored(&body);

        let adherence = document
            .parts
            .iter()
            .find(|part| part.name == "brief_adherence")
            .unwrap();
        assert!((adherence.value - expected).abs() < 1e-9, "{adherence:?}");
    }

    #[test]
    fn preferences_fill_what_is_left_out() {
        let request = parse(&json!({"text": "Sourdough. 🥖", "content_description": ABOUT, "user_id": "ana"})).unwrap();
        let preferences = Preferences {
            emoji: Some(Emoji::None),
            ..Preferences::default()
        };

        assert_eq!(request.user().unwrap().as_str(), "ana");
        assert!(!ScoreDocument::of(&request, &preferences).publishable);
        assert!(ScoreDocument::of(&request, &Preferences::default()).publishable);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let broken = parse(&json!({"content_description": "x", "tone": "warm", "length": "tiny"})).unwrap_err();

        let found: Vec<(&str, &str)> = broken.iter().map(|one| (one.pointer.as_str(), one.code)).collect();
        assert_eq!(
            found,
            [
                ("/text", "required"),
                ("/content_description", "too_short"),
                ("/length", "unknown_choice"),
                ("/tone", "unknown_field")
            ]
        );
        let long = "a".repeat(MAX_TEXT + 1);
        assert_eq!(
            parse(&json!({"text": long, "content_description": ABOUT})).unwrap_err()[0].code,
            "too_long"
        );
    }
}
