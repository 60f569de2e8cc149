//! The closed lists that a request chooses from, each with the names that people send.

use serde::{Deserialize, Serialize};

/// A word that names none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} '{given}'")]
pub struct Unknown {
    /// What was to be chosen, as in `tone`.
    pub what: &'static str,
    /// What was given, cut to 40 characters.
    pub given: String,
    /// The nearest choice, if one is near.
    pub nearest: Option<&'static str>,
    /// Every choice.
    pub allowed: &'static [&'static str],
}

/// The candidate nearest to `given`, if it is near enough to be a slip of the hand.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&given, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Declares a choice: its variants, their canonical names, and aliases that are also understood.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $what:literal, default $default:ident,
     { $($variant:ident = $word:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $(#[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every choice, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The canonical names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The canonical name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Default for $name {
            fn default() -> Self { Self::$default }
        }

        impl std::str::FromStr for $name {
            type Err = Unknown;

            fn from_str(given: &str) -> Result<Self, Unknown> {
                match given.trim().to_lowercase().replace('-', "_").as_str() {
                    $($word $(| $alias)* => Ok(Self::$variant),)+
                    other => Err(Unknown {
                        what: $what,
                        given: crate::text::cut(given, 40).to_owned(),
                        nearest: nearest(other, Self::NAMES.iter().copied()),
                        allowed: Self::NAMES,
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice!(
    /// How the caption feels.
    Tone, "tone", default Friendly, {
    Friendly = "friendly", Professional = "professional", Casual = "casual", Enthusiastic = "enthusiastic" | "excited",
    Calm = "calm", Energetic = "energetic", Sophisticated = "sophisticated" | "elegant", Playful = "playful",
    Warm = "warm", Formal = "formal", Funny = "funny" | "humorous" | "humor",
    Inspirational = "inspirational" | "inspiring", Respectful = "respectful",
});
choice!(
    /// How the caption is built.
    Style, "style", default Casual, {
    Casual = "casual", Professional = "professional", Inspirational = "inspirational", Playful = "playful",
    Educational = "educational", Promotional = "promotional" | "call_to_action", Storytelling = "storytelling",
    Minimalist = "minimalist" | "minimal", Creative = "creative", Detailed = "detailed", Formal = "formal",
    Funny = "funny" | "humorous", Luxury = "luxury",
});
choice!(
    /// Who is to read it.
    Audience, "audience", default General, {
    General = "general", Business = "business", Millennials = "millennials", GenZ = "gen_z" | "genz",
    Creators = "creators", Lifestyle = "lifestyle", Fitness = "fitness", Food = "food", Travel = "travel",
    Fashion = "fashion",
});
choice!(
    /// What is posted.
    ContentType, "content type", default Post, {
    Post = "post", Story = "story", Reel = "reel" | "igtv", Carousel = "carousel", Highlight = "highlight",
});
choice!(
    /// Target length of the caption without its tags, in characters: short 40-125, medium 126-400, long 401-1200, max 1201-2200 (all within the platform's limit).
    Length, "length", default Short, {
    Short = "short", Medium = "medium", Long = "long", Max = "max",
});
choice!(
    /// How many emoji: none 0, few 1-3, many 4-10.
    Emoji, "emoji policy", default Few, {
    None = "none" | "off" | "false", Few = "few" | "some" | "true", Many = "many" | "heavy",
});
choice!(
    /// What the reader is asked to do.
    Cta, "call to action", default None, {
    None = "none" | "false", Question = "question", Save = "save", Visit = "visit" | "link", Comment = "comment",
});
choice!(
    /// What to do with stored captions: use a fresh one, write a new one over it, or leave the cache alone.
    CacheUse, "cache mode", default Use, {
    Use = "use", Refresh = "refresh", Bypass = "bypass",
});
choice!(
    /// Where the caption is published.
    Platform, "platform", default Instagram, {
    Instagram = "instagram", Threads = "threads", X = "x" | "twitter", Tiktok = "tiktok", Facebook = "facebook",
    Linkedin = "linkedin", Pinterest = "pinterest", Youtube = "youtube", Bluesky = "bluesky",
});
choice!(
    /// What the user did with a caption: published it as it was, published it after changes, or did not want it.
    Verdict, "verdict", default Used, {
    Used = "used" | "picked" | "posted", Edited = "edited", Rejected = "rejected",
});
choice!(
    /// Which of a platform's sets of rules: the present one, Instagram's older cap of 30 hashtags, or X for paying accounts.
    Profile, "profile", default Default, {
    Default = "default", Legacy30 = "legacy_30" | "legacy", Premium = "premium",
});
choice!(
    /// What is done to a given caption.
    Rewriting, "operation", default Fix, {
    Shorten = "shorten", Expand = "expand" | "lengthen", Fix = "fix" | "correct", Tone = "tone" | "retone",
    DeCliche = "de_cliche" | "decliche", Translate = "translate", Adapt = "adapt",
});
