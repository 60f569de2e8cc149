//! A given caption, changed: the body that asks for it and the document that comes of it.

mod shapes;

use std::{sync::Arc, time::Duration};

use captions_domain::{
    caption::{Degraded, Record, Usage, Variant, Warning},
    check::{Verdict, Violation},
    choice::{Platform, Profile, Rewriting, Tone},
    quality::Part,
    request::{CaptionText, Description, Invalid, Language, ProviderName, TargetChars, UserId},
    rewrite::{Operation, Parameters, RewriteRequest, Rewritten, diff::Change, preserved::Preserved},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

pub use self::shapes::StoredRewriteBody;
use self::shapes::{diff, operation, preserved, source};
use crate::fields::Fields;

/// What a client sends. `None` (absent or `null` in JSON) leaves a wish to the user's preferences and the defaults.
///
/// It may hold anything; [`RewriteBody::check`] tells what of it breaks a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RewriteBody {
    pub text: Option<String>,
    pub operation: Option<String>,
    pub target_chars: Option<f64>,
    pub tone: Option<String>,
    pub language: Option<String>,
    pub source_language: Option<String>,
    pub platform: Option<String>,
    pub profile: Option<String>,
    pub content_description: Option<String>,
    pub user_id: Option<String>,
    pub sponsored: Option<bool>,
    pub provider: Option<String>,
    pub allow_fallback: Option<bool>,
    pub seed: Option<u64>,
}

impl RewriteBody {
    /// Checks every field, as [`parse`] does for JSON from outside.
    pub fn check(&self) -> Result<RewriteRequest, Vec<Invalid>> {
        let value = serde_json::to_value(self)
            .map_err(|_| vec![Invalid::new("bad_format", "the request cannot be written as JSON")])?;
        parse(&value)
    }
}

/// Reads a body. `Err` names every broken rule with a JSON pointer, unknown fields included; it is never empty.
pub fn parse(body: &Value) -> Result<RewriteRequest, Vec<Invalid>> {
    let mut fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let text = fields.text("text", CaptionText::new);
    let text = fields.require("text", text);
    let description = fields.text("content_description", Description::new).value();
    let user = fields.text("user_id", UserId::new).value();
    let wishes = wishes(fields)?;
    let Some(text) = text else {
        return Err(vec![Invalid::new("required", "text is required").at("/text")]);
    };
    Ok(RewriteRequest {
        description,
        user,
        ..wishes.on(text)
    })
}

/// Reads the body for a caption of the history: the text of its best variant, its description, user, language, platform and
/// profile are taken from there.
pub fn parse_for(body: &Value, record: &Record) -> Result<RewriteRequest, Vec<Invalid>> {
    let fields = Fields::of(body, "").map_err(|broken| vec![broken])?;
    let wishes = wishes(fields)?;
    let stored = record.caption.variants.first();
    let text = CaptionText::new(stored.map_or("", |variant| &variant.text)).map_err(|broken| vec![broken])?;
    let request = wishes.on(text);
    // Another platform has other profiles.
    let is_there = !matches!(request.operation, Operation::Adapt(_))
        && request
            .platform
            .is_none_or(|platform| platform == record.caption.platform);
    let profile = stored.filter(|_| is_there).map(|variant| variant.report.profile);
    Ok(RewriteRequest {
        description: Some(record.description.clone()),
        user: record.user.clone(),
        language: request.language.or_else(|| Some(record.caption.language.clone())),
        platform: request.platform.or(Some(record.caption.platform)),
        profile: request.profile.or(profile),
        ..request
    })
}

/// Everything but the text and what it is about.
struct Wishes {
    operation: Operation,
    language: Option<Language>,
    platform: Option<Platform>,
    profile: Option<Profile>,
    sponsored: bool,
    provider: Option<ProviderName>,
    allow_fallback: bool,
    seed: Option<u64>,
}

impl Wishes {
    fn on(self, text: CaptionText) -> RewriteRequest {
        RewriteRequest {
            language: self.language,
            platform: self.platform,
            profile: self.profile,
            sponsored: self.sponsored,
            provider: self.provider,
            allow_fallback: self.allow_fallback,
            seed: self.seed,
            ..RewriteRequest::new(text, self.operation)
        }
    }
}

fn wishes(mut fields: Fields<'_>) -> Result<Wishes, Vec<Invalid>> {
    let name = fields.text("operation", str::parse::<Rewriting>);
    let name = fields.require("operation", name);
    let given = Parameters {
        target_chars: fields.number("target_chars", TargetChars::new).value(),
        tone: fields.text("tone", str::parse::<Tone>).value(),
        language: fields.text("language", Language::new).value(),
        source_language: fields.text("source_language", Language::new).value(),
        platform: fields.text("platform", str::parse::<Platform>).value(),
    };
    let profile = fields.text("profile", str::parse::<Profile>).value();
    let sponsored = fields.flag("sponsored").value();
    let provider = fields.text("provider", ProviderName::new).value();
    let allow_fallback = fields.flag("allow_fallback").value();
    let seed = fields.whole("seed").value();
    fields.finish()?;
    let Some(name) = name else {
        return Err(vec![Invalid::new("required", "operation is required").at("/operation")]);
    };
    let operation = Operation::of(name, &given)?;
    let (language, platform) = match name {
        Rewriting::Translate => (given.source_language, given.platform),
        Rewriting::Adapt => (given.language, None),
        _ => (given.language, given.platform),
    };
    Ok(Wishes {
        operation,
        language,
        platform,
        profile,
        sponsored: sponsored.unwrap_or(false),
        provider,
        allow_fallback: allow_fallback.unwrap_or(true),
        seed,
    })
}

/// A changed caption beside the one that was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RewriteDocument {
    /// The request that made it.
    pub request_id: String,
    #[schema(schema_with = operation)]
    pub operation: Rewriting,
    /// The new text as one publishes it: caption, blank line, hashtags joined by spaces.
    pub text: String,
    /// The new text without the hashtags at its end.
    pub caption: String,
    /// The hashtags at its end, each with its `#`.
    pub hashtags: Vec<String>,
    /// From the given text to the new one: all pieces but those inserted make up the given text, all but those deleted the new.
    #[schema(schema_with = diff)]
    pub diff: Vec<Change>,
    #[schema(schema_with = preserved)]
    pub preserved: Preserved,
    /// The score of the given text, 0-100, by the same rules; of a translated one by those of its own language.
    pub quality_before: f64,
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub quality_score: f64,
    /// 100 x the sum of value x weight over `parts`.
    pub raw_score: f64,
    #[schema(schema_with = crate::schema::parts)]
    pub parts: Arc<[Part]>,
    /// False if a rule of the platform or of the request is broken.
    pub publishable: bool,
    #[schema(schema_with = crate::schema::violations)]
    pub violations: Vec<Violation>,
    /// The rules that the given text broke.
    #[schema(schema_with = crate::schema::violations)]
    pub violations_before: Vec<Violation>,
    /// Every rule that `text` was judged by.
    #[schema(schema_with = crate::schema::rules)]
    pub rules: Arc<[Verdict]>,
    /// What was changed by rule, in words.
    pub repairs: Vec<String>,
    /// Words of `caption`.
    pub word_count: usize,
    /// Code points of `caption`.
    pub character_count: usize,
    #[schema(schema_with = source)]
    pub source: String,
    /// The provider that changed it, by its configured name; `rules` without one.
    pub provider: String,
    /// The model that changed it, as the provider names it; `rules` without one.
    pub model: String,
    /// The provider's own id of the call.
    #[schema(required)]
    pub provider_request_id: Option<String>,
    /// Provider calls begun for it.
    pub attempts: u32,
    #[schema(schema_with = crate::schema::degraded)]
    pub degraded: Vec<Degraded>,
    #[schema(schema_with = crate::schema::warnings)]
    pub warnings: Vec<Warning>,
    #[schema(schema_with = crate::schema::usage, required)]
    pub usage: Option<Usage>,
    #[schema(schema_with = crate::schema::platform)]
    pub platform: Platform,
    /// The date of the platform rules that both texts were checked against.
    pub rules_as_of: String,
    #[schema(schema_with = crate::schema::profile)]
    pub rules_profile: Profile,
    /// The language of the new text, as a BCP 47 tag.
    pub language: String,
    /// Seconds from the request to the answer.
    pub processing_time: f64,
    /// When it was changed.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl RewriteDocument {
    /// The document of an answer, `elapsed` after its request came in.
    pub fn of(done: &Rewritten, request_id: &str, elapsed: Duration) -> Self {
        let after: &Variant = &done.after;
        Self {
            request_id: request_id.to_owned(),
            operation: done.operation.name(),
            text: after.text.clone(),
            caption: after.caption.clone(),
            hashtags: after.hashtags.clone(),
            diff: done.diff.clone(),
            preserved: done.preserved.clone(),
            quality_before: done.before.quality.score,
            quality_score: after.quality.score,
            raw_score: after.quality.raw_score,
            parts: Arc::clone(&after.quality.parts),
            publishable: after.publishable,
            violations: after.violations.clone(),
            violations_before: done.before.violations.clone(),
            rules: Arc::clone(&after.report.rules),
            repairs: after.repairs.clone(),
            word_count: after.word_count(),
            character_count: after.character_count(),
            source: done.by.as_str().to_owned(),
            provider: done.provider.clone(),
            model: done.model.clone(),
            provider_request_id: done.provider_request_id.clone(),
            attempts: done.attempts,
            degraded: done.degraded.clone(),
            warnings: done.warnings.clone(),
            usage: done.usage,
            platform: done.platform,
            rules_as_of: done.rules_as_of.clone(),
            rules_profile: after.report.profile,
            language: done.language.as_str().to_owned(),
            processing_time: (elapsed.as_secs_f64() * 1e6).round() / 1e6,
            created_at: done.created_at,
        }
    }
}

#[cfg(test)]
mod tests;
