//! Friendly to screen readers and to the layout: by the number of emoji, then less for each thing that reads badly.

use super::{
    Finding,
    curve::{interpolate, number},
    reading::Reading,
};
use crate::{choice::Emoji, lexicon::Kind, phrases::is_unspaced, text::Place};

/// By the number of emoji in the caption.
const EMOJI: [(f64, f64); 6] = [
    (0.0, 0.85),
    (1.0, 1.0),
    (3.0, 1.0),
    (6.0, 0.8),
    (10.0, 0.4),
    (15.0, 0.1),
];

/// What a fault leaves of the value.
const STYLED: f64 = 0.3;
const BULLETS: f64 = 0.8;
const EMOJI_IN_WORDS: f64 = 0.8;
const TAGS_INSIDE: f64 = 0.9;
const BLANK_LINES: f64 = 0.8;

pub(super) fn find(reading: &Reading<'_>) -> Finding {
    let count = reading.emoji.len();
    // Somebody who asked for none gets what was asked for.
    let mut value = if count == 0 && reading.brief.emoji == Emoji::None {
        1.0
    } else {
        interpolate(number(count), &EMOJI)
    };
    let mut faults: Vec<(f64, Vec<Place>, String)> = Vec::new();
    if value < 1.0 {
        let (spans, fix) = if count == 0 {
            (Vec::new(), "one emoji is liked better than none".to_owned())
        } else {
            let fix = format!("{count} emoji are read aloud one by one: keep three");
            (reading.emoji.iter().skip(3).cloned().map(Place::from).collect(), fix)
        };
        faults.push((value, spans, fix));
    }
    let mut fault = |kept: f64, spans: Vec<Place>, fix: &str| {
        if !spans.is_empty() {
            value *= kept;
            faults.push((kept, spans, fix.to_owned()));
        }
    };
    fault(
        STYLED,
        styled(reading),
        "write in plain letters: screen readers cannot read styled ones",
    );
    fault(BULLETS, bullets(reading), "write sentences instead of bullets");
    fault(
        EMOJI_IN_WORDS,
        emoji_in_words(reading),
        "put emoji behind words, not inside them",
    );
    fault(TAGS_INSIDE, tags_inside(reading), "put the hashtags at the end");
    fault(BLANK_LINES, blank_lines(reading), "leave at most two blank lines");
    let worst = faults.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let (spans, fix) = worst.map_or((Vec::new(), None), |(_, spans, fix)| (spans, Some(fix)));
    Finding::new(value, spans, fix)
}

/// Rows of letters that only look like letters: mathematical, circled and squared ones, and fullwidth ones where no
/// language is written in them.
fn styled(reading: &Reading<'_>) -> Vec<Place> {
    let is_wide_usual = matches!(reading.brief.language.primary(), "ja" | "zh" | "ko");
    let is_styled = |c: char| match u32::from(c) {
        0x1D400..=0x1D7FF | 0x24B6..=0x24E9 | 0x1F130..=0x1F149 | 0x1F150..=0x1F169 => true,
        0xFF21..=0xFF3A | 0xFF41..=0xFF5A => !is_wide_usual,
        _ => false,
    };
    rows(reading.caption, is_styled)
}

/// Places of neighbouring characters that are so.
fn rows(text: &str, is: impl Fn(char) -> bool) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    for (index, c) in text.chars().enumerate().filter(|(_, c)| is(*c)) {
        match found.last_mut() {
            Some(last) if last.end == index => {
                last.text.push(c);
                last.end += 1;
            }
            _ => found.push(Place {
                text: c.to_string(),
                start: index,
                end: index + 1,
            }),
        }
    }
    found
}

/// Signs and emoji at the beginning of two lines or more; a sign at the beginning of one may be a dash.
fn bullets(reading: &Reading<'_>) -> Vec<Place> {
    let mut index = 0;
    let mut found = Vec::new();
    let mut emoji_lines = Vec::new();
    for line in reading.caption.split_inclusive('\n') {
        let start = index + line.chars().take_while(|c| c.is_whitespace()).count();
        index += line.chars().count();
        let mut rest = line.trim_start().chars();
        let (first, second) = (rest.next(), rest.next());
        if let Some(sign @ ('•' | '*' | '-' | '▪' | '●')) = first
            && second == Some(' ')
        {
            found.push(Place {
                text: sign.to_string(),
                start,
                end: start + 1,
            });
        } else if let Some(emoji) = reading.emoji.iter().find(|emoji| emoji.start == start) {
            emoji_lines.push(Place::from(emoji.clone()));
        }
    }
    if emoji_lines.len() >= 3 {
        found.append(&mut emoji_lines);
    }
    found
}

/// Emoji with a letter at both sides.
fn emoji_in_words(reading: &Reading<'_>) -> Vec<Place> {
    let is_letter = |c: &char| c.is_alphabetic() && !is_unspaced(*c);
    let mut found = Vec::new();
    let (mut at, mut before) = (0, None);
    let mut chars = reading.caption.chars().peekable();
    for emoji in &reading.emoji {
        while at < emoji.start {
            before = chars.next();
            at += 1;
        }
        while at < emoji.end {
            chars.next();
            at += 1;
        }
        if before.as_ref().is_some_and(is_letter) && chars.peek().is_some_and(is_letter) {
            found.push(Place::from(emoji.clone()));
        }
        before = None;
    }
    found
}

/// Hashtags with words behind them.
fn tags_inside(reading: &Reading<'_>) -> Vec<Place> {
    let is_tag = |at: usize| reading.tags.iter().any(|tag| (tag.start..tag.end).contains(&at));
    let last_word = reading
        .tokens
        .all
        .iter()
        .rev()
        .find(|token| matches!(token.kind, Kind::Word | Kind::Shout) && !is_tag(token.start))
        .map_or(0, |token| token.start);
    let inside = reading.tags.iter().filter(|tag| tag.end <= last_word);
    inside.cloned().map(Place::from).collect()
}

/// Three blank lines in a row or more.
fn blank_lines(reading: &Reading<'_>) -> Vec<Place> {
    let mut found = Vec::new();
    let (mut index, mut blank) = (0, 0);
    for line in reading.caption.split_inclusive('\n') {
        blank = if line.trim().is_empty() { blank + 1 } else { 0 };
        if blank == 3 {
            found.push(Place {
                text: line.to_owned(),
                start: index,
                end: index + line.chars().count(),
            });
        }
        index += line.chars().count();
    }
    found
}
