//! The request and the preferences merged into what the writer is told: request over preference over default.

use serde::Serialize;

use crate::{
    caption::Warning,
    choice::{Audience, ContentType, Cta, Emoji, Length, Platform, Profile, Style, Tone},
    image::Image,
    platform::{PlatformRules, within},
    request::{
        BrandTag, BrandVoice, CaptionRequest, Description, Instructions, Keyword, Language, Sample, Temperature,
        Variants,
    },
    user::Preferences,
    voice::StyleCard,
};

/// Every wish resolved. Two equal briefs ask for the same caption.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Brief {
    pub description: Description,
    pub tone: Tone,
    pub style: Style,
    pub audience: Audience,
    pub content_type: ContentType,
    pub platform: Platform,
    /// Which of the platform's sets of rules; it always has this one.
    pub profile: Profile,
    pub language: Language,
    pub length: Length,
    /// The most that the published text may have, tags included: what was asked for or the platform's limit.
    pub max_chars: usize,
    /// First and last number of characters that the caption without its tags should have.
    pub target_chars: (usize, usize),
    /// Hashtags wanted, at most the platform's cap.
    pub hashtag_count: usize,
    pub emoji: Emoji,
    pub cta: Cta,
    pub keywords: Vec<Keyword>,
    /// Those of the request and of the preferences.
    pub avoid: Vec<Keyword>,
    /// Those of the preferences that the request does not ask to avoid.
    pub required: Vec<Keyword>,
    pub brand_tags: Vec<BrandTag>,
    pub brand_voice: Option<BrandVoice>,
    /// Captions that the user wrote themselves.
    pub samples: Vec<Sample>,
    /// What is usual in them.
    pub style_card: Option<StyleCard>,
    pub instructions: Option<Instructions>,
    pub sponsored: bool,
    /// Written as its digest, so that a key made of the brief depends on the picture and does not hold it.
    pub image: Option<Image>,
    pub variants: Variants,
    pub seed: Option<u64>,
    pub temperature: Option<Temperature>,
}

impl Brief {
    /// Merges, and says what had to be lowered to the platform's limits.
    pub fn resolve(request: &CaptionRequest, preferences: &Preferences) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let platform = request.platform.or(preferences.platform).unwrap_or_default();
        let wanted_profile = request.profile.unwrap_or_default();
        let rules = PlatformRules::of_profile(platform, wanted_profile).unwrap_or_else(|| {
            warnings.push(Warning::new(
                "profile_unknown",
                format!("{platform} has no profile {wanted_profile}; its present rules count"),
            ));
            PlatformRules::of(platform)
        });
        let wanted_tags = request
            .hashtag_count
            .or(preferences.hashtag_count)
            .map_or(rules.default_hashtags, |count| count.get().into());
        let hashtag_count = wanted_tags.min(rules.max_hashtags);
        if hashtag_count < wanted_tags {
            warnings.push(Warning::new(
                "hashtag_count_lowered",
                format!(
                    "{platform} allows {} hashtags (rules as of {}); {wanted_tags} were asked for",
                    rules.max_hashtags,
                    crate::platform::RULES_AS_OF
                ),
            ));
        }
        let length = request.length.or(preferences.length).unwrap_or_default();
        let wanted_chars = request.max_chars.map_or(rules.max_chars, |max| usize::from(max.get()));
        let max_chars = wanted_chars.min(rules.max_chars);
        let (from, to) = rules.length_bucket(length);
        if max_chars < wanted_chars {
            warnings.push(Warning::new(
                "max_chars_lowered",
                format!(
                    "{platform} allows {} characters; {wanted_chars} were asked for",
                    rules.max_chars
                ),
            ));
        }
        let required = preferences.required.iter();
        let required = required.filter(|word| !request.avoid.iter().any(|avoided| same_word(word, avoided)));
        let mut avoid = request.avoid.clone();
        for word in &preferences.avoid {
            if !avoid.contains(word) {
                avoid.push(word.clone());
            }
        }
        let brief = Self {
            description: request.description.clone(),
            tone: request.tone.or(preferences.tone).unwrap_or_default(),
            style: request.style.or(preferences.style).unwrap_or_default(),
            audience: request.audience.or(preferences.audience).unwrap_or_default(),
            content_type: request.content_type,
            platform,
            profile: rules.profile,
            language: request
                .language
                .clone()
                .or_else(|| preferences.language.clone())
                .unwrap_or_default(),
            length,
            max_chars,
            target_chars: within(from, to, max_chars),
            hashtag_count,
            emoji: request.emoji.or(preferences.emoji).unwrap_or_default(),
            cta: request.cta.or(preferences.cta).unwrap_or_default(),
            keywords: if request.keywords.is_empty() {
                preferences.keywords.clone()
            } else {
                request.keywords.clone()
            },
            required: required.cloned().collect(),
            avoid,
            brand_tags: preferences.brand_tags.clone(),
            brand_voice: request.brand_voice.clone().or_else(|| preferences.brand_voice.clone()),
            samples: preferences.samples.clone(),
            style_card: preferences.style_card.clone(),
            instructions: request.instructions.clone(),
            sponsored: request.sponsored,
            image: request.image.clone(),
            variants: request.variants,
            seed: request.seed,
            temperature: request.temperature,
        };
        (brief, warnings)
    }

    /// The rules of its platform.
    pub const fn rules(&self) -> PlatformRules {
        match PlatformRules::of_profile(self.platform, self.profile) {
            Some(rules) => rules,
            None => PlatformRules::of(self.platform),
        }
    }
}

/// True if both are the same word, in whatever case.
fn same_word(one: &Keyword, other: &Keyword) -> bool {
    one.as_str().to_lowercase() == other.as_str().to_lowercase()
}

#[cfg(test)]
mod tests;
