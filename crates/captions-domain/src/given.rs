//! What a user gave, taken apart once for everything that is written about it: a request has up to ten captions, and each
//! is held against the same words.

use std::{collections::HashSet, sync::Arc};

use foldhash::fast::FixedState;

use crate::{
    brief::Brief,
    facts, injection,
    phrases::{Words, is_unspaced},
    polish::given_text,
    quality::keys,
    reply::language,
    text,
};

/// A brief, taken apart.
pub(crate) struct Given<'a> {
    pub(crate) brief: &'a Brief,
    /// Of the brief's language.
    pub(crate) words: Words,
    /// The description up to where it speaks to the model.
    pub(crate) description: &'a str,
    /// Everything that the user wrote, likewise: [`given_text`].
    pub(crate) text: String,
    pub(crate) facts: facts::Given,
    /// Whether the description is in another language than the caption is to be.
    pub(crate) is_foreign: bool,
    /// What the description can be recognised by, each with its weight: names count twice.
    pub(crate) described: Vec<(Arc<str>, usize)>,
    /// The description's words that carry meaning, with their stems, in order; of scripts with spaces.
    pub(crate) content: Vec<(&'a str, Arc<str>)>,
    /// What all that was given can be recognised by.
    pub(crate) keys: HashSet<Arc<str>, FixedState>,
}

impl<'a> Given<'a> {
    pub(crate) fn of(brief: &'a Brief) -> Self {
        let words = Words::of(&brief.language);
        let (whole, text) = (brief.description.as_str(), given_text(brief));
        let description = injection::before(whole);
        let names: HashSet<Arc<str>, FixedState> = text::words(whole)
            .skip(1)
            .filter(|word| word.starts_with(char::is_uppercase))
            .map(|word| words.known(word).stem)
            .collect();
        // German writes every noun with a capital.
        let is_german = brief.language.primary() == "de";
        let weighed = |key: Arc<str>| {
            let weight = if names.contains(&key) && !is_german { 2 } else { 1 };
            (key, weight)
        };
        let content = text::words(whole).filter(|word| words.is_content(word) && !word.contains(is_unspaced));
        Self {
            brief,
            description,
            facts: facts::Given::of(&text),
            is_foreign: language::is_foreign(whole, &brief.language),
            described: keys(&words, whole).into_iter().map(weighed).collect(),
            content: content.map(|word| (word, words.known(word).stem)).collect(),
            keys: keys(&words, &text).into_iter().collect(),
            words,
            text,
        }
    }
}
