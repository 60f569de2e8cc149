//! How machines write and people do not: phrases by their rate in human captions, and a few figures of speech.
//!
//! Rates are of English, so phrases, reveals, contrasts, announcements and dashes are looked for in English only. Rhythm
//! and shouting are judged in every language that parts its words by spaces. It finds a manner of writing; it does not
//! tell who wrote.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use crate::{
    lexicon::{self, Kind, Lexicon, Token, Tokens},
    phrases::is_unspaced,
    request::Language,
    sentences,
    text::{Place, Span},
};

/// One sign of a machine's manner.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    pub manner: Manner,
    pub place: Place,
    /// 1 for a strong sign, 0.5 for a weak one.
    pub weight: f64,
}

/// What kind of sign it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Manner {
    /// A phrase that people hardly wrote.
    Phrase,
    /// A question that only announces its answer: "The result?"
    Reveal,
    /// "It's not a shoe, it's a feeling."
    Contrast,
    /// "Let's be honest."
    Announcement,
    /// More than two sentences of at most three words.
    Staccato,
    /// At least four sentences that are all about as long.
    Monotony,
    /// Three exclamation marks or more.
    Shouting,
    /// More dashes than one in a hundred words.
    Dashes,
}

/// Above this many hits in 1,000 human captions a phrase is how people write.
const COMMON_ABOVE: f64 = 2.0;
/// Below this many it is a strong sign.
const STRONG_BELOW: f64 = 0.5;
/// So many short sentences are style, one more is a manner.
const FREE_FRAGMENTS: usize = 2;
/// Words of a short sentence.
const FRAGMENT: usize = 3;
/// Fewer sentences have no rhythm.
const LEAST_SENTENCES: usize = 4;
/// The least spread of sentence lengths, as the standard deviation over the mean.
const LEAST_SPREAD: f64 = 0.35;

static PHRASES: LazyLock<Lexicon<f64>> = LazyLock::new(|| {
    Lexicon::of(
        lexicon::lines(include_str!("../data/cliches.txt"))
            .filter_map(|line| line.split_once('\t'))
            .filter_map(|(rate, phrase)| Some((phrase.trim(), rate.trim().parse().ok()?))),
    )
});

static ANNOUNCEMENTS: LazyLock<Lexicon<()>> =
    LazyLock::new(|| Lexicon::of(lexicon::lines(include_str!("../data/announcements.txt")).map(|phrase| (phrase, ()))));

/// Every sign in `text`, in order of their places. Phrases that stand in `exempt` too, the user's own words, are none: a
/// curator may say "curated".
pub fn find(text: &str, language: &Language, exempt: &str) -> Vec<Marker> {
    let tokens = Tokens::of(text);
    in_tokens(&tokens, &sentences::spans(text), text, language, exempt)
}

/// What the signs weigh together: one weak phrase is free.
pub fn weight(markers: &[Marker]) -> f64 {
    let sum: f64 = markers.iter().map(|marker| marker.weight).sum();
    let has_weak = markers
        .iter()
        .any(|marker| marker.manner == Manner::Phrase && marker.weight < 1.0);
    if has_weak { sum - 0.5 } else { sum }
}

pub(crate) fn in_tokens(
    tokens: &Tokens<'_>,
    sentences: &[Span<'_>],
    text: &str,
    language: &Language,
    exempt: &str,
) -> Vec<Marker> {
    let mut markers = Vec::new();
    if language.primary() == "en" {
        phrases(tokens, text, exempt, &mut markers);
        for sentence in sentences {
            let range = tokens.within(sentence.start, sentence.end);
            figures(tokens, &range, sentence, exempt, &mut markers);
        }
        dashes(tokens, &mut markers);
    }
    shouting(tokens, &mut markers);
    if !text.chars().any(is_unspaced) {
        rhythm(tokens, sentences, &mut markers);
    }
    markers.sort_by_key(|marker| marker.place.start);
    markers
}

fn phrases(tokens: &Tokens<'_>, text: &str, exempt: &str, markers: &mut Vec<Marker>) {
    let found = PHRASES.find(tokens);
    if found.is_empty() {
        return;
    }
    let given: HashSet<usize> = PHRASES
        .find(&Tokens::of(exempt))
        .into_iter()
        .map(|(number, ..)| number)
        .collect();
    let paragraphs = paragraphs(text);
    let paragraph_of = |place: &Place| paragraphs.partition_point(|end| *end <= place.start);
    let mut common = Vec::new();
    let mut marked = HashSet::new();
    for (number, range, rate) in found {
        let Some(place) = tokens.place(&range).filter(|_| !given.contains(&number)) else {
            continue;
        };
        if *rate > COMMON_ABOVE {
            common.push(place);
            continue;
        }
        marked.insert(paragraph_of(&place));
        markers.push(Marker {
            manner: Manner::Phrase,
            place,
            weight: if *rate < STRONG_BELOW { 1.0 } else { 0.5 },
        });
    }
    // What people say, too, says something in company only.
    let in_company = common.into_iter().filter(|place| marked.contains(&paragraph_of(place)));
    markers.extend(in_company.map(|place| Marker {
        manner: Manner::Phrase,
        place,
        weight: 0.5,
    }));
}

/// Where the paragraphs end, in code points: at empty lines.
pub(crate) fn paragraphs(text: &str) -> Vec<usize> {
    let (mut ends, mut index, mut has_text) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() && has_text {
            ends.push(index);
            has_text = false;
        }
        has_text |= !line.trim().is_empty();
        index += line.chars().count();
    }
    if has_text {
        ends.push(index);
    }
    ends
}

fn figures(tokens: &Tokens<'_>, range: &Range<usize>, sentence: &Span<'_>, exempt: &str, markers: &mut Vec<Marker>) {
    let words = &tokens.all[range.clone()];
    let mut mark = |manner: Manner, place: Place| {
        if !exempt.contains(&place.text) {
            markers.push(Marker {
                manner,
                place,
                weight: 1.0,
            });
        }
    };
    if is_reveal(words) {
        mark(Manner::Reveal, Place::from(sentence.clone()));
    } else if is_contrast(words) {
        mark(Manner::Contrast, Place::from(sentence.clone()));
    }
    for at in 0..words.len() {
        let begins = at == 0 || !matches!(words[at - 1].kind, Kind::Word | Kind::Shout);
        if !begins {
            continue;
        }
        if let Some((_, length, ())) = ANNOUNCEMENTS.at(&words[at..]).next()
            && let Some(place) = tokens.place(&(range.start + at..range.start + at + length))
        {
            mark(Manner::Announcement, place);
        }
    }
}

/// "The result?", "And the best part?"
fn is_reveal(words: &[Token<'_>]) -> bool {
    let words = match words {
        [and, rest @ ..] if matches!(and.word.as_str(), "and" | "but") => rest,
        _ => words,
    };
    words.last().is_some_and(|last| last.word == "?")
        && words.first().is_some_and(|first| first.word == "the")
        && (3..=4).contains(&words.len())
}

/// "It's not X, it's Y", "this isn't just X: it's Y".
fn is_contrast(words: &[Token<'_>]) -> bool {
    let is = |at: usize, list: &[&str]| words.get(at).is_some_and(|token| list.contains(&token.word.as_str()));
    let denies = |at: usize| {
        (is(at, &["it's", "this's", "that's", "we're", "he's", "she's"]) && is(at + 1, &["not"]))
            || (is(at, &["it", "this", "that"]) && is(at + 1, &["is"]) && is(at + 2, &["not"]))
            || is(at, &["isn't"])
    };
    let turns = |at: usize| {
        is(at, &["it's", "that's", "we're", "he's", "she's"])
            || (is(at, &["it", "this", "that"]) && is(at + 1, &["is"]))
            || is(at, &["but"]) && is(at + 1, &["a", "an", "the"])
    };
    let Some(first) = (0..words.len()).find(|at| denies(*at)) else {
        return false;
    };
    (first + 3..words.len()).any(|at| words[at - 1].kind == Kind::Mark && turns(at))
}

/// About one dash in a hundred words is how people write: 2.4 % of human captions have any.
fn dashes(tokens: &Tokens<'_>, markers: &mut Vec<Marker>) {
    let words = tokens.all.iter().filter(|token| is_word(token)).count();
    let free = words.div_ceil(100).max(1);
    let dashes = (0..tokens.all.len()).filter(|at| tokens.all[*at].word == "—");
    if let Some(place) = dashes.skip(free).find_map(|at| tokens.place(&(at..at + 1))) {
        markers.push(Marker {
            manner: Manner::Dashes,
            place,
            weight: 0.5,
        });
    }
}

fn shouting(tokens: &Tokens<'_>, markers: &mut Vec<Marker>) {
    let marks = (0..tokens.all.len()).filter(|at| matches!(tokens.all[*at].word.as_str(), "!" | "！"));
    if let Some(place) = marks.skip(2).find_map(|at| tokens.place(&(at..at + 1))) {
        markers.push(Marker {
            manner: Manner::Shouting,
            place,
            weight: 0.5,
        });
    }
}

fn is_word(token: &Token<'_>) -> bool {
    matches!(token.kind, Kind::Word | Kind::Shout)
}

fn rhythm(tokens: &Tokens<'_>, sentences: &[Span<'_>], markers: &mut Vec<Marker>) {
    let counted: Vec<(usize, &Span<'_>)> = sentences
        .iter()
        .map(|sentence| {
            let words = &tokens.all[tokens.within(sentence.start, sentence.end)];
            (words.iter().filter(|token| is_word(token)).count(), sentence)
        })
        .filter(|(words, _)| *words > 0)
        .collect();
    let mut fragments = counted
        .iter()
        .filter(|(words, sentence)| *words <= FRAGMENT && sentence.text.ends_with('.'));
    let manner = if let Some((_, sentence)) = fragments.nth(FREE_FRAGMENTS) {
        Some((Manner::Staccato, *sentence))
    } else if counted.len() >= LEAST_SENTENCES && is_monotonous(&counted) {
        counted.first().map(|(_, sentence)| (Manner::Monotony, *sentence))
    } else {
        None
    };
    if let Some((manner, sentence)) = manner {
        markers.push(Marker {
            manner,
            place: Place::from(sentence.clone()),
            weight: 1.0,
        });
    }
}

/// Squares are compared, so no root is needed.
#[expect(clippy::cast_precision_loss, reason = "words of a caption are far below 2^52")]
fn is_monotonous(counted: &[(usize, &Span<'_>)]) -> bool {
    let number = counted.len() as f64;
    let mean = counted.iter().map(|(words, _)| *words as f64).sum::<f64>() / number;
    let variance = counted
        .iter()
        .map(|(words, _)| (*words as f64 - mean) * (*words as f64 - mean))
        .sum::<f64>()
        / number;
    variance < LEAST_SPREAD * LEAST_SPREAD * mean * mean
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(text: &str, language: &str, exempt: &str) -> Vec<(Manner, String, f64)> {
        find(text, &Language::new(language).unwrap(), exempt)
            .into_iter()
            .map(|marker| (marker.manner, marker.place.text, marker.weight))
            .collect()
    }

    #[rstest]
    #[case::strong("We delve into sourdough.", Manner::Phrase, "delve", 1.0)]
    #[case::weak("A Game-Changer for breakfast.", Manner::Phrase, "Game-Changer", 0.5)]
    #[case::reveal("We let it rest. The result? A crust.", Manner::Reveal, "The result?", 1.0)]
    #[case::contrast(
        "It’s not a loaf, it’s a Sunday.",
        Manner::Contrast,
        "It’s not a loaf, it’s a Sunday.",
        1.0
    )]
    #[case::contrast_of_just(
        "This isn't just bread. It's not only warm — it's ours.",
        Manner::Contrast,
        "It's not only warm — it's ours.",
        1.0
    )]
    #[case::announcement("Okay: let's be honest, we ate it.", Manner::Announcement, "let's be honest", 1.0)]
    #[case::staccato(
        "No sugar. No rush. Just bread. We begin at four in the morning.",
        Manner::Staccato,
        "Just bread.",
        1.0
    )]
    #[case::monotony(
        "We bake bread at four. You wake up at seven. We open shop at eight. You come by at nine.",
        Manner::Monotony,
        "We bake bread at four.",
        1.0
    )]
    #[case::shouting("Bread! Hot! Now, while it lasts, at the counter!", Manner::Shouting, "!", 0.5)]
    #[case::dashes("Bread — hot — now, while it lasts.", Manner::Dashes, "—", 0.5)]
    fn a_manner_is_found(#[case] text: &str, #[case] manner: Manner, #[case] place: &str, #[case] weight: f64) {
        assert_eq!(found(text, "en", ""), [(manner, place.to_owned(), weight)]);
    }

    #[rstest]
    #[case::people_say_so("What a journey. The stunning landscape kept us for a whole week.", "en", "")]
    #[case::own_words("Our curated shelf.", "en", "a curated shelf of books")]
    #[case::another_language("Des couleurs vibrant au soleil.", "fr", "")]
    #[case::one_dash("Bread — while it lasts.", "en", "")]
    #[case::not_twice("It's not far. We bake on Sundays and the door is open from eight.", "en", "")]
    #[case::a_real_question("The one with seeds or the plain one?", "en", "")]
    #[case::two_short_ones("Warm. Crusty. We begin at four in the morning.", "en", "")]
    #[case::no_spaces("温かい。甘い。軽い。どうぞ。", "ja", "")]
    fn what_people_do_is_no_manner(#[case] text: &str, #[case] language: &str, #[case] exempt: &str) {
        assert_eq!(found(text, language, exempt), []);
    }

    #[test]
    fn what_people_say_counts_beside_a_marker_of_the_same_paragraph() {
        let beside = found("Embark on a journey.\n\nA stunning view.", "en", "");

        let texts: Vec<&str> = beside.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(texts, ["Embark", "journey"]);
    }

    #[rstest]
    #[case("A vibrant street.", 0.0)]
    #[case("A vibrant, timeless street.", 0.5)]
    #[case("A vibrant realm.", 1.0)]
    #[case("A bustling realm.", 2.0)]
    fn one_weak_phrase_is_free(#[case] text: &str, #[case] expected: f64) {
        let markers = find(text, &Language::default(), "");

        assert!((weight(&markers) - expected).abs() < 1e-9, "{markers:?}");
    }

    #[test]
    fn every_line_of_the_list_is_read() {
        for line in lexicon::lines(include_str!("../data/cliches.txt")) {
            let (rate, phrase) = line.split_once('\t').unwrap();
            assert!(
                rate.trim().parse::<f64>().is_ok() && !phrase.trim().is_empty(),
                "{line}"
            );
        }
    }
}
