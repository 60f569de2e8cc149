use rstest::rstest;

use super::*;
use crate::{
    check,
    request::{CaptionRequest, Description, Language},
    user::Preferences,
};

const PHOTO: &str = "Golden retriever puppy running on a sandy beach at sunset";
const GOOD: &str = "Our golden retriever puppy found the beach at sunset 🐶 He ran until the sand ran out.";

fn brief(change: impl FnOnce(&mut CaptionRequest)) -> Brief {
    let mut request = CaptionRequest::new(Description::new(PHOTO).unwrap());
    change(&mut request);
    Brief::resolve(&request, &Preferences::default()).0
}

fn scored(caption: &str, tags: &[&str]) -> Quality {
    let brief = brief(|_| {});
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let text = crate::caption::Variant::published(caption, &tags);
    score(&brief, caption, &tags, &check::violations(&text, &brief))
}

fn part(quality: &Quality, name: &str) -> f64 {
    quality.parts.iter().find(|part| part.name == name).unwrap().value
}

#[test]
fn the_parts_add_up_to_the_score() {
    let quality = scored(GOOD, &["#GoldenRetriever", "#SandyBeach", "#Sunset"]);

    let weights: f64 = quality.parts.iter().map(|part| part.weight).sum();
    let sum: f64 = quality.parts.iter().map(|part| part.value * part.weight).sum();
    assert!((weights - 1.0).abs() < 1e-9);
    assert!((quality.raw_score - 100.0 * sum).abs() <= 0.05 + 1e-9);
    assert!((quality.score - quality.raw_score).abs() < 1e-9);
    assert!(quality.score > 80.0, "{quality:?}");
}

#[rstest]
#[case::one_word_over_and_over(
    "Puppy puppy puppy puppy puppy puppy puppy puppy puppy puppy puppy puppy puppy puppy puppy"
)]
#[case::off_topic("Quarterly earnings rose again. Thank you to every shareholder.")]
#[case::machine_speech("Elevate your journey! Delve into a bustling symphony of paws! It's not a beach, it's a realm!")]
#[case::shuffled("Sand the until ran he sunset out retriever at puppy our golden ran beach the found")]
#[case::shouting("AMAZING!!! SO WOW!!! BEST DOG EVER!!!")]
fn a_worse_caption_scores_lower(#[case] worse: &str) {
    let tags = ["#GoldenRetriever", "#SandyBeach", "#Sunset"];

    assert!(scored(worse, &tags).score < scored(GOOD, &tags).score);
}

#[rstest]
#[case("Only $49 this week.")]
#[case("Meet Bella Johnson at noon.")]
#[case("Born in 2019.")]
#[case("Ask @doglover about it.")]
fn an_invented_fact_lowers_faithfulness_and_is_named(#[case] invented: &str) {
    let honest = scored(GOOD, &[]);
    let quality = scored(&format!("{GOOD} {invented}"), &[]);

    assert!(part(&quality, "faithfulness") < part(&honest, "faithfulness"));
    let fix = quality.parts[0].fix.as_deref().unwrap();
    assert!(fix.contains("the description does not say it"), "{fix}");
}

#[rstest]
#[case("Our golden retriever puppy at the beach. 🐶 Thanks for stopping by.")]
#[case("Our golden retriever puppy at the beach. - Happy days.")]
#[case("Our golden retriever puppy at the beach 🐶 He ran.")]
#[case("Ad: The best beach: Ours.")]
fn the_first_word_after_an_emoji_is_no_invented_name(#[case] caption: &str) {
    assert_eq!(untraced(&brief(|_| {}), caption), Vec::<&str>::new());
}

#[test]
fn a_text_that_breaks_a_rule_scores_at_most_49_and_keeps_its_raw_score() {
    let quality = scored(
        GOOD,
        &[
            "#GoldenRetriever",
            "#Puppy",
            "#SandyBeach",
            "#Beach",
            "#Sunset",
            "#Sand",
        ],
    );

    assert!(
        quality.score <= UNPUBLISHABLE_CAP && quality.raw_score > UNPUBLISHABLE_CAP,
        "{quality:?}"
    );
}

#[test]
fn a_word_of_the_user_is_no_cliche() {
    let curated = Brief {
        description: Description::new("A curated shelf of curated books").unwrap(),
        ..brief(|_| {})
    };
    let text = "A curated shelf. Timeless.";

    assert!(human_voice(&curated, text).0 > human_voice(&brief(|_| {}), text).0);
}

#[test]
fn generic_and_untraced_tags_are_worth_less() {
    let good = part(
        &scored(GOOD, &["#GoldenRetriever", "#SandyBeach", "#Sunset"]),
        "hashtags",
    );

    assert!(part(&scored(GOOD, &["#love", "#fyp", "#Sunset"]), "hashtags") < good);
    assert!(part(&scored(GOOD, &["#Crypto", "#SandyBeach", "#Sunset"]), "hashtags") < good);
    assert!(
        part(
            &scored(GOOD, &["#goldenretriever", "#sandybeach", "#sunset"]),
            "hashtags"
        ) < good
    );
}

#[test]
fn wishes_are_checked_one_by_one() {
    let brief = brief(|request| {
        request.cta = Some(Cta::Question);
        request.emoji = Some(Emoji::None);
    });

    let kept = brief_adherence(&brief, "A golden retriever puppy on the beach. Where does yours run?");
    let broken = brief_adherence(&brief, "A golden retriever puppy on the beach, all day long 🐶");

    assert_eq!(kept, (1.0, None));
    assert!((broken.0 - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn other_languages_are_judged_without_english_syllables() {
    let brief = brief(|request| request.language = Some(Language::new("de").unwrap()));

    assert!((readability(&brief, "Sonnenuntergang am Strand. Der Hund rennt.").0 - 1.0).abs() < 1e-9);
}

proptest::proptest! {
    #[test]
    fn any_text_has_a_score_from_0_to_100(caption in ".{0,300}", tag in "#[a-zA-Z]{1,12}") {
        let quality = scored(&caption, &[&tag]);
        assert!((0.0..=100.0).contains(&quality.score));
        assert!(quality.parts.iter().all(|part| (0.0..=1.0).contains(&part.value)));
    }
}

#[test]
fn a_part_of_what_was_given_is_still_invented() {
    let sale = Brief {
        description: Description::new("50% off all sneakers in Lisbon until Sunday").unwrap(),
        ..brief(|_| {})
    };

    assert_eq!(
        untraced(&sale, "Sneakers at 50% off, only 50 pages, 5 left in Lisbon's shop."),
        ["50", "5"]
    );
}
