use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_mins(1);

/// All that ever ended, kept as it is: the number of its slot, how it ended, how long it took.
#[derive(Default)]
struct Naive(Vec<(u64, Outcome, Duration)>);

impl Naive {
    fn recent(&self, number: u64) -> Vec<(Outcome, Duration)> {
        self.0
            .iter()
            .filter(|(slot, ..)| slot + u64::from(SLOTS) > number)
            .map(|(_, outcome, time)| (*outcome, *time))
            .collect()
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    (0..Outcome::ALL.len()).prop_map(|place| Outcome::ALL[place])
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..50).prop_map(Duration::from_micros),
        (0_u64..5_000).prop_map(Duration::from_millis),
        (0_u64..3_000).prop_map(Duration::from_secs),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_record_counts_what_a_naive_list_counts(
        steps in proptest::collection::vec((0_u64..20_000, any_outcome(), any_time()), 1..120),
        later in 0_u64..90_000,
    ) {
        let begun = Instant::now();
        let mut record = Record::new(begun, WINDOW);
        let mut naive = Naive::default();
        let mut passed = 0;
        for (pause, outcome, time) in steps {
            passed += pause;
            record.end(begun + Duration::from_millis(passed), outcome, time);
            naive.0.push((passed / 5_000, outcome, time));
        }
        passed += later;

        let recent = record.recent(begun + Duration::from_millis(passed));
        let kept = naive.recent(passed / 5_000);

        for outcome in Outcome::ALL {
            let is_it = |(kind, _): &&(Outcome, Duration)| *kind == outcome;
            prop_assert_eq!(recent.count(outcome), kept.iter().filter(is_it).count() as u64);
            let ever = naive.0.iter().filter(|(_, kind, _)| *kind == outcome).count();
            prop_assert_eq!(record.totals().counts[outcome as usize], ever as u64);
        }
        prop_assert_eq!(recent.ended(), kept.len() as u64);
        prop_assert_eq!(record.totals().time, naive.0.iter().map(|(.., time)| *time).sum::<Duration>());
        let mut times: Vec<Duration> = kept
            .iter()
            .filter(|(outcome, _)| *outcome != Outcome::Cancelled)
            .map(|(_, time)| *time)
            .collect();
        times.sort();
        prop_assert_eq!(recent.timed(), times.len() as u64);
        prop_assert_eq!(recent.time, times.iter().sum::<Duration>());
        let timed = naive.0.iter().filter(|(_, outcome, _)| *outcome != Outcome::Cancelled);
        prop_assert_eq!(record.totals().spread.iter().sum::<u64>(), timed.count() as u64);
        for quantile in [0.5, 0.95, 0.99, 1.0] {
            let place = rank(quantile, times.len() as u64);
            let exact = place.map(|place| times[usize::try_from(place).unwrap() - 1]);
            match (recent.quantile(quantile), exact) {
                (None, None) => {}
                (Some(told), Some(exact)) => {
                    prop_assert!(told >= exact.min(Duration::from_secs(1073)), "{:?} for {:?}", told, exact);
                    if exact < Duration::from_secs(1073) {
                        let most = exact.mul_f64(1.125) + Duration::from_micros(1);
                        prop_assert!(told <= most, "{:?} for {:?}", told, exact);
                    }
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn a_bucket_holds_what_it_says(micros in 0_u64..1 << 30) {
        let time = Duration::from_micros(micros);
        let place = bucket(time);

        prop_assert!(time <= longest(place));
        prop_assert!(place == 0 || time > longest(place - 1));
    }
}

#[test]
fn what_is_older_than_the_window_is_gone_and_the_totals_stay() {
    let begun = Instant::now();
    let mut record = Record::new(begun, WINDOW);
    record.end(begun, Outcome::Failed, Duration::from_secs(9));
    record.turn_away(begun, OVERLOADED);

    let inside = record.recent(begun + Duration::from_secs(59));
    let outside = record.recent(begun + Duration::from_secs(60));

    assert_eq!((inside.count(Outcome::Failed), inside.counts[OVERLOADED]), (1, 1));
    assert_eq!((outside.ended(), outside.counts[OVERLOADED]), (0, 0));
    assert_eq!(outside.quantile(0.5), None);
    assert_eq!(record.totals().counts[Outcome::Failed as usize], 1);
}

#[test]
fn a_slot_that_is_used_again_after_a_long_pause_begins_empty() {
    let begun = Instant::now();
    let mut record = Record::new(begun, WINDOW);
    record.end(begun, Outcome::Ok, Duration::from_secs(1));

    record.end(begun + WINDOW * 7, Outcome::Ok, Duration::from_millis(2));

    let recent = record.recent(begun + WINDOW * 7);
    assert_eq!((recent.ended(), recent.time), (1, Duration::from_millis(2)));
    assert_eq!(recent.quantile(1.0), Some(Duration::from_millis(2)));
}

#[test]
fn times_are_spread_over_the_bounds_with_the_bound_itself_inside() {
    let begun = Instant::now();
    let mut record = Record::new(begun, WINDOW);
    for seconds in [0.005, 0.0051, 1.0, 11.0] {
        record.end(begun, Outcome::Ok, Duration::from_secs_f64(seconds));
    }
    record.end(begun, Outcome::Cancelled, Duration::from_secs(1));

    assert_eq!(record.totals().spread, [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
}

#[test]
fn only_what_is_beyond_the_range_shares_the_bucket_without_an_end() {
    let begun = Instant::now();
    let mut record = Record::new(begun, WINDOW);
    record.end(begun, Outcome::Ok, Duration::from_secs(1007));
    record.end(begun, Outcome::Ok, Duration::from_secs(1144));

    let median = record.recent(begun).quantile(0.5).unwrap();

    assert!(
        median >= Duration::from_secs(1007) && median < Duration::from_secs(1074),
        "{median:?}"
    );
}
