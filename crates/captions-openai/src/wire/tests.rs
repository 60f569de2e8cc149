use bytes::Bytes;
use captions_domain::{
    brief::Brief,
    caption::Usage,
    image::Image,
    prompt::{Format, Prompt, Shape, Size, render, variants_schema},
    request::{CaptionRequest, Description},
    user::Preferences,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Finish, Piece, ROOM_FOR_THOUGHTS, models, narrow, request};
use crate::{
    dialect::{Dialect, Parameter},
    profile::Profile,
};

fn prompt(format: Format, seed: Option<u64>) -> Prompt {
    let wish = CaptionRequest {
        seed,
        ..CaptionRequest::new(Description::new("Fresh bread").unwrap())
    };
    render(&Brief::resolve(&wish, &Preferences::default()).0, &[], format, None)
}

fn body(profile: Profile, model: &str, format: Format, seed: Option<u64>, stream: bool) -> Value {
    request(
        model,
        &prompt(format, seed),
        Size::Full,
        &Dialect::new(profile.abilities(model)),
        stream,
    )
}

fn fields(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn as_few_fields_as_possible_are_sent() {
    let body = body(Profile::Generic, "m", Format::Plain, None, false);

    assert_eq!(fields(&body), ["max_tokens", "messages", "model", "temperature"]);
    assert_eq!(body["temperature"].to_string(), "0.9");
}

#[rstest]
#[case::address(Image::at("https://example.com/bread.jpg").unwrap(), "https://example.com/bread.jpg")]
#[case::bytes(Image::of(Bytes::from_static(&[0xFF, 0xD8, 0xFF, 0xE0]), None).unwrap(), "data:image/jpeg;base64,/9j/4A==")]
fn a_picture_stands_beside_the_text_of_the_user(#[case] image: Image, #[case] expected: &str) {
    let mut prompt = prompt(Format::Variants, None);
    prompt.brief.image = Some(image);

    let body = request(
        "m",
        &prompt,
        Size::Full,
        &Dialect::new(Profile::Generic.abilities("m")),
        false,
    );

    assert_eq!(body["messages"][0]["content"], prompt.system);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"type": "text", "text": prompt.user},
            {"type": "image_url", "image_url": {"url": expected}},
        ])
    );
}

#[test]
fn a_stream_asks_for_usage_and_never_for_json() {
    for format in [Format::Plain, Format::Variants] {
        let body = body(Profile::Generic, "m", format, None, true);
        assert_eq!(
            fields(&body),
            [
                "max_tokens",
                "messages",
                "model",
                "stream",
                "stream_options",
                "temperature"
            ]
        );
    }
}

#[test]
fn variants_are_asked_for_by_strict_schema() {
    let body = body(Profile::OpenAi, "gpt-4o", Format::Variants, Some(7), false);

    assert_eq!(body["response_format"]["type"], "json_schema");
    assert_eq!(body["response_format"]["json_schema"]["strict"], true);
    assert_eq!(
        body["response_format"]["json_schema"]["schema"],
        *variants_schema(Shape::Full)
    );
    assert_eq!(body["seed"], 7);
    assert_eq!(body["store"], false);
    assert!(body.get("n").is_none());
}

#[test]
fn the_ladder_ends_in_words_alone() {
    let mut dialect = Dialect::new(Profile::Generic.abilities("m"));
    let prompt = prompt(Format::Variants, None);
    let step = |dialect: &mut Dialect| {
        let sent = *dialect;
        dialect.yield_to(Parameter::Structure, &sent);
        request("m", &prompt, Size::Full, dialect, false)
    };

    assert_eq!(step(&mut dialect)["response_format"], json!({"type": "json_object"}));
    assert_eq!(step(&mut dialect).get("response_format"), None);
}

#[test]
fn providers_get_their_own_names() {
    let mistral = body(Profile::Mistral, "m", Format::Plain, Some(7), true);
    assert_eq!(mistral["random_seed"], 7);
    assert!(mistral.get("seed").is_none() && mistral.get("stream_options").is_none());

    let gemini = body(Profile::Gemini, "m", Format::Plain, Some(7), false);
    assert!(gemini.get("seed").is_none());

    let ollama = body(Profile::Ollama, "qwen3:4b", Format::Plain, None, false);
    assert_eq!(ollama["reasoning_effort"], "none");
}

#[test]
fn a_reasoning_model_gets_room_for_its_thoughts_and_no_temperature() {
    let body = body(Profile::OpenAi, "gpt-5-mini", Format::Plain, None, false);

    let limit = prompt(Format::Plain, None).max_tokens + ROOM_FOR_THOUGHTS;
    assert_eq!(body["max_completion_tokens"], limit);
    assert!(body.get("temperature").is_none() && body.get("max_tokens").is_none());
}

#[rstest]
#[case(Profile::Vllm, "chat_template_kwargs", json!({"enable_thinking": false}))]
#[case(Profile::OpenRouter, "reasoning", json!({"enabled": false}))]
#[case(Profile::Generic, "reasoning_effort", json!("none"))]
fn each_provider_is_told_not_to_think_in_its_own_way(
    #[case] profile: Profile,
    #[case] field: &str,
    #[case] value: Value,
) {
    let mut dialect = Dialect::new(profile.abilities("m"));
    let before = dialect;
    assert!(dialect.stop_thinking(&before));

    assert_eq!(
        request("m", &prompt(Format::Plain, None), Size::Full, &dialect, false)[field],
        value
    );
}

#[test]
fn seeds_fit_into_31_bits_and_small_ones_stay() {
    assert_eq!(narrow(7), 7);
    assert_eq!(narrow(i32::MAX as u64), i32::MAX as u64);
    for seed in [1 << 31, u64::MAX, 0x1234_5678_9abc_def0] {
        assert!(i32::try_from(narrow(seed)).is_ok());
    }
    assert_ne!(narrow(1 << 40), narrow(1 << 41));
}

#[test]
fn a_completion_is_read() {
    let document = json!({
        "id": "id-1", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    });

    let piece = Piece::read(&document).unwrap();

    assert_eq!(piece.text, "Hi");
    assert_eq!(piece.finish, Some(Finish::Stop));
    assert_eq!(
        piece.usage,
        Some(Usage {
            input_tokens: 3,
            output_tokens: 2,
            cost: None,
        })
    );
    assert_eq!(piece.id.as_deref(), Some("id-1"));
    assert!(piece.has_choice && !piece.thought && !piece.refused);
}

#[rstest]
#[case::null_content(json!({"content": null}), "", false, false)]
#[case::no_content(json!({}), "", false, false)]
#[case::parts(json!({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]}), "Hi", true, false)]
#[case::reasoning(json!({"content": "", "reasoning": "hm"}), "", true, false)]
#[case::reasoning_content(json!({"content": "Hi", "reasoning_content": "hm"}), "Hi", true, false)]
#[case::empty_reasoning(json!({"content": "Hi", "reasoning": ""}), "Hi", false, false)]
#[case::refusal(json!({"content": null, "refusal": "No"}), "", false, true)]
#[case::null_refusal(json!({"content": "Hi", "refusal": null}), "Hi", false, false)]
fn messages_come_in_many_forms(#[case] delta: Value, #[case] text: &str, #[case] thought: bool, #[case] refused: bool) {
    let piece = Piece::read(&json!({"choices": [{"delta": delta, "finish_reason": null}]})).unwrap();

    assert_eq!(
        (piece.text.as_str(), piece.thought, piece.refused, piece.finish),
        (text, thought, refused, None)
    );
}

#[rstest]
#[case("stop", Finish::Stop)]
#[case("eos", Finish::Stop)]
#[case("length", Finish::Length)]
#[case("MAX_TOKENS", Finish::Length)]
#[case("content_filter", Finish::Filtered)]
#[case("SAFETY", Finish::Filtered)]
#[case("error", Finish::Error)]
fn ends_have_many_names(#[case] reason: &str, #[case] expected: Finish) {
    let document = json!({"choices": [{"delta": {}, "finish_reason": reason}]});
    assert_eq!(Piece::read(&document).unwrap().finish, Some(expected));
}

#[test]
fn a_chunk_without_choices_may_carry_the_usage() {
    let piece = Piece::read(&json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})).unwrap();

    assert!(!piece.has_choice);
    assert_eq!(
        piece.usage,
        Some(Usage {
            input_tokens: 1,
            output_tokens: 2,
            cost: None,
        })
    );
}

#[test]
fn odd_types_cost_nothing_but_themselves() {
    let document = json!({"id": 7, "usage": "free", "choices": [{"message": {"content": "Hi"}, "finish_reason": 0}]});
    let piece = Piece::read(&document).unwrap();
    assert_eq!((piece.text.as_str(), piece.id, piece.usage), ("Hi", None, None));
}

#[test]
fn what_is_no_completion_is_none() {
    for document in [
        json!({}),
        json!([]),
        json!("x"),
        json!({"type": "ping"}),
        json!({"choices": "x"}),
    ] {
        assert_eq!(Piece::read(&document), None, "{document}");
    }
}

#[rstest]
#[case(json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}), Some(vec!["a", "b"]))]
#[case(json!([{"id": "a"}]), Some(vec!["a"]))]
#[case(json!({"models": [{"name": "a"}]}), Some(vec!["a"]))]
#[case(json!({"data": []}), Some(vec![]))]
#[case(json!({"choices": []}), None)]
fn model_lists_come_in_many_forms(#[case] document: Value, #[case] expected: Option<Vec<&str>>) {
    let expected: Option<Vec<String>> = expected.map(|names| names.into_iter().map(Into::into).collect());
    assert_eq!(models(&document), expected);
}
