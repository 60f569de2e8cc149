//! The report, rule by rule, at the limits and one beyond.

use proptest::{prelude::*, sample::select};
use rstest::rstest;

use super::*;
use crate::{
    choice::Profile,
    platform::{About, RULES_AS_OF},
    text::{Place, hashtags},
};

const FAMILY: &str = "👨‍👩‍👧‍👦";

fn of(text: &str, platform: Platform) -> Report {
    report_on(text, &Terms::of_platform(PlatformRules::of(platform)))
}

fn verdict<'a>(report: &'a Report, rule: &str) -> &'a Verdict {
    report.rules.iter().find(|verdict| verdict.rule == rule).unwrap()
}

#[test]
fn every_platform_takes_a_text_at_its_limit_and_none_beyond() {
    for platform in Platform::ALL {
        let most = PlatformRules::of(*platform).max_chars;
        let at = of(&"a".repeat(most), *platform);
        let beyond = of(&("a".repeat(most) + "bc"), *platform);

        assert!(at.publishable, "{platform}: {:?}", at.violations());
        assert_eq!(verdict(&at, "length").verdict, Standing::Near);
        let length = verdict(&beyond, "length");
        assert_eq!((length.verdict, length.hard), (Standing::Broken, true), "{platform}");
        assert_eq!(
            length.spans,
            [Place {
                text: "bc".into(),
                start: most,
                end: most + 2
            }]
        );
        assert_eq!(length.limit, most.to_string());
        assert!(!length.source.is_empty() && length.as_of.as_deref().unwrap() <= RULES_AS_OF);
    }
}

#[rstest]
#[case::code_points(Platform::Instagram, FAMILY, 314, 315)]
#[case::utf16(Platform::Tiktok, FAMILY, 200, 201)]
#[case::graphemes(Platform::Bluesky, "🐶", 300, 301)]
#[case::bytes_beside_graphemes(Platform::Bluesky, FAMILY, 120, 121)]
#[case::bytes(Platform::Youtube, "é", 2500, 2501)]
#[case::emoji_by_their_bytes(Platform::Threads, "🐶", 125, 126)]
#[case::letters_of_threads_by_one(Platform::Threads, "日", 500, 501)]
#[case::weighted(Platform::X, "日", 140, 141)]
#[case::weighted_emoji(Platform::X, FAMILY, 140, 141)]
#[case::weighted_links(Platform::X, "https://example.com/0123456789/ ", 11, 12)]
fn what_a_platform_counts_decides(
    #[case] platform: Platform,
    #[case] piece: &str,
    #[case] fits: usize,
    #[case] too_many: usize,
) {
    let violations = |count: usize| of(&piece.repeat(count), platform).violations();

    assert_eq!(violations(fits), []);
    assert!(
        violations(too_many)
            .iter()
            .any(|violation| violation.rule == "too_long")
    );
}

#[rstest]
#[case(Platform::Instagram, 5, true)]
#[case(Platform::Tiktok, 5, true)]
#[case(Platform::Threads, 1, true)]
#[case(Platform::Youtube, 15, true)]
#[case(Platform::X, 2, false)]
#[case(Platform::Facebook, 2, false)]
#[case(Platform::Linkedin, 5, false)]
fn hashtags_beyond_a_cap_are_broken_and_beyond_advice_are_told(
    #[case] platform: Platform,
    #[case] most: usize,
    #[case] hard: bool,
) {
    let at = of(&("ok".to_owned() + &" #a".repeat(most)), platform);
    let beyond = of(&("ok".to_owned() + &" #a".repeat(most) + "#b"), platform);

    assert_eq!(verdict(&at, "hashtags").verdict, Standing::Ok);
    let told = verdict(&beyond, "hashtags");
    assert_eq!(told.verdict, if hard { Standing::Broken } else { Standing::Advice });
    assert_eq!(
        told.spans.iter().map(|place| place.text.as_str()).collect::<Vec<_>>(),
        ["#b"]
    );
    assert_eq!((told.hard, beyond.publishable), (hard, !hard));
}

#[test]
fn links_and_signs_are_rules_of_some_platforms() {
    let links = "a.co ".repeat(6);

    assert_eq!(of(&links, Platform::Threads).violations()[0].rule, "too_many_links");
    assert_eq!(of(&links[5..], Platform::Threads).violations(), []);
    let instagram = of("more at anna.com", Platform::Instagram);
    assert_eq!(verdict(&instagram, "links").verdict, Standing::Advice);
    assert_eq!(verdict(&instagram, "links").spans[0].start, 8);
    assert!(instagram.publishable);
    let youtube = of("I <3 rain", Platform::Youtube);
    assert_eq!(youtube.violations()[0].rule, "forbidden_character");
    assert_eq!(verdict(&youtube, "forbidden_characters").spans[0].start, 2);
}

#[rstest]
#[case("en", "Fresh bread. Tag a friend who loves it!", Standing::Advice)]
#[case("en", "Fresh bread. Who is in?", Standing::Ok)]
#[case("de", "Frisches Brot. Markiere einen Freund!", Standing::Advice)]
fn begging_for_reactions_is_against_advice(#[case] language: &str, #[case] text: &str, #[case] standing: Standing) {
    let language = language.parse().unwrap();
    let terms = Terms {
        language: Some(&language),
        ..Terms::of_platform(PlatformRules::of(Platform::Instagram))
    };

    let report = report_on(text, &terms);

    let bait = verdict(&report, "engagement_bait");
    assert_eq!(
        (bait.verdict, bait.spans.is_empty()),
        (standing, standing == Standing::Ok)
    );
    assert!(report.publishable);
}

#[rstest]
#[case(Platform::Instagram, &"a".repeat(125), Standing::Ok)]
#[case(Platform::Instagram, &"a".repeat(126), Standing::Advice)]
#[case(Platform::Instagram, "a\nb\nc", Standing::Ok)]
#[case(Platform::Instagram, "a\nb\nc\nd", Standing::Advice)]
fn what_the_fold_hides_is_told_as_advice(#[case] platform: Platform, #[case] text: &str, #[case] standing: Standing) {
    let report = of(text, platform);

    assert_eq!(verdict(&report, "fold").verdict, standing);
    assert_eq!(verdict(&report, "fold").limit, "125 in 3 lines");
    assert!(report.publishable);
}

#[test]
fn a_platform_that_hides_nothing_has_no_fold() {
    for platform in [Platform::Threads, Platform::X, Platform::Bluesky] {
        let report = of("a\nb\nc\nd\ne\nf", platform);

        assert!(report.rules.iter().all(|verdict| verdict.rule != "fold"));
    }
}

#[test]
fn what_some_clients_count_otherwise_is_advice_about_a_users_own_text() {
    let text = FAMILY.repeat(201);

    let report = of(&text, Platform::Instagram);

    let utf16 = verdict(&report, "length_in_utf16");
    assert_eq!(
        (utf16.verdict, utf16.value.as_str(), utf16.hard),
        (Standing::Advice, "2211", false)
    );
    assert!(report.publishable);
}

#[test]
fn the_report_names_the_profile_and_the_alt_text_where_there_is_one() {
    let rules = PlatformRules::of_profile(Platform::Instagram, Profile::Legacy30).unwrap();
    let report = report_on("rain", &Terms::of_platform(rules));

    assert_eq!(report.profile, Profile::Legacy30);
    assert!(report.rules.iter().all(|verdict| verdict.rule != "alt_text"));
    let with = |length: usize| report.clone().with_alt_text(&"é".repeat(length), &rules);
    assert!(with(1000).publishable);
    assert_eq!(with(1001).violations()[0].rule, "alt_text_too_long");
    let threads = PlatformRules::of(Platform::Threads);
    let unknown = of("rain", Platform::Threads).with_alt_text(&"é".repeat(9000), &threads);
    assert!(unknown.publishable && threads.rules.iter().all(|rule| rule.about != About::AltText));
}

#[test]
fn a_word_that_stands_a_thousand_times_is_shown_a_hundred_times() {
    let request = CaptionRequest {
        avoid: vec![Keyword::new("so").unwrap()],
        ..CaptionRequest::new(Description::new("A pair of white sneakers").unwrap())
    };
    let (brief, _) = Brief::resolve(&request, &Preferences::default());

    let report = report(&"so ".repeat(700), &brief);

    assert_eq!(verdict(&report, "avoided_words").spans.len(), 100);
}

const WORDS: &[&str] = &[
    "new shoes",
    "new",
    "cheap",
    "don't",
    "咖啡",
    "🔥",
    "été",
    "ΟΔΟΣ",
    "İstanbul",
    "straße",
    "क्‍षण",
];

proptest! {
    #[test]
    fn spans_cut_the_text_where_they_say_and_only_broken_hard_rules_forbid(
        pieces in proptest::collection::vec(
            prop_oneof![
                select(WORDS).prop_map(str::to_owned),
                select(&["#a", "#new", "#NewShoes", "@ana", "anna.com", "<", "👨‍👩‍👧‍👦", "Don’t", "NEW  Shoes", "new\nshoes", "renewed", "Tag a friend!"][..]).prop_map(str::to_owned),
                ".{0,12}",
            ],
            0..40,
        ),
        platform in select(Platform::ALL),
        avoid in proptest::collection::vec(select(WORDS), 0..4),
        required in proptest::collection::vec(select(WORDS), 0..3),
        most in 20_usize..400,
        flags in any::<(bool, bool, bool)>(),
    ) {
        let text = pieces.join(" ");
        let keywords = |words: Vec<&str>| -> Vec<Keyword> { words.into_iter().map(|word| Keyword::new(word).unwrap()).collect() };
        let language = crate::request::Language::default();
        let (avoid, required) = (keywords(avoid), keywords(required));
        let terms = Terms {
            strict: flags.0,
            max_chars: Some(most),
            avoid: &avoid,
            required: &required,
            without_emoji: flags.1,
            sponsored: flags.2,
            language: Some(&language),
            ..Terms::of_platform(PlatformRules::of(platform))
        };

        let report = report_on(&text, &terms);

        for verdict in &*report.rules {
            for place in &verdict.spans {
                let cut: String = text.chars().skip(place.start).take(place.end - place.start).collect();
                prop_assert_eq!(&cut, &place.text, "{}", verdict.rule);
                prop_assert!(!place.text.is_empty());
            }
            prop_assert!(verdict.hard || verdict.verdict != Standing::Broken);
            prop_assert!(!verdict.hard || verdict.verdict != Standing::Advice);
        }
        let broken = report.rules.iter().filter(|verdict| verdict.verdict == Standing::Broken).count();
        prop_assert_eq!(report.violations().len(), broken);
        prop_assert_eq!(report.publishable, broken == 0);
        prop_assert_eq!(verdict(&report, "length").value.parse::<usize>().unwrap(), text::length_in(terms.rules.unit, &text));
        if let Some(told) = report.rules.iter().find(|verdict| verdict.rule == "hashtags") {
            prop_assert_eq!(told.value.parse::<usize>().unwrap(), hashtags(&text).len());
        }
        for word in &avoid {
            let places = phrase_places(&text, word.as_str(), 100);
            prop_assert_eq!(contains_phrase(&text, word.as_str()), !places.is_empty(), "{} in {:?}", word, text);
        }
    }
}
