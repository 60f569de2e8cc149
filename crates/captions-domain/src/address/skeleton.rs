//! A text as a reader's eye takes it: without what nobody sees, with one form for each sign, and with a way back to the
//! text itself.

use std::ops::Range;

/// The text in its plain form.
pub(super) struct Skeleton {
    text: String,
    /// For each byte of `text`, where the sign that it belongs to stands in the original.
    origins: Vec<Range<usize>>,
}

impl Skeleton {
    pub(super) fn of(original: &str) -> Self {
        let mut text = String::with_capacity(original.len());
        let mut origins = Vec::with_capacity(original.len());
        for (at, c) in original.char_indices() {
            if c.is_ascii() {
                text.push(if c.is_whitespace() { ' ' } else { c });
                origins.push(at..at + 1);
                continue;
            }
            if is_unseen(c) {
                continue;
            }
            let c = plain(c);
            text.push(c);
            origins.resize(text.len(), at..at);
            let end = at + original[at..].chars().next().map_or(0, char::len_utf8);
            for origin in &mut origins[text.len() - c.len_utf8()..] {
                *origin = at..end;
            }
        }
        Self { text, origins }
    }

    pub(super) fn text(&self, range: &Range<usize>) -> &str {
        &self.text[range.clone()]
    }

    /// What stands between white space.
    pub(super) fn words(&self) -> Vec<Range<usize>> {
        let mut words = Vec::new();
        let mut start = None;
        for (at, c) in self.text.char_indices() {
            match (c.is_whitespace(), start) {
                (false, None) => start = Some(at),
                (true, Some(from)) => {
                    words.push(from..at);
                    start = None;
                }
                _ => {}
            }
        }
        words.extend(start.map(|from| from..self.text.len()));
        words
    }

    /// The same place in the original.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let start = self.origins.get(range.start).map_or(0, |origin| origin.start);
        let end = range.end.checked_sub(1).and_then(|last| self.origins.get(last));
        start..end.map_or(start, |origin| origin.end)
    }
}

/// Marks without width, of direction, of variation, and tags.
const fn is_unseen(c: char) -> bool {
    matches!(
        c as u32,
        0x00AD | 0x034F | 0x061C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFE00..=0xFE0F | 0xFEFF | 0xE0000..=0xE0FFF
    )
}

/// The ASCII sign that looks the same, if there is one that addresses are written with.
fn plain(c: char) -> char {
    let code = c as u32;
    let ascii = |code: u32| char::from_u32(code).unwrap_or(c);
    match code {
        // Full-width forms.
        0xFF01..=0xFF5E => ascii(code - 0xFF01 + 0x21),
        // Letters and digits of mathematics: bold, italic, script, and so on.
        0x1D400..=0x1D6A3 => {
            let letter = (code - 0x1D400) % 52;
            ascii(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
        }
        0x1D7CE..=0x1D7FF => ascii(0x30 + (code - 0x1D7CE) % 10),
        // Letters in circles and in squares.
        0x24B6..=0x24CF => ascii(code - 0x24B6 + 0x41),
        0x24D0..=0x24E9 => ascii(code - 0x24D0 + 0x61),
        0x1F130..=0x1F149 => ascii(code - 0x1F130 + 0x41),
        // Digits of other scripts.
        0x0660..=0x0669 => ascii(code - 0x0660 + 0x30),
        0x06F0..=0x06F9 => ascii(code - 0x06F0 + 0x30),
        0x0966..=0x096F => ascii(code - 0x0966 + 0x30),
        // Dots.
        0x2024 | 0x3002 | 0xFF61 | 0x00B7 | 0x2027 | 0x2219 | 0x22C5 | 0x30FB | 0xFE52 => '.',
        0xFE6B => '@',
        0x2044 | 0x2215 | 0x29F8 => '/',
        0xFE55 | 0xA789 | 0x2236 => ':',
        0x2010..=0x2013 | 0x2212 => '-',
        // White space of every kind.
        _ if c.is_whitespace() => ' ',
        // Letters of other scripts that look like Latin ones, in the middle of Latin text.
        0x0430 => 'a',
        0x0435 => 'e',
        0x043E | 0x03BF => 'o',
        0x0440 => 'p',
        0x0441 => 'c',
        0x0443 => 'y',
        0x0445 => 'x',
        0x0456 => 'i',
        0x0455 => 's',
        0x0458 => 'j',
        _ => c,
    }
}
