//! Where a phrase stands in a text, whatever its case, its apostrophes and its white space.

use super::runs_on;
use crate::text::{self, Place};

/// The first places of `phrase` in `text`, at most `most`, by the rules of [`super::contains_phrase`]: as whole words, or
/// as a hashtag.
pub fn phrase_places(text: &str, phrase: &str, most: usize) -> Vec<Place> {
    let (folded, origins) = fold_case(text);
    let (wanted, _) = fold_case(phrase.trim());
    if wanted.is_empty() {
        return Vec::new();
    }
    let place = |start: usize, end: usize| Place {
        text: text.chars().skip(start).take(end - start).collect(),
        start,
        end,
    };
    let mut found: Vec<Place> = folded
        .windows(wanted.len())
        .enumerate()
        .filter(|(at, window)| {
            let before = at.checked_sub(1).map(|at| folded[at]);
            let after = folded.get(at + wanted.len()).copied();
            *window == wanted.as_slice()
                && !(runs_on(before, wanted.first().copied()) || runs_on(wanted.last().copied(), after))
        })
        .map(|(at, _)| place(origins[at], origins[at + wanted.len() - 1] + 1))
        .take(most)
        .collect();
    let compact: String = wanted.iter().filter(|c| !c.is_whitespace()).collect();
    let words = found.len();
    for tag in text::hashtags(text) {
        let (body, _) = fold_case(tag.text.trim_start_matches(['#', '＃']));
        let overlaps = |other: &Place| other.start < tag.end && tag.start < other.end;
        if body.iter().collect::<String>() == compact && !found[..words].iter().any(overlaps) {
            found.push(tag.into());
            if found.len() == words + most {
                break;
            }
        }
    }
    found.sort_by_key(|place| place.start);
    found.truncate(most);
    found
}

/// Lower case, one apostrophe, one space; and which character of the text each is from.
fn fold_case(text: &str) -> (Vec<char>, Vec<usize>) {
    let mut folded: Vec<char> = Vec::new();
    let mut origins = Vec::new();
    for (index, c) in text.chars().enumerate() {
        let c = match c {
            '’' | 'ʼ' => '\'',
            // At the end of a word it is written so.
            'ς' => 'σ',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if c == ' ' && folded.last().is_none_or(|last| *last == ' ') {
            continue;
        }
        for lower in c.to_lowercase() {
            folded.push(lower);
            origins.push(index);
        }
    }
    (folded, origins)
}
