//! The lines of ours that a brief gets: those of its language, tone, style and audience, without what it avoids.

use captions_domain::brief::Brief;

use super::{
    phrases::{Phrases, Register},
    source::{holds_avoided, writes_small},
    topics::Topic,
};

/// The lines of one language that a brief allows.
pub(super) struct Lines<'a> {
    pub(super) brief: &'a Brief,
    pub(super) phrases: Option<&'static Phrases>,
    pub(super) register: Register,
    /// Where each list begins, so that not every post ends in the same words.
    pub(super) turn: u64,
}

impl Lines<'_> {
    pub(super) fn of(&self, kind: &'static str, key: &'static str) -> Vec<String> {
        self.allowed(self.phrases.map_or(&[], |phrases| phrases.lines(kind, key)))
    }

    pub(super) fn address(&self, kind: &'static str) -> Vec<String> {
        self.allowed(self.phrases.map_or(&[], |phrases| phrases.address(kind, self.register)))
    }

    /// Those about the topics first, then those that go with anything.
    pub(super) fn questions(&self, topics: &[Topic]) -> Vec<String> {
        let about = topics.iter().flat_map(|topic| self.of("topic", topic.name));
        let mut questions: Vec<String> = about.collect();
        questions.extend(self.address("question"));
        questions
    }

    fn allowed(&self, lines: &[&'static str]) -> Vec<String> {
        let small = writes_small(self.brief);
        let mut lines: Vec<String> = lines
            .iter()
            .filter(|line| !holds_avoided(line, self.brief))
            .map(|line| if small { line.to_lowercase() } else { (*line).to_owned() })
            .collect();
        if !lines.is_empty() {
            let by = self.turn % lines.len() as u64;
            lines.rotate_left(usize::try_from(by).unwrap_or(0));
        }
        lines
    }
}

/// The line of this place.
pub(super) fn line(lines: &[String], index: usize) -> Option<&str> {
    lines.get(index).map(String::as_str)
}

/// The line of this place, counted round and round.
pub(super) fn turned(lines: &[String], index: usize) -> Option<&str> {
    lines.get(index.checked_rem(lines.len())?).map(String::as_str)
}

/// Not the library's hasher: its result may change with the compiler, and the same brief gives the same bytes.
pub(super) fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
