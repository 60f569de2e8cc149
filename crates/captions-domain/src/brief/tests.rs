use rstest::rstest;

use super::*;
use crate::request::{Description, HashtagCount, MaxChars};

fn request() -> CaptionRequest {
    CaptionRequest::new(Description::new("A pair of white sneakers").unwrap())
}

fn word(text: &str) -> Keyword {
    Keyword::new(text).unwrap()
}

#[test]
fn request_goes_over_preference_and_preference_over_default() {
    let preferences = Preferences {
        tone: Some(Tone::Formal),
        emoji: Some(Emoji::Many),
        keywords: vec![word("comfort")],
        avoid: vec![word("cheap")],
        ..Preferences::default()
    };
    let request = CaptionRequest {
        tone: Some(Tone::Funny),
        avoid: vec![word("old")],
        ..request()
    };

    let (brief, warnings) = Brief::resolve(&request, &preferences);

    assert_eq!(
        (brief.tone, brief.emoji, brief.style),
        (Tone::Funny, Emoji::Many, Style::Casual)
    );
    assert_eq!(brief.keywords, [word("comfort")]);
    assert_eq!(
        brief.avoid,
        [word("old"), word("cheap")],
        "what a user never wants holds in every request"
    );
    assert!(warnings.is_empty());
}

#[rstest]
#[case(Platform::Instagram, 30.0, 5, true)]
#[case(Platform::Instagram, 5.0, 5, false)]
#[case(Platform::Facebook, 30.0, 30, false)]
#[case(Platform::Threads, 2.0, 1, true)]
fn more_hashtags_than_the_platform_allows_are_lowered_with_a_warning(
    #[case] platform: Platform,
    #[case] asked: f64,
    #[case] given: usize,
    #[case] warned: bool,
) {
    let request = CaptionRequest {
        platform: Some(platform),
        hashtag_count: Some(HashtagCount::new(asked).unwrap()),
        ..request()
    };

    let (brief, warnings) = Brief::resolve(&request, &Preferences::default());

    assert_eq!((brief.hashtag_count, !warnings.is_empty()), (given, warned));
    assert!(
        warnings
            .iter()
            .all(|warning| warning.code == "hashtag_count_lowered" && warning.detail.contains("2026"))
    );
}

#[rstest]
#[case(None, 2200, false)]
#[case(Some(100.0), 100, false)]
#[case(Some(5000.0), 2200, true)]
fn a_limit_above_the_platforms_is_lowered_with_a_warning(
    #[case] asked: Option<f64>,
    #[case] limit: usize,
    #[case] warned: bool,
) {
    let request = CaptionRequest {
        max_chars: asked.map(|max| MaxChars::new(max).unwrap()),
        ..request()
    };

    let (brief, warnings) = Brief::resolve(&request, &Preferences::default());

    assert_eq!((brief.max_chars, !warnings.is_empty()), (limit, warned));
    assert!(brief.target_chars.1 <= limit);
}

#[rstest]
#[case::the_platforms_limit_is_below_the_bucket(Platform::X, Length::Long, None, (140, 280))]
#[case::the_callers_limit_is(Platform::Instagram, Length::Short, Some(30.0), (15, 30))]
#[case::a_large_platform_asks_for_no_book(Platform::Facebook, Length::Max, None, (1201, 2200))]
fn a_length_that_does_not_fit_becomes_one_that_does(
    #[case] platform: Platform,
    #[case] length: Length,
    #[case] max_chars: Option<f64>,
    #[case] target: (usize, usize),
) {
    let request = CaptionRequest {
        platform: Some(platform),
        length: Some(length),
        max_chars: max_chars.map(|max| MaxChars::new(max).unwrap()),
        ..request()
    };

    assert_eq!(Brief::resolve(&request, &Preferences::default()).0.target_chars, target);
}

#[rstest]
#[case(Platform::Instagram, None, 5, None)]
#[case(Platform::Instagram, Some(Profile::Legacy30), 12, None)]
#[case::of_another_platform(Platform::Threads, Some(Profile::Legacy30), 1, Some("profile_unknown"))]
fn a_profile_of_the_platform_counts_and_another_is_told(
    #[case] platform: Platform,
    #[case] profile: Option<Profile>,
    #[case] hashtags: usize,
    #[case] warned: Option<&str>,
) {
    let request = CaptionRequest {
        platform: Some(platform),
        profile,
        hashtag_count: Some(HashtagCount::new(12.0).unwrap()),
        ..request()
    };

    let (brief, warnings) = Brief::resolve(&request, &Preferences::default());

    assert_eq!(brief.hashtag_count, hashtags);
    assert_eq!(
        brief.rules().max_hashtags,
        PlatformRules::of_profile(platform, brief.profile).unwrap().max_hashtags
    );
    assert_eq!(
        warnings
            .iter()
            .find(|warning| warning.code == "profile_unknown")
            .map(|w| w.code.as_str()),
        warned
    );
}

#[test]
fn required_words_samples_and_card_come_from_the_preferences() {
    let samples = ["we bake", "we sell", "we rest"].map(|text| Sample::new(text).unwrap());
    let preferences = Preferences {
        required: vec![word("Aurora"), word("Rye")],
        samples: samples.to_vec(),
        ..Preferences::default()
    }
    .measured();
    let request = CaptionRequest {
        avoid: vec![word("rye")],
        ..request()
    };

    let (brief, _) = Brief::resolve(&request, &preferences);

    assert_eq!(brief.required, [word("Aurora")], "the request goes first");
    assert_eq!(brief.samples, samples);
    assert!(brief.style_card.is_some() && brief.style_card == preferences.style_card);
}
