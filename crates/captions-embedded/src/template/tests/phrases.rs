use std::collections::{BTreeSet, HashMap};

use captions_domain::{
    bait,
    brief::Brief,
    choice::{Audience, Style, Tone},
    cliche,
    polish::polish,
    reply::Draft,
    request::{CaptionRequest, Language},
    user::Preferences,
};
use captions_testkit::build::description;
use rstest::rstest;

use super::{
    super::phrases::{Phrases, Register, as_sentence, disclosures},
    LANGUAGES,
};

fn of(tag: &str) -> &'static Phrases {
    Phrases::of(&Language::new(tag).unwrap()).unwrap()
}

#[rstest]
fn every_tone_style_and_call_to_action_has_its_lines(
    #[values("en", "es", "fr", "de", "it", "pt", "ru", "ja", "ko", "zh", "zh-Hant")] tag: &str,
) {
    let phrases = of(tag);

    for tone in Tone::ALL {
        let register = Register::of(*tone, Style::Casual);
        assert!(phrases.lines("lead", register.name()).len() >= 3, "{tag} {tone}");
        assert!(phrases.lines("ending", register.name()).len() >= 3, "{tag} {tone}");
        for kind in ["question", "save", "visit", "comment"] {
            assert!(!phrases.address(kind, register).is_empty(), "{tag} {kind}");
        }
    }
    if LANGUAGES.contains(&tag) {
        for audience in Audience::ALL {
            let speaks = !matches!(audience, Audience::General | Audience::GenZ | Audience::Millennials);
            assert_eq!(
                !phrases.lines("audience", audience.as_str()).is_empty(),
                speaks,
                "{tag} {audience}"
            );
        }
        for style in [
            "educational",
            "storytelling",
            "promotional",
            "inspirational",
            "luxury",
            "creative",
            "detailed",
        ] {
            assert!(!phrases.lines("style", style).is_empty(), "{tag} {style}");
        }
    }
}

#[rstest]
fn no_line_is_taken_for_one_in_another_language(
    #[values("en", "es", "fr", "de", "it", "pt", "ru", "ja", "ko", "zh", "zh-Hant")] tag: &str,
) {
    let wanted = CaptionRequest {
        language: Language::new(tag).ok(),
        ..CaptionRequest::new(description("Bread 3D"))
    };
    let brief = Brief::resolve(&wanted, &Preferences::default()).0;
    for (kind, key, line) in of(tag).all() {
        let variant = polish(&Draft::plain(&format!("Bread 3D. {line}")), &brief);
        let is_taken = variant.repairs.iter().any(|repair| repair.contains("another language"));
        assert!(!is_taken, "{tag} {kind} {key}: {line}");
    }
}

#[test]
fn languages_with_all_lines_ask_about_the_same_topics() {
    let topics = |tag: &str| {
        let of_topics = of(tag).all().filter(|(kind, _, _)| *kind == "topic");
        of_topics.map(|(_, name, _)| name).collect::<BTreeSet<&str>>()
    };

    for tag in LANGUAGES {
        let missing = topics("en").difference(&topics(tag)).count();
        assert!(missing <= 6 && topics(tag).len() >= 30, "{tag} lacks {missing}");
    }
}

#[rstest]
fn every_line_can_stand_where_its_kind_stands(
    #[values("en", "es", "fr", "de", "it", "pt", "ru", "ja", "ko", "zh", "zh-Hant")] tag: &str,
) {
    let language = Language::new(tag).unwrap();
    let mut seen: HashMap<&str, (&str, &str)> = HashMap::new();
    for (kind, key, line) in of(tag).all() {
        let ends: &[char] = match kind {
            "lead" | "style" | "audience" => &[':', '：'],
            "question" | "topic" => &['?', '？'],
            // Some ask to visit by a question.
            "visit" => &['.', '。', '?'],
            _ => &['.', '。'],
        };
        assert!(line.ends_with(ends), "[{kind}.{key}] {line}");
        assert!(line.chars().count() <= 60, "{line}");
        assert!(!line.chars().next().unwrap().is_lowercase(), "{line}");
        assert!(!line.contains('!') && !line.chars().any(char::is_numeric), "{line}");
        if let Some(other) = seen.insert(line, (kind, key)) {
            assert!(
                other.0 == kind && kind != "lead" && kind != "ending",
                "[{kind}.{key}] {line} stands in {other:?}, too"
            );
        }
        // Nothing that the score takes for a machine's, or a platform for begging.
        assert_eq!(cliche::find(line, &language, ""), [], "{line}");
        assert_eq!(bait::find(line, &language), [], "{line}");
    }
}

#[rstest]
#[case::english("Worth sharing:", "Worth sharing.")]
#[case::french("À partager :", "À partager.")]
#[case::chinese("想和大家分享：", "想和大家分享。")]
#[case::a_sentence("As it is.", "As it is.")]
fn a_lead_can_be_a_sentence(#[case] lead: &str, #[case] sentence: &str) {
    assert_eq!(as_sentence(lead), sentence);
}

#[rstest]
#[case::simplified("zh", "你怎么看？")]
#[case::of_a_region("zh-TW", "你怎麼看？")]
#[case::traditional("zh-Hant-HK", "你怎麼看？")]
fn chinese_is_written_in_the_signs_that_were_asked_for(#[case] tag: &str, #[case] question: &str) {
    assert_eq!(of(tag).address("question", Register::Warm)[0], question);
}

#[test]
fn a_language_without_lines_has_none_and_a_disclosure_all_the_same() {
    assert!(Phrases::of(&Language::new("nl").unwrap()).is_none());
    assert_eq!(disclosures("ar")[0], "Ad:");
}
