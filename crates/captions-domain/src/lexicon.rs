//! Lists of phrases, and the form of a text in which they are looked for: words in lower case that know their place.
//!
//! A text is taken apart once, a list is read once; looking for all phrases of a list is one pass over the words.

use std::{borrow::Cow, collections::HashMap, ops::Deref};

use aho_corasick::AhoCorasick;
use foldhash::fast::FixedState;

use crate::text::{Place, is_tag_char};

/// The most words that a gap (`…`) in a phrase stands for.
const LONGEST_GAP: usize = 4;

/// A text as its words, emoji and marks.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    pub(crate) all: Vec<Token<'a>>,
}

/// A piece of a text in lower case, with `'` for every apostrophe: nearly always as it stands there.
#[derive(Debug)]
pub(crate) struct Folded<'a>(Cow<'a, str>);

impl<'a> Folded<'a> {
    fn of(piece: &'a str) -> Self {
        if !piece.is_ascii() {
            return Self(Cow::Owned(folded(piece)));
        }
        if piece.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Self(Cow::Owned(piece.to_ascii_lowercase()));
        }
        Self(Cow::Borrowed(piece))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Folded<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for Folded<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

fn folded(piece: &str) -> String {
    // Its small form depends on what stands around it.
    if piece.contains('Σ') {
        return piece.to_lowercase().replace(['’', 'ʼ', '‘'], "'");
    }
    let mut folded = String::with_capacity(piece.len() + 4);
    for c in piece.chars() {
        match c {
            '’' | 'ʼ' | '‘' => folded.push('\''),
            c if c.is_ascii() => folded.push(c.to_ascii_lowercase()),
            c => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

/// One word, emoji or mark.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) word: Folded<'a>,
    pub(crate) kind: Kind,
    /// Code points, end exclusive.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The same in bytes.
    pub(crate) from: usize,
    pub(crate) to: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    /// Two or more capitals and no small letter, or digits: an answer that is dictated.
    Shout,
    Emoji,
    /// Quotes around a word.
    Quote,
    Break,
    /// Any other mark. A hyphen is none: `must-have` is two words.
    Mark,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut all: Vec<Token<'_>> = Vec::with_capacity(text.len() / 5);
        let mut at = (0, 0);
        while let Some(c) = text[at.1..].chars().next() {
            let (index, byte) = at;
            if let Some(length) = ascii_word(&text.as_bytes()[byte..]) {
                at = (index + length, byte + length);
                let word = &text[byte..at.1];
                all.push(Token {
                    word: Folded::of(word),
                    kind: word_kind(word),
                    start: index,
                    end: at.0,
                    from: byte,
                    to: at.1,
                });
                continue;
            }
            at = (index + 1, byte + c.len_utf8());
            if c == ' ' {
                continue;
            }
            let next = |at: (usize, usize)| text[at.1..].chars().next();
            let behind = |at: (usize, usize), c: char| (at.0 + 1, at.1 + c.len_utf8());
            // A digit in a key is an emoji.
            let is_keycap = c.is_ascii_digit() && next(at).is_some_and(follows_pictograph);
            let kind = if in_word(c) && !is_keycap {
                while let Some(c) = next(at) {
                    let after = behind(at, c);
                    let joins = in_word(c) || (is_apostrophe(c) && next(after).is_some_and(char::is_alphabetic));
                    if !joins {
                        break;
                    }
                    at = after;
                }
                word_kind(&text[byte..at.1])
            } else if is_pictograph(c) || is_keycap {
                let mut joined = false;
                while let Some(c) = next(at).filter(|c| follows_pictograph(*c) || (joined && is_pictograph(*c))) {
                    joined = c == '\u{200D}';
                    at = behind(at, c);
                }
                Kind::Emoji
            } else if c == '\n' {
                Kind::Break
            } else if c.is_whitespace() || is_hyphen(c) || follows_pictograph(c) {
                continue;
            } else if matches!(c, '"' | '“' | '”' | '«' | '»' | '„' | '\'' | '‘' | '’') {
                Kind::Quote
            } else {
                Kind::Mark
            };
            all.push(Token {
                word: Folded::of(&text[byte..at.1]),
                kind,
                start: index,
                end: at.0,
                from: byte,
                to: at.1,
            });
        }
        Self { text, all }
    }

    /// The place from the first to the last of these tokens.
    pub(crate) fn place(&self, tokens: &std::ops::Range<usize>) -> Option<Place> {
        let (first, last) = (self.all.get(tokens.start)?, self.all.get(tokens.end.checked_sub(1)?)?);
        Some(Place {
            text: self.text.get(first.from..last.to)?.to_owned(),
            start: first.start,
            end: last.end,
        })
    }

    /// The token in which this code point stands.
    pub(crate) fn at(&self, index: usize) -> Option<&Token<'a>> {
        let after = self.all.partition_point(|token| token.start <= index);
        self.all.get(after.checked_sub(1)?).filter(|token| index < token.end)
    }

    /// True if the token begins with a capital.
    pub(crate) fn has_capital(&self, number: usize) -> bool {
        self.all
            .get(number)
            .is_some_and(|token| self.text[token.from..].starts_with(char::is_uppercase))
    }

    /// The tokens that stand in these code points.
    pub(crate) fn within(&self, start: usize, end: usize) -> std::ops::Range<usize> {
        let from = self.all.partition_point(|token| token.start < start);
        let to = self.all.partition_point(|token| token.end <= end);
        from..to.max(from)
    }
}

/// The length of the word that a text begins with, if it and what stands behind it are ASCII, as nearly everything is.
fn ascii_word(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let letters = text[length..].iter();
        length += letters
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        match text[length..] {
            [b'\'', after, ..] if length > 0 && after.is_ascii_alphabetic() => length += 1,
            [b'\'', after, ..] if !after.is_ascii() => return None,
            [next, ..] if !next.is_ascii() => return None,
            _ => return (length > 0).then_some(length),
        }
    }
}

fn in_word(c: char) -> bool {
    is_tag_char(c) && !is_pictograph(c)
}

const fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ')
}

const fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}')
}

fn word_kind(word: &str) -> Kind {
    if word.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Kind::Word;
    }
    let is_shouted = word.chars().filter(|c| c.is_uppercase()).count() >= 2 && !word.chars().any(char::is_lowercase);
    if is_shouted || word.chars().all(char::is_numeric) {
        Kind::Shout
    } else {
        Kind::Word
    }
}

/// Signs that emoji begin with. Coarse: it is enough to know that no word stands there.
fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c), 0x2190..=0x21FF | 0x2300..=0x23FF | 0x25A0..=0x27BF | 0x2900..=0x2BFF | 0x1F000..=0x1FAFF)
}

/// True for a sign that an emoji ends with or is.
pub(crate) fn is_sign(c: char) -> bool {
    is_pictograph(c) || (follows_pictograph(c) && c != '\u{200D}' && c != '\u{FE0F}')
}

fn follows_pictograph(c: char) -> bool {
    matches!(u32::from(c), 0x200D | 0x20E3 | 0xFE0E | 0xFE0F | 0x1F3FB..=0x1F3FF | 0xE0020..=0xE007F)
}

/// What one token of a phrase may be.
#[derive(Debug)]
enum Step {
    /// One of these words.
    Word(Vec<String>),
    /// A word that begins so.
    Start(String),
    /// An answer that is dictated: an emoji, a number, a word in quotes or in capitals.
    Answer,
    Emoji,
    /// Up to [`LONGEST_GAP`] words.
    Gap,
}

impl Step {
    fn read(step: &str) -> Self {
        match step {
            "…" => Self::Gap,
            "<answer>" => Self::Answer,
            "<emoji>" => Self::Emoji,
            _ => match step.strip_suffix('*') {
                Some(start) => Self::Start(start.to_owned()),
                None => Self::Word(step.split('|').map(str::to_owned).collect()),
            },
        }
    }

    /// How many tokens it takes at the beginning of these; `None` if it does not fit.
    fn fits(&self, tokens: &[Token<'_>]) -> Option<usize> {
        let first = tokens.first()?;
        match self {
            Self::Word(words) => words.iter().any(|word| first.word == word.as_str()).then_some(1),
            Self::Start(start) => first.word.starts_with(start.as_str()).then_some(1),
            Self::Answer => match first.kind {
                Kind::Emoji | Kind::Shout => Some(1),
                Kind::Quote => {
                    let closing = tokens[1..]
                        .iter()
                        .take(LONGEST_GAP)
                        .position(|t| t.kind == Kind::Quote)?;
                    (closing > 0).then_some(closing + 2)
                }
                _ => None,
            },
            Self::Emoji => (first.kind == Kind::Emoji).then_some(1),
            Self::Gap => None,
        }
    }
}

/// A list of phrases, each with what it stands for.
#[derive(Debug)]
pub(crate) struct Lexicon<T> {
    phrases: Vec<(Vec<Step>, T)>,
    /// Finds the letters of any phrase's longest word: a text without them holds none. `None` where a phrase has no word.
    any: Option<AhoCorasick>,
    /// The phrases by their first word; those that begin otherwise stand apart.
    by_word: HashMap<String, Vec<usize>, FixedState>,
    others: Vec<usize>,
    /// Of the words that a phrase may begin with. Most words of a text begin none, and this is all that they cost.
    beginnings: Beginnings,
}

/// Which words may be among those that were added: few others pass, and none of them is turned away.
#[derive(Debug)]
struct Beginnings {
    sketch: [u64; Self::BITS / 64],
    /// The first bytes of words that may go on in any way.
    starts: [u64; 4],
    /// Anything may begin a phrase.
    is_open: bool,
}

impl Beginnings {
    const BITS: usize = 4096;

    const fn new() -> Self {
        Self {
            sketch: [0; Self::BITS / 64],
            starts: [0; 4],
            is_open: false,
        }
    }

    /// Made of the length and four of the letters.
    fn place(word: &str) -> usize {
        let bytes = word.as_bytes();
        let last = bytes.len().saturating_sub(1);
        let byte = |at: usize| usize::from(bytes.get(at).copied().unwrap_or_default());
        let mixed = byte(0) + byte(1) * 37 + byte(last / 2) * 401 + byte(last) * 1571 + bytes.len() * 613;
        mixed % Self::BITS
    }

    fn add(&mut self, word: &str) {
        let place = Self::place(word);
        self.sketch[place / 64] |= 1 << (place % 64);
    }

    fn add_start(&mut self, start: &str) {
        match start.as_bytes().first() {
            Some(byte) => self.starts[usize::from(byte / 64)] |= 1 << (byte % 64),
            None => self.is_open = true,
        }
    }

    fn may_be(&self, word: &str) -> bool {
        let place = Self::place(word);
        let first = word.as_bytes().first().copied().unwrap_or_default();
        self.is_open
            || self.sketch[place / 64] & (1 << (place % 64)) != 0
            || self.starts[usize::from(first / 64)] & (1 << (first % 64)) != 0
    }
}

impl<T> Lexicon<T> {
    /// Reads phrases: words parted by spaces; `a|b` either, `abc*` any ending, `…` a gap, `<answer>` a dictated
    /// answer, `<emoji>` an emoji.
    pub(crate) fn of<'a>(entries: impl Iterator<Item = (&'a str, T)>) -> Self {
        let mut lexicon = Self {
            phrases: Vec::new(),
            any: None,
            by_word: HashMap::default(),
            others: Vec::new(),
            beginnings: Beginnings::new(),
        };
        for (phrase, meaning) in entries {
            let steps: Vec<Step> = phrase
                .split(' ')
                .flat_map(|piece| {
                    // A hyphen parts words here as in the text.
                    if piece.contains('*') || piece.starts_with('<') {
                        vec![piece]
                    } else {
                        piece.split('-').collect()
                    }
                })
                .map(Step::read)
                .collect();
            let number = lexicon.phrases.len();
            match steps.first() {
                Some(Step::Word(words)) => {
                    for word in words {
                        lexicon.beginnings.add(word);
                        lexicon.by_word.entry(word.clone()).or_default().push(number);
                    }
                }
                Some(step) => {
                    match step {
                        Step::Start(start) => lexicon.beginnings.add_start(start),
                        _ => lexicon.beginnings.is_open = true,
                    }
                    lexicon.others.push(number);
                }
                None => continue,
            }
            lexicon.phrases.push((steps, meaning));
        }
        let words: Option<Vec<&[String]>> = lexicon.phrases.iter().map(|(steps, _)| longest_word(steps)).collect();
        lexicon.any = words.and_then(|words| AhoCorasick::new(words.concat()).ok());
        lexicon
    }

    /// False if no phrase stands in the text, as one look at its letters tells of most texts.
    pub(crate) fn may_stand_in(&self, text: &str) -> bool {
        self.any
            .as_ref()
            .is_none_or(|any| any.is_match(Folded::of(text).as_str()))
    }

    /// How many phrases it has.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.phrases.len()
    }

    /// The phrases that begin at the first of these tokens, each with how many tokens it takes.
    pub(crate) fn at<'a>(&'a self, tokens: &'a [Token<'_>]) -> impl Iterator<Item = (usize, usize, &'a T)> {
        let first = tokens.first().filter(|first| self.beginnings.may_be(&first.word));
        let named = first.and_then(|first| self.by_word.get(first.word.as_str()));
        let others = first.map_or(&[][..], |_| &self.others);
        named.into_iter().flatten().chain(others).filter_map(move |number| {
            let (steps, meaning) = &self.phrases[*number];
            fit(steps, tokens).map(|length| (*number, length, meaning))
        })
    }

    /// Every place where a phrase stands, the longest one where several begin: its number, its tokens, its meaning.
    pub(crate) fn find<'a>(&'a self, tokens: &'a Tokens<'_>) -> Vec<(usize, std::ops::Range<usize>, &'a T)> {
        let mut found = Vec::new();
        let mut from = 0;
        while from < tokens.all.len() {
            let longest = self.at(&tokens.all[from..]).max_by_key(|(_, length, _)| *length);
            match longest {
                Some((number, length, meaning)) => {
                    found.push((number, from..from + length, meaning));
                    from += length;
                }
                None => from += 1,
            }
        }
        found
    }
}

/// Of the steps that are words, the one whose shortest form is longest, in all its forms.
fn longest_word(steps: &[Step]) -> Option<&[String]> {
    let words = steps.iter().filter_map(|step| match step {
        Step::Word(words) => Some(words.as_slice()),
        Step::Start(start) => Some(std::slice::from_ref(start)),
        Step::Answer | Step::Emoji | Step::Gap => None,
    });
    words.max_by_key(|words| words.iter().map(String::len).min())
}

/// How many tokens the steps take at the beginning of these; `None` if they do not fit.
fn fit(steps: &[Step], tokens: &[Token<'_>]) -> Option<usize> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(0);
    };
    if let Step::Gap = step {
        for skipped in 0..=LONGEST_GAP {
            if let Some(length) = tokens.get(skipped..).and_then(|tokens| fit(rest, tokens)) {
                return Some(skipped + length);
            }
            if !tokens.get(skipped).is_some_and(|token| token.kind != Kind::Break) {
                return None;
            }
        }
        return None;
    }
    let length = step.fits(tokens)?;
    fit(rest, &tokens[length..]).map(|others| length + others)
}

/// The lines of a data file without its comments and empty lines.
pub(crate) fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(phrase: &str, text: &str) -> Vec<String> {
        let tokens = Tokens::of(text);
        let lexicon = Lexicon::of([(phrase, ())].into_iter());
        lexicon
            .find(&tokens)
            .into_iter()
            .filter_map(|(_, range, ())| tokens.place(&range))
            .map(|place| place.text)
            .collect()
    }

    #[rstest]
    #[case("delve|delves", "She Delves deep, they delve.", &["Delves", "delve"])]
    #[case("elevat*", "Elevating. Elevator.", &["Elevating", "Elevator"])]
    #[case("must-have", "A must-have, a must have.", &["must-have", "must have"])]
    #[case("here's the thing", "Here’s the\nthing. Here’s the thing", &["Here’s the thing"])]
    #[case("realm", "Stromrealm, realms", &[])]
    #[case("like … if", "Like this post if you can. Like, if", &["Like this post if", "Like, if"])]
    #[case("like … if", "Like\nif", &[])]
    #[case("comment <answer>", "Comment YES, comment \"me too\", comment ❤️, comment 1, comment below", &["Comment YES", "comment \"me too\"", "comment ❤️", "comment 1"])]
    #[case("the result ?", "The result?", &["The result?"])]
    fn phrases_are_found_as_whole_words(#[case] phrase: &str, #[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(found(phrase, text), expected);
    }

    proptest::proptest! {
        #[test]
        fn a_text_that_holds_a_phrase_may_hold_one(text in "(like|LIKE|this|’|'|it|if|must|-|have|here|s| |\n|😍|YES|elevate){0,12}") {
            let phrases = ["like … if", "must-have", "here's it", "elevat*", "this <answer>", "it|if have"];
            let lexicon = Lexicon::of(phrases.into_iter().map(|phrase| (phrase, ())));
            if !lexicon.find(&Tokens::of(&text)).is_empty() {
                proptest::prop_assert!(lexicon.may_stand_in(&text), "{text}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn words_of_ascii_are_found_like_all_others(text in "[aA1_.,!' \n’🥖️⃣é-]{0,16}") {
            // The same text in letters that have no short way.
            let other = text.replace('a', "á").replace('A', "Á");
            let shape = |text: &str| -> Vec<_> {
                let tokens = Tokens::of(text);
                tokens.all.iter().map(|token| (token.kind, token.start, token.end, token.word.replace('á', "a"))).collect()
            };
            proptest::prop_assert_eq!(shape(&text), shape(&other));
        }

        #[test]
        fn small_letters_are_those_of_unicode(text in "[a-cA-C ’ʼ‘'ÉßİΣςσ🥖]{0,12}") {
            let expected = text.to_lowercase().replace(['’', 'ʼ', '‘'], "'");
            let folded = Folded::of(&text);
            proptest::prop_assert_eq!(folded.as_str(), expected);
        }
    }

    #[test]
    fn places_are_in_code_points() {
        let tokens = Tokens::of("👨‍👩‍👧 É delve");
        let place = tokens.place(&(2..3)).unwrap();
        assert_eq!((place.text.as_str(), place.start, place.end), ("delve", 8, 13));
    }
}
