use proptest::{collection::vec, prelude::*};
use rstest::rstest;
use tokio::time::advance;

use super::*;
use crate::{jitter::Jitter, samples::ms};

#[rstest]
#[case(1, 250)]
#[case(2, 500)]
#[case(3, 1000)]
#[case::capped(6, 5000)]
#[case::far_beyond_the_cap(4_000_000_000, 5000)]
fn the_longest_pause_doubles_up_to_its_cap(#[case] failed: u32, #[case] longest: u64) {
    let settings = RetrySettings::default();

    assert_eq!(settings.pause(failed, 1.0), ms(longest));
    assert_eq!(settings.pause(failed, 0.0), ms(0));
    assert_eq!(settings.pause(failed, 0.5), ms(longest) / 2);
}

#[test]
fn pauses_are_spread_over_the_whole_time() {
    let (settings, jitter) = (RetrySettings::default(), Jitter::random());
    let mut quarters = [0; 4];

    for _ in 0..4000 {
        let share = settings.pause(1, jitter.unit()).as_secs_f64() / 0.25;
        quarters[[0.25, 0.5, 0.75].iter().filter(|edge| share >= **edge).count()] += 1;
    }

    assert!(quarters.iter().all(|count| (800..1200).contains(count)), "{quarters:?}");
}

fn spend(budget: &Budget) -> bool {
    budget.reserve().map(Reserved::spend).is_some()
}

#[tokio::test(start_paused = true)]
async fn five_calls_pay_for_one_further_try_once_the_floor_is_used_up() {
    let budget = Budget::new(BudgetSettings::default());
    assert_eq!((0..100).filter(|_| spend(&budget)).count(), 10);

    let bought = (0..100)
        .filter(|_| {
            budget.deposit(Instant::now());
            spend(&budget)
        })
        .count();

    assert_eq!(bought, 20);
}

#[tokio::test(start_paused = true)]
async fn the_floor_comes_back_with_time_and_no_more_than_the_floor() {
    let budget = Budget::new(BudgetSettings::default());
    while spend(&budget) {}

    advance(Duration::from_secs(3)).await;
    assert_eq!((0..100).filter(|_| spend(&budget)).count(), 3);

    advance(Duration::from_hours(1)).await;
    assert_eq!((0..100).filter(|_| spend(&budget)).count(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_try_that_was_not_made_costs_nothing() {
    let budget = Budget::new(BudgetSettings {
        floor: 1.0,
        per_second: 0.0,
        ratio: 0.0,
    });

    drop(budget.reserve());

    assert!(spend(&budget));
    assert!(!spend(&budget));
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_is_not_there_twice() {
    let budget = Budget::new(BudgetSettings {
        floor: 1.0,
        ..BudgetSettings::default()
    });
    let reserved = budget.reserve().unwrap();
    advance(Duration::from_secs(5)).await;

    drop(reserved);

    assert_eq!((0..10).filter(|_| spend(&budget)).count(), 1);
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Call,
    Try,
    Pass(u64),
}

#[tokio::test(start_paused = true)]
async fn what_calls_have_put_in_is_gone_after_ten_seconds() {
    let budget = Budget::new(BudgetSettings {
        floor: 0.0,
        ..BudgetSettings::default()
    });
    let quiet = async |calls: usize, time: Duration| {
        (0..calls).for_each(|_| budget.deposit(Instant::now()));
        advance(time).await;
        (0..1000).filter(|_| spend(&budget)).count()
    };

    assert_eq!(quiet(500, Duration::from_secs(8)).await, 100);
    assert_eq!(quiet(500, Duration::from_secs(10)).await, 0);
    assert_eq!(quiet(500, Duration::from_hours(1)).await, 0);
}

proptest! {
    /// In any ten seconds: a fifth of the calls of that time and of the ten seconds before, the floor, and what comes back of it.
    #[test]
    fn further_tries_never_exceed_the_share_of_the_calls_plus_the_floor(
        ops in vec(prop_oneof![4 => Just(Op::Call), 6 => Just(Op::Try), 1 => (1_u64..4000).prop_map(Op::Pass)], 1..2000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (calls, tries) = runtime.block_on(async {
            let budget = Budget::new(BudgetSettings::default());
            let start = Instant::now();
            let (mut calls, mut tries) = (Vec::new(), Vec::new());
            for op in ops {
                match op {
                    Op::Call => {
                        budget.deposit(Instant::now());
                        calls.push(start.elapsed());
                    }
                    Op::Try if spend(&budget) => tries.push(start.elapsed()),
                    Op::Try => {}
                    Op::Pass(millis) => advance(ms(millis)).await,
                }
            }
            (calls, tries)
        });

        let span = Duration::from_secs(10);
        for to in &tries {
            let since = |time: Duration| to.saturating_sub(time);
            let within = |times: &[Duration], from: Duration| times.iter().filter(|at| **at >= from && *at <= to).count();
            let (calls, made) = (within(&calls, since(2 * span)), within(&tries, since(span)));
            prop_assert!(5 * made <= calls + 5 * 20, "{made} in the ten seconds to {to:?}, for {calls} calls");
        }
    }
}
