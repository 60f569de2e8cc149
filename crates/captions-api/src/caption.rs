//! The document of a caption: what `POST /v1/captions`, the history and `--json` on the command line show.

use std::{sync::Arc, time::Duration};

use captions_domain::{
    alt::AltSource,
    caption::{Answer, Caption, CaptionId, Degraded, Record, Source, Usage, Variant, Warning},
    check::{Verdict, Violation},
    choice::{Platform, Profile},
    engagement::Unknown,
    likeness,
    ports::Grade,
    quality::Part,
    text::Place,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{feedback::FeedbackDocument, hashtags::TagDetail, more::AdditionDocument, results::Engagement};

/// A caption with all that is known of it. The top level repeats the best variant of those that it was made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaptionDocument {
    /// The request that made it.
    pub request_id: String,
    /// Its id in the history; null if it was not stored.
    #[schema(required)]
    pub id: Option<Uuid>,
    /// The text without the generated hashtags.
    pub caption: String,
    /// The generated hashtags, each with its `#`.
    pub hashtags: Vec<String>,
    /// What one publishes: caption, blank line, hashtags joined by spaces. Limits and rules are about this.
    pub text: String,
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub quality_score: f64,
    /// 100 x the sum of value x weight over `parts`.
    pub raw_score: f64,
    #[serde(default)]
    #[schema(schema_with = crate::schema::percentile, required)]
    pub percentile: Option<u8>,
    /// By which rules it was scored; empty for captions from before there were versions.
    #[serde(default)]
    #[schema(required)]
    pub score_version: String,
    #[schema(schema_with = crate::schema::parts)]
    pub parts: Arc<[Part]>,
    #[serde(default)]
    #[schema(schema_with = crate::schema::untraced, required)]
    pub untraced: Vec<Place>,
    /// Seconds from the request to the answer; null for a caption that is read from the history.
    #[schema(required)]
    pub processing_time: Option<f64>,
    /// Words of `caption`.
    pub word_count: usize,
    /// Code points of `caption`.
    pub character_count: usize,
    /// What a post with this caption may reach, by the user's own posts; null until their results are imported.
    #[schema(required)]
    pub estimated_engagement: Option<Engagement>,
    /// Why there is no estimate.
    #[schema(required)]
    pub estimated_engagement_reason: Option<String>,
    /// False if a rule of the platform or of the request is broken.
    pub publishable: bool,
    #[schema(schema_with = crate::schema::violations)]
    pub violations: Vec<Violation>,
    /// Every rule that `text` was judged by; empty for captions from before there were reports.
    #[serde(default)]
    #[schema(schema_with = crate::schema::rules, required)]
    pub rules: Arc<[Verdict]>,
    /// What was changed by rule in the writer's text, in words.
    pub repairs: Vec<String>,
    /// What the picture shows, for people who do not see it: at most 1000 code points, never the caption again. Null where
    /// the post is a video, or where it would only repeat the caption.
    #[serde(default)]
    #[schema(required)]
    pub alt_text: Option<String>,
    /// Who says so: the writer of the caption, or the beginning of the description.
    #[serde(default)]
    #[schema(schema_with = crate::schema::alt_text_source, required)]
    pub alt_text_source: Option<AltSource>,
    /// Why each of `hashtags` is there, in their order; empty where they were not chosen here.
    #[serde(default)]
    #[schema(schema_with = crate::hashtags::details_schema, required)]
    pub hashtag_details: Vec<TagDetail>,
    /// All variants, best first; behind them those that were written later, each time best first.
    pub variants: Vec<VariantDocument>,
    /// What was written later, and how; left out as long as nothing was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub additions: Vec<AdditionDocument>,
    /// 1 - the mean share of rows of three words that two variants have in common; null for one variant.
    #[serde(default)]
    #[schema(required)]
    pub diversity: Option<f64>,
    #[schema(schema_with = crate::schema::source)]
    pub source: Source,
    /// The provider that wrote it, by its configured name.
    pub provider: String,
    /// The model that wrote it, as the provider names it.
    pub model: String,
    #[schema(schema_with = crate::schema::grade)]
    pub grade: String,
    /// The provider's own id of the call.
    #[schema(required)]
    pub provider_request_id: Option<String>,
    /// Provider calls begun for this answer; 0 for a cached one.
    pub attempts: u32,
    #[schema(schema_with = crate::schema::degraded)]
    pub degraded: Vec<Degraded>,
    #[schema(schema_with = crate::schema::warnings)]
    pub warnings: Vec<Warning>,
    #[schema(schema_with = crate::schema::usage, required)]
    pub usage: Option<Usage>,
    #[schema(schema_with = crate::schema::platform)]
    pub platform: Platform,
    /// The date of the platform rules that it was checked against.
    pub rules_as_of: String,
    #[serde(default)]
    #[schema(schema_with = crate::schema::profile, required)]
    pub rules_profile: Profile,
    /// The language that was asked for, as a BCP 47 tag.
    pub language: String,
    /// True if a model wrote it, false if a template was filled in.
    pub ai_generated: bool,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// What the request asked about; shown in the history only, like the two below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub content_description: Option<String>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub user_id: Option<String>,
    /// The caller's own grouping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub campaign_id: Option<String>,
    /// What became of it; left out as long as nobody told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub feedback: Option<FeedbackDocument>,
    /// The variant that was picked, by its place in `variants`, from 0; the top level repeats the best one all the same.
    /// Left out as long as none was picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub selected_variant: Option<u8>,
}

/// One caption of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VariantDocument {
    /// The approach that sets it apart from its siblings.
    pub angle: String,
    /// The text without the generated hashtags.
    pub caption: String,
    /// The generated hashtags, each with its `#`.
    pub hashtags: Vec<String>,
    /// What one publishes: caption, blank line, hashtags joined by spaces.
    pub text: String,
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub quality_score: f64,
    /// 100 x the sum of value x weight over `parts`.
    pub raw_score: f64,
    #[serde(default)]
    #[schema(schema_with = crate::schema::percentile, required)]
    pub percentile: Option<u8>,
    /// By which rules it was scored; empty for captions from before there were versions.
    #[serde(default)]
    #[schema(required)]
    pub score_version: String,
    #[schema(schema_with = crate::schema::parts)]
    pub parts: Arc<[Part]>,
    #[serde(default)]
    #[schema(schema_with = crate::schema::untraced, required)]
    pub untraced: Vec<Place>,
    /// False if a rule of the platform or of the request is broken.
    pub publishable: bool,
    #[schema(schema_with = crate::schema::violations)]
    pub violations: Vec<Violation>,
    /// Every rule that `text` was judged by; empty for captions from before there were reports.
    #[serde(default)]
    #[schema(schema_with = crate::schema::rules, required)]
    pub rules: Arc<[Verdict]>,
    /// What was changed by rule in the writer's text, in words.
    pub repairs: Vec<String>,
    /// What the picture shows, for people who do not see it: at most 1000 code points, never the caption again. Null where
    /// the post is a video, or where it would only repeat the caption.
    #[serde(default)]
    #[schema(required)]
    pub alt_text: Option<String>,
    /// Who says so: the writer of the caption, or the beginning of the description.
    #[serde(default)]
    #[schema(schema_with = crate::schema::alt_text_source, required)]
    pub alt_text_source: Option<AltSource>,
    /// Why each of `hashtags` is there, in their order; empty where they were not chosen here.
    #[serde(default)]
    #[schema(schema_with = crate::hashtags::details_schema, required)]
    pub hashtag_details: Vec<TagDetail>,
}

impl CaptionDocument {
    /// The document of a fresh answer, `elapsed` after its request came in.
    pub fn of_answer(answer: &Answer, request_id: &str, elapsed: Duration) -> Self {
        let mut document = Self::new(
            &answer.caption,
            request_id,
            answer.id,
            answer.source,
            answer.attempts,
            &answer.degraded,
        );
        document.warnings.extend_from_slice(&answer.warnings);
        match &answer.outlook {
            Ok(outlook) => {
                document.estimated_engagement = Some(outlook.into());
                document.estimated_engagement_reason = None;
            }
            Err(why) => document.estimated_engagement_reason = Some(why.to_string()),
        }
        document.processing_time = Some((elapsed.as_secs_f64() * 1e6).round() / 1e6);
        document
    }

    /// The document of a caption in the history.
    pub fn of_record(record: &Record) -> Self {
        let mut document = Self::new(
            &record.caption,
            &record.request_id,
            Some(record.id),
            record.source,
            record.attempts,
            &record.degraded,
        );
        document.content_description = Some(record.description.as_str().to_owned());
        document.user_id = record.user.as_ref().map(|user| user.as_str().to_owned());
        document.feedback = record.feedback.as_ref().map(FeedbackDocument::from);
        document.selected_variant = record.selected;
        document.campaign_id = record.campaign.as_ref().map(|campaign| campaign.as_str().to_owned());
        document
    }

    fn new(
        caption: &Caption,
        request_id: &str,
        id: Option<CaptionId>,
        source: Source,
        attempts: u32,
        degraded: &[Degraded],
    ) -> Self {
        let variants: Vec<VariantDocument> = caption.variants.iter().map(VariantDocument::from).collect();
        let best = caption.variants.first();
        let texts: Vec<&str> = caption
            .variants
            .iter()
            .map(|variant| variant.caption.as_str())
            .collect();
        let shown = variants.first().cloned().unwrap_or_else(VariantDocument::none);
        Self {
            request_id: request_id.to_owned(),
            id: id.map(|id| id.0),
            caption: shown.caption,
            hashtags: shown.hashtags,
            text: shown.text,
            quality_score: shown.quality_score,
            raw_score: shown.raw_score,
            percentile: shown.percentile,
            score_version: shown.score_version,
            parts: shown.parts,
            untraced: shown.untraced,
            processing_time: None,
            word_count: best.map_or(0, Variant::word_count),
            character_count: best.map_or(0, Variant::character_count),
            estimated_engagement: None,
            estimated_engagement_reason: Some(Unknown::NotFresh.to_string()),
            publishable: shown.publishable,
            violations: shown.violations,
            rules: shown.rules,
            repairs: shown.repairs,
            alt_text: shown.alt_text,
            alt_text_source: shown.alt_text_source,
            hashtag_details: shown.hashtag_details,
            diversity: likeness::diversity(&texts),
            additions: AdditionDocument::all(&caption.additions, variants.len()),
            variants,
            source,
            provider: caption.provider.clone(),
            model: caption.model.clone(),
            grade: caption.grade.clone(),
            provider_request_id: caption.provider_request_id.clone(),
            attempts,
            degraded: degraded.to_vec(),
            warnings: caption.warnings.clone(),
            usage: caption.usage,
            platform: caption.platform,
            rules_as_of: caption.rules_as_of.clone(),
            rules_profile: best.map(|best| best.report.profile).unwrap_or_default(),
            language: caption.language.as_str().to_owned(),
            ai_generated: caption.grade != Grade::Template.as_str(),
            created_at: caption.created_at,
            content_description: None,
            user_id: None,
            campaign_id: None,
            feedback: None,
            selected_variant: None,
        }
    }
}

impl VariantDocument {
    /// What stands at the top of a caption that has no variants, which the engine never makes: nothing to publish.
    fn none() -> Self {
        Self {
            angle: String::new(),
            caption: String::new(),
            hashtags: Vec::new(),
            text: String::new(),
            quality_score: 0.0,
            raw_score: 0.0,
            percentile: None,
            score_version: String::new(),
            parts: Arc::default(),
            untraced: Vec::new(),
            publishable: false,
            violations: Vec::new(),
            rules: Arc::default(),
            repairs: Vec::new(),
            alt_text: None,
            alt_text_source: None,
            hashtag_details: Vec::new(),
        }
    }
}

impl From<&Variant> for VariantDocument {
    fn from(variant: &Variant) -> Self {
        Self {
            angle: variant.angle.clone(),
            caption: variant.caption.clone(),
            hashtags: variant.hashtags.clone(),
            text: variant.text.clone(),
            quality_score: variant.quality.score,
            raw_score: variant.quality.raw_score,
            percentile: variant.quality.percentile,
            score_version: variant.quality.version.clone(),
            parts: Arc::clone(&variant.quality.parts),
            untraced: variant.quality.untraced.clone(),
            publishable: variant.publishable,
            violations: variant.violations.clone(),
            rules: Arc::clone(&variant.report.rules),
            repairs: variant.repairs.clone(),
            alt_text: variant.alt_text.as_ref().map(|alt| alt.text.clone()),
            alt_text_source: variant.alt_text.as_ref().map(|alt| alt.source),
            hashtag_details: variant.hashtag_details.iter().map(TagDetail::from).collect(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
