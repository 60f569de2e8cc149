//! Taking apart what users wrote.

use captions_domain::text;

use crate::lexicon::{self, Class};

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Description,
    Keyword,
}

/// A word as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent findings about one word")]
pub(crate) struct Given {
    pub(crate) text: String,
    pub(crate) source: Source,
    /// It stands where any word has a capital, so its capital says nothing.
    pub(crate) starts_sentence: bool,
    /// It has a capital in a place where only names have one.
    pub(crate) is_name: bool,
    /// Punctuation stands between it and the next word.
    pub(crate) ends_phrase: bool,
    /// A content word that belongs to the next one: no comma, function word or participle comes between.
    pub(crate) leans: bool,
}

/// A word and whether it starts a sentence.
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    starts_sentence: bool,
    /// Punctuation stands between it and the next word.
    ends_phrase: bool,
}

/// The words and numbers of a text: Latin letters and digits, with `'`, `’` and `-` inside. Numbers keep their signs
/// (`50%`, `$49`, `#1`, `7:30`): they come whole or not at all. Handles, tags and addresses are left out whole, and so is
/// anything too long to be a word.
pub(crate) fn split(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut starts_sentence = true;
    text.split_whitespace().flat_map(move |chunk| {
        let mut pieces = Vec::new();
        let is_word = !chunk.starts_with('@')
            && (!chunk.starts_with('#') || is_rank(chunk))
            && !chunk.contains("://")
            && !chunk.contains('@')
            && !chunk.starts_with("www.");
        if is_word && chunk.contains(|c: char| c.is_ascii_digit()) {
            let word = chunk.trim_matches(AROUND_NUMBERS);
            if (1..=24).contains(&word.chars().count()) && word.chars().all(may_be_in_a_number) {
                pieces.push(Piece {
                    text: word,
                    starts_sentence,
                    ends_phrase: !chunk.ends_with(word),
                });
            }
        } else if is_word {
            // A dash or slash between words separates them; a hyphen inside a word does not.
            for part in chunk.split(['–', '—', '/', '(', ')', '"', '“', '”', '…', ':', ';']) {
                let word = part.trim_matches(|c: char| !is_letter(c));
                if (1..=24).contains(&word.chars().count()) && word.chars().all(may_be_in_a_word) {
                    let ends_phrase = !chunk.ends_with(word);
                    pieces.push(Piece {
                        text: word,
                        starts_sentence,
                        ends_phrase,
                    });
                }
                starts_sentence = false;
            }
        }
        starts_sentence = chunk.ends_with(['.', '!', '?', ':']);
        pieces
    })
}

/// Latin letters, with their accents.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && u32::from(c) < 0x250
}

fn may_be_in_a_word(c: char) -> bool {
    is_letter(c) || matches!(c, '\'' | '’' | '-')
}

/// What may stand before and after a number without being a part of it.
const AROUND_NUMBERS: [char; 15] = [
    '.', ',', '!', '?', ';', ':', '(', ')', '[', ']', '"', '“', '”', '…', '*',
];

fn may_be_in_a_number(c: char) -> bool {
    may_be_in_a_word(c)
        || c.is_ascii_digit()
        || matches!(c, '.' | ',' | ':' | '/' | '–' | '%' | '$' | '€' | '£' | '#' | '+' | '°')
}

/// `#1` is a number; `#1stplace` is a tag.
fn is_rank(chunk: &str) -> bool {
    let digits = chunk.trim_start_matches('#').trim_end_matches(AROUND_NUMBERS);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// True for a word that counts or measures: it begins with a digit, with or without a sign before it.
pub(crate) fn is_number(word: &str) -> bool {
    word.trim_start_matches(|c: char| !c.is_alphanumeric())
        .starts_with(|c: char| c.is_ascii_digit())
}

/// The words of a text with what their case says.
pub(crate) fn of(text: &str, source: Source) -> Vec<Given> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    // Where everything is shouted, or Every Word Has A Capital, case says nothing at all.
    let pieces: Vec<_> = split(text).collect();
    let capitalised = |piece: &Piece<'_>| piece.text.chars().next().is_some_and(char::is_uppercase);
    let is_content = |piece: &Piece<'_>| lexicon::class(&piece.text.to_lowercase()) == Class::Content;
    // In "a puppy running" the puppy stands on its own.
    let is_noun = |next: &Piece<'_>| is_content(next) && !next.text.ends_with("ing") && !next.text.ends_with("ed");
    let names = pieces.iter().filter(|piece| capitalised(piece)).count();
    let shouted =
        source == Source::Description && letters > 8 && (capitals * 2 > letters || names * 5 > pieces.len() * 4);
    pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| {
            let named_elsewhere = || {
                pieces
                    .iter()
                    .any(|other| !other.starts_sentence && other.text == piece.text)
            };
            let is_name = !shouted && capitalised(piece) && (!piece.starts_sentence || named_elsewhere());
            Given {
                text: if shouted {
                    piece.text.to_lowercase()
                } else {
                    piece.text.to_owned()
                },
                source,
                starts_sentence: piece.starts_sentence,
                is_name,
                ends_phrase: piece.ends_phrase,
                leans: !piece.ends_phrase && is_content(piece) && pieces.get(index + 1).is_some_and(is_noun),
            }
        })
        .collect()
}

/// With a capital first letter, as English has it: the only language that is written here.
pub(crate) fn capitalised(word: &str) -> String {
    text::capitalised(word, "en")
}

/// On one line, without what the tokenizer takes for control tokens, cut to about `limit` bytes at a word.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '|'))
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            if line.len() + word.len() >= limit {
                break;
            }
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests;
