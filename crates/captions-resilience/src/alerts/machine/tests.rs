use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::alerts::{BreakerVital, Calls};

const WINDOW: Duration = Duration::from_secs(60);

/// What one window says about the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Right,
    Wrong,
    Nothing,
}

fn vitals(said: Said) -> Vitals {
    let database = match said {
        Said::Right => Some(Calls {
            calls: 100,
            failures: 0,
        }),
        Said::Wrong => Some(Calls {
            calls: 100,
            failures: 50,
        }),
        Said::Nothing => None,
    };
    Vitals {
        database,
        ..Vitals::default()
    }
}

/// Plays windows of a minute; returns what was told, with the number of the window from 1.
fn play(pace: Pace, windows: &[Said]) -> Vec<(u32, Phase)> {
    let mut alerts = Alerts::new(Thresholds::default(), pace);
    let mut now = Instant::now();
    let mut told = Vec::new();
    for (said, window) in windows.iter().zip(1..) {
        now += WINDOW;
        told.extend(
            alerts
                .look(now, &vitals(*said))
                .iter()
                .map(|notice| (window, notice.phase)),
        );
    }
    told
}

fn pace() -> Pace {
    Pace {
        fire_after: 2,
        resolve_after: 2,
        cool_down: Duration::from_secs(300),
        repeat: Duration::from_secs(600),
    }
}

use Said::{Nothing as N, Right as R, Wrong as W};

#[tokio::test(start_paused = true)]
async fn one_bad_window_is_only_pending() {
    assert_eq!(play(pace(), &[W, R, W, R, R]), []);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_once_and_its_end_once() {
    assert_eq!(
        play(pace(), &[R, W, W, W, W, R, R, R, R]),
        [(3, Phase::Firing), (7, Phase::Resolved)]
    );
}

#[tokio::test(start_paused = true)]
async fn one_good_window_does_not_end_it() {
    assert_eq!(
        play(pace(), &[W, W, R, W, R, W, R, R]),
        [(2, Phase::Firing), (8, Phase::Resolved)]
    );
}

#[tokio::test(start_paused = true)]
async fn lasting_trouble_is_told_again_at_the_repeat_interval() {
    assert_eq!(
        play(pace(), &[W; 23]),
        [(2, Phase::Firing), (12, Phase::Repeated), (22, Phase::Repeated)]
    );
}

#[tokio::test(start_paused = true)]
async fn it_does_not_fire_again_while_it_cools_down_and_does_so_at_once_after_it() {
    // Resolved in window 4: quiet until 4 + 5.
    assert_eq!(
        play(pace(), &[W, W, R, R, W, W, W, W, W]),
        [(2, Phase::Firing), (4, Phase::Resolved), (9, Phase::Firing)]
    );
    // Good again in between: what was bad before does not count.
    assert_eq!(
        play(pace(), &[W, W, R, R, W, W, W, R, W, W]),
        [(2, Phase::Firing), (4, Phase::Resolved), (10, Phase::Firing)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_window_without_the_figure_changes_nothing() {
    assert_eq!(
        play(pace(), &[W, N, W, N, N, R, N, R]),
        [(3, Phase::Firing), (8, Phase::Resolved)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_notice_says_what_since_when_and_against_what() {
    let mut alerts = Alerts::new(Thresholds::default(), pace());
    let begun = Instant::now();

    alerts.look(begun, &vitals(W));
    let firing = alerts.look(begun + WINDOW, &vitals(W)).remove(0);
    assert_eq!(alerts.firing(), [(Alert::DatabaseErrors, "", begun)]);
    alerts.look(begun + 2 * WINDOW, &vitals(R));
    let resolved = alerts.look(begun + 3 * WINDOW, &vitals(R)).remove(0);

    assert_eq!(
        (firing.number, firing.alert, firing.lasted),
        (1, Alert::DatabaseErrors, WINDOW)
    );
    assert_eq!(firing.summary.as_str(), "50 of 100 calls to the store failed");
    let figure = firing.figure.unwrap();
    assert_eq!((figure.value, figure.threshold), (0.5, 0.05));
    assert_eq!(
        (resolved.number, resolved.lasted, resolved.figure),
        (2, 3 * WINDOW, None)
    );
    assert_eq!(resolved.summary.as_str(), "back to normal after 180 s");
    assert!(alerts.firing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn breakers_fire_apart_and_one_that_is_gone_is_resolved_and_forgotten() {
    let pace = Pace {
        fire_after: 1,
        resolve_after: 1,
        cool_down: Duration::ZERO,
        ..pace()
    };
    let mut alerts = Alerts::new(Thresholds::default(), pace);
    let open = |names: &[&str]| Vitals {
        breakers: Some(
            names
                .iter()
                .map(|name| BreakerVital {
                    name: (*name).to_owned(),
                    state: "open".to_owned(),
                    open_for: Some(Duration::from_secs(100)),
                })
                .collect(),
        ),
        ..Vitals::default()
    };
    let told = |notices: Vec<Notice>| -> Vec<(String, Phase)> {
        notices
            .iter()
            .map(|notice| (notice.subject.to_string(), notice.phase))
            .collect()
    };
    let mut now = Instant::now();
    let mut next = || {
        now += WINDOW;
        now
    };

    let first = told(alerts.look(next(), &open(&["one", "two"])));
    let unknown = told(alerts.look(next(), &Vitals::default()));
    let second = told(alerts.look(next(), &open(&["two"])));

    assert_eq!(
        first,
        [("one".to_owned(), Phase::Firing), ("two".to_owned(), Phase::Firing)]
    );
    assert_eq!(unknown, []);
    assert_eq!(second, [("one".to_owned(), Phase::Resolved)]);
    assert_eq!(alerts.states.len(), 1);
}

/// The same rules told another way: by looking back over the whole history at each window.
fn by_history(pace: &Pace, windows: &[(Said, Duration)]) -> Vec<(usize, Phase)> {
    let mut times = Vec::new();
    let mut clock = Duration::ZERO;
    for (_, gap) in windows {
        clock += *gap;
        times.push(clock);
    }
    let mut told: Vec<(usize, Phase)> = Vec::new();
    for index in 0..windows.len() {
        let said = windows[index].0;
        if said == Said::Nothing {
            continue;
        }
        let last = told.last().copied();
        let fires = matches!(last, Some((_, Phase::Firing | Phase::Repeated)));
        // Windows in a row up to this one that said the same; those that said nothing do not count. A row of right ones
        // begins after the alert fired, a row of wrong ones after it was resolved.
        let from = told
            .iter()
            .rev()
            .find(|(_, phase)| *phase != Phase::Repeated)
            .map(|(at, _)| *at);
        let row = windows
            .iter()
            .enumerate()
            .take(index + 1)
            .skip(from.map_or(0, |at| at + 1))
            .filter(|(_, window)| window.0 != Said::Nothing)
            .rev()
            .take_while(|(_, window)| window.0 == said)
            .count();
        let phase = match (fires, said) {
            (false, Said::Wrong) => {
                let is_quiet = last.is_some_and(|(at, _)| times[index] < times[at] + pace.cool_down);
                (row >= pace.fire_after as usize && !is_quiet).then_some(Phase::Firing)
            }
            (true, Said::Wrong) => {
                let at = last.map_or(index, |(at, _)| at);
                (times[index] >= times[at] + pace.repeat).then_some(Phase::Repeated)
            }
            (true, Said::Right) => (row >= pace.resolve_after as usize).then_some(Phase::Resolved),
            (false, Said::Right) | (_, Said::Nothing) => None,
        };
        told.extend(phase.map(|phase| (index, phase)));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_machine_does_what_the_history_says(
        fire_after in 1_u32..4,
        resolve_after in 1_u32..4,
        cool_down in 0_u64..400,
        repeat in 1_u64..400,
        windows in prop::collection::vec((prop::sample::select(vec![R, W, W, N]), 1_u64..120), 0..60),
    ) {
        let pace = Pace {
            fire_after,
            resolve_after,
            cool_down: Duration::from_secs(cool_down),
            repeat: Duration::from_secs(repeat),
        };
        let windows: Vec<_> = windows.into_iter().map(|(said, gap)| (said, Duration::from_secs(gap))).collect();

        let mut alerts = Alerts::new(Thresholds::default(), pace);
        let mut now = Instant::now();
        let mut told = Vec::new();
        for (index, (said, gap)) in windows.iter().enumerate() {
            now += *gap;
            let notices = alerts.look(now, &vitals(*said));
            prop_assert!(notices.len() <= 1);
            told.extend(notices.iter().map(|notice| (index, notice.phase)));
        }

        prop_assert_eq!(told, by_history(&pace, &windows));
        prop_assert!(alerts.states.len() <= 1);
    }
}
