//! What is known of the person whom a caption is for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    choice::{Audience, Cta, Emoji, Length, Platform, Style, Tone},
    engagement::Results,
    request::{BrandTag, BrandVoice, HashtagCount, Keyword, Language, Sample, UserId},
    voice::{self, Dismissal, StyleCard},
};

/// A user's standing wishes. `None` and empty mean "no wish".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    pub tone: Option<Tone>,
    pub style: Option<Style>,
    pub audience: Option<Audience>,
    pub platform: Option<Platform>,
    pub language: Option<Language>,
    pub length: Option<Length>,
    pub emoji: Option<Emoji>,
    pub cta: Option<Cta>,
    pub hashtag_count: Option<HashtagCount>,
    /// Used where the request names no keywords.
    pub keywords: Vec<Keyword>,
    /// Always avoided, whatever the request says.
    pub avoid: Vec<Keyword>,
    /// In every caption, whatever the request says; at most [`MAX_KEYWORDS`](crate::request::MAX_KEYWORDS), none of them also
    /// among those to avoid.
    pub required: Vec<Keyword>,
    /// Put before all other hashtags, as far as the count allows.
    pub brand_tags: Vec<BrandTag>,
    pub brand_voice: Option<BrandVoice>,
    /// Captions that the user wrote themselves; at most [`MAX_SAMPLES`](crate::request::MAX_SAMPLES).
    pub samples: Vec<Sample>,
    /// What is usual in the samples. Follows from them: see [`Preferences::measured`].
    pub style_card: Option<StyleCard>,
    /// What their posts have reached, where that was imported. No wish, and no part of what is asked for.
    pub results: Option<Results>,
    /// Suggestions that they did not want. No wish either.
    pub dismissed: Vec<Dismissal>,
}

impl Preferences {
    /// The wishes alone: two users who differ in nothing else get the same caption.
    pub fn wishes(&self) -> Cow<'_, Self> {
        if self.results.is_none() && self.dismissed.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            results: None,
            dismissed: Vec::new(),
            ..self.clone()
        })
    }

    /// These wishes, beside what `present` holds that is none.
    #[must_use]
    pub fn in_place_of(self, present: &Self) -> Self {
        Self {
            results: present.results.clone(),
            dismissed: present.dismissed.clone(),
            ..self
        }
    }

    /// The same with the style card that its samples have, which is none if they are too few.
    #[must_use]
    pub fn measured(mut self) -> Self {
        let language = self.language.clone().unwrap_or_default();
        self.style_card = voice::measure(&self.samples, &language);
        self
    }
}

/// A user in a list: without what they always want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: UserId,
    pub display_name: Option<String>,
    pub version: u64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl From<&User> for Entry {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.clone(),
            display_name: user.display_name.clone(),
            version: user.version,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A user as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// 1-100 characters, for people to recognise the user by; never put into a prompt.
    pub display_name: Option<String>,
    pub preferences: Preferences,
    /// Counts the writes, from 1. The store sets it.
    pub version: u64,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}
