use rstest::rstest;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rejected(kind: Rejection) -> LlmError {
    LlmError::Rejected {
        kind,
        detail: "model not found".into(),
    }
}

fn fault(kind: FaultKind) -> LlmError {
    LlmError::Fault(Fault::new(kind))
}

#[rstest]
#[case::refused(LlmError::Refused, "content_refused", 422, false, None)]
#[case::too_long(LlmError::TooLong, "prompt_too_long", 422, false, None)]
#[case::auth(rejected(Rejection::Auth), "provider_auth", 502, false, None)]
#[case::billing(rejected(Rejection::Billing), "provider_billing", 502, false, None)]
#[case::request(rejected(Rejection::Request), "provider_rejected", 502, false, None)]
#[case::unusable(LlmError::unusable("empty"), "provider_bad_output", 502, true, None)]
#[case::timeout(fault(FaultKind::Timeout), "provider_timeout", 504, true, None)]
#[case::unavailable(fault(FaultKind::Unavailable), "provider_unavailable", 502, true, Some(1000))]
#[case::limited(fault(FaultKind::RateLimited { retry_after: None }), "provider_rate_limited", 503, true, Some(5000))]
#[case::limited_for(fault(FaultKind::RateLimited { retry_after: Some(17 * SECOND) }), "provider_rate_limited", 503, true, Some(17_000))]
#[case::open(fault(FaultKind::CircuitOpen { retry_after: SECOND * 3 }), "provider_circuit_open", 503, true, Some(3000))]
#[case::overloaded(fault(FaultKind::Overloaded), "overloaded", 503, true, Some(1000))]
#[case::overloaded_for(LlmError::Fault(Fault::new(FaultKind::Overloaded).with_retry_after(SECOND * 6)), "overloaded", 503, true, Some(6000))]
#[case::corrupt(fault(FaultKind::Corrupt), "provider_bad_output", 502, true, None)]
#[case::internal(fault(FaultKind::Internal), "internal", 500, false, None)]
fn a_failed_provider_is_told_as_it_is(
    #[case] error: LlmError,
    #[case] code: &str,
    #[case] status: u16,
    #[case] retryable: bool,
    #[case] retry_after_ms: Option<u64>,
) {
    let problem = Problem::from(&GenerateError::Provider { error, attempts: 3 });

    assert_eq!(
        (
            problem.code.as_str(),
            problem.status,
            problem.retryable,
            problem.retry_after_ms,
            problem.attempts
        ),
        (code, status, retryable, retry_after_ms, Some(3))
    );
    assert_eq!(problem.kind, format!("/errors/{code}"));
}

#[rstest]
#[case::conflict(StoreError::Conflict, "conflict", 409)]
#[case::timeout(StoreError::Fault(Fault::new(FaultKind::Timeout)), "store_unavailable", 503)]
#[case::away(StoreError::Fault(Fault::new(FaultKind::Unavailable)), "store_unavailable", 503)]
#[case::limited(StoreError::Fault(Fault::new(FaultKind::RateLimited { retry_after: None })), "store_unavailable", 503)]
#[case::open(StoreError::Fault(Fault::new(FaultKind::CircuitOpen { retry_after: SECOND })), "store_unavailable", 503)]
#[case::overloaded(StoreError::Fault(Fault::new(FaultKind::Overloaded)), "overloaded", 503)]
#[case::corrupt(StoreError::Fault(Fault::new(FaultKind::Corrupt)), "store_corrupt", 500)]
#[case::internal(StoreError::Fault(Fault::new(FaultKind::Internal)), "internal", 500)]
fn a_failed_store_is_told_as_it_is(#[case] error: StoreError, #[case] code: &str, #[case] status: u16) {
    let problem = Problem::from(&error);

    assert_eq!((problem.code.as_str(), problem.status), (code, status));
}

#[test]
fn the_cause_inside_a_fault_stays_inside() {
    let error = LlmError::Fault(Fault::because(
        FaultKind::Unavailable,
        "connecting to 10.0.0.7 with key sk-1",
    ));

    let problem = serde_json::to_string(&Problem::from(&error)).unwrap();

    assert!(!problem.contains("10.0.0.7") && !problem.contains("sk-1"), "{problem}");
}

#[test]
fn a_wait_is_never_promised_where_waiting_does_not_help() {
    let problem = Problem::new(Code::ProviderAuth, "no").wait(Some(SECOND));

    assert_eq!(problem.retry_after_ms, None);
}

#[test]
fn broken_rules_become_exactly_this_document() {
    let broken = vec![
        Invalid::new("unknown_choice", "unknown tone 'loud'")
            .nearest("calm")
            .at("/tone"),
        Invalid::new("required", "content_description is required").at("/content_description"),
    ];

    let problem = Problem::from(broken).of_request("r-1", "/v1/captions");

    assert_eq!(
        serde_json::to_value(problem).unwrap(),
        json!({
            "type": "/errors/invalid_request", "title": "The request breaks a rule", "status": 422,
            "detail": "/tone: unknown tone 'loud' (and 1 more)", "instance": "/v1/captions",
            "code": "invalid_request", "request_id": "r-1", "retryable": false,
            "errors": [
                {"pointer": "/tone", "code": "unknown_choice", "detail": "unknown tone 'loud'", "nearest": "calm"},
                {"pointer": "/content_description", "code": "required", "detail": "content_description is required"}
            ],
            "suggestion": "Correct the fields that errors lists."
        })
    );
}

#[test]
fn every_code_has_a_name_of_its_own_and_reads_back() {
    let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    names.dedup();

    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        assert_eq!(code.as_str().parse(), Ok(*code));
        assert!((400..=599).contains(&code.status()), "{code:?}");
        assert!(code.title().chars().next().is_some_and(char::is_uppercase), "{code:?}");
        assert!(code.suggestion().ends_with('.'), "{code:?}");
    }
}

#[test]
fn what_breaks_behind_us_is_never_the_callers_fault() {
    for code in Code::ALL {
        let behind = [
            "provider_",
            "store_",
            "internal",
            "overloaded",
            "starting",
            "shutting_down",
        ];
        let is_behind = behind.iter().any(|start| code.as_str().starts_with(start));
        assert_eq!(is_behind, code.status() >= 500, "{code:?}");
    }
}

#[test]
fn every_503_says_when_to_come_back() {
    for code in Code::ALL.iter().filter(|code| matches!(code.status(), 429 | 503)) {
        assert!(code.retry_after().is_some() && code.is_retryable(), "{code:?}");
    }
}

/// docs/API.md names every code with its status.
#[test]
fn the_document_lists_the_whole_table() {
    let page = include_str!("../../../../docs/API.md");
    for code in Code::ALL {
        let row = format!("| `{}` | {} | ", code.as_str(), code.status());
        assert!(page.contains(&row), "docs/API.md lacks: {row}");
        assert!(
            page.contains(code.suggestion()),
            "docs/API.md lacks the suggestion of {}",
            code.as_str()
        );
    }
}
