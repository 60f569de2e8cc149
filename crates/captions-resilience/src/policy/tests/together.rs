//! The steps in their order: who sees what of whom.

use std::{future::poll_fn, pin::pin, task::Poll};

use captions_domain::context::Class;
use futures_util::future::join_all;
use rstest::rstest;
use tokio::{join, time::advance};

use super::*;
use crate::{
    breaker::State,
    samples::{context, relaxed},
};

const UNAVAILABLE: Result<&str, FaultKind> = Err(FaultKind::Unavailable);

fn unavailable() -> Result<&'static str, LlmError> {
    Err(Fault::new(FaultKind::Unavailable).into())
}

fn one_slot(queue_length: usize) -> PolicySettings {
    PolicySettings {
        slots: Some(SlotSettings {
            max_concurrent: 1,
            queue_length,
            ..SlotSettings::default()
        }),
        ..settings()
    }
}

fn state(policy: &Policy) -> State {
    policy.snapshot().unwrap().state
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_not_held_while_backing_off() {
    let policy = policy(one_slot(0));
    let (failing, quick, cx) = (
        Remote::new(vec![(ms(0), unavailable()), (ms(0), Ok("done"))]),
        Remote::slow(ms(100)),
        relaxed(),
    );

    let meanwhile = async {
        sleep(ms(50)).await;
        run(&policy, &cx, &quick).await
    };
    let (first, second) = join!(run(&policy, &cx, &failing), meanwhile);

    assert_eq!((first, second), (Ok("done"), Ok("done")));
    assert_eq!(failing.times(), [ms(0), ms(250)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_our_own_overload_and_not_a_sick_dependency() {
    let policy = policy(PolicySettings {
        breaker: Some(BreakerSettings {
            failure_threshold: 1,
            ..BreakerSettings::default()
        }),
        ..one_slot(0)
    });
    let (remote, cx) = (Remote::slow(ms(100)), relaxed());

    let refused = async {
        let mut kinds = Vec::new();
        for _ in 0..10 {
            kinds.push(run(&policy, &cx, &remote).await);
        }
        kinds
    };
    let (served, refused) = join!(run(&policy, &cx, &remote), refused);

    assert_eq!(served, Ok("done"));
    assert_eq!(refused, [Err(FaultKind::Overloaded); 10]);
    assert_eq!(state(&policy), State::Closed);
    assert_eq!(remote.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_queued_while_the_circuit_opened_is_turned_away_without_a_call() {
    let policy = policy(PolicySettings {
        breaker: Some(BreakerSettings {
            failure_threshold: 1,
            ..BreakerSettings::default()
        }),
        retry: None,
        ..one_slot(5)
    });
    let (remote, cx) = (Remote::new(vec![(ms(100), unavailable())]), relaxed());

    let (first, second, third) = join!(
        run(&policy, &cx, &remote),
        run(&policy, &cx, &remote),
        run(&policy, &cx, &remote)
    );

    assert_eq!(first, UNAVAILABLE);
    let open = Err(FaultKind::CircuitOpen { retry_after: ms(425) });
    assert_eq!((second, third), (open, open));
    assert_eq!(remote.calls(), 1);
    assert_eq!(cx.attempts.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_sleeps_before_an_attempt_that_the_open_circuit_would_refuse() {
    let policy = policy(PolicySettings {
        breaker: Some(BreakerSettings {
            failure_threshold: 1,
            ..BreakerSettings::default()
        }),
        ..settings()
    });
    let (remote, start) = (Remote::failing(FaultKind::Unavailable), Instant::now());

    let answer = run(&policy, &relaxed(), &remote).await;

    assert_eq!((answer, start.elapsed()), (UNAVAILABLE, ms(0)));
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_told_and_not_why_it_was_not_asked_again() {
    let policy = policy(settings());
    let (remote, cx) = (Remote::failing(FaultKind::Unavailable), relaxed());

    let shut_meanwhile = async {
        sleep(ms(100)).await;
        policy.breaker().unwrap().force_open();
    };
    let (answer, ()) = join!(run(&policy, &cx, &remote), shut_meanwhile);

    assert_eq!((answer, remote.calls()), (UNAVAILABLE, 1));
}

#[rstest]
#[case::full_attempts(20_000, 10_000, State::Open)]
#[case::half_an_attempt(5000, 10_000, State::Open)]
#[case::tiny_deadlines(4999, 10_000, State::Closed)]
#[tokio::test(start_paused = true)]
async fn time_outs_count_only_if_the_dependency_had_a_fair_time(
    #[case] deadline: u64,
    #[case] attempt: u64,
    #[case] expected: State,
) {
    let policy = policy(PolicySettings {
        attempt_timeout: Some(ms(attempt)),
        retry: None,
        ..settings()
    });
    let remote = Remote::slow(ms(50_000));

    for _ in 0..5 {
        let answer = run(&policy, &context(ms(deadline), 3), &remote).await;
        assert_eq!(answer, Err(FaultKind::Timeout));
    }

    assert_eq!(state(&policy), expected);
}

/// A limit of 100 ms that is looked at only after `looked` ms, five times over, and the last answer.
async fn looked_late(remote: &Remote, looked: u64) -> (Result<&'static str, FaultKind>, Duration, State) {
    let policy = policy(PolicySettings {
        attempt_timeout: Some(ms(100)),
        retry: None,
        ..settings()
    });
    let mut last = (Ok("none"), ms(0));
    for _ in 0..5 {
        let (cx, begun) = (relaxed(), Instant::now());
        // Nobody gets to run in between, as on a machine whose processors are all taken.
        let busy = async {
            tokio::task::yield_now().await;
            advance(ms(looked)).await;
        };
        let (answer, ()) = join!(run(&policy, &cx, remote), busy);
        last = (answer, begun.elapsed());
    }
    (last.0, last.1, state(&policy))
}

#[rstest]
#[case::came_meanwhile(150, 160, Ok("done"), 160)]
#[case::comes_in_the_time_that_we_took(150, 130, Ok("done"), 150)]
#[case::does_not_come(50_000, 130, Err(FaultKind::Timeout), 160)]
#[case::never_more_than_its_time_again(50_000, 900, Err(FaultKind::Timeout), 1000)]
#[tokio::test(start_paused = true)]
async fn a_time_out_that_we_notice_late_is_our_own_fault(
    #[case] answers_after: u64,
    #[case] looked: u64,
    #[case] expected: Result<&str, FaultKind>,
    #[case] took: u64,
) {
    let (answer, time, state) = looked_late(&Remote::slow(ms(answers_after)), looked).await;

    assert_eq!((answer, time, state), (expected, ms(took), State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_that_we_notice_a_little_late_is_the_other_side_s() {
    let (answer, time, state) = looked_late(&Remote::slow(ms(50_000)), 110).await;

    // The fifth opens it.
    assert_eq!((answer, time, state), (Err(FaultKind::Timeout), ms(110), State::Open));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_beats_queue_retry_and_attempt() {
    let policy = policy(one_slot(5));
    let (blocking, remote, cx) = (Remote::slow(ms(9000)), Remote::slow(ms(1)), relaxed());
    let start = Instant::now();

    let hurried = async {
        sleep(ms(1)).await;
        run(&policy, &context(ms(500), 3), &remote)
            .await
            .map(|_| ())
            .unwrap_err();
        start.elapsed()
    };
    let (_, waited) = join!(run(&policy, &cx, &blocking), hurried);

    assert_eq!(waited, ms(501));
    assert_eq!(remote.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn clones_share_breaker_slots_and_budget() {
    let policy = policy(PolicySettings {
        retry: None,
        ..one_slot(0)
    });
    let clone = policy.clone();
    let (slow, failing, cx) = (
        Remote::slow(ms(100)),
        Remote::failing(FaultKind::Unavailable),
        relaxed(),
    );

    let (_, refused) = join!(run(&policy, &cx, &slow), run(&clone, &cx, &slow));
    assert_eq!(refused, Err(FaultKind::Overloaded));
    for _ in 0..5 {
        run(&clone, &cx, &failing).await.unwrap_err();
    }

    assert_eq!(state(&policy), State::Open);
}

/// A call with a queue, three attempts and two pauses is dropped after each of its steps; all is free again each time.
#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_point_leaks_nothing() {
    let mut finished = false;
    let mut stopped_at = Vec::new();
    for steps in 0..200 {
        let policy = policy(PolicySettings {
            breaker: Some(BreakerSettings {
                failure_threshold: 100,
                ..BreakerSettings::default()
            }),
            budget: Some(BudgetSettings {
                ratio: 0.0,
                floor: 2.0,
                per_second: 0.0,
            }),
            ..one_slot(1)
        });
        let (remote, cx) = (Remote::new(vec![(ms(60), unavailable())]), relaxed());
        let blocker = policy.slots().unwrap().take(Class::Interactive, None).await.unwrap();
        let mut blocker = Some(blocker);
        {
            let mut call = pin!(run(&policy, &cx, &remote));
            for step in 0..steps {
                finished = poll_fn(|task| Poll::Ready(call.as_mut().poll(task).is_ready())).await;
                if finished {
                    break;
                }
                if step == 2 {
                    blocker = None;
                }
                advance(ms(30)).await;
            }
        }
        drop(blocker);

        let slots = policy.slots().unwrap();
        assert_eq!((slots.free(), slots.waiting()), (1, 0), "after {steps} steps");
        assert_eq!(remote.in_flight.load(Ordering::Relaxed), 0);
        // A token that was not spent is there again.
        let budget = policy.budget.as_ref().unwrap();
        let left = std::iter::from_fn(|| budget.reserve().map(Reserved::spend)).count();
        assert_eq!(left, 2 - remote.calls().saturating_sub(1), "after {steps} steps");
        stopped_at.push((remote.calls(), cx.attempts.begun()));
        if finished {
            break;
        }
    }
    assert!(finished, "the sweep reached the end of the call");
    let seen: std::collections::BTreeSet<_> = stopped_at.into_iter().collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, 0), (1, 1), (2, 2), (3, 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_point_does_not_wedge_the_circuit() {
    for steps in 1..6 {
        let policy = policy(PolicySettings {
            breaker: Some(BreakerSettings {
                failure_threshold: 1,
                ..BreakerSettings::default()
            }),
            ..one_slot(1)
        });
        let (sick, slow, well, cx) = (
            Remote::failing(FaultKind::Unavailable),
            Remote::slow(ms(1000)),
            Remote::slow(ms(0)),
            relaxed(),
        );
        run(&policy, &cx, &sick).await.unwrap_err();
        advance(ms(500)).await;
        let mut blocker = Some(policy.slots().unwrap().take(Class::Interactive, None).await.unwrap());
        {
            let mut probe = pin!(run(&policy, &cx, &slow));
            for step in 0..steps {
                assert!(poll_fn(|task| Poll::Ready(probe.as_mut().poll(task).is_pending())).await);
                if step == 2 {
                    blocker = None;
                }
                advance(ms(50)).await;
            }
        }
        drop(blocker);

        assert_eq!(state(&policy), State::HalfOpen);
        assert_eq!(run(&policy, &cx, &well).await, Ok("done"), "after {steps} steps");
        assert_eq!(state(&policy), State::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pause_gives_its_token_back() {
    let policy = policy(PolicySettings {
        budget: Some(BudgetSettings {
            ratio: 0.0,
            floor: 1.0,
            per_second: 0.0,
        }),
        breaker: None,
        ..settings()
    });
    let (remote, cx) = (Remote::failing(FaultKind::Unavailable), relaxed());

    for _ in 0..5 {
        let mut call = pin!(run(&policy, &cx, &remote));
        // The first attempt fails and the pause begins.
        for _ in 0..2 {
            assert!(poll_fn(|task| Poll::Ready(call.as_mut().poll(task).is_pending())).await);
            advance(ms(1)).await;
        }
    }
    assert_eq!(remote.calls(), 5);

    run(&policy, &cx, &remote).await.unwrap_err();
    assert_eq!(remote.calls(), 7, "the one token was still there, and only one");
}

/// Ten seconds of outage at 20 requests a second, then recovery.
#[tokio::test(start_paused = true)]
async fn an_outage_costs_few_calls_and_is_over_within_a_second() {
    let policy = Policy::with_jitter(settings(), Jitter::seeded(3));
    let start = Instant::now();
    let out = ms(10_000);
    let calls = AtomicUsize::new(0);
    let mut healed = None;

    for request in 0..240 {
        let cx = context(ms(20_000), 3);
        let answer: Result<(), LlmError> = policy
            .run(&cx, "test.call", Repeat::Safe, async || {
                if start.elapsed() < out {
                    calls.fetch_add(1, Ordering::Relaxed);
                    Err(Fault::new(FaultKind::Unavailable).into())
                } else {
                    Ok(())
                }
            })
            .await;
        if answer.is_ok() && healed.is_none() {
            healed = start.elapsed().checked_sub(out);
        }
        let next = start + ms(50) * (request + 1);
        if next > Instant::now() {
            tokio::time::sleep_until(next).await;
        }
    }

    assert!(calls.load(Ordering::Relaxed) <= 20, "{calls:?}");
    assert!(healed.unwrap() <= ms(1000), "{healed:?}");
}

#[tokio::test(start_paused = true)]
async fn policies_within_the_same_slots_make_no_more_calls_at_once_together() {
    let three = SlotSettings {
        max_concurrent: 3,
        ..SlotSettings::default()
    };
    let shared = Arc::new(Slots::new("host".into(), three));
    let both = [policy(settings()), policy(settings())].map(|policy| policy.within(Arc::clone(&shared)));
    let remote = Remote::slow(ms(100));

    let calls = (0..20).map(|number| {
        let (policy, remote) = (&both[number % 2], &remote);
        async move { run(policy, &relaxed(), remote).await }
    });
    let answers = join_all(calls).await;

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(remote.most_in_flight.load(Ordering::Relaxed), 3);
    assert_eq!(shared.free(), 3);
}
