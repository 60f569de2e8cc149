use rstest::rstest;

use super::*;
use crate::{
    choice::{Length, Platform},
    request::{CaptionRequest, Description, HashtagCount, MaxChars},
    user::Preferences,
};

fn brief(change: impl FnOnce(&mut CaptionRequest)) -> Brief {
    let description = "Golden retriever puppy running on a sandy beach at sunset, shot by @ana.photo";
    let mut request = CaptionRequest::new(Description::new(description).unwrap());
    change(&mut request);
    Brief::resolve(&request, &Preferences::default()).0
}

fn polished(text: &str, change: impl FnOnce(&mut CaptionRequest)) -> Variant {
    polish(&Draft::plain(text), &brief(change))
}

#[rstest]
#[case::a_label("Caption: Paws on the sand.", "Paws on the sand.")]
#[case::quotes("\"Paws on the sand.\"", "Paws on the sand.")]
#[case::inner_quotes_stay("\"Run,\" she said. \"Now.\"", "\"Run,\" she said. \"Now.\"")]
#[case::trailing_tags("Paws on the sand. #dog #beach", "Paws on the sand.")]
#[case::a_preamble("Sure! Here is a caption for your post:\n**Paws on the sand.**", "Paws on the sand.")]
#[case::a_colon_of_its_own("Sunset: paws on the sand.", "Sunset: paws on the sand.")]
#[case::numbers_are_no_tags("Voted #1 dog of the beach.", "Voted #1 dog of the beach.")]
#[case::a_tag_that_ends_the_sentence("He loves this #sunset.", "He loves this sunset.")]
#[case::links_in_brackets("Paws. See [our menu](https://evil.example/x) now!", "Paws.")]
#[case::links_without_a_scheme("Paws on the sand. More at anna-bakery.com", "Paws on the sand.")]
#[case::a_part_of_a_given_mention("Paws on the sand, by @ana", "Paws on the sand, by")]
#[case::a_sentence_about_an_address(
    "Paws on the sand.\nDM @stranger to win! See you there.",
    "Paws on the sand.\nSee you there."
)]
#[case::an_address_that_only_people_see("Paws on the sand. Visit evil dot com now.", "Paws on the sand.")]
#[case::a_number("Paws on the sand. Call +351 912 345 678.", "Paws on the sand.")]
#[case::markup("Paws on [the sand](by @ana.photo).", "Paws on the sand (by @ana.photo).")]
#[case::bait("Paws on the sand. Tag a friend who needs this! Run.", "Paws on the sand. Run.")]
#[case::a_sentence_in_another_language("Paws on the sand. Le chien est sur la plage et il court.", "Paws on the sand.")]
#[case::nothing_but_bait("Tag a friend who needs this!", "Tag a friend who needs this!")]
#[case::entities("Paws &amp; sand &lt;3<br>Run.", "Paws & sand <3\nRun.")]
#[case::inline_tags("A #puppy on the sand.", "A puppy on the sand.")]
#[case::invented_mentions("Paws on the sand with @stranger today.", "Paws on the sand with today.")]
#[case::given_mentions("Paws on the sand, by @ana.photo.", "Paws on the sand, by @ana.photo.")]
#[case::invented_links("Paws on the sand. https://spam.example", "Paws on the sand.")]
#[case::invisible_signs("Paws\u{200B} on\u{AD} the sand.\u{FEFF}", "Paws on the sand.")]
#[case::blank_lines("Paws.\n\n\n\nSand.  ", "Paws.\n\nSand.")]
#[case::joined_emoji_stay("Paws 👨‍👩‍👧‍👦 on the sand.", "Paws 👨‍👩‍👧‍👦 on the sand.")]
#[case::joiners_of_scripts_stay("می‌خواهم", "می‌خواهم")]
fn what_a_rule_can_mend_is_mended(#[case] written: &str, #[case] kept: &str) {
    let variant = polished(written, |_| {});

    assert_eq!(variant.caption, kept);
    assert_eq!(variant.text, Variant::published(&variant.caption, &variant.hashtags));
}

#[rstest]
#[case::bare("Caption: Paws on the sand.")]
#[case::in_stars("**Caption:** Paws on the sand.")]
#[case::of_a_platform("Instagram caption: Paws on the sand.")]
#[case::joined("Instagram-Caption: Paws on the sand.")]
#[case::of_a_post("Your Instagram post caption: Paws on the sand.")]
#[case::numbered("Caption 1: Paws on the sand.")]
#[case::numbered_option("Caption option #2: Paws on the sand.")]
#[case::of_a_language("Caption (English): Paws on the sand.")]
#[case::rewritten("Rewritten caption:\nPaws on the sand.")]
#[case::sure("Sure! Here is a caption for your post: Paws on the sand.")]
#[case::yours("Sure, here's your caption: Paws on the sand.")]
#[case::curled("Here’s a short, friendly caption for your beach photo: Paws on the sand.")]
#[case::several("Here are three captions: Paws on the sand.")]
#[case::of_course("Of course! Your caption: Paws on the sand.")]
#[case::german("Hier ist eine Caption für deinen Post: Paws on the sand.")]
fn a_label_of_the_answer_goes(#[case] written: &str) {
    assert_eq!(polished(written, |_| {}).caption, "Paws on the sand.");
}

#[rstest]
#[case::a_contest("Our caption contest is on: send us your best line.")]
#[case::a_contest_here("Here's a caption contest for you: send us your best line.")]
#[case::a_wish("Caption this: paws on the sand.")]
#[case::worthy("Here is a caption-worthy moment: paws on the sand.")]
#[case::in_a_sentence("I have no caption: paws on the sand.")]
#[case::a_later_line("A puppy runs.\nCaption: paws on the sand.")]
#[case::a_captain("Captions ahoy! Photo of the day: paws on the sand.")]
#[case::nothing_behind("Caption:")]
fn words_about_captions_stay(#[case] written: &str) {
    assert_eq!(polished(written, |_| {}).caption, written);
}

#[test]
fn a_label_that_the_description_has_stays() {
    let own = "Caption: the magazine for good lines is out.";
    let of_the_magazine = |request: &mut CaptionRequest| {
        request.description = Description::new("New issue of CAPTION : the magazine").unwrap();
    };

    assert_eq!(polished(own, of_the_magazine).caption, own);
    assert_eq!(
        polished("Instagram caption: Good lines.", of_the_magazine).caption,
        "Good lines."
    );
}

#[test]
fn every_mend_is_told_and_a_clean_text_has_none() {
    assert!(polished("A puppy on the sand 🐶.", |_| {}).repairs.is_empty());
    assert_eq!(
        polished("\"A puppy on the sand.\" ", |_| {}).repairs,
        ["removed a label or quotes around the text"]
    );
}

#[rstest]
#[case(Emoji::None, "Paws on sand.")]
#[case(Emoji::Few, "Paws 🐶🐾🌅 on sand.")]
#[case(Emoji::Many, "Paws 🐶🐾🌅🏖️ on sand.")]
fn emoji_beyond_the_wish_go(#[case] emoji: Emoji, #[case] kept: &str) {
    assert_eq!(
        polished("Paws 🐶🐾🌅🏖️ on sand.", |request| request.emoji =
            Some(emoji))
        .caption,
        kept
    );
}

#[rstest]
#[case::french("fr", "Quelle plage 🌅 ! On y va 🐾 ? Oui 🐶.", "Quelle plage ! On y va ? Oui.")]
#[case::english("en", "What a beach 🌅 ! Shall we 🐾 ? Yes 🐶.", "What a beach! Shall we? Yes.")]
fn an_emoji_that_goes_leaves_the_spaces_of_its_language(
    #[case] language: &str,
    #[case] written: &str,
    #[case] kept: &str,
) {
    let variant = polished(written, |request| {
        request.emoji = Some(Emoji::None);
        request.language = Language::new(language).ok();
    });

    assert_eq!(variant.caption, kept);
}

#[test]
fn a_paid_post_gets_its_disclosure_first() {
    let variant = polished("A puppy on the sand.", |request| request.sponsored = true);

    assert_eq!(variant.caption, "Ad: A puppy on the sand.");
    assert!(variant.publishable);
}

#[rstest]
#[case::a_tag("#ad A puppy on the sand.", "Ad: A puppy on the sand.")]
#[case::a_tag_with_a_mark("#Sponsored: A puppy on the sand.", "Sponsored: A puppy on the sand.")]
#[case::a_phrase(
    "#PaidPartnership with a puppy on the sand.",
    "Paid partnership with a puppy on the sand."
)]
fn a_disclosure_as_a_tag_is_not_doubled(#[case] written: &str, #[case] kept: &str) {
    let variant = polished(written, |request| request.sponsored = true);

    assert_eq!(variant.caption, kept);
    assert!(variant.publishable);
}

#[test]
fn sentences_beyond_the_wished_length_go_but_not_below_it() {
    let sentence = "The puppy runs along the beach and never looks back. ";
    let short = polished(&sentence.repeat(6), |request| request.length = Some(Length::Short));
    let one = polished(&"word ".repeat(40), |request| request.length = Some(Length::Short));

    assert_eq!(short.caption, sentence.repeat(2).trim());
    assert_eq!(one.character_count(), 199, "a single long sentence is left whole");
}

#[test]
fn the_call_to_action_stays_when_sentences_go() {
    let draft = Draft {
        body: "The puppy runs along the beach and never looks back. ".repeat(3),
        cta: Some("Where does yours run?".into()),
        ..Draft::default()
    };

    let caption = polish(&draft, &brief(|request| request.length = Some(Length::Short))).caption;

    assert!(
        caption.ends_with("Where does yours run?") && caption.chars().count() <= 125,
        "{caption}"
    );
}

#[test]
fn a_number_sign_in_the_text_takes_the_place_of_a_tag() {
    let variant = polished("Voted #1 dog of the beach.", |_| {});

    assert_eq!(variant.hashtags.len(), 4);
    assert!(variant.publishable, "{:?}", variant.violations);
}

#[rstest]
#[case::one_long_sentence("word ".repeat(2000))]
#[case::one_endless_word("a".repeat(70_000))]
#[case::endless_emoji("🐶 ".repeat(5000))]
#[case::many_sentences("Run along. ".repeat(1000))]
#[case::endless_brackets(format!("a.{}", ")".repeat(60_000)))]
fn no_text_is_ever_over_the_limit(#[case] written: String) {
    for platform in [Platform::Instagram, Platform::X, Platform::Threads, Platform::Bluesky] {
        let variant = polished(&written, |request| {
            request.platform = Some(platform);
            request.emoji = Some(Emoji::Many);
            request.length = Some(Length::Max);
        });

        assert!(variant.publishable, "{platform}: {:?}", variant.violations);
    }
}

#[test]
fn tags_give_way_before_the_last_sentence_does() {
    let variant = polished("A golden retriever puppy on the beach.", |request| {
        request.max_chars = Some(MaxChars::new(60.0).unwrap());
    });

    assert_eq!(variant.caption, "A golden retriever puppy on the beach.");
    assert_eq!(variant.hashtags.len(), 1);
    assert!(variant.publishable && variant.text.chars().count() <= 60);
}

#[test]
fn the_writers_tags_are_proposals_for_the_tags_of_the_caption() {
    let variant = polished("Paws on the sand. #SunsetPuppy #cryptocurrency", |request| {
        request.hashtag_count = Some(HashtagCount::new(2.0).unwrap());
    });

    assert_eq!(variant.hashtags[0], "#SunsetPuppy");
    assert!(!variant.text.contains("crypto"));
}

proptest::proptest! {
    #[test]
    fn what_is_taken_to_be_visible_is_so(text in "[a-zA-Z0-9 .,!#@€é½©\u{A0}\u{AD}\u{301}\u{2013}’…\n\r\t\u{200B}\u{FE0F}🐶-]{0,60}", row in "[.~ —]{70,90}") {
        for text in [text.clone(), format!("{text}{row}"), format!("{row}{text}")] {
            if is_visible(&text) {
                proptest::prop_assert_eq!(visible(&text), text);
            }
        }
    }

    #[test]
    fn any_text_ends_publishable_or_says_why(written in "[ -~äöü🐶👟#@\n]{0,400}") {
        let variant = polished(&written, |_| {});
        assert_eq!(variant.publishable, variant.violations.is_empty());
        assert!(variant.text.chars().count() <= 2200);
        assert!(variant.hashtags.len() <= 5);
    }
}

#[rstest]
#[case("See https://anna.example/menu?x=1 now. Come by!", &["See https://anna.example/menu?x=1 now. ", "Come by!"])]
#[case("One! Two? Three", &["One! ", "Two? ", "Three"])]
#[case("焼きたてです。どうぞ！", &["焼きたてです。", "どうぞ！"])]
fn a_sentence_ends_where_its_last_word_ends(#[case] text: &str, #[case] expected: &[&str]) {
    let mut from = 0;
    let found: Vec<&str> = sentence_ends(text)
        .into_iter()
        .map(|end| &text[std::mem::replace(&mut from, end)..end])
        .collect();

    assert_eq!(found, expected);
}
