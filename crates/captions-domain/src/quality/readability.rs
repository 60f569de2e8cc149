//! Easy to read. English: Flesch reading ease, 206.835 - 1.015 x words a sentence - 84.6 x syllables a word (Flesch, 1948),
//! from 0 at 20 over 0.6 at 50 to 1 at 65. Other languages: words a sentence, from 1 at 8 over 0.6 at 20 to 0 at 35; where
//! words are not parted by spaces, characters: 2.5 of them for a word, in Thai and its neighbours 4, between spaces.
//! Then 0.1 less if a paragraph has more than three sentences, and in proportion where sentences break off.

use super::{
    Finding,
    curve::{interpolate, number},
    reading::Reading,
};
use crate::{
    cliche::paragraphs,
    lexicon::Kind,
    phrases::is_unspaced,
    text::{self, Place},
};

/// The most sentences of a paragraph.
const SENTENCES: usize = 3;
/// What a longer paragraph costs.
const LONG_PARAGRAPH: f64 = 0.1;

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let Some(longest) = reading
        .sentences
        .iter()
        .max_by_key(|sentence| sentence.end - sentence.start)
    else {
        return Finding::new(0.0, Vec::new(), Some("write at least one sentence".to_owned()));
    };
    let (ease, a_sentence, unit) = ease(reading);
    let crowded = crowded(reading);
    let broken = broken(reading);
    let whole = 1.0 - number(broken.len()) / number(reading.sentences.len());
    let value = ease * whole - if crowded { LONG_PARAGRAPH } else { 0.0 };
    let (spans, fix) = if let Some(first) = broken.first() {
        let fix = format!("mend the sentence at '{}': it breaks off or does not begin", first.text);
        (broken, fix)
    } else if ease < 1.0 && a_sentence > 15.0 {
        let fix = format!("{a_sentence:.0} {unit} a sentence: make two of the longest");
        (vec![Place::from((*longest).clone())], fix)
    } else if ease < 1.0 && reading.brief.language.primary() == "en" {
        (Vec::new(), "use shorter words".to_owned())
    } else if ease < 1.0 {
        (
            vec![Place::from((*longest).clone())],
            "make the longest sentence shorter".to_owned(),
        )
    } else {
        (Vec::new(), "begin a new paragraph after three sentences".to_owned())
    };
    Finding::new(value, spans, Some(fix))
}

/// How easy, 0-1, and how long a sentence is on average, in which unit.
fn ease(reading: &Reading<'_>) -> (f64, f64, &'static str) {
    let sentences = number(reading.sentences.len());
    let words: Vec<&str> = reading
        .tokens
        .all
        .iter()
        .filter(|token| matches!(token.kind, Kind::Word | Kind::Shout))
        .map(|token| token.word.as_str())
        .collect();
    let unspaced = reading.caption.chars().filter(|c| is_unspaced(*c)).count();
    if unspaced * 2 > reading.caption.chars().filter(|c| c.is_alphanumeric()).count() {
        let is_east_asian = |c: char| u32::from(c) >= 0x3040;
        let (a_word, parts) = if reading.caption.contains(is_east_asian) {
            (2.5, sentences)
        } else {
            // No mark ends a sentence there; spaces part what belongs together.
            (4.0, number(reading.caption.split_whitespace().count()))
        };
        let a_sentence = number(unspaced) / parts;
        return (by_words(a_sentence / a_word), a_sentence, "characters");
    }
    let count = number(words.len().max(1));
    let a_sentence = count / sentences;
    if reading.brief.language.primary() == "en" {
        let syllables: usize = words.iter().map(|word| text::syllables(word)).sum();
        let flesch = 206.835 - 1.015 * a_sentence - 84.6 * number(syllables) / count;
        return (
            interpolate(flesch, &[(20.0, 0.0), (50.0, 0.6), (65.0, 1.0)]),
            a_sentence,
            "words",
        );
    }
    (by_words(a_sentence), a_sentence, "words")
}

fn by_words(a_sentence: f64) -> f64 {
    interpolate(a_sentence, &[(8.0, 1.0), (20.0, 0.6), (35.0, 0.0)])
}

/// True if a paragraph has too many sentences.
fn crowded(reading: &Reading<'_>) -> bool {
    let ends = paragraphs(reading.caption);
    let mut counts = vec![0_usize; ends.len() + 1];
    for sentence in &reading.sentences {
        counts[ends.partition_point(|end| *end <= sentence.start)] += 1;
    }
    counts.iter().any(|count| *count > SENTENCES)
}

/// Where sentences break off, or do not begin: they end in an article or the like, a small letter follows a full stop, or a
/// small word has a capital in their midst. Shuffled words give themselves away by it. Who writes all in small letters
/// does so everywhere.
fn broken(reading: &Reading<'_>) -> Vec<Place> {
    let tokens = &reading.tokens;
    let unfinished = unfinished(reading.brief.language.primary());
    let is_word = |at: usize| matches!(tokens.all[at].kind, Kind::Word | Kind::Shout);
    let mut found = Vec::new();
    for sentence in &reading.sentences {
        let range = tokens.within(sentence.start, sentence.end);
        let words: Vec<usize> = range.filter(|at| is_word(*at)).collect();
        let stray = words.iter().skip(1).find(|at| {
            let before = tokens.all[**at - 1].word.as_str();
            (matches!(before, "." | "!" | "?") && is_lower(reading, **at) && tokens.has_capital(words[0]))
                || (tokens.has_capital(**at) && is_small_word(reading, **at))
        });
        let last = words
            .last()
            .filter(|at| unfinished.contains(&tokens.all[**at].word.as_str()));
        let first = words
            .first()
            .filter(|at| sentence.start > 0 && is_lower(reading, **at) && has_capitals(reading));
        if let Some(at) = last.or(stray).or(first) {
            found.extend(tokens.place(&(*at..*at + 1)));
        }
    }
    found
}

fn is_lower(reading: &Reading<'_>, at: usize) -> bool {
    reading.tokens.all[at].word.starts_with(char::is_lowercase) && !reading.tokens.has_capital(at)
}

/// True if the first sentence begins with a capital.
fn has_capitals(reading: &Reading<'_>) -> bool {
    reading
        .caption
        .chars()
        .find(|c| c.is_alphabetic())
        .is_some_and(char::is_uppercase)
}

/// A small word that never has a capital inside a sentence: "the", "und". "I" has, and forms of address in German.
fn is_small_word(reading: &Reading<'_>, at: usize) -> bool {
    let token = &reading.tokens.all[at];
    let before = &reading.tokens.all[at - 1];
    let goes_on = matches!(before.kind, Kind::Word | Kind::Shout) || before.word == ",";
    let is_address = match reading.brief.language.primary() {
        "de" => matches!(
            token.word.as_str(),
            "sie"
                | "ihr"
                | "ihre"
                | "ihnen"
                | "ihren"
                | "ihrem"
                | "ihrer"
                | "du"
                | "dein"
                | "deine"
                | "euch"
                | "euer"
                | "eure"
        ),
        "en" => token.word.starts_with('i') && token.word.len() <= 4,
        _ => false,
    };
    token.kind == Kind::Word && goes_on && !is_address && reading.words.is_stop(&token.word)
}

/// Articles, prepositions and the like: no sentence ends in one.
fn unfinished(language: &str) -> &'static [&'static str] {
    match language {
        "en" => &[
            "a", "an", "and", "from", "my", "of", "or", "our", "the", "their", "to", "with", "your",
        ],
        "es" => &[
            "a", "con", "de", "del", "e", "el", "en", "la", "las", "los", "o", "para", "su", "un", "una", "y",
        ],
        "pt" => &[
            "a", "ao", "as", "com", "da", "de", "do", "e", "em", "na", "no", "o", "os", "ou", "para", "um", "uma",
        ],
        "fr" => &[
            "au", "avec", "de", "des", "du", "en", "et", "la", "le", "les", "nos", "ou", "pour", "un", "une",
        ],
        "de" => &[
            "aus", "das", "dem", "den", "der", "ein", "eine", "einen", "im", "oder", "und", "unser", "unsere", "von",
        ],
        "it" => &[
            "a", "al", "con", "da", "del", "della", "di", "e", "gli", "i", "il", "in", "la", "le", "o", "un", "una",
        ],
        "nl" => &["de", "een", "en", "het", "met", "of", "onze", "op", "van", "voor"],
        "ru" => &["без", "в", "для", "за", "и", "из", "к", "на", "но", "с", "у"],
        _ => &[],
    }
}
