use std::sync::Arc;

use captions_domain::fault::{Fault, LlmError, StoreError};
use rstest::rstest;
use tokio::{task::JoinSet, time::advance};

use super::*;
use crate::jitter::Jitter;
use crate::samples::{Lines, ms, rate_limited};

fn breaker(failure_threshold: u32) -> Arc<Breaker> {
    let settings = BreakerSettings {
        failure_threshold,
        ..BreakerSettings::default()
    };
    Arc::new(Breaker::new("test".into(), settings, Jitter::fixed(0.0)))
}

/// A breaker that opened just now.
fn opened() -> Arc<Breaker> {
    let breaker = breaker(1);
    breaker.admit().unwrap().settle(Verdict::Sick);
    assert_eq!(breaker.snapshot().state, State::Open);
    breaker
}

#[tokio::test(start_paused = true)]
async fn it_opens_after_five_failures_in_a_row_and_a_success_between_starts_anew() {
    let breaker = breaker(5);

    for verdict in [[Verdict::Sick; 4].as_slice(), &[Verdict::Healthy], &[Verdict::Sick; 4]].concat() {
        breaker.admit().unwrap().settle(verdict);
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
    breaker.admit().unwrap().settle(Verdict::Sick);

    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn neutral_results_and_dropped_permits_neither_open_it_nor_break_a_row() {
    let breaker = breaker(5);

    for _ in 0..4 {
        breaker.admit().unwrap().settle(Verdict::Sick);
        breaker.admit().unwrap().settle(Verdict::Neutral);
        drop(breaker.admit().unwrap());
    }
    assert_eq!(breaker.snapshot().state, State::Closed);
    breaker.admit().unwrap().settle(Verdict::Sick);

    assert_eq!(breaker.snapshot().state, State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_the_time_left_until_the_probe() {
    let breaker = opened();

    advance(ms(200)).await;
    let refused = breaker.admit().unwrap_err();

    assert_eq!(refused.kind, FaultKind::CircuitOpen { retry_after: ms(300) });
    advance(ms(299)).await;
    assert!(breaker.admit().is_err());
    advance(ms(1)).await;
    let _probe = breaker.admit().unwrap();
    assert!(breaker.admit().is_err());
    assert_eq!((breaker.counts(), breaker.snapshot().refused), ((1, 3), 3));
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_callers_at_once_exactly_one_is_the_probe() {
    let breaker = opened();
    advance(ms(500)).await;

    let mut callers = JoinSet::new();
    for _ in 0..1000 {
        let breaker = Arc::clone(&breaker);
        callers.spawn(async move { breaker.admit() });
    }
    let admitted: Vec<_> = callers.join_all().await.into_iter().filter_map(Result::ok).collect();

    assert_eq!(admitted.len(), 1);
}

#[test]
fn of_many_threads_at_once_exactly_one_is_the_probe() {
    let settings = BreakerSettings {
        failure_threshold: 1,
        recovery_timeout: Duration::ZERO,
        ..BreakerSettings::default()
    };
    let breaker = Arc::new(Breaker::new("test".into(), settings, Jitter::random()));
    breaker.admit().unwrap().settle(Verdict::Sick);

    // The permits are kept until all have asked: a dropped one would make room for the next.
    let admitted: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..1000).filter_map(|_| breaker.admit().ok()).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });

    assert_eq!(admitted.len(), 1);
}

#[rstest]
#[case::dropped(None)]
#[case::neutral(Some(Verdict::Neutral))]
#[tokio::test(start_paused = true)]
async fn a_probe_that_says_nothing_gives_its_place_to_the_next_caller(#[case] end: Option<Verdict>) {
    let breaker = opened();
    advance(ms(500)).await;

    let probe = breaker.admit().unwrap();
    assert!(breaker.admit().is_err());
    match end {
        None => drop(probe),
        Some(verdict) => probe.settle(verdict),
    }

    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    breaker.admit().unwrap().settle(Verdict::Healthy);
    assert_eq!(breaker.snapshot().state, State::Closed);
}

#[rstest]
#[case::success(Verdict::Healthy)]
#[case::failure(Verdict::Sick)]
#[tokio::test(start_paused = true)]
async fn a_late_result_of_an_earlier_time_changes_nothing(#[case] late: Verdict) {
    let breaker = breaker(1);
    let slow: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    breaker.admit().unwrap().settle(Verdict::Sick);
    let mut slow = slow.into_iter();

    assert!(slow.as_slice().iter().all(|permit| !permit.is_current()));
    slow.next().unwrap().settle(late);
    assert_eq!(breaker.snapshot().state, State::Open);

    advance(ms(500)).await;
    let probe = breaker.admit().unwrap();
    slow.next().unwrap().settle(late);
    assert_eq!(breaker.snapshot().state, State::HalfOpen);
    assert!(
        breaker.admit().is_err(),
        "the late result has not freed the probe's place"
    );

    probe.settle(Verdict::Healthy);
    slow.next().unwrap().settle(late);
    assert_eq!(breaker.snapshot().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_force_it_open_and_closed_and_give_it_back() {
    let breaker = breaker(1);
    let before = breaker.admit().unwrap();

    breaker.force_open();
    assert!(breaker.admit().is_err());
    before.settle(Verdict::Healthy);
    advance(Duration::from_hours(24)).await;
    assert!(breaker.admit().is_err(), "no probe goes by itself");

    breaker.force_closed();
    for _ in 0..10 {
        breaker.admit().unwrap().settle(Verdict::Sick);
    }
    assert_eq!(breaker.snapshot().state, State::ForcedClosed);

    breaker.automatic();
    assert_eq!(breaker.snapshot().state, State::Closed);
    breaker.admit().unwrap().settle(Verdict::Sick);
    breaker.automatic();
    assert_eq!(
        breaker.snapshot().state,
        State::Open,
        "only forced states are given back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_tells_state_begin_of_the_outage_and_next_probe() {
    let breaker = breaker(1);
    let healthy = breaker.snapshot();
    let begin = Instant::now();
    breaker.admit().unwrap().settle(Verdict::Sick);
    advance(ms(500)).await;
    let probe = breaker.admit().unwrap();
    let probing = breaker.snapshot();
    probe.settle(Verdict::Sick);
    advance(ms(100)).await;

    let again = breaker.snapshot();

    let seen = |snapshot: Snapshot| (snapshot.state, snapshot.open_since, snapshot.next_probe);
    assert_eq!(seen(healthy), (State::Closed, None, None));
    assert_eq!(seen(probing), (State::HalfOpen, Some(begin), Some(ms(0))));
    assert_eq!(seen(again), (State::Open, Some(begin), Some(ms(800))));
}

#[rstest]
#[case(FaultKind::Timeout, Verdict::Sick)]
#[case(FaultKind::Unavailable, Verdict::Sick)]
#[case(FaultKind::Corrupt, Verdict::Sick)]
#[case(rate_limited(Some(1)), Verdict::Neutral)]
#[case(FaultKind::CircuitOpen { retry_after: ms(1) }, Verdict::Neutral)]
#[case(FaultKind::Overloaded, Verdict::Neutral)]
#[case(FaultKind::Internal, Verdict::Neutral)]
fn what_a_fault_says_about_health(#[case] kind: FaultKind, #[case] verdict: Verdict) {
    assert_eq!(Verdict::of(&Fault::new(kind)), verdict);
}

#[test]
fn refusals_of_the_domain_say_nothing_about_health() {
    assert_eq!(Verdict::of(&StoreError::Conflict), Verdict::Neutral);
    assert_eq!(Verdict::of(&LlmError::Refused), Verdict::Neutral);
}

#[tokio::test(start_paused = true)]
async fn every_change_of_state_is_one_line_in_the_log() {
    let lines = Lines::of("to");
    let _scope = tracing::subscriber::set_default(lines.clone());
    let breaker = breaker(2);

    for _ in 0..2 {
        breaker.admit().unwrap().settle(Verdict::Sick);
    }
    drop(breaker.admit());
    advance(ms(500)).await;
    breaker.admit().unwrap().settle(Verdict::Sick);
    advance(ms(900)).await;
    breaker.admit().unwrap().settle(Verdict::Healthy);
    breaker.force_open();
    breaker.force_open();
    breaker.automatic();
    breaker.admit().unwrap().settle(Verdict::Healthy);

    let expected = [
        "open",
        "half_open",
        "open",
        "half_open",
        "closed",
        "forced_open",
        "closed",
    ];
    assert_eq!(lines.all(), expected);
}
