//! The body of a request for a caption.

use captions_domain::{
    choice::{Audience, CacheUse, ContentType, Cta, Emoji, Length, Platform, Profile, Style, Tone},
    request::{
        BrandVoice, CampaignId, CaptionRequest, Description, HashtagCount, Instructions, Invalid, Keyword, Language,
        MAX_KEYWORDS, MaxChars, ProviderName, Temperature, UserId, Variants,
    },
};
use serde::Serialize;
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::AdditionalProperties},
};

use crate::{
    fields::Fields,
    image::ImageBody,
    schema::{choice, flag, identifier, language, list, number, text, whole},
};

/// What a client sends. `None` (absent or `null` in JSON) leaves a wish to the user's preferences and the defaults.
///
/// It may hold anything; [`GenerateBody::check`] tells what of it breaks a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GenerateBody {
    pub content_description: Option<String>,
    pub user_id: Option<String>,
    pub campaign_id: Option<String>,
    pub language: Option<String>,
    pub tone: Option<String>,
    pub style: Option<String>,
    pub audience: Option<String>,
    pub content_type: Option<String>,
    pub platform: Option<String>,
    pub profile: Option<String>,
    pub length: Option<String>,
    pub max_chars: Option<f64>,
    pub hashtag_count: Option<f64>,
    pub emoji: Option<String>,
    pub cta: Option<String>,
    pub keywords: Option<Vec<String>>,
    pub avoid: Option<Vec<String>>,
    pub variants: Option<f64>,
    pub brand_voice: Option<String>,
    pub instructions: Option<String>,
    pub sponsored: Option<bool>,
    pub image: Option<ImageBody>,
    pub cache: Option<String>,
    pub provider: Option<String>,
    pub store: Option<bool>,
    pub allow_fallback: Option<bool>,
    pub seed: Option<u64>,
    pub temperature: Option<f64>,
    pub regenerate: Option<bool>,
}

impl GenerateBody {
    /// Checks every field, as [`parse`] does for JSON from outside.
    pub fn check(&self) -> Result<CaptionRequest, Vec<Invalid>> {
        let value = serde_json::to_value(self)
            .map_err(|_| vec![Invalid::new("bad_format", "the request cannot be written as JSON")])?;
        parse(&value)
    }
}

/// Reads a body. `Err` names every broken rule with a JSON pointer, unknown fields included; it is never empty.
pub fn parse(body: &Value) -> Result<CaptionRequest, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let description = fields.text("content_description", Description::new);
    let description = fields.require("content_description", description);
    let user = fields.text("user_id", UserId::new).value();
    let campaign = fields.text("campaign_id", CampaignId::new).value();
    let language = fields.text("language", Language::new).value();
    let tone = fields.text("tone", str::parse::<Tone>).value();
    let style = fields.text("style", str::parse::<Style>).value();
    let audience = fields.text("audience", str::parse::<Audience>).value();
    let content_type = fields.text("content_type", str::parse::<ContentType>).value();
    let platform = fields.text("platform", str::parse::<Platform>).value();
    let profile = fields.text("profile", str::parse::<Profile>).value();
    let length = fields.text("length", str::parse::<Length>).value();
    let max_chars = fields.number("max_chars", MaxChars::new).value();
    let hashtag_count = fields.number("hashtag_count", HashtagCount::new).value();
    let emoji = fields.text("emoji", str::parse::<Emoji>).value();
    let cta = fields.text("cta", str::parse::<Cta>).value();
    let keywords = fields.list("keywords", MAX_KEYWORDS, Keyword::new).value();
    let avoid = fields.list("avoid", MAX_KEYWORDS, Keyword::new).value();
    let variants = fields.number("variants", Variants::new).value();
    let brand_voice = fields.text("brand_voice", BrandVoice::new).value();
    let instructions = fields.text("instructions", Instructions::new).value();
    let sponsored = fields.flag("sponsored").value();
    let image = fields.object("image", crate::image::read).value();
    let cache = fields.text("cache", str::parse::<CacheUse>).value();
    let provider = fields.text("provider", ProviderName::new).value();
    let store = fields.flag("store").value();
    let allow_fallback = fields.flag("allow_fallback").value();
    let seed = fields.whole("seed").value();
    let temperature = fields.number("temperature", Temperature::new).value();
    let regenerate = fields.flag("regenerate").value();
    fields.finish()?;
    let Some(description) = description else {
        return Err(vec![
            Invalid::new("required", "content_description is required").at("/content_description"),
        ]);
    };

    let defaults = CaptionRequest::new(description);
    Ok(CaptionRequest {
        user,
        campaign,
        language,
        tone,
        style,
        audience,
        content_type: content_type.unwrap_or(defaults.content_type),
        platform,
        profile,
        length,
        max_chars,
        hashtag_count,
        emoji,
        cta,
        keywords: keywords.unwrap_or_default(),
        avoid: avoid.unwrap_or_default(),
        variants: variants.unwrap_or(defaults.variants),
        brand_voice,
        instructions,
        image,
        sponsored: sponsored.unwrap_or(defaults.sponsored),
        cache: cache.unwrap_or(defaults.cache),
        provider,
        store: store.unwrap_or(defaults.store),
        allow_fallback: allow_fallback.unwrap_or(defaults.allow_fallback),
        seed,
        temperature,
        regenerate: regenerate.unwrap_or(defaults.regenerate),
        ..defaults
    })
}

impl PartialSchema for GenerateBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("A request for a caption. What is left out is taken from the user's preferences, then from the defaults."))
            .property("content_description", text("What the post shows.", 3, 2000))
            .required("content_description")
            .property("user_id", identifier("Whom the caption is for; their preferences fill what is left out here."))
            .property("campaign_id", identifier("The caller's own grouping, kept with the stored caption."))
            .property("language", language("The language of the caption, as a BCP 47 tag. Default en."))
            .property("tone", choice("How the caption feels.", Tone::NAMES, Tone::default().as_str()))
            .property("style", choice("How the caption is built.", Style::NAMES, Style::default().as_str()))
            .property("audience", choice("Who is to read it.", Audience::NAMES, Audience::default().as_str()))
            .property("content_type", choice("What is posted.", ContentType::NAMES, ContentType::default().as_str()))
            .property("platform", choice("Where it is published.", Platform::NAMES, Platform::default().as_str()))
            .property(
                "profile",
                choice(
                    "Which of the platform's sets of rules: instagram has legacy_30 (30 hashtags), x has premium (25,000 characters). One that the platform does not have is told in a warning.",
                    Profile::NAMES,
                    Profile::default().as_str(),
                ),
            )
            .property(
                "length",
                choice(
                    "Target length of the caption without its tags, in characters: short 40-125, medium 126-400, long 401-1200, max up to the platform's limit.",
                    Length::NAMES,
                    Length::default().as_str(),
                ),
            )
            .property("max_chars", whole("The most code points of the published text, tags included; lowered to the platform's limit with a warning.", MaxChars::RANGE))
            .property("hashtag_count", whole("How many hashtags; lowered to the platform's cap with a warning.", HashtagCount::RANGE))
            .property("emoji", choice("How many emoji: none 0, few 1-3, many 4-10.", Emoji::NAMES, Emoji::default().as_str()))
            .property("cta", choice("What the reader is asked to do.", Cta::NAMES, Cta::default().as_str()))
            .property("keywords", list("Words that the caption should contain.", MAX_KEYWORDS, text("A word or short phrase.", 1, 50)))
            .property("avoid", list("Words that the caption must not contain, added to those of the preferences.", MAX_KEYWORDS, text("A word or short phrase.", 1, 50)))
            .property("variants", whole("How many different captions. Default 1.", Variants::RANGE))
            .property("brand_voice", text("How the brand speaks.", 1, 500))
            .property("instructions", text("Free wishes for this caption.", 1, 1000))
            .property("sponsored", flag("A paid post: the caption must disclose it before the fold.", false))
            .property("image", crate::image::schema())
            .property(
                "cache",
                choice(
                    "What to do with stored captions: use a fresh one, write a new one over it, or leave the cache alone.",
                    CacheUse::NAMES,
                    CacheUse::default().as_str(),
                ),
            )
            .property("provider", identifier("Ask this provider of the chain and no other."))
            .property("store", flag("Keep the caption in the history.", true))
            .property("allow_fallback", flag("Accept a stale, local or template answer when the providers fail.", true))
            .property("seed", whole("For providers that can repeat themselves; no promise.", (0_u64, u64::MAX)))
            .property("temperature", number("Sampling temperature as the OpenAI wire format means it.", Temperature::RANGE))
            .property("regenerate", flag("Write another one: the cache is not looked up, and nothing comes that is next to the same as the user's last 50 captions or the cached answer.", false))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

impl ToSchema for GenerateBody {}

#[cfg(test)]
mod tests;
