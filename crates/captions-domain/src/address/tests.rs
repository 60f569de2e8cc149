use rstest::rstest;

use super::*;

fn plain_forms(text: &str) -> Vec<String> {
    find(text).into_iter().map(|address| address.plain).collect()
}

#[rstest]
#[case::link("See https://evil.example/x?d=1.", "evil.example/x?d=1")]
#[case::link_in_capitals("See HTTP://EVIL.EXAMPLE now", "evil.example")]
#[case::no_scheme("More at anna-bakery.com", "anna-bakery.com")]
#[case::glued("Visit(evil.com)today", "evil.com")]
#[case::behind_a_colon("link:evil.com/a", "evil.com/a")]
#[case::markdown("[menu](https://evil.com/a)", "evil.com/a")]
#[case::short_link("bit.ly/3xYz", "bit.ly/3xyz")]
#[case::word_as_an_end("join t.me/evilgroup", "t.me/evilgroup")]
#[case::strange_end("go to evil.africa/login", "evil.africa/login")]
#[case::scheme_of_reports("hxxp://evil[.]com", "evil.com")]
#[case::dot_in_brackets("visit evil[.]com now", "evil.com")]
#[case::dot_as_a_word("visit evil dot com now", "evil.com")]
#[case::dot_as_a_word_in_brackets("visit evil (dot) com now", "evil.com")]
#[case::dot_in_german("evil punkt com", "evil.com")]
#[case::dot_with_spaces("evil . com", "evil.com")]
#[case::dot_with_a_space("evil. com", "evil.com")]
#[case::dot_before_a_space("evil .com", "evil.com")]
#[case::scheme_with_spaces("https : //evil.com", "evil.com")]
#[case::full_width("ｅｖｉｌ．ｃｏｍ", "evil.com")]
#[case::another_dot("evil。com", "evil.com")]
#[case::one_dot_leader("evil․com", "evil.com")]
#[case::bold_letters("𝐞𝐯𝐢𝐥.𝐜𝐨𝐦", "evil.com")]
#[case::letters_in_circles("ⓔⓥⓘⓛ.ⓒⓞⓜ", "evil.com")]
#[case::cyrillic_letters("еvil.соm", "evil.com")]
#[case::marks_without_width("ev\u{200B}il\u{2060}.c\u{200D}om", "evil.com")]
#[case::letter_by_letter("e v i l . c o m", "evil.com")]
#[case::handle("DM @evil_handle!", "@evil_handle")]
#[case::handle_in_full_width("DM ＠evil", "@evil")]
#[case::email("mail me@evil.com.", "me@evil.com")]
#[case::email_told("mail bob at evil dot com", "bob@evil.com")]
#[case::email_in_brackets("mail bob (at) evil (dot) com", "bob@evil.com")]
#[case::email_in_one_word("mail bob[at]evil[dot]com", "bob@evil.com")]
#[case::script("javascript:alert(1)", "javascript:alert(1")]
#[case::phone("Call +351 912 345 678 now", "351912345678")]
#[case::phone_with_brackets("(555) 123-4567", "5551234567")]
#[case::phone_with_dots("555.123.4567", "5551234567")]
#[case::phone_local("Call 555-1234.", "5551234")]
#[case::phone_without_spaces("0031612345678", "0031612345678")]
#[case::phone_of_another_script("٠١٢٣٤٥٦٧٨٩", "0123456789")]
#[case::phone_digit_by_digit("5 5 5 1 2 3 4 5", "55512345")]
#[case::phone_in_words("five five five one two three four", "five five five one two three four")]
fn an_address_is_seen_however_it_is_written(#[case] text: &str, #[case] plain: &str) {
    assert_eq!(plain_forms(text), [plain]);
}

#[rstest]
#[case("Warm bread. Come early, leave happy.")]
#[case("Enjoy the day.Be happy.")]
#[case("One last sunset.in the evening we leave.")]
#[case("Open 10:00-18:00, 7 days a week, since 1987.")]
#[case("From 30.11.2026 to 2026-12-24, that is 1,200,000 loaves.")]
#[case("1990-2024, 2025/26, 3.50 €, $12.99, 5 000 steps")]
#[case("2024 2025 2026")]
#[case("The dot com years are over.")]
#[case("Meet us @ the beach, 8 p.m. sharp, i.e. soon.")]
#[case("The catch of the day. Net weight 2.5 kg.")]
#[case("St.Pauli, No.1, Ph.D. and a 9-to-5 job.")]
#[case("Data: none. Tel Aviv: sunny. One two three four, go!")]
#[case("焼きたてのパンです。温かいうちにどうぞ。")]
#[case("Парк открыт. Заходите!")]
#[case("می‌خواهم نان تازه بخرم.")]
#[case("👨‍👩‍👧‍👦 at home. It is us. So be it.")]
#[case("A col·lecció of paral·lel lines")]
#[case("Node.js 22.1 and v2.0.1 are out; x = y/z.")]
fn what_is_no_address_is_left_alone(#[case] text: &str) {
    assert_eq!(plain_forms(text), Vec::<String>::new());
}

#[test]
fn places_are_those_of_the_text_itself() {
    let text = "Pão ｅｖｉｌ．ｃｏｍ e @ana";

    let pieces: Vec<&str> = find(text).into_iter().map(|address| &text[address.place]).collect();

    assert_eq!(pieces, ["ｅｖｉｌ．ｃｏｍ", "@ana"]);
}

#[rstest]
#[case("shot by @ana.photo", "by @Ana.Photo.", 0)]
#[case("shot by @ana.photo", "by @ana", 1)]
#[case("see https://www.bakery.com/", "see bakery.com", 0)]
#[case("see bakery.com", "see bakery.com/evil", 1)]
#[case("call +351 912 345 678", "call +351912345678", 0)]
#[case("", "bread", 0)]
fn only_what_was_not_given_is_untraced(#[case] given: &str, #[case] text: &str, #[case] count: usize) {
    assert_eq!(untraced(text, given).len(), count);
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_places_are_in_order(text in "[a-z@./ :0-9．｡е\u{200B}🐶\\[\\]()-]{0,120}") {
        let found = find(&text);
        for address in &found {
            assert!(text.get(address.place.clone()).is_some_and(|piece| !piece.is_empty()));
        }
        assert!(found.windows(2).all(|two| two[0].place.end <= two[1].place.start));
    }
}
