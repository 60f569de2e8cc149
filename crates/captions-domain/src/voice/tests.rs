use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::request::Sample;

fn samples(texts: &[&str]) -> Vec<Sample> {
    texts.iter().map(|text| Sample::new(text).unwrap()).collect()
}

fn english() -> Language {
    Language::default()
}

fn card(texts: &[&str]) -> StyleCard {
    measure(&samples(texts), &english()).unwrap()
}

fn spread(mean: f64, sd: f64) -> Spread {
    Spread { mean, sd }
}

#[test]
fn a_card_holds_exactly_what_its_captions_have() {
    let card = card(&[
        "We bake at five. Bread waits for nobody! 🥖\n\nWho is up?\n\n#Sourdough #Lisbon",
        "we bake slow bread. Always. 🥖☕",
        "Slow mornings, warm bread\n.\n.\n#Sourdough",
        "No tags here",
    ]);

    assert_eq!(
        card,
        StyleCard {
            captions: 4,
            language: english(),
            characters: spread(30.25, 17.56),
            sentence_words: spread(3.29, 0.67),
            emoji: spread(0.75, 0.96),
            hashtags: spread(0.75, 0.96),
            exclamation_marks: spread(0.25, 0.5),
            questions: spread(0.25, 0.5),
            line_breaks: spread(0.5, 1.0),
            first_person: Some(0.5),
            lower_case_starts: 0.25,
            casing: Casing::Usual,
            openers: vec!["we bake".into()],
            words: vec!["bread".into(), "bake".into(), "slow".into()],
            favourite_emoji: vec!["🥖".into()],
        }
    );
}

#[rstest]
#[case::none(0)]
#[case::too_few(LEAST_SAMPLES - 1)]
fn too_few_captions_have_no_card(#[case] number: usize) {
    assert_eq!(measure(&samples(&vec!["one"; number]), &english()), None);
}

#[rstest]
#[case::lower(["all small", "ab", "Ab"], Casing::Lower)]
#[case::upper(["ALL BIG", "AB", "ab"], Casing::Upper)]
#[case::mixed(["All", "ab", "Ab"], Casing::Usual)]
#[case::no_cases(["焙煎", "パン", "店"], Casing::Usual)]
fn casing_is_what_half_of_the_captions_have(#[case] texts: [&str; 3], #[case] casing: Casing) {
    assert_eq!(card(&texts).casing, casing);
}

#[rstest]
#[case::english("en", "I'm up", Some(1.0))]
#[case::inside_of_a_word("en", "Italian icing", Some(0.0))]
#[case::french("fr", "J’ai faim", Some(1.0))]
#[case::a_regional_tag("pt-BR", "A nossa casa", Some(1.0))]
#[case::german("de", "Unsere Brote", Some(1.0))]
#[case::not_known("ja", "私", None)]
fn first_person_is_told_by_the_words_of_the_language(
    #[case] language: &str,
    #[case] text: &str,
    #[case] share: Option<f64>,
) {
    let card = measure(&samples(&[text; 3]), &Language::new(language).unwrap()).unwrap();

    assert_eq!(card.first_person, share);
}

#[rstest]
#[case::no_tags("Warm bread.", "Warm bread.")]
#[case::a_tag_inside("Our #bread is warm", "Our #bread is warm")]
#[case::a_row_at_the_end("Warm bread.\n\n#a #b#c\n", "Warm bread.")]
#[case::dots_between("Warm bread\n.\n•\n\n#a", "Warm bread")]
#[case::dots_without_tags("Warm bread\n.", "Warm bread\n.")]
#[case::only_tags("#a #b", "")]
#[case::wide_sign("パン\n＃焙煎", "パン")]
fn the_hashtags_at_the_end_are_not_the_caption(#[case] published: &str, #[case] caption: &str) {
    assert_eq!(measure::without_tags_at_end(published), caption);
}

/// The features that do not fit.
fn misfits(card: &StyleCard, text: &str) -> Vec<Feature> {
    let found = card.distance(text, &english());
    found.iter().filter(|one| !one.fits()).map(|one| one.feature).collect()
}

const OURS: [&str; 4] = [
    "we bake at five and we sell at seven 🥖",
    "we bake slow bread for early people 🥖",
    "my oven was cold, we waited for it ☕",
    "we close when our bread is gone 🥖",
];

#[rstest]
#[case::one_of_their_own(OURS[1], &[])]
#[case::not_theirs_but_alike("we bake rye today, come before it is gone 🥖", &[])]
#[case::too_long(
    "we bake rye today and it will be warm at ten, we think that is a good time for bread 🥖",
    &[Feature::Characters, Feature::SentenceWords]
)]
#[case::stuffed("we bake at five and sell at seven 🥖🥖🥖!!!", &[Feature::Emoji, Feature::ExclamationMarks])]
#[case::of_somebody_else("The bakery opens its doors at seven 🥖", &[Feature::FirstPerson, Feature::LowerCaseStart])]
#[case::tagged("we bake slow bread for early people 🥖\n\n#a #b", &[Feature::Hashtags])]
fn what_deviates_by_more_than_one_standard_deviation_does_not_fit(#[case] text: &str, #[case] expected: &[Feature]) {
    assert_eq!(misfits(&card(&OURS), text), expected);
}

#[test]
fn a_deviation_tells_its_numbers() {
    let found = card(&OURS).distance("we bake! at! five! 🥖🥖🥖", &english());

    assert_eq!(
        found.iter().map(|one| one.feature).collect::<Vec<_>>(),
        Feature::ALL,
        "all features, in order"
    );
    let emoji = found[2];
    assert_eq!(
        emoji,
        Deviation {
            feature: Feature::Emoji,
            value: 3.0,
            usual: 1.0,
            sd: 1.0
        }
    );
    assert!((emoji.distance() - 2.0).abs() < 1e-9);
}

#[test]
fn first_person_is_not_held_against_a_text_in_another_language() {
    let found = card(&OURS).distance("焼きたてのパン 🥖", &Language::new("ja").unwrap());

    assert!(found.iter().all(|one| one.feature != Feature::FirstPerson));
}

#[test]
fn every_line_of_the_word_list_is_a_language_and_a_word() {
    for line in include_str!("../../data/first_person.txt").lines() {
        let (language, word) = line.split_once(' ').unwrap();
        assert!(Language::new(language).is_ok(), "{line}");
        assert!(
            word == word.to_lowercase() && word.chars().all(char::is_alphabetic),
            "{line}"
        );
    }
}

proptest! {
    #[test]
    fn any_captions_have_a_card_that_comes_back_from_json(texts in prop::collection::vec("[^\\p{C}]{1,60}", 3..8)) {
        let captions: Vec<Sample> = texts.iter().filter_map(|text| Sample::new(text).ok()).collect();
        prop_assume!(captions.len() >= LEAST_SAMPLES);

        let card = measure(&captions, &english()).unwrap();

        let json = serde_json::to_string(&card).unwrap();
        prop_assert_eq!(serde_json::from_str::<StyleCard>(&json).unwrap(), card.clone());
        prop_assert_eq!(&measure(&captions, &english()).unwrap(), &card);
        for found in card.distance(captions[0].as_str(), &english()) {
            prop_assert!(found.value.is_finite() && found.sd > 0.0 && found.distance() >= 0.0);
        }
    }

    #[test]
    fn equal_captions_fit_their_own_card(text in "[^\\p{C}]{1,60}") {
        let Ok(sample) = Sample::new(&text) else { return Ok(()) };
        let card = measure(&vec![sample.clone(); 3], &english()).unwrap();

        prop_assert_eq!(misfits(&card, sample.as_str()), []);
    }
}
