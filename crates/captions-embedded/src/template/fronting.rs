//! The same words in another order: the place first, or the last detail first. Only where a description has no verb of
//! its own, so that nothing is said about anything but what it was said about.

use captions_domain::text;

use super::source::clause_ends;

/// Words that show that a clause is a sentence, or that more hangs on its parts than their order.
#[rustfmt::skip]
fn bound_words(language: &str) -> &'static [&'static str] {
    match language {
        "en" => &[
            "i", "we", "you", "he", "she", "it", "they", "this", "that", "these", "there", "here", "who", "which", "what",
            "how", "why", "when", "where", "is", "are", "was", "were", "be", "been", "am", "has", "have", "had", "will",
            "can", "could", "do", "does", "did", "not", "no", "never", "with", "without", "and", "or", "but", "if", "let's",
            "thanks", "join", "only", "except", "than", "as", "so", "goes", "go", "comes", "come", "makes", "make", "made",
        ],
        "es" => &[
            "yo", "nosotros", "es", "son", "está", "están", "estamos", "somos", "hay", "tenemos", "no", "con", "sin", "y", "o",
            "pero", "que", "se", "hemos", "ha", "han", "abrimos", "inauguramos", "vamos",
        ],
        "fr" => &[
            "je", "nous", "vous", "il", "elle", "on", "est", "sont", "sommes", "avons", "ai", "a", "ont", "ne", "pas", "avec",
            "sans", "et", "ou", "mais", "qui", "c'est", "c’est",
        ],
        "de" => &[
            "ich", "wir", "du", "sie", "er", "es", "ist", "sind", "war", "haben", "hat", "habe", "wird", "nicht", "kein",
            "keine", "mit", "ohne", "und", "oder", "aber",
        ],
        "it" => &[
            "io", "noi", "è", "sono", "siamo", "abbiamo", "ho", "ha", "hanno", "non", "con", "senza", "e", "o", "ma", "che",
            "si",
        ],
        "pt" => &[
            "eu", "nós", "é", "são", "está", "estamos", "temos", "tem", "não", "com", "sem", "e", "ou", "mas", "que", "se",
        ],
        _ => &[],
    }
}

/// True if the part holds none of them.
fn is_free(part: &str, language: &str) -> bool {
    let bound = bound_words(language);
    !text::words(&part.to_lowercase()).any(|word| bound.contains(&word))
}

/// Words that begin a place, and what must follow them; an empty list: anything may.
fn begins_place(language: &str, word: &str, next: &str) -> bool {
    let follows: &[&str] = match (language, word) {
        (
            "en",
            "at" | "in" | "on" | "under" | "near" | "behind" | "beside" | "above" | "below" | "along" | "inside",
        ) => &["the", "a", "an", "our", "my", "your", "his", "her", "their"],
        ("en", "from") => &["the", "our", "my"],
        ("es", "en" | "sobre" | "bajo" | "desde") => {
            &["el", "la", "los", "las", "un", "una", "nuestro", "nuestra", "mi"]
        }
        ("fr", "sur" | "dans" | "sous" | "devant" | "derrière") => {
            &["le", "la", "les", "un", "une", "notre", "nos", "mon", "ma"]
        }
        ("de", "im" | "am" | "beim")
        | ("it", "nel" | "nella" | "nello" | "sul" | "sulla" | "sullo")
        | ("pt", "na" | "no" | "nas" | "nos" | "num" | "numa") => &[],
        ("de", "auf" | "in" | "an" | "aus" | "unter" | "über" | "vor" | "hinter" | "neben") => &[
            "dem", "der", "den", "einem", "einer", "unserem", "unserer", "meinem", "meiner",
        ],
        ("it", "in" | "su" | "sotto") => &["un", "una", "mezzo"],
        _ => return false,
    };
    // A name is a place, too: "in Lisbon". German writes every noun so.
    let is_name =
        !matches!((language, word), ("de", _) | (_, "from" | "desde")) && next.starts_with(char::is_uppercase);
    follows.is_empty() || is_name || follows.contains(&next)
}

/// The fewest words of each part.
const LEAST: usize = 2;
/// The longest text that is turned around: a reader has to hold the first part in mind.
const MOST_CHARS: usize = 120;

/// Place and rest of a description of one sentence without a verb: "a wooden shelf" of "fresh loaves on a wooden shelf".
/// Both without end mark.
pub(super) fn place_first<'a>(sentence: &'a str, language: &str) -> Option<(&'a str, &'a str)> {
    let text = turnable(sentence)?;
    if text.contains([',', '-', '–', '—', '(']) {
        return None;
    }
    let words: Vec<(usize, &str)> = words_at(text);
    for (index, (at, word)) in words.iter().enumerate().skip(LEAST) {
        let (_, before) = words[index - 1];
        let next = words.get(index + 1).map_or("", |(_, next)| next);
        // "Looking at" and "based on" want what follows right behind them.
        let hangs = language == "en" && (before.ends_with("ing") || before.ends_with("ed"));
        if begins_place(language, word, next) && !hangs && words.len() - index > LEAST - 1 {
            let (head, place) = (text[..*at].trim_end(), &text[*at..]);
            return (is_free(head, language) && is_free(place, language)).then_some((place, head));
        }
    }
    None
}

/// The last clause and what stands before it, of a description of one sentence without a verb: "a gift from the roastery"
/// of "oat drink in my flat white, a gift from the roastery". Both without end mark.
pub(super) fn detail_first<'a>(sentence: &'a str, language: &str) -> Option<(&'a str, &'a str)> {
    let text = turnable(sentence)?;
    let at = *clause_ends(text).last()?;
    let (head, detail) = (&text[..at], text[at..].trim_start_matches([',', ' ', '，', '、']));
    // Of a language whose verbs are not known nothing is turned around.
    let stands = |part: &str| text::words(part).count() > LEAST && is_free(part, language);
    let is_known = !bound_words(language).is_empty();
    (is_known && stands(head) && stands(detail) && !detail.contains(['@', '/'])).then_some((detail, head))
}

/// The sentence without its mark, if it is one that may be turned around at all.
fn turnable(sentence: &str) -> Option<&str> {
    let text = sentence.trim().trim_end_matches('.');
    let is_plain = !text.contains(['?', '!', ':', ';', '"', '“', '«', '„', '…', '\n', '.', '@', '#']);
    (is_plain && text.chars().count() <= MOST_CHARS && text.chars().next().is_some_and(char::is_alphabetic))
        .then_some(text)
}

fn words_at(text: &str) -> Vec<(usize, &str)> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split_whitespace().map(|word| (start(word), word)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_shelf("en", "Fresh loaves on a wooden shelf.", Some(("on a wooden shelf", "Fresh loaves")))]
    #[case::a_name("en", "golden hour at our Lisbon cafe", Some(("at our Lisbon cafe", "golden hour")))]
    #[case::german("de", "Frische Brezeln aus dem Holzofen.", Some(("aus dem Holzofen", "Frische Brezeln")))]
    #[case::spanish("es", "Cena tranquila en la terraza", Some(("en la terraza", "Cena tranquila")))]
    #[case::french("fr", "Un bouquet sur la table", Some(("sur la table", "Un bouquet")))]
    #[case::a_sentence("en", "We are opening on the market square", None)]
    #[case::a_verb_that_hangs_on_it("en", "Two dogs looking at the sea", None)]
    #[case::no_place("en", "A stack of clean plates", None)]
    #[case::too_short_a_head("en", "Kayaks on the river", None)]
    #[case::more_than_one_thing("en", "A nap on the sofa and a walk", None)]
    #[case::denied("en", "No dogs on the beach", None)]
    #[case::a_question("en", "Fresh loaves on the shelf?", None)]
    fn a_place_comes_first(#[case] language: &str, #[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(place_first(text, language), expected);
    }

    #[rstest]
    #[case::a_gift("Oat drink in my flat white, a gift from the roastery.", Some(("a gift from the roastery", "Oat drink in my flat white")))]
    #[case::a_list("Amara, Yusuf and Chloe at the falls", None)]
    #[case::the_end_of_a_list("Marta baked bread, rolls and cakes for the fair", None)]
    #[case::a_sentence("We painted the wall, every inch of it", None)]
    #[case::narrowed("Open on every Sunday, except in May", None)]
    #[case::one_clause("Oat drink in my flat white", None)]
    fn the_last_detail_comes_first(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        assert_eq!(detail_first(text, "en"), expected);
    }
}
