//! What a text is about: its content words and the phrases that they form. Shared by hashtags and score.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use crate::request::Language;

/// Takes words apart from their endings, for one language.
pub struct Words {
    stemmer: Option<Stemmer>,
    stop_words: &'static [&'static str],
}

/// Adjacent content words as they stand in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// One to three words in their own spelling.
    pub words: Vec<String>,
    /// Their stems.
    pub stems: Vec<String>,
    /// The number of its first word in the text.
    pub position: usize,
}

impl Words {
    /// Stemmer and stop words of the language, as far as there are any.
    pub fn of(language: &Language) -> Self {
        let algorithm = match language.primary() {
            "ar" => Some(Algorithm::Arabic),
            "da" => Some(Algorithm::Danish),
            "nl" => Some(Algorithm::Dutch),
            "en" => Some(Algorithm::English),
            "fi" => Some(Algorithm::Finnish),
            "fr" => Some(Algorithm::French),
            "de" => Some(Algorithm::German),
            "el" => Some(Algorithm::Greek),
            "hu" => Some(Algorithm::Hungarian),
            "it" => Some(Algorithm::Italian),
            "no" | "nb" | "nn" => Some(Algorithm::Norwegian),
            "pt" => Some(Algorithm::Portuguese),
            "ro" => Some(Algorithm::Romanian),
            "ru" => Some(Algorithm::Russian),
            "es" => Some(Algorithm::Spanish),
            "sv" => Some(Algorithm::Swedish),
            "tr" => Some(Algorithm::Turkish),
            _ => None,
        };
        Self {
            stemmer: algorithm.map(Stemmer::create),
            stop_words: stop_words::lookup(language.primary()).unwrap_or_default(),
        }
    }

    /// The word's stem in lower case.
    pub fn stem(&self, word: &str) -> String {
        let lower = word.to_lowercase();
        match &self.stemmer {
            Some(stemmer) => stemmer.stem(&lower).into_owned(),
            None => lower,
        }
    }

    /// True for words that carry meaning: no stop words, no lone letters, no bare numbers.
    pub fn is_content(&self, word: &str) -> bool {
        let lower = word.to_lowercase().replace('’', "'");
        let letters = lower.chars().filter(|c| c.is_alphabetic()).count();
        letters >= if lower.is_ascii() { 2 } else { 1 } && !self.stop_words.contains(&lower.as_str())
    }

    /// The stems of the content words, each once, in order. Hashtags in `PascalCase` are split into their words.
    pub fn stems(&self, text: &str) -> Vec<String> {
        let mut stems: Vec<String> = Vec::new();
        for word in text.unicode_words().flat_map(split_pascal_case) {
            if self.is_content(word) {
                let stem = self.stem(word);
                if !stems.contains(&stem) {
                    stems.push(stem);
                }
            }
        }
        stems
    }

    /// Every run of one to three neighbouring content words, longer ones first, within the same clause.
    pub fn phrases(&self, text: &str) -> Vec<Phrase> {
        let mut runs: Vec<Vec<(usize, &str)>> = vec![Vec::new()];
        for (position, piece) in text.split_word_bounds().enumerate() {
            if piece.chars().all(char::is_whitespace) || piece == "-" {
                continue;
            }
            if piece.chars().any(char::is_alphanumeric) && self.is_content(piece) {
                if let Some(run) = runs.last_mut() {
                    run.push((position, piece));
                }
            } else {
                runs.push(Vec::new());
            }
        }
        let mut phrases = Vec::new();
        for size in (1..=3).rev() {
            for run in &runs {
                for window in run.windows(size) {
                    phrases.push(Phrase {
                        words: window.iter().map(|(_, word)| (*word).to_owned()).collect(),
                        stems: window.iter().map(|(_, word)| self.stem(word)).collect(),
                        position: window[0].0,
                    });
                }
            }
        }
        phrases
    }
}

/// `NewShoes` is two words; `NASA` and `paris` are one.
fn split_pascal_case(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut before_lower = false;
    for (at, c) in word.char_indices() {
        if c.is_uppercase() && before_lower {
            parts.push(&word[start..at]);
            start = at;
        }
        before_lower = c.is_lowercase() || c.is_numeric();
    }
    parts.push(&word[start..]);
    parts
}

#[cfg(test)]
mod tests;
