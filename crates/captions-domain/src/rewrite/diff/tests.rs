use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn told(before: &str, after: &str) -> String {
    between(before, after)
        .iter()
        .map(|change| match change.op {
            Op::Equal => change.text.clone(),
            Op::Insert => format!("{{+{}}}", change.text),
            Op::Delete => format!("{{-{}}}", change.text),
        })
        .collect()
}

#[rstest]
#[case::nothing("", "", "")]
#[case::the_same("Fresh bread.", "Fresh bread.", "Fresh bread.")]
#[case::all_new("", "Bread.", "{+Bread.}")]
#[case::all_gone("Bread.", "", "{-Bread.}")]
#[case::one_word("Fresh bread today.", "Warm bread today.", "{-Fresh}{+Warm} bread today.")]
#[case::in_the_middle("We bake good bread.", "We bake bread.", "We bake {-good }bread.")]
#[case::at_the_end("Bread is out.", "Bread is out. Come in.", "Bread is out.{+ Come in.}")]
#[case::neighbours_are_one_change("the old oak", "a new oak", "{-the old}{+a new} oak")]
#[case::an_emoji_that_stays_is_shown_so("old 🎉 day", "new 🎉 night", "{-old}{+new} 🎉 {-day}{+night}")]
#[case::a_family_is_one_sign("👨‍👩‍👧‍👦 x", "👨‍👩‍👧 x", "{-👨‍👩‍👧‍👦}{+👨‍👩‍👧} x")]
#[case::without_spaces("焼きたてのパン", "冷めたパン", "{-焼き}{+冷め}た{-ての}パン")]
fn changes_are_told_in_words(#[case] before: &str, #[case] after: &str, #[case] expected: &str) {
    assert_eq!(told(before, after), expected);
}

#[test]
fn two_long_texts_with_nothing_in_common_are_one_replacement() {
    let before = (0..2000).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
    let after = (0..2000).map(|n| format!("b{n}")).collect::<Vec<_>>().join("-");

    let changes = between(&format!("Same. {before}"), &format!("Same. {after}"));

    let ops: Vec<Op> = changes.iter().map(|change| change.op).collect();
    assert_eq!(ops, [Op::Equal, Op::Delete, Op::Insert]);
    assert_eq!(changes[0].text, "Same. ");
}

/// Texts of a few words, so that they have something in common.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec("bread|oak|[ ,.\n]|🎉|👨‍👩‍👧|é|e\u{301}|ก่ำ|[a-c]{1,3}", 0..60)
            .prop_map(|words| words.concat()),
        ".{0,80}",
    ]
}

proptest! {
    #[test]
    fn the_pieces_make_up_both_texts(before in text(), after in text()) {
        let changes = between(&before, &after);
        let without = |op| changes.iter().filter(|c| c.op != op).map(|c| c.text.as_str()).collect::<String>();

        prop_assert_eq!(without(Op::Insert), before);
        prop_assert_eq!(without(Op::Delete), after);
        prop_assert!(changes.iter().all(|change| !change.text.is_empty()));
        prop_assert!(changes.windows(2).all(|pair| pair[0].op != pair[1].op));
    }
}
