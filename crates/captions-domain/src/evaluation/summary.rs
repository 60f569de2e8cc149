//! All outcomes of a run in figures.

use serde::Serialize;

use super::{Baseline, Judged, Outcome, number, round};

/// A mean of something that has a name, or the value itself where there is only one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mean {
    pub name: String,
    pub value: f64,
}

/// How often something was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: String,
    pub count: usize,
}

/// Where most times lie, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub p95: f64,
    pub longest: f64,
}

/// Figures of one kind of text: what the engine gave, or the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Briefs for which there is a text.
    pub answered: usize,
    /// Briefs of which every text keeps every rule.
    pub valid: usize,
    /// `valid` of the briefs that were asked, in percent.
    pub valid_percent: f64,
    pub texts: usize,
    /// Mean, 0-100.
    pub quality_score: f64,
    /// Means of the score's parts, 0-1, in the order of the score.
    pub parts: Vec<Mean>,
    /// Texts that hold something that the brief does not.
    pub unfaithful: usize,
    /// Such things in all texts.
    pub untraced: usize,
    /// Broken rules, most frequent first.
    pub violations: Vec<Count>,
    /// Briefs without a text, by the problem's stable name, most frequent first.
    pub errors: Vec<Count>,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub briefs: usize,
    /// Not asked, because the writer does not write their language.
    pub passed_over: usize,
    /// Those that were.
    pub asked: usize,
    /// As the engine gave it.
    pub published: Totals,
    /// The first answer of each, unrepaired; `None` if none was kept.
    pub baseline: Option<Totals>,
    /// Texts that were changed by rule.
    pub repaired: usize,
    /// What was changed, most frequent first.
    pub repairs: Vec<Count>,
    /// Briefs that got fewer captions than they asked for.
    pub fewer_variants: usize,
    /// Mean over the briefs with several variants, 0-1.
    pub diversity: Option<f64>,
    /// Provider calls begun, in all.
    pub attempts: u64,
    /// Time of a whole brief, from the request to the answer; `None` if none was asked.
    pub seconds: Option<Spread>,
}

impl Summary {
    pub fn of(outcomes: &[Outcome]) -> Self {
        let asked: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed_over).collect();
        let texts = || asked.iter().flat_map(|outcome| &outcome.variants);
        let diversities: Vec<f64> = asked.iter().filter_map(|outcome| outcome.diversity).collect();
        let published = asked
            .iter()
            .map(|outcome| match &outcome.error {
                Some(error) => Err(error.as_str()),
                None => Ok(outcome.variants.iter().collect()),
            })
            .collect();
        let baseline = asked
            .iter()
            .map(|outcome| match &outcome.baseline {
                Some(Baseline::Judged(judged)) => Ok(vec![&**judged]),
                Some(Baseline::Failed { error }) => Err(error.as_str()),
                None => Err(outcome.error.as_deref().unwrap_or("no_answer")),
            })
            .collect();
        Self {
            briefs: outcomes.len(),
            passed_over: outcomes.len() - asked.len(),
            asked: asked.len(),
            published: Totals::of(published),
            baseline: asked
                .iter()
                .any(|outcome| outcome.baseline.is_some())
                .then(|| Totals::of(baseline)),
            repaired: texts().filter(|text| !text.repairs.is_empty()).count(),
            repairs: counted(texts().flat_map(|text| text.repairs.iter().map(String::as_str))),
            fewer_variants: asked
                .iter()
                .filter(|outcome| outcome.error.is_none() && outcome.variants.len() < outcome.wanted)
                .count(),
            diversity: mean(&diversities),
            attempts: asked.iter().map(|outcome| u64::from(outcome.attempts)).sum(),
            seconds: spread(asked.iter().map(|outcome| outcome.seconds).collect()),
        }
    }
}

impl Totals {
    /// Of the texts of each brief, or the reason why it has none.
    fn of(briefs: Vec<Result<Vec<&Judged>, &str>>) -> Self {
        let answered: Vec<&Vec<&Judged>> = briefs.iter().filter_map(|texts| texts.as_ref().ok()).collect();
        let texts: Vec<&Judged> = answered.iter().flat_map(|texts| texts.iter().copied()).collect();
        let valid = answered
            .iter()
            .filter(|texts| !texts.is_empty() && texts.iter().all(|text| text.valid))
            .count();
        let scores: Vec<f64> = texts.iter().map(|text| text.quality_score).collect();
        // A part may be there for some briefs only, such as the brand's voice.
        let mut names: Vec<&str> = Vec::new();
        for part in texts.iter().flat_map(|text| &text.parts) {
            if !names.contains(&part.name.as_str()) {
                names.push(&part.name);
            }
        }
        let parts = names.iter().map(|name| {
            let values: Vec<f64> = texts
                .iter()
                .flat_map(|text| &text.parts)
                .filter(|part| part.name == *name)
                .map(|part| part.value)
                .collect();
            Mean {
                name: (*name).to_owned(),
                value: mean(&values).unwrap_or_default(),
            }
        });
        Self {
            answered: answered.len(),
            valid,
            valid_percent: percent(valid, briefs.len()),
            texts: texts.len(),
            quality_score: (mean(&scores).unwrap_or_default() * 10.0).round() / 10.0,
            parts: parts.collect(),
            unfaithful: texts.iter().filter(|text| text.untraced > 0).count(),
            untraced: texts.iter().map(|text| text.untraced).sum(),
            violations: counted(
                texts
                    .iter()
                    .flat_map(|text| text.violations.iter().map(|broken| broken.rule.as_str())),
            ),
            errors: counted(briefs.iter().filter_map(|texts| texts.as_ref().err().copied())),
        }
    }
}

/// One decimal, rounded down, so that 100 means all; 0 of none.
fn percent(part: usize, whole: usize) -> f64 {
    number(part * 1000 / whole.max(1)) / 10.0
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| round(values.iter().sum::<f64>() / number(values.len())))
}

/// Most frequent first, then by name.
fn counted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Count> {
    let mut counts: Vec<Count> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|count| count.name == name) {
            Some(count) => count.count += 1,
            None => counts.push(Count {
                name: name.to_owned(),
                count: 1,
            }),
        }
    }
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts
}

/// By nearest rank: every figure is a time that was measured.
fn spread(mut seconds: Vec<f64>) -> Option<Spread> {
    seconds.sort_by(f64::total_cmp);
    let rank = |percent: usize| seconds.get((seconds.len() * percent).div_ceil(100).max(1) - 1).copied();
    Some(Spread {
        median: rank(50)?,
        p95: rank(95)?,
        longest: rank(100)?,
    })
}
