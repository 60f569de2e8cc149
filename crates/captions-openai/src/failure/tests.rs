use std::time::Duration;

use captions_domain::fault::{FaultKind, LlmError, Rejection};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Document, Failure};
use crate::dialect::Parameter;

fn failure(status: u16, body: &str) -> Failure {
    Failure {
        status,
        document: Document::of(body.as_bytes()),
        wait: None,
    }
}

/// The outcome in a word or two.
fn outcome(error: &LlmError) -> &'static str {
    match error {
        LlmError::Refused => "refused",
        LlmError::TooLong => "too long",
        LlmError::Rejected {
            kind: Rejection::Auth, ..
        } => "auth",
        LlmError::Rejected {
            kind: Rejection::Billing,
            ..
        } => "billing",
        LlmError::Rejected {
            kind: Rejection::Request,
            ..
        } => "request",
        LlmError::Unusable { .. } => "unusable",
        LlmError::Unpaid(_) => "unpaid",
        LlmError::Fault(fault) => fault.kind.as_str(),
    }
}

#[rstest]
#[case::openai(
    400,
    r#"{"error":{"message":"x","type":"invalid_request_error","param":null,"code":"bad"}}"#,
    "HTTP 400 bad invalid_request_error"
)]
#[case::a_bare_string(400, r#"{"error":"'messages' field is required"}"#, "HTTP 400")]
#[case::a_list(
    400,
    r#"[{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}]"#,
    "HTTP 400 INVALID_ARGUMENT"
)]
#[case::flat(
    400,
    r#"{"object":"error","message":"x","type":"invalid_request_error","code":null}"#,
    "HTTP 400 invalid_request_error"
)]
#[case::rules_inside_message(
    422,
    r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"y"}]},"type":"invalid_request_error"}"#,
    "HTTP 422 extra_forbidden invalid_request_error"
)]
#[case::detail(400, r#"{"detail":"Not good"}"#, "HTTP 400")]
#[case::wrapped(
    400,
    r#"{"type":"error","error":{"type":"invalid_request_error","message":"x"},"request_id":"r"}"#,
    "HTTP 400 invalid_request_error"
)]
#[case::html(400, "<html><body>Bad</body></html>", "HTTP 400")]
#[case::empty(400, "", "HTTP 400")]
fn every_shape_of_error_is_read(#[case] status: u16, #[case] body: &str, #[case] detail: &str) {
    let LlmError::Rejected {
        kind: Rejection::Request,
        detail: told,
    } = failure(status, body).error()
    else {
        panic!("a 4xx that says nothing else is our request's fault")
    };
    assert_eq!(told, detail);
}

#[test]
fn a_body_that_is_no_text_is_read() {
    let document = Document::of(b"\xff\xfe\x00\x80");
    assert_eq!(
        outcome(
            &Failure {
                status: 500,
                document,
                wait: None
            }
            .error()
        ),
        "unavailable"
    );
}

#[rstest]
#[case(401, "invalid_api_key", "auth")]
#[case(403, "", "auth")]
#[case(402, "", "billing")]
#[case(429, "insufficient_quota", "billing")]
#[case(429, "rate_limit_exceeded", "rate_limited")]
#[case(429, "", "rate_limited")]
#[case(404, "model_not_found", "request")]
#[case(400, "context_length_exceeded", "too long")]
#[case(400, "exceed_context_size_error", "too long")]
#[case(413, "", "too long")]
#[case(400, "content_filter", "refused")]
#[case(400, "content_policy_violation", "refused")]
#[case(400, "json_validate_failed", "unusable")]
#[case(408, "", "timeout")]
#[case(504, "", "timeout")]
#[case(524, "", "timeout")]
#[case(500, "", "unavailable")]
#[case(503, "", "unavailable")]
#[case(529, "overloaded_error", "unavailable")]
#[case(301, "", "request")]
#[case(409, "", "request")]
#[case(422, "", "request")]
fn a_status_and_a_code_mean_one_thing(#[case] status: u16, #[case] code: &str, #[case] expected: &str) {
    let body = json!({"error": {"message": "x", "code": code}}).to_string();
    assert_eq!(outcome(&failure(status, &body).error()), expected);
}

#[rstest]
#[case(408)]
#[case(429)]
#[case(500)]
#[case(503)]
#[case(529)]
fn whatever_may_pass_tells_when_to_come_again(#[case] status: u16) {
    let told = Failure {
        wait: Some(Duration::from_secs(5)),
        ..failure(status, "")
    };
    let LlmError::Fault(fault) = told.error() else {
        panic!("{:?}", told.error());
    };

    assert_eq!(fault.retry_after(), Some(Duration::from_secs(5)));
}

#[rstest]
#[case(529, "", true)]
#[case(503, "overloaded_error", true)]
#[case(500, "engine_overloaded", true)]
#[case(503, "server_error", false)]
#[case(500, "", false)]
fn too_much_to_do_is_told_from_a_breakdown(#[case] status: u16, #[case] code: &str, #[case] expected: bool) {
    let body = json!({"error": {"message": "x", "code": code}}).to_string();
    let LlmError::Fault(fault) = failure(status, &body).error() else {
        panic!("a fault");
    };

    assert_eq!((fault.kind, fault.is_by_overload()), (FaultKind::Unavailable, expected));
}

#[rstest]
#[case(
    400,
    "This model's maximum context length is 8192 tokens. However, you requested 9000.",
    "too long"
)]
#[case(
    400,
    "'max_tokens' is too large: 5000. This model's maximum context length is 4096 tokens",
    "too long"
)]
#[case(
    500,
    "the request exceeds the available context size. try increasing the context size",
    "too long"
)]
#[case(400, "prompt is too long: 210000 tokens > 200000 maximum", "too long")]
#[case(400, "Your credit balance is too low to access the API", "billing")]
#[case(400, "You have reached your spend limit", "billing")]
fn some_say_it_only_in_words(#[case] status: u16, #[case] message: &str, #[case] expected: &str) {
    let body = json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string();
    assert_eq!(outcome(&failure(status, &body).error()), expected);
}

#[test]
fn the_inner_code_of_a_content_filter_is_read() {
    let body = r#"{"error":{"message":"x","code":"BadRequest","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    assert_eq!(outcome(&failure(400, body).error()), "refused");
}

#[test]
fn a_moderated_403_is_a_refusal_and_no_matter_of_keys() {
    let body = r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#;
    assert_eq!(outcome(&failure(403, body).error()), "refused");
}

#[rstest]
#[case(json!({"error": {"code": 429, "message": "x"}}), "rate_limited")]
#[case(json!({"error": {"code": 502, "message": "x"}}), "unavailable")]
#[case(json!({"error": {"code": "rate_limit_exceeded", "message": "x"}}), "rate_limited")]
#[case(json!({"error": {"code": "insufficient_quota", "message": "x"}}), "billing")]
#[case(json!({"error": {"code": "invalid_api_key", "message": "x"}}), "auth")]
#[case(json!({"error": {"code": "content_filter", "message": "x"}}), "refused")]
#[case(json!({"error": {"code": "context_length_exceeded", "message": "x"}}), "too long")]
#[case(json!({"error": {"code": "model_not_found", "message": "x"}}), "request")]
#[case(json!({"error": {"type": "overloaded_error", "message": "x"}}), "unavailable")]
#[case(json!({"error": {"type": "timeout_error", "message": "x"}}), "timeout")]
#[case::the_code_before_the_type(json!({"error": {"type": "invalid_request_error", "code": "server_error"}}), "unavailable")]
#[case(json!({"error": "something broke"}), "unavailable")]
#[case(json!([{"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}]), "unavailable")]
#[case(json!({"object": "error", "message": "x"}), "unavailable")]
fn an_error_in_a_success_is_classified_like_its_status(#[case] document: Value, #[case] expected: &str) {
    let told = Document::within(&document).expect("an error");
    assert_eq!(outcome(&Failure::told(told, None).error()), expected);
}

#[rstest]
#[case(json!({"object": "chat.completion", "choices": []}))]
#[case(json!({"error": null, "choices": []}))]
#[case(json!({"error": "", "choices": []}))]
#[case(json!(["a", "b"]))]
fn a_success_holds_no_error(#[case] document: Value) {
    assert_eq!(Document::within(&document), None);
}

#[test]
fn the_longer_wait_of_headers_and_body_counts() {
    let body = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"RetryInfo","retryDelay":"17s"}]}}]"#;
    let failure = Failure {
        wait: Some(Duration::from_secs(3)),
        ..failure(429, body)
    };

    let LlmError::Fault(fault) = failure.error() else {
        panic!("a 429 is a fault")
    };

    assert_eq!(
        fault.kind,
        FaultKind::RateLimited {
            retry_after: Some(Duration::from_secs(17))
        }
    );
}

#[rstest]
#[case::key("sk-proj-abcdefghijklmnop")]
#[case::key_without_prefix("a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6")]
#[case::text("my secret sourdough recipe")]
#[case::quoted("\"sourdough\"")]
fn details_quote_neither_keys_nor_texts(#[case] secret: &str) {
    let body = json!({"error": {"message": secret, "type": secret, "code": secret, "param": secret}}).to_string();
    for status in [400, 401, 402, 404, 429, 500] {
        let error = failure(status, &body).error();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(secret), "{status}: {shown}");
        assert!(shown.len() < 400, "{shown}");
    }
}

fn sent() -> Value {
    json!({
        "model": "m", "messages": [], "max_tokens": 300, "temperature": 0.9, "seed": 7, "store": false,
        "response_format": {}, "stream_options": {}, "reasoning_effort": "none",
    })
}

#[rstest]
#[case::param(400, json!({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}}), Parameter::TokenLimit)]
#[case::only_words(400, json!({"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}), Parameter::TokenLimit)]
#[case::a_place(422, json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted"}]}), Parameter::TokenLimit)]
#[case::value(400, json!({"error": {"message": "Unsupported value: 'temperature' does not support 0.9", "param": "temperature", "code": "unsupported_value"}}), Parameter::Temperature)]
#[case::unknown_name(400, json!([{"error": {"code": 400, "message": "Invalid JSON payload received. Unknown name \"seed\": Cannot find field.", "status": "INVALID_ARGUMENT"}}]), Parameter::Seed)]
#[case::a_path(400, json!({"error": {"message": "x", "param": "response_format.json_schema.schema"}}), Parameter::Structure)]
#[case::a_string(400, json!({"error": "'response_format.type' must be 'json_schema' or 'text'"}), Parameter::Structure)]
#[case::in_words(400, json!({"error": {"message": "This model does not support response format `json_schema`."}}), Parameter::Structure)]
#[case::a_breakdown(500, json!({"error": {"message": "[{'loc': ('body', 'response_format', 'type')}]", "type": "internal_server_error"}}), Parameter::Structure)]
#[case::stream_options(400, json!({"error": {"message": "Unrecognized request argument supplied: stream_options"}}), Parameter::StreamUsage)]
#[case::thinking(400, json!({"error": {"message": "x", "param": "reasoning_effort"}}), Parameter::Thinking)]
#[case::store(400, json!({"error": {"message": "Unknown parameter: 'store'."}}), Parameter::Store)]
#[case::inside_a_gateway(400, json!({"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'\"}}"}}}), Parameter::TokenLimit)]
fn a_complaint_names_its_parameter(#[case] status: u16, #[case] body: Value, #[case] expected: Parameter) {
    let complaints = failure(status, &body.to_string()).complaints(&sent());

    assert_eq!(
        complaints.iter().map(|complaint| complaint.about).collect::<Vec<_>>(),
        [expected]
    );
}

#[rstest]
#[case::not_sent(400, json!({"error": {"message": "x", "param": "top_p"}}))]
#[case::not_ours(400, json!({"error": {"message": "x", "param": "messages"}}))]
#[case::a_word_of_the_language(400, json!({"error": {"message": "we could not store the seed of reasoning"}}))]
#[case::part_of_another_name(400, json!({"error": {"message": "unknown field 'my_max_tokens_field'"}}))]
#[case::too_long(400, json!({"error": {"message": "maximum context length is 100, lower max_tokens", "code": "context_length_exceeded"}}))]
#[case::another_status(401, json!({"error": {"message": "x", "param": "max_tokens"}}))]
#[case::a_breakdown_about_something_else(500, json!({"error": {"message": "x", "param": "max_tokens"}}))]
fn other_failures_are_no_complaints(#[case] status: u16, #[case] body: Value) {
    assert_eq!(failure(status, &body.to_string()).complaints(&sent()), []);
}

#[test]
fn several_parameters_can_be_refused_at_once() {
    let body = json!({"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "x"},
        {"type": "extra_forbidden", "loc": ["body", "store"], "msg": "x"},
    ]});

    let complaints = failure(422, &body.to_string()).complaints(&sent());

    assert_eq!(
        complaints.iter().map(|c| c.about).collect::<Vec<_>>(),
        [Parameter::Seed, Parameter::Store]
    );
}

#[rstest]
#[case::unknown("max_tokens", "Unsupported parameter: 'max_tokens'", "", true)]
#[case::another_name("max_tokens", "Use 'max_completion_tokens' instead", "", true)]
#[case::by_code("temperature", "x", "unsupported_parameter", true)]
#[case::extra("seed", "Extra inputs are not permitted", "", true)]
#[case::only_the_default(
    "temperature",
    "Unsupported value: 'temperature' does not support 0.9 with this model. Only the default (1) value is supported.",
    "unsupported_value",
    true
)]
#[case::always_the_same("response_format", "Invalid value: 'json_schema'", "invalid_value", true)]
#[case::too_many(
    "max_tokens",
    "max_tokens is too large: 8192. This model supports at most 4096 completion tokens",
    "",
    false
)]
#[case::too_hot("temperature", "temperature must be <= 1", "", false)]
#[case::a_range("temperature", "Expected a value in range [0, 1]", "", false)]
#[case::this_value("temperature", "temperature does not support 0.9", "unsupported_value", false)]
#[case::a_negative_seed("seed", "x", "integer_below_min_value", false)]
#[case::unclear("temperature", "x", "", false)]
fn only_a_refusal_of_the_parameter_itself_is_for_good(
    #[case] param: &str,
    #[case] message: &str,
    #[case] code: &str,
    #[case] for_good: bool,
) {
    let body = json!({"error": {"message": message, "param": param, "code": code}}).to_string();

    assert_eq!(failure(400, &body).complaints(&sent())[0].for_good, for_good);
}

#[test]
fn an_unknown_parameter_beside_a_disliked_value_does_not_speak_for_it() {
    let body = json!({"detail": [
        {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"},
        {"type": "less_than_equal", "loc": ["body", "temperature"], "msg": "Input should be less than or equal to 1"},
    ]});

    let complaints = failure(422, &body.to_string()).complaints(&sent());

    assert!(complaints.iter().all(|complaint| !complaint.for_good), "{complaints:?}");
}
