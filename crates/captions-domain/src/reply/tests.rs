use rstest::rstest;

use super::*;
use crate::{
    brief::Brief,
    request::{CaptionRequest, Description},
    user::Preferences,
};

mod mangled;

fn one(hook: &str) -> String {
    format!(r#"{{"angle":"a","hook":"{hook}","body":"Rest.","cta":null,"hashtags":["x"]}}"#)
}

#[rstest]
#[case::exact(format!("{{\"variants\":[{}]}}", one("Hi.")))]
#[case::fenced(format!("```json\n{{\"variants\":[{}]}}\n```", one("Hi.")))]
#[case::with_prose_around(format!("Sure! Here it is:\n{{\"variants\":[{}]}}\nEnjoy!", one("Hi.")))]
#[case::a_bare_list(format!("[{}]", one("Hi.")))]
#[case::a_single_draft(one("Hi."))]
#[case::after_thinking(format!("<think>they want {{json}}</think>{{\"variants\":[{}]}}", one("Hi.")))]
fn the_json_asked_for_is_found_however_it_is_wrapped(#[case] answer: String) {
    let drafts = parse(&answer, Format::Variants).unwrap();

    assert_eq!(drafts[0].text(), "Hi. Rest.");
    assert_eq!(drafts[0].hashtags, ["x".into()]);
}

#[rstest]
#[case::empty("", Format::Plain)]
#[case::only_thoughts("<think>hm</think>  ", Format::Plain)]
#[case::still_thinking("<think>hm, what", Format::Plain)]
#[case::prose_for_json("A nice caption", Format::Variants)]
#[case::cut_json(r#"{"variants":[{"angle":"a","hook":"Fre"#, Format::Variants)]
#[case::no_variants(r#"{"variants":[]}"#, Format::Variants)]
#[case::empty_variant(
    r#"{"variants":[{"angle":"a","hook":"","body":"","cta":null,"hashtags":[]}]}"#,
    Format::Variants
)]
#[case::broken_json_with_a_whole_list_of_tags(
    r#"{"variants":[{"angle" "a","hook":"A big day.","body":"","cta":null,"hashtags":["SandyBeach","Sunset"]}]}"#,
    Format::Variants
)]
#[case::deep_nesting(&"[".repeat(100_000), Format::Variants)]
fn an_answer_without_a_caption_is_unusable(#[case] answer: &str, #[case] format: Format) {
    assert!(matches!(parse(answer, format), Err(LlmError::Unusable { .. })));
}

#[test]
fn an_echo_of_the_question_is_no_answer() {
    let request = CaptionRequest::new(Description::new("A cat on a sofa").unwrap());
    let (brief, _) = Brief::resolve(&request, &Preferences::default());

    for format in [Format::Plain, Format::Variants] {
        let question = prompt::render(&brief, &[], format, None).user;
        assert!(parse(&question, format).is_err());
        assert!(parse(&format!("Sure!\n{question}\nA cat."), Format::Plain).is_err());
    }
    assert!(parse("The BRIEF history of a cat.", Format::Plain).is_ok());
}

#[test]
fn the_example_of_the_form_filled_in_by_nobody_is_no_answer() {
    let request = CaptionRequest::new(Description::new("A cat on a sofa").unwrap());
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    let question = prompt::render(&brief, &[], Format::Variants, None).user;
    let example = &question[question.find("{\"variants\"").unwrap()..];
    let own = r#"{"hook":"The first sentence of my new book.","body":"Out today.","cta":null}"#;

    assert!(parse(example, Format::Variants).is_err());
    assert!(parse(r#"{"hook":"First sentence","body":"","cta":null}"#, Format::Variants).is_err());
    assert!(parse(own, Format::Variants).is_ok());
}

#[test]
fn pieces_of_the_question_are_no_answer() {
    let prompt = question(Format::Plain);
    let marker = prompt.user.split_whitespace().nth(1).unwrap();
    let told = |text: &str| read(text, &prompt, Grade::Standard).is_err();

    assert!(told(&format!("Brief {marker} a cat.")), "its code");
    assert!(told("A cat. END 0123456789ab"), "the end of some brief");
    assert!(told("A cat, what the picture shows, or null}"), "a piece of the form");
    assert!(!told("A cat, and nothing else."));
}

#[rstest]
#[case::a_cat("A cat on a roof", true)]
#[case::a_writer("The first sentence of my new book is done", false)]
fn a_caption_about_the_form_is_one_only_where_the_post_is(#[case] description: &str, #[case] is_refused: bool) {
    let request = CaptionRequest::new(Description::new(description).unwrap());
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    let prompt = prompt::render(&brief, &[], Format::Plain, None);

    let read = read("The first sentence is a fact.", &prompt, Grade::Standard);

    assert_eq!(read.is_err(), is_refused, "{read:?}");
}

#[test]
fn a_plain_answer_is_taken_as_it_stands() {
    assert_eq!(
        parse("\n Hello there. \n", Format::Plain).unwrap(),
        [Draft::plain("Hello there.")]
    );
    assert_eq!(
        parse("```\nHello there.\n```", Format::Plain).unwrap(),
        [Draft::plain("Hello there.")]
    );
}

#[test]
fn json_that_nobody_asked_for_is_read_and_never_shown() {
    let answer = format!("{{\"variants\":[{}]}}", one("Hi."));

    assert_eq!(parse(&answer, Format::Plain).unwrap()[0].text(), "Hi. Rest.");
    assert!(parse(&answer[..answer.len() / 2], Format::Plain).is_err());
    assert_eq!(
        parse("[Ad] New bread.", Format::Plain).unwrap()[0].text(),
        "[Ad] New bread."
    );
}

const DECLINES: &str = "I'm sorry, but I can't help with that request.";
const GERMAN: &str = "Das Brot ist noch warm und die Tür ist offen, also kommt vorbei und holt euch eins.";

fn question(format: Format) -> Prompt {
    let request = CaptionRequest::new(Description::new("A cat on a sofa").unwrap());
    let (brief, _) = Brief::resolve(&request, &Preferences::default());
    prompt::render(&brief, &[], format, None)
}

#[rstest]
#[case::in_prose(DECLINES.to_owned(), Format::Plain)]
#[case::in_prose_for_json(DECLINES.to_owned(), Format::Variants)]
#[case::in_the_form_asked_for(encode(vec![Draft::plain(DECLINES)]), Format::Variants)]
#[case::after_thinking(format!("<think>no</think>{DECLINES}"), Format::Plain)]
fn a_model_that_declines_refuses(#[case] answer: String, #[case] format: Format) {
    let prompt = question(format);

    assert!(matches!(
        read(&answer, &prompt, Grade::Standard),
        Err(LlmError::Refused)
    ));
    // The template repeats the description, which may quote one.
    assert!(!matches!(
        read(&answer, &prompt, Grade::Template),
        Err(LlmError::Refused)
    ));
}

#[test]
fn variants_that_decline_or_are_in_another_language_are_left_out() {
    let prompt = question(Format::Variants);
    let answer = |texts: &[&str]| encode(texts.iter().map(|text| Draft::plain(text)).collect());

    let kept = read(&answer(&[DECLINES, "A cat.", GERMAN]), &prompt, Grade::Standard).unwrap();
    let none = read(&answer(&[GERMAN]), &prompt, Grade::Standard);

    assert_eq!(kept, [Draft::plain("A cat.")]);
    assert!(matches!(none, Err(LlmError::Unusable { .. })));
    assert!(read(&answer(&[GERMAN]), &prompt, Grade::Template).is_ok());
}

#[test]
fn what_is_encoded_is_read_back() {
    let drafts = vec![Draft {
        angle: "a".into(),
        hook: "H.".into(),
        body: "B \"q\" 🐶".into(),
        cta: Some("C?".into()),
        hashtags: vec!["t".into()],
        alt_text: Some("A cat.".into()),
        repairs: Vec::new(),
    }];

    assert_eq!(parse(&encode(drafts.clone()), Format::Variants).unwrap(), drafts);
}

proptest::proptest! {
    #[test]
    fn no_answer_panics_and_no_draft_is_empty(answer in ".{0,400}") {
        for format in [Format::Plain, Format::Variants] {
            if let Ok(drafts) = parse(&answer, format) {
                assert!(drafts.iter().all(|draft| !draft.text().is_empty()));
            }
        }
    }
}
