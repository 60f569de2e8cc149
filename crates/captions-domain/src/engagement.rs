//! What a post may reach, from what the same account's posts have reached. Nothing is said where nothing is known.
//!
//! An account explains about 95 % of the variance of the logarithm of likes, and all that a caption holds some 3 % of what
//! is left (37,000 public posts of 2017-2019). So the estimate is the median of the account's own last posts of the same
//! format, with an interval from how far such estimates were off before; the caption's own [`effects`] come on top only where
//! they told the account's better posts from its worse ones. The quality score has no part in it.

pub mod effects;
pub mod replay;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use self::{
    effects::Measure,
    replay::{Habit, Point},
};
use crate::{choice::ContentType, request::Language};

/// Fewer old enough posts of a format give no estimate.
pub const LEAST_POSTS: usize = 6;
/// The most posts of one import.
pub const MOST_POSTS: usize = 10_000;
/// What is younger still gathers likes.
pub const YOUNG: Duration = Duration::hours(48);

/// A published post and what it reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub posted_at: OffsetDateTime,
    pub format: ContentType,
    pub caption: String,
    pub likes: u64,
    pub comments: Option<u64>,
}

/// What an account's posts tell of the next one. Holds no caption and no single result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// When the posts were read.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// Posts that were given.
    pub posts: usize,
    /// Those of them that were not used because they were younger than [`YOUNG`].
    pub too_young: usize,
    /// Formats with at least [`LEAST_POSTS`], in the order of [`ContentType::ALL`].
    pub formats: Vec<FormatResults>,
}

/// What is known of one format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormatResults {
    pub format: ContentType,
    /// Posts that were used.
    pub posts: usize,
    pub likes: Habit,
    /// `None` where fewer than [`LEAST_POSTS`] of them told their comments.
    pub comments: Option<Habit>,
}

/// What a post with this caption may reach: in 80 of 100 cases between `low` and `high`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    pub measure: Measure,
    pub median: f64,
    pub low: f64,
    pub high: f64,
    /// What of it is the caption's: a factor, 1 where captions tell nothing on this account.
    pub caption_effect: f64,
    /// Posts that it rests on.
    pub posts: usize,
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
}

/// Why nothing is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Nobody is named, or nothing was imported for them.
    #[error("no posting history is known for this user")]
    NoHistory,
    /// Not enough of what was imported is like this post.
    #[error("fewer than 6 imported posts of this format are older than 48 hours")]
    TooFew,
    /// The store did not answer.
    #[error("the user's posting history could not be read")]
    Unreadable,
    /// Of captions in the history.
    #[error("an estimate is made when a caption is written")]
    NotFresh,
}

impl Results {
    /// What these posts tell at the time `now`, in whatever order they come.
    pub fn of(posts: &[Post], language: &Language, now: OffsetDateTime) -> Self {
        let mut used: Vec<&Post> = posts.iter().filter(|post| now - post.posted_at >= YOUNG).collect();
        used.sort_by_key(|post| post.posted_at);
        let formats = ContentType::ALL.iter().filter_map(|format| {
            let same: Vec<&Post> = used.iter().filter(|post| post.format == *format).copied().collect();
            let points = |measure: Measure| -> Vec<Point> {
                let reached = |post: &&&Post| match measure {
                    Measure::Likes => Some(post.likes),
                    Measure::Comments => post.comments,
                };
                let told = same.iter().filter_map(|post| Some((post, reached(&post)?)));
                told.map(|(post, reached)| Point {
                    reached,
                    effect: effects::index(&post.caption, language, measure),
                })
                .collect()
            };
            Some(FormatResults {
                format: *format,
                posts: same.len(),
                likes: Habit::of(&points(Measure::Likes), Measure::Likes)?,
                comments: Habit::of(&points(Measure::Comments), Measure::Comments),
            })
        });
        Self {
            as_of: now,
            posts: posts.len(),
            too_young: posts.len() - used.len(),
            formats: formats.collect(),
        }
    }

    /// What a post of this format that is published with this text may reach in likes. The text is all that it knows of the
    /// caption, so no score can change it.
    pub fn outlook(&self, format: ContentType, text: &str, language: &Language) -> Result<Outlook, Unknown> {
        let same = self.formats.iter().find(|same| same.format == format);
        let same = same.ok_or(Unknown::TooFew)?;
        let effect = effects::index(text, language, Measure::Likes);
        let (median, low, high) = same.likes.range(effect);
        Ok(Outlook {
            measure: Measure::Likes,
            median,
            low,
            high,
            caption_effect: same.likes.caption_effect(effect),
            posts: same.posts,
            as_of: self.as_of,
        })
    }
}

#[cfg(test)]
mod tests;
