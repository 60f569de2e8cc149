//! The user's own captions as examples.

use super::*;
use crate::{request::Sample, voice::measure};

fn own(texts: &[&str]) -> Vec<OwnCaption> {
    texts
        .iter()
        .map(|text| OwnCaption {
            text: (*text).to_owned(),
        })
        .collect()
}

fn nearest(description: &str, texts: &[&str]) -> Vec<String> {
    let (brief, own) = (brief(&describing(description)), own(texts));
    examples::nearest(&brief, &own).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_nearest_in_topic_come_first_and_length_decides_among_equals() {
    let long = format!("Sunday at the beach. {}", "We walked and walked. ".repeat(20));
    let texts = [
        "Sunday at the beach with nothing to do but listen to the waves and eat cherries.",
        &long,
        "Fresh loaves out of the oven, and the whole street smells of them this morning.",
        "New shoes.",
    ];

    let shown = nearest("Baking a sourdough loaf in our oven at dawn", &texts);

    assert!(shown[0].starts_with("Fresh loaves"), "{shown:?}");
    assert_eq!(shown[1], texts[0]);
    assert_eq!(shown.len(), 4);
}

#[test]
fn no_more_than_six_and_no_more_than_fits_are_shown_each_once() {
    let short: Vec<String> = (0..20)
        .map(|number| format!("Bread number {number} is out of the oven."))
        .collect();
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    let long: Vec<String> = (0..6)
        .map(|number| format!("{number} {}", "Bread again, and more of it. ".repeat(40)))
        .collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();

    assert_eq!(nearest("Bread from the oven", &short).len(), 6);
    assert_eq!(
        nearest(
            "Bread from the oven",
            &["The bread.", "The bread.", " The bread. #bread"]
        ),
        ["The bread."]
    );
    let shown = nearest("Bread from the oven", &long);
    assert!(shown.iter().map(|text| text.chars().count()).sum::<usize>() <= 2400);
    assert!(
        shown
            .iter()
            .all(|text| text.chars().count() <= 600 && text.ends_with('.')),
        "{shown:?}"
    );
    assert!(shown.len() >= 3);
}

#[test]
fn hashtags_at_the_end_and_captions_of_nothing_are_not_shown() {
    assert_eq!(
        nearest("Bread", &["Warm bread. #bread #oven", "🍞🍞", "#one #two", "  "]),
        ["Warm bread."]
    );
}

#[test]
fn they_stand_in_the_data_of_the_full_wording_only() {
    let prompt = render(
        &brief(&describing("Bread")),
        &own(&["Warm \"bread\"."]),
        Format::Variants,
        None,
    );

    assert!(prompt.user.contains(r#""own_captions": ["Warm \"bread\"."]"#));
    assert!(!prompt.words(Size::Compact).1.contains("Warm"));
}

#[test]
fn samples_of_the_preferences_count_as_own_captions() {
    let brief = Brief {
        samples: vec![Sample::new("Bread day. Come hungry.").unwrap()],
        ..brief(&describing("Bread"))
    };

    let own = own(&["Bread day. Come hungry.", "Bread again."]);
    let shown = examples::nearest(&brief, &own);

    assert_eq!(shown.len(), 2);
    assert!(shown.contains(&"Bread day. Come hungry."));
}

#[test]
fn the_style_card_is_told_in_sentences_and_as_data() {
    let texts = [
        "we bake at five. you sleep! 🍞",
        "we bake again. 🍞",
        "we close at noon.",
    ];
    let language = "en".parse().unwrap();
    let card = measure(&texts.map(|text| Sample::new(text).unwrap()), &language);
    let brief = Brief {
        style_card: card,
        ..brief(&describing("Bread"))
    };

    let prompt = render(&brief, &[], Format::Variants, None);

    let voice = prompt
        .user
        .lines()
        .find(|line| line.starts_with("\"voice\": "))
        .unwrap();
    for told in [
        "measured on 3 captions",
        "about 4 words in a sentence",
        "no questions",
        "without any capital letter",
        "speaks as I or we",
        "begins with: we bake",
        "emoji: 🍞",
    ] {
        assert!(voice.contains(told), "{told}: {voice}");
    }
    assert!(!prompt.words(Size::Compact).1.contains("voice"));
}

#[test]
fn openings_that_were_seen_are_named_so_that_they_do_not_come_again() {
    let brief = brief(&describing("Bread"));
    let seen: Vec<String> = (0..12)
        .map(|number| format!("Opening {number} that goes on and on and on and on\nand on"))
        .collect();

    let prompt = Templates::default().render(&Question {
        seen: &seen,
        ..Question::new(&brief, Format::Variants)
    });

    assert!(
        prompt
            .user
            .contains(r#""openings_used_before": ["Opening 0 that goes on and on and on and", "#),
        "{}",
        prompt.user
    );
    assert!(prompt.user.contains("Opening 9") && !prompt.user.contains("Opening 10"));
}
