use rstest::rstest;

use super::*;

fn words(language: &str) -> Words {
    Words::of(&Language::new(language).unwrap())
}

#[test]
fn content_words_are_stemmed_and_stop_words_are_left_out() {
    assert_eq!(
        words("en").stems("The puppies were running, a puppy runs"),
        ["puppi", "run"]
    );
}

#[rstest]
#[case("#NewShoes", &["new", "shoe"])]
#[case("NASA", &["nasa"])]
fn tags_are_taken_apart(#[case] text: &str, #[case] stems: &[&str]) {
    assert_eq!(words("en").stems(text), stems);
}

#[test]
fn phrases_end_at_stop_words_and_punctuation() {
    let phrases: Vec<_> = words("en")
        .phrases("Fresh sourdough bread, on our counter")
        .into_iter()
        .map(|p| p.words.join(" "))
        .collect();

    assert_eq!(
        phrases,
        [
            "Fresh sourdough bread",
            "Fresh sourdough",
            "sourdough bread",
            "Fresh",
            "sourdough",
            "bread",
            "counter"
        ]
    );
}

#[test]
fn a_language_without_stemmer_still_has_words() {
    assert_eq!(words("pl").stems("Świeży chleb"), ["świeży", "chleb"]);
}
