//! Hashtags from the brief, the caption and the writer's proposals: few, specific, traceable, readable aloud.
//!
//! Candidates come from all three (`candidate`), are written as one tag each (`spelling`), and only those stay that
//! keep the grammar, are on no list (`lists`) and name a place of what was given (`source`). Of these the most
//! relevant are chosen that are not like each other.

use serde::{Deserialize, Serialize};

pub(crate) use self::candidate::Ground;
pub use self::{
    candidate::Tier,
    lists::{denylist_as_of, is_denied},
    source::Origin,
};
use self::{
    candidate::{Candidate, Collector, Ranked},
    source::Sources,
};
use crate::{brief::Brief, caption::Warning, injection, phrases::Words};

mod candidate;
mod lists;
mod source;
mod spelling;

/// What a tag must be worth, after what it shares with chosen ones is taken off.
const LEAST_WORTH: f64 = 0.2;

/// How much likeness takes off. Likeness is 1 for a tag inside another (`#Sandy` beside `#SandyBeach`), so the usual 0.3
/// of marginal relevance would keep it.
const LIKENESS: f64 = 0.7;

/// The most candidates that are compared with each other, most relevant first.
const MAX_COMPARED: usize = 150;

/// One hashtag, and why it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tag {
    /// With its `#`.
    pub tag: String,
    pub tier: Tier,
    /// 0-1: how much of it was said, and how specifically.
    pub relevance: f64,
    pub source: Origin,
}

/// Up to `brief.hashtag_count` hashtags, each with its `#`, best first; fewer if the brief gives no more.
pub fn suggest(brief: &Brief, caption: &str, proposed: &[String]) -> Vec<String> {
    pick(brief, caption, proposed).into_iter().map(|tag| tag.tag).collect()
}

/// The same, each with its tier, its relevance and its source.
///
/// The user's own tags come first, then the most relevant of what the writer proposes, the user's keywords and the phrases
/// of description and caption. Of five at most three are niche and one is broad, as long as there are others.
pub fn pick(brief: &Brief, caption: &str, proposed: &[String]) -> Vec<Tag> {
    let words = Words::of(&brief.language);
    let description = injection::before(brief.description.as_str());
    pick_from(&Ground::of(brief, description, &words), caption, proposed)
}

/// The same where the brief has been taken apart, once for several captions.
pub(crate) fn pick_from(ground: &Ground<'_>, caption: &str, proposed: &[String]) -> Vec<Tag> {
    let (brief, words) = (ground.brief, ground.words);
    let collector = Collector {
        words,
        ground,
        sources: Sources::of(&ground.fields, caption, words),
        spelling: ground.spelling,
    };
    let [proposed, phrases] = [collector.proposed(proposed), collector.phrases()].map(|mut written| {
        written.retain(|candidate| candidate.is_usable(brief));
        written
    });
    let mut candidates: Vec<Ranked<'_>> = proposed.iter().map(Candidate::ranked).collect();
    candidates.extend(ground.keywords.iter().map(Candidate::ranked));
    candidates.extend(collector.said());
    candidates.extend(phrases.iter().map(Candidate::ranked));
    candidates.sort_by(|a, b| b.relevance.total_cmp(&a.relevance));
    candidates.truncate(MAX_COMPARED);

    let mut chosen: Vec<Ranked<'_>> = ground.branded.iter().map(Candidate::ranked).collect();
    chosen.truncate(brief.hashtag_count);
    choose(
        &mut chosen,
        &mut candidates,
        brief.hashtag_count,
        Mix::of(brief.hashtag_count),
    );
    choose(&mut chosen, &mut candidates, brief.hashtag_count, Mix::ANY);
    chosen
        .into_iter()
        .map(|Ranked { candidate, relevance }| Tag {
            tag: format!("#{}", candidate.body),
            tier: candidate.tier,
            relevance,
            source: candidate.source.clone(),
        })
        .collect()
}

/// The warning of fewer hashtags than were asked for: better one less than one that nobody asked for.
pub fn shortfall(brief: &Brief, written: usize) -> Option<Warning> {
    let wanted = brief.hashtag_count;
    (written < wanted).then(|| {
        let detail = format!("{wanted} hashtags were asked for; what was said gives {written}, and none is made up");
        Warning::new("fewer_hashtags", detail)
    })
}

/// The most tags of a tier.
#[derive(Clone, Copy)]
struct Mix {
    niche: usize,
    broad: usize,
}

impl Mix {
    const ANY: Self = Self {
        niche: usize::MAX,
        broad: usize::MAX,
    };

    /// Three of five niche, one of five broad.
    fn of(count: usize) -> Self {
        Self {
            niche: (3 * count).div_ceil(5),
            broad: (count / 5).max(1),
        }
    }

    fn allows(self, tier: Tier, chosen: &[Ranked<'_>]) -> bool {
        let most = match tier {
            Tier::Niche => self.niche,
            Tier::Broad => self.broad,
            Tier::Mid | Tier::Branded => return true,
        };
        chosen.iter().filter(|other| other.candidate.tier == tier).count() < most
    }
}

/// Takes the best candidate that the mix allows, again and again; each turn uses one up.
fn choose<'c>(chosen: &mut Vec<Ranked<'c>>, candidates: &mut Vec<Ranked<'c>>, count: usize, mix: Mix) {
    candidates.retain(|one| {
        !chosen
            .iter()
            .any(|other| one.candidate.is_duplicate_of(other.candidate))
    });
    while chosen.len() < count {
        // What is like a chosen tag is worth less: five tags should say five things.
        let worth = |one: &Ranked<'_>| {
            let likeness = chosen.iter().map(|other| one.candidate.likeness(other.candidate));
            one.relevance - LIKENESS * likeness.fold(0.0, f64::max)
        };
        let best = candidates
            .iter()
            .enumerate()
            .filter(|(_, one)| mix.allows(one.candidate.tier, chosen))
            .map(|(index, one)| (index, worth(one)))
            // Better one tag less than one that only repeats the others.
            .filter(|(_, worth)| *worth > LEAST_WORTH)
            .max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
        let Some((best, _)) = best else { break };
        let best = candidates.remove(best);
        candidates.retain(|one| !one.candidate.is_duplicate_of(best.candidate));
        chosen.push(best);
    }
}

/// Share of `tags` that are generic, 0-1.
pub fn generic_share(tags: &[String]) -> f64 {
    if tags.is_empty() {
        return 0.0;
    }
    let generic = tags
        .iter()
        .filter(|tag| lists::is_generic(tag.trim_start_matches('#')))
        .count();
    #[expect(clippy::cast_precision_loss, reason = "there are at most 30 tags")]
    let share = generic as f64 / tags.len() as f64;
    share
}

#[cfg(test)]
mod tests;
