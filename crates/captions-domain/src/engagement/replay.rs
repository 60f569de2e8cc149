//! An account's history told over again: what would have been said of each post before it, and what it then reached.

use serde::{Deserialize, Serialize};

use super::{LEAST_POSTS, effects::Measure};

/// An estimate rests on so many of the posts before it: at least, and at most.
const WINDOW: (usize, usize) = (LEAST_POSTS - 1, 20);
/// How much the spread of other accounts counts beside the own one, in posts.
const PRIOR_POSTS: f64 = 10.0;
/// The standard deviation of what other accounts' posts reach, around their account's own median, in logarithms (2017-2019).
const fn prior_spread(measure: Measure) -> f64 {
    match measure {
        Measure::Likes => 0.50,
        Measure::Comments => 0.74,
    }
}
/// Where 10 % of a normal distribution lie below, in standard deviations.
const TENTH: f64 = -1.2816;
/// Posts that are told over again, the newest: the time that it takes grows with their square.
const MOST_TOLD: usize = 1000;
/// The posts whose pairs are looked at, the newest.
const MOST_PAIRED: usize = 200;
/// Fewer pairs tell nothing about captions.
const LEAST_PAIRS: u32 = 30;

/// One post: what it reached, and its caption's effect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) reached: u64,
    pub(super) effect: f64,
}

/// What is usual on an account for one format and one measure. Levels and bounds are natural logarithms of 1 + the count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Habit {
    /// The median of the last posts; without what their captions had to do with it, if captions count.
    level: f64,
    /// The bounds of 80 % of the cases, relative to the estimate.
    low: f64,
    high: f64,
    /// Whether captions told the better posts from the worse ones: in more than half of at least 30 pairs.
    pub captions_count: bool,
    pub replay: Replay,
}

/// How good the estimates would have been, each made from what was known before the post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Posts that were estimated.
    pub posts: usize,
    /// Share of them that came within their interval of 80 %.
    pub coverage: f64,
    /// The median of how far an estimate was off, as a share of what was reached.
    pub error: f64,
    /// The same of estimates that know nothing of captions.
    pub error_without_captions: f64,
    /// Pairs of posts whose captions differ in effect.
    pub pairs: u32,
    /// Share of the pairs of which the caption with the better effect did better against its time. 0.5 is chance.
    pub pairs_right: f64,
}

/// The estimates of one telling.
struct Told {
    /// What each post reached beyond its estimate, in logarithms.
    beyond: Vec<f64>,
    /// Between which 80 % of the cases lie, after all of them.
    bounds: (f64, f64),
    within: usize,
    error: f64,
}

impl Habit {
    /// Of posts in the order of their time; `None` of too few.
    pub(super) fn of(points: &[Point], measure: Measure) -> Option<Self> {
        if points.len() < LEAST_POSTS {
            return None;
        }
        let points = &points[points.len().saturating_sub(MOST_TOLD)..];
        let reached: Vec<f64> = points.iter().map(|point| count(point.reached).ln_1p()).collect();
        let effects: Vec<f64> = points.iter().map(|point| point.effect.ln()).collect();
        let nothing = vec![0.0; effects.len()];
        let plain = tell(&reached, &nothing, measure);
        let (pairs, right) = pairs(&plain.beyond, &effects[WINDOW.0..]);
        let pairs_right = if pairs == 0 {
            0.5
        } else {
            f64::from(right) / f64::from(pairs)
        };
        let error_without_captions = plain.error;
        let captions_count = pairs >= LEAST_PAIRS && pairs_right > 0.5;
        let (told, effects) = if captions_count {
            (tell(&reached, &effects, measure), effects)
        } else {
            (plain, nothing)
        };
        let (low, high) = told.bounds;
        Some(Self {
            level: round(level(&reached, &effects)),
            low: round(low),
            high: round(high),
            captions_count,
            replay: Replay {
                posts: told.beyond.len(),
                coverage: round(share(told.within, told.beyond.len())),
                error: round(told.error),
                error_without_captions: round(error_without_captions),
                pairs,
                pairs_right: round(pairs_right),
            },
        })
    }

    /// What a caption of this effect counts for here.
    pub(super) fn caption_effect(&self, effect: f64) -> f64 {
        if self.captions_count { round(effect) } else { 1.0 }
    }

    /// Median, low and high of what a post reaches whose caption has this effect: whole numbers.
    pub fn range(&self, effect: f64) -> (f64, f64, f64) {
        let median = self.level + self.caption_effect(effect).ln();
        let whole = |log: f64| log.exp_m1().max(0.0).round();
        (whole(median), whole(median + self.low), whole(median + self.high))
    }
}

/// Estimates each post by those before it.
fn tell(reached: &[f64], effects: &[f64], measure: Measure) -> Told {
    let (mut beyond, mut within, mut errors) = (Vec::new(), 0, Vec::new());
    let mut sorted: Vec<f64> = Vec::new();
    for next in WINDOW.0..reached.len() {
        let estimate = level(&reached[..next], &effects[..next]) + effects[next];
        let off = reached[next] - estimate;
        let (low, high) = bounds(&sorted, measure);
        within += usize::from((low..=high).contains(&off));
        let (was, said) = (reached[next].exp_m1(), estimate.exp_m1());
        errors.push((was - said).abs() / was.max(1.0));
        sorted.insert(sorted.partition_point(|other| *other < off), off);
        beyond.push(off);
    }
    Told {
        beyond,
        bounds: bounds(&sorted, measure),
        within,
        error: median(errors),
    }
}

/// The median of the last posts, less their captions' effects.
fn level(reached: &[f64], effects: &[f64]) -> f64 {
    let first = reached.len().saturating_sub(WINDOW.1);
    let last = reached[first..]
        .iter()
        .zip(&effects[first..])
        .map(|(reached, effect)| reached - effect);
    median(last.collect())
}

/// The bounds of 80 % of the cases: the account's own, drawn toward those of others as if these were some more posts.
fn bounds(sorted: &[f64], measure: Measure) -> (f64, f64) {
    let own = count(sorted.len() as u64);
    let bound = |at: f64, of_others: f64| {
        let of_own = quantile(sorted, at);
        (own * of_own + PRIOR_POSTS * of_others) / (own + PRIOR_POSTS)
    };
    let spread = prior_spread(measure);
    // On an account that grows or shrinks fast all posts may lie on one side; the estimate itself is always within.
    (
        bound(0.1, TENTH * spread).min(0.0),
        bound(0.9, -TENTH * spread).max(0.0),
    )
}

/// Of the newest posts: pairs with different effects, and those in which the better caption did better.
fn pairs(beyond: &[f64], effects: &[f64]) -> (u32, u32) {
    let first = beyond.len().saturating_sub(MOST_PAIRED);
    let posts: Vec<(f64, f64)> = beyond[first..]
        .iter()
        .copied()
        .zip(effects[first..].iter().copied())
        .collect();
    let (mut pairs, mut right) = (0, 0);
    for (index, one) in posts.iter().enumerate() {
        for other in &posts[..index] {
            let (did_better, said_better) = (one.0 - other.0, one.1 - other.1);
            if said_better.abs() > 1e-9 && did_better.abs() > 1e-9 {
                pairs += 1;
                right += u32::from((did_better > 0.0) == (said_better > 0.0));
            }
        }
    }
    (pairs, right)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// The value below which the share `at` of all lies, between the two nearest; 0 of none.
fn quantile(values: &[f64], at: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else {
        return 0.0;
    };
    let place = at * count(last as u64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place within the list, and not below 0"
    )]
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    values[below] + (values[above] - values[below]) * (place - count(below as u64))
}

fn share(part: usize, whole: usize) -> f64 {
    count(part as u64) / count(whole.max(1) as u64)
}

#[expect(clippy::cast_precision_loss, reason = "counts of likes and posts are far below 2^52")]
const fn count(number: u64) -> f64 {
    number as f64
}

/// To 1/10,000: what is below differs between machines and means nothing.
fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
