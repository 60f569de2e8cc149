//! The rules of the window, one by one and at their edges.

use super::*;

/// Half of ten calls, or four fifths of them slow, within ten seconds; no row.
fn windowed() -> BreakerSettings {
    BreakerSettings {
        failure_threshold: 0,
        window: Some(WindowSettings {
            length: Duration::from_secs(10),
            min_calls: 10,
            failure_rate: Some(0.5),
            slow_call: Duration::from_millis(SLOW_MS),
            slow_rate: Some(0.8),
        }),
        ..BreakerSettings::default()
    }
}

fn without(change: impl FnOnce(&mut WindowSettings)) -> BreakerSettings {
    let mut settings = windowed();
    change(settings.window.as_mut().unwrap());
    settings
}

/// One call from begin to end.
fn call(machine: &mut Machine, now: Instant, failed: bool, took_ms: u64) -> Option<Reason> {
    let ticket = machine.admit(now).0.unwrap();
    let took = Duration::from_millis(took_ms);
    machine
        .finish(&ticket, now, Done { failed, took }, || 0.0)
        .map(|change| change.opens.unwrap().reason)
}

/// Calls until it opens; how many were made, and why it did.
fn calls(settings: BreakerSettings, plan: impl IntoIterator<Item = (bool, u64)>) -> (usize, Option<Reason>) {
    let mut machine = Machine::new(settings);
    let now = Instant::now();
    let mut made = 0;
    for (failed, took) in plan {
        made += 1;
        if let Some(reason) = call(&mut machine, now, failed, took) {
            return (made, Some(reason));
        }
    }
    (made, None)
}

#[rstest]
#[case::half_of_them_fail(5, 5, (10, Some(Reason::FailureRate)))]
#[case::one_less_than_half(6, 4, (10, None))]
#[case::too_few_calls(0, 9, (9, None))]
fn it_opens_when_the_share_of_failures_reaches_its_bound(
    #[case] fine: usize,
    #[case] failed: usize,
    #[case] expected: (usize, Option<Reason>),
) {
    let plan = [vec![(false, 1); fine], vec![(true, 1); failed]].concat();

    assert_eq!(calls(windowed(), plan), expected);
}

#[rstest]
#[case::four_fifths_are_slow(8, SLOW_MS, (10, Some(Reason::SlowRate)))]
#[case::a_little_quicker(8, SLOW_MS - 1, (10, None))]
#[case::one_less(7, SLOW_MS, (10, None))]
fn it_opens_when_the_share_of_slow_successes_reaches_its_bound(
    #[case] slow: usize,
    #[case] took: u64,
    #[case] expected: (usize, Option<Reason>),
) {
    let plan = [vec![(false, 1); 10 - slow], vec![(false, took); slow]].concat();

    assert_eq!(calls(windowed(), plan), expected);
}

#[test]
fn a_slow_failure_is_both() {
    let slow_only = without(|window| window.failure_rate = None);

    assert_eq!(calls(slow_only, [(true, SLOW_MS); 10]), (10, Some(Reason::SlowRate)));
}

#[rstest]
#[case::failure_rate(without(|window| window.failure_rate = None), true, 1)]
#[case::slow_rate(without(|window| window.slow_rate = None), false, 60_000)]
#[case::window(BreakerSettings { window: None, ..windowed() }, true, 60_000)]
fn a_rule_that_is_off_opens_nothing(#[case] settings: BreakerSettings, #[case] failed: bool, #[case] took: u64) {
    assert_eq!(calls(settings, vec![(failed, took); 1000]), (1000, None));
}

#[test]
fn the_row_opens_it_before_the_window_has_enough_calls() {
    let both = BreakerSettings {
        failure_threshold: 5,
        ..windowed()
    };

    assert_eq!(calls(both, [(true, 1); 10]), (5, Some(Reason::Row)));
}

/// Failures scattered among successes never make a row.
#[test]
fn one_success_in_five_does_not_keep_it_closed() {
    let plan = (0..100).map(|number| (number % 5 != 0, 1));

    assert_eq!(
        calls(
            BreakerSettings {
                failure_threshold: 5,
                ..windowed()
            },
            plan
        ),
        (10, Some(Reason::FailureRate))
    );
}

#[test]
fn neutral_calls_are_not_among_the_calls() {
    let mut machine = Machine::new(windowed());
    let now = Instant::now();
    for _ in 0..100 {
        let ticket = machine.admit(now).0.unwrap();
        machine.release(&ticket);
    }
    assert_eq!(machine.snapshot(now).calls, 0);

    for _ in 0..9 {
        assert_eq!(call(&mut machine, now, true, 1), None);
    }
    assert_eq!(call(&mut machine, now, true, 1), Some(Reason::FailureRate));
}

/// A window that only grows would need as many failures as there were successes.
#[test]
fn long_health_does_not_hide_a_fresh_outage() {
    let mut machine = Machine::new(windowed());
    let mut now = Instant::now();
    for _ in 0..200_000 {
        assert_eq!(call(&mut machine, now, false, 1), None);
        now += Duration::from_millis(1);
    }

    // 1000 calls a second and a window of ten: at most as many failures as it holds calls.
    let mut failures = 1;
    while call(&mut machine, now, true, 1).is_none() {
        failures += 1;
        now += Duration::from_millis(1);
        assert!(failures <= 5000, "still closed");
    }
    assert!((4500..=5000).contains(&failures), "{failures}");
}

#[rstest]
#[case::still_inside(9999, Some(Reason::FailureRate))]
#[case::just_outside(10_000, None)]
#[case::far_outside(86_400_000, None)]
fn what_is_older_than_the_window_is_forgotten(#[case] later: u64, #[case] expected: Option<Reason>) {
    let mut machine = Machine::new(windowed());
    let start = Instant::now();
    for _ in 0..9 {
        assert_eq!(call(&mut machine, start, true, 1), None);
    }

    let now = start + Duration::from_millis(later);

    assert_eq!(call(&mut machine, now, true, 1), expected);
}

#[test]
fn it_slides_by_tenths() {
    let mut machine = Machine::new(without(|window| window.failure_rate = None));
    let start = Instant::now();
    for second in 0..10 {
        call(&mut machine, start + Duration::from_secs(second), true, 1);
    }

    let left = |machine: &mut Machine, second: u64| machine.snapshot(start + Duration::from_secs(second)).calls;
    let seen: Vec<_> = [9, 10, 11, 15, 18, 19, 30]
        .map(|second| left(&mut machine, second))
        .into();

    assert_eq!(seen, [10, 9, 8, 4, 1, 0, 0]);
}

#[test]
fn a_clock_that_goes_back_counts_into_the_newest_tenth() {
    let mut machine = Machine::new(without(|window| window.failure_rate = None));
    let start = Instant::now() + Duration::from_secs(100);
    call(&mut machine, start, true, 1);
    call(&mut machine, start + Duration::from_secs(5), true, 1);
    call(&mut machine, start, true, 1);

    assert_eq!(machine.snapshot(start + Duration::from_secs(14)).calls, 2);
}

#[test]
fn every_change_of_state_begins_an_empty_window() {
    let mut machine = Machine::new(windowed());
    let mut now = Instant::now();
    while call(&mut machine, now, true, 1).is_none() {}
    now += FIRST_OPEN;
    let probe = machine.admit(now).0.unwrap();
    succeed(&mut machine, &probe, now);

    assert_eq!(machine.snapshot(now).calls, 0);
    for _ in 0..9 {
        assert_eq!(call(&mut machine, now, true, 1), None);
    }
}

#[rstest]
#[case::failure(true)]
#[case::success(false)]
fn late_results_of_a_former_time_are_not_in_the_window(#[case] failed: bool) {
    let mut machine = Machine::new(windowed());
    let mut now = Instant::now();
    let late: Vec<_> = (0..50).map(|_| machine.admit(now).0.unwrap()).collect();
    while call(&mut machine, now, true, 1).is_none() {}
    now += FIRST_OPEN;
    let probe = machine.admit(now).0.unwrap();
    succeed(&mut machine, &probe, now);
    assert_eq!(machine.snapshot(now).state, State::Closed);

    for ticket in late {
        let done = Done { failed, took: QUICK };
        assert_eq!(machine.finish(&ticket, now, done, || 0.0), None);
    }

    assert_eq!(machine.snapshot(now).calls, 0);
}
