use captions_domain::{
    brief::Brief,
    check::{self, contains_phrase},
    choice::{Audience, Cta, Emoji, Length, Platform, Profile, Style, Tone},
    platform::PlatformRules,
    polish::polish,
    reply::Draft,
    request::{CaptionRequest, MaxChars, Variants},
    text,
    user::Preferences,
    voice::{Casing, StyleCard},
};
use captions_testkit::build::keyword;
use rstest::rstest;

use super::{BREAD, brief, caption, drafts, language, request};

#[rstest]
#[case::bread("fresh sourdough bread", Emoji::Few, "🍞")]
#[case::two_things("coffee and a croissant on the beach", Emoji::Few, "☕🥐")]
#[case::nothing_known("something unusual", Emoji::Few, "😊")]
#[case::its_own("something unusual 🦔", Emoji::Few, "")]
#[case::many("coffee on the beach", Emoji::Many, "☕🏖️😊💛")]
#[case::none("coffee on the beach 🏖️", Emoji::None, "")]
#[case::german("frischer kaffee am strand", Emoji::Few, "☕🏖️")]
#[tokio::test]
async fn emoji_follow_the_description_and_the_wish(#[case] about: &str, #[case] emoji: Emoji, #[case] added: &str) {
    let request = CaptionRequest {
        emoji: Some(emoji),
        language: language("nl"),
        ..request(about)
    };

    let caption = caption(&request).await;

    let own = if emoji == Emoji::None {
        String::new()
    } else {
        text::emoji(about).collect()
    };
    assert_eq!(text::emoji(&caption).collect::<String>(), format!("{own}{added}"));
    assert!(!text::is_emoji(text_start(&caption)), "{caption}");
}

fn text_start(text: &str) -> &str {
    &text[..text.chars().next().map_or(0, char::len_utf8)]
}

#[rstest]
#[case::english("en", "Ad: Fresh")]
#[case::german("de", "Anzeige: Fresh")]
#[case::spanish("es", "Publicidad: Fresh")]
#[case::french("fr", "Publicité : Fresh")]
#[case::italian("it", "Pubblicità: Fresh")]
#[case::dutch("nl", "Advertentie: Fresh")]
#[case::japanese("ja", "広告： Fresh")]
#[case::arabic("ar", "Ad: Fresh")]
#[tokio::test]
async fn a_paid_post_says_so_first(#[case] tag: &str, #[case] start: &str) {
    let request = CaptionRequest {
        language: language(tag),
        sponsored: true,
        variants: Variants::new(6.0).unwrap(),
        ..request(BREAD)
    };

    for draft in drafts(&request).await {
        let word = start.strip_suffix("Fresh").unwrap();
        assert!(draft.text().starts_with(word), "{}", draft.text());
        assert_eq!(check::violations(&draft.text(), &brief(&request)), []);
    }
    assert!(caption(&request).await.starts_with(start));
}

#[tokio::test]
async fn a_profile_has_the_room_that_it_pays_for() {
    let long = "We bake our rye bread in the old stone oven by the river. ".repeat(30);
    let request = |profile| CaptionRequest {
        platform: Some(Platform::X),
        profile,
        length: Some(Length::Long),
        ..request(&long)
    };

    let premium = caption(&request(Some(Profile::Premium))).await;
    let free = caption(&request(None)).await;

    assert!(premium.chars().count() > 400, "{premium}");
    assert!(
        text::length_in(PlatformRules::of(Platform::X).unit, &free) <= 280,
        "{free}"
    );
}

#[rstest]
#[case::ours("en", "Ad: fresh bread", "Ad: Fresh bread.")]
#[case::another_word(
    "de",
    "Gesponsert: frisches Brot aus dem Ofen",
    "Gesponsert: Frisches Brot aus dem Ofen."
)]
#[case::in_brackets("en", "[Ad] fresh bread", "[Ad] Fresh bread.")]
#[case::a_tag("en", "#ad fresh bread", "Ad: Fresh bread.")]
#[case::a_tag_of_the_language("de", "#Werbung frisches Brot aus dem Ofen", "Anzeige: Frisches Brot aus dem Ofen.")]
#[case::in_the_sentence("en", "fresh bread, sponsored by the mill", "Fresh bread, sponsored by the mill.")]
#[case::none_of_its_own("en", "ad hoc bread", "Ad: Ad hoc bread.")]
#[tokio::test]
async fn a_disclosure_of_the_users_own_is_not_doubled(#[case] tag: &str, #[case] about: &str, #[case] expected: &str) {
    let request = CaptionRequest {
        sponsored: true,
        language: language(tag),
        variants: Variants::new(10.0).unwrap(),
        ..request(about)
    };

    assert!(
        caption(&request).await.starts_with(expected),
        "{}",
        caption(&request).await
    );
    let brief = brief(&request);
    for draft in drafts(&request).await {
        let variant = polish(&draft, &brief);
        assert!(
            !variant.repairs.iter().any(|repair| repair.contains("disclosure")),
            "{}: {:?}",
            draft.text(),
            variant.repairs
        );
    }
}

#[rstest]
#[case::a_sentence("We love bread. Cheap rolls today.", &["cheap"], "We love bread.")]
#[case::a_clause("Fresh bread, cheap rolls, open daily", &["cheap"], "Fresh bread. Open daily.")]
#[case::a_word("the cheap bread is here", &["CHEAP"], "The bread is here.")]
#[case::a_phrase("the very cheap bread is here", &["very cheap"], "The bread is here.")]
#[case::several("cheap nasty old bread", &["old", "cheap", "nasty"], "Bread.")]
#[case::the_subject("Two kids feeding ducks at the pond", &["ducks", "kids"], "At the pond.")]
#[case::the_object("We baked bread with our rye starter", &["bread"], "With our rye starter.")]
#[case::the_whole("We love bread", &["bread"], "…")]
#[case::not_part_of_a_word("cheaply made bread", &["cheap"], "Cheaply made bread.")]
#[case::a_growing_letter("İyi ekmek burada", &["i\u{307}yi"], "Ekmek burada.")]
#[case::a_tag("fresh #Cheap bread", &["cheap"], "Fresh bread.")]
#[tokio::test]
async fn what_is_to_be_avoided_goes(#[case] about: &str, #[case] avoid: &[&str], #[case] expected: &str) {
    let request = CaptionRequest {
        avoid: avoid.iter().map(|word| keyword(word)).collect(),
        language: language("nl"),
        ..request(about)
    };

    assert_eq!(caption(&request).await, expected);
}

#[tokio::test]
async fn phrases_with_a_word_to_be_avoided_are_not_used() {
    let request = CaptionRequest {
        avoid: ["share", "shared", "stopping", "think", "sharing"]
            .map(keyword)
            .to_vec(),
        variants: Variants::new(10.0).unwrap(),
        ..request(BREAD)
    };

    let texts: Vec<String> = drafts(&request).await.iter().map(Draft::text).collect();

    assert!(
        texts.iter().any(|text| text.contains("What would you add?")),
        "{texts:?}"
    );
    for text in texts {
        for word in &request.avoid {
            assert!(!contains_phrase(&text, word.as_str()), "{word}: {text}");
        }
    }
}

#[rstest]
#[case::where_two_sentences_meet(BREAD, "shelf. thanks", 125)]
#[case::where_a_word_is_cut("Donaudampfschifffahrtsgesellschaft", "donaudampfschifffah", 20)]
#[tokio::test]
async fn what_is_to_be_avoided_does_not_come_about_either(#[case] about: &str, #[case] avoid: &str, #[case] max: u16) {
    let request = CaptionRequest {
        emoji: Some(Emoji::None),
        max_chars: Some(MaxChars::new(max.into()).unwrap()),
        variants: Variants::new(10.0).unwrap(),
        ..request(about)
    };
    let contains = |texts: &[Draft]| texts.iter().any(|draft| contains_phrase(&draft.text(), avoid));
    let careless = drafts(&request).await;
    let careful = drafts(&CaptionRequest {
        avoid: vec![keyword(avoid)],
        ..request
    })
    .await;

    assert!(contains(&careless), "{careless:?}");
    assert!(!contains(&careful), "{careful:?}");
}

#[rstest]
#[case::with_phrases("en")]
#[case::without("nl")]
#[tokio::test]
async fn a_description_of_nothing_but_forbidden_words_still_gives_a_text(#[case] tag: &str) {
    let request = CaptionRequest {
        avoid: vec![keyword("cheap"), keyword("bread")],
        language: language(tag),
        ..request("cheap bread")
    };

    let caption = caption(&request).await;

    assert!(!caption.is_empty());
    assert!(
        !contains_phrase(&caption, "cheap") && !contains_phrase(&caption, "bread"),
        "{caption}"
    );
}

#[rstest]
#[case::english("en", "\n\nrye · oven")]
#[case::dutch("nl", "\n\nrye · oven")]
#[tokio::test]
async fn missing_keywords_stand_in_a_line_of_their_own(#[case] tag: &str, #[case] expected: &str) {
    let request = CaptionRequest {
        language: language(tag),
        keywords: ["rye", "sourdough", "oven"].map(keyword).to_vec(),
        ..request(BREAD)
    };

    let caption = caption(&request).await;

    assert!(caption.contains(expected), "{caption}");
    assert_eq!(caption.matches("sourdough").count(), 1, "{caption}");
}

#[tokio::test]
async fn keywords_that_do_not_fit_are_left_out() {
    let long: Vec<_> = (0..20)
        .map(|number| keyword(&format!("a rather long keyword number {number}")))
        .collect();
    let request = CaptionRequest {
        keywords: long,
        ..request(BREAD)
    };

    let caption = caption(&request).await;

    assert!(
        caption.starts_with("Fresh sourdough loaves on a wooden shelf."),
        "{caption}"
    );
    assert!(caption.contains("\n\na rather long keyword number 0"), "{caption}");
    assert!(caption.chars().count() <= 125);
}

#[rstest]
#[case::a_grave(
    "White flowers on my grandmother's grave",
    Tone::Friendly,
    Emoji::Few,
    "White flowers on my grandmother's grave. 🌸"
)]
#[case::passed_away(
    "My dog passed away last night",
    Tone::Playful,
    Emoji::Many,
    "My dog passed away last night."
)]
#[case::a_breach(
    "We had a data breach in our app",
    Tone::Professional,
    Emoji::Few,
    "We had a data breach in our app."
)]
#[case::respectful("Elders at the gate", Tone::Respectful, Emoji::Few, "Elders at the gate.")]
#[case::formal("Coffee at the gate", Tone::Formal, Emoji::Few, "Coffee at the gate. ☕")]
#[tokio::test]
async fn nobody_is_thanked_or_cheered_where_it_may_hurt(
    #[case] about: &str,
    #[case] tone: Tone,
    #[case] emoji: Emoji,
    #[case] expected: &str,
) {
    let mut request = CaptionRequest {
        tone: Some(tone),
        emoji: Some(emoji),
        variants: Variants::new(10.0).unwrap(),
        ..request(about)
    };

    assert_eq!(drafts(&request).await[0].text(), expected);
    for draft in drafts(&request).await {
        let text = draft.text().to_lowercase();
        for cheer in ["thank", "happy", "appreciate", "😊", "✨"] {
            assert!(!text.contains(cheer), "{text}");
        }
    }
    request.cta = Some(Cta::Comment);
    assert!(caption(&request).await.ends_with("in the comments."));
}

#[rstest]
#[case::german("de", "Das Grab meiner Großmutter", "Das Grab meiner Großmutter.")]
#[case::not_german("de", "Es war ein guter Tag", "Es war ein guter Tag. ")]
#[case::spanish("es", "Mi abuelo falleció ayer", "Mi abuelo falleció ayer.")]
#[tokio::test]
async fn sad_words_are_those_of_the_language(#[case] tag: &str, #[case] about: &str, #[case] expected: &str) {
    let request = CaptionRequest {
        language: language(tag),
        ..request(about)
    };

    let caption = caption(&request).await;

    assert_eq!(caption.len() > expected.len(), expected.ends_with(' '), "{caption}");
}

#[tokio::test]
async fn a_calm_voice_gets_no_emoji_that_nothing_calls_for() {
    let request = CaptionRequest {
        tone: Some(Tone::Calm),
        emoji: Some(Emoji::Many),
        ..request("something unusual")
    };

    assert_eq!(text::emoji(&caption(&request).await).count(), 0);
}

#[rstest]
#[case::audience(Style::Casual, Audience::Food, &["One for the hungry: fresh", "For everybody who loves to eat: fresh"])]
#[case::style(Style::Storytelling, Audience::General, &["A little story: fresh", "The story goes like this: fresh"])]
#[tokio::test]
async fn style_and_audience_are_spoken_to(#[case] style: Style, #[case] audience: Audience, #[case] starts: &[&str]) {
    let request = CaptionRequest {
        style: Some(style),
        audience: Some(audience),
        variants: Variants::new(3.0).unwrap(),
        ..request(BREAD)
    };

    let texts: Vec<String> = drafts(&request).await.iter().map(Draft::text).collect();

    let speaks = |text: &String| starts.iter().any(|start| text.starts_with(start));
    assert!(texts.iter().any(speaks), "{texts:?}");
}

#[tokio::test]
async fn a_minimalist_gets_no_line_to_come_to_a_length() {
    let request = CaptionRequest {
        style: Some(Style::Minimalist),
        tone: Some(Tone::Formal),
        length: Some(Length::Medium),
        ..request("Fog")
    };

    assert_eq!(caption(&request).await, "Fog.");
}

#[tokio::test]
async fn a_short_description_is_brought_to_the_wished_length_but_not_padded_without_end() {
    let of = |length| CaptionRequest {
        length: Some(length),
        ..request("Homemade strawberry jam")
    };

    let (short, medium, long) = (
        caption(&of(Length::Short)).await,
        caption(&of(Length::Medium)).await,
        caption(&of(Length::Long)).await,
    );

    assert!((40..=125).contains(&short.chars().count()), "{short}");
    assert!(
        medium.chars().count() > short.chars().count() && medium.contains("\n\n"),
        "{medium}"
    );
    assert!(long.chars().count() < 250, "{long}");
}

#[rstest]
#[case::room(400, "Fresh sourdough loaves on a wooden shelf. ")]
#[case::hardly_any_room(40, "Fresh")]
fn words_that_must_be_there_are_there(#[case] max: u16, #[case] start: &str) {
    let preferences = Preferences {
        required: vec![keyword("Casa Verde"), keyword("loaves")],
        ..Preferences::default()
    };
    let request = CaptionRequest {
        max_chars: Some(MaxChars::new(max.into()).unwrap()),
        cta: Some(Cta::Save),
        ..request(BREAD)
    };
    let brief = Brief::resolve(&request, &preferences).0;

    for draft in super::super::angles::drafts(&brief, 3, 0, &[]) {
        assert!(contains_phrase(&draft.text(), "casa verde"), "{}", draft.text());
    }
    assert!(
        super::super::angles::drafts(&brief, 1, 0, &[])[0]
            .text()
            .starts_with(start)
    );
}

#[test]
fn somebody_who_writes_small_gets_small_letters_and_the_usual_emoji() {
    let preferences = Preferences {
        style_card: Some(StyleCard {
            casing: Casing::Lower,
            favourite_emoji: vec!["🧡".to_owned()],
            ..StyleCard::default()
        }),
        ..Preferences::default()
    };
    let request = CaptionRequest {
        emoji: Some(Emoji::Few),
        ..request("something unusual. it hums")
    };
    let brief = Brief::resolve(&request, &preferences).0;

    for draft in super::super::angles::drafts(&brief, 5, 0, &[]) {
        let text = draft.text();
        assert!(!text.chars().any(char::is_uppercase), "{text}");
        assert!(text.contains('🧡'), "{text}");
    }
}

#[tokio::test]
async fn a_question_is_not_answered_with_another_one() {
    let request = CaptionRequest {
        variants: Variants::new(10.0).unwrap(),
        ..request("Would you swim in a lake in November?")
    };

    for draft in drafts(&request).await {
        assert_eq!(draft.text().matches('?').count(), 1, "{}", draft.text());
    }
}

#[tokio::test]
async fn one_asks_about_what_the_first_sentence_is_about() {
    let ask = |about: &str| CaptionRequest {
        cta: Some(Cta::Question),
        ..request(about)
    };

    assert!(
        caption(&ask("Two espressos at the bar"))
            .await
            .ends_with("Coffee: black or with milk?")
    );
    let aside = caption(&ask("My brother moved out. He took the coffee.")).await;
    assert!(!aside.contains("milk"), "{aside}");
}
