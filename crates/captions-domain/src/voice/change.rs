//! A change of preferences that a user may accept.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::LEAST_EVIDENCE;
use crate::{
    choice::{Emoji, Length, Tone},
    request::{HashtagCount, Invalid, Keyword, MAX_KEYWORDS},
    user::Preferences,
};

/// One change of preferences.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Tone(Tone),
    Length(Length),
    Emoji(Emoji),
    HashtagCount(HashtagCount),
    /// Added to the words to avoid.
    Avoid(Keyword),
}

/// How many captions could speak about a suggestion, and how many speak for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    pub agree: usize,
    pub of: usize,
}

impl Support {
    /// The share that speaks for it (0-1).
    pub fn share(self) -> f64 {
        ratio(self.agree, self.of)
    }
}

/// A change that a user may accept.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    pub change: Change,
    /// The evidence in plain words, with its counts.
    pub because: String,
    pub support: Support,
}

/// A suggestion that its user did not want, with the evidence that there was for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissal {
    /// [`Change::id`].
    pub id: String,
    /// How many captions could speak about it then.
    pub of: usize,
}

/// The most dismissals that are kept of a user; the oldest go first.
const MOST_DISMISSALS: usize = 50;

impl Suggestion {
    /// Notes that the user does not want it.
    pub fn dismiss(&self, preferences: &mut Preferences) {
        let id = self.change.id();
        preferences.dismissed.retain(|other| other.id != id);
        let excess = (preferences.dismissed.len() + 1).saturating_sub(MOST_DISMISSALS);
        preferences.dismissed.drain(..excess);
        preferences.dismissed.push(Dismissal {
            id,
            of: self.support.of,
        });
    }

    /// True if the user did not want it, and the evidence is still that of then: fewer than [`LEAST_EVIDENCE`] captions more,
    /// or fewer, speak about it.
    pub(super) fn is_dismissed(&self, preferences: &Preferences) -> bool {
        let id = self.change.id();
        preferences
            .dismissed
            .iter()
            .any(|other| other.id == id && self.support.of.abs_diff(other.of) < LEAST_EVIDENCE)
    }
}

impl Change {
    /// The same change always has the same id, of letters, digits, `_` and `-`.
    pub fn id(&self) -> String {
        let value = match self {
            Self::Tone(tone) => tone.as_str().to_owned(),
            Self::Length(length) => length.as_str().to_owned(),
            Self::Emoji(emoji) => emoji.as_str().to_owned(),
            Self::HashtagCount(count) => count.get().to_string(),
            // A word may have letters that an address cannot hold.
            Self::Avoid(word) => blake3::hash(word.as_str().as_bytes()).to_hex()[..12].to_owned(),
        };
        format!("{}-{value}", self.field())
    }

    /// The preference that it changes.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Tone(_) => "tone",
            Self::Length(_) => "length",
            Self::Emoji(_) => "emoji",
            Self::HashtagCount(_) => "hashtag_count",
            Self::Avoid(_) => "avoid",
        }
    }

    /// The new value; of a list the word that is added.
    pub fn value(&self) -> Value {
        match self {
            Self::Tone(tone) => json!(tone),
            Self::Length(length) => json!(length),
            Self::Emoji(emoji) => json!(emoji),
            Self::HashtagCount(count) => json!(count.get()),
            Self::Avoid(word) => json!(word),
        }
    }

    /// The present value, null if there is none; of a list the whole.
    pub fn from(&self, preferences: &Preferences) -> Value {
        match self {
            Self::Tone(_) => json!(preferences.tone),
            Self::Length(_) => json!(preferences.length),
            Self::Emoji(_) => json!(preferences.emoji),
            Self::HashtagCount(_) => json!(preferences.hashtag_count.map(HashtagCount::get)),
            Self::Avoid(_) => json!(preferences.avoid),
        }
    }

    /// Makes the change. `Err` if the preferences have come to forbid it; a word that is there already is fine.
    pub fn apply(&self, preferences: &mut Preferences) -> Result<(), Invalid> {
        match self {
            Self::Tone(tone) => preferences.tone = Some(*tone),
            Self::Length(length) => preferences.length = Some(*length),
            Self::Emoji(emoji) => preferences.emoji = Some(*emoji),
            Self::HashtagCount(count) => preferences.hashtag_count = Some(*count),
            Self::Avoid(word) => {
                if preferences.avoid.iter().any(|other| same(other, word)) {
                    return Ok(());
                }
                if preferences.required.iter().any(|other| same(other, word)) {
                    return Err(Invalid::new(
                        "contradiction",
                        "the word is among those that are required",
                    ));
                }
                if preferences.avoid.len() >= MAX_KEYWORDS {
                    let rule = format!("avoid has at most {MAX_KEYWORDS} entries");
                    return Err(Invalid::new("too_many", rule));
                }
                preferences.avoid.push(word.clone());
            }
        }
        Ok(())
    }
}

/// True if both are the same word, in whatever case.
pub(super) fn same(one: &Keyword, other: &Keyword) -> bool {
    one.as_str().to_lowercase() == other.as_str().to_lowercase()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "captions and their characters are counted, far below 2^52"
)]
pub(super) fn ratio(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}
