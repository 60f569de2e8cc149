//! Text that speaks to the model instead of to readers: "ignore all previous instructions", role tags, fake fences.
//!
//! Descriptions, preferences and earlier captions are data, and the prompt says so; a model may obey them all the same.
//! What is found here is not refused, because people write about anything: it is told, and an address that stands at it
//! or after it counts as nobody's, so that no caption passes it on. The phrases are in `data/injection.txt`.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::{brief::Brief, caption::Warning, text};

/// The most words from the verb to its object.
const REACH: usize = 7;

#[derive(Default)]
struct Phrases {
    verbs: Vec<&'static str>,
    objects: Vec<&'static str>,
    /// With a space for `_`.
    marks: Vec<String>,
    /// Marks of the head of a sentence.
    heads: Vec<&'static str>,
    /// Finds the letters of any verb or mark, wherever they stand; `None` if it could not be built.
    any: Option<AhoCorasick>,
}

static PHRASES: LazyLock<Phrases> = LazyLock::new(|| {
    let mut phrases = Phrases::default();
    for line in include_str!("../data/injection.txt").lines() {
        match line.split_once('\t') {
            Some(("verb", phrase)) => phrases.verbs.push(phrase),
            Some(("object", phrase)) => phrases.objects.push(phrase),
            Some(("mark", phrase)) => match phrase.strip_prefix('^') {
                Some(head) => phrases.heads.push(head),
                None => phrases.marks.push(phrase.replace('_', " ")),
            },
            _ => {}
        }
    }
    let verbs = phrases.verbs.iter().map(|verb| verb.trim_end_matches('*'));
    let marks = phrases.marks.iter().map(|mark| mark.trim());
    let letters = verbs.chain(marks).chain(phrases.heads.iter().copied());
    phrases.any = AhoCorasick::builder().ascii_case_insensitive(true).build(letters).ok();
    phrases
});

/// The beginning of the text up to where it begins to speak to the model; all of it if it does not.
pub fn before(given: &str) -> &str {
    let mut at = 0;
    // Line by line, and in a line sentence by sentence: what was said before stays the user's.
    for line in given.split_inclusive('\n') {
        if !may_speak(line) {
            at += line.len();
            continue;
        }
        let mut start = 0;
        for sentence in text::sentences(line) {
            start += line[start..].find(sentence).unwrap_or(0);
            if speaks_to_the_model(sentence) {
                return &given[..at + start];
            }
            start += sentence.len();
        }
        // It may be parted by what looks like the end of a sentence.
        if speaks_to_the_model(line) {
            return &given[..at];
        }
        at += line.len();
    }
    given
}

/// The warning of a brief whose texts speak to the model.
pub fn warning(brief: &Brief) -> Option<Warning> {
    let texts = crate::polish::given_pieces(brief);
    let speaks = texts.iter().any(|text| before(text).len() < text.len());
    speaks.then(|| {
        Warning::new(
            "instructions_in_data",
            "a text of the request or the preferences speaks to the model; it was handled as data, and no link, handle or \
             number after it is kept",
        )
    })
}

/// False if neither the text nor any sentence of it can be one: it has the letters of no verb and of no mark. So it is with
/// nearly all that people write, and one look tells.
fn may_speak(text: &str) -> bool {
    PHRASES.any.as_ref().is_none_or(|any| {
        // Of ASCII with single spaces the plain form differs in nothing but case, which is not looked at.
        let is_plain =
            text.is_ascii() && !text.contains("  ") && !text.trim().contains(['\t', '\n', '\u{B}', '\u{C}', '\r']);
        if is_plain {
            any.is_match(text)
        } else {
            any.is_match(&plain(text))
        }
    })
}

/// True if the sentence holds a mark, or a verb with its object behind it.
fn speaks_to_the_model(sentence: &str) -> bool {
    let plain = plain(sentence);
    let padded = format!(" {plain} ");
    if PHRASES.heads.iter().any(|head| plain.starts_with(head))
        || PHRASES.marks.iter().any(|mark| padded.contains(mark.as_str()))
    {
        return true;
    }
    let words: Vec<&str> = plain
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .filter(|word| !word.is_empty())
        .collect();
    let is_verb = |word: &str| PHRASES.verbs.iter().any(|verb| stands_in(word, verb));
    let is_object = |word: &str| PHRASES.objects.iter().any(|object| stands_in(word, object));
    words
        .iter()
        .enumerate()
        .any(|(index, word)| is_verb(word) && words[index..].iter().take(REACH).any(|word| is_object(word)))
        || unspaced(&plain)
}

/// The same where no spaces part the words: verb and object in one sentence, in either order.
fn unspaced(plain: &str) -> bool {
    let has = |phrases: &[&str]| {
        phrases.iter().any(|phrase| {
            phrase.chars().any(crate::phrases::is_unspaced) && plain.contains(phrase.trim_end_matches('*'))
        })
    };
    has(&PHRASES.verbs) && has(&PHRASES.objects)
}

/// `*` at the end of a phrase stands for any ending.
fn stands_in(word: &str, phrase: &str) -> bool {
    match phrase.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == phrase,
    }
}

/// Lower case; full-width signs as their usual form; without marks of no width; one space.
fn plain(sentence: &str) -> String {
    let seen: String = sentence
        .chars()
        .filter(|c| !matches!(u32::from(*c), 0xAD | 0x200B..=0x200F | 0x2060..=0x2064 | 0xFEFF | 0xE0000..=0xE007F))
        .map(|c| match u32::from(c) {
            code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFF01 + 0x21).unwrap_or(c),
            0x2019 | 0x02BC => '\'',
            _ => c,
        })
        .collect();
    seen.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
