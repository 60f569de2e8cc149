use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::rewrite::cover::cover;

const STRICT: Care = Care {
    may_lose: false,
    may_add_emoji: false,
};
const LOOSE: Care = Care {
    may_lose: true,
    may_add_emoji: false,
};

fn texts(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

#[rstest]
#[case::nothing("3 loaves by @ana", "3 panes de @ana", &[], &[])]
#[case::a_number_changed("3 loaves", "4 panes", &["3"], &["4"])]
#[case::one_of_two_lost("@ana and @ana", "@ana", &["@ana"], &[])]
#[case::said_twice_is_not_invented("@ana", "@ana y @ana", &[], &[])]
#[case::what_was_given_is_known("Bread", "Bread for €5 #bio", &[], &["#bio"])]
#[case::a_family_is_not_its_smaller_one("👨‍👩‍👧‍👦", "👨‍👩‍👧", &["👨‍👩‍👧‍👦"], &["👨‍👩‍👧"])]
fn a_change_is_checked(#[case] before: &str, #[case] after: &str, #[case] lost: &[&str], #[case] invented: &[&str]) {
    let found = check(before, after, "the bread costs €5");

    assert_eq!(texts(&found.lost), lost);
    assert_eq!(texts(&found.invented), invented);
}

#[rstest]
#[case::nothing_to_do("3 loaves by @ana 🎉", "3 panes de @ana 🎉", "3 panes de @ana 🎉", &[])]
#[case::a_number_in_the_other_spelling("for 1,200.50 €", "por 1.200,50 €", "por 1,200.50 €", &["1,200.50 €"])]
#[case::digits_of_the_other_script("12 loaves", "١٢ رغيفا", "12 رغيفا", &["12"])]
#[case::a_price_with_the_sign_behind("for $5", "por 5 $", "por $5", &["$5"])]
#[case::a_mention_in_another_case("by @ana.b", "de @Ana.B", "de @ana.b", &["@ana.b"])]
#[case::a_lost_mention("by @ana", "de Ana", "de Ana @ana", &["@ana"])]
#[case::a_lost_link_and_emoji("At www.a.example 🎉", "En la web", "En la web www.a.example 🎉", &["www.a.example", "🎉"])]
#[case::a_lost_family("Us 👨‍👩‍👧‍👦", "Nosotros 👨‍👩‍👧", "Nosotros 👨‍👩‍👧‍👦", &["👨‍👩‍👧‍👦"])]
#[case::an_emoji_in_text_form("I ❤️ it", "Me encanta ❤", "Me encanta ❤️", &["❤️"])]
#[case::an_invented_mention("by us", "de @otros, hoy", "de, hoy", &[])]
#[case::an_invented_tag("by us", "de #nosotros", "de nosotros", &[])]
#[case::an_invented_emoji("by us", "de nosotros 🎉!", "de nosotros!", &[])]
#[case::an_invented_first_word("by us", "@otros de nosotros", "de nosotros", &[])]
#[case::a_tag_in_another_case("our #Bread", "nuestro #bread", "nuestro #Bread", &["#Bread"])]
fn rules_put_right(#[case] before: &str, #[case] after: &str, #[case] text: &str, #[case] repaired: &[&str]) {
    let (mended, account) = repair(before, after, "", STRICT);

    assert_eq!(mended, text);
    assert_eq!(texts(&account.repaired), repaired);
    assert_eq!(texts(&account.lost), Vec::<&str>::new());
}

#[rstest]
#[case::a_number_as_a_word("3 loaves", "tres panes", &["3"])]
#[case::a_price_without_its_sign("for $5", "por 5 dólares", &["$5"])]
#[case::a_name("\"Casa Ana\" opens", "Abre la casa", &["\"Casa Ana\""])]
fn what_rules_cannot_put_right_is_told(#[case] before: &str, #[case] after: &str, #[case] lost: &[&str]) {
    let (text, account) = repair(before, after, "", STRICT);

    assert_eq!(text, after);
    assert_eq!(texts(&account.lost), lost);
}

#[test]
fn what_may_be_lost_is_told_and_not_put_back() {
    let (text, account) = repair("By @ana at 1,200 m 🎉", "De @Ana", "", LOOSE);

    assert_eq!(text, "De @ana");
    assert_eq!(texts(&account.repaired), ["@ana"]);
    assert_eq!(texts(&account.lost), ["1,200", "🎉"]);
}

#[test]
fn emoji_may_be_added_where_that_is_wished() {
    let care = Care {
        may_add_emoji: true,
        ..STRICT
    };

    assert_eq!(repair("By us", "By us 🎉 @x", "", care).0, "By us 🎉");
}

/// Captions with every kind of piece in any neighbourhood.
pub(in crate::rewrite) fn caption() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-z]{1,7}[.,!]?",
        1 => "(#|＃)[a-zA-Zãñä]{2,8}",
        1 => "@[a-z_]{2,8}",
        1 => Just("https://anna.example/menu?x=1".to_owned()),
        1 => Just("anna-bakery.com".to_owned()),
        1 => "[€$]?[0-9]{1,3}([.,:][0-9]{2})?%?",
        1 => Just("🎉".to_owned()),
        1 => Just("👨‍👩‍👧‍👦".to_owned()),
        1 => Just("🏳️‍🌈".to_owned()),
        1 => Just("1️⃣".to_owned()),
        1 => Just("👍🏽".to_owned()),
        1 => Just("می‌خواهم".to_owned()),
        1 => Just("焼きたて".to_owned()),
        1 => Just("\"Casa Ana\"".to_owned()),
    ];
    proptest::collection::vec(
        (
            piece,
            prop_oneof![5 => Just(" "), 1 => Just("\n"), 1 => Just("\n\n"), 1 => Just("")],
        ),
        1..24,
    )
    .prop_map(|pieces| {
        pieces
            .into_iter()
            .flat_map(|(piece, gap)| [piece, gap.to_owned()])
            .collect()
    })
}

/// What must be there byte by byte, whatever a model did.
fn kept(text: &str) -> Vec<Token> {
    let firm = |token: &Token| !matches!(token.kind, Kind::Number | Kind::Name);
    tokens(text).into_iter().filter(firm).collect()
}

proptest! {
    #[test]
    fn links_mentions_tags_and_emoji_come_through_any_answer(before in caption(), answer in prop_oneof![caption(), ".{0,80}"]) {
        let (text, account) = repair(&before, &answer, "", STRICT);

        prop_assert_eq!(missing(&kept(&before), &tokens(&text)), vec![], "{}", text);
        prop_assert!(account.lost.iter().all(|token| matches!(token.kind, Kind::Number | Kind::Name)), "{:?}", account);
    }

    #[test]
    fn an_answer_that_swaps_words_and_keeps_the_signs_loses_nothing(before in caption(), seed in any::<u64>()) {
        let kinds = [Kind::Link, Kind::Mention, Kind::Hashtag, Kind::Number, Kind::Emoji, Kind::Name];
        let covered = cover(&before, &kinds);
        let mut words: Vec<&str> = covered.text.split(' ').collect();
        let by = usize::try_from(seed % 17).unwrap() % words.len();
        words.rotate_left(by);

        let (text, account) = repair(&before, &covered.uncover(&words.join(" ")), "", STRICT);

        prop_assert_eq!(account.lost, vec![], "{:?} became {:?}", before, text);
    }

    #[test]
    fn the_same_text_is_left_as_it_is(text in prop_oneof![caption(), ".{0,80}"]) {
        for care in [STRICT, LOOSE] {
            prop_assert_eq!(repair(&text, &text, "", care), (text.clone(), Preserved::default()));
        }
    }
}
