//! Hashtags from the brief, the caption and the writer's proposals: few, specific, traceable, readable aloud.

use crate::{
    brief::Brief,
    check::contains_phrase,
    injection,
    phrases::Words,
    text::{self, is_tag_body},
};

/// Tags so broad that they help nobody find anything; never written, whoever proposes them.
const GENERIC: &[&str] = &[
    "beautiful",
    "bestoftheday",
    "cute",
    "explore",
    "explorepage",
    "follow",
    "followme",
    "foryou",
    "foryoupage",
    "fun",
    "fyp",
    "happy",
    "igers",
    "instadaily",
    "instagood",
    "instagram",
    "instalike",
    "instamood",
    "like4like",
    "likeforlike",
    "likes",
    "love",
    "nofilter",
    "photo",
    "photography",
    "photooftheday",
    "picoftheday",
    "reel",
    "reels",
    "reelsinstagram",
    "selfie",
    "style",
    "trending",
    "viral",
];

/// What a tag must be worth, after what it shares with chosen ones is taken off.
const LEAST_WORTH: f64 = 0.2;

struct Candidate {
    body: String,
    stems: Vec<String>,
    relevance: f64,
}

/// Up to `brief.hashtag_count` hashtags, each with its `#`, best first; fewer if the brief gives no more.
///
/// Brand tags come first. A proposal of the writer is taken only if it shares a word with the brief or the caption, so
/// that no tag claims what nobody said. The rest are phrases of the description: specific (two or three words) before
/// broad (one word). Words to avoid, generic tags and near duplicates are left out.
pub fn suggest(brief: &Brief, caption: &str, proposed: &[String]) -> Vec<String> {
    let words = Words::of(&brief.language);
    // What speaks to the model is about no post.
    let description = injection::before(brief.description.as_str());
    let mut known = words.stems(description);
    known.extend(brief.keywords.iter().flat_map(|keyword| words.stems(keyword.as_str())));
    let in_caption = words.stems(caption);

    let mut candidates = Vec::new();
    for (rank, tag) in proposed.iter().enumerate() {
        let pieces: Vec<&str> = tag
            .trim()
            .trim_start_matches(['#', '＃'])
            .split(|c: char| c.is_whitespace() || c == '-')
            .filter(|piece| !piece.is_empty())
            .collect();
        let stems = words.stems(&pieces.join(" "));
        // A tag written as one lower-case word may be several; look for known words inside it too.
        let joined = pieces.concat().to_lowercase();
        let shared = known
            .iter()
            .filter(|stem| stems.contains(stem) || (stem.chars().count() > 3 && joined.contains(stem.as_str())))
            .count();
        let echoed = in_caption.iter().filter(|stem| stems.contains(stem)).count();
        if shared + echoed == 0 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "ranks and counts are tiny")]
        let relevance = 0.8 + 0.1 * shared.min(2) as f64 - 0.02 * rank as f64;
        candidates.push(Candidate {
            body: pascal_case(&pieces, brief.language.primary()),
            stems,
            relevance,
        });
    }
    for keyword in &brief.keywords {
        let pieces: Vec<&str> = keyword.as_str().split_whitespace().collect();
        candidates.push(Candidate {
            body: pascal_case(&pieces, brief.language.primary()),
            stems: words.stems(keyword.as_str()),
            relevance: 0.9,
        });
    }
    for phrase in words.phrases(description) {
        let pieces: Vec<&str> = phrase.words.iter().map(String::as_str).collect();
        #[expect(clippy::cast_precision_loss, reason = "counts are tiny")]
        let echoed =
            phrase.stems.iter().filter(|stem| in_caption.contains(stem)).count() as f64 / phrase.stems.len() as f64;
        let specific = match phrase.words.len() {
            // What somebody does ("puppy running") is no name that anybody looks for.
            _ if brief.language.primary() == "en" && pieces.iter().any(|word| word.ends_with("ing")) => 0.2,
            2 => 0.6,
            3 => 0.5,
            _ => 0.35,
        };
        #[expect(clippy::cast_precision_loss, reason = "a description has at most 2000 characters")]
        let early = 0.1 / (1.0 + phrase.position as f64 / 20.0);
        candidates.push(Candidate {
            body: pascal_case(&pieces, brief.language.primary()),
            stems: phrase.stems,
            relevance: specific + 0.2 * echoed + early,
        });
    }

    let mut chosen: Vec<Candidate> = Vec::new();
    for tag in &brief.brand_tags {
        chosen.push(Candidate {
            body: tag.as_str().to_owned(),
            stems: words.stems(tag.as_str()),
            relevance: 1.0,
        });
    }
    chosen.truncate(brief.hashtag_count);
    candidates.retain(|candidate| is_usable(candidate, brief));
    while chosen.len() < brief.hashtag_count {
        // What is like a chosen tag is worth less: five tags should say five things.
        let worth = |candidate: &Candidate| {
            candidate.relevance
                - chosen
                    .iter()
                    .map(|other| 0.7 * likeness(candidate, other))
                    .fold(0.0, f64::max)
        };
        let best = candidates
            .iter()
            .enumerate()
            // Better one tag less than one that only repeats the others.
            .filter(|(_, candidate)| worth(candidate) > LEAST_WORTH)
            .max_by(|(i, a), (j, b)| worth(a).total_cmp(&worth(b)).then(j.cmp(i)))
            .map(|(index, _)| index);
        let Some(best) = best else { break };
        let best = candidates.remove(best);
        candidates.retain(|candidate| !is_duplicate(candidate, &best));
        if !chosen.iter().any(|other| is_duplicate(&best, other)) {
            chosen.push(best);
        }
    }
    chosen
        .into_iter()
        .map(|candidate| format!("#{}", candidate.body))
        .collect()
}

/// Share of `tags` that are generic, 0-1.
pub fn generic_share(tags: &[String]) -> f64 {
    if tags.is_empty() {
        return 0.0;
    }
    let generic = tags
        .iter()
        .filter(|tag| is_generic(tag.trim_start_matches('#')))
        .count();
    #[expect(clippy::cast_precision_loss, reason = "there are at most 30 tags")]
    let share = generic as f64 / tags.len() as f64;
    share
}

fn is_generic(body: &str) -> bool {
    GENERIC.contains(&body.to_lowercase().as_str())
}

fn is_usable(candidate: &Candidate, brief: &Brief) -> bool {
    let length = candidate.body.chars().count();
    (2..=30).contains(&length)
        && is_tag_body(&candidate.body)
        && !is_generic(&candidate.body)
        && !brief.avoid.iter().any(|word| {
            contains_phrase(&format!("#{}", candidate.body), word.as_str())
                || candidate.body.to_lowercase().contains(&word.as_str().to_lowercase())
        })
}

fn is_duplicate(a: &Candidate, b: &Candidate) -> bool {
    a.body.to_lowercase() == b.body.to_lowercase() || (!a.stems.is_empty() && a.stems == b.stems)
}

/// Shared stems over those of the shorter tag, 0-1: what stands inside another tag says nothing new.
fn likeness(a: &Candidate, b: &Candidate) -> f64 {
    let shared = a.stems.iter().filter(|stem| b.stems.contains(stem)).count();
    #[expect(clippy::cast_precision_loss, reason = "a tag has a handful of stems")]
    let likeness = shared as f64 / a.stems.len().min(b.stems.len()).max(1) as f64;
    likeness
}

/// `golden retriever` becomes `GoldenRetriever`: screen readers read it as two words. What has capitals keeps them.
fn pascal_case(pieces: &[&str], language: &str) -> String {
    pieces
        .iter()
        .map(|piece| text::capitalised(&text::tag_text(piece), language))
        .collect()
}

#[cfg(test)]
mod tests;
