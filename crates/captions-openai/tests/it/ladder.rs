//! What a provider does not understand is renamed or left away, once, and remembered.

use captions_domain::ports::LlmProvider as _;
use captions_openai::profile::Profile;
use captions_testkit::llm::{FakeLlm, Recorded, Turn};
use rstest::rstest;

use super::{context, outcome, plain, provider, provider_as, stream, variants};

/// Refuses requests that hold `field`, and answers the others.
fn refuses(field: &'static str) -> impl Fn(&Recorded) -> Turn {
    move |request| {
        if request.body.get(field).is_some() {
            Turn::unsupported_parameter(field)
        } else {
            Turn::fitting()
        }
    }
}

#[rstest]
#[case("max_tokens", Profile::Generic, Some("max_completion_tokens"))]
#[case("max_completion_tokens", Profile::OpenAi, Some("max_tokens"))]
#[case("temperature", Profile::Generic, None)]
#[case("store", Profile::OpenAi, None)]
#[tokio::test]
async fn a_refused_parameter_is_renamed_or_dropped_and_remembered(
    #[case] field: &'static str,
    #[case] profile: Profile,
    #[case] instead: Option<&str>,
) {
    let fake = FakeLlm::start().await;
    fake.answer_with(refuses(field));
    let provider = provider_as(&fake, profile);
    let cx = context(3);

    let first = provider.complete(&cx, &plain()).await;
    assert_eq!(outcome(&first), "answered");
    assert_eq!(
        (fake.count(), cx.attempts.begun()),
        (2, 2),
        "asked twice, and both are in the ledger"
    );
    if let Some(instead) = instead {
        assert!(fake.last().body.get(instead).is_some());
    }

    let second = provider.complete(&context(3), &plain()).await;
    assert_eq!(outcome(&second), "answered");
    assert_eq!(fake.count(), 3, "what was learned is remembered");
    assert!(!format!("{provider:?}").contains("learned: []"), "{provider:?}");
}

#[rstest]
#[case("temperature", "temperature must be <= 1")]
#[case(
    "max_tokens",
    "max_tokens is too large: 300. This model supports at most 100 completion tokens"
)]
#[tokio::test]
async fn a_disliked_value_is_left_away_for_one_call_and_sent_again_in_the_next(
    #[case] field: &'static str,
    #[case] message: &'static str,
) {
    let fake = FakeLlm::start().await;
    fake.answer_with(move |request| match request.body.get(field) {
        Some(_) => Turn::error(400, "invalid_request_error", message),
        None => Turn::fitting(),
    });
    let provider = provider(&fake);

    for calls in [2, 4] {
        assert_eq!(outcome(&provider.complete(&context(3), &plain()).await), "answered");
        assert_eq!(fake.count(), calls, "first with it, then without it");
    }
    assert!(format!("{provider:?}").contains("learned: []"), "{provider:?}");
}

#[tokio::test]
async fn a_token_limit_that_neither_name_gets_across_is_still_sent_first() {
    let fake = FakeLlm::start().await;
    fake.answer_with(|request| {
        let refused = ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .find(|field| request.body.get(*field).is_some());
        refused.map_or_else(Turn::fitting, Turn::unsupported_parameter)
    });
    let provider = provider(&fake);

    assert_eq!(outcome(&provider.complete(&context(9), &plain()).await), "request");
    for calls in [4, 6] {
        assert_eq!(outcome(&provider.complete(&context(9), &plain()).await), "answered");
        assert_eq!(fake.count(), calls);
    }
}

#[tokio::test]
async fn streams_learn_too() {
    let fake = FakeLlm::start().await;
    fake.answer_with(refuses("stream_options"));
    let provider = provider(&fake);
    let cx = context(3);

    let streamed = stream(&provider, &cx, &plain()).await;

    assert!(!streamed.text.is_empty());
    assert_eq!(streamed.end.unwrap().usage, None);
    assert_eq!((fake.count(), cx.attempts.begun()), (2, 2));
}

#[tokio::test]
async fn a_second_complaint_fails_the_call_and_helps_the_next() {
    let fake = FakeLlm::start().await;
    fake.answer_with(|request| {
        let refused = ["max_tokens", "temperature"]
            .into_iter()
            .find(|field| request.body.get(*field).is_some());
        refused.map_or_else(Turn::fitting, Turn::unsupported_parameter)
    });
    let provider = provider(&fake);

    let first = provider.complete(&context(9), &plain()).await;
    assert_eq!(outcome(&first), "request");
    assert_eq!(fake.count(), 2);

    assert_eq!(outcome(&provider.complete(&context(9), &plain()).await), "answered");
    assert_eq!(fake.count(), 3);
}

#[tokio::test]
async fn an_empty_ledger_allows_no_second_call() {
    let fake = FakeLlm::start().await;
    fake.answer_with(refuses("max_tokens"));
    let provider = provider(&fake);

    assert_eq!(outcome(&provider.complete(&context(1), &plain()).await), "request");
    assert_eq!(fake.count(), 1);
    assert_eq!(
        outcome(&provider.complete(&context(1), &plain()).await),
        "answered",
        "it learned all the same"
    );
}

#[tokio::test]
async fn structured_output_goes_down_the_ladder_step_by_step() {
    let fake = FakeLlm::start().await;
    fake.answer_with(refuses("response_format"));
    let provider = provider(&fake);
    let prompt = variants();

    assert_eq!(outcome(&provider.complete(&context(3), &prompt).await), "request");
    assert_eq!(outcome(&provider.complete(&context(3), &prompt).await), "answered");

    let formats: Vec<_> = fake
        .requests()
        .iter()
        .map(|request| {
            request.body["response_format"]["type"]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        })
        .collect();
    assert_eq!(formats, ["json_schema", "json_object", "none"]);
}

#[tokio::test]
async fn a_server_that_breaks_down_over_a_schema_is_asked_for_an_object() {
    let fake = FakeLlm::start().await;
    fake.answer_with(|request| match request.body["response_format"]["type"].as_str() {
        Some("json_schema") => Turn::error(500, "internal_server_error", "('body', 'response_format', 'type')"),
        _ => Turn::fitting(),
    });

    assert_eq!(
        outcome(&provider(&fake).complete(&context(3), &variants()).await),
        "answered"
    );
    assert_eq!(fake.last().body["response_format"]["type"], "json_object");
}

#[tokio::test]
async fn an_object_is_never_asked_of_those_who_refuse_it() {
    let fake = FakeLlm::start().await;
    fake.answer_with(|request| match request.body.get("response_format") {
        Some(_) => Turn::json(400, &"'response_format.type' must be 'text'".into()),
        None => Turn::fitting(),
    });
    let provider = provider_as(&fake, Profile::LmStudio);

    assert_eq!(outcome(&provider.complete(&context(3), &variants()).await), "answered");
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn two_calls_at_once_learn_one_lesson() {
    let fake = FakeLlm::start().await;
    fake.answer_with(refuses("max_tokens"));
    let provider = provider(&fake);
    let (one, other) = (context(3), context(3));
    let prompt = plain();

    let answers = tokio::join!(provider.complete(&one, &prompt), provider.complete(&other, &prompt));

    assert_eq!((outcome(&answers.0), outcome(&answers.1)), ("answered", "answered"));
    assert!(
        fake.last().body.get("max_completion_tokens").is_some(),
        "renamed, not dropped"
    );
}

#[rstest]
#[case::unknown_parameter(Turn::unsupported_parameter("top_p"))]
#[case::our_message(Turn::unsupported_parameter("messages"))]
#[case::no_parameter(Turn::error(400, "invalid_request_error", "We could not parse the JSON body"))]
#[tokio::test]
async fn other_refusals_are_final(#[case] turn: Turn) {
    let fake = FakeLlm::start().await;
    fake.always(turn);

    assert_eq!(
        outcome(&provider(&fake).complete(&context(3), &plain()).await),
        "request"
    );
    assert_eq!(fake.count(), 1);
}

/// Only thinks, until told not to.
fn thinker(request: &Recorded) -> Turn {
    if request.body.get("reasoning_effort").is_some() {
        Turn::fitting()
    } else {
        Turn::only_thoughts("Let me see what a bakery smells like")
    }
}

#[tokio::test]
async fn a_model_that_only_thinks_is_told_to_write_and_stays_told() {
    let fake = FakeLlm::start().await;
    fake.answer_with(thinker);
    let provider = provider(&fake);
    let cx = context(3);

    assert_eq!(outcome(&provider.complete(&cx, &plain()).await), "answered");
    assert_eq!((fake.count(), cx.attempts.begun()), (2, 2));
    assert_eq!(fake.last().body["reasoning_effort"], "none");

    let streamed = stream(&provider, &context(3), &plain()).await;
    assert!(streamed.end.is_ok() && !streamed.text.is_empty());
    assert_eq!(fake.count(), 3);
}

#[tokio::test]
async fn a_stream_of_only_thoughts_is_begun_again() {
    let fake = FakeLlm::start().await;
    fake.answer_with(thinker);
    let cx = context(3);

    let streamed = stream(&provider(&fake), &cx, &plain()).await;

    assert!(streamed.end.is_ok() && !streamed.text.is_empty());
    assert_eq!((fake.count(), cx.attempts.begun()), (2, 2));
}

#[rstest]
#[case::thoughts_beside_the_text(Turn::only_thoughts("hm"))]
#[case::thoughts_in_the_text(Turn::text("<think>hm</think>\n"))]
#[case::thoughts_up_to_the_limit(Turn::length_cut("<think>hm"))]
#[tokio::test]
async fn a_model_that_never_writes_is_unusable_after_two_calls(#[case] turn: Turn) {
    let fake = FakeLlm::start().await;
    fake.always(turn);
    let provider = provider(&fake);

    assert_eq!(outcome(&provider.complete(&context(9), &plain()).await), "unusable");
    assert_eq!(fake.count(), 2);

    let streamed = stream(&provider, &context(9), &plain()).await;
    assert_eq!(super::name(&streamed.end.unwrap_err()), "unusable");
    assert_eq!(
        fake.count(),
        3,
        "the switch is thrown already, so there is nothing more to try"
    );
}

#[tokio::test]
async fn a_refused_thinking_switch_ends_the_call_and_is_not_tried_again() {
    let fake = FakeLlm::start().await;
    fake.answer_with(|request| match request.body.get("reasoning_effort") {
        Some(_) => Turn::unsupported_parameter("reasoning_effort"),
        None => Turn::only_thoughts("hm"),
    });
    let provider = provider(&fake);

    assert_eq!(outcome(&provider.complete(&context(9), &plain()).await), "request");
    assert_eq!(fake.count(), 2);
    assert_eq!(outcome(&provider.complete(&context(9), &plain()).await), "unusable");
    assert_eq!(fake.count(), 3);
}

#[tokio::test]
async fn thoughts_before_the_text_are_taken_off() {
    let fake = FakeLlm::start().await;
    fake.always(Turn::text(
        "<think>A bakery, so warmth.</think>\n\nWarm bread, warm hands.",
    ));
    let provider = provider(&fake);

    let completion = provider.complete(&context(3), &plain()).await.unwrap();
    let streamed = stream(&provider, &context(3), &plain()).await;

    assert_eq!(completion.text, "Warm bread, warm hands.");
    assert_eq!(streamed.text, "Warm bread, warm hands.");
}
