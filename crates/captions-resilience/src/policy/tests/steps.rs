//! Each step by itself, on and off.

use rstest::rstest;

use super::*;
use crate::{
    breaker::{State, WindowSettings},
    samples::{context, rate_limited, relaxed},
};

const TIMEOUT: Result<&str, FaultKind> = Err(FaultKind::Timeout);
const UNAVAILABLE: Result<&str, FaultKind> = Err(FaultKind::Unavailable);
const OVERLOADED: Result<&str, FaultKind> = Err(FaultKind::Overloaded);

#[rstest]
#[case::on(true, TIMEOUT, 0)]
#[case::off(false, Ok("done"), 1)]
#[tokio::test(start_paused = true)]
async fn deadline_an_expired_request_makes_no_call(
    #[case] deadline: bool,
    #[case] expected: Result<&str, FaultKind>,
    #[case] calls: usize,
) {
    let policy = policy(PolicySettings { deadline, ..settings() });
    let remote = Remote::slow(ms(10));

    let answer = run(&policy, &context(ms(0), 3), &remote).await;

    assert_eq!((answer, remote.calls()), (expected, calls));
}

#[rstest]
#[case::on(true, TIMEOUT, 3)]
#[case::off(false, Ok("done"), 8)]
#[tokio::test(start_paused = true)]
async fn deadline_it_ends_an_attempt_early(
    #[case] deadline: bool,
    #[case] expected: Result<&str, FaultKind>,
    #[case] seconds: u64,
) {
    let policy = policy(PolicySettings { deadline, ..settings() });
    let (remote, start) = (Remote::slow(ms(8000)), Instant::now());

    let answer = run(&policy, &context(ms(3000), 3), &remote).await;

    assert_eq!((answer, start.elapsed()), (expected, Duration::from_secs(seconds)));
    assert_eq!(remote.calls(), 1);
}

#[rstest]
#[case::full_length(Jitter::fixed(1.0), 250, 750)]
#[case::half_length(Jitter::fixed(0.5), 125, 375)]
#[case::no_length(Jitter::fixed(0.0), 0, 0)]
#[tokio::test(start_paused = true)]
async fn retry_attempts_come_after_pauses_that_may_double(
    #[case] jitter: Jitter,
    #[case] second: u64,
    #[case] third: u64,
) {
    let policy = Policy::with_jitter(settings(), jitter);
    let remote = Remote::failing(FaultKind::Unavailable);

    let answer = run(&policy, &relaxed(), &remote).await;

    assert_eq!(answer, UNAVAILABLE);
    assert_eq!(remote.times(), [ms(0), ms(second), ms(third)]);
}

#[tokio::test(start_paused = true)]
async fn retry_attempt_times_follow_the_seed() {
    let policy = Policy::with_jitter(settings(), Jitter::seeded(7));
    let (remote, same) = (Remote::failing(FaultKind::Timeout), Jitter::seeded(7));

    run(&policy, &relaxed(), &remote).await.unwrap_err();

    let second = ms(250).mul_f64(same.unit());
    let third = second + ms(500).mul_f64(same.unit());
    // The clock of tests ticks in milliseconds and rounds every pause up.
    let late = remote
        .times()
        .iter()
        .zip([ms(0), second, third])
        .all(|(at, due)| *at >= due && *at <= due + ms(2));
    assert!(late, "{:?}, due {second:?} and {third:?}", remote.times());
}

#[rstest]
#[case::off(None, 1)]
#[case::no_attempt_acts_as_one(Some(0), 1)]
#[case::one(Some(1), 1)]
#[case::five(Some(5), 5)]
#[tokio::test(start_paused = true)]
async fn retry_makes_as_many_attempts_as_it_may(#[case] max_attempts: Option<u32>, #[case] calls: usize) {
    let retry = max_attempts.map(|max_attempts| RetrySettings {
        max_attempts,
        ..retry()
    });
    let policy = policy(PolicySettings {
        retry,
        breaker: None,
        ..settings()
    });
    let remote = Remote::failing(FaultKind::Unavailable);

    run(&policy, &relaxed(), &remote).await.unwrap_err();

    assert_eq!(remote.calls(), calls);
}

#[rstest]
#[case(FaultKind::Timeout, 3)]
#[case(FaultKind::Unavailable, 3)]
#[case(rate_limited(None), 3)]
#[case(FaultKind::Corrupt, 1)]
#[case(FaultKind::Internal, 1)]
#[case(FaultKind::Overloaded, 1)]
#[case(FaultKind::CircuitOpen { retry_after: ms(1) }, 1)]
#[tokio::test(start_paused = true)]
async fn retry_repeats_transient_faults_only(#[case] kind: FaultKind, #[case] calls: usize) {
    let remote = Remote::failing(kind);

    let answer = run(&policy(settings()), &relaxed(), &remote).await;

    assert_eq!((answer, remote.calls()), (Err(kind), calls));
}

#[tokio::test(start_paused = true)]
async fn retry_leaves_refusals_of_the_domain_alone() {
    let policy = policy(settings());
    let remote = Remote::new(vec![(ms(0), Err(LlmError::Refused))]);

    let answer: Result<_, LlmError> = policy
        .run(&relaxed(), "test.call", Repeat::Safe, || remote.call())
        .await;

    assert!(matches!(answer, Err(LlmError::Refused)));
    assert_eq!(remote.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_never_repeats_what_must_not_be_done_twice() {
    let remote = Remote::failing(FaultKind::Unavailable);

    let answer = repeat(&policy(settings()), &relaxed(), &remote, Repeat::Never).await;

    assert_eq!((answer, remote.calls()), (UNAVAILABLE, 1));
}

#[tokio::test(start_paused = true)]
async fn retry_a_later_attempt_may_succeed() {
    let remote = Remote::new(vec![
        (ms(10), Err(Fault::new(FaultKind::Timeout).into())),
        (ms(10), Err(Fault::new(FaultKind::Unavailable).into())),
        (ms(10), Ok("done")),
    ]);

    assert_eq!(run(&policy(settings()), &relaxed(), &remote).await, Ok("done"));
    assert_eq!(remote.times(), [ms(0), ms(260), ms(770)]);
}

#[rstest]
#[case::and_ours_comes_after_it(Some(4), 4250)]
#[case::at_once(Some(0), 250)]
#[case::not_told(None, 250)]
#[tokio::test(start_paused = true)]
async fn retry_after_is_the_least_pause(#[case] seconds: Option<u64>, #[case] second: u64) {
    let remote = Remote::new(vec![
        (ms(0), Err(Fault::new(rate_limited(seconds)).into())),
        (ms(0), Ok("done")),
    ]);

    assert_eq!(run(&policy(settings()), &relaxed(), &remote).await, Ok("done"));

    assert_eq!(remote.times(), [ms(0), ms(second)]);
}

#[rstest]
#[case::just_so(4101, 2, 4001)]
#[case::with_half_of_the_rest_for_the_pause(4300, 2, 4100)]
#[case::just_not(4100, 1, 0)]
#[case::by_far_not(1000, 1, 0)]
#[tokio::test(start_paused = true)]
async fn retry_after_that_does_not_fit_before_the_deadline_ends_the_call_at_once(
    #[case] time: u64,
    #[case] calls: usize,
    #[case] took: u64,
) {
    let (remote, start) = (Remote::failing(rate_limited(Some(4))), Instant::now());

    let answer = run(&policy(settings()), &context(ms(time), 3), &remote).await;

    assert_eq!(answer, Err(rate_limited(Some(4))));
    assert_eq!(remote.calls(), calls);
    assert_eq!(start.elapsed(), ms(took));
}

#[tokio::test(start_paused = true)]
async fn retry_after_beyond_the_longest_wait_ends_the_call_at_once() {
    let retry = RetrySettings {
        longest_wait: Duration::from_secs(1),
        ..retry()
    };
    let policy = policy(PolicySettings {
        retry: Some(retry),
        ..settings()
    });
    let (remote, start) = (Remote::failing(rate_limited(Some(2))), Instant::now());

    run(&policy, &relaxed(), &remote).await.unwrap_err();

    assert_eq!((remote.calls(), start.elapsed()), (1, ms(0)));
}

#[rstest]
#[case::on(true, 30)]
#[case::off(false, 60)]
#[tokio::test(start_paused = true)]
async fn retry_budget_bounds_what_an_outage_costs(#[case] on: bool, #[case] most: usize) {
    let retry = RetrySettings {
        base_delay: ms(0),
        ..retry()
    };
    let policy = policy(PolicySettings {
        retry: Some(retry),
        budget: on.then(BudgetSettings::default),
        breaker: None,
        ..settings()
    });
    let remote = Remote::failing(FaultKind::Unavailable);

    for _ in 0..20 {
        run(&policy, &relaxed(), &remote).await.unwrap_err();
    }

    // 20 calls, the floor of 10, and a fifth of 20.
    let expected = if on { 20 + 10 + 4 } else { most };
    assert_eq!(remote.calls(), expected);
}

#[rstest]
#[case::on(true, 5)]
#[case::off(false, 30)]
#[tokio::test(start_paused = true)]
async fn breaker_stops_the_calls_after_five_failures_in_a_row(#[case] on: bool, #[case] calls: usize) {
    let policy = policy(PolicySettings {
        breaker: on.then(BreakerSettings::default),
        retry: None,
        ..settings()
    });
    let remote = Remote::failing(FaultKind::Unavailable);

    for _ in 0..30 {
        run(&policy, &relaxed(), &remote).await.unwrap_err();
    }

    assert_eq!(remote.calls(), calls);
    assert_eq!(
        policy.snapshot().map(|snapshot| snapshot.state),
        on.then_some(State::Open)
    );
}

#[tokio::test(start_paused = true)]
async fn breaker_refuses_with_the_time_to_the_next_probe_and_lets_one_through_then() {
    let policy = Policy::with_jitter(settings(), Jitter::fixed(0.0));
    let remote = Remote::new(
        [
            vec![(ms(0), Err(Fault::new(FaultKind::Unavailable).into())); 5],
            vec![(ms(0), Ok("done"))],
        ]
        .concat(),
    );
    for _ in 0..2 {
        assert_eq!(run(&policy, &relaxed(), &remote).await, UNAVAILABLE);
    }
    assert_eq!(remote.calls(), 5, "every attempt counts, not every call");

    let refused = run(&policy, &relaxed(), &remote).await;
    assert_eq!(refused, Err(FaultKind::CircuitOpen { retry_after: ms(500) }));
    tokio::time::advance(ms(500)).await;

    assert_eq!(run(&policy, &relaxed(), &remote).await, Ok("done"));
    assert_eq!(policy.snapshot().unwrap().state, State::Closed);
}

/// Four calls in the window, of which half may fail and four fifths may be slow, which is a second.
fn windowed(row: u32) -> BreakerSettings {
    BreakerSettings {
        failure_threshold: row,
        window: Some(WindowSettings {
            min_calls: 4,
            slow_call: ms(1000),
            ..WindowSettings::default()
        }),
        ..BreakerSettings::default()
    }
}

#[rstest]
#[case::on(windowed(0).window, 4)]
#[case::off(None, 30)]
#[tokio::test(start_paused = true)]
async fn breaker_stops_the_calls_when_half_of_them_fail(#[case] window: Option<WindowSettings>, #[case] calls: usize) {
    let breaker = BreakerSettings { window, ..windowed(3) };
    let policy = policy(PolicySettings {
        breaker: Some(breaker),
        retry: None,
        ..settings()
    });
    let (sick, well) = (Remote::failing(FaultKind::Unavailable), Remote::slow(ms(1)));

    for number in 0..30 {
        let remote = if number % 2 == 0 { &well } else { &sick };
        let _ = run(&policy, &relaxed(), remote).await;
    }

    assert_eq!(sick.calls() + well.calls(), calls);
}

#[rstest]
#[case::slow(1000, 4)]
#[case::just_not(999, 10)]
#[tokio::test(start_paused = true)]
async fn breaker_stops_the_calls_when_they_take_too_long(#[case] time: u64, #[case] calls: usize) {
    let policy = policy(PolicySettings {
        breaker: Some(windowed(0)),
        ..settings()
    });
    let remote = Remote::slow(ms(time));

    for _ in 0..10 {
        let _ = run(&policy, &relaxed(), &remote).await;
    }

    assert_eq!(remote.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn breaker_does_not_take_the_wait_for_a_slot_for_slowness() {
    let policy = policy(PolicySettings {
        breaker: Some(windowed(0)),
        slots: Some(SlotSettings {
            max_concurrent: 1,
            ..SlotSettings::default()
        }),
        ..settings()
    });
    let (remote, cx) = (Remote::slow(ms(300)), relaxed());

    // The last one waits for 1.5 s.
    let answers = futures_util::future::join_all((0..6).map(|_| run(&policy, &cx, &remote))).await;

    assert!(answers.iter().all(Result::is_ok));
    let snapshot = policy.snapshot().unwrap();
    assert_eq!((snapshot.calls, snapshot.slow_rate), (6, Some(0.0)));
}

#[rstest]
#[case::on(Some(3), 3)]
#[case::off(None, 10)]
#[tokio::test(start_paused = true)]
async fn slots_bound_the_calls_in_flight(#[case] max_concurrent: Option<usize>, #[case] most: usize) {
    let slots = max_concurrent.map(|max_concurrent| SlotSettings {
        max_concurrent,
        ..SlotSettings::default()
    });
    let policy = policy(PolicySettings { slots, ..settings() });
    let (remote, cx) = (Remote::slow(ms(100)), relaxed());

    let answers = futures_util::future::join_all((0..10).map(|_| run(&policy, &cx, &remote))).await;

    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(remote.most_in_flight.load(Ordering::Relaxed), most);
}

#[rstest]
#[case::on(Some(2), Err(FaultKind::Timeout), 2000)]
#[case::off(None, Ok("done"), 50_000)]
#[tokio::test(start_paused = true)]
async fn attempt_timeout_ends_a_slow_call(
    #[case] seconds: Option<u64>,
    #[case] expected: Result<&str, FaultKind>,
    #[case] time: u64,
) {
    let policy = policy(PolicySettings {
        attempt_timeout: seconds.map(Duration::from_secs),
        retry: None,
        ..settings()
    });
    let (remote, start) = (Remote::slow(ms(50_000)), Instant::now());

    let answer = run(&policy, &relaxed(), &remote).await;

    assert_eq!((answer, start.elapsed()), (expected, ms(time)));
    assert_eq!(remote.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn attempt_timeout_is_measured_anew_for_every_attempt() {
    let remote = Remote::slow(ms(50_000));

    run(&policy(settings()), &relaxed(), &remote).await.unwrap_err();

    assert_eq!(remote.times(), [ms(0), ms(10_250), ms(20_750)]);
}

#[rstest]
#[case::on(true, 2)]
#[case::off(false, 3)]
#[tokio::test(start_paused = true)]
async fn ledger_ends_the_attempts_of_a_request(#[case] ledger: bool, #[case] calls: usize) {
    let policy = policy(PolicySettings { ledger, ..settings() });
    let (remote, cx) = (Remote::failing(FaultKind::Unavailable), context(ms(60_000), 2));
    let start = Instant::now();

    let answer = run(&policy, &cx, &remote).await;

    assert_eq!((answer, remote.calls()), (UNAVAILABLE, calls));
    assert_eq!(cx.attempts.begun(), if ledger { 2 } else { 0 });
    // With the ledger full nobody sleeps for an attempt that will not be made.
    assert_eq!(start.elapsed(), if ledger { ms(250) } else { ms(750) });
}

#[tokio::test(start_paused = true)]
async fn ledger_that_is_full_from_the_start_allows_no_call() {
    let remote = Remote::slow(ms(0));

    let answer = run(&policy(settings()), &context(ms(60_000), 0), &remote).await;

    assert_eq!((answer, remote.calls()), (OVERLOADED, 0));
}

#[tokio::test(start_paused = true)]
async fn with_every_step_off_a_call_is_just_made() {
    let policy = policy(PolicySettings::off("test"));
    let remote = Remote::new(vec![(
        Duration::from_hours(48),
        Err(Fault::new(FaultKind::Unavailable).into()),
    )]);

    for _ in 0..10 {
        assert_eq!(run(&policy, &context(ms(0), 0), &remote).await, UNAVAILABLE);
    }

    assert_eq!(remote.calls(), 10);
}
