//! Where a tag comes from: the place in what the user gave, or in the caption, that it names.

use std::{collections::HashMap, ops::Range, sync::Arc};

use crate::{brief::Brief, phrases::Words, phrases::is_unspaced, text};
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

/// A place in a field of the request, or in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `content_description`, `keywords/0`, `brand_tags/0`, or `text` for the caption.
    pub field: String,
    /// What stands there.
    pub text: String,
    /// Code points into the field, end exclusive.
    pub start: usize,
    pub end: usize,
}

impl Origin {
    /// All of a field.
    pub(super) fn whole(field: String, text: &str) -> Self {
        Self {
            field,
            text: text.to_owned(),
            start: 0,
            end: text.chars().count(),
        }
    }

    fn part(field: &str, text: &str, range: Range<usize>) -> Self {
        let found = &text[range.clone()];
        let start = text[..range.start].chars().count();
        Self {
            field: field.to_owned(),
            text: found.to_owned(),
            start,
            end: start + found.chars().count(),
        }
    }
}

/// One field, taken apart once.
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) text: &'a str,
    words: Vec<Stemmed>,
    /// The number of the first word that has a stem.
    by_stem: HashMap<Arc<str>, usize, FixedState>,
    /// A bit for each stem, by [`hint`]: of the words that are looked up most are none of them, and it tells at a glance.
    hints: u64,
}

struct Stemmed {
    place: Range<usize>,
    stem: Arc<str>,
    /// The number of the next word that has the same stem.
    next: Option<usize>,
}

impl<'a> Field<'a> {
    pub(super) fn new(name: impl Into<String>, text: &'a str, words: &Words) -> Self {
        let stemmed = |(at, word): (usize, &str)| Stemmed {
            place: at..at + word.len(),
            stem: words.known(word).stem,
            next: None,
        };
        let mut words: Vec<Stemmed> = text::word_indices(text).map(stemmed).collect();
        let mut by_stem = HashMap::with_capacity_and_hasher(words.len(), FixedState::default());
        for (number, word) in words.iter_mut().enumerate().rev() {
            word.next = by_stem.insert(Arc::clone(&word.stem), number);
        }
        Self {
            name: name.into(),
            text,
            words,
            hints: by_stem.keys().fold(0, |hints, stem| hints | hint(stem)),
            by_stem,
        }
    }

    fn has(&self, stem: &str) -> bool {
        self.hints & hint(stem) != 0 && self.by_stem.contains_key(stem)
    }

    /// The words at neighbouring places whose letters together are `joined`, which has no capitals: `goldenretriever`.
    pub(super) fn spelled(&self, joined: &str) -> Option<Vec<String>> {
        let is_ascii = self.text.is_ascii();
        (2..=4).find_map(|size| {
            let texts = |run: &[Stemmed]| -> Vec<String> {
                let texts = run.iter().map(|word| &self.text[word.place.clone()]);
                texts.map(str::to_owned).collect()
            };
            // Letters of ASCII keep their number in lower case, and no run of another length need be written out.
            let may_be = |run: &[Stemmed]| {
                let length: usize = run.iter().map(|word| word.place.len()).sum();
                let mut texts = run.iter().map(|word| &self.text[word.place.clone()]);
                length == joined.len() || !(is_ascii || texts.all(str::is_ascii))
            };
            let mut runs = self.words.windows(size).filter(|run| may_be(run)).map(texts);
            runs.find(|run| run.concat().to_lowercase() == joined)
        })
    }

    /// The longest row of neighbouring words that the tag names by their stems; else the first word that its letters hold.
    fn place(&self, stems: &[Arc<str>], letters: &str) -> Option<Range<usize>> {
        // A row of signs of a script without spaces is one word to us, and several to whoever takes the text apart.
        let row = stems.iter().filter(|stem| is_row(stem)).find_map(|stem| {
            let at = self.text.find(stem.as_ref())?;
            Some(at..at + stem.len())
        });
        if row.is_some() {
            return row;
        }
        let mut named: Vec<usize> = stems
            .iter()
            .flat_map(|stem| {
                let first = self.by_stem.get(stem).copied();
                std::iter::successors(first, |number| self.words[*number].next)
            })
            .collect();
        named.sort_unstable();
        named.dedup();
        let mut best: Option<(usize, Range<usize>)> = None;
        for row in named.chunk_by(|one, next| one + 1 == *next) {
            let range = self.words[row[0]].place.start..self.words[row[row.len() - 1]].place.end;
            // One sign of a script that puts no spaces is no word.
            let is_word = row.len() > 1 || !self.text[range.clone()].chars().all(is_unspaced) || stems.len() == 1;
            if is_word && best.as_ref().is_none_or(|(longest, _)| row.len() > *longest) {
                best = Some((row.len(), range));
            }
        }
        best.map(|(_, range)| range).or_else(|| {
            let held = self.words.iter().find(|word| {
                let stem = &*word.stem;
                let is_long = stem.len() <= letters.len() && stem.chars().nth(3).is_some();
                (is_long || is_row(stem)) && letters.contains(stem)
            });
            held.map(|word| word.place.clone())
        })
    }
}

/// One of 64 bits, made of the length of a stem and two of its letters.
fn hint(stem: &str) -> u64 {
    let bytes = stem.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().map_or(0, usize::from);
    1 << ((byte(0) * 7 + byte(bytes.len() / 2) * 3 + bytes.len()) % 64)
}

/// Two or more signs of a script that puts no spaces between words.
fn is_row(word: &str) -> bool {
    word.chars().all(is_unspaced) && word.chars().nth(1).is_some()
}

/// What the user gave and may be named by a tag, field by field.
pub(super) fn given<'a>(brief: &'a Brief, description: &'a str, words: &Words) -> Vec<Field<'a>> {
    let mut fields = vec![Field::new("content_description", description, words)];
    let lists = [("keywords", &brief.keywords), ("required", &brief.required)];
    for (name, list) in lists {
        let list = list.iter().enumerate();
        fields.extend(list.map(|(index, word)| Field::new(format!("{name}/{index}"), word.as_str(), words)));
    }
    fields
}

/// The first of the fields that has what the tag names, and where.
pub(super) fn trace(fields: &[Field<'_>], stems: &[Arc<str>], letters: &str) -> Option<Origin> {
    fields.iter().find_map(|field| {
        let range = field.place(stems, letters)?;
        Some(Origin::part(&field.name, field.text, range))
    })
}

/// All that a tag may name: the user's words before the writer's.
pub(super) struct Sources<'a> {
    given: &'a [Field<'a>],
    caption: [Field<'a>; 1],
}

impl<'a> Sources<'a> {
    pub(super) fn of(given: &'a [Field<'a>], caption: &'a str, words: &Words) -> Self {
        Self {
            given,
            caption: [Field::new("text", caption, words)],
        }
    }

    pub(super) const fn caption(&self) -> &Field<'a> {
        &self.caption[0]
    }

    pub(super) fn trace(&self, stems: &[Arc<str>], letters: &str) -> Option<Origin> {
        trace(self.given, stems, letters).or_else(|| trace(&self.caption, stems, letters))
    }

    /// True if the word stands in the user's own fields (`given`) or in the caption.
    pub(super) fn holds(&self, given: bool, word: &str) -> bool {
        let fields = if given { self.given } else { &self.caption };
        fields
            .iter()
            .any(|field| (is_row(word) && field.text.contains(word)) || field.has(word))
    }

    pub(super) fn spelled(&self, joined: &str) -> Option<Vec<String>> {
        let mut fields = self.given.iter().chain(&self.caption);
        fields.find_map(|field| field.spelled(joined))
    }
}
