//! Permits under every order of their threads: `permit.rs` once more, with a lock whose threads a scheduler takes turns with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use shuttle::{check_pct, check_random, thread};

use self::permit::{Breaker, Permit};
use super::{BreakerSettings, Snapshot, State, Verdict, machine};
use crate::jitter::Jitter;

mod lock {
    pub(super) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicU64 as Word};
}

#[path = "permit.rs"]
#[expect(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    reason = "of this copy only what the threads below do is used"
)]
mod permit;

/// Enough for the orders that matter, in well under a second each.
const SCHEDULES: usize = 1000;

fn explore(scenario: impl Fn() + Send + Sync + Copy + 'static) {
    check_random(scenario, SCHEDULES);
    check_pct(scenario, SCHEDULES, 3);
}

/// One failure opens it, and a probe may go at once.
fn breaker() -> Arc<Breaker> {
    let settings = BreakerSettings {
        failure_threshold: 1,
        window: None,
        recovery_timeout: Duration::ZERO,
    };
    Arc::new(Breaker::new("test".into(), settings, Jitter::fixed(0.0)))
}

/// A permit of the time before, and the circuit opened since.
fn opened() -> (Arc<Breaker>, Permit) {
    let breaker = breaker();
    let early = breaker.admit().unwrap();
    breaker.admit().unwrap().settle(Verdict::Sick);
    (breaker, early)
}

fn state(breaker: &Breaker) -> State {
    breaker.snapshot().state
}

#[test]
fn one_probe_at_a_time_whatever_an_earlier_call_says_meanwhile() {
    explore(|| {
        let (breaker, early) = opened();
        let probes = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for _ in 0..3 {
            let (breaker, probes) = (Arc::clone(&breaker), Arc::clone(&probes));
            threads.push(thread::spawn(move || {
                if let Ok(probe) = breaker.admit() {
                    assert_eq!(probes.fetch_add(1, Ordering::Relaxed), 0, "two probes");
                    thread::yield_now();
                    assert!(probe.is_current());
                    probes.fetch_sub(1, Ordering::Relaxed);
                    drop(probe);
                }
            }));
        }
        let late = thread::spawn(move || early.settle(Verdict::Healthy));
        for thread in threads {
            thread.join().unwrap();
        }
        late.join().unwrap();

        assert_eq!(state(&breaker), State::HalfOpen);
        assert!(breaker.admit().is_ok(), "the place of the probe is free");
    });
}

#[test]
fn a_probe_that_ends_well_closes_it_once_and_a_late_failure_does_not_open_it_again() {
    explore(|| {
        let (breaker, early) = opened();
        let late = thread::spawn(move || early.settle(Verdict::Sick));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || match breaker.admit() {
                    Ok(permit) => {
                        thread::yield_now();
                        permit.settle(Verdict::Healthy);
                        1
                    }
                    Err(_) => 0,
                })
            })
            .collect();
        let served: usize = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
        late.join().unwrap();

        assert!(served >= 1);
        assert_eq!((state(&breaker), breaker.counts().0), (State::Closed, 1));
    });
}

#[test]
fn failures_at_once_open_it_once() {
    explore(|| {
        let breaker = breaker();
        let callers: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
        let callers = callers
            .into_iter()
            .map(|permit| thread::spawn(move || permit.settle(Verdict::Sick)));
        let callers: Vec<_> = callers.collect();
        for caller in callers {
            caller.join().unwrap();
        }

        assert_eq!((state(&breaker), breaker.counts().0), (State::Open, 1));
    });
}

#[test]
fn an_operator_beside_a_probe_leaves_it_neither_wedged_nor_with_two_probes() {
    explore(|| {
        let (breaker, _early) = opened();
        let caller = {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || {
                if let Ok(probe) = breaker.admit() {
                    thread::yield_now();
                    drop(probe);
                }
            })
        };
        let operator = {
            let breaker = Arc::clone(&breaker);
            thread::spawn(move || {
                breaker.force_open();
                assert!(breaker.admit().is_err());
                breaker.automatic();
            })
        };
        caller.join().unwrap();
        operator.join().unwrap();

        assert_eq!(state(&breaker), State::Closed);
        assert!(breaker.admit().is_ok());
    });
}
