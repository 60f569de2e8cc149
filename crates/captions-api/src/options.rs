//! Everything that a form for captions offers: the choices, their defaults, and the platforms with their dated limits.

use captions_domain::{
    choice::{Audience, CacheUse, ContentType, Cta, Emoji, Length, Platform, Profile, Rewriting, Style, Tone, Verdict},
    platform::{About, PlatformRules, RULES_AS_OF, Rule},
    request::{HashtagCount, MAX_KEYWORDS, MAX_SAMPLES, MaxChars, Rating, TargetChars, Temperature, Variants},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What may be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OptionsDocument {
    pub tone: Choice,
    pub style: Choice,
    pub audience: Choice,
    pub content_type: Choice,
    pub platform: Choice,
    pub length: Choice,
    pub emoji: Choice,
    pub cta: Choice,
    pub cache: Choice,
    /// The operations of a rewrite.
    pub operation: Choice,
    /// What feedback says.
    pub verdict: Choice,
    /// The numbers that may be asked for, by field.
    pub numbers: Vec<Bounds>,
    /// The date of the platforms' rules.
    pub rules_as_of: &'static str,
    pub platforms: Vec<PlatformOptions>,
}

/// A closed list, and what is taken where nothing is said, neither in the request nor in the preferences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Choice {
    pub values: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub default: Option<&'static str>,
}

/// The least and the most of a field; of a list, how many entries.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Bounds {
    pub field: &'static str,
    pub min: f64,
    pub max: f64,
}

/// A platform with its sets of rules, the present one first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PlatformOptions {
    pub name: &'static str,
    pub profiles: Vec<ProfileOptions>,
}

/// One set of a platform's rules.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ProfileOptions {
    pub name: &'static str,
    /// The longest text, in `unit`.
    pub max_chars: usize,
    pub unit: &'static str,
    pub max_hashtags: usize,
    /// How many are written unless something else is asked for.
    pub default_hashtags: usize,
    /// `null`: as many as one likes.
    pub max_mentions: Option<usize>,
    /// What the feed shows before "more"; `null` where nothing is known to be hidden.
    pub fold: Option<FoldOptions>,
    /// The longest description of a picture, in code points.
    pub alt_text: Option<usize>,
    /// What each length means here, in characters.
    pub lengths: Vec<LengthRange>,
    pub rules: Vec<RuleSource>,
}

/// Where the feed cuts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FoldOptions {
    pub characters: usize,
    pub lines: Option<usize>,
}

/// A length by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LengthRange {
    pub name: &'static str,
    pub min: usize,
    pub max: usize,
}

/// A rule, where it is from and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleSource {
    pub about: &'static str,
    pub value: usize,
    pub unit: &'static str,
    /// False if it is only advice.
    pub hard: bool,
    pub source: &'static str,
    pub as_of: &'static str,
}

impl OptionsDocument {
    /// All of it. Nothing in it depends on settings or on who asks.
    pub fn all() -> Self {
        Self {
            tone: Choice::or(Tone::NAMES, Tone::default().as_str()),
            style: Choice::or(Style::NAMES, Style::default().as_str()),
            audience: Choice::or(Audience::NAMES, Audience::default().as_str()),
            content_type: Choice::or(ContentType::NAMES, ContentType::default().as_str()),
            platform: Choice::or(Platform::NAMES, Platform::default().as_str()),
            length: Choice::or(Length::NAMES, Length::default().as_str()),
            emoji: Choice::or(Emoji::NAMES, Emoji::default().as_str()),
            cta: Choice::or(Cta::NAMES, Cta::default().as_str()),
            cache: Choice::or(CacheUse::NAMES, CacheUse::default().as_str()),
            operation: Choice::required(Rewriting::NAMES),
            verdict: Choice::required(Verdict::NAMES),
            numbers: vec![
                bounds("variants", Variants::RANGE),
                bounds("max_chars", MaxChars::RANGE),
                bounds("hashtag_count", HashtagCount::RANGE),
                bounds("temperature", Temperature::RANGE),
                bounds("target_chars", TargetChars::RANGE),
                bounds("rating", Rating::RANGE),
                entries("keywords", MAX_KEYWORDS),
                entries("avoid", MAX_KEYWORDS),
                entries("samples", MAX_SAMPLES),
            ],
            rules_as_of: RULES_AS_OF,
            platforms: Platform::ALL.iter().map(|platform| of_platform(*platform)).collect(),
        }
    }
}

impl Choice {
    const fn or(values: &'static [&'static str], default: &'static str) -> Self {
        Self {
            values,
            default: Some(default),
        }
    }

    const fn required(values: &'static [&'static str]) -> Self {
        Self { values, default: None }
    }
}

fn bounds<N: Into<f64>>(field: &'static str, (min, max): (N, N)) -> Bounds {
    Bounds {
        field,
        min: min.into(),
        max: max.into(),
    }
}

fn entries(field: &'static str, most: usize) -> Bounds {
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    bounds(field, (0, most))
}

fn of_platform(platform: Platform) -> PlatformOptions {
    let profiles = Profile::ALL.iter();
    PlatformOptions {
        name: platform.as_str(),
        profiles: profiles
            .filter_map(|profile| PlatformRules::of_profile(platform, *profile))
            .map(|rules| of_profile(&rules))
            .collect(),
    }
}

fn of_profile(rules: &PlatformRules) -> ProfileOptions {
    let limited = |limit: usize| (limit < usize::MAX).then_some(limit);
    let lengths = Length::ALL.iter().map(|length| {
        let (min, max) = rules.length_bucket(*length);
        LengthRange {
            name: length.as_str(),
            min,
            max,
        }
    });
    ProfileOptions {
        name: rules.profile.as_str(),
        max_chars: rules.max_chars,
        unit: rules.unit.as_str(),
        max_hashtags: rules.max_hashtags,
        default_hashtags: rules.default_hashtags,
        max_mentions: limited(rules.max_mentions),
        fold: limited(rules.fold.0).map(|characters| FoldOptions {
            characters,
            lines: limited(rules.fold.1),
        }),
        alt_text: rules.alt_text,
        lengths: lengths.collect(),
        rules: rules.rules.iter().map(of_rule).collect(),
    }
}

fn of_rule(rule: &Rule) -> RuleSource {
    RuleSource {
        about: match rule.about {
            About::Length => "length",
            About::ForbiddenCharacters => "forbidden_characters",
            About::Hashtags => "hashtags",
            About::Mentions => "mentions",
            About::Links => "links",
            About::EngagementBait => "engagement_bait",
            About::Fold => "fold",
            About::AltText => "alt_text",
        },
        value: rule.value,
        unit: rule.unit,
        hard: rule.hard,
        source: rule.source,
        as_of: rule.as_of,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_form_can_be_made_of_it() {
        let options = serde_json::to_value(OptionsDocument::all()).unwrap();

        for (field, default) in [("tone", "friendly"), ("style", "casual"), ("platform", "instagram")] {
            assert_eq!(options[field]["default"], default);
            assert!(options[field]["values"].as_array().unwrap().contains(&default.into()));
        }
        let instagram = &options["platforms"][0];
        let names: Vec<&Value> = instagram["profiles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["name"])
            .collect();
        assert_eq!(instagram["name"], "instagram");
        assert_eq!(names, ["default", "legacy_30"]);
        let rules = &instagram["profiles"][0];
        assert_eq!(
            (&rules["max_chars"], &rules["max_hashtags"], &rules["fold"]),
            (&json!(2200), &json!(5), &json!({"characters": 125, "lines": 3}))
        );
        assert_eq!(rules["lengths"][0], json!({"name": "short", "min": 40, "max": 125}));
        assert_eq!(options["rules_as_of"], RULES_AS_OF);
    }

    #[test]
    fn every_platform_has_its_present_rules_first_and_each_rule_its_date() {
        let options = OptionsDocument::all();

        assert_eq!(options.platforms.len(), Platform::ALL.len());
        for platform in &options.platforms {
            assert_eq!(platform.profiles[0].name, "default", "{}", platform.name);
            for rule in platform.profiles.iter().flat_map(|profile| &profile.rules) {
                assert!(
                    !rule.as_of.is_empty() && !rule.source.is_empty(),
                    "{}: {rule:?}",
                    platform.name
                );
            }
        }
    }
}
