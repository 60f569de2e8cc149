//! What a text is about: its content words and the phrases that they form. Shared by hashtags and score.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use foldhash::fast::{FixedState, RandomState};
use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    request::Language,
    text::{self, has_url},
};

type Stops = HashSet<&'static str, FixedState>;

/// The stop words of each language that has any, to be looked up in no time.
static STOPS: LazyLock<HashMap<String, Stops>> = LazyLock::new(|| {
    let letters = || 'a'..='z';
    letters()
        .flat_map(|first| letters().map(move |second| String::from_iter([first, second])))
        .filter_map(|code| stop_words::lookup(&code).map(|words| (code, words.iter().copied().collect())))
        .collect()
});

/// The most words that a thread remembers, over all languages, and the longest of these in bytes: two megabytes.
const REMEMBERED: usize = 16 * 1024;
const LONGEST_REMEMBERED: usize = 32;

thread_local! {
    /// Words that were taken apart lately, as they were written, by the number of the language. Taking a word apart takes a
    /// hundred times as long as finding it, and people use the same words again and again.
    static KNOWN: RefCell<Vec<HashMap<String, Known, RandomState>>> = const { RefCell::new(Vec::new()) };
}

/// What is known of a word.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) stem: Arc<str>,
    /// It carries meaning.
    pub(crate) is_content: bool,
}

/// Takes words apart from their endings, for one language.
pub struct Words {
    /// The number of the language.
    language: usize,
    stemmer: Option<Stemmer>,
    stops: Option<&'static Stops>,
    negations: &'static [&'static str],
    more_stops: &'static [&'static str],
    /// What is written onto the end of words and belongs to the sentence.
    endings: &'static [&'static str],
    cuts_at_apostrophe: bool,
    /// Signs that part words where no spaces do.
    partings: &'static str,
}

/// Adjacent content words as they stand in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// One to three words in their own spelling, without particles that are written onto them.
    pub words: Vec<String>,
    /// Their stems.
    pub stems: Vec<String>,
    /// The number of its first word in the text.
    pub position: usize,
}

impl Words {
    /// Stemmer and stop words of the language, as far as there are any.
    pub fn of(language: &Language) -> Self {
        let algorithm = match language.primary() {
            "ar" => Some(Algorithm::Arabic),
            "da" => Some(Algorithm::Danish),
            "nl" => Some(Algorithm::Dutch),
            "en" => Some(Algorithm::English),
            "fi" => Some(Algorithm::Finnish),
            "fr" => Some(Algorithm::French),
            "de" => Some(Algorithm::German),
            "el" => Some(Algorithm::Greek),
            "hu" => Some(Algorithm::Hungarian),
            "it" => Some(Algorithm::Italian),
            "no" | "nb" | "nn" => Some(Algorithm::Norwegian),
            "pt" => Some(Algorithm::Portuguese),
            "ro" => Some(Algorithm::Romanian),
            "ru" => Some(Algorithm::Russian),
            "es" => Some(Algorithm::Spanish),
            "sv" => Some(Algorithm::Swedish),
            "tr" => Some(Algorithm::Turkish),
            _ => None,
        };
        Self {
            language: number(language.primary()),
            stemmer: algorithm.map(Stemmer::create),
            stops: STOPS.get(language.primary()),
            negations: negations(language.primary()),
            more_stops: more_stops(language.primary()),
            endings: if language.primary() == "ko" {
                KOREAN_PARTICLES
            } else {
                &[]
            },
            cuts_at_apostrophe: matches!(language.primary(), "tr" | "az"),
            partings: if language.primary() == "zh" {
                CHINESE_PARTICLES
            } else {
                ""
            },
        }
    }

    /// The word's stem in lower case.
    pub fn stem(&self, word: &str) -> String {
        self.known(word).stem.as_ref().to_owned()
    }

    /// The word's stem in lower case, and whether it carries meaning.
    pub(crate) fn known(&self, word: &str) -> Known {
        if word.len() > LONGEST_REMEMBERED {
            return self.taken_apart(word);
        }
        KNOWN.with_borrow_mut(|all| {
            if all.len() <= self.language {
                all.resize_with(self.language + 1, HashMap::default);
            }
            if let Some(known) = all[self.language].get(word) {
                return known.clone();
            }
            if all.iter().map(HashMap::len).sum::<usize>() >= REMEMBERED {
                for words in all.iter_mut() {
                    *words = HashMap::default();
                }
            }
            let known = self.taken_apart(word);
            all[self.language].insert(word.to_owned(), known.clone());
            known
        })
    }

    fn taken_apart(&self, word: &str) -> Known {
        let lower = self.without_ending(word).to_lowercase();
        Known {
            stem: match &self.stemmer {
                Some(stemmer) => stemmer.stem(&lower).into(),
                None => lower.into(),
            },
            is_content: self.carries_meaning(word),
        }
    }

    /// The word without a particle that is written onto it: Korean `카페에서` is `카페`. Two syllables stay at least.
    pub(crate) fn without_ending<'a>(&self, word: &'a str) -> &'a str {
        let is_name = |ending: &str| {
            KOREAN_NOUNS
                .iter()
                .any(|noun| word.ends_with(noun) && noun.ends_with(ending))
        };
        // After an apostrophe stand the endings of Turkish names: İstanbul'da.
        if self.cuts_at_apostrophe
            && let Some((name, _)) = word.split_once(['\'', '’'])
            && name.chars().count() >= 2
        {
            return name;
        }
        let rest = |ending: &&str| word.strip_suffix(*ending).filter(|rest| rest.chars().count() >= 2);
        let found = self
            .endings
            .iter()
            .find(|ending| rest(ending).is_some() && !is_name(ending));
        found.and_then(rest).unwrap_or(word)
    }

    /// True for words that carry meaning: no stop words, no lone letters, no bare numbers.
    pub fn is_content(&self, word: &str) -> bool {
        self.known(word).is_content
    }

    fn carries_meaning(&self, word: &str) -> bool {
        let lower = lowered(word);
        let letters = lower.chars().filter(|c| c.is_alphabetic()).count();
        letters >= if lower.is_ascii() { 2 } else { 1 }
            && !self.is_stop(&lower)
            && !self.more_stops.contains(&lower.as_str())
    }

    /// True for a stop word of the language, given in lower case.
    pub fn is_stop(&self, word: &str) -> bool {
        self.stops.is_some_and(|stops| stops.contains(word))
    }

    /// The stems of the content words, each once, in order. Hashtags in `PascalCase` are split into their words.
    pub fn stems(&self, text: &str) -> Vec<String> {
        let stems = self.shared_stems(text);
        stems.iter().map(|stem| stem.as_ref().to_owned()).collect()
    }

    /// The same, sharing the stems with whoever asks for them again.
    pub(crate) fn shared_stems(&self, text: &str) -> Vec<Arc<str>> {
        // About one word in ten signs carries meaning.
        let mut seen: HashSet<Arc<str>, FixedState> =
            HashSet::with_capacity_and_hasher(text.len() / 10, FixedState::default());
        let mut stems = Vec::new();
        for word in text::words(text) {
            each_part(word, |part| {
                let known = self.known(part);
                if known.is_content && seen.insert(Arc::clone(&known.stem)) {
                    stems.push(known.stem);
                }
            });
        }
        stems
    }

    /// Every run of one to three neighbouring content words, longer ones first, within the same clause. What a clause
    /// denies ("no dogs allowed") and web addresses are left out. In scripts without spaces a phrase is a row of signs of
    /// one kind.
    pub fn phrases(&self, text: &str) -> Vec<Phrase> {
        let mut phrases = Vec::new();
        self.each_phrase(text, |row| {
            phrases.push(Phrase {
                words: row.iter().map(|part| part.word.to_owned()).collect(),
                stems: row.iter().map(|part| part.stem.as_ref().to_owned()).collect(),
                position: row[0].position,
            });
        });
        phrases
    }

    /// The same, each shown as its words.
    pub(crate) fn each_phrase(&self, text: &str, mut found: impl FnMut(&[Part<'_>])) {
        let mut plain = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !plain.is_empty() {
                plain.push(' ');
            }
            plain.push_str(if has_url(word) { "." } else { word });
        }
        unspaced_phrases(&plain, self.partings, &mut found);
        let runs = self.runs(&plain);
        for size in (1..=3).rev() {
            for run in &runs {
                run.windows(size).for_each(&mut found);
            }
        }
    }

    /// The rows of content words of a text whose words are parted by one space each.
    fn runs<'a>(&self, text: &'a str) -> Vec<Vec<Part<'a>>> {
        let mut runs: Vec<Vec<Part<'a>>> = vec![Vec::new()];
        let mut is_denied = false;
        for (position, piece) in word_bounds(text).enumerate() {
            if piece == " " || piece == "-" || piece.chars().all(char::is_whitespace) {
                continue;
            }
            let is_word = piece.chars().any(char::is_alphanumeric);
            is_denied = is_word && (is_denied || self.denies(piece));
            let known = (is_word && !is_denied).then(|| self.known(piece));
            match (known, runs.last_mut()) {
                (Some(known), Some(run)) if known.is_content && !piece.contains(is_unspaced) => run.push(Part {
                    word: self.without_ending(piece),
                    stem: known.stem,
                    position,
                }),
                (_, Some(run)) if run.is_empty() => {}
                _ => runs.push(Vec::new()),
            }
        }
        runs
    }

    fn denies(&self, word: &str) -> bool {
        if word.is_ascii() {
            return self.negations.iter().any(|denial| denial.eq_ignore_ascii_case(word));
        }
        !self.negations.is_empty() && self.negations.contains(&word.to_lowercase().as_str())
    }
}

/// A word of a phrase, without a particle that is written onto it.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) word: &'a str,
    stem: Arc<str>,
    /// The number of the piece of the text.
    position: usize,
}

impl Part<'_> {
    pub(crate) const fn stem(&self) -> &Arc<str> {
        &self.stem
    }

    pub(crate) const fn position(&self) -> usize {
        self.position
    }
}

/// A number for each language of two letters, which all lists here go by; one more for all others.
fn number(language: &str) -> usize {
    match language.as_bytes() {
        [one @ b'a'..=b'z', other @ b'a'..=b'z'] => usize::from(one - b'a') * 26 + usize::from(other - b'a'),
        _ => 26 * 26,
    }
}

/// The pieces between word boundaries. A space before a sign of ASCII is a piece for itself whatever stands around it, so
/// the text may be cut there, and the rules are much quicker in pieces that are all ASCII.
fn word_bounds(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut cuts = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(after) = rest
            .strip_prefix(' ')
            .filter(|after| after.starts_with(|c: char| c.is_ascii_graphic()))
        {
            rest = after;
            return Some(" ");
        }
        let bytes = rest.as_bytes();
        let is_cut = |at: &usize| bytes[*at] == b' ' && bytes.get(at + 1).is_some_and(u8::is_ascii_graphic);
        let (piece, after) = rest.split_at((1..bytes.len()).find(is_cut).unwrap_or(bytes.len()));
        rest = after;
        Some(piece)
    });
    let mut behind = "";
    let mut of_piece = None;
    std::iter::from_fn(move || {
        loop {
            if let Some(bound) = of_piece.as_mut().and_then(Iterator::next) {
                return Some(bound);
            }
            of_piece = None;
            // One sign is one piece.
            if behind.len() == 1 {
                return Some(std::mem::take(&mut behind));
            }
            if !behind.is_empty() {
                of_piece = Some(std::mem::take(&mut behind).split_word_bounds());
                continue;
            }
            let piece = cuts.next()?;
            let (word, rest) = piece.split_at(text::lone_word(piece).map_or(0, str::len));
            behind = rest;
            if !word.is_empty() {
                return Some(word);
            }
        }
    })
}

/// In lower case, with one form of apostrophe.
pub(crate) fn lowered(word: &str) -> String {
    if word.is_ascii() {
        word.to_ascii_lowercase()
    } else {
        word.to_lowercase().replace('’', "'")
    }
}

/// Forms that the list of stop words lacks, and the commonest words of languages that have no such list.
fn more_stops(language: &str) -> &'static [&'static str] {
    match language {
        "de" => &["deines", "eurer", "eures", "unserer", "unseres"],
        "fa" => &[
            "از", "است", "اما", "این", "با", "برای", "به", "بود", "تا", "در", "را", "شد", "ما", "من", "های", "هم", "و",
            "که", "یا", "یک", "آن", "روی",
        ],
        "hi" => &[
            "अपना",
            "अपनी",
            "अपने",
            "इस",
            "उस",
            "एक",
            "और",
            "कर",
            "का",
            "की",
            "के",
            "को",
            "जो",
            "तक",
            "तो",
            "था",
            "थी",
            "थे",
            "पर",
            "भी",
            "मेरा",
            "मेरी",
            "मेरे",
            "मैं",
            "में",
            "यह",
            "या",
            "वह",
            "साथ",
            "से",
            "हम",
            "हमारा",
            "हमारी",
            "हमारे",
            "ही",
            "हुआ",
            "हुई",
            "हुए",
            "है",
            "हैं",
            "लिए",
            "ने",
        ],
        "ko" => &[
            "그",
            "그리고",
            "나",
            "너",
            "더",
            "또",
            "및",
            "수",
            "우리",
            "위",
            "이",
            "있는",
            "있다",
            "저",
            "하는",
            "한",
            "함께",
        ],
        "pl" => &[
            "a", "aby", "ale", "czy", "dla", "do", "i", "ich", "jak", "jest", "na", "nad", "nasz", "nasza", "nasze",
            "naszej", "nie", "o", "od", "oraz", "po", "pod", "przed", "przy", "są", "się", "tak", "ten", "to", "w",
            "we", "z", "za", "ze",
        ],
        "tr" => &["bir", "olan", "olarak", "var", "yeni"],
        "uk" => &[
            "а", "або", "але", "біля", "в", "від", "для", "до", "з", "за", "і", "й", "із", "на", "наш", "наша", "наше",
            "не", "по", "під", "про", "та", "у", "це", "що", "як",
        ],
        _ => &[],
    }
}

/// Longer ones first. Not in it is what more nouns end in than sentences do, such as 이 of 고양이.
const KOREAN_PARTICLES: &[&str] = &[
    "에서", "에게", "으로", "까지", "부터", "처럼", "을", "를", "은", "는", "의", "에", "가", "와", "과",
];

/// Nouns that end like a particle.
const KOREAN_NOUNS: &[&str] = &["노을", "가을", "마을", "사과", "휴가", "작가", "은은"];

/// Signs that are grammar in nearly every place.
const CHINESE_PARTICLES: &str = "的了和与及在是我你他她它们这那";

/// Words that deny what follows them in a clause. "No" is English; in Portuguese it means "in the".
fn negations(language: &str) -> &'static [&'static str] {
    match language {
        "en" => &["no", "not", "never", "without"],
        "de" => &["kein", "keine", "keinen", "nicht", "nie", "ohne"],
        "fr" => &["pas", "sans", "jamais"],
        "es" => &["sin", "nunca", "ningún"],
        "it" => &["non", "senza", "mai"],
        "pt" => &["sem", "nunca", "não"],
        _ => &[],
    }
}

/// Letters of scripts that put no spaces between words: Thai to Myanmar, Khmer, kana, Han.
pub(crate) fn is_unspaced(c: char) -> bool {
    c >= '\u{E00}'
        && matches!(u32::from(c), 0x0E00..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// Rows of two to eight Han or katakana signs: in Japanese and Chinese mostly nouns. Hiragana, which mostly is grammar,
/// parts them, as `partings` do; scripts whose words nothing parts (Thai, Khmer) give none.
fn unspaced_phrases(text: &str, partings: &str, found: &mut impl FnMut(&[Part<'_>])) {
    if text.is_ascii() {
        return;
    }
    let kind = |c: char| match u32::from(c) {
        // Below are no such signs.
        0..=0x30A0 => 0,
        _ if partings.contains(c) => 0,
        0x30A1..=0x30FA | 0x30FC => 1,
        0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF => 2,
        _ => 0,
    };
    let (mut from, mut row_kind) = (0, 0);
    let ends = std::iter::once((text.len(), '\n'));
    for (position, (at, c)) in text.char_indices().chain(ends).enumerate() {
        let kind = kind(c);
        if kind != row_kind {
            let row = &text[from..at];
            if row_kind != 0 && (2..=8).contains(&row.chars().count()) {
                found(&[Part {
                    word: row,
                    stem: row.into(),
                    position,
                }]);
            }
            (from, row_kind) = (at, kind);
        }
    }
}

/// `NewShoes` is two words; `NASA` and `paris` are one.
fn each_part<'a>(word: &'a str, mut found: impl FnMut(&'a str)) {
    // Nearly all have no capital but their first letter.
    if word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase()) && word.is_ascii() {
        return found(word);
    }
    let mut start = 0;
    let mut before_lower = false;
    for (at, c) in word.char_indices() {
        if c.is_uppercase() && before_lower {
            found(&word[start..at]);
            start = at;
        }
        before_lower = c.is_lowercase() || c.is_numeric();
    }
    found(&word[start..]);
}

#[cfg(test)]
mod tests;
