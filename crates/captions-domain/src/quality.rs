//! How good a caption is, explained. A score of craft and of keeping to the brief; it says nothing about likes.
//!
//! Seven parts, each 0-1 with a weight, what it rests on, the places that cost points and the one change that would raise
//! it most; an eighth where the user's own captions are known. No model is involved: the same text and brief always get the same
//! score, on every machine. Where the evidence ends, shapes and weights are judgement, and `docs/SCORE.md` says so.

mod adherence;
mod brand_voice;
mod curve;
mod faithfulness;
mod format;
mod hook;
mod human_voice;
mod percentile;
mod readability;
mod reading;
mod tags;

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::percentile::YARDSTICK;
pub(crate) use self::reading::keys;
use self::{curve::round, reading::Reading};
use crate::{
    brief::Brief,
    caption::Variant,
    check::Violation,
    given::Given,
    text::{self, Place},
};

/// By which rules captions are scored. Changes with every change of a formula, a weight or a list.
pub const VERSION: &str = "4";

/// An explained score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub score: f64,
    /// 100 x the sum of value x weight over the parts, as it is: with up to five decimals.
    pub raw_score: f64,
    /// The weights sum to 1.
    pub parts: Arc<[Part]>,
    /// How many of 100 captions that people wrote have a lower raw score. Derived from the mean and the deviation that were
    /// measured for a rubric of this kind, not counted; `None` in scores of before there were percentiles.
    pub percentile: Option<u8>,
    /// What the caption says and nobody told it: numbers, prices, dates, links, @mentions, names.
    pub untraced: Vec<Place>,
    /// [`VERSION`]; empty in scores of before there were versions.
    pub version: String,
}

/// One part of a score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    pub name: Cow<'static, str>,
    /// 0-1.
    pub value: f64,
    pub weight: f64,
    /// What it rests on: `platform`, `measured 2017-2019 panel`, `published`, `judgement`, several joined by commas.
    pub evidence: Cow<'static, str>,
    /// What in the published text costs points.
    pub spans: Vec<Place>,
    /// What would raise it most, in words; `None` if nothing is missing.
    pub fix: Option<String>,
}

/// The highest score of a text that breaks a hard rule.
pub const UNPUBLISHABLE_CAP: f64 = 49.0;

/// The weight of the user's own voice, where it is known; all others give up as much in proportion.
const BRAND_VOICE: f64 = 0.15;

/// What one part found.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    value: f64,
    spans: Vec<Place>,
    fix: Option<String>,
}

impl Finding {
    /// A part that lacks nothing needs no fix and has no offence.
    fn new(value: f64, spans: Vec<Place>, fix: Option<String>) -> Self {
        let value = round(value.clamp(0.0, 1.0), 1000.0);
        let lacks = value < 1.0;
        Self {
            value,
            spans: if lacks { spans } else { Vec::new() },
            fix: fix.filter(|_| lacks),
        }
    }
}

/// Scores a caption with its hashtags against the brief that it was written for. `violations` are the hard rules that the
/// published text breaks.
pub fn score(brief: &Brief, caption: &str, tags: &[String], violations: &[Violation]) -> Quality {
    let text = Variant::published(caption, tags);
    score_given(&Given::of(brief), caption, &text, violations)
}

/// The same against a brief that has been taken apart. `text` is the caption as it would be published.
pub(crate) fn score_given(given: &Given<'_>, caption: &str, text: &str, violations: &[Violation]) -> Quality {
    judge(&Reading::of(given, caption, text, violations))
}

/// Which wishes of a brief somebody made. The others are defaults, which a text that was written without them need not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wished {
    pub length: bool,
    pub emoji: bool,
}

impl Wished {
    /// What a writer was told, defaults included.
    pub const ALL: Self = Self {
        length: true,
        emoji: true,
    };
}

/// Scores a text that somebody has, as it would be published. The hashtags at its end are no part of its caption.
pub fn score_text(brief: &Brief, text: &str, wished: Wished, violations: &[Violation]) -> Quality {
    let given = Given::of(brief);
    let mut reading = Reading::of(&given, without_tags_at_end(text), text, violations);
    reading.wished = wished;
    judge(&reading)
}

fn judge(reading: &Reading<'_>) -> Quality {
    let card = reading.brief.style_card.as_ref();
    let share = if card.is_some() { 1.0 - BRAND_VOICE } else { 1.0 };
    let findings = [
        ("faithfulness", 0.25, "platform, judgement", faithfulness::find(reading)),
        ("hook", 0.18, "platform, measured 2017-2019 panel", hook::find(reading)),
        (
            "human_voice",
            0.15,
            "measured 2017-2019 panel, judgement",
            human_voice::find(reading),
        ),
        ("brief_adherence", 0.13, "platform, judgement", adherence::find(reading)),
        (
            "readability",
            0.12,
            "published, measured 2017-2019 panel",
            readability::find(reading),
        ),
        ("hashtags", 0.10, "platform, published", tags::find(reading)),
        (
            "format",
            0.07,
            "published, measured 2017-2019 panel",
            format::find(reading),
        ),
    ];
    let mut parts: Vec<Part> = findings
        .into_iter()
        .map(|(name, weight, evidence, finding)| part(name, round(weight * share, 10_000.0), evidence, finding))
        .collect();
    parts.extend(card.map(|card| {
        part(
            "brand_voice",
            BRAND_VOICE,
            "judgement",
            brand_voice::find(reading, card),
        )
    }));
    // Values have three decimals and weights four, so nothing is lost by cutting what the machine's binary adds behind.
    let raw_score = round(
        100.0 * parts.iter().map(|part| part.value * part.weight).sum::<f64>(),
        100_000.0,
    );
    let capped = if reading.violations.is_empty() {
        raw_score
    } else {
        raw_score.min(UNPUBLISHABLE_CAP)
    };
    Quality {
        score: round(capped, 10.0),
        raw_score,
        parts: parts.into(),
        percentile: Some(percentile::of(raw_score)),
        untraced: reading.untraced.clone(),
        version: VERSION.to_owned(),
    }
}

fn part(name: &'static str, weight: f64, evidence: &'static str, finding: Finding) -> Part {
    Part {
        name: name.into(),
        value: finding.value,
        weight,
        evidence: evidence.into(),
        spans: finding.spans,
        fix: finding.fix,
    }
}

/// The beginning of the text before the row of hashtags that it ends with.
fn without_tags_at_end(text: &str) -> &str {
    let mut caption = text.trim_end();
    for tag in text::hashtags(text).iter().rev() {
        match caption.strip_suffix(tag.text) {
            // "#1" at the end is a number.
            Some(before) if text::is_tag_body(tag.text.trim_start_matches(['#', '＃'])) => caption = before.trim_end(),
            _ => break,
        }
    }
    caption
}

#[cfg(test)]
mod tests;
