use captions_api::generate;
use captions_domain::fault::{Fault, FaultKind, LlmError, Rejection};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn refused(mut body: Value) -> Failure {
    body["content_description"] = body
        .get("content_description")
        .cloned()
        .unwrap_or_else(|| "a cat asleep".into());
    Failure::of_flags(Problem::from(generate::parse(&body).unwrap_err()))
}

#[rstest]
#[case::a_slip(json!({ "tone": "freindly" }), "unknown tone 'freindly': did you mean 'friendly'?")]
#[case::a_number(json!({ "hashtag_count": 31 }), "--hashtags: hashtag_count is 0 to 30; the nearest that is accepted is '30'")]
#[case::below(json!({ "max_chars": 1 }), "--max-chars: max_chars is 20 to 63206; the nearest that is accepted is '20'")]
#[case::a_short_text(json!({ "content_description": "ab" }), "a description needs at least 3 characters, this has 2")]
#[case::a_nul(json!({ "content_description": "a\u{0}bcd" }), "a description must not contain the control character U+0000")]
fn a_broken_rule_names_flag_and_nearest_value(#[case] body: Value, #[case] words: &str) {
    let failure = refused(body);

    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.code, None);
    assert_eq!(failure.errors, [words]);
}

#[test]
fn a_far_miss_lists_the_choices() {
    let failure = refused(json!({ "tone": "qqq" }));

    assert!(
        failure.errors[0].contains("choose one of friendly, professional"),
        "{failure:?}"
    );
}

#[test]
fn a_long_text_is_not_repeated() {
    let failure = refused(json!({ "content_description": "x".repeat(2001) }));

    assert_eq!(
        failure.errors,
        ["a description has at most 2000 characters, this has 2001"]
    );
}

#[test]
fn every_broken_rule_is_told() {
    let failure = refused(json!({ "tone": "freindly", "variants": 11 }));

    assert_eq!(failure.errors.len(), 2, "{failure:?}");
}

#[rstest]
#[case::key(LlmError::Rejected { kind: Rejection::Auth, detail: "HTTP 401".into() }, 4, "provider_auth")]
#[case::account(LlmError::Rejected { kind: Rejection::Billing, detail: "quota".into() }, 4, "provider_billing")]
#[case::model(LlmError::Rejected { kind: Rejection::Request, detail: "HTTP 404".into() }, 5, "provider_rejected")]
#[case::content(LlmError::Refused, 1, "content_refused")]
#[case::too_long(LlmError::TooLong, 2, "prompt_too_long")]
#[case::unusable(LlmError::unusable("empty"), 5, "provider_bad_output")]
#[case::time(Fault::new(FaultKind::Timeout).into(), 5, "provider_timeout")]
#[case::network(Fault::new(FaultKind::Unavailable).into(), 5, "provider_unavailable")]
#[case::limits(Fault::new(FaultKind::RateLimited { retry_after: Some(Duration::from_secs(30)) }).into(), 8, "provider_rate_limited")]
#[case::circuit(Fault::new(FaultKind::CircuitOpen { retry_after: Duration::ZERO }).into(), 5, "provider_circuit_open")]
#[case::load(Fault::new(FaultKind::Overloaded).into(), 8, "overloaded")]
#[case::ours(Fault::new(FaultKind::Internal).into(), 1, "internal")]
fn a_provider_that_fails_ends_with_its_own_code(#[case] error: LlmError, #[case] exit: u8, #[case] code: &str) {
    let failure = Failure::from(&GenerateError::Provider { error, attempts: 2 });

    assert_eq!((failure.exit.code(), failure.code.as_deref()), (exit, Some(code)));
    assert!(failure.advice[0].contains("2 calls were begun"), "{failure:?}");
    assert!(failure.advice[1].starts_with("next: "), "{failure:?}");
}

#[test]
fn the_wait_that_a_provider_asks_for_is_told() {
    let fault = Fault::new(FaultKind::RateLimited {
        retry_after: Some(Duration::from_secs(30)),
    });

    let failure = Failure::from(&GenerateError::Provider {
        error: fault.into(),
        attempts: 1,
    });

    assert!(failure.advice.concat().contains("(in 30 s)"), "{failure:?}");
}

#[rstest]
#[case::down(FaultKind::Unavailable, 3, "store_unavailable")]
#[case::slow(FaultKind::Timeout, 3, "store_unavailable")]
#[case::broken(FaultKind::Corrupt, 3, "store_corrupt")]
fn a_store_that_fails_ends_with_three(#[case] kind: FaultKind, #[case] exit: u8, #[case] code: &str) {
    let failure = Failure::from(StoreError::from(Fault::new(kind)));

    assert_eq!((failure.exit.code(), failure.code.as_deref()), (exit, Some(code)));
}

#[test]
fn advice_is_about_the_command_line_and_not_about_http() {
    for code in Code::ALL {
        let http_only = matches!(
            code,
            Code::InvalidJson
                | Code::InvalidParameter
                | Code::RouteNotFound
                | Code::MethodNotAllowed
                | Code::BodyTimeout
                | Code::BodyTooLarge
                | Code::HeadersTooLarge
                | Code::UriTooLong
                | Code::UnsupportedMediaType
                | Code::VersionMismatch
                | Code::ShuttingDown
        );
        if http_only {
            continue;
        }
        let failure = Failure::broken(*code, "it broke");
        let advice = failure.advice.concat();
        for word in ["GET ", "POST ", "PATCH ", "header", "request_id", "operator"] {
            assert!(!advice.contains(word), "{}: {advice}", code.as_str());
        }
    }
}
