//! What a user's feedback says about their wishes, as changes of preferences that they may accept.
//!
//! Two kinds of evidence. *Texts*: what was written beside what was published, from captions that were used or edited;
//! one that was published as it was speaks against every change. *Choices*: which kinds of captions were published and
//! which were rejected. A suggestion needs [`LEAST_EVIDENCE`] captions that could speak for or against it, of which
//! [`MAJORITY`] speak for it, about at least [`LEAST_POSTS`] different posts.
//!
//! No field is suggested twice: where texts and choices disagree about one, neither is suggested.

use std::collections::{BTreeMap, HashSet};

use super::{
    change::{Change, Suggestion, Support, ratio, same},
    measure::without_tags_at_end,
};
use crate::{
    caption::{Record, Variant, Verdict},
    choice::{Emoji, Length, Tone},
    phrases::Words,
    platform::PlatformRules,
    request::{HashtagCount, Keyword, MAX_KEYWORDS},
    text,
    user::Preferences,
};

/// The most captions of a user, newest first, that are looked at.
pub const LOOK_BACK: u32 = 200;
/// The fewest captions with feedback that a suggestion stands on.
pub const LEAST_EVIDENCE: usize = 5;
/// The fewest different posts among them that speak for it.
pub const LEAST_POSTS: usize = 3;
/// The share of them that has to speak for it.
pub const MAJORITY: f64 = 0.8;
/// At most this share of the captions of the present kind was published, where another kind is suggested instead.
pub const DISLIKED: f64 = 0.5;
/// How much shorter, or longer in the other direction, a text became that counts as shortened: 30 %.
const SHORTENED: f64 = 0.7;
/// An edit that shares less than this with what was written, of the words of the longer one, is a new text, and what is
/// missing in it says nothing.
const STILL_THE_SAME_TEXT: f64 = 0.5;
/// The most words that are suggested to avoid at a time.
const MOST_WORDS: usize = 5;

/// What the feedback on these captions suggests to change, best supported first; nothing that is so already, and nothing that
/// the user dismissed when the evidence was the same.
pub fn suggest(preferences: &Preferences, records: &[Record]) -> Vec<Suggestion> {
    let cases: Vec<Case<'_>> = records.iter().filter_map(Case::of).collect();
    let texts: Vec<&Case<'_>> = cases.iter().filter(|case| case.published.is_some()).collect();
    let mut found = Vec::new();
    let emoji = [
        emoji_by_texts(preferences, &texts),
        emoji_by_choices(preferences, &cases),
    ];
    found.extend(agreed(emoji));
    let length = [
        length_by_texts(preferences, &texts),
        length_by_choices(preferences, &cases),
    ];
    found.extend(agreed(length));
    found.extend(tone_by_choices(preferences, &cases));
    found.extend(hashtags_by_texts(preferences, &texts));
    found.extend(words_by_texts(preferences, &texts));
    found.retain(|suggestion| !suggestion.is_dismissed(preferences));
    found.sort_by(|a, b| {
        let share = b.support.share().total_cmp(&a.support.share());
        share
            .then(b.support.of.cmp(&a.support.of))
            .then_with(|| a.change.id().cmp(&b.change.id()))
    });
    found
}

/// One caption with feedback.
struct Case<'a> {
    record: &'a Record,
    verdict: Verdict,
    written: &'a Variant,
    /// What was published, where that is known.
    published: Option<&'a str>,
}

impl<'a> Case<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let feedback = record.feedback.as_ref()?;
        let written = record
            .caption
            .variants
            .get(usize::from(feedback.variant.unwrap_or_default()))?;
        let published = match feedback.verdict {
            Verdict::Used => Some(written.text.as_str()),
            Verdict::Edited => feedback.final_text.as_deref(),
            Verdict::Rejected => None,
        };
        Some(Self {
            record,
            verdict: feedback.verdict,
            written,
            published,
        })
    }

    const fn was_published(&self) -> bool {
        !matches!(self.verdict, Verdict::Rejected)
    }

    fn length_of(&self, text: &str) -> Length {
        let rules = PlatformRules::of(self.record.caption.platform);
        let characters = without_tags_at_end(text).chars().count();
        let fits = |length: &&Length| characters <= rules.length_bucket(**length).1;
        *Length::ALL.iter().find(fits).unwrap_or(&Length::Max)
    }
}

fn emoji_of(text: &str) -> Emoji {
    match text::emoji(text).count() {
        0 => Emoji::None,
        1..=3 => Emoji::Few,
        _ => Emoji::Many,
    }
}

fn emoji_by_texts(preferences: &Preferences, texts: &[&Case<'_>]) -> Option<Suggestion> {
    let present = preferences.emoji.unwrap_or_default();
    let (target, support) = target_of_texts(texts, present, emoji_of)?;
    Some(Suggestion {
        change: Change::Emoji(target),
        because: match target {
            Emoji::None => format!("you removed all emoji in {} of {} captions", support.agree, support.of),
            Emoji::Few => format!(
                "you left 1 to 3 emoji in {} of {} captions that had others",
                support.agree, support.of
            ),
            Emoji::Many => format!(
                "you added emoji, to 4 or more, in {} of {} captions",
                support.agree, support.of
            ),
        },
        support,
    })
}

fn hashtags_by_texts(preferences: &Preferences, texts: &[&Case<'_>]) -> Option<Suggestion> {
    let count = |text: &str| text::hashtags(text).len();
    // Without a wish the platform's usual number counts, which differs: nothing is so already.
    let present = preferences
        .hashtag_count
        .map_or(usize::MAX, |count| usize::from(count.get()));
    let most = usize::from(HashtagCount::RANGE.1);
    let (target, support) = target_of_texts(texts, present, count).filter(|(target, _)| *target <= most)?;
    Some(Suggestion {
        change: Change::HashtagCount(
            u32::try_from(target)
                .ok()
                .and_then(|n| HashtagCount::new(n.into()).ok())?,
        ),
        because: if target == 0 {
            format!(
                "you removed all hashtags in {} of {} captions",
                support.agree, support.of
            )
        } else {
            format!(
                "you changed the hashtags to {target} in {} of {} captions",
                support.agree, support.of
            )
        },
        support,
    })
}

/// The kind to which texts are changed, and whether they are so by a clear majority. A text that was of another kind and
/// was changed to this one agrees; one that was left at another kind, or changed away from this one, disagrees; one that
/// was of this kind and stayed so could not be changed to it and says nothing.
///
/// There is one such kind at most: what agrees to one disagrees to all others, and the majority is above a half.
fn target_of_texts<K: Copy + PartialEq>(
    texts: &[&Case<'_>],
    present: K,
    kind: impl Fn(&str) -> K,
) -> Option<(K, Support)> {
    let kinds: Vec<(K, K, &Case<'_>)> = texts
        .iter()
        .filter_map(|case| Some((kind(&case.written.text), kind(case.published?), *case)))
        .collect();
    let targets = kinds.iter().map(|(_, published, _)| *published);
    targets.filter(|target| *target != present).find_map(|target| {
        let speaking = || {
            kinds
                .iter()
                .filter(move |(written, published, _)| *written != target || *published != target)
        };
        let agreeing = || {
            speaking()
                .filter(move |(_, published, _)| *published == target)
                .map(|(.., case)| *case)
        };
        let support = Support {
            agree: agreeing().count(),
            of: speaking().count(),
        };
        is_clear(support, agreeing()).then_some((target, support))
    })
}

/// Shortened, or lengthened, by 30 % or more, and to where the middle one of the published texts lies.
fn length_by_texts(preferences: &Preferences, texts: &[&Case<'_>]) -> Option<Suggestion> {
    let present = preferences.length.unwrap_or_default();
    let characters = |text: &str| without_tags_at_end(text).chars().count();
    let ratios: Vec<(f64, &Case<'_>, &str)> = texts
        .iter()
        .filter_map(|case| {
            let published = case.published?;
            Some((
                ratio(characters(published), characters(&case.written.text)),
                *case,
                published,
            ))
        })
        .collect();
    let towards = |is_changed: &dyn Fn(f64) -> bool, word: &str| {
        let agreeing = || ratios.iter().filter(|(ratio, ..)| is_changed(*ratio));
        let support = Support {
            agree: agreeing().count(),
            of: ratios.len(),
        };
        if !is_clear(support, agreeing().map(|(_, case, _)| *case)) {
            return None;
        }
        let mut lengths: Vec<Length> = agreeing()
            .map(|(_, case, published)| case.length_of(published))
            .collect();
        lengths.sort_by_key(|length| place(*length));
        let target = *lengths.get(lengths.len() / 2)?;
        let suggestion = Suggestion {
            change: Change::Length(target),
            because: format!(
                "you {word} {} of {} captions by 30 % or more, mostly to {target} ones",
                support.agree, support.of
            ),
            support,
        };
        Some((target, suggestion))
    };
    let shorter = towards(&|ratio| ratio <= SHORTENED, "shortened").filter(|(to, _)| place(*to) < place(present));
    let longer = towards(&|ratio| ratio >= 1.0 / SHORTENED, "lengthened").filter(|(to, _)| place(*to) > place(present));
    shorter.or(longer).map(|(_, suggestion)| suggestion)
}

/// Words that stood in what was written and never in what was published.
fn words_by_texts(preferences: &Preferences, texts: &[&Case<'_>]) -> Vec<Suggestion> {
    let mut cases: BTreeMap<String, (Vec<&Case<'_>>, usize)> = BTreeMap::new();
    for case in texts {
        let Some(published) = case.published else { continue };
        let content = Words::of(&case.record.caption.language);
        let words = |text: &str| -> HashSet<String> {
            let words = text::words(text).filter(|word| content.is_content(word));
            words.map(str::to_lowercase).collect()
        };
        let (written, edited) = (words(&case.written.caption), words(without_tags_at_end(published)));
        let kept = written.intersection(&edited).count();
        if ratio(kept, written.len().max(edited.len())) < STILL_THE_SAME_TEXT {
            continue;
        }
        let published = words(published);
        // What the post is about is not disliked for having been said in another way.
        let about = content.stems(case.record.description.as_str());
        for word in written.iter().filter(|word| !about.contains(&content.stem(word))) {
            let (removed, of) = cases.entry(word.clone()).or_default();
            *of += 1;
            if !published.contains(word) {
                removed.push(case);
            }
        }
    }
    let wanted = |word: &Keyword| {
        let lists = [&preferences.required, &preferences.keywords, &preferences.avoid];
        lists.into_iter().flatten().any(|other| same(other, word))
            || preferences
                .brand_tags
                .iter()
                .any(|tag| tag.as_str().to_lowercase() == word.as_str())
    };
    let mut found: Vec<Suggestion> = cases
        .into_iter()
        .filter_map(|(word, (removed, of))| {
            let support = Support {
                agree: removed.len(),
                of,
            };
            let word = Keyword::new(&word).ok().filter(|word| !wanted(word))?;
            is_clear(support, removed.into_iter()).then(|| Suggestion {
                because: format!(
                    "you removed \"{word}\" from {} of {} captions that had it",
                    support.agree, of
                ),
                change: Change::Avoid(word),
                support,
            })
        })
        .collect();
    found.sort_by(|a, b| {
        b.support
            .share()
            .total_cmp(&a.support.share())
            .then(b.support.of.cmp(&a.support.of))
    });
    found.truncate(MOST_WORDS.min(MAX_KEYWORDS.saturating_sub(preferences.avoid.len())));
    found
}

fn tone_by_choices(preferences: &Preferences, cases: &[Case<'_>]) -> Option<Suggestion> {
    let present = preferences.tone.unwrap_or_default();
    by_choices(
        cases,
        present,
        Tone::ALL,
        |case| case.record.caption.tone,
        |tone| {
            (
                Change::Tone(tone),
                format!("of the {tone} captions"),
                format!("of the {present} ones"),
            )
        },
    )
}

fn length_by_choices(preferences: &Preferences, cases: &[Case<'_>]) -> Option<Suggestion> {
    let present = preferences.length.unwrap_or_default();
    let kind = |case: &Case<'_>| Some(case.length_of(&case.written.text));
    by_choices(cases, present, Length::ALL, kind, |length| {
        (
            Change::Length(length),
            format!("of the {length} captions"),
            format!("of the {present} ones"),
        )
    })
}

fn emoji_by_choices(preferences: &Preferences, cases: &[Case<'_>]) -> Option<Suggestion> {
    let present = preferences.emoji.unwrap_or_default();
    let kind = |case: &Case<'_>| Some(emoji_of(&case.written.text));
    by_choices(cases, present, Emoji::ALL, kind, |emoji| {
        (
            Change::Emoji(emoji),
            format!("of the captions with {emoji} emoji"),
            format!("of those with {present}"),
        )
    })
}

/// A kind whose captions are published by a clear majority, where those of the present kind are not even mostly.
fn by_choices<K: Copy + PartialEq>(
    cases: &[Case<'_>],
    present: K,
    kinds: &[K],
    kind: impl Fn(&Case<'_>) -> Option<K>,
    say: impl Fn(K) -> (Change, String, String),
) -> Option<Suggestion> {
    let support = |wanted: K| {
        let all = || cases.iter().filter(|case| kind(case) == Some(wanted));
        let agreeing: Vec<&Case<'_>> = all().filter(|case| case.was_published()).collect();
        let of = all().count();
        (
            Support {
                agree: agreeing.len(),
                of,
            },
            agreeing,
        )
    };
    let (now, _) = support(present);
    if now.of < LEAST_EVIDENCE || now.share() > DISLIKED {
        return None;
    }
    let better = kinds.iter().filter(|kind| **kind != present).filter_map(|kind| {
        let (support, agreeing) = support(*kind);
        is_clear(support, agreeing.into_iter()).then_some((*kind, support))
    });
    let (target, support) = better.max_by(|a, b| a.1.share().total_cmp(&b.1.share()).then(a.1.of.cmp(&b.1.of)))?;
    let (change, better, present) = say(target);
    Some(Suggestion {
        change,
        because: format!(
            "you published {} of {} {better}, and {} of {} {present}",
            support.agree, support.of, now.agree, now.of
        ),
        support,
    })
}

/// What both kinds of evidence say, or the one that says something; nothing if they disagree.
fn agreed([texts, choices]: [Option<Suggestion>; 2]) -> Option<Suggestion> {
    match (texts, choices) {
        (Some(texts), Some(choices)) => (texts.change == choices.change).then_some(texts),
        (one, other) => one.or(other),
    }
}

/// Enough captions, a clear majority, and not all about one post.
fn is_clear<'a>(support: Support, agreeing: impl Iterator<Item = &'a Case<'a>>) -> bool {
    let posts: HashSet<&str> = agreeing.map(|case| case.record.description.as_str()).collect();
    support.of >= LEAST_EVIDENCE && support.share() >= MAJORITY && posts.len() >= LEAST_POSTS
}

fn place(length: Length) -> usize {
    Length::ALL
        .iter()
        .position(|other| *other == length)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
