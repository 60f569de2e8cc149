use rstest::rstest;

use super::*;
use crate::choice::Tone;

#[rstest]
#[case::shortest("abc", true)]
#[case::too_short("ab", false)]
#[case::spaces_do_not_count("  ab  ", false)]
#[case::longest(&"é".repeat(2000), true)]
#[case::too_long(&"é".repeat(2001), false)]
#[case::line_breaks("one\ntwo\tthree", true)]
#[case::nul("ab\0c", false)]
#[case::escape("ab\u{1b}[31mc", false)]
#[case::any_script("سگ در ساحل 🐕‍🦺", true)]
fn a_description_is_3_to_2000_characters_of_plain_text(#[case] text: &str, #[case] accepted: bool) {
    assert_eq!(Description::new(text).is_ok(), accepted);
}

#[test]
fn a_broken_rule_names_the_rule_and_the_nearest_value_that_holds() {
    let broken = Description::new(&"a".repeat(2005))
        .unwrap_err()
        .at("/content_description");

    assert_eq!(
        (broken.pointer.as_str(), broken.code),
        ("/content_description", "too_long")
    );
    assert!(broken.rule.contains("2000") && broken.rule.contains("2005"));
    assert!(Description::new(&broken.nearest.unwrap()).is_ok());
}

#[rstest]
#[case("ana", true)]
#[case("Ana_2-x", true)]
#[case("", false)]
#[case("ana maria", false)]
#[case("../../etc", false)]
#[case(&"a".repeat(101), false)]
fn ids_are_short_and_plain(#[case] id: &str, #[case] accepted: bool) {
    assert_eq!(UserId::new(id).is_ok(), accepted);
}

#[rstest]
#[case("en", Some("en"))]
#[case("PT-br", Some("pt-BR"))]
#[case("zh_hant", Some("zh-Hant"))]
#[case("gsw", Some("gsw"))]
#[case("xx", None)]
#[case("english", None)]
#[case("", None)]
fn a_language_has_a_registered_primary_subtag(#[case] tag: &str, #[case] normal: Option<&str>) {
    assert_eq!(Language::new(tag).ok().as_ref().map(Language::as_str), normal);
}

#[rstest]
#[case(0.0, true)]
#[case(30.0, true)]
#[case(31.0, false)]
#[case(-1.0, false)]
#[case(2.5, false)]
#[case(f64::NAN, false)]
fn a_hashtag_count_is_a_whole_number_from_0_to_30(#[case] count: f64, #[case] accepted: bool) {
    assert_eq!(HashtagCount::new(count).is_ok(), accepted);
}

#[test]
fn a_number_out_of_range_names_the_nearest_bound() {
    assert_eq!(Variants::new(99.0).unwrap_err().nearest.as_deref(), Some("10"));
    assert_eq!(Variants::new(0.0).unwrap_err().nearest.as_deref(), Some("1"));
    assert_eq!(Temperature::new(2.5).unwrap_err().nearest.as_deref(), Some("2"));
}

#[test]
fn a_misspelt_choice_names_the_nearest_and_all() {
    let invalid = Invalid::from("freindly".parse::<Tone>().unwrap_err());

    assert_eq!(invalid.nearest.as_deref(), Some("friendly"));
    assert!(invalid.rule.contains("unknown tone 'freindly'") && invalid.rule.contains("respectful"));
    assert_eq!("zzzzzz".parse::<Tone>().unwrap_err().nearest, None);
    assert_eq!(" Humorous ".parse::<Tone>(), Ok(Tone::Funny));
}

#[test]
fn stored_values_pass_the_same_door_as_new_ones() {
    assert!(serde_json::from_str::<UserId>("\"ana\"").is_ok());
    assert!(serde_json::from_str::<UserId>("\"a b\"").is_err());
    assert!(serde_json::from_str::<HashtagCount>("31").is_err());
}
