//! What a description is about, by its words: which emoji go with it and what one may ask about it.

use std::{collections::HashMap, sync::LazyLock};

use captions_domain::text;

/// Something that posts are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic {
    /// The key of its questions among the phrases; not every language has one for each.
    pub(super) name: &'static str,
    pub(super) emoji: &'static str,
}

const TABLE: &str = include_str!("topics.txt");

static BY_WORD: LazyLock<HashMap<&str, Topic>> = LazyLock::new(|| {
    let mut by_word = HashMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(emoji)) = (words.next(), words.next()) else {
            continue;
        };
        for word in words {
            by_word.entry(word).or_insert(Topic { name, emoji });
        }
    }
    by_word
});

/// Words of another language that mean something else in this one.
const FALSE_FRIENDS: [(&str, &[&str]); 3] = [
    (
        "en",
        &[
            "pain", "pan", "course", "mode", "robe", "sole", "livre", "natal", "casa", "sac", "mare", "bolo",
        ],
    ),
    ("fr", &["pan", "pane", "son", "sole", "band"]),
    ("de", &["art", "pain", "pan"]),
];

/// The topics of a description in this language, in its order, each once.
pub(super) fn topics(description: &str, language: &str) -> Vec<Topic> {
    let lower = description.to_lowercase();
    let false_friends = FALSE_FRIENDS.iter().find(|(of, _)| *of == language);
    let is_meant = |word: &&str| !false_friends.is_some_and(|(_, words)| words.contains(word));
    let mut found: Vec<Topic> = Vec::new();
    // What an address says is its own affair.
    let pieces = lower
        .split_whitespace()
        .filter(|piece| !piece.starts_with('@') && !text::has_url(piece));
    let words = pieces.flat_map(text::words).filter(is_meant);
    for topic in words.filter_map(|word| BY_WORD.get(word)) {
        if !found.contains(topic) {
            found.push(*topic);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_names_a_topic_with_one_emoji_and_words_of_its_own() {
        let mut names = HashSet::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (name, emoji) = (words.next().unwrap(), words.next().unwrap());
            assert!(names.insert(name), "{name} stands twice");
            assert_eq!(text::emoji(emoji).collect::<String>(), emoji, "{line}");
            for word in words {
                assert_eq!(word, word.to_lowercase());
                assert_eq!(topics(word, "").first().map(|topic| topic.name), Some(name), "{word}");
            }
        }
    }

    #[test]
    fn a_word_of_another_language_is_not_taken_for_its_topic() {
        assert_eq!(topics("no pain", "en"), []);
        assert_eq!(topics("du pain", "fr")[0].name, "bread");
    }

    #[test]
    fn topics_come_in_the_order_of_the_words() {
        let names: Vec<&str> = topics("A dog on the beach, the dog again", "en")
            .iter()
            .map(|topic| topic.name)
            .collect();

        assert_eq!(names, ["dog", "beach"]);
    }
}
