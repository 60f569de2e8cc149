//! How alike two captions are, whatever their case, tags, emoji and signs. Pure, and the same on every machine.
//!
//! Two captions are near duplicates if half of their rows of three words are the same, if they begin with the same four
//! words, or if their first 40 characters are next to equal: readers see the beginning, and the rest says the same again.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

use crate::{phrases::lowered, text};

/// Words in a row that are compared as one.
const ROW: usize = 3;
/// So many equal words at the beginning make a near duplicate.
const SAME_BEGINNING: usize = 4;
/// Characters of the beginning that are compared letter by letter.
const OPENING: usize = 40;
/// From this share of common rows on, two texts are near duplicates.
const NEAR_ROWS: f64 = 0.5;
/// From this likeness of the openings on, two texts are near duplicates.
const NEAR_OPENING: f64 = 0.8;

/// What of a caption is compared with others.
#[derive(Debug, Clone, PartialEq)]
pub struct Likeness {
    words: Vec<String>,
    /// Digests of the rows of words, ascending, each once.
    rows: Vec<u64>,
    opening: String,
}

impl Likeness {
    /// Lower case; without hashtags, emoji and punctuation.
    pub fn of(caption: &str) -> Self {
        let words: Vec<String> = caption
            .split_whitespace()
            .filter(|piece| !piece.starts_with(['#', '＃']))
            .flat_map(text::words)
            .map(lowered)
            .collect();
        let digest = |row: &[String]| FixedState::default().hash_one(row);
        let mut rows: Vec<u64> = if words.len() < ROW {
            words.first().map(|_| digest(&words)).into_iter().collect()
        } else {
            words.windows(ROW).map(digest).collect()
        };
        rows.sort_unstable();
        rows.dedup();
        let begin = &words[..words.len().min(OPENING)];
        let opening = begin.join(" ").chars().take(OPENING).collect();
        Self { words, rows, opening }
    }

    /// The share of rows of three words that both have, 0-1. Two texts without words are alike.
    pub fn shared(&self, other: &Self) -> f64 {
        let common = self
            .rows
            .iter()
            .filter(|row| other.rows.binary_search(row).is_ok())
            .count();
        let all = self.rows.len() + other.rows.len() - common;
        if all == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a caption has at most some thousand words")]
        let share = common as f64 / all as f64;
        share
    }

    /// True if one of both says nothing new to a reader of the other.
    pub fn is_near(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.beginning(), other.beginning());
        (mine == theirs && (mine.len() == SAME_BEGINNING || self.words.len() == other.words.len()))
            || self.shared(other) >= NEAR_ROWS
            || strsim::normalized_levenshtein(&self.opening, &other.opening) >= NEAR_OPENING
    }

    fn beginning(&self) -> &[String] {
        &self.words[..self.words.len().min(SAME_BEGINNING)]
    }
}

/// 1 - the mean share of common rows over all pairs, three decimals: 1 if no two captions have anything in common.
/// `None` for fewer than two.
pub fn diversity(captions: &[&str]) -> Option<f64> {
    let all: Vec<Likeness> = captions.iter().map(|caption| Likeness::of(caption)).collect();
    let mut shared = 0.0;
    let mut pairs = 0.0;
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            shared += one.shared(other);
            pairs += 1.0;
        }
    }
    (pairs > 0.0).then(|| ((1.0 - shared / pairs) * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests;
