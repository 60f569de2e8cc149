//! Addresses that nobody gave go, with what was about them.

use unicode_segmentation::UnicodeSegmentation;

use super::clean;
use crate::{
    address,
    brief::Brief,
    injection,
    request::{BrandTag, BrandVoice, Instructions, Keyword},
};

/// Drops addresses that the brief does not give: a model invents them, and a mention notifies a stranger. Each takes its
/// sentence along, which was about it; where nothing else would be left, it goes alone.
pub(super) fn without_untraced(text: &str, given: &str) -> String {
    let mut text = text.to_owned();
    // What stood around an address may form another one.
    for _ in 0..3 {
        let untraced = address::untraced(&text, given);
        if untraced.is_empty() {
            break;
        }
        let is_hit = |start: usize, end: usize| {
            untraced
                .iter()
                .any(|address| address.place.start < end && start < address.place.end)
        };
        let mut left = String::with_capacity(text.len());
        for (at, sentence) in text.split_sentence_bound_indices() {
            if is_hit(at, at + sentence.len()) {
                // The line that it ends stays ended.
                left.extend(sentence.chars().rev().take_while(|c| *c == '\n'));
            } else {
                left.push_str(sentence);
            }
        }
        if !left.chars().any(char::is_alphanumeric) {
            left.clear();
            let mut at = 0;
            for address in &untraced {
                left.push_str(&text[at..address.place.start]);
                at = address.place.end;
            }
            left.push_str(&text[at..]);
            let lines: Vec<String> = left
                .lines()
                .map(|line| {
                    line.split(' ')
                        .filter(|word| !word.is_empty())
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .collect();
            left = lines.join("\n");
        }
        text = clean(&left);
    }
    text
}

/// Everything that the user gave to readers: what stands in it was not invented. What speaks to the model is not given.
pub(crate) fn given_text(brief: &Brief) -> String {
    let pieces = given_pieces(brief);
    let given: Vec<&str> = pieces.iter().map(|piece| injection::before(piece)).collect();
    given.join("\n")
}

/// The texts of a brief that a user wrote.
pub(crate) fn given_pieces(brief: &Brief) -> Vec<&str> {
    let notes = [
        brief.brand_voice.as_ref().map(BrandVoice::as_str),
        brief.instructions.as_ref().map(Instructions::as_str),
    ];
    let words = brief.keywords.iter().chain(&brief.required).map(Keyword::as_str);
    let tags = brief.brand_tags.iter().map(BrandTag::as_str);
    std::iter::once(brief.description.as_str())
        .chain(notes.into_iter().flatten())
        .chain(words)
        .chain(tags)
        .collect()
}
