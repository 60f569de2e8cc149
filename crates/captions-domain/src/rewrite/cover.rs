//! Pieces under cover: what a model must not touch is shown to it as a numbered sign, `⟦1⟧`, and put back afterwards.

use super::tokens::{Kind, find};

const OPEN: char = '⟦';
const CLOSE: char = '⟧';

/// A text with its pieces under cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    pub text: String,
    /// What stands under `⟦1⟧`, `⟦2⟧` and so on. A row of emoji stands under one sign.
    pub pieces: Vec<String>,
}

/// Covers the pieces of these kinds, and our own signs where somebody happens to write them.
pub fn cover(text: &str, kinds: &[Kind]) -> Covered {
    let mut ranges: Vec<_> = find(text)
        .into_iter()
        .filter(|found| kinds.contains(&found.kind))
        .map(|found| (found.kind, found.range))
        .collect();
    for (at, sign) in text.match_indices([OPEN, CLOSE]) {
        let is_free = ranges
            .iter()
            .all(|(_, range)| at >= range.end || at + sign.len() <= range.start);
        if is_free {
            ranges.push((Kind::Name, at..at + sign.len()));
        }
    }
    ranges.sort_by_key(|(_, range)| range.start);

    let mut covered = Covered {
        text: String::with_capacity(text.len()),
        pieces: Vec::new(),
    };
    let mut at = 0;
    let mut last = None;
    for (kind, range) in ranges {
        let piece = &text[range.clone()];
        let goes_on = range.start == at && kind == Kind::Emoji && last == Some(Kind::Emoji);
        if let Some(row) = covered.pieces.last_mut().filter(|_| goes_on) {
            row.push_str(piece);
        } else {
            covered.text.push_str(&text[at..range.start]);
            covered.pieces.push(piece.to_owned());
            covered.text.push_str(&sign(covered.pieces.len()));
        }
        at = range.end;
        last = Some(kind);
    }
    covered.text.push_str(&text[at..]);
    covered
}

/// The sign of the piece with this number, from 1.
pub fn sign(number: usize) -> String {
    format!("{OPEN}{number}{CLOSE}")
}

impl Covered {
    /// The answer with the pieces in place of their signs. A sign that comes again is left out, and so is one that was never
    /// given; a piece whose sign is missing is missing.
    pub fn uncover(&self, answer: &str) -> String {
        let mut text = String::with_capacity(answer.len());
        let mut given = vec![false; self.pieces.len()];
        let mut rest = answer;
        while let Some((before, number, after)) = next_sign(rest) {
            text.push_str(before);
            let piece = number
                .checked_sub(1)
                .and_then(|index| Some((self.pieces.get(index)?, given.get_mut(index)?)));
            match piece {
                Some((piece, given)) if !*given => {
                    text.push_str(piece);
                    *given = true;
                }
                // The space before a sign that goes would stand double.
                _ if after.starts_with(char::is_whitespace) || after.is_empty() => {
                    text.truncate(text.trim_end_matches(' ').len());
                }
                _ => {}
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

/// The first sign of a text, with what stands before and behind it. Models write spaces into it, or other brackets.
fn next_sign(text: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    loop {
        let (at, open) = ["⟦", "〚", "[["]
            .iter()
            .filter_map(|open| text[from..].find(open).map(|at| (from + at, *open)))
            .min()?;
        let inside = text[at + open.len()..].trim_start_matches(' ');
        let digits = inside.len() - inside.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let behind = inside[digits..].trim_start_matches(' ');
        let after = ["⟧", "〛", "]]"].iter().find_map(|close| behind.strip_prefix(close));
        if let (Ok(number), Some(after)) = (inside[..digits].parse(), after) {
            return Some((&text[..at], number, after));
        }
        from = at + open.len();
    }
}

#[cfg(test)]
mod tests;
