use rstest::rstest;

use super::*;

fn texts(text: &str) -> Vec<&str> {
    split(text).map(|piece| piece.text).collect()
}

#[rstest]
#[case::plain("Soft egg, spring onions!", &["Soft", "egg", "spring", "onions"])]
#[case::inner_marks("my sister's well-known café", &["my", "sister's", "well-known", "café"])]
#[case::numbers("3.5 km in 2024, 1,200 people", &["3.5", "km", "in", "2024", "1,200", "people"])]
#[case::signs("50% off, only $49 or €5; #1 in town!", &["50%", "off", "only", "$49", "or", "€5", "#1", "in", "town"])]
#[case::numbers_stay_whole("open 7:30, 24/7, -5°C (2–3 days) ~9 #2024goals", &["open", "7:30", "24/7", "-5°C", "2–3", "days"])]
#[case::joined("sun/sea (again)", &["sun", "sea", "again"])]
#[case::addresses("by @somebody #fun www.example.org https://example.org a@b.c now", &["by", "now"])]
#[case::other_scripts("太陽 sun", &["sun"])]
#[case::too_long("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b", &["b"])]
#[case::emoji("sun 🌞 sea", &["sun", "sea"])]
fn a_text_is_split_into_words(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(texts(text), expected);
}

#[rstest]
#[case::name_inside("Tiles in Isfahan", "Isfahan", true)]
#[case::first_word("Tiles in Isfahan", "Tiles", false)]
#[case::name_first_and_inside("Isfahan at noon. I love Isfahan", "Isfahan", true)]
#[case::title_case("Tiles In Isfahan At Noon", "isfahan", false)]
#[case::shouted("NEW SNEAKERS TODAY", "sneakers", false)]
fn names_are_told_by_their_capitals(#[case] text: &str, #[case] word: &str, #[case] is_name: bool) {
    let words = of(text, Source::Description);

    let found = words.iter().find(|given| given.text == word).unwrap();
    assert_eq!(found.is_name, is_name);
}

#[test]
fn a_word_leans_on_a_content_word_right_after_it() {
    let words = of("a wooden cafe table, a puppy running on it", Source::Description);

    let leaning: Vec<_> = words
        .iter()
        .filter(|word| word.leans)
        .map(|word| word.text.as_str())
        .collect();
    assert_eq!(leaning, ["wooden", "cafe"]);
}

#[test]
fn a_line_has_no_control_tokens_and_ends_at_a_word() {
    assert_eq!(one_line("one\n<|im_start|>two  three", 100), "one im_start two three");
    assert_eq!(one_line("one two three", 9), "one two");
    assert_eq!(one_line(&"x".repeat(50), 9).len(), 50);
}

#[test]
fn a_word_gets_a_capital() {
    assert_eq!(capitalised("égal"), "Égal");
    assert_eq!(capitalised(""), "");
}
