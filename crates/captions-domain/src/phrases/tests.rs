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

proptest::proptest! {
    #[test]
    fn a_text_falls_apart_as_unicode_says(text in "[a-c1_.,'!é🥖-]{1,5}( [a-c1_.,'!é🥖-]{1,5}){0,4}") {
        let expected: Vec<&str> = text.split_word_bounds().collect();
        proptest::prop_assert_eq!(word_bounds(&text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_in_pascal_case_are_parted_where_small_letters_meet_capitals(word in "[a-cA-C1éÉ]{1,8}") {
        let mut parts = Vec::new();
        each_part(&word, |part| parts.push(part.to_owned()));
        let chars: Vec<char> = word.chars().collect();
        let cuts = chars.windows(2).filter(|pair| {
            pair[1].is_uppercase() && (pair[0].is_lowercase() || pair[0].is_numeric())
        });
        proptest::prop_assert_eq!(parts.len(), cuts.count() + 1);
        proptest::prop_assert_eq!(parts.concat(), word);
    }
}

#[test]
fn a_language_without_stemmer_still_has_words() {
    assert_eq!(words("pl").stems("Świeży chleb"), ["świeży", "chleb"]);
}
