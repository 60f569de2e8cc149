use governor::{
    RateLimiter,
    clock::{Clock as _, FakeRelativeClock},
};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const SECOND: u64 = 1_000_000;
const MINUTE: Duration = Duration::from_mins(1);

fn requests(limit: u64, per: Duration) -> Plan {
    Plan::new([Window::new(Unit::Requests, limit, per)])
}

fn tokens(limit: u64) -> Plan {
    Plan::new([Window::new(Unit::Tokens, limit, MINUTE)])
}

fn of(amount: Amount) -> Take {
    Take {
        amount,
        ..Take::default()
    }
}

fn one() -> Take {
    of(Amount::request(0))
}

fn some_tokens(count: u64) -> Take {
    of(Amount {
        requests: 0,
        tokens: count,
    })
}

fn corrected(correction: Correction) -> Take {
    Take {
        correction,
        ..Take::default()
    }
}

/// How many single takes succeed at this instant.
fn fit(meter: &mut Meter, plan: &Plan, take: &Take, now: u64) -> u64 {
    (0..1_000_000_u64)
        .take_while(|_| meter.take(plan, take, now).is_taken)
        .count() as u64
}

#[rstest]
#[case::even(60, MINUTE)]
#[case::odd(7, MINUTE)]
#[case::one(1, MINUTE)]
#[case::an_hour(10_000, Duration::from_hours(1))]
#[case::odd_and_fast(59_999, MINUTE)]
fn a_new_window_gives_its_limit_at_once_and_then_one_by_one(#[case] limit: u64, #[case] per: Duration) {
    let (plan, mut meter) = (requests(limit, per), Meter::default());

    assert_eq!(fit(&mut meter, &plan, &one(), 5), limit);

    let refused = meter.take(&plan, &one(), 5);
    let spacing = micros(per).div_ceil(limit);
    assert_eq!((refused.is_taken, micros(refused.wait)), (false, spacing));
    assert_eq!(fit(&mut meter, &plan, &one(), 5 + spacing), 1);
    assert_eq!(fit(&mut meter, &plan, &one(), 5 + 4 * spacing), 3.min(limit));
    let a_day_later = 5 + 24 * 3600 * SECOND;
    assert_eq!(fit(&mut meter, &plan, &one(), a_day_later), limit);
}

#[test]
fn a_limit_of_any_size_is_never_given_twice_and_never_cut_short() {
    for limit in [60_000, 1_000_000, 45_000_000, 1 << 40] {
        let (plan, mut meter) = (tokens(limit), Meter::default());

        assert!(meter.take(&plan, &some_tokens(limit), 0).is_taken, "{limit}");
        assert!(!meter.take(&plan, &some_tokens(limit / 1000), 0).is_taken, "{limit}");
        let half = meter.take(&plan, &some_tokens(limit), 30 * SECOND);
        assert_eq!((half.is_taken, half.wait), (false, MINUTE / 2), "{limit}");
    }
}

#[test]
fn more_than_a_window_holds_waits_for_all_of_it() {
    let (plan, mut meter) = (tokens(100), Meter::default());
    let large = some_tokens(1000);

    assert!(meter.take(&plan, &large, 0).is_taken);
    assert_eq!(meter.take(&plan, &large, 0).wait, MINUTE);
    assert_eq!(plan.fitting(Amount::request(1000)), Amount::request(100));
    assert_eq!(
        requests(5, MINUTE).fitting(Amount::request(1000)),
        Amount::request(1000)
    );
}

#[test]
fn nothing_is_taken_from_any_window_if_one_has_too_little() {
    let plan = Plan::per_minute_and_hour(100, 3, 1000);
    let mut meter = Meter::default();
    for _ in 0..3 {
        assert!(meter.take(&plan, &of(Amount::request(10)), 0).is_taken);
    }
    let before = meter.clone();

    let refused = meter.take(&plan, &of(Amount::request(10)), 0);

    assert!(!refused.is_taken);
    assert_eq!(meter, before);
    let left: Vec<u64> = refused.room().iter().map(|room| room.left).collect();
    assert_eq!(left, [97, 0, 970]);
    let waits: Vec<u64> = refused.room().iter().map(|room| room.wait.as_secs()).collect();
    assert_eq!(waits, [0, 1200, 0]);
    assert_eq!(refused.wait, Duration::from_mins(20));
}

#[test]
fn who_waits_comes_first_and_in_order() {
    let (plan, mut meter) = (requests(60, MINUTE), Meter::default());
    fit(&mut meter, &plan, &one(), 0);
    let patient = Take {
        patience: Duration::from_secs(3),
        ..one()
    };

    let turns: Vec<_> = (0..5).map(|_| meter.take(&plan, &patient, 0)).collect();

    let told: Vec<_> = turns.iter().map(|turn| (turn.is_taken, turn.wait.as_secs())).collect();
    assert_eq!(told, [(true, 1), (true, 2), (true, 3), (false, 4), (false, 4)]);
    // What came back meanwhile belongs to those who waited.
    assert!(!meter.take(&plan, &one(), 3 * SECOND).is_taken);
    assert!(meter.take(&plan, &one(), 4 * SECOND).is_taken);
}

#[test]
fn what_was_not_used_comes_back_and_never_makes_fuller_than_full() {
    let (plan, mut meter) = (tokens(600), Meter::default());
    meter.take(&plan, &some_tokens(600), 0);
    let taken = Amount {
        requests: 0,
        tokens: 600,
    };
    let used = Amount {
        requests: 0,
        tokens: 150,
    };

    let after = meter.take(&plan, &corrected(Correction::of(taken, used)), 0);
    assert_eq!((after.is_taken, after.room()[0].left), (true, 450));

    let after = meter.take(&plan, &corrected(Correction::of(taken, Amount::default())), 0);
    assert_eq!(after.room()[0].left, 600);
}

#[test]
fn what_was_used_beyond_is_charged_down_to_one_window_of_debt() {
    let (plan, mut meter) = (tokens(600), Meter::default());
    let taken = Amount {
        requests: 0,
        tokens: 100,
    };
    let used = Amount {
        requests: 0,
        tokens: 400,
    };
    meter.take(&plan, &some_tokens(100), 0);

    let after = meter.take(&plan, &corrected(Correction::of(taken, used)), 0);
    assert_eq!(after.room()[0].left, 200);

    let mut last = Duration::ZERO;
    for _ in 0..5 {
        let ruin = Correction::of(
            Amount::default(),
            Amount {
                requests: 0,
                tokens: 5000,
            },
        );
        let after = meter.take(&plan, &corrected(ruin), 0);
        last = after.room()[0].full_in;
    }
    assert_eq!(last, 2 * MINUTE);
    // In debt even nothing is refused: who has used too much has to wait.
    let refused = meter.take(&plan, &Take::default(), 0);
    assert_eq!((refused.is_taken, refused.wait), (false, MINUTE));
}

#[test]
fn a_plan_without_windows_allows_everything() {
    let (plan, mut meter) = (Plan::per_minute_and_hour(0, 0, 0), Meter::default());

    assert!(plan.is_unlimited());
    let decision = meter.take(&plan, &of(Amount::request(u64::MAX)), 0);
    assert_eq!(
        (decision.is_taken, decision.wait, decision.room()),
        (true, Duration::ZERO, vec![])
    );
}

#[test]
fn the_share_of_one_of_several_is_never_nothing_and_never_more_together() {
    let plan = Plan::per_minute_and_hour(10, 2, 1000);

    let share: Vec<u64> = plan.divided(3).windows().iter().map(Window::limit).collect();

    assert_eq!(share, [3, 1, 333]);
    assert_eq!(plan.divided(1), plan);
    assert_eq!(plan.divided(0), plan);
}

#[test]
fn plans_have_names_of_their_own() {
    let names = [
        Plan::per_minute_and_hour(10, 0, 0),
        Plan::per_minute_and_hour(0, 10, 0),
        Plan::per_minute_and_hour(0, 0, 10),
        Plan::per_minute_and_hour(1, 0, 0),
        Plan::per_minute_and_hour(10, 10, 0),
        Plan::default(),
    ]
    .map(|plan| plan.name());

    for (index, name) in names.iter().enumerate() {
        assert!(!names[..index].contains(name), "{name}");
    }
    assert_eq!(names[4], "10r60000000-10r3600000000");
}

#[test]
fn it_decides_like_another_library() {
    // Spacings that are whole microseconds: the other one counts in nanoseconds.
    for (limit, millis) in [(1, 1000), (5, 200), (40, 25), (1000, 1)] {
        let per = Duration::from_millis(millis * limit);
        let clock = FakeRelativeClock::default();
        let quota = governor::Quota::with_period(Duration::from_millis(millis))
            .unwrap()
            .allow_burst(u32::try_from(limit).unwrap().try_into().unwrap());
        let other = RateLimiter::direct_with_clock(quota, clock.clone());
        let (plan, mut meter) = (requests(limit, per), Meter::default());
        let mut now = 0;
        let mut seed = 88_172_645_463_325_252_u64;
        for step in 0..20_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let pause = match seed % 4 {
                0 | 1 => 0,
                2 => seed / 4 % (2 * millis * 1000),
                _ => seed / 4 % (3 * millis * limit),
            };
            now += pause;
            clock.advance(Duration::from_micros(pause));

            let (ours, theirs) = (meter.take(&plan, &one(), now), other.check());

            assert_eq!(ours.is_taken, theirs.is_ok(), "limit {limit}, step {step}");
            if let Err(refused) = theirs {
                assert_eq!(
                    ours.wait,
                    refused.wait_time_from(clock.now()),
                    "limit {limit}, step {step}"
                );
            }
        }
    }
}

/// One to three windows of all sizes.
fn plans() -> impl Strategy<Value = Plan> {
    let unit = prop_oneof![Just(Unit::Requests), Just(Unit::Tokens)];
    let window = (unit, 1..200_u64, 1..120_000_u64)
        .prop_map(|(unit, limit, millis)| Window::new(unit, limit, Duration::from_millis(millis)));
    prop::collection::vec(window, 1..4).prop_map(Plan::new)
}

/// A pause in microseconds, then a take.
fn takes() -> impl Strategy<Value = Vec<(u64, Take)>> {
    let pause = prop_oneof![4 => Just(0), 4 => 0..50_000_u64, 1 => 0..100_000_000_u64];
    let patience = prop_oneof![2 => Just(0), 1 => 0..5_000_u64].prop_map(Duration::from_millis);
    let take = (0..4_u64, 0..100_u64, patience).prop_map(|(requests, tokens, patience)| Take {
        amount: Amount { requests, tokens },
        patience,
        correction: Correction::default(),
    });
    prop::collection::vec((pause, take), 1..120)
}

fn units(unit: Unit, amount: Amount) -> u64 {
    match unit {
        Unit::Requests => amount.requests,
        Unit::Tokens => amount.tokens,
    }
}

proptest! {
    /// Also where the product is too wide for one number of 64 bits.
    #[test]
    fn what_is_left_is_exact(limit in 1_u64..=1 << 40, millis in 1_u64..=LONGEST / 1000, ahead in 0_u64..=LONGEST) {
        let window = Window::new(Unit::Requests, limit, Duration::from_millis(millis));
        let free = u128::from(window.capacity.saturating_sub(ahead));
        let exact = free * u128::from(limit) / u128::from(window.capacity);

        prop_assert_eq!(u128::from(window.left(ahead)), exact);
    }

    /// Over every stretch between two uses, in every window, and in the order of the takes.
    #[test]
    fn never_more_than_the_limit_and_what_comes_back(plan in plans(), takes in takes()) {
        let mut meter = Meter::default();
        let mut uses: Vec<(u64, Amount)> = Vec::new();
        let mut now = 0;
        for (pause, take) in takes {
            now += pause;
            let take = Take { amount: plan.fitting(take.amount), ..take };
            let decision = meter.take(&plan, &take, now);
            if decision.is_taken {
                prop_assert!(decision.wait <= take.patience);
                let turn = now + micros(decision.wait);
                prop_assert!(uses.last().is_none_or(|(before, _)| *before <= turn), "out of order");
                uses.push((turn, take.amount));
            }
        }
        for window in plan.windows() {
            let (limit, per) = (u128::from(window.limit()), window.per().as_micros());
            for (first, (from, _)) in uses.iter().enumerate() {
                let mut used = 0;
                for (to, amount) in &uses[first..] {
                    used += u128::from(units(window.unit(), *amount));
                    prop_assert!(used * per <= limit * (per + u128::from(to - from)), "{used} in {}", to - from);
                }
            }
        }
    }

    #[test]
    fn the_wait_of_a_refusal_is_exact(plan in plans(), takes in takes()) {
        let mut meter = Meter::default();
        let mut now = 0;
        for (pause, take) in takes {
            now += pause;
            let decision = meter.take(&plan, &take, now);
            if !decision.is_taken {
                let impatient = Take { patience: Duration::ZERO, ..take };
                let then = now + micros(decision.wait);
                prop_assert!(!meter.clone().take(&plan, &impatient, then - 1).is_taken);
                prop_assert!(meter.clone().take(&plan, &impatient, then).is_taken);
                let slowest = decision.room().iter().map(|room| room.wait).max();
                prop_assert_eq!(slowest, Some(decision.wait));
            }
        }
    }

    #[test]
    fn a_refused_take_changes_nothing(plan in plans(), takes in takes(), odd in takes()) {
        let (mut with, mut without) = (Meter::default(), Meter::default());
        let mut now = 0;
        for ((pause, take), (_, extra)) in takes.iter().zip(odd.iter().cycle()) {
            now += pause;
            let mut tried = with.clone();
            if !tried.take(&plan, extra, now).is_taken {
                with = tried;
            }
            prop_assert_eq!(with.take(&plan, take, now), without.take(&plan, take, now));
        }
    }

    /// What is left can be taken, and nothing beyond.
    #[test]
    fn the_room_is_exact(limit in 1..200_u64, millis in 1..120_000_u64, takes in takes()) {
        let plan = Plan::new([Window::new(Unit::Tokens, limit, Duration::from_millis(millis))]);
        let mut meter = Meter::default();
        let mut now = 0;
        for (pause, take) in takes {
            now += pause;
            let room = meter.take(&plan, &take, now).room()[0];
            prop_assert!(meter.clone().take(&plan, &some_tokens(room.left), now).is_taken || room.full_in > Duration::from_millis(millis));
            prop_assert!(room.left == limit || !meter.clone().take(&plan, &some_tokens(room.left + 1), now).is_taken);
            let full = now + micros(room.full_in);
            prop_assert_eq!(meter.clone().take(&plan, &Take::default(), full).room()[0].left, limit);
        }
    }

    /// Within bounds whatever is given back and charged.
    #[test]
    fn corrections_stay_between_full_and_a_window_of_debt(
        plan in plans(),
        steps in prop::collection::vec((0..1_000_000_u64, 0..400_u64, 0..400_u64), 1..60)
    ) {
        let mut meter = Meter::default();
        let mut now = 0;
        for (pause, taken, used) in steps {
            now += pause;
            let amount = |count| Amount { requests: count, tokens: count };
            let correction = Correction::of(amount(taken), amount(used));
            let before = meter.take(&plan, &Take::default(), now).room();
            let after = meter.take(&plan, &corrected(correction), now).room();
            for ((after, before), window) in after.iter().zip(before).zip(plan.windows()) {
                prop_assert!(after.left <= window.limit());
                // A microsecond for each unit: the window may have been made that much longer.
                let longest = 2 * (window.per() + Duration::from_micros(window.limit()));
                prop_assert!(after.full_in <= longest);
                if before.full_in <= window.per() {
                    let back = (before.left + taken.saturating_sub(used)).min(window.limit());
                    let expected = back.saturating_sub(used.saturating_sub(taken));
                    // What is left is rounded down.
                    prop_assert!(after.left.abs_diff(expected) <= 1, "{} and not {expected}", after.left);
                }
            }
        }
    }

    #[test]
    fn a_full_meter_is_as_good_as_a_new_one(plan in plans(), takes in takes(), next in takes()) {
        let mut meter = Meter::default();
        let mut now = 0;
        for (pause, take) in takes {
            now += pause;
            meter.take(&plan, &take, now);
        }
        now = now.max(meter.full_at());
        let mut fresh = Meter::default();
        for (pause, take) in next {
            now += pause;
            prop_assert_eq!(meter.take(&plan, &take, now), fresh.take(&plan, &take, now));
        }
    }
}
