//! Sounds like a person: max(0, 1 - weight of the markers for each paragraph / 3). The markers are those of
//! [`crate::cliche`], and a word that is said over and over.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{Finding, curve::number, reading::Reading};
use crate::{
    cliche::{self, Manner},
    lexicon::Kind,
    phrases::is_unspaced,
    text::Place,
};

/// So often one says a word before it is stuffing, if it also is more than [`STUFFED`] of all words.
const OFTEN: usize = 4;
/// In percent.
const STUFFED: usize = 10;
/// So often one says three words in a row before it is stuffing.
const ROWS: usize = 3;

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let markers = cliche::in_tokens(
        &reading.tokens,
        &reading.sentences,
        reading.caption,
        &reading.brief.language,
        &reading.given.text,
    );
    let stuffed = stuffed(reading);
    let weight = cliche::weight(&markers) + number(stuffed.len());
    let paragraphs = cliche::paragraphs(reading.caption).len().max(1);
    let worst = markers.iter().max_by(|a, b| {
        // Of equals the first.
        a.weight.total_cmp(&b.weight).then(b.place.start.cmp(&a.place.start))
    });
    let fix = match (worst, stuffed.first()) {
        (_, Some(word)) => Some(format!("say '{}' less often", word.text)),
        (Some(marker), None) => Some(match marker.manner {
            Manner::Phrase => format!("say it without '{}'", marker.place.text),
            Manner::Reveal => format!("say it at once instead of asking '{}'", marker.place.text),
            Manner::Contrast => "say what it is, not what it is not".to_owned(),
            Manner::Announcement => format!("drop '{}' and just say it", marker.place.text),
            Manner::Staccato => "join the short sentences: a row of them reads like a machine".to_owned(),
            Manner::Monotony => "vary the sentences: all are about as long".to_owned(),
            Manner::Shouting => "use fewer exclamation marks: at most two".to_owned(),
            Manner::Dashes => "use fewer dashes: one in a hundred words".to_owned(),
        }),
        (None, None) => None,
    };
    // What is free is no offence.
    let spans = if weight > 0.0 {
        markers.into_iter().map(|marker| marker.place).chain(stuffed).collect()
    } else {
        Vec::new()
    };
    Finding::new(1.0 - weight / number(paragraphs) / 3.0, spans, fix)
}

/// The first place of every content word that is repeated like a charm.
fn stuffed(reading: &Reading<'_>) -> Vec<Place> {
    let words: Vec<usize> = (0..reading.tokens.all.len())
        .filter(|at| matches!(reading.tokens.all[*at].kind, Kind::Word | Kind::Shout))
        .collect();
    let word = |at: usize| reading.tokens.all[at].word.as_str();
    // Each word has a number: its place among those that were met before.
    let mut numbers: HashMap<&str, usize, FixedState> =
        HashMap::with_capacity_and_hasher(words.len(), FixedState::default());
    let mut counts: Vec<usize> = Vec::new();
    let mut firsts: Vec<usize> = Vec::new();
    let numbered: Vec<usize> = words
        .iter()
        .map(|at| {
            let number = *numbers.entry(word(*at)).or_insert(firsts.len());
            if number == firsts.len() {
                firsts.push(*at);
                counts.push(0);
            }
            counts[number] += 1;
            number
        })
        .collect();
    let is_stuffed = |at: usize, count: usize| {
        count >= OFTEN
            && count * 100 > words.len() * STUFFED
            && word(at).chars().count() > 3
            && !word(at).contains(is_unspaced)
            && reading.words.is_content(word(at))
    };
    let mut stuffed: Vec<usize> = firsts
        .into_iter()
        .zip(&counts)
        .filter(|(at, count)| is_stuffed(*at, **count))
        .map(|(at, _)| at)
        .collect();
    if stuffed.is_empty() {
        stuffed.extend(repeated(&numbered, &counts).map(|row| words[row]));
    }
    stuffed
        .into_iter()
        .filter_map(|at| reading.tokens.place(&(at..at + 1)))
        .collect()
}

/// Where, among the words, three in a row begin that come back and back. `counts` says how often each is there at all.
fn repeated(words: &[usize], counts: &[usize]) -> Option<usize> {
    let mut rows: HashMap<&[usize], usize, FixedState> = HashMap::default();
    words.windows(3).enumerate().find_map(|(at, row)| {
        // A row is there no more often than any of its words.
        if row.iter().any(|word| counts[*word] < ROWS) {
            return None;
        }
        let count = rows.entry(row).or_default();
        *count += 1;
        (*count >= ROWS).then_some(at)
    })
}
