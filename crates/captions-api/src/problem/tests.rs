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
    assert_eq!(problem.documentation, format!("/errors/{code}"));
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
            "code": "invalid_request", "fault": "caller", "documentation": "/errors/invalid_request",
            "request_id": "r-1", "retryable": false,
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
        assert!(
            code.cause().ends_with('.') && code.cause() != code.suggestion(),
            "{code:?}"
        );
    }
}

/// Every kind of fault. The match makes that a new kind is missing here no longer than until the next build.
fn kinds() -> Vec<FaultKind> {
    let all = vec![
        FaultKind::Timeout,
        FaultKind::Unavailable,
        FaultKind::RateLimited { retry_after: None },
        FaultKind::RateLimited {
            retry_after: Some(SECOND),
        },
        FaultKind::CircuitOpen { retry_after: SECOND },
        FaultKind::Overloaded,
        FaultKind::Corrupt,
        FaultKind::Internal,
    ];
    for kind in &all {
        match kind {
            FaultKind::Timeout
            | FaultKind::Unavailable
            | FaultKind::RateLimited { .. }
            | FaultKind::CircuitOpen { .. }
            | FaultKind::Overloaded
            | FaultKind::Corrupt
            | FaultKind::Internal => {}
        }
    }
    all
}

#[test]
fn no_fault_of_any_port_is_presented_as_the_callers() {
    let faults = || kinds().into_iter().map(Fault::new);
    let of_stores = faults().map(|fault| Problem::from(&StoreError::Fault(fault)));
    let of_providers = faults().map(|fault| Problem::from(&LlmError::Fault(fault)));
    let rejections = [Rejection::Auth, Rejection::Billing, Rejection::Request].map(rejected);
    let others = rejections.into_iter().chain([LlmError::unusable("empty")]);
    let of_answers = others.map(|error| Problem::from(&error));

    for problem in of_stores.chain(of_providers).chain(of_answers) {
        assert!(problem.status >= 500, "{problem:?}");
        assert_ne!(problem.fault, "caller", "{problem:?}");
        assert!(problem.errors.is_empty(), "{problem:?}");
    }
}

#[test]
fn a_code_is_the_callers_exactly_if_its_status_says_so() {
    for code in Code::ALL {
        assert_eq!(code.fault() == Whose::Caller, code.status() < 500, "{code:?}");
        let named = ["provider_", "store_"]
            .iter()
            .any(|part| code.as_str().starts_with(part));
        // Who asks for one that there is not has made the mistake.
        let is_missing = code.status() == 404;
        assert!(!named || is_missing || code.fault() != Whose::Caller, "{code:?}");
    }
}

#[rstest]
#[case::auth(Code::ProviderAuth, Whose::Operator)]
#[case::billing(Code::ProviderBilling, Whose::Operator)]
#[case::rejected(Code::ProviderRejected, Whose::Operator)]
#[case::bad_output(Code::ProviderBadOutput, Whose::Provider)]
#[case::away(Code::ProviderUnavailable, Whose::Provider)]
#[case::limited(Code::ProviderRateLimited, Whose::Provider)]
#[case::open(Code::ProviderCircuitOpen, Whose::Provider)]
#[case::slow(Code::ProviderTimeout, Whose::Provider)]
#[case::internal(Code::Internal, Whose::Service)]
#[case::store(Code::StoreUnavailable, Whose::Service)]
#[case::crowd(Code::Overloaded, Whose::Service)]
fn behind_us_it_is_told_whose_fault_it_is(#[case] code: Code, #[case] whose: Whose) {
    assert_eq!(code.fault(), whose);
}

#[rstest]
#[case::limit(Code::RateLimited, "https://iana.org/assignments/http-problem-types#quota-exceeded")]
#[case::open(
    Code::ProviderCircuitOpen,
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
)]
#[case::crowd(
    Code::Overloaded,
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
)]
#[case::any_other(Code::StoreUnavailable, "/errors/store_unavailable")]
fn what_has_a_type_of_the_draft_carries_it_and_its_page_beside_it(#[case] code: Code, #[case] kind: &str) {
    let problem = Problem::new(code, "why");

    assert_eq!(problem.kind, kind);
    assert_eq!(problem.documentation, format!("/errors/{}", code.as_str()));
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
