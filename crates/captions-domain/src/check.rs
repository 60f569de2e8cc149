//! Does a text keep the rules of the platform and of the request? Measures and names, changes nothing.

use serde::{Deserialize, Serialize};

use crate::{
    brief::Brief,
    choice::Emoji,
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

/// True if `phrase` stands in `text` as whole words, whatever the case. Hashtags count: `#NewShoes` contains "new shoes".
pub fn contains_phrase(text: &str, phrase: &str) -> bool {
    let phrase = phrase.to_lowercase();
    let text = text.to_lowercase();
    let compact: String = phrase.split_whitespace().collect();
    if text::hashtags(&text)
        .iter()
        .any(|tag| tag.text.trim_start_matches(['#', '＃']) == compact)
    {
        return true;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&phrase).any(|(at, found)| {
        !text[..at].chars().next_back().is_some_and(is_word)
            && !text[at + found.len()..].chars().next().is_some_and(is_word)
    })
}

/// True if the visible part says plainly that it is paid for. `#sp`, `#partner` and thanks do not (FTC, 2017).
fn discloses(visible: &str) -> bool {
    [
        "ad",
        "advertisement",
        "paid partnership",
        "sponsored",
        "paid ad",
        "anzeige",
        "werbung",
        "publicidad",
        "publicité",
    ]
    .iter()
    .any(|word| contains_phrase(visible, word))
}

#[cfg(test)]
mod tests;
