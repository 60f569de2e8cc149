use rstest::rstest;

use super::*;
use crate::{
    request::{BrandTag, CaptionRequest, Description, HashtagCount, Keyword, Language},
    user::Preferences,
};

fn brief_of(description: &str, count: f64, language: &str) -> Brief {
    let mut request = CaptionRequest::new(Description::new(description).unwrap());
    request.hashtag_count = Some(HashtagCount::new(count).unwrap());
    request.language = Some(Language::new(language).unwrap());
    Brief::resolve(&request, &Preferences::default()).0
}

const PUPPY: &str = "Golden retriever puppy running on a sandy beach at sunset";

#[test]
fn tags_are_specific_phrases_of_the_description_in_pascal_case() {
    let tags = suggest(&brief_of(PUPPY, 5.0, "en"), "", &[]);

    assert_eq!(tags.len(), 5, "{tags:?}");
    assert_eq!(tags[0], "#GoldenRetriever");
    assert!(tags.contains(&"#SandyBeach".to_owned()), "{tags:?}");
}

#[rstest]
#[case(0.0)]
#[case(1.0)]
#[case(3.0)]
fn there_are_never_more_than_asked_for(#[case] count: f64) {
    assert_eq!(
        suggest(&brief_of(PUPPY, count, "en"), "", &[]).len().to_string(),
        count.to_string()
    );
}

#[test]
fn a_short_description_gives_fewer_rather_than_invented_ones() {
    assert_eq!(suggest(&brief_of("A latte", 5.0, "en"), "", &[]), ["#Latte"]);
}

#[test]
fn proposals_count_only_if_they_name_something_said() {
    let proposed = ["golden retriever life", "beachdog", "cryptocurrency", "love", "fyp"].map(str::to_owned);

    let tags = suggest(&brief_of(PUPPY, 5.0, "en"), "", &proposed);

    assert!(
        tags.contains(&"#GoldenRetrieverLife".to_owned()) && tags.contains(&"#Beachdog".to_owned()),
        "{tags:?}"
    );
    assert!(
        !tags
            .iter()
            .any(|tag| ["#Cryptocurrency", "#Love", "#Fyp"].contains(&tag.as_str())),
        "{tags:?}"
    );
}

#[test]
fn brand_tags_come_first_within_the_count() {
    let brief = Brief {
        brand_tags: vec![BrandTag::new("AcmePets").unwrap()],
        ..brief_of(PUPPY, 2.0, "en")
    };

    let tags = suggest(&brief, "", &[]);

    assert_eq!((tags[0].as_str(), tags.len()), ("#AcmePets", 2));
}

#[test]
fn words_to_avoid_never_become_tags() {
    let brief = Brief {
        avoid: vec![Keyword::new("beach").unwrap()],
        ..brief_of(PUPPY, 5.0, "en")
    };

    let tags = suggest(&brief, "", &["beachlife".to_owned()]);

    assert!(!tags.iter().any(|tag| tag.to_lowercase().contains("beach")), "{tags:?}");
}

#[test]
fn near_duplicates_are_one_tag() {
    let proposed = ["Puppy", "puppies", "PUPPY"].map(str::to_owned);

    let tags = suggest(&brief_of("A puppy and more puppies", 5.0, "en"), "", &proposed);

    assert_eq!(
        tags.iter()
            .filter(|tag| tag.to_lowercase().starts_with("#pupp"))
            .count(),
        1,
        "{tags:?}"
    );
}

#[rstest]
#[case("de", "Frisches Sauerteigbrot auf der Theke unserer Bäckerei", "#Bäckerei")]
#[case("pt", "Pão fresco no balcão da padaria", "#Padaria")]
#[case("ru", "Щенок бежит по пляжу", "#Щенок")]
fn every_script_keeps_its_letters(#[case] language: &str, #[case] description: &str, #[case] expected: &str) {
    let tags = suggest(&brief_of(description, 5.0, language), "", &[]);

    assert!(
        tags.iter().any(|tag| tag.contains(expected.trim_start_matches('#'))),
        "{tags:?}"
    );
}

#[rstest]
#[case::denied("en", "No dogs allowed. Fresh bread", &["#FreshBread"])]
#[case::addresses("en", "Read https://techdaily.com/news about bread", &["#Read", "#Bread"])]
#[case::repeats("en", "A new menu", &["#NewMenu"])]
#[case::german("de", "Frisches Brot auf der Theke unserer Bäckerei", &["#Bäckerei", "#FrischesBrot", "#Theke"])]
#[case::nested("en", "New white minimalist sneakers on a concrete floor", &["#ConcreteFloor", "#MinimalistSneakers", "#NewWhite", "#WhiteMinimalist"])]
#[case::japanese("ja", "桜の下でお弁当を食べるカメラ女子", &["#弁当", "#カメラ", "#女子"])]
#[case::chinese("zh", "咖啡，面包", &["#咖啡", "#面包"])]
fn tags_are_names_of_what_is_there(#[case] language: &str, #[case] description: &str, #[case] expected: &[&str]) {
    let mut tags = suggest(&brief_of(description, 5.0, language), "", &[]);
    let mut expected = expected.to_vec();
    tags.sort();
    expected.sort_unstable();

    assert_eq!(tags, expected);
}

#[test]
fn the_same_input_gives_the_same_tags() {
    let brief = brief_of(PUPPY, 5.0, "en");

    assert_eq!(suggest(&brief, "A puppy.", &[]), suggest(&brief, "A puppy.", &[]));
}

proptest::proptest! {
    #[test]
    fn every_tag_is_a_tag(description in "[\\PC]{3,200}") {
        if let Ok(description) = Description::new(&description) {
            let (brief, _) = Brief::resolve(&CaptionRequest::new(description), &Preferences::default());
            let tags = suggest(&brief, "", &[]);
            for tag in &tags {
                assert!(is_tag_body(tag.trim_start_matches('#')), "{tag}");
            }
            assert!(tags.len() <= 5);
        }
    }
}
