//! A second call beside one that takes long.

use std::{future::poll_fn, task::Poll};

use rstest::rstest;
use tokio::{join, time::advance};

use super::*;
use crate::{
    breaker::State,
    samples::{context, relaxed},
};

const AFTER: Duration = Duration::from_millis(50);

/// Every step on, and hedges; one slot more than needed.
fn hedged() -> PolicySettings {
    PolicySettings {
        hedge_after: Some(AFTER),
        ..settings()
    }
}

fn done(millis: u64) -> (Duration, Result<&'static str, LlmError>) {
    (ms(millis), Ok("done"))
}

fn fails(millis: u64, kind: FaultKind) -> (Duration, Result<&'static str, LlmError>) {
    (ms(millis), Err(Fault::new(kind).into()))
}

async fn read(policy: &Policy, cx: &Context, remote: &Remote) -> Result<&'static str, FaultKind> {
    repeat(policy, cx, remote, Repeat::Read).await
}

#[rstest]
#[case::on(Some(AFTER), Repeat::Read, 2, 60)]
#[case::off(None, Repeat::Read, 1, 1000)]
#[case::a_write(Some(AFTER), Repeat::Safe, 1, 1000)]
#[case::a_write_of_once(Some(AFTER), Repeat::Never, 1, 1000)]
#[tokio::test(start_paused = true)]
async fn a_slow_read_is_made_once_more_and_the_first_answer_wins(
    #[case] hedge_after: Option<Duration>,
    #[case] kind: Repeat,
    #[case] calls: usize,
    #[case] time: u64,
) {
    let policy = policy(PolicySettings {
        hedge_after,
        ..hedged()
    });
    let (remote, cx, start) = (Remote::new(vec![done(1000), done(10)]), relaxed(), Instant::now());

    let answer = repeat(&policy, &cx, &remote, kind).await;

    assert_eq!((answer, start.elapsed()), (Ok("done"), ms(time)));
    assert_eq!(
        (remote.calls(), cx.attempts.begun()),
        (calls, u32::try_from(calls).unwrap())
    );
    // The loser is gone, holds nothing, and says nothing.
    assert_eq!(remote.in_flight.load(Ordering::Relaxed), 0);
    assert_eq!(policy.crowd().unwrap().in_flight, 0);
    assert_eq!(policy.snapshot().unwrap().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_quick_read_is_made_once() {
    let remote = Remote::slow(AFTER);

    assert_eq!(read(&policy(hedged()), &relaxed(), &remote).await, Ok("done"));

    assert_eq!(remote.calls(), 1);
}

#[rstest]
#[case::the_first_fails(vec![fails(100, FaultKind::Timeout), done(100)], Ok("done"), 150, 2)]
#[case::the_second_fails(vec![done(100), fails(10, FaultKind::Timeout)], Ok("done"), 100, 2)]
#[case::the_second_is_right_that_it_will_not_do(vec![done(100), fails(10, FaultKind::Internal)], Err(FaultKind::Internal), 60, 2)]
// Both are tries: after them there is one left, after a pause for the second failure.
#[case::both_fail(vec![fails(100, FaultKind::Timeout), fails(100, FaultKind::Timeout), done(10)], Ok("done"), 660, 3)]
#[tokio::test(start_paused = true)]
async fn one_of_the_two_is_enough(
    #[case] plays: Vec<(Duration, Result<&'static str, LlmError>)>,
    #[case] expected: Result<&'static str, FaultKind>,
    #[case] time: u64,
    #[case] calls: usize,
) {
    let (remote, start) = (Remote::new(plays), Instant::now());

    let answer = read(&policy(hedged()), &relaxed(), &remote).await;

    assert_eq!((answer, start.elapsed(), remote.calls()), (expected, ms(time), calls));
}

#[rstest]
#[case::it_fits(100, 2)]
#[case::just_not(99, 1)]
#[tokio::test(start_paused = true)]
async fn it_is_not_begun_if_it_does_not_fit_before_the_deadline(#[case] time: u64, #[case] calls: usize) {
    let remote = Remote::slow(ms(1000));

    let answer = read(&policy(hedged()), &context(ms(time), 9), &remote).await;

    assert_eq!((answer, remote.calls()), (Err(FaultKind::Timeout), calls));
}

#[rstest]
#[case::tries(PolicySettings { retry: Some(RetrySettings { max_attempts: 1, ..retry() }), ..hedged() })]
#[case::budget(PolicySettings { budget: Some(BudgetSettings { ratio: 0.0, floor: 0.0, per_second: 0.0 }), ..hedged() })]
#[case::slot(PolicySettings { slots: Some(SlotSettings { max_concurrent: 1, ..SlotSettings::default() }), ..hedged() })]
#[tokio::test(start_paused = true)]
async fn it_is_not_begun_without(#[case] settings: PolicySettings) {
    let (remote, start) = (Remote::slow(ms(200)), Instant::now());

    let answer = read(&policy(settings), &relaxed(), &remote).await;

    assert_eq!((answer, start.elapsed(), remote.calls()), (Ok("done"), ms(200), 1));
}

#[tokio::test(start_paused = true)]
async fn it_is_not_begun_without_room_in_the_ledger_of_the_request() {
    let (remote, cx) = (Remote::slow(ms(200)), context(ms(60_000), 1));

    assert_eq!(read(&policy(hedged()), &cx, &remote).await, Ok("done"));

    assert_eq!((remote.calls(), cx.attempts.begun()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_tried_again_it_is_the_only_second_call() {
    let policy = policy(PolicySettings {
        retry: None,
        ..hedged()
    });
    let remote = Remote::new(vec![fails(100, FaultKind::Timeout)]);

    let answer = read(&policy, &relaxed(), &remote).await;

    assert_eq!((answer, remote.calls()), (Err(FaultKind::Timeout), 2));
    assert_eq!(policy.snapshot().unwrap().calls, 2, "the breaker has counted both");
}

#[tokio::test(start_paused = true)]
async fn a_probe_stays_alone() {
    let policy = policy(PolicySettings {
        breaker: Some(BreakerSettings {
            failure_threshold: 1,
            ..BreakerSettings::default()
        }),
        retry: None,
        ..hedged()
    });
    let sick = Remote::failing(FaultKind::Unavailable);
    read(&policy, &relaxed(), &sick).await.unwrap_err();
    advance(ms(500)).await;
    let probe = Remote::slow(ms(200));

    assert_eq!(read(&policy, &relaxed(), &probe).await, Ok("done"));

    assert_eq!(probe.calls(), 1);
    assert_eq!(policy.snapshot().unwrap().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn retries_and_hedges_pay_out_of_one_budget() {
    let policy = policy(PolicySettings {
        budget: Some(BudgetSettings {
            ratio: 0.0,
            floor: 3.0,
            per_second: 0.0,
        }),
        breaker: None,
        ..hedged()
    });
    let (slow, sick, cx) = (
        Remote::slow(ms(200)),
        Remote::failing(FaultKind::Unavailable),
        relaxed(),
    );

    let (first, second) = join!(read(&policy, &cx, &slow), read(&policy, &cx, &slow));
    assert_eq!((first, second, slow.calls()), (Ok("done"), Ok("done"), 4));
    read(&policy, &cx, &sick).await.unwrap_err();
    assert_eq!(sick.calls(), 2, "one token was left");

    read(&policy, &cx, &slow).await.unwrap();
    assert_eq!(slow.calls(), 5);
}

/// Dropped after each of its steps, with none, one or two calls under way.
#[tokio::test(start_paused = true)]
async fn a_hedged_read_dropped_at_any_point_leaks_nothing() {
    let mut most = 0;
    for steps in 0..40 {
        let policy = policy(PolicySettings {
            slots: Some(SlotSettings {
                max_concurrent: 2,
                ..SlotSettings::default()
            }),
            budget: Some(BudgetSettings {
                ratio: 0.0,
                floor: 1.0,
                per_second: 0.0,
            }),
            breaker: Some(BreakerSettings {
                failure_threshold: 100,
                ..BreakerSettings::default()
            }),
            ..hedged()
        });
        let (remote, cx) = (Remote::new(vec![fails(90, FaultKind::Unavailable)]), relaxed());
        {
            let mut call = std::pin::pin!(read(&policy, &cx, &remote));
            for _ in 0..steps {
                if poll_fn(|task| Poll::Ready(call.as_mut().poll(task).is_ready())).await {
                    break;
                }
                most = most.max(remote.in_flight.load(Ordering::Relaxed));
                advance(ms(15)).await;
            }
        }

        let crowd = policy.crowd().unwrap();
        assert_eq!((crowd.in_flight, crowd.interactive), (0, 0), "after {steps} steps");
        assert_eq!(remote.in_flight.load(Ordering::Relaxed), 0);
        let begun = usize::try_from(cx.attempts.begun()).unwrap();
        assert_eq!(begun, remote.calls());
        // The one token is there again unless the second call was made.
        let left = policy.budget.as_ref().unwrap().reserve().is_some();
        assert_eq!(left, remote.calls() < 2, "after {steps} steps");
    }
    assert_eq!(most, 2, "both were under way at some step");
}
