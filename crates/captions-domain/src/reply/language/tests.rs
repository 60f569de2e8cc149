use rstest::rstest;

use super::*;

const GERMAN: &str =
    "Frisch aus dem Ofen und noch warm: unser Brot wartet heute Morgen auf euch, kommt vorbei und probiert es!";
const ENGLISH: &str = "The loaves came out at six and the counter is full. Come by while they are warm.";
const SPANISH: &str =
    "El pan acaba de salir del horno y la puerta está abierta. Ven a por una barra antes de que se acaben.";
const RUSSIAN: &str = "Хлеб только что из печи, и дверь открыта. Заходите, пока он тёплый.";
const JAPANESE: &str = "焼きたてのパンがカウンターに並びました。温かいうちにどうぞ。";

#[rstest]
#[case(GERMAN, "en")]
#[case(SPANISH, "en")]
#[case(ENGLISH, "de")]
#[case(ENGLISH, "es")]
#[case(ENGLISH, "nb")]
#[case(GERMAN, "fr")]
#[case(RUSSIAN, "en")]
#[case(JAPANESE, "en")]
#[case(ENGLISH, "ru")]
#[case(ENGLISH, "ja")]
#[case(ENGLISH, "zh-Hant-TW")]
fn another_language_is_seen_where_it_is_plain(#[case] text: &str, #[case] wanted: &str) {
    assert!(is_another(text, &Language::new(wanted).unwrap()));
}

#[rstest]
#[case(ENGLISH, Some("en"))]
#[case(GERMAN, Some("de"))]
#[case(SPANISH, Some("es"))]
#[case(JAPANESE, Some("ja"))]
#[case("갓 구운 빵이 나왔어요. 따뜻할 때 오세요.", Some("ko"))]
#[case("Fresh bread, and it is still warm. #pan #horno @casa_ana", Some("en"))]
#[case(RUSSIAN, None)]
#[case("Sourdough. Rye. Spelt. Focaccia. Ciabatta. Baguette.", None)]
#[case("Bread!", None)]
#[case("", None)]
fn the_language_of_a_text_is_told_where_it_is_plain(#[case] text: &str, #[case] language: Option<&str>) {
    assert_eq!(of(text).as_ref().map(Language::as_str), language);
}

#[rstest]
#[case(ENGLISH, "en-GB")]
#[case(GERMAN, "de")]
#[case(SPANISH, "es")]
#[case(SPANISH, "pt")]
#[case(RUSSIAN, "ru")]
#[case(RUSSIAN, "uk")]
#[case(JAPANESE, "ja")]
#[case(JAPANESE, "zh")]
#[case(
    "Brødet er nettopp ute av ovnen, og døren er åpen. Kom innom mens det fortsatt er varmt.",
    "da"
)]
#[case("Namaste dosto, aaj ka khana bahut accha hai aur chai bhi garam hai", "hi-Latn")]
#[case(
    "Sourdough. Rye. Spelt. Focaccia. Ciabatta. Baguette. Brioche. Pain au levain. Pumpernickel. Challah.",
    "de"
)]
#[case("Guten Morgen! The loaves came out at six and the counter is full.", "en")]
#[case("Kommt vorbei!", "en")]
#[case("#brot #ofen #und #das #ist #der #die #auf #euch #wir #sind #da Fresh bread.", "en")]
#[case("焼きたて", "en")]
#[case(GERMAN, "vi")]
fn what_is_not_plain_is_let_pass(#[case] text: &str, #[case] wanted: &str) {
    assert!(!is_another(text, &Language::new(wanted).unwrap()));
}

/// What the switches of an English caption about bread are, of this sentence beside a right one.
fn switches_of(sentence: &str, wanted: &str, given: &str) -> Vec<String> {
    let text = format!("{sentence} #bread");
    switches(&text, &Language::new(wanted).unwrap(), given)
        .into_iter()
        .map(|span| span.text.to_owned())
        .collect()
}

#[rstest]
#[case::french("Le pain est chaud et il vous attend.", "en")]
#[case::german("Das Brot ist noch warm, kommt vorbei.", "en")]
#[case::spanish("El pan está caliente y te espera.", "en")]
#[case::portuguese("O pão ainda não está frio, mas só até ao meio-dia.", "en")]
#[case::italian("Il pane è caldo e ti aspetta.", "en")]
#[case::english_in_german("The bread is warm and waits for you.", "de")]
#[case::english_in_spanish("The bread is warm and waits for you.", "es")]
#[case::spanish_in_portuguese("El pan está caliente y te espera en la puerta.", "pt")]
#[case::german_in_dutch("Das Brot ist noch warm und wir sind da.", "nl")]
#[case::shouted("LE PAIN EST CHAUD ET IL VOUS ATTEND.", "en")]
#[case::russian("Хлеб только что из печи.", "en")]
#[case::arabic("الخبز ساخن وينتظركم هذا الصباح.", "en")]
#[case::japanese("焼きたてのパンが並びました。", "en")]
#[case::english_in_japanese("The bread is warm and waits for you.", "ja")]
#[case::english_in_russian("The bread is warm and waits for you.", "ru")]
fn one_sentence_in_another_language_is_seen(#[case] sentence: &str, #[case] wanted: &str) {
    let found = switches_of(sentence, wanted, "Warm sourdough on the counter");

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(sentence.trim_end_matches(['.', '。'])),
        "{found:?}"
    );
}

#[rstest]
#[case::a_greeting("Bon appétit, mes amis!", "en", "")]
#[case::a_saying("Mi casa es suya.", "en", "")]
#[case::a_name_of_a_song("We danced to La Vie en Rose until the lights went out.", "en", "")]
#[case::a_name("Le Pain Quotidien, La Maison du Chocolat.", "en", "")]
#[case::dishes("Pain au levain, tarte aux pommes, croissant.", "en", "")]
#[case::a_slogan_that_was_given(
    "Vorsprung durch das, was wir sind.",
    "en",
    "A poster: Vorsprung durch das, was wir sind"
)]
#[case::a_quote_that_was_given(
    "\"Je ne regrette rien de tout ça.\"",
    "en",
    "On the wall: je ne regrette rien de tout ça"
)]
#[case::given_and_cut("Das Brot ist noch warm…", "en", "Das Brot ist noch warm und wartet auf alle")]
#[case::an_idiom("一期一会.", "en", "")]
#[case::names_in_another_script("Sony PlayStation Pro Digital Edition.", "ja", "")]
#[case::names_with_numbers("iPhone Pro Max Ultra.", "ru", "")]
#[case::given_in_another_script(
    "焼きたてのパンがカウンターに並びました。",
    "en",
    "焼きたてのパンがカウンターに並びました"
)]
#[case::a_script_of_names("Лев Николаевич Толстой.", "en", "")]
#[case::no_small_words("Sun, sand, salt, surf, sunscreen.", "de", "")]
#[case::mixed("The word for it is Gemütlichkeit, und das ist gut.", "en", "")]
#[case::own("Wir sind da und das Brot ist warm.", "de", "")]
#[case::neighbours("Brødet er varmt og vi er her hele dagen.", "da", "")]
#[case::a_language_without_list("The bread is warm and waits for you.", "vi", "")]
fn what_may_be_a_quote_a_name_or_the_users_own_is_no_switch(
    #[case] sentence: &str,
    #[case] wanted: &str,
    #[case] given: &str,
) {
    assert_eq!(switches_of(sentence, wanted, given), [""; 0]);
}

#[test]
fn what_is_given_is_looked_up_word_by_word() {
    let other = "Le pain est chaud et il vous attend.";

    assert_eq!(switches_of(other, "en", "Du pain chaud sur le comptoir").len(), 1);
    assert!(is_all_switched(other, &Language::default(), ""));
    assert!(!is_all_switched(
        &format!("Warm bread. {other}"),
        &Language::default(),
        ""
    ));
}
