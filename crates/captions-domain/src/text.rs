//! Counting and taking apart text: characters in every sense, words, sentences, hashtags, mentions, emoji.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Serialize};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::platform::Unit;

mod casing;
mod escape;
mod grammar;

pub use self::{
    casing::capitalised,
    escape::for_linkedin,
    grammar::{Span, has_url, hashtags, is_tag_body, is_tag_char, is_url, mentions, tag_text, urls},
};

/// Zero width joiner: makes one emoji of several, and forms letters in Indic scripts.
const JOINER: char = '\u{200D}';
/// What the flags of regions such as Scotland begin and end with; tag characters stand between.
const BLACK_FLAG: char = '\u{1F3F4}';
const CANCEL_TAG: char = '\u{E007F}';

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
        Unit::Graphemes => clusters(text).count(),
        Unit::EmojiBytes => clusters(text)
            .map(|cluster| {
                if is_emoji(cluster) {
                    cluster.len()
                } else {
                    cluster.chars().count()
                }
            })
            .sum(),
        Unit::Bytes => text.len(),
        Unit::Weighted => {
            let mut rest = 0;
            let mut length = 0;
            for (start, end) in grammar::url_bytes(text) {
                length += weighted(&text[rest..start]) + 23;
                rest = end;
            }
            length + weighted(&text[rest..])
        }
    }
}

/// twitter-text v3: 1 for U+0-10FF, U+2000-200D, U+2010-201F and U+2032-2037, 2 for the rest and for any emoji.
fn weighted(text: &str) -> usize {
    clusters(text)
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

/// Words by Unicode word boundaries. None holds a space: one that a joiner ties to what follows is left out.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    // No other word goes on over such a space, and the rules are much quicker in pieces that are all ASCII.
    let mut pieces = text.split_ascii_whitespace();
    let mut of_piece = None;
    std::iter::from_fn(move || {
        loop {
            if let Some(word) = of_piece.as_mut().and_then(Iterator::next) {
                return Some(word);
            }
            let piece = pieces.next()?;
            of_piece = match lone_word(piece) {
                Some(word) => return Some(word),
                None => Some(piece.unicode_words()),
            };
        }
    })
}

/// The letters and digits that a piece of ASCII begins with, if nothing but signs stands behind them: one word by any
/// rule, as nearly all pieces between spaces are.
pub(crate) fn lone_word(piece: &str) -> Option<&str> {
    let bytes = piece.as_bytes();
    let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let is_sign = |byte: &u8| byte.is_ascii_punctuation() && *byte != b'_';
    (length > 0 && bytes[length..].iter().all(is_sign)).then(|| &piece[..length])
}

/// The same, each with the byte at which it begins.
pub(crate) fn word_indices(text: &str) -> impl Iterator<Item = (usize, &str)> {
    words(text).map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// The extended grapheme clusters of a text. Most signs of most texts are ASCII, which needs no tables.
pub(crate) fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let length = match rest.as_bytes() {
            [] => return None,
            // Nothing joins two signs of ASCII but the end of a line.
            [one] if one.is_ascii() => 1,
            [one, next, ..] if one.is_ascii() && next.is_ascii() && *one != b'\r' => 1,
            _ => rest.graphemes(true).next()?.len(),
        };
        let (cluster, after) = rest.split_at(length);
        rest = after;
        Some(cluster)
    })
}

/// Sentences by Unicode sentence boundaries, trimmed, without empty ones.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    // unicode-segmentation 1.13 computes a size hint below zero at the end of a text; `from_fn` keeps it out of reach.
    let mut bounds = text.split_sentence_bounds();
    std::iter::from_fn(move || bounds.next())
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

/// True if the grapheme cluster is an emoji, or several that are joined to one which no list has. Digits, `#`, `*`, `©`
/// and `®` without their emoji form are not.
pub fn is_emoji(cluster: &str) -> bool {
    // Nearly every cluster is a letter: no emoji is made of signs below this but these two.
    let may_be = |c: char| c >= '\u{2000}' || matches!(c, '©' | '®');
    if !cluster.contains(may_be) {
        return false;
    }
    emojis::get(cluster).is_some()
        || (cluster.contains(JOINER) && cluster.split(JOINER).all(|part| emojis::get(part).is_some()))
}

/// The emoji of a text, one item each however many code points it takes.
pub fn emoji(text: &str) -> impl Iterator<Item = &str> {
    clusters(text).filter(|cluster| is_emoji(cluster))
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

/// The longest beginning of `text` that `fits`, cut between graphemes. Nothing longer than what does not fit may fit.
pub fn longest_fitting(text: &str, fits: impl Fn(&str) -> bool) -> &str {
    if fits(text) {
        return text;
    }
    let starts: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
    let fitting = starts.partition_point(|at| fits(&text[..*at]));
    &text[..fitting.checked_sub(1).map_or(0, |last| starts[last])]
}

/// The first code points of `text`, at most `most`, cut between graphemes.
pub fn cut(text: &str, most: usize) -> &str {
    let mut left = most;
    for (at, cluster) in text.grapheme_indices(true) {
        let Some(rest) = left.checked_sub(cluster.chars().count()) else {
            return &text[..at];
        };
        left = rest;
    }
    text
}

/// The bytes of all graphemes that `range` touches: what is taken out of a text is taken out whole.
pub fn whole(text: &str, range: Range<usize>) -> Range<usize> {
    let parts_graphemes = |at: usize| {
        text.is_char_boundary(at)
            && GraphemeCursor::new(at, text.len(), true)
                .is_boundary(text, 0)
                .unwrap_or(true)
    };
    let (mut start, mut end) = (range.start, range.end);
    while start > 0 && !parts_graphemes(start) {
        start -= 1;
    }
    while end < text.len() && !parts_graphemes(end) {
        end += 1;
    }
    start..end
}

/// Removes what nobody sees and no script needs: zero-width spaces, byte-order marks, soft hyphens, and tag characters
/// that belong to no flag. Joiners, direction marks and variation selectors stay.
pub fn without_invisible(text: &str) -> String {
    let is_tag = |c: char| matches!(c, '\u{E0000}'..='\u{E007F}');
    clusters(text)
        .flat_map(|cluster| {
            let is_flag = cluster.starts_with(BLACK_FLAG) && cluster.ends_with(CANCEL_TAG);
            cluster
                .chars()
                .filter(move |c| !matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{AD}') && (is_flag || !is_tag(*c)))
        })
        .collect()
}

/// English syllables by vowel groups: a silent final `e` does not count, except in `-le`. At least 1.
pub fn syllables(word: &str) -> usize {
    // What becomes a vowel in lower case need not be ASCII before.
    let word = if word.is_ascii() {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    };
    let is_vowel = |byte: u8| matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let mut groups = 0;
    let mut in_group = false;
    for byte in word.bytes() {
        groups += usize::from(is_vowel(byte) && !in_group);
        in_group = is_vowel(byte);
    }
    let ends = |end: &str| {
        let bytes = word.as_bytes();
        bytes.len() >= end.len() && bytes[bytes.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
    };
    let silent = ends("e") && !ends("le") && !ends("ee");
    (groups - usize::from(silent && groups > 1)).max(1)
}

#[cfg(test)]
mod tests;
