use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::rewrite::preserved::tests::caption;

const ALL: &[Kind] = &[
    Kind::Link,
    Kind::Mention,
    Kind::Hashtag,
    Kind::Number,
    Kind::Emoji,
    Kind::Name,
];

#[test]
fn pieces_are_covered_in_order_and_a_row_of_emoji_is_one() {
    let covered = cover(
        "By @ana 🎉🎉 at www.ana.example for €5 #pan",
        &[Kind::Mention, Kind::Emoji, Kind::Link],
    );

    assert_eq!(covered.text, "By ⟦1⟧ ⟦2⟧ at ⟦3⟧ for €5 #pan");
    assert_eq!(covered.pieces, ["@ana", "🎉🎉", "www.ana.example"]);
}

#[rstest]
#[case::as_asked("Por ⟦1⟧ en ⟦2⟧.", "Por @ana en 🎉.")]
#[case::moved("⟦2⟧ de ⟦1⟧", "🎉 de @ana")]
#[case::with_spaces("⟦ 1 ⟧ y [[2]]", "@ana y 🎉")]
#[case::twice("⟦1⟧ y ⟦1⟧ aquí ⟦2⟧", "@ana y aquí 🎉")]
#[case::never_given("⟦1⟧ ⟦2⟧ ⟦3⟧", "@ana 🎉")]
#[case::lost("Por ⟦1⟧", "Por @ana")]
#[case::no_sign("⟦x⟧ ⟦1", "⟦x⟧ ⟦1")]
#[case::huge("⟦99999999999999999999⟧ ⟦1⟧", "⟦99999999999999999999⟧ @ana")]
fn signs_are_put_back(#[case] answer: &str, #[case] text: &str) {
    assert_eq!(cover("By @ana 🎉", ALL).uncover(answer), text);
}

#[test]
fn our_own_signs_in_a_text_are_covered_too() {
    let covered = cover("Step ⟦1⟧ by @ana", &[Kind::Mention]);

    assert_eq!(covered.text, "Step ⟦1⟧1⟦2⟧ by ⟦3⟧");
    assert_eq!(covered.uncover(&covered.text), "Step ⟦1⟧ by @ana");
}

proptest! {
    #[test]
    fn an_obedient_answer_is_the_text_again(text in prop_oneof![caption(), ".{0,80}", "[⟦⟧0-9 @a🎉]{0,20}"]) {
        for kinds in [ALL, &[Kind::Emoji, Kind::Link]] {
            let covered = cover(&text, kinds);
            prop_assert_eq!(covered.uncover(&covered.text), text.clone());
        }
    }

    #[test]
    fn no_answer_panics(text in caption(), answer in "[⟦⟧〚〛\\[\\]0-9 a]{0,40}") {
        cover(&text, ALL).uncover(&answer);
    }
}
