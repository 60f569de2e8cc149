//! How a user writes: what is usual in the captions that they wrote themselves, in numbers.
//!
//! A model that is shown samples imitates them only roughly, so a caption is measured as the samples were and compared:
//! [`measure()`] makes the [`StyleCard`], [`StyleCard::distance`] holds a text against it. Nothing here judges; that a text
//! deviates is no fault unless whoever asks makes it one.

mod change;
mod measure;
mod suggest;

use serde::{Deserialize, Serialize};

use self::measure::Traits;
pub use self::{
    change::{Change, Dismissal, Suggestion, Support},
    measure::measure,
    suggest::{DISLIKED, LEAST_EVIDENCE, LEAST_POSTS, LOOK_BACK, MAJORITY, suggest},
};
use crate::request::Language;

/// The fewest captions of which one can say what is usual in them.
pub const LEAST_SAMPLES: usize = 3;

/// Mean and standard deviation of a number over the captions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spread {
    pub mean: f64,
    /// With n - 1, as of a sample.
    pub sd: f64,
}

/// How letters are cased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Casing {
    /// As the language writes, or the script has no cases.
    #[default]
    Usual,
    /// Half of the captions or more have no capital letter.
    Lower,
    /// Half of the captions or more have no small letter.
    Upper,
}

impl Casing {
    pub const ALL: [Self; 3] = [Self::Usual, Self::Lower, Self::Upper];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Lower => "lower",
            Self::Upper => "upper",
        }
    }
}

/// What is usual in a user's own captions. All numbers are rounded to two decimals; equal captions give equal cards.
///
/// All but `hashtags` is about the caption without the hashtags at its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StyleCard {
    /// How many captions it was measured from.
    pub captions: usize,
    /// The language whose words for "I" and "we" were counted.
    pub language: Language,
    /// Code points.
    pub characters: Spread,
    /// Words in a sentence, on the caption's average.
    pub sentence_words: Spread,
    pub emoji: Spread,
    /// Hashtags, wherever they stand.
    pub hashtags: Spread,
    pub exclamation_marks: Spread,
    /// Question marks.
    pub questions: Spread,
    pub line_breaks: Spread,
    /// The share of captions that say "I" or "we" (0-1); `None` where the language's words for it are not known.
    pub first_person: Option<f64>,
    /// The share of captions whose first letter is a small one (0-1).
    pub lower_case_starts: f64,
    pub casing: Casing,
    /// The first two words of at least two captions, in lower case, most usual first; at most 5.
    pub openers: Vec<String>,
    /// Content words of at least two captions and a fifth of all, in lower case, most usual first; at most 12.
    pub words: Vec<String>,
    /// Emoji of at least two captions, most usual first; at most 8.
    pub favourite_emoji: Vec<String>,
}

/// Something that a card counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    Characters,
    SentenceWords,
    Emoji,
    Hashtags,
    ExclamationMarks,
    Questions,
    LineBreaks,
    FirstPerson,
    LowerCaseStart,
}

impl Feature {
    pub const ALL: [Self; 9] = [
        Self::Characters,
        Self::SentenceWords,
        Self::Emoji,
        Self::Hashtags,
        Self::ExclamationMarks,
        Self::Questions,
        Self::LineBreaks,
        Self::FirstPerson,
        Self::LowerCaseStart,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Characters => "characters",
            Self::SentenceWords => "sentence_words",
            Self::Emoji => "emoji",
            Self::Hashtags => "hashtags",
            Self::ExclamationMarks => "exclamation_marks",
            Self::Questions => "questions",
            Self::LineBreaks => "line_breaks",
            Self::FirstPerson => "first_person",
            Self::LowerCaseStart => "lower_case_start",
        }
    }
}

/// How far a text is from what is usual, in one feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    pub feature: Feature,
    /// What the text has. Of a share it is 1 or 0: it does or it does not.
    pub value: f64,
    /// The mean of the samples.
    pub usual: f64,
    /// One standard deviation, or what is no difference to a reader where the samples hardly differ.
    pub sd: f64,
}

impl Deviation {
    /// How many standard deviations it is away.
    pub fn distance(&self) -> f64 {
        measure::rounded((self.value - self.usual).abs() / self.sd)
    }

    /// True within one standard deviation.
    pub fn fits(&self) -> bool {
        (self.value - self.usual).abs() <= self.sd
    }
}

impl StyleCard {
    /// The text, as published with its hashtags, held against the card: one entry for each feature, in the order of
    /// [`Feature::ALL`]. First person is left out where one of both could not be measured in `language`.
    pub fn distance(&self, published: &str, language: &Language) -> Vec<Deviation> {
        let traits = Traits::of(published, language);
        let flag = |is: bool| f64::from(u8::from(is));
        let counted = |feature, value: f64, spread: Spread, least: f64| Deviation {
            feature,
            value: measure::rounded(value),
            usual: spread.mean,
            sd: spread.sd.max(least),
        };
        let share = |feature, value: bool, usual: f64| Deviation {
            feature,
            value: flag(value),
            usual,
            // What they do in fewer than 7 of 10 captions they may as well leave.
            sd: 0.7,
        };
        let mut found = vec![
            counted(
                Feature::Characters,
                traits.characters,
                self.characters,
                (self.characters.mean * 0.1).max(20.0),
            ),
            counted(Feature::SentenceWords, traits.sentence_words, self.sentence_words, 2.0),
            counted(Feature::Emoji, traits.emoji, self.emoji, 1.0),
            counted(Feature::Hashtags, traits.hashtags, self.hashtags, 1.0),
            counted(
                Feature::ExclamationMarks,
                traits.exclamation_marks,
                self.exclamation_marks,
                1.0,
            ),
            counted(Feature::Questions, traits.questions, self.questions, 1.0),
            counted(Feature::LineBreaks, traits.line_breaks, self.line_breaks, 1.0),
        ];
        if let (Some(usual), Some(value)) = (self.first_person, traits.first_person) {
            found.push(share(Feature::FirstPerson, value, usual));
        }
        found.push(share(
            Feature::LowerCaseStart,
            traits.lower_case_start,
            self.lower_case_starts,
        ));
        found
    }
}

#[cfg(test)]
mod tests;
