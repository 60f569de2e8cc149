//! The platforms' rules, as data with dates: `data/platforms.toml`, from which the build makes the table below.

use crate::{
    choice::{Length, Platform, Profile},
    text,
};

/// The most hashtags that anybody may ask for; where a platform has no cap of its own, this one counts.
const MOST_HASHTAGS: usize = 30;

include!(concat!(env!("OUT_DIR"), "/platforms.rs"));

/// How a platform counts the length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Unicode code points.
    CodePoints,
    /// UTF-16 code units.
    Utf16,
    /// Extended grapheme clusters.
    Graphemes,
    /// UTF-8 bytes.
    Bytes,
    /// Code points, but every emoji counts as its UTF-8 bytes.
    EmojiBytes,
    /// twitter-text v3: light code points 1, all others 2, an emoji 2, a URL 23.
    Weighted,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 6] = [
        Self::CodePoints,
        Self::Utf16,
        Self::Graphemes,
        Self::Bytes,
        Self::EmojiBytes,
        Self::Weighted,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CodePoints => "code_points",
            Self::Utf16 => "utf16",
            Self::Graphemes => "graphemes",
            Self::Bytes => "bytes",
            Self::EmojiBytes => "emoji_bytes",
            Self::Weighted => "weighted",
        }
    }
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Length,
    ForbiddenCharacters,
    Hashtags,
    Mentions,
    Links,
    /// Sentences that beg for a reaction.
    EngagementBait,
    /// What the feed shows before "more".
    Fold,
    /// The description of the picture, which is no part of the text.
    AltText,
}

/// One rule of a platform, with where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub about: About,
    /// The most that is allowed, in `unit`.
    pub value: usize,
    /// Lines that the fold leaves; without a limit for all else.
    pub lines: usize,
    /// The forbidden characters; empty for all else.
    pub signs: &'static str,
    /// What `value` counts; for the length the name of a [`Unit`].
    pub unit: &'static str,
    /// False if it is only advice.
    pub hard: bool,
    pub source: &'static str,
    /// The day of the source, or on which it was read.
    pub as_of: &'static str,
}

impl Rule {
    /// How the rule counts a text, if it is about the length.
    pub fn counts_in(&self) -> Option<Unit> {
        Unit::ALL
            .into_iter()
            .find(|unit| self.about == About::Length && unit.as_str() == self.unit)
    }
}

/// What one platform allows and shows, by one of its profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlatformRules {
    pub platform: Platform,
    pub profile: Profile,
    /// The longest text, in `unit`.
    pub max_chars: usize,
    pub unit: Unit,
    /// The most hashtags: the platform's cap, or the most that may be asked for.
    pub max_hashtags: usize,
    /// How many are written unless something else is asked for.
    pub default_hashtags: usize,
    /// The most @mentions; `usize::MAX` without a cap.
    pub max_mentions: usize,
    /// Characters and lines shown before "more"; `usize::MAX` where nothing is known to be hidden.
    pub fold: (usize, usize),
    /// The longest description of a picture, in code points, where one is known.
    pub alt_text: Option<usize>,
    /// All of this with sources and dates, and what the fields above leave out.
    pub rules: &'static [Rule],
}

impl PlatformRules {
    /// The present rules of `platform`.
    pub const fn of(platform: Platform) -> Self {
        *default_of(platform)
    }

    /// The rules of `platform` by one of its profiles. `None` if it has no such profile.
    pub const fn of_profile(platform: Platform, profile: Profile) -> Option<Self> {
        match profile_of(platform, profile) {
            Some(rules) => Some(*rules),
            None => None,
        }
    }

    /// True if the text is no longer than the platform takes, in each unit that it counts.
    pub fn fits(&self, text: &str) -> bool {
        self.rules
            .iter()
            .filter_map(|rule| Some((rule.counts_in()?, rule.value)))
            .all(|(unit, most)| text::length_in(unit, text) <= most)
    }

    /// First and last number of characters of a length bucket, within the platform's limit.
    pub const fn length_bucket(&self, length: Length) -> (usize, usize) {
        let (from, to) = match length {
            Length::Short => (40, 125),
            Length::Medium => (126, 400),
            Length::Long => (401, 1200),
            // No caption is better for being longer than Instagram's limit, and no model writes 60,000 characters.
            Length::Max => (1201, 2200),
        };
        within(from, to, self.max_chars)
    }
}

/// The range below a limit; where the limit leaves nothing of it, the upper half of what is allowed.
pub(crate) const fn within(from: usize, to: usize, limit: usize) -> (usize, usize) {
    let to = if to < limit { to } else { limit };
    (if from < to { from } else { to / 2 }, to)
}

#[cfg(test)]
mod tests;
