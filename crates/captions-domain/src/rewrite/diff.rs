//! What changed between two texts, in words.
//!
//! Texts are taken apart at Unicode word boundaries, and the shortest way from one to the other is found as Myers does
//! (An O(ND) Difference Algorithm and Its Variations, 1986). Two texts that have too little in common for that, as a text
//! and its translation, are shown as one left out and one put in.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// Beyond so many words left out and put in, the middle counts as wholly replaced: time and memory grow with its square.
const MAX_EDITS: usize = 1000;

/// What became of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// It stands in both texts.
    Equal,
    /// It stands in the new text only.
    Insert,
    /// It stands in the old text only.
    Delete,
}

impl Op {
    pub const NAMES: [&'static str; 3] = ["equal", "insert", "delete"];
}

/// A piece of one text or of both. All but the inserted pieces make up the old text, all but the deleted ones the new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub op: Op,
    pub text: String,
}

/// The pieces in order. What is deleted stands before what is inserted in its place; no piece is empty.
pub fn between(before: &str, after: &str) -> Vec<Change> {
    let old: Vec<&str> = before.split_word_bounds().collect();
    let new: Vec<&str> = after.split_word_bounds().collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = (old[head..].iter().rev().zip(new[head..].iter().rev()))
        .take_while(|(a, b)| a == b)
        .count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let common = matches(&old[head..old_end], &new[head..new_end]).unwrap_or_default();

    let mut pieces = Pieces::default();
    pieces.equal(&old[..head]);
    let (mut x, mut y) = (head, head);
    for (at_old, at_new) in common {
        let (at_old, at_new) = (head + at_old, head + at_new);
        pieces.replaced(&old[x..at_old], &new[y..at_new]);
        pieces.equal(&old[at_old..=at_old]);
        (x, y) = (at_old + 1, at_new + 1);
    }
    pieces.replaced(&old[x..old_end], &new[y..new_end]);
    pieces.equal(&old[old_end..]);
    pieces.told()
}

/// One stretch that is equal, or one that was replaced.
#[derive(Debug)]
enum Piece {
    Equal(String),
    Replaced(String, String),
}

#[derive(Debug, Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn equal(&mut self, words: &[&str]) {
        if words.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Piece::Equal(text)) => text.push_str(&words.concat()),
            _ => self.0.push(Piece::Equal(words.concat())),
        }
    }

    fn replaced(&mut self, old: &[&str], new: &[&str]) {
        if old.is_empty() && new.is_empty() {
            return;
        }
        // Spaces and commas that two changes happen to share tell nothing: one change is easier to read.
        let joins =
            matches!(self.0.as_slice(), [.., Piece::Replaced(..), Piece::Equal(between)] if is_filling(between));
        if joins && let Some(Piece::Equal(between)) = self.0.pop() {
            self.add(&between, &between);
        }
        self.add(&old.concat(), &new.concat());
    }

    fn add(&mut self, old: &str, new: &str) {
        if let Some(Piece::Replaced(deleted, inserted)) = self.0.last_mut() {
            deleted.push_str(old);
            inserted.push_str(new);
        } else {
            self.0.push(Piece::Replaced(old.to_owned(), new.to_owned()));
        }
    }

    fn told(self) -> Vec<Change> {
        let change = |op, text: String| Change { op, text };
        self.0
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Equal(text) => vec![change(Op::Equal, text)],
                Piece::Replaced(old, new) => vec![change(Op::Delete, old), change(Op::Insert, new)],
            })
            .filter(|change| !change.text.is_empty())
            .collect()
    }
}

fn is_filling(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || c.is_ascii_punctuation() || matches!(c, '’' | '‘' | '“' | '”' | '–' | '—' | '…'))
}

/// Which words of both stand for each other on the shortest way, in order; `None` if it is longer than [`MAX_EDITS`].
fn matches(old: &[&str], new: &[&str]) -> Option<Vec<(usize, usize)>> {
    let most = (old.len() + new.len()).min(MAX_EDITS);
    // The diagonal of `x - y = k` stands at `middle + k`; on each, how far in the old text one has come.
    let middle = most + 1;
    let mut reached = vec![0_usize; 2 * middle + 1];
    let mut history: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=most {
        history.push(reached[middle - edits..=middle + edits].to_vec());
        for diagonal in (middle - edits..=middle + edits).step_by(2) {
            let mut x = if inserts(&reached, diagonal, middle, edits) {
                reached[diagonal + 1]
            } else {
                reached[diagonal - 1] + 1
            };
            let mut y = x + middle - diagonal;
            while x < old.len() && y < new.len() && old[x] == new[y] {
                (x, y) = (x + 1, y + 1);
            }
            reached[diagonal] = x;
            if x >= old.len() && y >= new.len() {
                return Some(walk_back(&history, middle, (old.len(), new.len())));
            }
        }
    }
    None
}

/// Whether the best way onto this diagonal puts a word in; else it leaves one out.
fn inserts(reached: &[usize], diagonal: usize, middle: usize, edits: usize) -> bool {
    diagonal == middle - edits || (diagonal != middle + edits && reached[diagonal - 1] < reached[diagonal + 1])
}

fn walk_back(history: &[Vec<usize>], middle: usize, (mut x, mut y): (usize, usize)) -> Vec<(usize, usize)> {
    let mut common = Vec::new();
    for (edits, reached) in history.iter().enumerate().skip(1).rev() {
        let first = middle - edits;
        let diagonal = middle + x - y;
        let at = diagonal - first;
        let inserted = at == 0 || (at != 2 * edits && reached[at - 1] < reached[at + 1]);
        let from = if inserted { at + 1 } else { at - 1 };
        let from_x = reached[from];
        let from_y = from_x + middle - (from + first);
        while x > from_x && y > from_y {
            (x, y) = (x - 1, y - 1);
            common.push((x, y));
        }
        (x, y) = (from_x, from_y);
    }
    while x > 0 && y > 0 {
        (x, y) = (x - 1, y - 1);
        common.push((x, y));
    }
    common.reverse();
    common
}

#[cfg(test)]
mod tests;
