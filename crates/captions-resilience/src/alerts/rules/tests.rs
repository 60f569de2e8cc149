use rstest::rstest;

use super::*;
use crate::alerts::BreakerVital;

fn finding(vitals: &Vitals, alert: Alert) -> Option<Finding> {
    judge(vitals, &Thresholds::default()).of(&(alert, Bounded::new("")))
}

fn is_wrong(vitals: &Vitals, alert: Alert) -> bool {
    matches!(finding(vitals, alert), Some(Finding::Wrong { .. }))
}

fn database(calls: u64, failures: u64) -> Vitals {
    Vitals {
        database: Some(Calls { calls, failures }),
        ..Vitals::default()
    }
}

fn api(calls: u64, average: f64, p95: f64) -> Vitals {
    Vitals {
        api: Some(ApiCalls {
            counts: Calls { calls, failures: 0 },
            average: Duration::from_secs_f64(average),
            p95: Duration::from_secs_f64(p95),
        }),
        ..Vitals::default()
    }
}

fn cache(lookups: u64, hits: u64, usual_lookups: u64, usual_hits: u64) -> Vitals {
    Vitals {
        cache: Some(CacheHits {
            lookups,
            hits,
            usual_lookups,
            usual_hits,
        }),
        ..Vitals::default()
    }
}

fn pool(waiting: u32, timeouts: u64) -> Vitals {
    Vitals {
        pool: Some(PoolUse {
            size: 4,
            waiting,
            timeouts,
        }),
        ..Vitals::default()
    }
}

#[rstest]
#[case::all_well(1000, 0, false)]
#[case::at_the_threshold(100, 5, false)]
#[case::above_it(100, 6, true)]
#[case::too_few_calls(19, 19, false)]
#[case::just_enough_calls(20, 2, true)]
#[case::none(0, 0, false)]
fn the_store_may_fail_one_call_in_twenty(#[case] calls: u64, #[case] failures: u64, #[case] wrong: bool) {
    assert_eq!(is_wrong(&database(calls, failures), Alert::DatabaseErrors), wrong);
}

#[rstest]
#[case::fast(100, 0.2, 0.9, false)]
#[case::at_the_threshold(100, 1.0, 1.0, false)]
#[case::slow_tail(100, 0.2, 1.1, true)]
// A few very slow calls: the average shows what the 95 % do not.
#[case::slow_average(100, 1.1, 0.5, true)]
#[case::too_few_calls(19, 5.0, 5.0, false)]
fn providers_may_take_a_second(#[case] calls: u64, #[case] average: f64, #[case] p95: f64, #[case] wrong: bool) {
    assert_eq!(is_wrong(&api(calls, average, p95), Alert::ApiSlow), wrong);
}

#[rstest]
#[case::as_usual(1000, 800, 10_000, 8000, false)]
#[case::at_half(1000, 400, 10_000, 8000, false)]
#[case::below_half(1000, 399, 10_000, 8000, true)]
#[case::gone(1000, 0, 10_000, 8000, true)]
#[case::too_few_now(99, 0, 10_000, 8000, false)]
#[case::too_few_usually(1000, 0, 99, 99, false)]
#[case::never_hit(1000, 0, 10_000, 0, false)]
fn the_hit_rate_may_fall_by_half(
    #[case] lookups: u64,
    #[case] hits: u64,
    #[case] usual_lookups: u64,
    #[case] usual_hits: u64,
    #[case] wrong: bool,
) {
    let vitals = cache(lookups, hits, usual_lookups, usual_hits);

    assert_eq!(is_wrong(&vitals, Alert::HitRateCollapse), wrong);
}

#[rstest]
#[case::nobody(0, 0, false)]
#[case::a_few(10, 0, false)]
#[case::many(11, 0, true)]
#[case::in_vain(0, 1, true)]
fn a_few_may_wait_for_a_connection_and_nobody_in_vain(
    #[case] waiting: u32,
    #[case] timeouts: u64,
    #[case] wrong: bool,
) {
    assert_eq!(is_wrong(&pool(waiting, timeouts), Alert::PoolWaiting), wrong);
}

#[test]
fn the_others_are_compared_with_their_thresholds() {
    let at = Vitals {
        overload_refused: Some(10),
        event_loop_lag: Some(Duration::from_millis(250)),
        spool_rows: Some(1000),
        ..Vitals::default()
    };
    let above = Vitals {
        overload_refused: Some(11),
        event_loop_lag: Some(Duration::from_millis(251)),
        spool_rows: Some(1001),
        ..Vitals::default()
    };
    for alert in [Alert::Overload, Alert::EventLoopStalled, Alert::SpoolGrowing] {
        assert_eq!(
            (is_wrong(&at, alert), is_wrong(&above, alert)),
            (false, true),
            "{alert:?}"
        );
    }
}

#[test]
fn each_breaker_is_judged_by_itself_and_a_forced_one_is_somebodys_wish() {
    let breaker = |name: &str, state: &str, open_s: Option<u64>| BreakerVital {
        name: name.to_owned(),
        state: state.to_owned(),
        open_for: open_s.map(Duration::from_secs),
    };
    let vitals = Vitals {
        breakers: Some(vec![
            breaker("store", "open", Some(61)),
            breaker("redis", "half_open", Some(60)),
            breaker("primary", "forced_open", None),
        ]),
        ..Vitals::default()
    };

    let findings = judge(&vitals, &Thresholds::default());

    let of = |name: &str| findings.of(&(Alert::BreakerOpen, Bounded::new(name)));
    match of("store") {
        Some(Finding::Wrong { summary, figure }) => {
            assert_eq!(summary.as_str(), "store has not worked for 61 s (open)");
            assert_eq!((figure.value, figure.threshold), (61.0, 60.0));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(of("redis"), Some(Finding::Right));
    assert_eq!(of("primary"), Some(Finding::Right));
    assert_eq!(of("gone since"), Some(Finding::Right));
}

#[test]
fn a_figure_that_nobody_can_give_says_nothing() {
    for alert in Alert::ALL {
        assert_eq!(finding(&Vitals::default(), alert), None, "{alert:?}");
    }
}

#[test]
fn a_thousand_breakers_with_long_names_do_not_make_a_large_judgement() {
    let breakers = (0..1000).map(|number| BreakerVital {
        name: format!("{number}{}", "x".repeat(10_000)),
        state: "open".to_owned(),
        open_for: Some(Duration::from_secs(1000)),
    });
    let vitals = Vitals {
        breakers: Some(breakers.collect()),
        ..Vitals::default()
    };

    let findings = judge(&vitals, &Thresholds::default());

    assert_eq!(findings.by_key.len(), MAX_BREAKERS);
    for ((_, subject), finding) in &findings.by_key {
        assert!(subject.as_str().len() <= Bounded::MAX);
        assert!(matches!(finding, Finding::Wrong { summary, .. } if summary.as_str().len() <= Bounded::MAX));
    }
}
