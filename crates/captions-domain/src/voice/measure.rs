//! What can be counted in a caption, and what is usual in several.

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use super::{Casing, LEAST_SAMPLES, Spread, StyleCard};
use crate::{
    phrases::Words,
    request::{Language, Sample},
    text,
};

/// `en we`: a language's primary subtag and one of its words for the first person, in lower case.
///
/// Pronouns only: where the verb says it alone ("estamos"), it is not seen.
const FIRST_PERSON: &str = include_str!("../../data/first_person.txt");

/// What can be counted in one caption.
pub(super) struct Traits {
    pub(super) characters: f64,
    pub(super) sentence_words: f64,
    pub(super) emoji: f64,
    pub(super) hashtags: f64,
    pub(super) exclamation_marks: f64,
    pub(super) questions: f64,
    pub(super) line_breaks: f64,
    pub(super) first_person: Option<bool>,
    pub(super) lower_case_start: bool,
    casing: Casing,
}

impl Traits {
    /// Of a text as it is published.
    pub(super) fn of(published: &str, language: &Language) -> Self {
        let caption = without_tags_at_end(published);
        let sentences = text::sentences(caption).filter(|sentence| text::words(sentence).next().is_some());
        let words = text::words(caption).count();
        let marks = |wanted: &[char]| count(caption.chars().filter(|c| wanted.contains(c)).count());
        let has_lower = caption.chars().any(char::is_lowercase);
        let has_upper = caption.chars().any(char::is_uppercase);
        let first_letter = caption.chars().find(|c| c.is_alphabetic());
        Self {
            characters: count(caption.chars().count()),
            sentence_words: count(words) / count(sentences.count().max(1)),
            emoji: count(text::emoji(caption).count()),
            hashtags: count(text::hashtags(published).len()),
            exclamation_marks: marks(&['!', '！']),
            questions: marks(&['?', '？', '؟']),
            line_breaks: count(caption.matches('\n').count()),
            first_person: says_first_person(caption, language),
            lower_case_start: first_letter.is_some_and(char::is_lowercase),
            casing: match (has_lower, has_upper) {
                (true, false) => Casing::Lower,
                (false, true) => Casing::Upper,
                _ => Casing::Usual,
            },
        }
    }
}

/// The card of these captions; `None` for fewer than [`LEAST_SAMPLES`].
pub fn measure(captions: &[Sample], language: &Language) -> Option<StyleCard> {
    if captions.len() < LEAST_SAMPLES {
        return None;
    }
    let traits: Vec<Traits> = captions
        .iter()
        .map(|caption| Traits::of(caption.as_str(), language))
        .collect();
    let spread = |of: fn(&Traits) -> f64| spread(&traits.iter().map(of).collect::<Vec<_>>());
    let number = traits.len();
    let share = |of: &dyn Fn(&Traits) -> bool| {
        rounded(count(traits.iter().filter(|traits| of(traits)).count()) / count(number))
    };
    let first_person = traits
        .iter()
        .all(|traits| traits.first_person.is_some())
        .then(|| share(&|traits| traits.first_person == Some(true)));
    let texts = || captions.iter().map(|caption| without_tags_at_end(caption.as_str()));
    let content = Words::of(language);
    let words_of = |text: &str| -> Vec<String> {
        let words = text::words(text).filter(|word| content.is_content(word) && word.chars().any(char::is_alphabetic));
        words.map(str::to_lowercase).collect()
    };
    Some(StyleCard {
        captions: number,
        language: language.clone(),
        characters: spread(|traits| traits.characters),
        sentence_words: spread(|traits| traits.sentence_words),
        emoji: spread(|traits| traits.emoji),
        hashtags: spread(|traits| traits.hashtags),
        exclamation_marks: spread(|traits| traits.exclamation_marks),
        questions: spread(|traits| traits.questions),
        line_breaks: spread(|traits| traits.line_breaks),
        first_person,
        lower_case_starts: share(&|traits| traits.lower_case_start),
        casing: [Casing::Lower, Casing::Upper]
            .into_iter()
            .find(|casing| share(&|traits| traits.casing == *casing) >= 0.5)
            .unwrap_or_default(),
        openers: usual(texts().map(|text| opener(text).into_iter().collect()), 2, 5),
        words: usual(texts().map(words_of), number.div_ceil(5).max(2), 12),
        favourite_emoji: usual(texts().map(|text| text::emoji(text).map(Into::into).collect()), 2, 8),
    })
}

/// The caption without the row of hashtags that it ends with, and what stands between them and it: blank lines, dots.
pub(super) fn without_tags_at_end(published: &str) -> &str {
    let is_between = |c: char| c.is_whitespace() || matches!(c, '.' | '•' | '·');
    let mut end = published.trim_end().len();
    for tag in text::hashtags(published).iter().rev() {
        let Some(before) = published[..end].strip_suffix(tag.text) else {
            break;
        };
        end = before.trim_end().len();
    }
    let caption = published[..end].trim_end();
    if caption.len() == published.trim_end().len() {
        return caption;
    }
    // Lines of nothing but dots push the tags under the fold; the full stop of the last sentence stays.
    let mut caption = caption;
    while let Some((before, last)) = caption.rsplit_once('\n') {
        if !last.chars().all(is_between) {
            break;
        }
        caption = before.trim_end();
    }
    caption
}

/// Whether a word of the first person stands in the text; `None` where the language's are not known.
fn says_first_person(text: &str, language: &Language) -> Option<bool> {
    let known: Vec<&str> = FIRST_PERSON
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(of, _)| *of == language.primary())
        .map(|(_, word)| word)
        .collect();
    if known.is_empty() {
        return None;
    }
    // "I'm" and "j'ai" are one word each by Unicode's rules.
    let mut parts = text::words(text).flat_map(|word| word.split(['\'', '’']));
    Some(parts.any(|part| known.contains(&part.to_lowercase().as_str())))
}

/// The first two words in lower case.
fn opener(text: &str) -> Option<String> {
    let mut words = text.unicode_words();
    let (first, second) = (words.next()?, words.next()?);
    Some(format!("{first} {second}").to_lowercase())
}

/// What stands in at least `least` captions, most usual first, equally usual ones by the alphabet; at most `most`.
fn usual(captions: impl Iterator<Item = Vec<String>>, least: usize, most: usize) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for found in captions {
        for one in found.into_iter().collect::<HashSet<_>>() {
            *counts.entry(one).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().filter(|(_, count)| *count >= least).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.into_iter().take(most).map(|(one, _)| one).collect()
}

/// Sums in the order of the captions and takes one square root, which IEEE 754 defines to the last bit: the same
/// everywhere.
fn spread(values: &[f64]) -> Spread {
    let number = count(values.len());
    let mean = values.iter().sum::<f64>() / number;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    Spread {
        mean: rounded(mean),
        sd: rounded((squares / (number - 1.0).max(1.0)).sqrt()),
    }
}

/// Two decimals.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is counted in a caption is far below 2^52"
)]
fn count(number: usize) -> f64 {
    number as f64
}
