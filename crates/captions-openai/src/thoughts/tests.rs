use rstest::rstest;

use super::Thoughts;

fn read(text: &str, step: usize) -> (String, bool) {
    let letters: Vec<char> = text.chars().collect();
    let mut thoughts = Thoughts::default();
    let mut passed = String::new();
    for piece in letters.chunks(step) {
        passed += &thoughts.pass(&piece.iter().collect::<String>());
    }
    passed += &thoughts.finish();
    (passed, thoughts.seen)
}

#[rstest]
#[case::no_thoughts("Good morning", "Good morning", false)]
#[case::thoughts_first("<think>hm, a bakery</think>\n\nGood morning", "Good morning", true)]
#[case::white_space_before("\n <think>hm</think> Good morning", "Good morning", true)]
#[case::twice("<think>a</think><think>b</think>Good morning", "Good morning", true)]
#[case::only_thoughts("<think>hm, a bakery", "", true)]
#[case::a_broken_mark_inside("<think>a </thin b</think>c", "c", true)]
#[case::a_beginning_that_is_no_mark("<thick bread>", "<thick bread>", false)]
#[case::a_start_that_stays_open("<thi", "<thi", false)]
#[case::a_mark_in_the_text_stays("I <think> so", "I <think> so", false)]
#[case::other_scripts("<think>パン</think>焼きたて", "焼きたて", true)]
#[case::empty("", "", false)]
fn thoughts_are_taken_off_however_the_pieces_fall(#[case] text: &str, #[case] expected: &str, #[case] seen: bool) {
    for step in 1..=text.len().max(1) {
        assert_eq!(read(text, step), (expected.to_owned(), seen), "in pieces of {step}");
    }
}
