//! A text that is plainly in another language than the one asked for.
//!
//! Plainly: it is in another script, or it is full of the small words of one language and has next to none of the other.
//! A short text, a list of names, a mixture, and two languages that look alike are never plain.

use std::{collections::HashMap, sync::LazyLock};

use crate::{request::Language, text};

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
    let wanted = match wanted.primary() {
        "nb" | "nn" => "no",
        primary => primary,
    };
    if !KNOWN.contains(&wanted) {
        return false;
    }
    let (words, small) = small_words(text);
    let own = KNOWN
        .iter()
        .position(|language| *language == wanted)
        .map_or(0, |at| small[at]);
    words >= LEAST_WORDS
        && KNOWN
            .iter()
            .zip(small)
            .filter(|(language, _)| **language != wanted)
            .any(|(_, other)| other * 100 >= words * KNOWN_BY && own * PART <= other)
}

/// Each small word, with a bit for each of the languages that have it.
static SMALL_WORDS: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let mut known: HashMap<&'static str, u32> = HashMap::new();
    for (bit, language) in KNOWN.iter().enumerate() {
        for word in stop_words::lookup(language).unwrap_or_default() {
            *known.entry(word).or_default() |= 1 << bit;
        }
    }
    known
});

/// How many words a text has, and how many of them are small words of each language in [`KNOWN`]. Tags, names and addresses
/// are in no language.
fn small_words(text: &str) -> (usize, [usize; KNOWN.len()]) {
    let (mut words, mut small) = (0, [0; KNOWN.len()]);
    let spoken = text
        .split_whitespace()
        .filter(|word| !word.starts_with(['#', '＃', '@']) && !text::has_url(word))
        .flat_map(text::words);
    for word in spoken {
        words += 1;
        let languages = SMALL_WORDS
            .get(word.to_lowercase().as_str())
            .copied()
            .unwrap_or_default();
        for (bit, count) in small.iter_mut().enumerate() {
            *count += usize::from(languages & (1 << bit) != 0);
        }
    }
    (words, small)
}

/// True if a text that was given, however short, seems to be in another language than this one: in another script, or with
/// more small words of another language, at least two. Less sure than [`is_another`]: nothing is refused for it.
pub(crate) fn is_foreign(text: &str, language: &Language) -> bool {
    if is_another(text, language) || is_another_script_in(text, language, 4) {
        return true;
    }
    let own = match language.primary() {
        "nb" | "nn" => "no",
        primary => primary,
    };
    let Some(own) = KNOWN.iter().position(|known| *known == own) else {
        return false;
    };
    // So much alike that their small words tell nothing.
    let is_nordic = |at: usize| matches!(KNOWN[at], "da" | "no" | "sv");
    let (_, small) = small_words(text);
    (0..KNOWN.len()).any(|at| small[at] >= 2 && small[at] > small[own] && !(is_nordic(at) && is_nordic(own)))
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
    Some(match c {
        'a'..='z' | 'A'..='Z' | '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' if c.is_alphabetic() => Script::Latin,
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
mod tests {
    use rstest::rstest;

    use super::*;

    const GERMAN: &str =
        "Frisch aus dem Ofen und noch warm: unser Brot wartet heute Morgen auf euch, kommt vorbei und probiert es!";
    const ENGLISH: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
    const SPANISH: &str =
        "El pan acaba de salir del horno y la puerta está abierta. Ven a por una barra antes de que se acaben.";
    const RUSSIAN: &str = "Хлеб только что из печи, и дверь открыта. Заходите, пока он тёплый.";
    const JAPANESE: &str = "焼きたてのパンがカウンターに並びました。温かいうちにどうぞ。";

    #[rstest]
    #[case(GERMAN, "en")]
    #[case(SPANISH, "en")]
    #[case(ENGLISH, "de")]
    #[case(ENGLISH, "es")]
    #[case(ENGLISH, "nb")]
    #[case(GERMAN, "fr")]
    #[case(RUSSIAN, "en")]
    #[case(JAPANESE, "en")]
    #[case(ENGLISH, "ru")]
    #[case(ENGLISH, "ja")]
    #[case(ENGLISH, "zh-Hant-TW")]
    fn another_language_is_seen_where_it_is_plain(#[case] text: &str, #[case] wanted: &str) {
        assert!(is_another(text, &Language::new(wanted).unwrap()));
    }

    #[rstest]
    #[case(ENGLISH, Some("en"))]
    #[case(GERMAN, Some("de"))]
    #[case(SPANISH, Some("es"))]
    #[case(JAPANESE, Some("ja"))]
    #[case("갓 구운 빵이 나왔어요. 따뜻할 때 오세요.", Some("ko"))]
    #[case("Fresh bread, and it is still warm. #pan #horno @casa_ana", Some("en"))]
    #[case(RUSSIAN, None)]
    #[case("Sourdough. Rye. Spelt. Focaccia. Ciabatta. Baguette.", None)]
    #[case("Bread!", None)]
    #[case("", None)]
    fn the_language_of_a_text_is_told_where_it_is_plain(#[case] text: &str, #[case] language: Option<&str>) {
        assert_eq!(of(text).as_ref().map(Language::as_str), language);
    }

    #[rstest]
    #[case(ENGLISH, "en-GB")]
    #[case(GERMAN, "de")]
    #[case(SPANISH, "es")]
    #[case(SPANISH, "pt")]
    #[case(RUSSIAN, "ru")]
    #[case(RUSSIAN, "uk")]
    #[case(JAPANESE, "ja")]
    #[case(JAPANESE, "zh")]
    #[case(
        "Brødet er nettopp ute av ovnen, og døren er åpen. Kom innom mens det fortsatt er varmt.",
        "da"
    )]
    #[case("Namaste dosto, aaj ka khana bahut accha hai aur chai bhi garam hai", "hi-Latn")]
    #[case(
        "Sourdough. Rye. Spelt. Focaccia. Ciabatta. Baguette. Brioche. Pain au levain. Pumpernickel. Challah.",
        "de"
    )]
    #[case("Guten Morgen! The loaves came out at six and the counter is full.", "en")]
    #[case("Kommt vorbei!", "en")]
    #[case("#brot #ofen #und #das #ist #der #die #auf #euch #wir #sind #da Fresh bread.", "en")]
    #[case("焼きたて", "en")]
    #[case(GERMAN, "vi")]
    fn what_is_not_plain_is_let_pass(#[case] text: &str, #[case] wanted: &str) {
        assert!(!is_another(text, &Language::new(wanted).unwrap()));
    }
}
