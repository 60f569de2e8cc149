use rstest::rstest;

use super::*;
use crate::{
    platform::PlatformRules,
    request::{CaptionText, Description, TargetChars},
    rewrite::{RewriteRequest, wish},
    user::Preferences,
};

fn done(text: &str, operation: Operation, preferences: &Preferences) -> Work {
    let request = RewriteRequest {
        sponsored: text.starts_with("Sponsored"),
        ..RewriteRequest::new(CaptionText::new(text).unwrap(), operation.clone())
    };
    let parts = Parts::of(text);
    let wish = wish::resolve(&request, &parts, preferences);
    let mut work = Work::on(parts);
    apply(&operation, &mut work, &wish.after);
    work
}

fn shorten(text: &str, to: u16) -> Work {
    let to = TargetChars::new(f64::from(to)).unwrap();
    done(text, Operation::Shorten(to), &Preferences::default())
}

const LONG: &str = "The first loaves came out at six. It was a morning like any other morning here. \
    The rye costs €4 until Friday. Come by.\n\n#Bread #Lisbon #RyeBread";

#[rstest]
#[case::it_fits(200, LONG)]
#[case::the_emptiest_sentence_goes(
    125,
    "The first loaves came out at six. The rye costs €4 until Friday. Come by.\n\n#Bread #Lisbon #RyeBread"
)]
#[case::then_what_fits_with_fewer_tags(
    80,
    "The first loaves came out at six. The rye costs €4 until Friday.\n\n#RyeBread"
)]
#[case::the_first_sentence_and_a_tag(50, "The first loaves came out at six.\n\n#RyeBread")]
#[case::the_first_sentence(40, "The first loaves came out at six.")]
#[case::words_of_it(25, "The first loaves came…")]
fn a_text_is_shortened_by_what_says_least(#[case] to: u16, #[case] expected: &str) {
    let work = shorten(LONG, to);

    assert_eq!(work.published(), expected);
    assert!(work.published().chars().count() <= usize::from(to));
    assert_eq!(work.repairs.is_empty(), to == 200);
}

#[test]
fn paragraphs_stay_apart_when_their_last_sentence_goes() {
    let work = shorten(
        "Bread is out.\nIt is a nice thing to have. A nice thing it is.\n\nOpen from 7:30.",
        45,
    );

    assert_eq!(work.published(), "Bread is out.\n\nOpen from 7:30.");
}

#[rstest]
#[case::spaces("Fresh  bread , today !  Come  in .", "Fresh bread, today! Come in.")]
#[case::rows_of_signs("Bread!!! Really??? Wait.....", "Bread! Really? Wait...")]
#[case::both_signs_stay("Really?! Yes...", "Really?! Yes...")]
#[case::what_is_no_punctuation(
    "A smile :) and .5 l at 10:30, 1,200.50 €",
    "A smile :) and .5 l at 10:30, 1,200.50 €"
)]
#[case::letters("𝗙𝗿𝗲𝘀𝗵 bread", "Fresh bread")]
#[case::begging(
    "Bread is out. Tag a friend who needs some!\n\nCome by.",
    "Bread is out.\n\nCome by."
)]
#[case::nothing_but_begging("Tag a friend!", "Tag a friend!")]
#[case::joined_emoji_and_joiners("Us 👨‍👩‍👧‍👦  می‌خواهم क्‍ष", "Us 👨‍👩‍👧‍👦 می‌خواهم क्‍ष")]
#[case::repeated_tags("Bread.\n\n#Bread #bread #Rye", "Bread.\n\n#Bread #Rye")]
#[case::too_many_tags(
    "Bread and rye in Lisbon.\n\n#Sunset #Bread #Love #Rye #Lisbon #Cat #Dog",
    "Bread and rye in Lisbon.\n\n#Sunset #Bread #Love #Rye #Lisbon"
)]
#[case::too_many_tags_within("#A1 #b2 #c3 #d4 #e5 #f6 and #1", "#A1 #b2 #c3 #d4 #e5 f6 and #1")]
#[case::a_paid_post("Sponsored races are here.", "Ad: Sponsored races are here.")]
fn rules_fix(#[case] text: &str, #[case] expected: &str) {
    let work = done(text, Operation::Fix, &Preferences::default());

    assert_eq!(work.published(), expected);
    assert_eq!(work.repairs.is_empty(), text == expected, "{:?}", work.repairs);
}

#[test]
fn french_keeps_the_space_before_its_signs() {
    let text = "Le pain est sorti du four ! Venez nous voir, il est encore chaud .";

    let work = done(text, Operation::Fix, &Preferences::default());

    assert_eq!(
        work.published(),
        "Le pain est sorti du four ! Venez nous voir, il est encore chaud."
    );
}

#[test]
fn emoji_go_where_the_user_wants_none() {
    let preferences = Preferences {
        emoji: Some(Emoji::None),
        ..Preferences::default()
    };

    assert_eq!(
        done("Bread 🍞 is out!", Operation::Fix, &preferences).published(),
        "Bread is out!"
    );
}

#[rstest]
#[case::threads(Platform::Threads, "Bread from Lisbon.\n\n#Bread")]
#[case::x(Platform::X, "Bread from Lisbon.\n\n#Bread #Lisbon")]
#[case::instagram(Platform::Instagram, "Bread from Lisbon.\n\n#Cat #Bread #Lisbon #Rye")]
fn a_text_is_adapted_to_the_platform(#[case] platform: Platform, #[case] expected: &str) {
    let text = "Bread from Lisbon.\n\n#Cat #Bread #Lisbon #Rye";

    assert_eq!(
        done(text, Operation::Adapt(platform), &Preferences::default()).published(),
        expected
    );
}

#[test]
fn what_is_too_long_for_a_platform_is_cut_by_its_own_count() {
    let text = format!("{}\n\n#Bread", "Bread is out of the oven 🎉. ".repeat(30));

    for platform in Platform::ALL {
        let work = done(&text, Operation::Adapt(*platform), &Preferences::default());
        let broken = check::platform_violations(&work.published(), &PlatformRules::of(*platform));
        assert_eq!(broken, [], "{platform}");
        assert!(
            work.published().starts_with("Bread is out of the oven 🎉."),
            "{platform}"
        );
    }
}

#[rstest]
#[case::an_announcement("We bake rye. Let that sink in. Come by.", "We bake rye. Come by.")]
#[case::a_sentence_with_a_fact_stays("Elevate your day for €4. Come by.", "Elevate your day for €4. Come by.")]
#[case::a_sentence_that_says_something_stays("Nestled in Lisbon. Come by.", "Nestled in Lisbon. Come by.")]
#[case::the_only_sentence_stays("Let that sink in.", "Let that sink in.")]
#[case::shouting("Bread! Rye! Come! Now!", "Bread! Rye. Come. Now.")]
#[case::shouting_in_full_width("焼きたて！早い者勝ち！！来てね！", "焼きたて！早い者勝ち。来てね。")]
fn worn_phrases_go_where_nothing_is_lost(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(
        done(text, Operation::DeCliche, &Preferences::default()).published(),
        expected
    );
}

#[test]
fn brand_tags_are_the_last_to_go() {
    let preferences = Preferences {
        brand_tags: vec![crate::request::BrandTag::new("CasaAna").unwrap()],
        ..Preferences::default()
    };
    let text = "Bread from Lisbon.\n\n#Bread #Lisbon #casaana";

    assert_eq!(
        done(text, Operation::Adapt(Platform::Threads), &preferences).published(),
        "Bread from Lisbon.\n\n#casaana"
    );
}

#[test]
fn links_are_told_of_where_they_cannot_be_clicked() {
    assert!(advice(Platform::Instagram, "Order at www.ana.example").is_some());
    assert!(advice(Platform::X, "Order at www.ana.example").is_none());
    assert!(advice(Platform::Instagram, "Order here").is_none());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn rules_never_invent_and_never_break_a_sign(text in crate::rewrite::preserved::tests::caption(), to in 20_u16..200) {
        let to = TargetChars::new(f64::from(to)).unwrap();
        let operations = [Operation::Shorten(to), Operation::Fix, Operation::DeCliche, Operation::Adapt(Platform::Threads)];
        for operation in operations {
            let work = done(&text, operation.clone(), &Preferences::default());
            let invented = crate::rewrite::preserved::check(&text, &work.published(), "").invented;
            // A tag cut at its end, and a number that loses its neighbour, read differently.
            let is_new = |token: &tokens::Token| matches!(token.kind, tokens::Kind::Emoji | tokens::Kind::Mention);
            proptest::prop_assert!(!invented.iter().any(is_new), "{:?}: {:?} became {:?}", operation, text, work.published());
            if let Operation::Shorten(to) = operation {
                proptest::prop_assert!(work.published().chars().count() <= usize::from(to.get()));
            }
        }
    }
}

#[test]
fn a_description_keeps_what_it_names() {
    let text = "We bake rye. Nestled in Lisbon, it shines. Come by.";
    let request = RewriteRequest {
        description: Some(Description::new("Our bakery in Lisbon").unwrap()),
        ..RewriteRequest::new(CaptionText::new(text).unwrap(), Operation::DeCliche)
    };
    let parts = Parts::of(text);
    let wish = wish::resolve(&request, &parts, &Preferences::default());
    let mut work = Work::on(parts);

    apply(&Operation::DeCliche, &mut work, &wish.after);

    assert_eq!(work.published(), text);
}

/// Each took seconds once, up to three quarters of a minute.
#[rstest]
#[case::words_and_tags(&(words(720) + "\n\n" + &tags(800)), 200)]
#[case::more_sentences_than_are_weighed(&"Ad. ".repeat(2_490), 2_000)]
#[case::many_sentences(&(sentences(440, "The bread is") + "\n\n#Bread #Rye #Lisbon"), 2_000)]
#[case::many_worn_sentences(&sentences(450, "We embark on"), 2_000)]
#[case::numbers(&"1ж".repeat(4_990), 2_000)]
fn the_longest_texts_are_shortened_without_delay(#[case] text: &str, #[case] to: u16) {
    let text = text.trim();
    let work = shorten(text, to);
    let published = work.published().chars().count();

    assert!(
        (usize::from(to) / 2..=usize::from(to)).contains(&published),
        "{published}"
    );
}

#[test]
fn a_text_of_worn_phrases_loses_all_but_one_at_once() {
    let text = "We embark on bread. ".repeat(450) + "We bake rye.";

    let work = done(&text, Operation::DeCliche, &Preferences::default());

    assert_eq!(work.published(), "We embark on bread. We bake rye.");
}

fn word(number: usize) -> String {
    let letter = |at: usize| char::from(b'a' + u8::try_from(at % 26).unwrap());
    [letter(number), 'o', letter(number / 26), 'a', letter(number / 7)]
        .iter()
        .collect()
}

fn words(count: usize) -> String {
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn tags(count: usize) -> String {
    (0..count)
        .map(|number| format!("#{}", word(number + 900)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn sentences(count: usize, start: &str) -> String {
    (0..count)
        .map(|number| format!("{start} {}.", word(number)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[rstest]
#[case::opening_hours(
    "We open 9 – 17 daily — come by — or call — or write.",
    "We open 9 – 17 daily, come by, or call, or write."
)]
#[case::years("Since 1990—2026 — so long — we — bake.", "Since 1990—2026, so long, we, bake.")]
#[case::at_the_edge_of_a_line("Bread — rye — oat — spelt.\n— Ana", "Bread, rye, oat, spelt.\n— Ana")]
#[case::what_nobody_flagged("Bread – and rye — here — and — there.", "Bread – and rye, here, and, there.")]
#[case::spanish(
    "¡Hola! ¡Pan nuevo hoy! ¡Ven a verlo! ¿Vienes? ¡Ya!",
    "¡Hola! Pan nuevo hoy. Ven a verlo. ¿Vienes? Ya."
)]
#[case::a_row_of_signs("¡Hola! ¡¡¡Pan nuevo!!! ¡Ven!", "¡Hola! Pan nuevo. Ven.")]
#[case::open_only("Hola! Pan nuevo! ¡Ven! ¡Ya", "Hola! Pan nuevo. Ven. ¡Ya")]
fn dashes_and_shouting_are_set_right(#[case] text: &str, #[case] expected: &str) {
    let work = done(text, Operation::DeCliche, &Preferences::default());

    assert_eq!(work.published(), expected);
}
