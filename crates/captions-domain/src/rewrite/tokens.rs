//! The pieces of a caption that must come through any change unharmed: links, mentions, hashtags, numbers with their
//! prices and dates, emoji, and names in quotes.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::text::{self, Span};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A web or mail address.
    Link,
    Mention,
    Hashtag,
    /// Digits with what stands between them, a currency sign or a percent sign: `1,200.50 €`, `20%`, `10:30`, `2026-11-30`.
    Number,
    Emoji,
    /// One to four words in quotes.
    Name,
}

impl Kind {
    pub const NAMES: [&'static str; 6] = ["link", "mention", "hashtag", "number", "emoji", "name"];
}

/// A piece by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
}

/// A piece where it stands, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

impl Found {
    pub(super) fn token(&self, text: &str) -> Token {
        Token {
            kind: self.kind,
            text: text[self.range.clone()].to_owned(),
        }
    }
}

/// Every piece of the text, in order. None stands within another.
pub fn tokens(text: &str) -> Vec<Token> {
    find(text).iter().map(|found| found.token(text)).collect()
}

/// The same with their places.
pub(super) fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut add = |kind: Kind, ranges: Vec<Range<usize>>| {
        let free: Vec<_> = ranges
            .into_iter()
            .filter(|range| {
                (found.iter()).all(|other| range.end <= other.range.start || other.range.end <= range.start)
            })
            .collect();
        found.extend(free.into_iter().map(|range| Found { kind, range }));
    };
    add(Kind::Link, links(text));
    let at = places(text);
    add(Kind::Mention, ranges(&text::mentions(text), &at));
    add(Kind::Hashtag, ranges(&text::hashtags(text), &at));
    add(Kind::Emoji, emoji(text));
    add(Kind::Number, numbers(text));
    add(Kind::Name, names(text));
    found.sort_by_key(|found| found.range.start);
    found
}

/// The byte at which each code point begins, and the end.
fn places(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

fn ranges(spans: &[Span<'_>], at: &[usize]) -> Vec<Range<usize>> {
    spans.iter().map(|span| at[span.start]..at[span.end]).collect()
}

/// Runs of the signs that an address is made of, where a host is named. Other scripts end it: they are written without a
/// space after it.
fn links(text: &str) -> Vec<Range<usize>> {
    let in_address = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    runs(text, in_address)
        .filter(|range| text::has_url(&text[range.clone()]))
        .map(|range| {
            let run = &text[range.clone()];
            let start = range.start
                + (run.len()
                    - run
                        .trim_start_matches(['(', '[', '\'', ',', ';', ':', '!', '?', '*'])
                        .len());
            let end = range.end
                - (run.len()
                    - run
                        .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'', '*'])
                        .len());
            start..end
        })
        .collect()
}

/// Maximal runs of characters that belong.
fn runs(text: &str, belongs: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(&belongs)?;
        let end = text[start..]
            .find(|c| !belongs(c))
            .map_or(text.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}

fn emoji(text: &str) -> Vec<Range<usize>> {
    text.grapheme_indices(true)
        .filter(|(_, cluster)| is_pictograph(cluster))
        .map(|(at, cluster)| at..at + cluster.len())
        .collect()
}

/// An emoji, also one that is newer than the list of them.
fn is_pictograph(cluster: &str) -> bool {
    text::is_emoji(cluster) || cluster.starts_with(|c| matches!(u32::from(c), 0x1F000..=0x1FAFF))
}

const CURRENCIES: &str = "$€£¥₹₩₽₺₫₴₱₦฿₪";

fn numbers(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c| digit(c).is_some()).map(|length| at + length) {
        let end = digits_end(text, start);
        let range = with_sign_before(text, start)..with_sign_behind(text, end);
        at = range.end;
        found.push(range);
    }
    found
}

/// The end of the digits, with one sign between two of them.
fn digits_end(text: &str, start: usize) -> usize {
    let mut end = start;
    loop {
        let rest = &text[end..];
        end += rest.find(|c| digit(c).is_none()).unwrap_or(rest.len());
        let mut next = text[end..].chars();
        match (next.next(), next.next()) {
            (Some(sign), Some(c)) if is_between(sign) && digit(c).is_some() => end += sign.len_utf8(),
            _ => return end,
        }
    }
}

fn is_between(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | ':' | '/' | '-' | '–' | '\'' | '’' | '\u{A0}' | '\u{202F}' | '٫' | '٬'
    )
}

/// The place of a currency, `+` or minus sign before the digits, with the letters that belong to it (`US$`, `R$`).
fn with_sign_before(text: &str, start: usize) -> usize {
    let before = &text[..start];
    let Some(sign) = before.chars().next_back() else {
        return start;
    };
    let sign_at = start - sign.len_utf8();
    if CURRENCIES.contains(sign) {
        let letters = before[..sign_at]
            .chars()
            .rev()
            .take_while(char::is_ascii_uppercase)
            .take(3)
            .count();
        return if letters <= 2 { sign_at - letters } else { sign_at };
    }
    let is_free = before[..sign_at].chars().next_back().is_none_or(char::is_whitespace);
    if matches!(sign, '+' | '-' | '−') && is_free {
        sign_at
    } else {
        start
    }
}

/// The place behind a currency or percent sign that follows, also after one space.
fn with_sign_behind(text: &str, end: usize) -> usize {
    let rest = &text[end..];
    let spaced = rest.strip_prefix([' ', '\u{A0}', '\u{202F}']);
    for (rest, is_spaced) in [(Some(rest), false), (spaced, true)] {
        let Some(sign) = rest.and_then(|rest| rest.chars().next()) else {
            continue;
        };
        let after = rest.and_then(|rest| rest[sign.len_utf8()..].chars().next());
        // "3 $5 menus" has no price of 3.
        let is_next = CURRENCIES.contains(sign) && after.is_some_and(|c| digit(c).is_some());
        if (CURRENCIES.contains(sign) || matches!(sign, '%' | '٪' | '‰' | '°')) && !is_next {
            let gap = if is_spaced {
                rest.map_or(0, |rest| text.len() - end - rest.len())
            } else {
                0
            };
            return end + gap + sign.len_utf8();
        }
    }
    end
}

/// The value of a decimal digit of the scripts that write numbers with their own.
pub(super) fn digit(c: char) -> Option<u32> {
    let zero = match u32::from(c) {
        0x30..=0x39 => 0x30,
        0x660..=0x669 => 0x660,
        0x6F0..=0x6F9 => 0x6F0,
        0x966..=0x96F => 0x966,
        0x9E6..=0x9EF => 0x9E6,
        0xE50..=0xE59 => 0xE50,
        0xFF10..=0xFF19 => 0xFF10,
        _ => return None,
    };
    Some(u32::from(c) - zero)
}

/// One to four words in quotes that begin with a capital and are no sentence.
fn names(text: &str) -> Vec<Range<usize>> {
    const QUOTES: [(char, char); 6] = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('‹', '›'), ('「', '」')];
    let mut found: Vec<Range<usize>> = Vec::new();
    for (open, close) in QUOTES {
        let mut at = 0;
        while let Some(start) = text[at..].find(open).map(|length| at + length) {
            let inside = start + open.len_utf8();
            let Some(end) = text[inside..].find(close).map(|length| inside + length) else {
                break;
            };
            let name = &text[inside..end];
            let is_name = (1..=4).contains(&text::words(name).count())
                && !name.contains('\n')
                && name
                    .chars()
                    .next()
                    .is_some_and(|c| c.is_uppercase() || !(c.is_lowercase() || c.is_whitespace()))
                && !name.ends_with(['.', '!', '?', ',']);
            at = end + close.len_utf8();
            if is_name {
                found.push(start..at);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
