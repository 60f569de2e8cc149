//! What is known of the person whom a caption is for.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    choice::{Audience, Cta, Emoji, Length, Platform, Style, Tone},
    request::{BrandTag, BrandVoice, HashtagCount, Keyword, Language, UserId},
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
    /// Put before all other hashtags, as far as the count allows.
    pub brand_tags: Vec<BrandTag>,
    pub brand_voice: Option<BrandVoice>,
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
