//! What a request to change a caption comes to, with the user's standing wishes: the briefs by which both texts are judged.

use super::{Operation, RewriteRequest, parts::Parts};
use crate::{
    brief::Brief,
    caption::Warning,
    choice::Length,
    cliche::{self, Manner},
    platform::PlatformRules,
    reply::language,
    request::{CaptionRequest, Description, HashtagCount, Language, MaxChars},
    text,
    user::Preferences,
};

/// The resolved request.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What the given text is judged by. It differs from `after` only in the language of a translation.
    pub before: Brief,
    pub after: Brief,
    /// The language of the new text, where it was said or is plain from the text: an answer must be in it.
    pub language: Option<Language>,
    pub warnings: Vec<Warning>,
}

/// Resolves: request over preference over default, as for a new caption.
pub fn resolve(request: &RewriteRequest, parts: &Parts, preferences: &Preferences) -> Wish {
    let spoken = language::of(&parts.caption);
    let own = request.language.clone().or(spoken);
    let wanted = match &request.operation {
        Operation::Translate(language) => Some(language.clone()),
        _ => own.clone(),
    };
    let description = request.description.clone().unwrap_or_else(|| {
        let language = own.clone().unwrap_or_default();
        Description::of_caption(&without_worn_phrases(&parts.caption, &language))
    });
    let mut wishes = CaptionRequest {
        platform: match &request.operation {
            Operation::Adapt(platform) => Some(*platform),
            _ => request.platform,
        },
        profile: request.profile,
        language: wanted.clone(),
        tone: match &request.operation {
            Operation::Tone(tone) => Some(*tone),
            _ => None,
        },
        max_chars: limit(&request.operation),
        sponsored: request.sponsored,
        provider: request.provider.clone(),
        seed: request.seed,
        ..CaptionRequest::new(description)
    };
    let platform = wishes.platform.or(preferences.platform).unwrap_or_default();
    let profile = request.profile.unwrap_or_default();
    let rules = PlatformRules::of_profile(platform, profile).unwrap_or_else(|| PlatformRules::of(platform));
    let inside = text::hashtags(&parts.caption).len();
    let there = parts.tags.len() + inside;
    if !matches!(request.operation, Operation::Adapt(_)) || preferences.hashtag_count.is_none() {
        // As many as there are: nobody asked for another number. Elsewhere other numbers are usual.
        let usual = match request.operation {
            Operation::Adapt(_) => rules.default_hashtags,
            _ => rules.max_hashtags,
        };
        wishes.hashtag_count = HashtagCount::new(f64::from(u16::try_from(there.min(usual)).unwrap_or(0))).ok();
    }
    let (mut after, mut warnings) = Brief::resolve(&wishes, preferences);
    warnings.retain(|warning| matches!(warning.code.as_str(), "max_chars_lowered" | "profile_unknown"));
    after.target_chars = (1, after.max_chars);
    after.length = Length::Max;
    // They are wishes for new captions; this one says what it says.
    after.keywords.clear();
    let before = Brief {
        language: own.unwrap_or_else(|| after.language.clone()),
        ..after.clone()
    };
    Wish {
        before,
        after,
        language: wanted,
        warnings,
    }
}

/// The most characters of the new text.
fn limit(operation: &Operation) -> Option<MaxChars> {
    let target = match operation {
        Operation::Shorten(target) => Some(*target),
        Operation::Expand(target) => *target,
        _ => None,
    };
    target.and_then(|target| MaxChars::new(f64::from(target.get())).ok())
}

/// What a caption says, as its own description. Worn phrases are left out: they would count as the user's own words, and
/// never as worn.
fn without_worn_phrases(caption: &str, language: &Language) -> String {
    let worn: Vec<_> = cliche::find(caption, language, "")
        .into_iter()
        .filter(|marker| matches!(marker.manner, Manner::Phrase | Manner::Reveal | Manner::Announcement))
        .map(|marker| marker.place)
        .collect();
    (caption.chars().enumerate())
        .filter(|(index, _)| !worn.iter().any(|place| (place.start..place.end).contains(index)))
        .map(|(_, c)| c)
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        choice::{Platform, Profile, Tone},
        request::{BrandTag, CaptionText, Keyword, TargetChars},
        rewrite::rules::{self, Work},
    };

    fn wish(text: &str, operation: Operation, preferences: &Preferences) -> Wish {
        let request = RewriteRequest::new(CaptionText::new(text).unwrap(), operation);
        resolve(&request, &Parts::of(text), preferences)
    }

    fn language(tag: &str) -> Language {
        Language::new(tag).unwrap()
    }

    #[rstest]
    #[case::what_is_plain_from_the_text("El pan acaba de salir del horno y la puerta está abierta.", "es", Some("es"))]
    #[case::else_the_preference("Pão!", "pt", None)]
    fn the_language_is(#[case] text: &str, #[case] spoken: &str, #[case] sure: Option<&str>) {
        let preferences = Preferences {
            language: Some(language("pt")),
            ..Preferences::default()
        };

        let wish = wish(text, Operation::Fix, &preferences);

        assert_eq!(
            (wish.before.language.as_str(), wish.after.language.as_str()),
            (spoken, spoken)
        );
        assert_eq!(wish.language.as_ref().map(Language::as_str), sure);
    }

    #[test]
    fn a_translation_is_judged_in_its_own_language() {
        let text = "The loaves came out at six and the counter is full.";

        let wish = wish(text, Operation::Translate(language("pt-BR")), &Preferences::default());

        assert_eq!(wish.before.language.as_str(), "en");
        assert_eq!(wish.after.language.as_str(), "pt-BR");
        assert_eq!(wish.language, Some(language("pt-BR")));
    }

    #[test]
    fn standing_wishes_count_as_far_as_they_concern_a_given_text() {
        let preferences = Preferences {
            avoid: vec![Keyword::new("cheap").unwrap()],
            keywords: vec![Keyword::new("brunch").unwrap()],
            brand_tags: vec![BrandTag::new("CasaAna").unwrap()],
            platform: Some(Platform::Threads),
            ..Preferences::default()
        };

        let wish = wish("Bread. #a #b #c", Operation::Tone(Tone::Formal), &preferences);

        assert_eq!((wish.after.avoid.len(), wish.after.keywords.len()), (1, 0));
        assert_eq!(
            (wish.after.platform, wish.after.tone),
            (Platform::Threads, Tone::Formal)
        );
        assert_eq!((wish.after.max_chars, wish.after.hashtag_count), (500, 1));
        assert_eq!(wish.warnings, []);
    }

    #[test]
    fn a_target_is_the_limit_as_far_as_the_platform_allows() {
        let to = |chars: f64| Operation::Shorten(TargetChars::new(chars).unwrap());
        let preferences = Preferences {
            platform: Some(Platform::X),
            ..Preferences::default()
        };

        assert_eq!(wish("Bread.", to(125.0), &preferences).after.max_chars, 125);
        let above = wish("Bread.", to(9000.0), &preferences);
        assert_eq!((above.after.max_chars, above.warnings.len()), (280, 1));
    }

    #[rstest]
    #[case::now(Platform::Instagram, None, 5, 2_200, 0)]
    #[case::as_it_was(Platform::Instagram, Some(Profile::Legacy30), 12, 2_200, 0)]
    #[case::paid(Platform::X, Some(Profile::Premium), 12, 25_000, 0)]
    #[case::of_another(Platform::Threads, Some(Profile::Premium), 1, 500, 1)]
    fn the_rules_of_the_profile_count(
        #[case] platform: Platform,
        #[case] profile: Option<Profile>,
        #[case] tags: usize,
        #[case] chars: usize,
        #[case] warnings: usize,
    ) {
        let text = "Bread.\n\n#a #b #c #d #e #f #g #h #i #j #k #l";
        let request = RewriteRequest {
            platform: Some(platform),
            profile,
            ..RewriteRequest::new(CaptionText::new(text).unwrap(), Operation::Fix)
        };
        let parts = Parts::of(text);
        let mut work = Work::on(parts.clone());

        let wish = resolve(&request, &parts, &Preferences::default());
        rules::apply(&Operation::Fix, &mut work, &wish.after);

        assert_eq!((wish.after.rules().max_chars, work.parts.tags.len()), (chars, tags));
        assert_eq!(wish.warnings.len(), warnings, "{:?}", wish.warnings);
    }

    #[test]
    fn a_caption_is_its_own_description_without_its_worn_phrases() {
        let wish = wish(
            "Nestled in Lisbon, we bake bread.",
            Operation::DeCliche,
            &Preferences::default(),
        );

        assert_eq!(wish.after.description.as_str(), "in Lisbon, we bake bread.");
    }
}
