//! What a changed text has lost, what it has invented, and what of it can be put right by rule.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::tokens::{Found, Kind, Token, digit, find, tokens};

/// The account of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preserved {
    /// Stood in the old text and does not stand in the new one.
    pub lost: Vec<Token>,
    /// Stands in the new text, and neither in the old one nor in what else was given. Links, mentions and hashtags of this
    /// kind were taken out again.
    pub invented: Vec<Token>,
    /// Was lost or changed, and was put back byte by byte.
    pub repaired: Vec<Token>,
}

/// What has to come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Care {
    /// What is lost may stay lost; what was only written differently is still put right.
    pub may_lose: bool,
    pub may_add_emoji: bool,
}

/// Compares without changing anything. `given` is what else was known to be true.
pub fn check(before: &str, after: &str, given: &str) -> Preserved {
    let (old, new) = (tokens(before), tokens(after));
    let known = tokens(given);
    let mut invented: Vec<Token> = Vec::new();
    for token in &new {
        if !old.contains(token) && !known.contains(token) && !invented.contains(token) {
            invented.push(token.clone());
        }
    }
    Preserved {
        lost: missing(&old, &new),
        invented,
        repaired: Vec::new(),
    }
}

/// Puts right what rules can: a piece that is only written differently gets its own bytes back, a lost link, mention,
/// hashtag or emoji is put at the end, an invented link or mention goes and an invented hashtag becomes a word. Numbers
/// and names are put back only in place of their like: nobody can tell where else they belong.
pub fn repair(before: &str, after: &str, given: &str, care: Care) -> (String, Preserved) {
    let old = tokens(before);
    let (mut text, mut repaired) = respelled(&old, after);
    let mut invented = check(before, &text, given).invented;
    invented.retain(|token| token.kind != Kind::Emoji || !care.may_add_emoji);
    text = without(&text, &invented);
    if !care.may_lose {
        let at_end: Vec<Token> = missing(&old, &tokens(&text))
            .into_iter()
            .filter(|token| !matches!(token.kind, Kind::Number | Kind::Name))
            .collect();
        for token in &at_end {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&token.text);
        }
        repaired.extend(at_end);
    }
    let lost = missing(&old, &tokens(&text));
    let preserved = Preserved {
        lost,
        invented,
        repaired,
    };
    (text, preserved)
}

/// Those of `old` that `new` has not, as often as they are missing.
fn missing(old: &[Token], new: &[Token]) -> Vec<Token> {
    let mut there: HashMap<&Token, usize> = HashMap::new();
    for token in new {
        *there.entry(token).or_default() += 1;
    }
    let mut missing = Vec::new();
    for token in old {
        match there.get_mut(token) {
            Some(left) if *left > 0 => *left -= 1,
            _ => missing.push(token.clone()),
        }
    }
    missing
}

/// Gives pieces that are only written differently (`1.200` for `1,200`, `@Ana` for `@ana`) their old bytes.
fn respelled(old: &[Token], after: &str) -> (String, Vec<Token>) {
    let found = find(after);
    let new: Vec<Token> = found.iter().map(|found| found.token(after)).collect();
    let mut lost = missing(old, &new);
    // Of equal pieces only as many are free to be replaced as there are too many.
    let mut spare = missing(&new, old);
    let mut repaired = Vec::new();
    let mut text = String::with_capacity(after.len());
    let mut at = 0;
    for (Found { range, .. }, token) in found.iter().zip(&new) {
        let Some(extra) = spare.iter().position(|spare| spare == token) else {
            continue;
        };
        let Some(like) = lost.iter().position(|lost| is_alike(lost, token)) else {
            continue;
        };
        spare.swap_remove(extra);
        let original = lost.remove(like);
        text.push_str(&after[at..range.start]);
        text.push_str(&original.text);
        at = range.end;
        repaired.push(original);
    }
    text.push_str(&after[at..]);
    (text, repaired)
}

fn is_alike(a: &Token, b: &Token) -> bool {
    a.kind == b.kind && essence(a) == essence(b)
}

/// What makes a piece itself, however it is written.
fn essence(token: &Token) -> String {
    match token.kind {
        // The digits, and whether it is a price or a share: "$5" is not "5".
        Kind::Number => {
            let digits = token
                .text
                .chars()
                .filter_map(digit)
                .filter_map(|digit| char::from_digit(digit, 10));
            let is_share = token.text.contains(['%', '٪']);
            let sign = token.text.chars().find(|c| "$€£¥₹₩₽₺₫₴₱₦฿₪".contains(*c));
            digits.chain(is_share.then_some('%')).chain(sign).collect()
        }
        Kind::Emoji => token.text.replace(['\u{FE0E}', '\u{FE0F}'], ""),
        Kind::Name => crate::text::words(&token.text)
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase(),
        Kind::Hashtag => token.text.trim_start_matches(['#', '＃']).to_lowercase(),
        Kind::Link | Kind::Mention => token.text.to_lowercase(),
    }
}

/// The text without these links, mentions and emoji, and with these hashtags as words.
fn without(text: &str, unwanted: &[Token]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for found in find(text) {
        let token = found.token(text);
        if !unwanted.contains(&token) {
            continue;
        }
        let range = found.range;
        match found.kind {
            Kind::Link | Kind::Mention | Kind::Emoji => {
                kept.push_str(&text[at..range.start]);
                at = range.end;
                let rest = &text[at..];
                // Of the spaces around it one stays, and none before a sign or an end.
                if rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || ".,!?;:".contains(c)) {
                    kept.truncate(kept.trim_end_matches(' ').len());
                }
                if kept.is_empty() || kept.ends_with('\n') {
                    at += rest.len() - rest.trim_start_matches(' ').len();
                }
            }
            Kind::Hashtag => {
                kept.push_str(&text[at..range.start]);
                let sign = token.text.chars().next().map_or(0, char::len_utf8);
                at = range.start + sign;
            }
            Kind::Number | Kind::Name => {}
        }
    }
    kept.push_str(&text[at..]);
    kept
}

#[cfg(test)]
pub(super) mod tests;
