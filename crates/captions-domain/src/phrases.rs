//! What a text is about: its content words and the phrases that they form. Shared by hashtags and score.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    sync::LazyLock,
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

/// The most stems of one language that a thread remembers, and the longest word of these in bytes: half a megabyte.
const REMEMBERED: usize = 4096;
const LONGEST_REMEMBERED: usize = 32;

thread_local! {
    /// Stems of words that were taken apart lately, by the number of the language. Taking a word apart takes a hundred times
    /// as long as finding it, and people use the same words again and again.
    static STEMS: RefCell<Vec<HashMap<String, String, RandomState>>> = const { RefCell::new(Vec::new()) };
}

/// Takes words apart from their endings, for one language.
pub struct Words {
    /// With the number of its language.
    stemmer: Option<(usize, Stemmer)>,
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
            stemmer: algorithm.map(|algorithm| (algorithm as usize, Stemmer::create(algorithm))),
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
        let lower = self.without_ending(word).to_lowercase();
        match &self.stemmer {
            Some((language, stemmer)) if lower.len() <= LONGEST_REMEMBERED => remembered(*language, stemmer, lower),
            Some((_, stemmer)) => stemmer.stem(&lower).into_owned(),
            None => lower,
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
        let mut seen: HashSet<String, FixedState> = HashSet::default();
        let mut stems: Vec<String> = Vec::new();
        let mut words: HashSet<&str, FixedState> = HashSet::default();
        for word in text::words(text).flat_map(split_pascal_case) {
            // Taking a word apart costs more than knowing that one has.
            if words.insert(word) && self.is_content(word) {
                let stem = self.stem(word);
                if seen.insert(stem.clone()) {
                    stems.push(stem);
                }
            }
        }
        stems
    }

    /// Every run of one to three neighbouring content words, longer ones first, within the same clause. What a clause
    /// denies ("no dogs allowed") and web addresses are left out. In scripts without spaces a phrase is a row of signs of
    /// one kind.
    pub fn phrases(&self, text: &str) -> Vec<Phrase> {
        let addresses_out: Vec<&str> = text
            .split_whitespace()
            .map(|word| if has_url(word) { "." } else { word })
            .collect();
        let text = addresses_out.join(" ");
        let mut runs: Vec<Vec<(usize, &str, String)>> = vec![Vec::new()];
        let mut is_denied = false;
        for (position, piece) in text.split_word_bounds().enumerate() {
            if piece.chars().all(char::is_whitespace) || piece == "-" {
                continue;
            }
            let is_word = piece.chars().any(char::is_alphanumeric);
            is_denied = if is_word {
                is_denied || self.negations.contains(&piece.to_lowercase().as_str())
            } else {
                false
            };
            if is_word && !is_denied && self.is_content(piece) && !piece.chars().any(is_unspaced) {
                if let Some(run) = runs.last_mut() {
                    // A word is part of up to six phrases, and taking it apart costs more than knowing that.
                    run.push((position, piece, self.stem(piece)));
                }
            } else {
                runs.push(Vec::new());
            }
        }
        let mut phrases = unspaced_phrases(&text, self.partings);
        for size in (1..=3).rev() {
            for run in &runs {
                for window in run.windows(size) {
                    phrases.push(Phrase {
                        words: window
                            .iter()
                            .map(|(_, word, _)| self.without_ending(word).to_owned())
                            .collect(),
                        stems: window.iter().map(|(.., stem)| stem.clone()).collect(),
                        position: window[0].0,
                    });
                }
            }
        }
        phrases
    }
}

fn remembered(language: usize, stemmer: &Stemmer, word: String) -> String {
    STEMS.with_borrow_mut(|all| {
        if all.len() <= language {
            all.resize_with(language + 1, HashMap::default);
        }
        let known = &mut all[language];
        if let Some(stem) = known.get(&word) {
            return stem.clone();
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let stem = stemmer.stem(&word).into_owned();
        known.insert(word, stem.clone());
        stem
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
    matches!(u32::from(c), 0x0E00..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}

/// Rows of two to eight Han or katakana signs: in Japanese and Chinese mostly nouns. Hiragana, which mostly is grammar,
/// parts them, as `partings` do; scripts whose words nothing parts (Thai, Khmer) give none.
fn unspaced_phrases(text: &str, partings: &str) -> Vec<Phrase> {
    let kind = |c: char| match u32::from(c) {
        _ if partings.contains(c) => 0,
        0x30A1..=0x30FA | 0x30FC => 1,
        0x3400..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF => 2,
        _ => 0,
    };
    let mut phrases = Vec::new();
    let mut row = String::new();
    let mut row_kind = 0;
    for (position, c) in text.chars().chain(['\n']).enumerate() {
        if kind(c) != row_kind {
            if row_kind != 0 && (2..=8).contains(&row.chars().count()) {
                phrases.push(Phrase {
                    words: vec![row.clone()],
                    stems: vec![row.clone()],
                    position,
                });
            }
            row.clear();
            row_kind = kind(c);
        }
        row.push(c);
    }
    phrases
}

/// `NewShoes` is two words; `NASA` and `paris` are one.
fn split_pascal_case(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before_lower = false;
    for (at, c) in word.char_indices() {
        if c.is_uppercase() && before_lower {
            parts.push(&word[start..at]);
            start = at;
        }
        before_lower = c.is_lowercase() || c.is_numeric();
    }
    parts.push(&word[start..]);
    parts
}

#[cfg(test)]
mod tests;
