use rstest::rstest;

use super::*;

fn near(a: &str, b: &str) -> bool {
    let (a, b) = (Likeness::of(a), Likeness::of(b));
    assert_eq!(a.is_near(&b), b.is_near(&a), "whichever comes first");
    assert!(a.is_near(&a));
    a.is_near(&b)
}

const LOAVES: &str = "The loaves came out at six and the counter is full.";

#[rstest]
#[case::the_same(LOAVES, LOAVES)]
#[case::other_case_signs_and_emoji(LOAVES, "🥖 THE LOAVES came out, at six (and the counter is full)!")]
#[case::other_tags(LOAVES, "The loaves came out at six and the counter is full. #bread #Lisbon")]
#[case::half_of_the_rows("A b c d e f", "Z a b c d e f")]
#[case::the_same_first_four_words(
    "The loaves came out late tonight, so bring a friend.",
    "The loaves came out of an oven older than this street."
)]
#[case::next_to_the_same_opening(
    "Fresh sourdoughs on the counter of our bakery, still warm for you",
    "Fresh sourdough on the counter of our bakery waits until the last one goes"
)]
#[case::two_short_ones("Good morning!", "good morning")]
#[case::two_without_words("🥖", "🥐🥐")]
#[case::another_apostrophe("It's warm", "It’s warm")]
#[case::in_a_script_without_spaces("焼きたてのパンが並びました。", "焼きたてのパンが並びました！🥖")]
fn what_says_the_same_again_is_a_near_duplicate(#[case] one: &str, #[case] other: &str) {
    assert!(near(one, other));
}

#[rstest]
#[case::another_text(LOAVES, "Six in the morning and the oven is open.")]
#[case::three_words_at_the_beginning_in_common("The loaves came late tonight", "The loaves came from a very old oven")]
#[case::less_than_half_of_the_rows("a b c d e f g h", "z y x w c d e f g h")]
#[case::short_ones("Good morning!", "Good night!")]
#[case::one_is_empty("🥖", LOAVES)]
#[case::the_beginning_of_the_other_but_short("Good morning", "Good morning from the oven of our bakery in Lisbon")]
fn what_says_something_else_is_none(#[case] one: &str, #[case] other: &str) {
    assert!(!near(one, other));
}

#[rstest]
#[case(&[], None)]
#[case(&["one two three"], None)]
#[case(&["one two three", "one two three"], Some(0.0))]
#[case(&["one two three", "four five six"], Some(1.0))]
// Rows: {abc, bcd} and {bcd, cde} share 1 of 3.
#[case(&["a b c d", "b c d e"], Some(0.667))]
#[case(&["a b c d", "b c d e", "x y z"], Some(0.889))]
fn diversity_is_what_the_mean_pair_does_not_share(#[case] captions: &[&str], #[case] expected: Option<f64>) {
    assert_eq!(diversity(captions), expected);
}

proptest::proptest! {
    #[test]
    fn likeness_is_a_share_and_the_same_both_ways(one in ".{0,80}", other in ".{0,80}") {
        let (a, b) = (Likeness::of(&one), Likeness::of(&other));
        assert!((0.0..=1.0).contains(&a.shared(&b)));
        assert_eq!(a.shared(&b).to_bits(), b.shared(&a).to_bits());
        assert!(a.is_near(&a));
    }
}
