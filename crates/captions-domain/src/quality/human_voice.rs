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
    let mut counts: HashMap<&str, (usize, usize), FixedState> = HashMap::default();
    for at in &words {
        let word = reading.tokens.all[*at].word.as_str();
        if word.chars().count() > 3 && !word.contains(is_unspaced) {
            counts.entry(word).or_insert((0, *at)).0 += 1;
        }
    }
    let mut stuffed: Vec<usize> = counts
        .into_iter()
        .filter(|(word, (count, _))| {
            *count >= OFTEN && count * 100 > words.len() * STUFFED && reading.words.is_content(word)
        })
        .map(|(_, (_, at))| at)
        .collect();
    if stuffed.is_empty() {
        stuffed.extend(repeated(reading, &words));
    }
    stuffed.sort_unstable();
    stuffed
        .into_iter()
        .filter_map(|at| reading.tokens.place(&(at..at + 1)))
        .collect()
}

/// Where three words in a row begin that come back and back.
fn repeated(reading: &Reading<'_>, words: &[usize]) -> Option<usize> {
    let word = |at: usize| reading.tokens.all[at].word.as_str();
    let mut rows: HashMap<[&str; 3], usize, FixedState> = HashMap::default();
    words.windows(3).find_map(|row| {
        let count = rows.entry([word(row[0]), word(row[1]), word(row[2])]).or_default();
        *count += 1;
        (*count >= ROWS).then_some(row[0])
    })
}
