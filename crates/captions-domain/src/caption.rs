//! What people get: captions, who wrote them, and what went less well than it should.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

pub use crate::choice::Verdict;
use crate::{
    alt::AltText,
    check::{Report, Violation},
    choice::{Platform, Tone},
    engagement::{Outlook, Unknown},
    hashtags::Tag,
    money::Cost,
    more::{Addition, Wishes},
    ports::CacheKey,
    quality::Quality,
    request::{CampaignId, Description, Invalid, Language, UserId},
};

/// A stored caption: a UUID of version 7, so that ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CaptionId(pub Uuid);

impl fmt::Display for CaptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CaptionId {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Uuid::parse_str(text.trim())
            .map(Self)
            .map_err(|_| Invalid::new("bad_format", "a caption id is a UUID"))
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A provider of the configured chain, just now.
    Provider,
    /// A fresh stored answer.
    Cache,
    /// A stored answer past its time: no provider answered, or a newer one is being written.
    Stale,
    /// The local model, below the chain.
    Local,
    /// The template writer: no model.
    Template,
}

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Local => "local",
            Self::Template => "template",
        }
    }
}

/// What went less well than it should, in an answer that is still an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// Not the first provider of the chain wrote it.
    FallbackProvider,
    /// An older caption for the same brief is served: no provider answered, or a newer one is being written.
    StaleAnswer,
    /// No provider answered; the local model wrote it.
    LocalFallback,
    /// No provider answered; a template was filled in.
    TemplateFallback,
    /// The preferences are an older copy.
    PreferencesStale,
    /// The preferences could not be read; defaults were used.
    PreferencesDefault,
    /// The caption enters the history later.
    HistoryDelayed,
    /// The cache could not be used.
    CacheUnavailable,
    /// Limits are counted by this replica alone.
    LimitsLocal,
    /// A part of the analysis is missing.
    PartialAnalysis,
    /// A given caption was changed by rules alone: no provider answered with what was asked for.
    RulesFallback,
}

impl Degraded {
    /// In the order of the enum.
    pub const ALL: [Self; 11] = [
        Self::FallbackProvider,
        Self::StaleAnswer,
        Self::LocalFallback,
        Self::TemplateFallback,
        Self::PreferencesStale,
        Self::PreferencesDefault,
        Self::HistoryDelayed,
        Self::CacheUnavailable,
        Self::LimitsLocal,
        Self::PartialAnalysis,
        Self::RulesFallback,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FallbackProvider => "fallback_provider",
            Self::StaleAnswer => "stale_answer",
            Self::LocalFallback => "local_fallback",
            Self::TemplateFallback => "template_fallback",
            Self::PreferencesStale => "preferences_stale",
            Self::PreferencesDefault => "preferences_default",
            Self::HistoryDelayed => "history_delayed",
            Self::CacheUnavailable => "cache_unavailable",
            Self::LimitsLocal => "limits_local",
            Self::PartialAnalysis => "partial_analysis",
            Self::RulesFallback => "rules_fallback",
        }
    }
}

/// Something that the caller should know and that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable name: `hashtag_count_lowered`, `max_chars_lowered`, `profile_unknown`, `fewer_variants`, `not_stored`; of a
    /// changed caption also `unchanged`, `spelling_not_checked`, `invented`, `lost`, `link_not_clickable`.
    pub code: String,
    pub detail: String,
}

impl Warning {
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            detail: detail.into(),
        }
    }
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// What they cost; `None` where the provider's prices are not known, or it did not tell all its tokens.
    #[serde(default)]
    pub cost: Option<Cost>,
}

/// One caption, checked and scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// The approach that sets it apart from its siblings, in a word or two.
    pub angle: String,
    /// The text without the generated hashtags.
    pub caption: String,
    /// Each with its `#`.
    pub hashtags: Vec<String>,
    /// What one publishes: caption, blank line, hashtags joined by spaces. All rules and limits are about this.
    pub text: String,
    pub quality: Quality,
    /// False if a rule of the platform or of the request is broken.
    pub publishable: bool,
    pub violations: Vec<Violation>,
    /// Every rule that `text` was judged by; empty in captions that were stored before there were reports.
    #[serde(default)]
    pub report: Report,
    /// What was changed by rule in the writer's text, in words.
    pub repairs: Vec<String>,
    /// What the picture shows, for people who do not see it; `None` where it is a video, or would repeat the caption.
    #[serde(default)]
    pub alt_text: Option<AltText>,
    /// Why each of `hashtags` is there, in their order; empty where nobody chose them here, as in older captions.
    #[serde(default)]
    pub hashtag_details: Vec<Tag>,
}

impl Variant {
    /// Caption, blank line, hashtags joined by spaces.
    pub fn published(caption: &str, hashtags: &[String]) -> String {
        match (caption.is_empty(), hashtags.is_empty()) {
            (_, true) => caption.to_owned(),
            (true, false) => hashtags.join(" "),
            (false, false) => format!("{caption}\n\n{}", hashtags.join(" ")),
        }
    }

    /// Words of the caption, by Unicode word boundaries.
    pub fn word_count(&self) -> usize {
        crate::text::words(&self.caption).count()
    }

    /// Code points of the caption.
    pub fn character_count(&self) -> usize {
        self.caption.chars().count()
    }
}

/// The content of an answer: all that may be cached and stored, and nothing of the request that caused it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Caption {
    /// Best first, never empty; behind them those that were written later.
    pub variants: Vec<Variant>,
    pub platform: Platform,
    pub language: Language,
    /// The tone that was asked for; `None` for captions from before it was kept.
    #[serde(default)]
    pub tone: Option<Tone>,
    pub provider: String,
    pub model: String,
    /// `standard`, `basic` or `template`.
    pub grade: String,
    pub provider_request_id: Option<String>,
    pub usage: Option<Usage>,
    /// When the request came in that made it be written.
    pub created_at: OffsetDateTime,
    /// The date of the platform rules that it was checked against.
    pub rules_as_of: String,
    pub warnings: Vec<Warning>,
    /// What was added to `variants` later, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additions: Vec<Addition>,
}

/// The engine's answer to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its id in the history, if it stands there.
    pub id: Option<CaptionId>,
    pub caption: Arc<Caption>,
    pub source: Source,
    /// Provider calls begun for this answer, by whichever request; 0 on a hit.
    pub attempts: u32,
    /// In the order of [`Degraded::ALL`], each once.
    pub degraded: Vec<Degraded>,
    /// What concerns this answer alone, beside the caption's own warnings.
    pub warnings: Vec<Warning>,
    /// Age of a cached answer.
    pub age: Option<Duration>,
    /// What a post with the best variant may reach, by the user's own results.
    pub outlook: Result<Outlook, Unknown>,
    /// True if it was being written for another request just then: whoever asked the same at the same time shares it.
    pub shared: bool,
}

/// A caption as the history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub id: CaptionId,
    /// The request that made it.
    pub request_id: String,
    pub user: Option<UserId>,
    pub campaign: Option<CampaignId>,
    pub description: Description,
    /// What else was asked for; `None` for captions from before it was kept.
    pub wishes: Option<Wishes>,
    pub caption: Caption,
    pub source: Source,
    pub attempts: u32,
    pub degraded: Vec<Degraded>,
    pub feedback: Option<Feedback>,
    /// The variant that was picked, by its place, from 0.
    pub selected: Option<u8>,
    /// Where a cache may have it.
    pub cached_under: Option<CacheKey>,
    /// 1, and one more with each change.
    pub version: u64,
}

/// What became of a caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    pub verdict: Verdict,
    /// 1 (bad) to 5 (good).
    pub rating: Option<u8>,
    /// The text that was published, where it was edited.
    pub final_text: Option<String>,
    /// The variant that it is about, by its place among the caption's, from 0; else it is the best one, or all of them
    /// if they were rejected.
    #[serde(default)]
    pub variant: Option<u8>,
    pub given_at: OffsetDateTime,
}
