//! Hashtags alone: what is asked, and the document of the answer. No model and no store is involved.

use captions_domain::{
    brief::Brief,
    caption::Warning,
    choice::{Platform, Profile},
    hashtags::{self, Tag, Tier, denylist_as_of, is_denied},
    request::{BrandTag, CaptionRequest, Description, HashtagCount, Invalid, Keyword, Language, MAX_KEYWORDS},
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
    schema::{choice, language, list, object, one_of, string, text, whole},
};

/// The most code points of a text.
const MAX_TEXT: usize = 10_000;

/// The most brand tags, as in the preferences.
const MAX_BRAND_TAGS: usize = 10;

/// What a client sends. It may hold anything; [`HashtagsBody::check`] tells what of it breaks a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HashtagsBody {
    pub content_description: Option<String>,
    pub text: Option<String>,
    pub language: Option<String>,
    pub platform: Option<String>,
    pub profile: Option<String>,
    pub hashtag_count: Option<f64>,
    pub keywords: Option<Vec<String>>,
    pub avoid: Option<Vec<String>>,
    pub brand_tags: Option<Vec<String>>,
}

/// A checked request for hashtags.
#[derive(Debug, Clone, PartialEq)]
pub struct HashtagsRequest {
    brief: Brief,
    text: String,
    warnings: Vec<Warning>,
}

impl HashtagsBody {
    /// Checks every field, as [`parse`] does for JSON from outside.
    pub fn check(&self) -> Result<HashtagsRequest, Vec<Invalid>> {
        let value = serde_json::to_value(self)
            .map_err(|_| vec![Invalid::new("bad_format", "the request cannot be written as JSON")])?;
        parse(&value)
    }
}

/// Reads a body. `Err` names every broken rule with a JSON pointer, unknown fields included; it is never empty.
pub fn parse(body: &Value) -> Result<HashtagsRequest, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let description = fields.text("content_description", Description::new);
    let description = fields.require("content_description", description);
    let text = fields.text("text", caption_text).value();
    let language = fields.text("language", Language::new).value();
    let platform = fields.text("platform", str::parse::<Platform>).value();
    let profile = fields.text("profile", str::parse::<Profile>).value();
    let hashtag_count = fields.number("hashtag_count", HashtagCount::new).value();
    let keywords = fields.list("keywords", MAX_KEYWORDS, Keyword::new).value();
    let avoid = fields.list("avoid", MAX_KEYWORDS, Keyword::new).value();
    let brand_tags = fields.list("brand_tags", MAX_BRAND_TAGS, BrandTag::new).value();
    fields.finish()?;
    let Some(description) = description else {
        return Err(vec![
            Invalid::new("required", "content_description is required").at("/content_description"),
        ]);
    };
    let request = CaptionRequest {
        language,
        platform,
        profile,
        hashtag_count,
        keywords: keywords.unwrap_or_default(),
        avoid: avoid.unwrap_or_default(),
        ..CaptionRequest::new(description)
    };
    let own = Preferences {
        brand_tags: brand_tags.unwrap_or_default(),
        ..Preferences::default()
    };
    let (brief, warnings) = Brief::resolve(&request, &own);
    Ok(HashtagsRequest {
        brief,
        text: text.unwrap_or_default(),
        warnings,
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

impl PartialSchema for HashtagsBody {
    fn schema() -> RefOr<Schema> {
        let word = || text("A word or short phrase.", 1, 50);
        ObjectBuilder::new()
            .description(Some(
                "A request for hashtags of a description and, if there is one, of the caption for it.",
            ))
            .property("content_description", text("What the post shows.", 3, 2000))
            .required("content_description")
            .property("text", text("The caption, as far as it is written.", 0, MAX_TEXT))
            .property(
                "language",
                language("The language of the hashtags, as a BCP 47 tag. Default en."),
            )
            .property(
                "platform",
                choice(
                    "Where the post is published.",
                    Platform::NAMES,
                    Platform::default().as_str(),
                ),
            )
            .property(
                "profile",
                choice(
                    "Which of the platform's sets of rules.",
                    Profile::NAMES,
                    Profile::default().as_str(),
                ),
            )
            .property(
                "hashtag_count",
                whole(
                    "How many; lowered to the platform's cap with a warning. Left out: what is usual there.",
                    HashtagCount::RANGE,
                ),
            )
            .property("keywords", list("Words to be found by.", MAX_KEYWORDS, word()))
            .property("avoid", list("Words that no hashtag may hold.", MAX_KEYWORDS, word()))
            .property(
                "brand_tags",
                list(
                    "Your own hashtags, put first and left as they are.",
                    MAX_BRAND_TAGS,
                    text("A hashtag.", 1, 51),
                ),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for HashtagsBody {}

/// Hashtags, and why each is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HashtagsDocument {
    /// Each with its `#`, best first. Fewer than asked for where no more was said: none is made up.
    pub hashtags: Vec<String>,
    /// The same in their order, explained.
    #[schema(schema_with = details_schema)]
    pub details: Vec<TagDetail>,
    #[schema(schema_with = crate::schema::warnings)]
    pub warnings: Vec<Warning>,
    /// The date of the list that the hashtags were checked against. Platforms limit hashtags without telling and change
    /// that daily, so no list says that one is not limited.
    pub denylist_as_of: String,
}

/// One hashtag, explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagDetail {
    pub tag: String,
    pub tier: Tier,
    pub tier_basis: String,
    pub relevance: f64,
    pub source: hashtags::Origin,
}

impl From<&Tag> for TagDetail {
    fn from(tag: &Tag) -> Self {
        Self {
            tag: tag.tag.clone(),
            tier: tag.tier,
            tier_basis: tag.tier.basis().to_owned(),
            relevance: tag.relevance,
            source: tag.source.clone(),
        }
    }
}

impl HashtagsDocument {
    /// Chooses the hashtags.
    pub fn of(request: &HashtagsRequest) -> Self {
        let HashtagsRequest { brief, text, warnings } = request;
        let tags = hashtags::pick(brief, text, &[]);
        let mut warnings = warnings.clone();
        warnings.extend(hashtags::shortfall(brief, tags.len()));
        let listed = tags.iter().filter(|tag| is_denied(tag.tag.trim_start_matches('#')));
        warnings.extend(listed.map(|tag| {
            let as_of = denylist_as_of();
            let detail = format!(
                "{} is yours and stays, but is on the list of {as_of}: posts with it may be hidden",
                tag.tag
            );
            Warning::new("hashtag_on_denylist", detail)
        }));
        Self {
            hashtags: tags.iter().map(|tag| tag.tag.clone()).collect(),
            details: tags.iter().map(TagDetail::from).collect(),
            warnings,
            denylist_as_of: denylist_as_of().to_owned(),
        }
    }
}

/// The explanations of hashtags, in any document.
pub(crate) fn details_schema() -> RefOr<Schema> {
    let source = object(
        "Where it comes from.",
        [
            (
                "field",
                string("`content_description`, `text` (the caption), `keywords/0`, `required/0` or `brand_tags/0`.")
                    .into(),
            ),
            ("text", string("What stands there.").into()),
            ("start", whole("Its first code point in the field.", (0_u64, u64::MAX))),
            ("end", whole("The code point after it.", (0_u64, u64::MAX))),
        ],
    );
    let items = object(
        "One hashtag, explained.",
        [
            ("tag", string("With its `#`.").into()),
            (
                "tier",
                one_of(
                    "How specific it is taken to be.",
                    Tier::ALL.iter().map(|tier| tier.as_str()),
                ),
            ),
            (
                "tier_basis",
                one_of(
                    "What the tier rests on. `proxy`: its number of words and a list of common ones, since how often a hashtag is used is not known here. `given`: it is yours.",
                    ["proxy", "given"],
                ),
            ),
            (
                "relevance",
                crate::schema::number("How much of it was said, and how specifically.", (0, 1)),
            ),
            ("source", source),
        ],
    );
    utoipa::openapi::ArrayBuilder::new()
        .description(Some("Why each hashtag is there."))
        .items(RefOr::T(items))
        .into()
}

#[cfg(test)]
mod tests;
