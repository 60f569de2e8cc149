//! A caption and its brief, taken apart once for all parts of the score.

use std::{collections::HashSet, sync::Arc};

use foldhash::fast::FixedState;
use unicode_segmentation::UnicodeSegmentation;

use super::Wished;
use crate::{
    brief::Brief,
    check::Violation,
    facts,
    given::Given,
    lexicon::Tokens,
    phrases::{Words, is_unspaced},
    sentences,
    text::{self, Place, Span},
};

/// What all parts look at. Places are in the published text, which the caption is the beginning of.
pub(super) struct Reading<'a> {
    pub(super) given: &'a Given<'a>,
    pub(super) brief: &'a Brief,
    pub(super) wished: Wished,
    pub(super) violations: &'a [Violation],
    pub(super) caption: &'a str,
    pub(super) text: &'a str,
    pub(super) tags: Vec<Span<'a>>,
    pub(super) words: &'a Words,
    pub(super) tokens: Tokens<'a>,
    pub(super) sentences: Vec<Span<'a>>,
    pub(super) emoji: Vec<Span<'a>>,
    /// What the caption can be recognised by.
    pub(super) said: HashSet<Arc<str>, FixedState>,
    pub(super) untraced: Vec<Place>,
}

impl<'a> Reading<'a> {
    /// `caption` is the beginning of `text`.
    pub(super) fn of(given: &'a Given<'a>, caption: &'a str, text: &'a str, violations: &'a [Violation]) -> Self {
        let (brief, words) = (given.brief, &given.words);
        let tokens = Tokens::of(caption);
        let untraced = facts::in_tokens(&tokens, caption, &given.facts, &brief.language);
        let said = keys(words, caption).into_iter().collect();
        Self {
            given,
            brief,
            wished: Wished::ALL,
            violations,
            caption,
            text,
            tags: text::hashtags(text)
                .into_iter()
                .filter(|tag| text::is_tag_body(tag.text.trim_start_matches(['#', '＃'])))
                .collect(),
            words,
            sentences: sentences::spans(caption)
                .into_iter()
                .filter(|sentence| sentence.text.chars().any(char::is_alphanumeric))
                .collect(),
            emoji: emoji(caption),
            tokens,
            said,
            untraced,
        }
    }

    pub(super) fn has_violation(&self, rule: &str, value: Option<&str>) -> bool {
        self.violations
            .iter()
            .any(|broken| broken.rule == rule && value.is_none_or(|value| broken.value == value))
    }
}

/// What a text can be recognised by: the stems of its content words, each once; where words are not parted, pairs of
/// neighbouring signs. Hashtags are split into their words.
pub(crate) fn keys(words: &Words, text: &str) -> Vec<Arc<str>> {
    let mut keys = words.shared_stems(text);
    if !text.contains(is_unspaced) {
        return keys;
    }
    keys.retain(|stem| !stem.contains(is_unspaced));
    let mut before: Option<char> = None;
    let mut seen = HashSet::new();
    for c in text.chars() {
        // Hiragana mostly is grammar.
        let counts = is_unspaced(c) && !matches!(c, '\u{3040}'..='\u{309F}');
        if let (Some(before), true) = (before, counts)
            && seen.insert((before, c))
        {
            keys.push(String::from_iter([before, c]).into());
        }
        before = counts.then_some(c);
    }
    keys
}

/// The emoji of a text. Most characters cannot begin one, so only the others are looked up.
pub(super) fn emoji(text: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut skip_to = 0;
    let mut chars = text.char_indices().enumerate().peekable();
    while let Some((index, (byte, c))) = chars.next() {
        let is_joined = matches!(chars.peek(), Some((_, (_, '\u{FE0F}' | '\u{20E3}'))));
        if byte < skip_to || (c.is_ascii() && !is_joined) || c.is_alphanumeric() && !is_joined {
            continue;
        }
        let cluster = text[byte..].graphemes(true).next().unwrap_or_default();
        skip_to = byte + cluster.len();
        if text::is_emoji(cluster) {
            found.push(Span {
                text: cluster,
                start: index,
                end: index + cluster.chars().count(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Language;

    proptest::proptest! {
        #[test]
        fn emoji_are_those_of_the_text(text in "[a-z0-9 #é👨‍👩‍👧🐶❤️🇩🇪1️⃣\u{200D}\u{FE0F}©❤]{0,30}") {
            let found: Vec<&str> = emoji(&text).iter().map(|span| span.text).collect();
            proptest::prop_assert_eq!(found, text::emoji(&text).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_not_parted_by_spaces_is_recognised_by_pairs() {
        let words = Words::of(&Language::new("ja").unwrap());

        let keys = keys(&words, "焼きたて食パンABC");
        assert_eq!(
            keys.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
            ["abc", "食パ", "パン"]
        );
    }
}
