//! What may be asked for. Everything that a user sends is checked here, once; past this module nobody checks again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::choice::{Audience, CacheUse, ContentType, Cta, Emoji, Length, Platform, Profile, Style, Tone, Unknown};
use crate::image::Image;

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct Invalid {
    /// Where it stands, as a JSON pointer such as `/keywords/3`; empty until [`Invalid::at`] tells.
    pub pointer: String,
    /// The broken rule's stable name: `too_short`, `too_long`, `out_of_range`, `too_many`, `forbidden_character`,
    /// `unknown_choice`, `bad_format`, `unknown_field`, `required`, `wrong_type`,
    /// `contradiction`, `too_large`, `not_allowed`, `not_supported`.
    pub code: &'static str,
    /// The rule in words, with its numbers.
    pub rule: String,
    /// The nearest value that would have been accepted.
    pub nearest: Option<String>,
}

impl Invalid {
    /// A broken rule whose place is not known yet.
    pub fn new(code: &'static str, rule: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            code,
            rule: rule.into(),
            nearest: None,
        }
    }

    /// Names the nearest acceptable value.
    #[must_use]
    pub fn nearest(mut self, value: impl ToString) -> Self {
        self.nearest = Some(value.to_string());
        self
    }

    /// Names the place.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }
}

impl From<Unknown> for Invalid {
    fn from(unknown: Unknown) -> Self {
        Self {
            pointer: String::new(),
            code: "unknown_choice",
            rule: format!("{unknown}; choose one of {}", unknown.allowed.join(", ")),
            nearest: unknown.nearest.map(Into::into),
        }
    }
}

/// 1-100 characters of `[A-Za-z0-9_-]`: the form of all ids that callers choose.
pub(crate) fn identifier<'a>(what: &str, id: &'a str) -> Result<&'a str, Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=100).contains(&id.len()) && id.chars().all(allowed) {
        return Ok(id);
    }
    let nearest: String = id.chars().filter(|c| allowed(*c)).take(100).collect();
    let broken = Invalid::new(
        "bad_format",
        format!("a {what} id is 1 to 100 characters of A-Z, a-z, 0-9, _ and -"),
    );
    Err(if nearest.is_empty() {
        broken
    } else {
        broken.nearest(nearest)
    })
}

/// Trimmed text of `min..=max` code points without control characters; line breaks and tabs are kept.
fn plain_text(what: &str, text: &str, min: usize, max: usize) -> Result<String, Invalid> {
    let text = text.trim();
    let length = text.chars().count();
    if let Some(bad) = text
        .chars()
        .find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        let cleaned: String = text
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        return Err(Invalid::new(
            "forbidden_character",
            format!("{what} must not contain the control character U+{:04X}", u32::from(bad)),
        )
        .nearest(crate::text::cut(&cleaned, max)));
    }
    if length < min {
        return Err(Invalid::new(
            "too_short",
            format!("{what} needs at least {min} characters, this has {length}"),
        ));
    }
    if length > max {
        return Err(Invalid::new(
            "too_long",
            format!("{what} has at most {max} characters, this has {length}"),
        )
        .nearest(crate::text::cut(text, max).trim_end()));
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// A string type whose constructor is its only door.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes the text; [`Invalid`] names the broken rule.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> Result<String, Invalid> = $check;
                check(text).map(Self)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> { Self::new(&text) }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self { value.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    };
}

text_type!(
    /// What the post shows: 3-2000 characters after trimming.
    Description,
    |text| plain_text("a description", text, 3, 2000)
);
text_type!(
    /// A caption that there is already, as it would be published: 1-10000 characters after trimming. A longer one is not
    /// changed in one piece by any model.
    CaptionText,
    |text| plain_text("a caption", text, 1, 10_000)
);
text_type!(
    /// A user of a tenant: 1-100 characters of `[A-Za-z0-9_-]`.
    UserId,
    |text| identifier("user", text).map(Into::into)
);
text_type!(
    /// The caller's own grouping of captions, kept with the stored caption.
    CampaignId,
    |text| identifier("campaign", text).map(Into::into)
);
text_type!(
    /// The name of a configured provider.
    ProviderName,
    |text| identifier("provider", text).map(Into::into)
);
text_type!(
    /// A word or short phrase to use or to avoid: 1-50 characters on one line.
    Keyword,
    |text| plain_text("a keyword", text, 1, 50).and_then(|word| {
        if word.contains('\n') {
            Err(Invalid::new("forbidden_character", "a keyword stands on one line").nearest(word.replace('\n', " ")))
        } else {
            Ok(word)
        }
    })
);
text_type!(
    /// A caption that the user published, as they published it: up to 2200 characters.
    Sample,
    |text| plain_text("a sample", text, 1, 2200)
);
text_type!(
    /// An edited caption as it was published: up to 63206 characters, the most that any platform takes.
    FinalText,
    |text| plain_text("a final text", text, 1, 63_206)
);
text_type!(
    /// How the brand speaks: up to 500 characters.
    BrandVoice,
    |text| plain_text("a brand voice", text, 1, 500)
);
text_type!(
    /// Free wishes for this caption: up to 1000 characters.
    Instructions,
    |text| plain_text("instructions", text, 1, 1000)
);
text_type!(
    /// A hashtag that the user always adds, without `#`: 1-50 letters, digits and `_`, at least one letter.
    BrandTag,
    |text| {
        let tag = text.trim().trim_start_matches(['#', '＃']);
        if (1..=50).contains(&tag.chars().count()) && crate::text::is_tag_body(tag) {
            return Ok(tag.into());
        }
        let letters = crate::text::tag_text(tag);
        let nearest = crate::text::cut(&letters, 50);
        let broken = Invalid::new(
            "bad_format",
            "a hashtag is 1 to 50 letters, digits and _, with at least one letter",
        );
        Err(if crate::text::is_tag_body(nearest) { broken.nearest(nearest) } else { broken })
    }
);
text_type!(
    /// A BCP 47 tag with a registered primary language, in its usual case: `en`, `pt-BR`, `zh-Hant`.
    Language,
    |text| {
        let broken = || Invalid::new("bad_format", "a language is a BCP 47 tag such as en, pt-BR or zh-Hant").nearest("en");
        let tag = oxilangtag::LanguageTag::parse_and_normalize(&text.trim().replace('_', "-")).map_err(|_| broken())?;
        let primary = tag.primary_language();
        let registered = match primary.len() {
            2 => isolang::Language::from_639_1(primary).is_some(),
            3 => isolang::Language::from_639_3(primary).is_some(),
            _ => false,
        };
        if !registered {
            return Err(broken());
        }
        Ok(tag.into_inner())
    }
);

impl Description {
    /// What a given caption says, as what is known of its post: its beginning, if it is longer than a description may be.
    pub(crate) fn of_caption(text: &str) -> Self {
        Self(crate::text::cut(text.trim(), 2000).to_owned())
    }
}

impl Language {
    /// The primary subtag, as in `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// The English name of the primary language, for prompts.
    pub fn english_name(&self) -> &'static str {
        let primary = self.primary();
        isolang::Language::from_639_1(primary)
            .or_else(|| isolang::Language::from_639_3(primary))
            .map_or("English", |language| language.to_name())
    }
}

impl Default for Language {
    fn default() -> Self {
        Self("en".into())
    }
}

impl FromStr for Language {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

/// The whole number of a value that is known to be one of a `u16`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers have checked range and wholeness"
)]
const fn whole(number: f64) -> u16 {
    number as u16
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a setting between 0 and 2 needs no more than single precision"
)]
const fn single(number: f64) -> f32 {
    number as f32
}

/// A number type with a range.
macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident($inner:ty) by $take:expr, $what:literal, $min:literal..=$max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name($inner);

        impl $name {
            /// The smallest and the largest value.
            pub const RANGE: ($inner, $inner) = ($min, $max);

            /// Checks and takes the number; [`Invalid`] names the nearest bound.
            pub fn new(number: f64) -> Result<Self, Invalid> {
                let (min, max) = (f64::from($min), f64::from($max));
                let whole = std::mem::size_of::<$inner>() == 2;
                if !(min..=max).contains(&number) {
                    let nearest = if number > max { max } else { min };
                    return Err(Invalid::new("out_of_range", format!("{} is {} to {}", $what, $min, $max)).nearest(nearest));
                }
                if whole && number.fract() != 0.0 {
                    return Err(Invalid::new("bad_format", format!("{} is a whole number", $what)).nearest(number.round()));
                }
                Ok(Self($take(number)))
            }

            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = Invalid;
            fn try_from(number: f64) -> Result<Self, Invalid> { Self::new(number) }
        }
        impl From<$name> for f64 {
            fn from(value: $name) -> Self { value.0.into() }
        }
    };
}

number_type!(
    /// The most code points that the published text may have, tags included.
    MaxChars(u16) by whole, "max_chars", 20u16..=63206u16
);
number_type!(
    /// The most code points that a given caption may have after it was changed, tags included.
    TargetChars(u16) by whole, "target_chars", 20u16..=10000u16
);
number_type!(
    /// How many hashtags; what is above the platform's dated cap is lowered to it with a warning.
    HashtagCount(u16) by whole, "hashtag_count", 0u16..=30u16
);
number_type!(
    /// How many different captions.
    Variants(u16) by whole, "variants", 1u16..=10u16
);

impl Variants {
    /// One and no other.
    pub const ONE: Self = Self(1);
    /// As many as are shown side by side.
    pub const THREE: Self = Self(3);
}
number_type!(
    /// Sampling temperature as the OpenAI wire format means it.
    Temperature(f32) by single, "temperature", 0.0f32..=2.0f32
);

number_type!(
    /// What a caption was worth to its user: 1 (bad) to 5 (good).
    Rating(u16) by whole, "rating", 1u16..=5u16
);
number_type!(
    /// One of a caption's variants, by its place from 0: there are at most [`MAX_VARIANTS`](crate::more::MAX_VARIANTS).
    VariantIndex(u16) by whole, "variant", 0u16..=29u16
);

/// The most keywords, and the most words to avoid.
pub const MAX_KEYWORDS: usize = 20;

/// The most captions of their own that a user keeps as samples.
pub const MAX_SAMPLES: usize = 20;

/// A checked request. `None` means "not said": the user's preference counts, else the default.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of its own in the requests that people write"
)]
pub struct CaptionRequest {
    pub description: Description,
    pub user: Option<UserId>,
    pub campaign: Option<CampaignId>,
    pub tone: Option<Tone>,
    pub style: Option<Style>,
    pub audience: Option<Audience>,
    pub content_type: ContentType,
    pub platform: Option<Platform>,
    /// Another set of the platform's rules than the present one.
    pub profile: Option<Profile>,
    pub language: Option<Language>,
    pub length: Option<Length>,
    pub max_chars: Option<MaxChars>,
    pub emoji: Option<Emoji>,
    pub cta: Option<Cta>,
    /// Words that the caption should contain; at most [`MAX_KEYWORDS`].
    pub keywords: Vec<Keyword>,
    /// Words that the caption must not contain, added to those of the preferences; at most [`MAX_KEYWORDS`].
    pub avoid: Vec<Keyword>,
    pub hashtag_count: Option<HashtagCount>,
    pub variants: Variants,
    pub brand_voice: Option<BrandVoice>,
    pub instructions: Option<Instructions>,
    /// A paid post: the caption must disclose it before the fold.
    pub sponsored: bool,
    /// A picture of the post, for writers that can look at one.
    pub image: Option<Image>,
    pub cache: CacheUse,
    /// Ask this provider of the chain and no other.
    pub provider: Option<ProviderName>,
    /// Keep the caption in the history.
    pub store: bool,
    /// Accept a stale, local or template answer when the providers fail.
    pub allow_fallback: bool,
    pub seed: Option<u64>,
    pub temperature: Option<Temperature>,
    /// Write one that this user has not seen yet.
    pub regenerate: bool,
}

impl CaptionRequest {
    /// A request that leaves everything but the description to preferences and defaults.
    pub const fn new(description: Description) -> Self {
        Self {
            description,
            user: None,
            campaign: None,
            tone: None,
            style: None,
            audience: None,
            content_type: ContentType::Post,
            platform: None,
            profile: None,
            language: None,
            length: None,
            max_chars: None,
            emoji: None,
            cta: None,
            keywords: Vec::new(),
            avoid: Vec::new(),
            hashtag_count: None,
            variants: Variants(1),
            brand_voice: None,
            instructions: None,
            sponsored: false,
            image: None,
            cache: CacheUse::Use,
            provider: None,
            store: true,
            allow_fallback: true,
            seed: None,
            temperature: None,
            regenerate: false,
        }
    }
}

#[cfg(test)]
mod tests;
