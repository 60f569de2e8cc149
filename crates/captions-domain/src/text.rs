//! Counting and taking apart text: characters in every sense, words, sentences, hashtags, mentions, emoji.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::platform::Unit;

/// The lengths of a text in every unit that a platform may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub code_points: usize,
    pub utf16: usize,
    pub graphemes: usize,
    pub bytes: usize,
    pub words: usize,
}

impl Counts {
    pub fn of(text: &str) -> Self {
        Self {
            code_points: text.chars().count(),
            utf16: text.encode_utf16().count(),
            graphemes: text.graphemes(true).count(),
            bytes: text.len(),
            words: words(text).count(),
        }
    }
}

/// The length of `text` as a platform counts it.
pub fn length_in(unit: Unit, text: &str) -> usize {
    match unit {
        Unit::CodePoints => text.chars().count(),
        Unit::Utf16 => text.encode_utf16().count(),
        Unit::Graphemes => text.graphemes(true).count(),
        Unit::EmojiBytes => text
            .graphemes(true)
            .map(|cluster| {
                if is_emoji(cluster) {
                    cluster.len()
                } else {
                    cluster.chars().count()
                }
            })
            .sum(),
        Unit::Weighted => text
            .split_inclusive(char::is_whitespace)
            .map(|piece| {
                let word = piece.trim_end();
                if is_url(word) {
                    23 + piece[word.len()..].chars().count()
                } else {
                    weighted(piece)
                }
            })
            .sum(),
    }
}

/// twitter-text v3: 1 for U+0-10FF, U+2000-200D, U+2010-201F and U+2032-2037, 2 for the rest and for any emoji.
fn weighted(text: &str) -> usize {
    text.graphemes(true)
        .map(|cluster| {
            if is_emoji(cluster) {
                return 2;
            }
            cluster
                .chars()
                .map(|c| match u32::from(c) {
                    0..=0x10FF | 0x2000..=0x200D | 0x2010..=0x201F | 0x2032..=0x2037 => 1,
                    _ => 2,
                })
                .sum()
        })
        .sum()
}

/// Words by Unicode word boundaries.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.unicode_words()
}

/// Sentences by Unicode sentence boundaries, trimmed, without empty ones.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    // unicode-segmentation 1.13 computes a size hint below zero at the end of a text; `from_fn` keeps it out of reach.
    let mut bounds = text.split_sentence_bounds();
    std::iter::from_fn(move || bounds.next())
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

/// True if the grapheme cluster is an emoji. Digits, `#`, `*`, `©` and `®` without their emoji form are not.
pub fn is_emoji(cluster: &str) -> bool {
    emojis::get(cluster).is_some()
}

/// The emoji of a text, one item each however many code points it takes.
pub fn emoji(text: &str) -> impl Iterator<Item = &str> {
    text.graphemes(true).filter(|cluster| is_emoji(cluster))
}

/// True if `body` (without `#`) can be a hashtag: letters and marks of any script, digits and `_`, at least one letter.
pub fn is_tag_body(body: &str) -> bool {
    body.chars().any(char::is_alphabetic) && body.chars().all(is_tag_char)
}

/// Letters, marks, digits and `_`; Rust has no mark test, so marks are what is neither ASCII nor white nor punctuation
/// but stands in an alphabetic cluster: `char::is_alphanumeric` holds for nearly all combining vowels, the rest are here.
pub fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric()
        || c == '_'
        || matches!(u32::from(c), 0x0300..=0x036F | 0x0900..=0x0903 | 0x093C | 0x094D | 0x09CD | 0x0E31..=0x0E4E | 0x200C | 0x200D | 0x3099 | 0x309A)
}

/// A piece of a text with its place in code points, end exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    pub text: &'a str,
    pub start: usize,
    pub end: usize,
}

/// A piece of a text as reports show it, with its place in code points, end exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub text: String,
    pub start: usize,
    pub end: usize,
}

impl From<Span<'_>> for Place {
    fn from(span: Span<'_>) -> Self {
        Self {
            text: span.text.to_owned(),
            start: span.start,
            end: span.end,
        }
    }
}

/// Every hashtag as platforms count it: `#` or `＃` and a tag body or emoji, also glued ones (`#a#b` are two), but not
/// after `&` (an HTML entity). Digits-only tags are counted too: better one too many than a refused post.
pub fn hashtags(text: &str) -> Vec<Span<'_>> {
    tokens(
        text,
        |c| c == '#' || c == '＃',
        |before, _| before != Some('&'),
        |rest| {
            let mut end = 0;
            for cluster in rest.graphemes(true) {
                if !(cluster.chars().all(is_tag_char) || (is_emoji(cluster) && !cluster.starts_with('#'))) {
                    break;
                }
                end += cluster.len();
            }
            end
        },
    )
}

/// Every @mention: `@` and 1-30 of `[A-Za-z0-9_.]` without a dot at an end, not after a word character (an e-mail).
pub fn mentions(text: &str) -> Vec<Span<'_>> {
    tokens(
        text,
        |c| c == '@',
        |before, _| !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.'),
        |rest| {
            let end = rest
                .char_indices()
                .take(30)
                .take_while(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
                .last()
                .map_or(0, |(at, _)| at + 1);
            rest[..end].trim_end_matches('.').len()
        },
    )
}

fn tokens(
    text: &str,
    is_sign: impl Fn(char) -> bool,
    may_follow: impl Fn(Option<char>, usize) -> bool,
    body_length: impl Fn(&str) -> usize,
) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut before = None;
    let mut skip_to = 0;
    for (index, (at, c)) in text.char_indices().enumerate() {
        if at >= skip_to && is_sign(c) && may_follow(before, at) {
            let body_at = at + c.len_utf8();
            let length = body_length(&text[body_at..]);
            if length > 0 {
                let whole = &text[at..body_at + length];
                found.push(Span {
                    text: whole,
                    start: index,
                    end: index + whole.chars().count(),
                });
                skip_to = body_at + length;
            }
        }
        before = Some(c);
    }
    found
}

/// True for a word that opens a web page: with a scheme, or starting with `www.`.
pub fn is_url(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("www.")
}

/// True if a web address stands anywhere in the word, also glued to other signs or without a scheme (`anna-bakery.com`).
pub fn has_url(word: &str) -> bool {
    const DOMAINS: [&str; 20] = [
        "app", "be", "biz", "ch", "co", "com", "de", "dev", "es", "eu", "fr", "info", "io", "link", "ly", "net", "nl",
        "org", "shop", "uk",
    ];
    let lower = word.to_lowercase();
    let names_a_host = |part: &str| {
        part.rsplit_once('.').is_some_and(|(host, domain)| {
            DOMAINS.contains(&domain) && host.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric())
        })
    };
    ["http://", "https://", "www."]
        .iter()
        .any(|start| lower.contains(start))
        || lower
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
            .any(names_a_host)
}

/// What the feed shows and what it hides behind "more".
pub fn fold(text: &str, (characters, lines): (usize, usize)) -> (&str, &str) {
    let mut line_breaks = 0;
    for (index, (at, cluster)) in text.grapheme_indices(true).enumerate() {
        if index == characters {
            return text.split_at(at);
        }
        if cluster == "\n" || cluster == "\r\n" {
            line_breaks += 1;
            if line_breaks == lines {
                return text.split_at(at);
            }
        }
    }
    (text, "")
}

/// English syllables by vowel groups: a silent final `e` does not count, except in `-le`. At least 1.
pub fn syllables(word: &str) -> usize {
    let word = word.to_lowercase();
    let vowel = |c: char| "aeiouy".contains(c);
    let mut groups = 0;
    let mut in_group = false;
    for c in word.chars() {
        groups += usize::from(vowel(c) && !in_group);
        in_group = vowel(c);
    }
    let silent = word.ends_with('e') && !word.ends_with("le") && !word.ends_with("ee");
    (groups - usize::from(silent && groups > 1)).max(1)
}

#[cfg(test)]
mod tests;
