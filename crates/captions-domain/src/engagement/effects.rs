//! What a caption itself has to do with likes and comments, as far as that was measured.
//!
//! Percentages from a regression over 36,200 posts (likes) and 20,492 posts (comments) of 2,875 large accounts, 2017-2019,
//! each account compared with itself, with age, format and recency held equal; 95 % intervals by account. It is
//! observational: links, mentions and exclamation marks also mark advertisements. Left out are features without a clear
//! effect (number of hashtags, very many emoji), and those that are no matter of wording (video); give-aways are left out
//! because a caption must not promise one for the sake of a number.

use serde::{Deserialize, Serialize};

use crate::{request::Language, text};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Likes,
    Comments,
}

impl Measure {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Likes => "likes",
            Self::Comments => "comments",
        }
    }
}

/// The least and the most that a caption counts for, as a factor: beyond that, effects measured one by one are not believed
/// together.
pub const RANGE: (f64, f64) = (0.85, 1.15);

/// Percent of likes and of comments, against a caption without the feature.
struct Effect {
    likes: f64,
    comments: f64,
}

const QUESTION: Effect = effect(-0.6, 11.5);
const CALL_TO_ACTION: Effect = effect(-8.4, 0.6);
const LINK: Effect = effect(-7.5, -15.6);
const FIRST_PERSON: Effect = effect(3.4, 2.8);
const EXCLAMATION: Effect = effect(-6.4, -4.9);
/// Of 1, 2-3, 4-6 and 7-10 emoji; more have no clear effect.
const EMOJI: [(usize, Effect); 4] = [
    (1, effect(6.1, 8.3)),
    (3, effect(6.0, 10.8)),
    (6, effect(6.3, 15.8)),
    (10, effect(7.8, 13.9)),
];
/// Of 1, 2-3 and more mentions.
const MENTIONS: [(usize, Effect); 3] = [
    (1, effect(-5.9, -15.0)),
    (3, effect(-8.8, -18.0)),
    (usize::MAX, effect(-10.5, -17.0)),
];
/// Of more than 125, 300, 600 and 1200 characters; comments show none that is clear.
const LENGTH: [(usize, Effect); 5] = [
    (125, effect(0.0, 0.0)),
    (300, effect(-5.7, 0.0)),
    (600, effect(-7.4, 0.0)),
    (1200, effect(-7.7, 0.0)),
    (usize::MAX, effect(-7.1, 0.0)),
];

/// English, as the posts were. "Link in bio" is none: it counts as a link.
const ACTIONS: [&str; 6] = ["tag a ", "tag your ", "tag someone", "double tap", "tap the ", "swipe "];
const FIRST_PERSONS: [&str; 8] = ["i", "we", "my", "our", "me", "us", "i'm", "we're"];

const fn effect(likes: f64, comments: f64) -> Effect {
    Effect { likes, comments }
}

/// The factor by which this text is measured to change what a post reaches, within [`RANGE`]; 1 for a plain caption of at
/// most 125 characters. Words are looked for in English only, signs in every language.
pub fn index(caption: &str, language: &Language, measure: Measure) -> f64 {
    let percent = |effect: &Effect| match measure {
        Measure::Likes => effect.likes,
        Measure::Comments => effect.comments,
    };
    let mut index = 1.0;
    let mut count = |effect: &Effect| index *= 1.0 + percent(effect) / 100.0;
    let upto = |steps: &'static [(usize, Effect)], found: usize| {
        let step = steps.iter().find(|(most, _)| found <= *most).map(|(_, effect)| effect);
        step.filter(|_| found > 0)
    };
    if caption.contains(['?', '？', '؟']) {
        count(&QUESTION);
    }
    if caption.contains(['!', '！']) {
        count(&EXCLAMATION);
    }
    let sizes = [
        upto(&EMOJI, text::emoji(caption).count()),
        upto(&MENTIONS, text::mentions(caption).len()),
        upto(&LENGTH, caption.chars().count()),
    ];
    sizes.into_iter().flatten().for_each(&mut count);
    let lower = caption.to_lowercase().replace('’', "'");
    let is_english = language.primary() == "en";
    let says_link = is_english && lower.contains("link in bio");
    if says_link || caption.split_whitespace().any(text::has_url) {
        count(&LINK);
    }
    if is_english && ACTIONS.iter().any(|action| lower.contains(action)) {
        count(&CALL_TO_ACTION);
    }
    if is_english && text::words(&lower).any(|word| FIRST_PERSONS.contains(&word)) {
        count(&FIRST_PERSON);
    }
    index.clamp(RANGE.0, RANGE.1)
}
