//! What a writer is worth over many briefs: each outcome measured, and all of them summed up.
//!
//! Beside what the engine gave stands the baseline: the writer's first answer, read and judged by the same rules and the
//! same score, with nothing mended. The distance between both is what rules, repairs and the second question are worth.
//! Pure: the texts, times and attempts come from whoever ran the briefs.

mod summary;

use serde::Serialize;

use crate::{
    brief::Brief,
    caption::Variant,
    check::{self, Violation},
    ports::Grade,
    prompt::Prompt,
    quality, reply,
};

pub use summary::{Count, Mean, Spread, Summary, Totals};

/// One text with what rules and score say about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    pub angle: String,
    /// As it would be published.
    pub text: String,
    /// False if a rule of the platform or of the brief is broken.
    pub valid: bool,
    /// 0-100.
    pub quality_score: f64,
    pub parts: Vec<Mean>,
    /// Numbers, prices, links, handles and names that the brief does not hold.
    pub untraced: usize,
    pub violations: Vec<Violation>,
    /// What was changed by rule. Always empty in a baseline.
    pub repairs: Vec<String>,
}

impl Judged {
    /// A variant as the engine gave it.
    pub fn of(variant: &Variant) -> Self {
        Self {
            angle: variant.angle.clone(),
            text: variant.text.clone(),
            valid: variant.publishable,
            quality_score: variant.quality.score,
            parts: parts(&variant.quality),
            untraced: variant.quality.untraced.len(),
            violations: variant.violations.clone(),
            repairs: variant.repairs.clone(),
        }
    }
}

fn parts(quality: &quality::Quality) -> Vec<Mean> {
    let parts = quality.parts.iter();
    parts
        .map(|part| Mean {
            name: part.name.clone().into_owned(),
            value: part.value,
        })
        .collect()
}

/// The writer's first answer, unrepaired: its first caption, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Baseline {
    Judged(Box<Judged>),
    Failed { error: String },
}

impl Baseline {
    /// Reads an answer as the engine does, and mends nothing.
    pub fn of(answer: &str, prompt: &Prompt, grade: Grade) -> Self {
        let drafts = match reply::read(answer, prompt, grade) {
            Ok(drafts) => drafts,
            Err(error) => return Self::failed(error.code()),
        };
        let Some(draft) = drafts.first() else {
            return Self::failed("unusable");
        };
        let brief = &prompt.brief;
        let caption = draft.text();
        let tags: Vec<String> = draft
            .hashtags
            .iter()
            .map(|tag| format!("#{}", tag.tag.trim().trim_start_matches(['#', '＃'])))
            .collect();
        let text = Variant::published(&caption, &tags);
        let violations = check::violations(&text, brief);
        let quality = quality::score(brief, &caption, &tags, &violations);
        Self::Judged(Box::new(Judged {
            angle: draft.angle.clone(),
            valid: violations.is_empty(),
            text,
            quality_score: quality.score,
            parts: parts(&quality),
            untraced: quality.untraced.len(),
            violations,
            repairs: Vec::new(),
        }))
    }

    /// No answer came, or none that could be read.
    pub fn failed(code: &str) -> Self {
        Self::Failed { error: code.to_owned() }
    }
}

/// What came of one brief.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The brief's name.
    pub id: String,
    /// What the brief is there for.
    pub purpose: String,
    pub language: String,
    /// The stable name of the problem, where there is no caption.
    pub error: Option<String>,
    /// Not asked, because the writer does not write this language.
    pub passed_over: bool,
    /// Provider calls begun.
    pub attempts: u32,
    pub seconds: f64,
    /// Captions that were asked for.
    pub wanted: usize,
    /// Best first.
    pub variants: Vec<Judged>,
    /// How different the variants are, 0-1; `None` for fewer than two.
    pub diversity: Option<f64>,
    /// `None` if nobody was asked.
    pub baseline: Option<Baseline>,
}

impl Outcome {
    /// One that nobody has been asked for yet.
    pub fn new(id: &str, purpose: &str, brief: &Brief) -> Self {
        Self {
            id: id.to_owned(),
            purpose: purpose.to_owned(),
            language: brief.language.to_string(),
            error: None,
            passed_over: false,
            attempts: 0,
            seconds: 0.0,
            wanted: brief.variants.get().into(),
            variants: Vec::new(),
            diversity: None,
            baseline: None,
        }
    }

    /// True if there are captions and every one of them keeps every rule.
    pub fn is_valid(&self) -> bool {
        !self.variants.is_empty() && self.variants.iter().all(|variant| variant.valid)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of briefs and words are far below 2^52"
)]
const fn number(count: usize) -> f64 {
    count as f64
}

/// Four decimals: the same figures on every machine.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests;
