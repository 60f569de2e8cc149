//! How a tag is written: its words found, each with a capital where the script has any, joined so that they stay words.

use unicode_normalization::UnicodeNormalization;

use crate::{
    phrases::is_unspaced,
    text::{capitalised, tag_text, without_invisible},
};

/// The longest word in capitals that is taken for an acronym.
const LONGEST_ACRONYM: usize = 5;

/// The words of a proposal: without its sign, in compatibility form, taken apart at everything that no tag may hold, at
/// underscores, and where small letters meet capitals.
pub(super) fn pieces(proposal: &str) -> Vec<String> {
    // A word of letters that have no other form.
    if proposal.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return humps(proposal);
    }
    let plain = compatible(&without_invisible(proposal));
    let plain = plain.trim().trim_start_matches('#');
    plain
        .split(|c: char| c == '_' || !(is_apostrophe(c) || crate::text::is_tag_char(c)))
        .flat_map(|piece| humps(&tag_text(piece)))
        .collect()
}

/// Compatibility composition (NFKC): wide and styled letters become plain ones. Thai and Lao AM would fall apart into
/// signs that nobody types, so they stay.
fn compatible(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut composed = String::with_capacity(text.len());
    for part in text.split_inclusive(['\u{0E33}', '\u{0EB3}']) {
        let am = part
            .chars()
            .next_back()
            .filter(|c| matches!(c, '\u{0E33}' | '\u{0EB3}'));
        let rest = &part[..part.len() - am.map_or(0, char::len_utf8)];
        composed.extend(rest.nfkc().chain(am));
    }
    composed
}

/// Part of a word in many languages, and of no tag.
fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ')
}

/// `goldenRetriever` is two words, `NASALaunch` too; `NASA`, `iPhone` and `paris` are one.
fn humps(word: &str) -> Vec<String> {
    if !word.is_empty() && !word.chars().skip(1).any(char::is_uppercase) {
        return vec![word.to_owned()];
    }
    let chars: Vec<char> = word.chars().collect();
    let mut humps: Vec<String> = Vec::new();
    let mut start = 0;
    for at in 1..chars.len() {
        let (before, here) = (chars[at - 1], chars[at]);
        let after = chars.get(at + 1);
        let rises = here.is_uppercase() && (before.is_lowercase() || before.is_numeric());
        let ends_acronym = before.is_uppercase() && here.is_uppercase() && after.is_some_and(|c| c.is_lowercase());
        // A lone small letter before a capital is part of a name.
        if (rises && at - start > 1) || (ends_acronym && at > start) {
            humps.push(chars[start..at].iter().collect());
            start = at;
        }
    }
    humps.push(chars[start..].iter().collect());
    humps.retain(|hump| !hump.is_empty());
    humps
}

/// The words as one tag: in `PascalCase` where the script has capitals, joined by `_` where it has none and parts its
/// words by spaces: joined letters would become another word. Signs of Han, kana and Hangul are joined as they are.
///
/// `shouts` says that the text around is in capitals, so that none of them tells an acronym.
pub(super) fn joined(pieces: &[String], language: &str, shouts: bool) -> String {
    let mut tag = String::new();
    for piece in pieces {
        let cased = cased(piece, language, shouts);
        let parts = tag.chars().next_back().is_some_and(is_caseless) && cased.chars().next().is_some_and(is_caseless);
        if parts {
            tag.push('_');
        }
        tag.push_str(&cased);
    }
    tag
}

fn cased(word: &str, language: &str, shouts: bool) -> String {
    let mut letters = word.chars().filter(|c| c.is_lowercase() || c.is_uppercase());
    let is_capitals = letters.clone().all(char::is_uppercase);
    let count = letters.clone().count();
    if count == 0 {
        return word.to_owned();
    }
    if is_capitals && count > 1 {
        let is_acronym = !shouts && count <= LONGEST_ACRONYM;
        return if is_acronym {
            word.to_owned()
        } else {
            capitalised(&lowered(word, language), language)
        };
    }
    // iPhone, eBay
    if letters.next().is_some_and(char::is_lowercase) && letters.next().is_some_and(char::is_uppercase) {
        return word.to_owned();
    }
    capitalised(word, language)
}

/// In small letters, as the language has them: Turkish `I` becomes `ı`, and `İ` plain `i`.
pub(super) fn lowered(text: &str, language: &str) -> String {
    if matches!(language, "tr" | "az") {
        return text.replace('I', "ı").replace('İ', "i").to_lowercase();
    }
    text.to_lowercase()
}

/// True if most of the text's letters that have a case are capitals.
pub(super) fn shouts(text: &str) -> bool {
    let (capitals, small) = text.chars().fold((0, 0), |(capitals, small), c| {
        (
            capitals + usize::from(c.is_uppercase()),
            small + usize::from(c.is_lowercase()),
        )
    });
    capitals > 2 * small && capitals > LONGEST_ACRONYM
}

/// Letters (and their marks) of scripts without capitals that part words by spaces: Hebrew to Tibetan, Ethiopic.
fn is_caseless(c: char) -> bool {
    matches!(u32::from(c), 0x0590..=0x0DFF | 0x0F00..=0x0FFF | 0x1200..=0x139F | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFF)
        && !is_unspaced(c)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn written(proposal: &str, language: &str) -> String {
        joined(&pieces(proposal), language, false)
    }

    #[rstest]
    #[case::words("golden retriever", "en", "GoldenRetriever")]
    #[case::sign("#golden retriever", "en", "GoldenRetriever")]
    #[case::wide_sign("＃golden-retriever", "en", "GoldenRetriever")]
    #[case::underscore("golden_retriever", "en", "GoldenRetriever")]
    #[case::camel("goldenRetriever", "en", "GoldenRetriever")]
    #[case::pascal("GoldenRetriever", "en", "GoldenRetriever")]
    #[case::acronym("NASA launch", "en", "NASALaunch")]
    #[case::acronym_in_pascal("NASALaunch", "en", "NASALaunch")]
    #[case::long_capitals("SUNRISE walk", "en", "SunriseWalk")]
    #[case::name("iPhone photos", "en", "iPhonePhotos")]
    #[case::apostrophe("Ana's café", "en", "AnasCafé")]
    #[case::digits("5k run", "en", "5kRun")]
    #[case::styled("𝗯𝗼𝗹𝗱 text", "en", "BoldText")]
    #[case::wide("ｃａｆｅ", "en", "Cafe")]
    #[case::decomposed("cafe\u{301}", "fr", "Café")]
    #[case::emoji("coffee ☕ time", "en", "CoffeeTime")]
    #[case::sharp_s("straße am see", "de", "StraßeAmSee")]
    #[case::turkish("istanbul ışıkları", "tr", "İstanbulIşıkları")]
    #[case::turkish_capitals("ISPARTALI", "tr", "Ispartalı")]
    #[case::english_i("istanbul lights", "en", "IstanbulLights")]
    #[case::dutch("ijs eten", "nl", "IJsEten")]
    #[case::russian("щенок на пляже", "ru", "ЩенокНаПляже")]
    #[case::greek("ελληνικός καφές", "el", "ΕλληνικόςΚαφές")]
    #[case::georgian("თბილისი", "ka", "თბილისი")]
    #[case::arabic("قهوة الصباح", "ar", "قهوة_الصباح")]
    #[case::persian("می\u{200C}خواهم برم", "fa", "می\u{200C}خواهم_برم")]
    #[case::hebrew("קפה בוקר", "he", "קפה_בוקר")]
    #[case::hindi("सुबह की चाय", "hi", "सुबह_की_चाय")]
    #[case::tamil("காலை காபி", "ta", "காலை_காபி")]
    #[case::japanese("桜 カフェ", "ja", "桜カフェ")]
    #[case::half_kana("ｶﾌｪ", "ja", "カフェ")]
    #[case::chinese("手冲 咖啡", "zh", "手冲咖啡")]
    #[case::korean("서울 카페", "ko", "서울카페")]
    #[case::thai("น้ำแข็ง", "th", "น้ำแข็ง")]
    #[case::nothing("☕ !!", "en", "")]
    fn tags_are_written_as_their_script_is(#[case] proposal: &str, #[case] language: &str, #[case] expected: &str) {
        assert_eq!(written(proposal, language), expected);
    }

    #[test]
    fn in_a_shouted_text_capitals_tell_no_acronym() {
        assert!(shouts("NEW SHOES IN STORE") && !shouts("NASA opens its doors") && !shouts("USA"));
        assert_eq!(joined(&pieces("NEW SHOES"), "en", true), "NewShoes");
    }
}
