//! Does a text keep the rules of the platform and of the request? Measures and names, changes nothing.

use serde::{Deserialize, Serialize};

use crate::{
    brief::Brief,
    choice::Emoji,
    phrases::is_unspaced,
    platform::{PlatformRules, Unit},
    text::{self, Counts},
};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Stable name: `too_long`, `too_many_hashtags`, `too_many_mentions`, `avoided_word`, `emoji_not_wanted`,
    /// `missing_disclosure`, `empty`.
    pub rule: String,
    /// What the text has: a number, or the word.
    pub value: String,
    /// What is allowed.
    pub limit: String,
}

impl Violation {
    fn new(rule: &str, value: impl ToString, limit: impl ToString) -> Self {
        Self {
            rule: rule.into(),
            value: value.to_string(),
            limit: limit.to_string(),
        }
    }
}

/// The platform's hard limits, broken by `text` as it would be published.
pub fn platform_violations(text: &str, rules: &PlatformRules) -> Vec<Violation> {
    let mut violations = Vec::new();
    if text.trim().is_empty() {
        violations.push(Violation::new("empty", 0, "at least 1 character"));
    }
    let length = text::length_in(rules.unit, text);
    if length > rules.max_chars {
        violations.push(Violation::new("too_long", length, rules.max_chars));
    }
    let tags = text::hashtags(text).len();
    if tags > rules.max_hashtags {
        violations.push(Violation::new("too_many_hashtags", tags, rules.max_hashtags));
    }
    let mentions = text::mentions(text).len();
    if mentions > rules.max_mentions {
        violations.push(Violation::new("too_many_mentions", mentions, rules.max_mentions));
    }
    violations
}

/// The platform's limits and the hard wishes of the brief, broken by `text` as it would be published.
pub fn violations(text: &str, brief: &Brief) -> Vec<Violation> {
    let rules = PlatformRules::of(brief.platform);
    let mut violations = platform_violations(text, &rules);
    let counts = Counts::of(text);
    if counts.code_points > brief.max_chars && brief.max_chars < rules.max_chars {
        violations.push(Violation::new("too_long", counts.code_points, brief.max_chars));
    }
    // Emoji outside the plane that UTF-16 holds in one unit count twice on some clients: stay under both readings.
    if rules.unit == Unit::CodePoints && counts.code_points <= rules.max_chars && counts.utf16 > rules.max_chars {
        violations.push(Violation::new("too_long", counts.utf16, rules.max_chars));
    }
    for word in &brief.avoid {
        if contains_phrase(text, word.as_str()) {
            violations.push(Violation::new("avoided_word", word, "must not occur"));
        }
    }
    if brief.emoji == Emoji::None {
        let emoji = text::emoji(text).count();
        if emoji > 0 {
            violations.push(Violation::new("emoji_not_wanted", emoji, 0));
        }
    }
    if brief.sponsored && !discloses(text::fold(text, rules.fold).0) {
        violations.push(Violation::new(
            "missing_disclosure",
            "none before the fold",
            "a plain disclosure such as 'Ad:' or 'Paid partnership' before the fold (FTC, 2017)",
        ));
    }
    violations
}

/// True if `phrase` stands in `text` as whole words, whatever the case, the apostrophe and the white space. Hashtags count:
/// `#NewShoes` contains "new shoes". In scripts without spaces, and for emoji, any place counts.
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (plain(text), plain(phrase));
    if phrase.is_empty() {
        return false;
    }
    let compact: String = phrase.split_whitespace().collect();
    if text::hashtags(&text)
        .iter()
        .any(|tag| tag.text.trim_start_matches(['#', '＃']) == compact)
    {
        return true;
    }
    let edges = (phrase.chars().next(), phrase.chars().next_back());
    text.match_indices(&phrase).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !(runs_on(before, edges.0) || runs_on(edges.1, after))
    })
}

/// Lower case, one apostrophe, one space.
fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace(['’', 'ʼ'], "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True if the two neighbours belong to the same word.
fn runs_on(left: Option<char>, right: Option<char>) -> bool {
    let in_word = |c: char| (c.is_alphanumeric() || c == '_') && !is_unspaced(c);
    left.is_some_and(in_word) && right.is_some_and(in_word)
}

/// Words that say plainly, at the head of a text, that it is paid for.
const LABELS: &[&str] = &[
    "ad",
    "advertisement",
    "advert",
    "paid ad",
    "paid partnership",
    "sponsored",
    "anzeige",
    "werbung",
    "publicidad",
    "publicité",
    "pubblicità",
    "publicidade",
    "reklam",
    "reklama",
    "reklame",
    "advertentie",
    "реклама",
    "広告",
    "广告",
];

/// True if the visible part says plainly that it is paid for: a label at its head, or "paid partnership with" and
/// "sponsored by" anywhere in it. `#sp`, `#partner` and thanks do not (FTC, 2017).
fn discloses(visible: &str) -> bool {
    let visible = plain(visible);
    let head = visible.trim_start_matches(['[', '(', '#', '*', ' ']);
    let is_labelled = LABELS.iter().any(|label| {
        head.strip_prefix(label).is_some_and(|rest| {
            // "Ad hoc" and "sponsored races" are no labels.
            rest.trim_start()
                .starts_with([':', '|', '-', '–', '—', '.', ']', ')', '!', '：', '/'])
                || rest.is_empty()
        })
    });
    is_labelled
        || ["paid partnership with ", "sponsored by "]
            .iter()
            .any(|phrase| visible.contains(phrase))
}

#[cfg(test)]
mod tests;
