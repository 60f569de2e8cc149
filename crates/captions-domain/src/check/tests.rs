use rstest::rstest;

use super::*;

mod rules;
use crate::{
    choice::{Emoji, Platform},
    request::{CaptionRequest, Description, Keyword, MaxChars},
    user::Preferences,
};

fn instagram() -> PlatformRules {
    PlatformRules::of(Platform::Instagram)
}

fn rules_broken(text: &str, change: impl FnOnce(&mut CaptionRequest)) -> Vec<String> {
    let mut request = CaptionRequest::new(Description::new("A pair of white sneakers").unwrap());
    change(&mut request);
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    violations(text, &brief)
        .into_iter()
        .map(|violation| violation.rule)
        .collect()
}

#[rstest]
#[case::at_the_limit("a".repeat(2200), &[])]
#[case::over_the_limit("a".repeat(2201), &["too_long"])]
#[case::five_tags("ok #a #b #c #d #e".into(), &[])]
#[case::six_tags("ok #a #b #c #d #e#f".into(), &["too_many_hashtags"])]
#[case::twenty_mentions("@ab ".repeat(20), &[])]
#[case::twenty_one_mentions("@ab ".repeat(21), &["too_many_mentions"])]
#[case::nothing(" \n".into(), &["empty"])]
#[case::an_entity_is_no_tag("it&#39;s #a #b #c #d #e".into(), &[])]
#[case::a_mail_address_is_no_mention(format!("{}me@example.com", "@ab ".repeat(20)), &[])]
fn instagrams_limits(#[case] text: String, #[case] broken: &[&str]) {
    let found: Vec<_> = platform_violations(&text, &instagram())
        .into_iter()
        .map(|v| v.rule)
        .collect();

    assert_eq!(found, broken);
}

#[rstest]
#[case::two_hundred_families(200, true)]
#[case::over_in_utf16_only(201, false)]
fn what_we_write_stays_under_the_limit_in_both_readings(#[case] families: usize, #[case] accepted: bool) {
    // Seven code points and eleven UTF-16 units each.
    let text = "👨‍👩‍👧‍👦".repeat(families);

    assert_eq!(
        rules_broken(&text, |request| request.emoji = Some(Emoji::Many)).is_empty(),
        accepted
    );
    assert!(
        platform_violations(&text, &instagram()).is_empty(),
        "a user's own text is judged by code points"
    );
}

#[rstest]
#[case("Cheap shoes", true)]
#[case("cheaply made", false)]
#[case("so #Cheap", true)]
#[case("CHEAP!", true)]
fn avoided_words_are_found_as_words(#[case] text: &str, #[case] found: bool) {
    let broken = rules_broken(text, |request| request.avoid = vec![Keyword::new("cheap").unwrap()]);

    assert_eq!(broken.contains(&"avoided_word".to_owned()), found);
}

#[rstest]
#[case::no_spaces_between_words("今天喝咖啡吧", "咖啡", true)]
#[case::emoji("so 🔥hot🔥", "🔥", true)]
#[case::apostrophes("I don’t know", "don't", true)]
#[case::double_spaces("brand new  shoes", "new shoes", true)]
#[case::line_breaks("brand new\nshoes", "new shoes", true)]
#[case::tags("#NewShoes", "new shoes", true)]
#[case::inside_a_word("renewed shoes", "new", false)]
#[case::nothing("anything", " ", false)]
fn phrases_are_found_in_every_script_and_spacing(#[case] text: &str, #[case] phrase: &str, #[case] found: bool) {
    assert_eq!(contains_phrase(text, phrase), found);
}

#[test]
fn the_callers_own_limit_counts_the_tags() {
    let text = "Twenty-one characters\n\n#WhiteSneakers";

    assert_eq!(
        rules_broken(text, |request| request.max_chars = Some(MaxChars::new(30.0).unwrap())),
        ["too_long"]
    );
}

#[rstest]
#[case("Ad: new sneakers.", false)]
#[case("Paid partnership with Acme. New sneakers.", false)]
#[case("New sneakers. Thanks Acme! #sp", true)]
#[case("Line\nline\nline\nAd: new sneakers", true)]
#[case("Adorable sneakers", true)]
#[case("No ad needed here.", true)]
#[case("Ad hoc sneakers", true)]
#[case("[Ad] New sneakers", false)]
#[case("Pubblicità: nuove scarpe", false)]
#[case("New sneakers, sponsored by Acme", false)]
#[case("#ad We love these sneakers", false)]
#[case("#Ad\nNew sneakers #shoes", false)]
#[case("#PaidPartnership with Acme: new sneakers", false)]
#[case("#広告 新しい靴", false)]
#[case("#ad #sneakers #shoes", true)]
#[case("New sneakers #shoes #ad", true)]
#[case("#advice on sneakers", true)]
#[case("#sp We love these sneakers", true)]
#[case("#partner We love these sneakers", true)]
#[case("Gesponsert: neue Schuhe", false)]
#[case("Bezahlte Partnerschaft mit Acme. Neue Schuhe.", false)]
#[case("Neue Schuhe, gesponsert von Acme", false)]
#[case("#Werbung Neue Schuhe", false)]
#[case("Patrocinado: zapatos nuevos", false)]
#[case("Colaboración pagada con Acme. Zapatos nuevos.", false)]
#[case("Sponsorisé : chaussures neuves", false)]
#[case("Partenariat rémunéré avec Acme, chaussures neuves", false)]
#[case("Collaboration commerciale : chaussures neuves", false)]
#[case("Sponsorizzato: scarpe nuove", false)]
#[case("Parceria paga com a Acme. Sapatos novos.", false)]
#[case("Gesponsord: nieuwe schoenen", false)]
#[case("Betaald partnerschap met Acme. Nieuwe schoenen.", false)]
#[case("Gesponserte Schuhe gibt es hier", true)]
#[case("Anuncios de zapatos", true)]
fn a_paid_post_says_so_before_the_fold(#[case] text: &str, #[case] missing: bool) {
    assert_eq!(
        rules_broken(text, |r| r.sponsored = true).contains(&"missing_disclosure".to_owned()),
        missing
    );
}

#[test]
fn emoji_that_nobody_wants_are_a_violation() {
    assert_eq!(
        rules_broken("New shoes 👟", |r| r.emoji = Some(Emoji::None)),
        ["emoji_not_wanted"]
    );
}

#[test]
fn banned_and_required_words_of_the_user_are_hard_rules() {
    let preferences = Preferences {
        avoid: vec![Keyword::new("cheap").unwrap()],
        required: ["Aurora", "sneakers"].map(|word| Keyword::new(word).unwrap()).to_vec(),
        ..Preferences::default()
    };
    let request = CaptionRequest::new(Description::new("A pair of white sneakers").unwrap());
    let (brief, _) = Brief::resolve(&request, &preferences);
    let broken = |text: &str| -> Vec<(String, String)> {
        let report = report(text, &brief);
        assert_eq!(report.publishable, report.violations().is_empty());
        report
            .violations()
            .into_iter()
            .map(|v| (v.rule, v.value + "/" + &v.limit))
            .collect()
    };

    assert_eq!(broken("Aurora: white #Sneakers."), []);
    assert_eq!(
        broken("A cheap pair of sneakers."),
        [
            ("avoided_word".to_owned(), "cheap/must not occur".to_owned()),
            ("missing_word".to_owned(), "missing/Aurora".to_owned())
        ]
    );
}
