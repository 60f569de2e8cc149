use rstest::rstest;

use super::*;
use crate::problem::Code;

#[rstest]
#[case::created(StreamEvent::Created { request_id: "r-1".into() }, "caption.created", r#"{"request_id":"r-1"}"#, false)]
#[case::delta(
    StreamEvent::Delta { candidate: 0, text: "two\nlines".into() },
    "caption.delta",
    r#"{"candidate":0,"text":"two\nlines"}"#,
    false
)]
#[case::withdrawn(
    StreamEvent::Withdrawn { candidate: 0, code: "timeout".into() },
    "caption.withdrawn",
    r#"{"candidate":0,"code":"timeout"}"#,
    false
)]
fn an_event_is_one_line_of_json(
    #[case] event: StreamEvent,
    #[case] name: &str,
    #[case] data: &str,
    #[case] is_last: bool,
) {
    assert_eq!(
        (event.name(), event.data().as_str(), event.is_last()),
        (name, data, is_last)
    );
}

#[test]
fn a_failure_carries_the_whole_problem() {
    let problem = Problem::new(Code::ShuttingDown, "the server is stopping");

    let event = StreamEvent::Failed(Box::new(problem.clone()));

    assert_eq!((event.name(), event.is_last()), ("error", true));
    assert_eq!(serde_json::from_str::<Problem>(&event.data()).unwrap(), problem);
}
