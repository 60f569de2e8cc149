use std::collections::HashSet;

use rstest::rstest;

use super::*;

#[rstest]
#[case("sneakers", "sneaker")]
#[case("memories", "memory")]
#[case("sister's", "sister")]
#[case("boxes", "box")]
#[case("glass", "glass")]
#[case("Isfahan", "isfahan")]
#[case("houses", "house")]
fn words_of_one_stem_count_as_the_same(#[case] word: &str, #[case] expected: &str) {
    let same = stem(word) == stem(expected);

    assert!(same, "{} and {}", stem(word), stem(expected));
}

#[rstest]
#[case("the", Class::Article)]
#[case("of", Class::Link)]
#[case("i", Class::Plain)]
#[case("puppy", Class::Content)]
fn every_word_has_a_class(#[case] word: &str, #[case] expected: Class) {
    assert_eq!(class(word), expected);
}

#[test]
fn the_list_holds_enough_words_and_none_that_promises_or_denies() {
    let words: HashSet<_> = words(false).collect();

    assert!((300..420).contains(&words.len()), "{}", words.len());
    for word in ["can't", "won't", "don't", "never", "not", "no", "she", "he", "free!"] {
        assert!(!words.contains(word), "{word}");
    }
    assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_alphabetic())));
}

#[test]
fn denied_words_are_recognised_in_the_plural_too() {
    // The same word in clear and doubly rotated, so that no obscenity stands here either.
    let rotated_twice: String = "juber"
        .chars()
        .map(|c| char::from((c as u8 - b'a' + 13) % 26 + b'a'))
        .collect();

    assert!(is_denied(&rotated_twice));
    assert!(is_denied(&format!("{rotated_twice}s")));
    assert!(!is_denied("puppy"));
}

#[rstest]
#[case::funeral("Flowers at my grandmother's grave", true)]
#[case::death("My dog passed away last night", true)]
#[case::breach("We had a data breach and reset all passwords", true)]
#[case::accidents("Two accidents on the same road", true)]
#[case::a_puppy("A puppy running on a beach", false)]
#[case::gravel("A gravel path and a warm engraved ring", false)]
fn sad_news_is_recognised(#[case] text: &str, #[case] expected: bool) {
    assert_eq!(is_sad(text), expected);
}

#[test]
fn the_sad_words_are_stems() {
    for word in SAD.split_whitespace() {
        assert_eq!(stem(word), word);
    }
}
