//! A text that is plainly in another language than the one asked for.
//!
//! Plainly: it is in another script, or it is full of the small words of one language and has next to none of the other.
//! A short text, a list of names, a mixture, and two languages that look alike are never plain.
//!
//! A single sentence is looked at as well ([`switches`]): a caption may be right but for the one that somebody's text told
//! the model to write.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use foldhash::fast::FixedState;

use crate::{
    phrases::is_unspaced,
    request::Language,
    sentences,
    text::{self, Span},
};

/// Fewer words than this say nothing.
const LEAST_WORDS: usize = 10;
/// Fewer words than this say nothing about which language it is.
const LEAST_GUESSED: usize = 5;
/// The least share of small words by which a language is known, in percent. Running text has 30 to 60.
const KNOWN_BY: usize = 25;
/// The language asked for has less than this part of the other's small words.
const PART: usize = 4;
/// Fewer letters than this say nothing about the script.
const LEAST_LETTERS: usize = 16;
/// The share of letters in the right script, in percent, below which the script is another one.
const STRANGE_BELOW: usize = 20;

/// A sentence of fewer words is a greeting, a name or a saying.
const LEAST_IN_SENTENCE: usize = 5;
/// A sentence with fewer small words of another language are a dish or the name of a shop: "tarte aux pommes".
const LEAST_SMALL: usize = 3;
/// The least words of a sentence in a script other than Latin that puts spaces between them: fewer may be a name.
const LEAST_STRANGE_WORDS: usize = 4;
/// The least signs of one in a script that puts no spaces.
const LEAST_STRANGE_SIGNS: usize = 12;
/// A sentence so many of whose words the user gave, in percent, is the user's.
const GIVEN_FROM: usize = 80;

/// Languages whose small words are known, by what they are looked up under.
const KNOWN: &[&str] = &[
    "da", "de", "en", "es", "fi", "fr", "hu", "it", "nl", "no", "pt", "ro", "sv", "tr",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Kana,
    Han,
    Hangul,
}

/// True if the text is plainly in another language.
pub(crate) fn is_another(text: &str, wanted: &Language) -> bool {
    is_another_script(text, wanted) || has_anothers_words(text, wanted)
}

fn is_another_script(text: &str, wanted: &Language) -> bool {
    is_another_script_in(text, wanted, LEAST_LETTERS)
}

fn is_another_script_in(text: &str, wanted: &Language, least: usize) -> bool {
    let Some(expected) = scripts(wanted) else {
        return false;
    };
    // A text of ASCII alone is in no other script than Latin.
    if text.is_ascii() && expected.contains(&Script::Latin) {
        return false;
    }
    let (mut letters, mut right) = (0, 0);
    for script in text.chars().filter_map(script) {
        letters += 1;
        right += usize::from(expected.contains(&script));
    }
    // Signs that stand for a word are as good as several letters.
    let weight = if expected.contains(&Script::Han) { 2 } else { 1 };
    letters >= least && right * 100 * weight < letters * STRANGE_BELOW
}

fn has_anothers_words(text: &str, wanted: &Language) -> bool {
    let Some(own) = known(wanted) else {
        return false;
    };
    let (words, small) = small_words(text);
    words >= LEAST_WORDS
        && (0..KNOWN.len())
            .filter(|other| *other != own)
            .any(|other| small[other] * 100 >= words * KNOWN_BY && small[own] * PART <= small[other])
}

/// The sentences that are plainly in another language than the one asked for and that nobody gave, in order.
///
/// A sentence most of whose words stand in `given` is the user's own slogan, quote or name. Sayings of up to four words, and
/// sentences of more that have no three small words of one language, are never plain; nor is one in the letters of a
/// language whose small words are not known.
pub(crate) fn switches<'a>(text: &'a str, wanted: &Language, given: &str) -> Vec<Span<'a>> {
    let mut switches = sentences::spans(text);
    switches.retain(|sentence| {
        (is_strange_script(sentence.text, wanted, "") || speaks_another(sentence.text, wanted))
            // Few sentences come so far: the words that were given are looked up only for them.
            && (is_strange_script(sentence.text, wanted, &given.to_lowercase())
                || (speaks_another(sentence.text, wanted) && !is_given(sentence.text, given)))
    });
    switches
}

/// True if all that the text says is in sentences of another language.
pub(crate) fn is_all_switched(text: &str, wanted: &Language, given: &str) -> bool {
    let switches = switches(text, wanted, given).len();
    let says = |sentence: &Span<'_>| spoken(sentence.text).any(|word| word.contains(char::is_alphabetic));
    switches > 0 && sentences::spans(text).iter().filter(|sentence| says(sentence)).count() == switches
}

/// True if the user gave nearly all words of the sentence.
fn is_given(sentence: &str, given: &str) -> bool {
    let given = given.to_lowercase();
    let given: HashSet<&str> = text::words(&given).collect();
    let sentence = sentence.to_lowercase();
    let (mut words, mut known) = (0, 0);
    for word in text::words(&sentence) {
        words += 1;
        known += usize::from(given.contains(word));
    }
    known * 100 >= words * GIVEN_FROM
}

/// True for a sentence in another script, apart from the words that stand in `given` (in small letters).
fn is_strange_script(sentence: &str, wanted: &Language, given: &str) -> bool {
    let Some(expected) = scripts(wanted).filter(|expected| !(expected.contains(&Script::Latin) && sentence.is_ascii()))
    else {
        return false;
    };
    let (mut letters, mut right, mut signs, mut words, mut latin) = (0, 0, 0, 0, 0);
    let mut has_small = false;
    for piece in spoken(sentence) {
        let bare = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let mut strange = None;
        for (c, script) in bare.chars().filter_map(|c| Some((c, script(c)?))) {
            letters += 1;
            if expected.contains(&script) {
                right += 1;
            } else {
                signs += usize::from(is_unspaced(c));
                strange = Some((script, c));
            }
        }
        let Some((script, c)) = strange else {
            continue;
        };
        let lower = bare.to_lowercase();
        if !given.is_empty() && given.contains(&lower) {
            signs -= bare.chars().filter(|c| is_unspaced(*c)).count().min(signs);
            letters -= bare.chars().filter(|c| self::script(*c).is_some()).count().min(letters);
            continue;
        }
        if script == Script::Latin {
            latin += 1;
            has_small |= SMALL_WORDS.contains_key(bare);
        } else {
            words += usize::from(!is_unspaced(c));
        }
    }
    let weight = if expected.contains(&Script::Han) { 2 } else { 1 };
    right * 100 * weight < letters * STRANGE_BELOW
        && (signs >= LEAST_STRANGE_SIGNS
            || words >= LEAST_STRANGE_WORDS
            // Without a small word they may all be names.
            || (latin >= LEAST_IN_SENTENCE && has_small))
}

/// True for a sentence with the small words of one other language and next to none of its own. Words that both have tell
/// nothing, and names inside a sentence are in no language.
fn speaks_another(sentence: &str, wanted: &Language) -> bool {
    let Some(own) = known(wanted) else {
        return false;
    };
    let is_shouted = !sentence.contains(char::is_lowercase);
    // The small words of the own language, those of each other one, and those that both have.
    let (mut words, mut owns, mut others, mut both) = (0, 0, [0; KNOWN.len()], [0; KNOWN.len()]);
    each_spoken(sentence, |word| {
        words += 1;
        if words > 1 && !is_shouted && word.starts_with(char::is_uppercase) && word.chars().nth(1).is_some() {
            return;
        }
        let languages = languages_of(word);
        let is_own = languages & (1 << own) != 0;
        owns += usize::from(is_own);
        let counts = if is_own { &mut both } else { &mut others };
        bits(languages).for_each(|other| counts[other] += 1);
    });
    words >= LEAST_IN_SENTENCE
        && (0..KNOWN.len()).any(|other| {
            !is_nordic_pair(own, other)
                && others[other] >= LEAST_SMALL
                && others[other] * 100 >= words * KNOWN_BY
                && (owns - both[other]) * PART <= others[other]
        })
}

/// Where its small words are, for a language that has any here.
fn known(language: &Language) -> Option<usize> {
    let primary = match language.primary() {
        "nb" | "nn" => "no",
        primary => primary,
    };
    KNOWN.iter().position(|known| *known == primary)
}

/// So much alike that their small words tell nothing.
fn is_nordic_pair(one: usize, other: usize) -> bool {
    let is_nordic = |at: usize| matches!(KNOWN[at], "da" | "no" | "sv");
    is_nordic(one) && is_nordic(other)
}

/// Each small word, with a bit for each of the languages that have it.
static SMALL_WORDS: LazyLock<HashMap<&'static str, u32, FixedState>> = LazyLock::new(|| {
    let mut known: HashMap<&'static str, u32, FixedState> = HashMap::default();
    for (bit, language) in KNOWN.iter().enumerate() {
        for word in stop_words::lookup(language).unwrap_or_default() {
            *known.entry(word).or_default() |= 1 << bit;
        }
    }
    known
});

/// The places of the bits that are set.
fn bits(set: u32) -> impl Iterator<Item = usize> {
    let next = |set: &u32| Some(set & (set - 1)).filter(|rest| *rest != 0);
    std::iter::successors(Some(set).filter(|set| *set != 0), next).map(|set| set.trailing_zeros() as usize)
}

/// A bit for each of the languages of which the word is a small one.
fn languages_of(word: &str) -> u32 {
    let known = if word.bytes().any(|byte| !byte.is_ascii() || byte.is_ascii_uppercase())
        && word.chars().any(char::is_uppercase)
    {
        SMALL_WORDS.get(word.to_lowercase().as_str())
    } else {
        SMALL_WORDS.get(word)
    };
    known.copied().unwrap_or_default()
}

/// The pieces of a text but for tags, names of accounts and addresses, which are in no language.
fn spoken(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .filter(|word| !word.starts_with(['#', '＃', '@']) && !text::has_url(word))
}

/// The words of these pieces. Nearly all are one word, which needs no rules.
fn each_spoken(text: &str, mut found: impl FnMut(&str)) {
    for piece in spoken(text) {
        match text::lone_word(piece) {
            Some(word) => found(word),
            None => text::words(piece).for_each(&mut found),
        }
    }
}

/// How many words a text has, and how many of them are small words of each language in [`KNOWN`].
fn small_words(text: &str) -> (usize, [usize; KNOWN.len()]) {
    let (mut words, mut small) = (0, [0; KNOWN.len()]);
    each_spoken(text, |word| {
        words += 1;
        bits(languages_of(word)).for_each(|language| small[language] += 1);
    });
    (words, small)
}

/// True if a text that was given, however short, seems to be in another language than this one: in another script, or with
/// more small words of another language, at least two. Less sure than [`is_another`]: nothing is refused for it.
pub(crate) fn is_foreign(text: &str, language: &Language) -> bool {
    if is_another(text, language) || is_another_script_in(text, language, 4) {
        return true;
    }
    let Some(own) = known(language) else {
        return false;
    };
    let (_, small) = small_words(text);
    (0..KNOWN.len()).any(|at| small[at] >= 2 && small[at] > small[own] && !is_nordic_pair(at, own))
}

/// The language of a text, where its script or its small words leave no doubt.
pub(crate) fn of(text: &str) -> Option<Language> {
    let scripts: Vec<Script> = text.chars().filter_map(script).collect();
    let share = |wanted: Script| scripts.iter().filter(|script| **script == wanted).count() * 2 > scripts.len();
    let by_script = if scripts.contains(&Script::Kana) && !share(Script::Latin) {
        Some("ja")
    } else {
        [
            (Script::Han, "zh"),
            (Script::Hangul, "ko"),
            (Script::Thai, "th"),
            (Script::Hebrew, "he"),
            (Script::Greek, "el"),
        ]
        .into_iter()
        .find(|(script, _)| share(*script))
        .map(|(_, language)| language)
    };
    let by_words = || {
        let (words, small) = small_words(text);
        let mut counts: Vec<(usize, &str)> = small.into_iter().zip(KNOWN.iter().copied()).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let [(best, language), (second, _), ..] = counts.as_slice() else {
            return None;
        };
        let is_plain = words >= LEAST_GUESSED && best * 100 >= words * KNOWN_BY && second * 5 <= best * 4;
        is_plain.then_some(*language)
    };
    by_script
        .or_else(by_words)
        .and_then(|language| Language::new(language).ok())
}

/// The scripts in which the language is usually written; `None` where there are several, or the tag names one.
fn scripts(language: &Language) -> Option<&'static [Script]> {
    let names_a_script =
        (language.as_str().split('-').skip(1)).any(|part| part.len() == 4 && !matches!(part, "Hans" | "Hant"));
    if names_a_script {
        return None;
    }
    Some(match language.primary() {
        "en" | "de" | "fr" | "es" | "it" | "pt" | "nl" | "sv" | "da" | "no" | "nb" | "nn" | "fi" | "hu" | "ro"
        | "tr" | "pl" | "cs" | "sk" | "sl" | "hr" | "lt" | "lv" | "et" | "id" | "ms" | "vi" | "tl" | "af" | "ca"
        | "eu" | "gl" | "sq" | "is" | "ga" | "cy" | "sw" => &[Script::Latin],
        "ru" | "uk" | "bg" | "be" | "mk" => &[Script::Cyrillic],
        "el" => &[Script::Greek],
        "ar" | "fa" | "ur" => &[Script::Arabic],
        "he" => &[Script::Hebrew],
        "hi" | "mr" | "ne" => &[Script::Devanagari],
        "th" => &[Script::Thai],
        "ja" => &[Script::Kana, Script::Han],
        "zh" => &[Script::Han],
        "ko" => &[Script::Hangul, Script::Han],
        _ => return None,
    })
}

/// The script of a letter; `None` for signs, digits, emoji and scripts that no rule here speaks of.
fn script(c: char) -> Option<Script> {
    if c.is_ascii() {
        return c.is_ascii_alphabetic().then_some(Script::Latin);
    }
    Some(match c {
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' if c.is_alphabetic() => Script::Latin,
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Script::Greek,
        '\u{400}'..='\u{52F}' => Script::Cyrillic,
        '\u{590}'..='\u{5FF}' => Script::Hebrew,
        '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' => Script::Arabic,
        '\u{900}'..='\u{97F}' => Script::Devanagari,
        '\u{E00}'..='\u{E7F}' => Script::Thai,
        '\u{3040}'..='\u{30FF}' => Script::Kana,
        '\u{3400}'..='\u{9FFF}' => Script::Han,
        '\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7AF}' => Script::Hangul,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
