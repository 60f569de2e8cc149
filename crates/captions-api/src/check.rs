//! A text that somebody has, and what the rules of its platform say about it: no model, no store.

use std::sync::Arc;

use captions_domain::{
    check::{Terms, Verdict, Violation, report_on},
    choice::{Platform, Profile},
    platform::{PlatformRules, RULES_AS_OF},
    request::{Invalid, Keyword, Language, MAX_KEYWORDS, MaxChars},
    text::{self, Counts},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::{
    fields::Fields,
    schema::{choice, flag, language, list, string, text, whole},
};

/// What a client sends.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CheckBody {
    pub text: Option<String>,
    pub platform: Option<String>,
    pub profile: Option<String>,
    pub sponsored: Option<bool>,
    pub max_chars: Option<f64>,
    pub avoid: Option<Vec<String>>,
    pub required: Option<Vec<String>>,
    pub alt_text: Option<String>,
    pub language: Option<String>,
}

impl CheckBody {
    /// Checks every field, as [`parse`] does for JSON from outside.
    pub fn check(&self) -> Result<CheckRequest, Vec<Invalid>> {
        let value = serde_json::to_value(self)
            .map_err(|_| vec![Invalid::new("bad_format", "the request cannot be written as JSON")])?;
        parse(&value)
    }
}

/// A checked request.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckRequest {
    /// As it would be published; any text, an empty one included.
    pub text: String,
    pub rules: PlatformRules,
    pub sponsored: bool,
    pub max_chars: Option<MaxChars>,
    pub avoid: Vec<Keyword>,
    pub required: Vec<Keyword>,
    pub alt_text: Option<String>,
    pub language: Language,
}

/// Reads a body. `Err` names every broken rule with a JSON pointer; it is never empty.
pub fn parse(body: &Value) -> Result<CheckRequest, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let any = |text: &str| Ok::<_, Invalid>(text.to_owned());
    let text = fields.text("text", any);
    let text = fields.require("text", text);
    let platform: Platform = fields.text("platform", str::parse).value().unwrap_or_default();
    let rules = fields.text("profile", |name| {
        let profile: Profile = name.parse()?;
        PlatformRules::of_profile(platform, profile).ok_or_else(|| {
            Invalid::new("unknown_choice", format!("{platform} has no profile {profile}")).nearest(Profile::default())
        })
    });
    let sponsored = fields.flag("sponsored").value();
    let max_chars = fields.number("max_chars", MaxChars::new).value();
    let avoid = fields.list("avoid", MAX_KEYWORDS, Keyword::new).value();
    let required = fields.list("required", MAX_KEYWORDS, Keyword::new).value();
    let alt_text = fields.text("alt_text", any).value();
    let language = fields.text("language", Language::new).value();
    fields.finish()?;
    let Some(text) = text else {
        return Err(vec![Invalid::new("required", "text is required").at("/text")]);
    };
    Ok(CheckRequest {
        text,
        rules: rules.value().unwrap_or_else(|| PlatformRules::of(platform)),
        sponsored: sponsored.unwrap_or_default(),
        max_chars,
        avoid: avoid.unwrap_or_default(),
        required: required.unwrap_or_default(),
        alt_text,
        language: language.unwrap_or_default(),
    })
}

/// What the rules say about a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckDocument {
    #[schema(schema_with = crate::schema::platform)]
    pub platform: Platform,
    /// The date of the platform rules.
    pub rules_as_of: String,
    #[schema(schema_with = crate::schema::profile)]
    pub rules_profile: Profile,
    /// True if no hard rule is broken.
    pub publishable: bool,
    #[schema(schema_with = crate::schema::violations)]
    pub violations: Vec<Violation>,
    #[schema(schema_with = crate::schema::counts)]
    pub counts: Counts,
    /// Every hashtag as platforms count them, glued ones and bare numbers included.
    pub hashtags: Vec<String>,
    /// Every @mention.
    pub mentions: Vec<String>,
    pub fold: Fold,
    #[schema(schema_with = crate::schema::rules)]
    pub rules: Arc<[Verdict]>,
    /// The text as LinkedIn's API takes it, its reserved signs escaped; for linkedin only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub escaped: Option<String>,
}

/// The text in the feed, in two parts that are the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fold {
    /// What is shown.
    pub visible: String,
    /// What stands behind "more"; empty if nothing does, or if the platform is not known to hide anything.
    pub hidden: String,
}

impl CheckDocument {
    /// Judges the text of a request.
    pub fn of(request: &CheckRequest) -> Self {
        let rules = &request.rules;
        let terms = Terms {
            max_chars: request
                .max_chars
                .map(|most| usize::from(most.get()))
                .filter(|most| *most < rules.max_chars),
            avoid: &request.avoid,
            required: &request.required,
            sponsored: request.sponsored,
            language: Some(&request.language),
            ..Terms::of_platform(*rules)
        };
        let mut report = report_on(&request.text, &terms);
        if let Some(alt_text) = &request.alt_text {
            report = report.with_alt_text(alt_text, rules);
        }
        let found = |spans: Vec<text::Span<'_>>| spans.into_iter().map(|span| span.text.to_owned()).collect();
        let (visible, hidden) = text::fold(&request.text, rules.fold);
        Self {
            platform: rules.platform,
            rules_as_of: RULES_AS_OF.to_owned(),
            rules_profile: rules.profile,
            publishable: report.publishable,
            violations: report.violations(),
            counts: Counts::of(&request.text),
            hashtags: found(text::hashtags(&request.text)),
            mentions: found(text::mentions(&request.text)),
            fold: Fold {
                visible: visible.to_owned(),
                hidden: hidden.to_owned(),
            },
            rules: report.rules,
            escaped: (rules.platform == Platform::Linkedin).then(|| text::for_linkedin(&request.text)),
        }
    }
}

impl PartialSchema for CheckBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some(
                "A text to be judged by the rules of a platform, and by those wishes that are hard rules.",
            ))
            .property("text", string("The text as it would be published, hashtags included."))
            .required("text")
            .property(
                "platform",
                choice(
                    "Where it would be published.",
                    Platform::NAMES,
                    Platform::default().as_str(),
                ),
            )
            .property(
                "profile",
                choice(
                    "Which of the platform's sets of rules: instagram has legacy_30, x has premium.",
                    Profile::NAMES,
                    Profile::default().as_str(),
                ),
            )
            .property(
                "sponsored",
                flag("A paid post: a plain disclosure has to stand before the fold.", false),
            )
            .property(
                "max_chars",
                whole(
                    "The most code points; counts where it is below the platform's limit.",
                    MaxChars::RANGE,
                ),
            )
            .property(
                "avoid",
                list(
                    "Words that must not occur.",
                    MAX_KEYWORDS,
                    text("A word or short phrase.", 1, 50),
                ),
            )
            .property(
                "required",
                list(
                    "Words that must occur.",
                    MAX_KEYWORDS,
                    text("A word or short phrase.", 1, 50),
                ),
            )
            .property(
                "alt_text",
                string("The description of the picture, where the platform has a limit for it."),
            )
            .property("language", language("The language of the text, as a BCP 47 tag: what begs for a reaction is known by its words. Default en."))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for CheckBody {}

#[cfg(test)]
mod tests;
