use captions_domain::{choice::Tone, request::Keyword};
use rstest::rstest;

use super::*;
use crate::tests::{brief, request};

const DESCRIPTION: &str = "A golden retriever puppy running on a sandy beach at sunset with 2 balls in Isfahan";

fn grammar(description: &str) -> Grammar {
    let brief = brief(&request(description));
    Grammar::new(&brief, crate::exemplars::of(brief.tone), 125).unwrap()
}

fn walk(grammar: &Grammar, text: &str) -> Option<State> {
    grammar.step(&Grammar::start(), text.as_bytes())
}

#[rstest]
#[case::one_sentence(" A golden retriever puppy on the beach.")]
#[case::two_sentences(" Sunset, a puppy, a beach. All we love.")]
#[case::names_keep_their_capital(" A puppy running in Isfahan.")]
#[case::numbers_of_the_description(" A puppy with 2 balls.")]
#[case::a_leaning_word_without_article(" Sandy beach, golden sunset.")]
fn plain_sentences_of_known_words_are_complete(#[case] text: &str) {
    let grammar = grammar(DESCRIPTION);

    assert!(walk(&grammar, text).is_some_and(|state| state.is_complete()), "{text}");
}

#[rstest]
#[case::lower_case_start(" a puppy on the beach.")]
#[case::no_space_first("A puppy on the beach.")]
#[case::unknown_word(" A puppy on the moonbase.")]
#[case::handle(" A puppy on the beach with @")]
#[case::address(" A puppy on the beach, www")]
#[case::other_number(" A puppy with 3")]
#[case::emoji(" A puppy on the beach 🐶")]
#[case::hashtag(" A puppy on the #")]
#[case::line_break(" A puppy\n")]
#[case::repeated_word(" A puppy on the beach with a puppy")]
#[case::repeated_in_the_plural(" A puppy on the beach with puppies")]
#[case::repeated_in_the_second_sentence(" A puppy on the beach. Love the beach")]
#[case::ends_on_a_link(" A puppy on the beach with.")]
#[case::ends_on_an_article(" A puppy on the beach with the.")]
#[case::ends_on_a_leaning_word(" A puppy on a sandy.")]
#[case::ends_on_a_modifier(" A puppy and a small.")]
#[case::ends_on_a_verb_without_object(" A puppy on the beach. You just want.")]
#[case::ends_on_a_participle(" A puppy on the beach. The best made.")]
#[case::a_participle_for_a_noun(" A puppy on the beach. The best made ")]
#[case::ends_on_an_adverb(" A puppy on the beach. It is very.")]
#[case::ends_on_a_modifier_of_nothing(" A puppy on the beach. We love small.")]
#[case::second_sentence_of_two_words(" A puppy on the beach. Pure joy.")]
#[case::one_of_several_without_article(" A puppy at scene")]
#[case::one_of_several_first(" Day ")]
#[case::preposition_before_an_adverb(" A puppy looks at here")]
#[case::two_prepositions(" A puppy with in ")]
#[case::number_before_another_word(" A puppy with 2 puppies")]
#[case::number_after_another_word(" A puppy on 2")]
#[case::number_at_the_end(" A puppy on the beach with 2.")]
#[case::article_before_link(" A of")]
#[case::two_articles(" A the")]
#[case::article_before_an_adverb(" A puppy on the beach and the together")]
#[case::a_before_a_vowel(" A easy")]
#[case::an_before_a_consonant(" An puppy")]
#[case::a_before_a_plural(" A golden balls")]
#[case::names_too_little(" A puppy.")]
#[case::comma_after_a_link(" A puppy on,")]
#[case::exclamation_in_a_calm_voice(" A puppy on the beach!")]
#[case::four_commas(" Puppy, beach, sunset, retriever, ball")]
#[case::third_sentence(" A puppy on the beach. We love it. I")]
#[case::too_many_words(" A puppy on the beach and the joy and the love and the day and")]
fn everything_else_is_refused(#[case] text: &str) {
    assert!(walk(&grammar(DESCRIPTION), text).is_none(), "{text}");
}

#[test]
fn the_last_word_with_room_must_be_able_to_end_the_sentence() {
    let grammar = grammar(DESCRIPTION);
    let thirteen = " A puppy on the beach and the joy and the love and the";

    assert!(walk(&grammar, &format!("{thirteen} day.")).is_some());
    assert!(walk(&grammar, &format!("{thirteen} golde")).is_none());
}

#[test]
fn a_lively_voice_may_exclaim() {
    let mut request = request(DESCRIPTION);
    request.tone = Some(Tone::Playful);
    let brief = brief(&request);
    let grammar = Grammar::new(&brief, crate::exemplars::of(brief.tone), 125).unwrap();

    assert!(walk(&grammar, " A puppy on the beach!").is_some());
}

#[test]
fn avoided_words_and_phrases_do_not_come_out() {
    let mut request = request(DESCRIPTION);
    request.avoid = ["Sunsets", "the beach", "love"]
        .map(|word| Keyword::new(word).unwrap())
        .to_vec();
    let brief = brief(&request);
    let grammar = Grammar::new(&brief, crate::exemplars::of(brief.tone), 125).unwrap();

    assert!(
        walk(&grammar, " A puppy at sunset").is_none(),
        "its singular in the description"
    );
    assert!(walk(&grammar, " A puppy on the beach").is_none(), "a phrase");
    assert!(
        walk(&grammar, " A puppy on a beach").is_some(),
        "only a part of the phrase"
    );
    assert!(
        walk(&grammar, " A puppy and love on a beach").is_none(),
        "a word of the list"
    );
}

#[test]
fn keywords_may_be_said_and_count_as_given() {
    let mut request = request("a dog on a beach");
    request.keywords = vec![Keyword::new("Handmade leash").unwrap()];
    let brief = brief(&request);
    let grammar = Grammar::new(&brief, crate::exemplars::of(brief.tone), 125).unwrap();

    let without = walk(&grammar, " A dog on a beach.").unwrap();
    let with = walk(&grammar, " A handmade leash on a dog.").unwrap();

    assert!(grammar.coverage(&with) > grammar.coverage(&without));
}

#[test]
fn numbers_keep_their_signs_and_their_neighbours() {
    let grammar = grammar("50% off all pages of our notebooks, from $49, voted #1 shop");

    assert!(walk(&grammar, " Our notebooks from $49.").is_some());
    assert!(walk(&grammar, " 50% off all notebooks.").is_some());
    assert!(walk(&grammar, " Our shop voted #1 shop.").is_none(), "a repeated word");
    for wrong in [" 50 ", " 50% pages", " 49", " Notebooks for $49", " Our 1 ", " A #1"] {
        assert!(walk(&grammar, wrong).is_none(), "{wrong}");
    }
}

#[test]
fn sad_news_is_told_in_its_own_words() {
    let mut request = request("Flowers at my grandmother's grave on Sunday");
    request.tone = Some(Tone::Playful);
    let brief = brief(&request);
    let grammar = Grammar::new(&brief, crate::exemplars::of(brief.tone), 125).unwrap();

    assert!(walk(&grammar, " Flowers at my grandmother's grave.").is_some_and(|state| state.is_finished()));
    assert!(walk(&grammar, " Flowers at my grandmother's grave!").is_none());
    assert!(walk(&grammar, " Happy ").is_none());
}

#[test]
fn slurs_of_the_description_are_not_copied() {
    // In ROT13, as in the list itself.
    let slur: String = "juber"
        .chars()
        .map(|c| char::from((c as u8 - b'a' + 13) % 26 + b'a'))
        .collect();
    let grammar = grammar(&format!("a {slur} and a puppy on a beach"));

    assert!(walk(&grammar, &format!(" A {slur}")).is_none());
    assert!(walk(&grammar, " A puppy on a beach.").is_some());
}

#[test]
fn words_of_the_examples_need_the_description() {
    assert!(walk(&grammar(DESCRIPTION), " A puppy on the porch").is_none());
    assert!(walk(&grammar("a puppy on the porch"), " A puppy on the porch.").is_some());
}

#[test]
fn no_text_is_longer_than_its_room() {
    let brief = brief(&request(DESCRIPTION));
    let grammar = Grammar::new(&brief, crate::exemplars::of(brief.tone), 22).unwrap();

    assert!(walk(&grammar, " A puppy on the beach.").is_some());
    assert!(walk(&grammar, " A puppy on the beach and ").is_none());
}

#[test]
fn with_little_room_one_sentence_is_all() {
    let brief = brief(&request(DESCRIPTION));
    let grammar = Grammar::new(&brief, crate::exemplars::of(brief.tone), 50).unwrap();

    assert!(walk(&grammar, " A puppy on the beach.").unwrap().is_finished());
}

#[test]
fn a_description_without_usable_words_has_no_grammar() {
    let brief = brief(&request("太陽と海 🌞"));

    assert!(Grammar::new(&brief, crate::exemplars::of(brief.tone), 125).is_none());
}

#[test]
fn copies_are_measured_in_words() {
    let grammar = grammar(DESCRIPTION);
    let copied = |text| grammar.longest_copy(&walk(&grammar, text).unwrap());

    assert_eq!(copied(" A golden retriever puppy running on a sandy beach."), 9);
    assert_eq!(copied(" Sunset and a puppy on the beach."), 1);
}
