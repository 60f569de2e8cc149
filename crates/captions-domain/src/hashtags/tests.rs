use rstest::rstest;

use super::*;
use crate::text::is_tag_body;
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

#[rstest]
#[case::english("en", PUPPY, &["#GoldenRetriever", "#SandyBeach", "#Puppy", "#Sunset"])]
#[case::german("de", "Frisches Sauerteigbrot in Leipzig", &["#FrischesSauerteigbrot", "#Leipzig"])]
#[case::french("fr", "Croissants chauds au petit matin à Lyon", &["#CroissantsChauds", "#PetitMatin", "#Lyon"])]
#[case::greek("el", "Ελληνικός καφές στην παραλία", &["#ΕλληνικόςΚαφές", "#Παραλία"])]
#[case::russian("ru", "Горячий кофе на закате", &["#ГорячийКофе", "#Закате"])]
#[case::turkish("tr", "İstanbul'da bir sabah, ince belli bardak, ılık simit", &["#İstanbul", "#İnceBelli", "#IlıkSimit"])]
#[case::japanese("ja", "東京のカフェで抹茶を飲む", &["#東京", "#カフェ", "#抹茶"])]
#[case::chinese("zh", "上海老城区的手冲咖啡和红豆面包", &["#上海老城区", "#手冲咖啡", "#红豆面包"])]
#[case::korean("ko", "서울 카페에서 고양이", &["#서울카페", "#고양이"])]
#[case::arabic("ar", "قهوة الصباح في بيروت", &["#قهوة_الصباح", "#بيروت"])]
#[case::persian("fa", "قهوه صبح در تهران", &["#قهوه_صبح", "#تهران"])]
#[case::hindi("hi", "सुबह की चाय और बारिश", &["#सुबह", "#चाय", "#बारिश"])]
fn each_language_has_its_tags(#[case] language: &str, #[case] description: &str, #[case] expected: &[&str]) {
    let tags = suggest(&brief_of(description, 5.0, language), "", &[]);

    for tag in expected {
        assert!(tags.iter().any(|found| found == tag), "{tag} is not in {tags:?}");
    }
}

#[rstest]
#[case::on_the_list("Thinspiration")]
#[case::in_another_case("VALENTINESDAY")]
#[case::generic("InstaGood")]
#[case::generic_in_japanese("いいね")]
#[case::one_letter("x")]
#[case::digits("2026")]
#[case::endless("abcdefghijklmnopqrstuvwxyzabcdefg")]
fn some_tags_are_never_written(#[case] tag: &str) {
    let description = format!("Flowers and chocolate, {tag}, {}", tag.to_lowercase());
    let proposed = [tag.to_owned(), format!("#{tag}")];

    let tags = suggest(&brief_of(&description, 5.0, "en"), &description, &proposed);

    assert!(
        !tags.is_empty() && !tags.iter().any(|found| found[1..].eq_ignore_ascii_case(tag)),
        "{tags:?}"
    );
}

#[rstest]
#[case::case_alone("golden retriever", "GOLDEN RETRIEVER")]
#[case::plural("golden retriever", "golden retrievers")]
#[case::slip("golden retriever", "golden retreiver")]
#[case::sign_and_underscore("golden retriever", "#golden_retriever")]
#[case::one_row("golden retriever", "goldenretriever")]
fn what_reads_the_same_is_one_tag(#[case] one: &str, #[case] other: &str) {
    let brief = brief_of("Golden retriever", 5.0, "en");

    let tags = suggest(&brief, "", &[one.to_owned(), other.to_owned()]);

    assert_eq!(tags, ["#GoldenRetriever"]);
}

#[test]
fn other_digits_are_another_thing() {
    let brief = brief_of("Expo2025 and Expo2026", 5.0, "en");

    let tags = suggest(&brief, "", &["expo2025".to_owned(), "expo2026".to_owned()]);

    assert_eq!(tags, ["#Expo2025", "#Expo2026"]);
}

#[test]
fn each_tag_says_where_it_comes_from() {
    let brief = Brief {
        brand_tags: vec![BrandTag::new("acmePets").unwrap()],
        keywords: vec![Keyword::new("dog school").unwrap()],
        ..brief_of("A golden retriever, and café Süd", 5.0, "en")
    };

    let tags = pick(&brief, "Wet paws in the café tonight.", &["wetpaws".to_owned()]);

    let told: Vec<_> = tags
        .iter()
        .map(|tag| {
            (
                tag.tag.as_str(),
                tag.source.field.as_str(),
                tag.source.text.as_str(),
                tag.source.start,
            )
        })
        .collect();
    assert_eq!(told[0], ("#acmePets", "brand_tags/0", "acmePets", 0));
    assert!(
        told.contains(&("#DogSchool", "keywords/0", "dog school", 0)),
        "{told:?}"
    );
    assert!(
        told.contains(&("#GoldenRetriever", "content_description", "golden retriever", 2)),
        "{told:?}"
    );
    assert!(
        told.contains(&("#CaféSüd", "content_description", "café Süd", 24)),
        "{told:?}"
    );
    assert!(told.contains(&("#WetPaws", "text", "Wet paws", 0)), "{told:?}");
}

#[test]
fn tiers_follow_the_words_and_say_that_this_is_a_proxy() {
    let brief = Brief {
        brand_tags: vec![BrandTag::new("acme").unwrap()],
        ..brief_of("Golden retriever puppy with a carabiner on the beach", 5.0, "en")
    };
    let proposed = ["golden retriever puppy", "carabiner", "beach"].map(str::to_owned);

    let tags = pick(&brief, "", &proposed);

    let tier = |name: &str| {
        tags.iter()
            .find(|tag| tag.tag == name)
            .map(|tag| (tag.tier, tag.tier.basis()))
    };
    assert_eq!(tier("#GoldenRetrieverPuppy"), Some((Tier::Niche, "proxy")));
    assert_eq!(tier("#Carabiner"), Some((Tier::Mid, "proxy")));
    assert_eq!(tier("#Beach"), Some((Tier::Broad, "proxy")));
    assert_eq!(tier("#acme"), Some((Tier::Branded, "given")));
}

#[test]
fn broad_tags_stand_behind_the_others() {
    let brief = brief_of("Bread, cake, coffee, carabiner, sextant and trombone", 4.0, "en");
    let proposed = ["bread", "cake", "coffee", "carabiner", "sextant", "trombone"].map(str::to_owned);

    let tiers: Vec<Tier> = pick(&brief, "", &proposed).iter().map(|tag| tag.tier).collect();
    assert_eq!(tiers, [Tier::Broad, Tier::Mid, Tier::Mid, Tier::Mid]);

    // But where there is nothing else they are better than nothing.
    let brief = brief_of("Bread, cake and coffee", 3.0, "en");
    let tags = pick(&brief, "", &["bread", "cake", "coffee"].map(str::to_owned));
    assert_eq!(tags.len(), 3, "{tags:?}");
}

#[test]
fn fewer_than_asked_for_are_told() {
    let brief = brief_of("A latte", 5.0, "en");

    let warning = shortfall(&brief, suggest(&brief, "", &[]).len()).unwrap();

    assert_eq!(warning.code, "fewer_hashtags");
    assert!(
        warning.detail.starts_with("5 hashtags") && warning.detail.contains("gives 1"),
        "{}",
        warning.detail
    );
    assert_eq!(shortfall(&brief, 5), None);
}

proptest::proptest! {
    #[test]
    fn whatever_is_said_tags_are_valid_traceable_and_no_more_than_asked(
        description in "[a-zA-Z ğİışçéßжщ桜カ한국어नि🐶#,.-]{3,200}",
        caption in "[a-zA-Z ığж桜カ한नि🐶#,.-]{0,120}",
        proposed in proptest::collection::vec("[a-zA-Z _#＃ığ桜カﬁ2-]{0,40}", 0..6),
        count in 0_u8..=5,
        language in proptest::sample::select(vec!["en", "tr", "de", "ja", "zh", "ko", "hi", "ru", "ar"]),
    ) {
        if let Ok(checked) = Description::new(&description) {
            let brief = Brief { description: checked, ..brief_of("abc", f64::from(count), language) };
            let tags = pick(&brief, &caption, &proposed);

            assert!(tags.len() <= usize::from(count));
            assert_eq!(tags, pick(&brief, &caption, &proposed));
            for (index, tag) in tags.iter().enumerate() {
                let body = tag.tag.strip_prefix('#').unwrap();
                assert!(is_tag_body(body) && (2..=30).contains(&body.chars().count()), "{body}");
                assert_eq!(crate::text::hashtags(&tag.tag).len(), 1);
                assert!((0.0..=1.0).contains(&tag.relevance));
                let field = match tag.source.field.as_str() {
                    "content_description" => brief.description.as_str(),
                    "text" => caption.as_str(),
                    other => panic!("{other}"),
                };
                let length = tag.source.end - tag.source.start;
                let there: String = field.chars().skip(tag.source.start).take(length).collect();
                assert_eq!(there, tag.source.text);
                assert!(!there.is_empty());
                assert!(!tags[..index].iter().any(|other| other.tag.to_lowercase() == tag.tag.to_lowercase()));
            }
        }
    }
}
