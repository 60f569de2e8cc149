use rstest::rstest;

use super::*;
use Kind::{Emoji, Hashtag, Link, Mention, Name, Number};

fn told(text: &str) -> Vec<(Kind, String)> {
    tokens(text).into_iter().map(|token| (token.kind, token.text)).collect()
}

#[rstest]
#[case::with_a_scheme("See https://anna.example/menu?x=1#top.", &["https://anna.example/menu?x=1#top"])]
#[case::without_one("Order at anna-bakery.com!", &["anna-bakery.com"])]
#[case::mail("Write to hi@anna-bakery.com, please", &["hi@anna-bakery.com"])]
#[case::in_brackets("(www.anna.example)", &["www.anna.example"])]
#[case::in_a_script_without_spaces("詳しくはhttps://a.example/bをご覧ください", &["https://a.example/b"])]
#[case::no_link("The end.Of the line", &[])]
fn links_are_found(#[case] text: &str, #[case] links: &[&str]) {
    assert_eq!(
        told(text),
        links.iter().map(|link| (Link, (*link).to_owned())).collect::<Vec<_>>()
    );
}

#[rstest]
#[case("3 loaves", &["3"])]
#[case("€5, $4.50 and 1.200,50 €", &["€5", "$4.50", "1.200,50 €"])]
#[case("US$20 or R$ 9", &["US$20", "9"])]
#[case("20% off, 5 °C", &["20%", "5 °"])]
#[case("from 10:30 to 12:00", &["10:30", "12:00"])]
#[case("open 7-9, 2026-11-30", &["7-9", "2026-11-30"])]
#[case("call +34 600 123", &["+34", "600", "123"])]
#[case("3 $5 menus", &["3", "$5"])]
#[case("the 2nd of B2B", &["2", "2"])]
#[case("١٢ رغيفا", &["١٢"])]
#[case("Year 2026.", &["2026"])]
fn numbers_are_found(#[case] text: &str, #[case] numbers: &[&str]) {
    assert_eq!(
        told(text),
        numbers
            .iter()
            .map(|number| (Number, (*number).to_owned()))
            .collect::<Vec<_>>()
    );
}

#[test]
fn every_kind_is_found_once_and_in_order() {
    let text = "\"Casa Ana\" by @ana.b: 2 for 1 🎉👨‍👩‍👧 1️⃣ at www.ana.example/#x #Pão #cafe";

    let kinds: Vec<Kind> = tokens(text).iter().map(|token| token.kind).collect();

    assert_eq!(
        kinds,
        [
            Name, Mention, Number, Number, Emoji, Emoji, Emoji, Link, Hashtag, Hashtag
        ]
    );
    assert_eq!(tokens(text)[5].text, "👨‍👩‍👧");
}

#[rstest]
#[case("He said \"come in\" and \"Never.\"")]
#[case("\"A whole sentence of many words here\"")]
fn quotes_of_speech_are_no_names(#[case] text: &str) {
    assert!(tokens(text).is_empty());
}

proptest::proptest! {
    #[test]
    fn no_piece_overlaps_another(text in ".{0,120}") {
        let found = find(&text);
        assert!(found.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
        assert!(found.iter().all(|found| !found.range.is_empty() && text.get(found.range.clone()).is_some()));
    }
}
