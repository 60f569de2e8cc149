use captions_client::Cause;
use rstest::rstest;

use super::*;

fn refusal(status: u16, problem: Option<Problem>) -> Error {
    Error::Refused(Box::new(Refusal {
        status,
        problem,
        request_id: Some("req_7".to_owned()),
        is_retryable: false,
        retry_after: Some(Duration::from_secs(7)),
    }))
}

#[rstest]
#[case::limited(Code::RateLimited, 8)]
#[case::provider(Code::ProviderTimeout, 5)]
#[case::store(Code::StoreUnavailable, 3)]
#[case::version(Code::VersionMismatch, 1)]
fn a_problem_ends_the_command_as_it_would_here(#[case] code: Code, #[case] exit: u8) {
    let failure = Failure::from(refusal(code.status(), Some(Problem::new(code, "so it is"))));

    assert_eq!(failure.exit.code(), exit);
    assert_eq!(
        (failure.code.as_deref(), &failure.errors[0][..]),
        (Some(code.as_str()), "so it is")
    );
    let advice = failure.advice.join("\n");
    assert!(
        advice.contains(&format!("next: {} (in 7 s)", code.suggestion())),
        "{advice}"
    );
    assert!(advice.contains("req_7"), "{advice}");
}

#[test]
fn a_code_of_a_newer_server_is_told_as_it_is() {
    let mut problem = Problem::new(Code::Internal, "the moon is full");
    problem.code = "full_moon".to_owned();

    let failure = Failure::from(refusal(403, Some(problem)));

    assert_eq!((failure.code.as_deref(), failure.exit.code()), (Some("full_moon"), 4));
}

#[rstest]
#[case::no_key(401, 4)]
#[case::too_many(429, 8)]
#[case::gateway(502, 5)]
#[case::moved(301, 1)]
fn an_answer_of_something_else_on_the_way_goes_by_its_status(#[case] status: u16, #[case] exit: u8) {
    let failure = Failure::from(refusal(status, None));

    assert_eq!(
        (failure.code.as_deref(), failure.exit.code()),
        (Some("unknown_answer"), exit)
    );
}

#[rstest]
#[case::unreachable(Error::Unreachable(Cause::from("refused")), 5, "server_unreachable")]
#[case::broken(Error::Broken(Cause::from("reset")), 5, "connection_lost")]
#[case::slow(Error::TimedOut(WAY), 5, "server_timeout")]
fn the_network_has_codes_of_its_own(#[case] error: Error, #[case] exit: u8, #[case] code: &str) {
    let failure = Failure::from(error);

    assert_eq!((failure.exit.code(), failure.code.as_deref()), (exit, Some(code)));
    assert!(failure.advice[0].starts_with("next: "), "{failure:?}");
}
