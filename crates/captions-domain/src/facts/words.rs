//! Numbers and dates that are said in words, in six languages.

use std::{collections::HashMap, ops::Range, sync::LazyLock};

use crate::lexicon::{self, Lexicon, Tokens};

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Number(u64),
    Month(u64),
    Weekday(u64),
}

/// How far a word is to be taken at its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    Claims,
    /// Only where a capital or a number shows that it is meant so.
    Guarded,
    /// Vouches for others and claims nothing.
    Vouches,
}

/// The words of one language, and those of all.
pub(super) struct Dictionary {
    by_language: HashMap<&'static str, Lexicon<(Said, Force)>>,
    pub(super) all: Lexicon<(Said, Force)>,
}

pub(super) static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
    let numerals = lexicon::lines(include_str!("../../data/numerals.txt")).filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = columns.get(1)?.parse().ok()?;
        Some((
            columns[0],
            *columns.get(2)?,
            Said::Number(number),
            force(columns.get(3)),
        ))
    });
    let dates = lexicon::lines(include_str!("../../data/calendar.txt")).filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = columns.get(2)?.parse().ok()?;
        let said = if columns[1] == "month" {
            Said::Month(number)
        } else {
            Said::Weekday(number)
        };
        Some((columns[0], *columns.get(3)?, said, force(columns.get(4))))
    });
    let entries: Vec<_> = numerals.chain(dates).collect();
    let mut languages: Vec<&'static str> = entries.iter().map(|(language, ..)| *language).collect();
    languages.sort_unstable();
    languages.dedup();
    Dictionary {
        by_language: languages
            .into_iter()
            .map(|language| {
                let own = entries.iter().filter(|(of, ..)| *of == language);
                (
                    language,
                    Lexicon::of(own.map(|(_, word, said, force)| (*word, (*said, *force)))),
                )
            })
            .collect(),
        all: Lexicon::of(entries.iter().map(|(_, word, said, force)| (*word, (*said, *force)))),
    }
});

impl Dictionary {
    pub(super) fn of(&self, language: &str) -> Option<&Lexicon<(Said, Force)>> {
        self.by_language.get(language)
    }
}

fn force(column: Option<&&str>) -> Force {
    match column {
        Some(&"guarded") => Force::Guarded,
        Some(&"quiet") => Force::Vouches,
        _ => Force::Claims,
    }
}

/// A word of a text that says a number or a date.
pub(super) struct Word {
    pub(super) tokens: Range<usize>,
    /// The byte at which it ends.
    pub(super) to: usize,
    pub(super) said: Said,
    pub(super) force: Force,
}

/// Every word of the dictionary in the text. Tens and units make one number: "twenty-five", "treinta y cinco".
pub(super) fn read(tokens: &Tokens<'_>, dictionary: &Lexicon<(Said, Force)>) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    for (_, range, (said, force)) in dictionary.find(tokens) {
        let to = tokens.all.get(range.end - 1).map_or(0, |token| token.to);
        if let (Some(last), Said::Number(unit @ 1..=9)) = (found.last_mut(), *said)
            && let Said::Number(tens @ (20 | 30 | 40 | 50 | 60 | 70 | 80 | 90)) = last.said
            && is_joined(tokens, last.tokens.end, range.start)
        {
            last.said = Said::Number(tens + unit);
            last.tokens.end = range.end;
            last.to = to;
            continue;
        }
        found.push(Word {
            tokens: range,
            to,
            said: *said,
            force: *force,
        });
    }
    found
}

/// True if nothing but an "and" stands between the two.
fn is_joined(tokens: &Tokens<'_>, end: usize, start: usize) -> bool {
    match tokens.all.get(end..start) {
        Some([]) => true,
        Some([and]) => matches!(and.word.as_str(), "y" | "e" | "et"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lists_is_read() {
        let numerals = lexicon::lines(include_str!("../../data/numerals.txt")).count();
        let dates = lexicon::lines(include_str!("../../data/calendar.txt")).count();

        assert_eq!(DICTIONARY.all.len(), numerals + dates);
        for language in ["en", "es", "pt", "fr", "de", "it"] {
            // Numbers to twenty and more, twelve months, seven days.
            assert!(DICTIONARY.of(language).unwrap().len() >= 21 + 12 + 7, "{language}");
        }
    }
}
