use captions_domain::fault::FaultKind;

use super::*;
use crate::samples::{Actor, Line, fault, prompt, relaxed};

#[tokio::test]
async fn the_last_failure_is_kept_until_the_next_and_answers_leave_it() {
    let script: &[&[Line]] = &[&[Line::Say("fine"), Line::End]];
    let fine = Remembered::new(Arc::new(Actor::new("p", script)));
    let sick = Remembered::new(Arc::new(Actor::failing("p", fault(FaultKind::Unavailable))));
    let refusing = Remembered::new(Arc::new(Actor::failing("p", LlmError::Refused)));
    let cx = relaxed();

    for provider in [&fine, &sick, &refusing] {
        drop(provider.complete(&cx, &prompt()).await);
    }

    assert!(fine.last_failure().is_none());
    let (error, at) = sick.last_failure().unwrap();
    assert_eq!((error.code(), at), ("unavailable", cx.now));
    assert!(refusing.last_failure().is_none(), "a refusal is an answer");
}

#[tokio::test]
async fn a_stream_that_fails_is_remembered_as_well() {
    let sick = Remembered::new(Arc::new(Actor::failing("p", fault(FaultKind::Timeout))));

    if let Ok(mut chunks) = sick.stream(&relaxed(), &prompt()).await {
        while chunks.next().await.is_some() {}
    }

    assert_eq!(sick.last_failure().unwrap().0.code(), "timeout");
}
