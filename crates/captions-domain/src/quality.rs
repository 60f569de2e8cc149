//! How good a caption is, explained. A score of craft and of keeping to the brief; it says nothing about likes.
//!
//! Seven parts, each 0-1 with a weight and the one change that would raise it most. No model is involved: the same text
//! and brief always get the same score. The shapes and weights rest on published work on readability, hooks and
//! hashtags and on an analysis of 37,000 public captions (2017-2019); they are judgement, not prediction.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    brief::Brief,
    check::{Violation, contains_phrase},
    choice::{Cta, Emoji},
    hashtags,
    phrases::Words,
    polish::given_text,
    text::{self, Place},
};

/// An explained score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// 0-100, one decimal: `raw_score`, but at most 49 if the text is not publishable.
    pub score: f64,
    /// 100 x the sum of value x weight over the parts, one decimal.
    pub raw_score: f64,
    /// The weights sum to 1.
    pub parts: Vec<Part>,
    /// How many of 100 captions that people wrote score lower, as far as that can be told; `None` in scores of before it.
    pub percentile: Option<u8>,
    /// What the caption says and nobody told it: numbers, prices, dates, links, @mentions, names.
    pub untraced: Vec<Place>,
    /// By which rules it was scored; empty in scores of before there were versions.
    pub version: String,
}

/// One part of a score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    pub name: String,
    /// 0-1.
    pub value: f64,
    pub weight: f64,
    /// What it rests on: `platform`, `measured 2017-2019 panel`, `published`, `judgement`, several joined by commas.
    pub evidence: String,
    /// What in the published text costs points.
    pub spans: Vec<Place>,
    /// What would raise it most, in words; `None` if nothing is missing.
    pub fix: Option<String>,
}

/// The highest score of a text that breaks a hard rule.
pub const UNPUBLISHABLE_CAP: f64 = 49.0;

/// What one part found: its value and the fix.
type Finding = (f64, Option<String>);

/// Scores a caption with its hashtags against the brief that it was written for.
pub fn score(brief: &Brief, caption: &str, tags: &[String], violations: &[Violation]) -> Quality {
    let words = Words::of(&brief.language);
    let findings: [(&str, f64, Finding); 7] = [
        ("faithfulness", 0.25, faithfulness(brief, &words, caption)),
        ("hook", 0.18, hook(brief, &words, caption)),
        ("human_voice", 0.15, human_voice(brief, caption)),
        ("brief_adherence", 0.13, brief_adherence(brief, caption)),
        ("readability", 0.12, readability(brief, caption)),
        ("hashtags", 0.10, tag_quality(brief, &words, tags)),
        ("format", 0.07, format(caption)),
    ];
    let parts: Vec<Part> = findings
        .into_iter()
        .map(|(name, weight, (value, fix))| Part {
            name: name.to_owned(),
            value: round(value.clamp(0.0, 1.0), 1000.0),
            weight,
            fix,
            ..Part::default()
        })
        .collect();
    let raw_score = round(
        100.0 * parts.iter().map(|part| part.value * part.weight).sum::<f64>(),
        10.0,
    );
    let score = if violations.is_empty() {
        raw_score
    } else {
        raw_score.min(UNPUBLISHABLE_CAP)
    };
    Quality {
        score,
        raw_score,
        parts,
        ..Quality::default()
    }
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

/// Piecewise linear between the given points, flat beyond them.
fn interpolate(x: f64, points: &[(f64, f64)]) -> f64 {
    let Some(first) = points.first() else { return 0.0 };
    if x <= first.0 {
        return first.1;
    }
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x <= x1 {
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
        }
    }
    points.last().map_or(0.0, |last| last.1)
}

#[expect(clippy::cast_precision_loss, reason = "counts within a text are far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Says what the description says, and nothing that nobody said:
/// 0.6 x min(1, coverage / 0.6) + 0.4 x exp(-untraced).
fn faithfulness(brief: &Brief, words: &Words, caption: &str) -> Finding {
    let wanted = words.stems(brief.description.as_str());
    let present = words.stems(caption);
    let covered = wanted.iter().filter(|stem| present.contains(stem)).count();
    // Long descriptions hold more than a caption should repeat: twelve words are enough for full coverage.
    let coverage = number(covered) / number(wanted.len().clamp(1, 12));
    let untraced = untraced(brief, caption);
    let value = 0.6 * (coverage / 0.6).min(1.0) + 0.4 * (-number(untraced.len())).exp();
    let fix = if let Some(first) = untraced.first() {
        Some(format!("remove or confirm '{first}': the description does not say it"))
    } else if coverage < 0.6 {
        let missing: Vec<_> = text::words(brief.description.as_str())
            .filter(|word| words.is_content(word) && !present.contains(&words.stem(word)))
            .take(3)
            .collect();
        (!missing.is_empty()).then(|| format!("name more of what the post shows, such as {}", missing.join(", ")))
    } else {
        None
    };
    (value, fix)
}

/// Numbers, links, @mentions and names within sentences that stand in nothing that the user gave.
pub(crate) fn untraced<'a>(brief: &Brief, caption: &'a str) -> Vec<&'a str> {
    let given = given_text(brief).to_lowercase();
    let given: HashSet<&str> = given.split_whitespace().map(bare).map(without_genitive).collect();
    let mut untraced = Vec::new();
    // German writes every noun with a capital, so capitals tell nothing about names there.
    let capitals_are_names = brief.language.primary() != "de";
    // What follows a full stop, a colon, a dash or an emoji has a capital without being a name.
    let mut begins = true;
    for word in caption.split_whitespace() {
        let begins_here = std::mem::replace(&mut begins, word.ends_with(|c: char| !c.is_alphanumeric() && c != ','));
        let bare = bare(word);
        let Some(first) = bare.chars().next() else {
            begins = true;
            continue;
        };
        let is_number = bare.chars().any(char::is_numeric);
        let is_address = first == '@' || text::is_url(bare);
        // "I" and its forms are no names.
        let is_name = capitals_are_names
            && !begins_here
            && first.is_uppercase()
            && bare.chars().any(char::is_lowercase)
            && !bare.starts_with("I'")
            && !bare.starts_with("I’");
        if (is_number || is_address || is_name) && !given.contains(without_genitive(&bare.to_lowercase())) {
            untraced.push(bare);
        }
    }
    untraced
}

/// A word without the punctuation around it; signs that belong to prices and mentions stay.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '@' | '$' | '€' | '£' | '%'))
}

fn without_genitive(word: &str) -> &str {
    word.trim_end_matches("'s").trim_end_matches("’s")
}

/// The first sentence: short enough to be seen, concrete, no cliché and no sign first.
fn hook(brief: &Brief, words: &Words, caption: &str) -> Finding {
    let first = text::sentences(caption).next().unwrap_or_default();
    let length = number(first.chars().count());
    let in_fold = interpolate(
        length,
        &[
            (0.0, 0.3),
            (12.0, 0.8),
            (25.0, 1.0),
            (80.0, 1.0),
            (125.0, 0.6),
            (200.0, 0.3),
            (400.0, 0.1),
        ],
    );
    let said = words.stems(brief.description.as_str());
    let lower = first.to_lowercase();
    let person =
        text::words(&lower).any(|word| matches!(word, "i" | "we" | "my" | "our" | "you" | "your" | "i'm" | "we're"));
    let names_it = words.stems(first).iter().any(|stem| said.contains(stem));
    let signs = [
        first.chars().any(char::is_numeric),
        names_it,
        person || first.ends_with('?'),
    ];
    let concrete = match signs.iter().filter(|sign| **sign).count() {
        0 => 0.0,
        1 => 0.6,
        _ => 1.0,
    };
    let clean_start = first
        .chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '"' | '“' | '¿' | '¡' | '\''));
    let opener = OPENERS.iter().find(|opener| lower.starts_with(*opener));
    let clean = f64::from(u8::from(clean_start && opener.is_none()));
    let fix = if let Some(opener) = opener {
        Some(format!(
            "'{opener}' opens thousands of captions: start with what is seen"
        ))
    } else if !clean_start {
        Some("start with a word, not with a sign or an emoji".to_owned())
    } else if in_fold < 0.8 {
        Some(format!(
            "the first sentence has {length} characters; 25 to 80 are read before the fold"
        ))
    } else if concrete < 1.0 {
        Some(if names_it {
            "speak to the reader in the first sentence, or ask something".to_owned()
        } else {
            "name something from the description in the first sentence".to_owned()
        })
    } else {
        None
    };
    (0.5 * in_fold + 0.3 * concrete + 0.2 * clean, fix)
}

const OPENERS: &[&str] = &[
    "are you ready",
    "big news",
    "check out",
    "get ready",
    "guess what",
    "happy monday",
    "in a world",
    "introducing",
    "it's that time",
    "let's talk about",
    "look no further",
    "meet your new",
    "say hello to",
    "who else",
];

/// Phrases that people nearly never wrote before models did: fewer than 0.5 in 1,000 captions (1), or fewer than 2 (0.5).
const MARKERS: &[(&str, f64)] = &[
    ("captivating", 1.0),
    ("elevate", 1.0),
    ("nestled", 1.0),
    ("unleash", 1.0),
    ("embark", 1.0),
    ("symphony", 1.0),
    ("realm", 1.0),
    ("bustling", 1.0),
    ("look no further", 1.0),
    ("tapestry", 1.0),
    ("testament to", 1.0),
    ("delve", 1.0),
    ("here's the thing", 1.0),
    ("the result?", 1.0),
    ("leverage", 1.0),
    ("let that sink in", 1.0),
    ("plot twist", 1.0),
    ("fast-paced", 1.0),
    ("breathtaking", 0.5),
    ("unlock", 0.5),
    ("dive into", 0.5),
    ("vibrant", 0.5),
    ("empower", 0.5),
    ("curated", 0.5),
    ("seamless", 0.5),
    ("timeless", 0.5),
    ("effortless", 0.5),
    ("game-changer", 0.5),
    ("more than just", 0.5),
    ("indulge", 0.5),
    ("must-have", 0.5),
];

/// Sounds like a person: 1 - marker weight for each paragraph / 3, one weak marker free.
fn human_voice(brief: &Brief, caption: &str) -> Finding {
    let given = given_text(brief);
    let paragraphs = caption
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .count()
        .max(1);
    let mut weight = 0.0;
    let mut worst = None;
    for (phrase, strength) in MARKERS {
        // The user's own words are the user's voice.
        if contains_phrase(caption, phrase) && !contains_phrase(&given, phrase) {
            weight += strength;
            worst = worst.or(Some(*phrase));
        }
    }
    if contrast(caption) {
        weight += 1.0;
        worst = worst.or(Some("it's not X, it's Y"));
    }
    if caption.matches('!').count() >= 3 {
        weight += 0.5;
        worst = worst.or(Some("!!!"));
    }
    let counted: f64 = if weight <= 0.5 { 0.0 } else { weight };
    let fix = (counted > 0.0)
        .then(|| worst.map(|phrase| format!("say it without '{phrase}'")))
        .flatten();
    (1.0 - counted / number(paragraphs) / 3.0, fix)
}

/// "It's not a shoe, it's a feeling."
fn contrast(caption: &str) -> bool {
    let lower = caption.to_lowercase().replace('’', "'");
    text::sentences(&lower).any(|sentence| {
        let not = ["it's not ", "isn't just ", "is not just ", "this isn't "]
            .iter()
            .find_map(|start| sentence.find(start));
        not.is_some_and(|at| ["it's ", "it is "].iter().any(|turn| sentence[at + 4..].contains(turn)))
    })
}

/// The share of the brief's checkable wishes that hold.
fn brief_adherence(brief: &Brief, caption: &str) -> Finding {
    let length = caption.chars().count();
    let (from, to) = brief.target_chars;
    let emoji = text::emoji(caption).count();
    let mut wishes: Vec<(bool, String)> = vec![
        (
            (from..=to).contains(&length),
            format!("it has {length} characters; {from} to {to} were wished for"),
        ),
        (
            match brief.emoji {
                Emoji::None => emoji == 0,
                Emoji::Few => (1..=3).contains(&emoji),
                Emoji::Many => (4..=10).contains(&emoji),
            },
            format!("it has {emoji} emoji; the wish was '{}'", brief.emoji),
        ),
    ];
    match brief.cta {
        Cta::None => {}
        Cta::Question => wishes.push((
            caption.contains(['?', '？', '؟']),
            "it ends without the question asked for".into(),
        )),
        Cta::Save => wishes.push((
            ["save", "guarda", "enregistre", "speicher", "salva", "merk"]
                .iter()
                .any(|word| caption.to_lowercase().contains(word)),
            "it does not invite to save the post".into(),
        )),
        Cta::Visit => wishes.push((
            [
                "visit", "come", "stop by", "drop by", "visita", "visite", "besuch", "vorbei", "passe", "vieni", "ven ",
            ]
            .iter()
            .any(|word| caption.to_lowercase().contains(word)),
            "it does not invite to visit".into(),
        )),
        Cta::Comment => wishes.push((
            [
                "comment",
                "tell us",
                "tell me",
                "let us know",
                "coment",
                "kommentar",
                "dis-nous",
                "dites",
                "scrivi",
            ]
            .iter()
            .any(|word| caption.to_lowercase().contains(word)),
            "it does not ask for a comment".into(),
        )),
    }
    for word in &brief.keywords {
        wishes.push((
            contains_phrase(caption, word.as_str()),
            format!("it does not contain '{word}'"),
        ));
    }
    for word in &brief.avoid {
        wishes.push((
            !contains_phrase(caption, word.as_str()),
            format!("it contains '{word}'"),
        ));
    }
    let kept = wishes.iter().filter(|(kept, _)| *kept).count();
    let value = number(kept) / number(wishes.len());
    (value, wishes.into_iter().find(|(kept, _)| !kept).map(|(_, fix)| fix))
}

/// English: Flesch reading ease, 206.835 - 1.015 x words per sentence - 84.6 x syllables per word (Flesch, 1948), from
/// 0 at 20 to 1 at 65. Other languages: words per sentence, from 1 at 8 to 0 at 35.
fn readability(brief: &Brief, caption: &str) -> Finding {
    let words = text::words(caption).count().max(1);
    let sentences = text::sentences(caption)
        .filter(|s| s.chars().any(char::is_alphanumeric))
        .count()
        .max(1);
    let a_sentence = number(words) / number(sentences);
    let value = if brief.language.primary() == "en" {
        let syllables: usize = text::words(caption).map(text::syllables).sum();
        let ease = 206.835 - 1.015 * a_sentence - 84.6 * number(syllables) / number(words);
        interpolate(ease, &[(20.0, 0.0), (50.0, 0.6), (65.0, 1.0)])
    } else {
        interpolate(a_sentence, &[(8.0, 1.0), (20.0, 0.6), (35.0, 0.0)])
    };
    let fix = (value < 0.8).then(|| {
        if a_sentence > 15.0 {
            format!("{a_sentence:.0} words a sentence: make two of the longest")
        } else {
            "use shorter words".to_owned()
        }
    });
    (value, fix)
}

/// As many as fit, about the post, not generic, readable aloud.
fn tag_quality(brief: &Brief, words: &Words, tags: &[String]) -> Finding {
    let rules = brief.rules();
    // Somebody who asked for none gets what was asked for.
    if brief.hashtag_count == 0 && tags.is_empty() {
        return (1.0, None);
    }
    let count_fit = match tags.len() {
        0 => 0.7,
        1..=2 if rules.max_hashtags > 2 => 0.9,
        count if count > rules.max_hashtags => 0.0,
        _ => 1.0,
    };
    if tags.is_empty() {
        return (count_fit, Some("add two or three specific hashtags".to_owned()));
    }
    let given = words.stems(&given_text(brief));
    let relevant = tags
        .iter()
        .filter(|tag| {
            let lower = tag.to_lowercase();
            words.stems(tag).iter().any(|stem| given.contains(stem))
                || given
                    .iter()
                    .any(|stem| stem.chars().count() > 3 && lower.contains(stem.as_str()))
                || brief
                    .brand_tags
                    .iter()
                    .any(|brand| tag.trim_start_matches('#') == brand.as_str())
        })
        .count();
    let relevance = number(relevant) / number(tags.len());
    let readable = tags
        .iter()
        .filter(|tag| !tag.chars().any(char::is_lowercase) || tag.chars().any(char::is_uppercase))
        .count();
    let value = count_fit
        * relevance
        * (1.0 - hashtags::generic_share(tags))
        * (0.8 + 0.2 * number(readable) / number(tags.len()));
    let fix = if relevance < 1.0 {
        Some("replace the hashtags that name nothing in the description".to_owned())
    } else if count_fit < 1.0 {
        Some("three to five hashtags are found best".to_owned())
    } else {
        None
    };
    (value, fix)
}

/// Friendly to screen readers and to the layout.
fn format(caption: &str) -> Finding {
    let emoji = text::emoji(caption).count();
    let mut value = interpolate(
        number(emoji),
        &[
            (0.0, 0.85),
            (1.0, 1.0),
            (3.0, 1.0),
            (6.0, 0.8),
            (10.0, 0.4),
            (15.0, 0.1),
        ],
    );
    let mut fix = (emoji > 6).then(|| format!("{emoji} emoji are read aloud one by one"));
    // Letters of the mathematical alphabets look bold and are spelled out by screen readers.
    if caption.chars().any(|c| matches!(u32::from(c), 0x1D400..=0x1D7FF)) {
        value *= 0.3;
        fix = Some("write in plain letters: screen readers cannot read styled ones".to_owned());
    }
    if caption.lines().any(|line| {
        line.trim_start()
            .chars()
            .next()
            .is_some_and(|c| matches!(c, '•' | '*' | '-'))
    }) || caption.contains("\n\n\n")
    {
        value *= 0.8;
        fix = fix.or_else(|| Some("write sentences instead of bullets".to_owned()));
    }
    (value, fix)
}

#[cfg(test)]
mod tests;
