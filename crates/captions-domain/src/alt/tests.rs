use bytes::Bytes;
use rstest::rstest;

use super::*;
use crate::{
    image::Image,
    request::{CaptionRequest, Description},
    user::Preferences,
};

const PUPPY: &str = "Golden retriever puppy runs on a beach. Taken in Cascais on 3 May";

fn brief(description: &str) -> Brief {
    let request = CaptionRequest::new(Description::new(description).unwrap());
    Brief::resolve(&request, &Preferences::default()).0
}

/// The text, who says it, and how many repairs there were.
fn told(proposed: Option<&str>, brief: &Brief, caption: &str) -> (Option<String>, Option<AltSource>, usize) {
    let mut repairs = Vec::new();
    let alt = alt_text(proposed, &Given::of(brief), caption, &mut repairs);
    let source = alt.as_ref().map(|alt| alt.source);
    (alt.map(|alt| alt.text), source, repairs.len())
}

#[rstest]
#[case::as_it_is("A puppy runs along the water", "A puppy runs along the water")]
#[case::label("Alt text: A puppy runs", "A puppy runs")]
#[case::one_line("A puppy\n\nruns 🐶", "A puppy runs")]
#[case::tags_keep_their_words("A #puppy runs", "A puppy runs")]
#[case::joined_emoji_goes_whole("A family 👨‍👩‍👧‍👦 runs", "A family runs")]
#[case::persian_keeps_its_joiner("می\u{200C}خواهم", "می\u{200C}خواهم")]
fn the_writers_own_is_made_plain(#[case] proposed: &str, #[case] expected: &str) {
    let (text, source, repairs) = told(Some(proposed), &brief(PUPPY), "Sandy paws.");

    assert_eq!(
        (text.as_deref(), source, repairs),
        (Some(expected), Some(AltSource::Writer), 0)
    );
}

#[rstest]
#[case::none(None)]
#[case::empty(Some("  "))]
#[case::only_emoji(Some("🐶🐶"))]
#[case::the_caption_again(Some("Sandy paws!"))]
fn without_one_the_description_speaks_for_itself(#[case] proposed: Option<&str>) {
    let (text, source, _) = told(proposed, &brief(PUPPY), "Sandy paws.");

    assert_eq!((text.as_deref(), source), (Some(PUPPY), Some(AltSource::Description)));
}

#[test]
fn a_description_that_is_the_caption_already_is_not_told_twice() {
    assert_eq!(told(None, &brief("Sandy paws"), "Sandy paws."), (None, None, 0));
}

#[test]
fn a_long_description_gives_its_first_sentences() {
    let description = format!("A puppy runs. {}", "It runs and runs and runs. ".repeat(20));

    let (text, ..) = told(None, &brief(&description), "Sandy paws.");

    let text = text.unwrap();
    assert!(
        text.starts_with("A puppy runs.") && text.ends_with("It runs and runs and runs."),
        "{text}"
    );
    assert!(text.chars().count() <= FROM_DESCRIPTION, "{text}");
}

#[rstest]
#[case::number("A puppy runs. It is 7 weeks old.", "A puppy runs.")]
#[case::name("A puppy runs. It looks at Maria.", "A puppy runs.")]
#[case::link("A puppy runs. See www.puppies.com now.", "A puppy runs.")]
#[case::account("A puppy runs. Thanks to @somebody.", "A puppy runs.")]
#[case::what_the_brief_says("A puppy runs in Cascais. It is 3 May.", "A puppy runs in Cascais. It is 3 May.")]
fn what_the_brief_does_not_say_goes_and_is_told(#[case] proposed: &str, #[case] expected: &str) {
    let (text, source, repairs) = told(Some(proposed), &brief(PUPPY), "Sandy paws.");

    assert_eq!((text.as_deref(), source), (Some(expected), Some(AltSource::Writer)));
    assert_eq!(repairs, usize::from(proposed != expected));
}

#[rstest]
#[case::what_is_seen("A sign says Marias 24.", Some("A sign says Marias 24."))]
#[case::no_link_from_a_picture("A puppy. Go to www.evil.com now.", Some("A puppy."))]
#[case::no_account_from_a_picture("A puppy. Follow @evil now.", Some("A puppy."))]
fn of_a_picture_it_may_tell_what_stands_in_it(#[case] proposed: &str, #[case] expected: Option<&str>) {
    let picture = Image::of(Bytes::from_static(&[0xFF, 0xD8, 0xFF, 0xE0]), None).unwrap();
    let brief = Brief {
        image: Some(picture),
        ..brief(PUPPY)
    };

    assert_eq!(told(Some(proposed), &brief, "Sandy paws.").0.as_deref(), expected);
}

#[rstest]
#[case::at_a_sentence("A puppy runs. ".repeat(100), "A puppy runs.")]
#[case::at_a_word("puppy ".repeat(300), "puppy…")]
#[case::between_graphemes("नि".repeat(900), "नि…")]
fn a_long_one_is_cut_and_told(#[case] proposed: String, #[case] end: &str) {
    let (text, source, repairs) = told(Some(&proposed), &brief(PUPPY), "Sandy paws.");

    let text = text.unwrap();
    assert!(text.ends_with(end), "{text}");
    assert!(text.chars().count() <= MAX_CHARS && text.chars().count() > MAX_CHARS - 20);
    assert_eq!((source, repairs), (Some(AltSource::Writer), 1));
}

#[rstest]
#[case::feed(Platform::Instagram, ContentType::Post, Some(MAX_CHARS))]
#[case::carousel(Platform::Instagram, ContentType::Carousel, Some(MAX_CHARS))]
#[case::reel(Platform::Instagram, ContentType::Reel, None)]
#[case::story(Platform::Instagram, ContentType::Story, None)]
#[case::pin(Platform::Pinterest, ContentType::Post, Some(500))]
#[case::linkedin(Platform::Linkedin, ContentType::Post, Some(MAX_CHARS))]
#[case::video(Platform::Youtube, ContentType::Post, None)]
fn the_platform_says_how_long_it_may_be(
    #[case] platform: Platform,
    #[case] content_type: ContentType,
    #[case] expected: Option<usize>,
) {
    let brief = Brief {
        content_type,
        platform,
        ..brief(PUPPY)
    };

    let longest = told(Some(&"a b ".repeat(600)), &brief, "Sandy paws.")
        .0
        .map(|text| text.chars().count());

    assert_eq!(longest.is_some(), expected.is_some());
    assert!(longest.unwrap_or(0) <= expected.unwrap_or(0));
}
