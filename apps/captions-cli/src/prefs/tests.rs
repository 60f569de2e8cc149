use rstest::rstest;
use serde_json::json;

use super::*;

fn wishes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[rstest]
#[case::text("tone", "warm", json!({ "tone": "warm" }))]
#[case::a_number("hashtag_count", "3", json!({ "hashtag_count": 3.0 }))]
#[case::a_list("avoid", "cheap, deal,", json!({ "avoid": ["cheap", "deal"] }))]
#[case::removal("avoid", "", json!({ "avoid": null }))]
#[case::a_value_with_a_comma_stays_whole("brand_voice", "short, dry", json!({ "brand_voice": "short, dry" }))]
#[case::what_is_no_number_is_left_to_the_reader("hashtag_count", "few", json!({ "hashtag_count": "few" }))]
fn an_argument_stands_for(#[case] key: &str, #[case] value: &str, #[case] stands_for: Value) {
    assert_eq!(patch(&wishes(&[(key, value)]), Path::new("/")).unwrap(), stands_for);
}

#[test]
fn samples_are_not_typed_but_read() {
    let failure = patch(&wishes(&[("samples", "one,two")]), Path::new("/")).unwrap_err();

    assert_eq!(failure.exit.code(), 2);
    assert_eq!(failure.errors, ["samples stand in a file, not in an argument"]);
}

#[test]
fn a_wish_that_is_given_twice_is_not_half_lost() {
    let failure = patch(&wishes(&[("avoid", "cheap"), ("avoid", "deal")]), Path::new("/")).unwrap_err();

    assert_eq!(failure.exit.code(), 2);
    assert_eq!(failure.errors, ["avoid is given twice"]);
}

#[test]
fn what_is_shown_can_be_set_again() {
    let given = wishes(&[
        ("tone", "warm"),
        ("language", "pt-BR"),
        ("hashtag_count", "3"),
        ("avoid", "cheap,deal"),
        ("required", "sourdough,rye"),
        ("brand_tags", "anascafe"),
        ("brand_voice", "short, dry"),
    ]);
    let preferences = merge(&Preferences::default(), &patch(&given, Path::new("/")).unwrap()).unwrap();

    let mut shown = lines(&preferences);
    let mut expected: Vec<String> = given.iter().map(|(key, value)| format!("{key}={value}")).collect();
    shown.sort();
    expected.sort();

    assert_eq!(shown, expected);
}
