use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use super::*;
use crate::samples::ms;

fn adaptive(min: usize, max: usize) -> Adaptive {
    Adaptive::new(AdaptiveSettings { min }, max)
}

fn over(load: Load, begun: Instant, company: usize) -> Over {
    Over {
        load,
        begun,
        company,
        limit: usize::MAX,
    }
}

/// A round of calls that were too much, begun and ended at `now`, with as many under way as the limit allows.
fn too_much(adaptive: &mut Adaptive, now: Instant) {
    let company = adaptive.limit();
    adaptive.learn(now, over(Load::TooMuch, now, company), company);
}

fn borne(adaptive: &mut Adaptive, now: Instant, in_flight: usize) -> Option<Turn> {
    adaptive.learn(now, over(Load::Borne, now, in_flight), in_flight)
}

#[test]
fn it_starts_at_its_maximum_and_never_goes_beyond() {
    let (mut adaptive, now) = (adaptive(1, 10), Instant::now());

    for _ in 0..100 {
        assert_eq!(borne(&mut adaptive, now, 10), None);
    }

    assert_eq!(adaptive.limit(), 10);
}

#[test]
fn it_falls_by_a_tenth_once_in_a_round_trip() {
    let (mut adaptive, start) = (adaptive(1, 100), Instant::now());

    // All of them began before the first came back.
    for _ in 0..50 {
        adaptive.learn(start + ms(100), over(Load::TooMuch, start, 100), 100);
    }
    assert_eq!(adaptive.limit(), 90);

    adaptive.learn(start + ms(200), over(Load::TooMuch, start + ms(100), 90), 90);
    assert_eq!(adaptive.limit(), 81);
}

#[test]
fn far_above_what_is_used_every_refusal_counts_down_to_twice_of_that() {
    let (mut adaptive, start) = (adaptive(1, 8192), Instant::now());

    for _ in 0..1000 {
        adaptive.learn(start + ms(100), over(Load::TooMuch, start, 50), 3);
    }

    assert!((90..=100).contains(&adaptive.limit()), "{}", adaptive.limit());
}

#[rstest]
#[case::alone(1, 1, 8)]
#[case::with_another(2, 1, 7)]
#[case::the_least_that_is_always_allowed(4, 4, 8)]
fn calls_that_are_always_allowed_say_nothing_about_the_limit(
    #[case] company: usize,
    #[case] min: usize,
    #[case] expected: usize,
) {
    let (mut adaptive, now) = (adaptive(min, 8), Instant::now());

    adaptive.learn(now, over(Load::TooMuch, now, company), company);

    assert_eq!(adaptive.limit(), expected);
}

#[rstest]
#[case(Load::Borne)]
#[case(Load::Unknown)]
fn nothing_else_lowers_it(#[case] load: Load) {
    let (mut adaptive, now) = (adaptive(1, 100), Instant::now());

    adaptive.learn(now, over(load, now, 100), 100);

    assert_eq!(adaptive.limit(), 100);
}

#[test]
fn it_grows_by_about_one_in_a_round_of_successes_while_it_is_in_reach() {
    let (mut adaptive, mut now) = (adaptive(1, 100), Instant::now());
    while adaptive.limit() > 20 {
        now += ms(100);
        too_much(&mut adaptive, now);
    }
    let before = adaptive.limit();

    for _ in 0..50 {
        borne(&mut adaptive, now, 9);
    }
    assert_eq!(adaptive.limit(), before, "out of reach");
    for _ in 0..=before {
        borne(&mut adaptive, now, before / 2 + 1);
    }

    assert_eq!(adaptive.limit(), before + 1);
}

#[test]
fn what_it_grew_by_while_the_call_was_under_way_is_undone() {
    let (mut adaptive, now) = (adaptive(1, 100), Instant::now());
    too_much(&mut adaptive, now);
    let begun = Over {
        limit: adaptive.limit(),
        ..over(Load::TooMuch, now, 90)
    };
    for _ in 0..500 {
        borne(&mut adaptive, now, 90);
    }
    assert_eq!(adaptive.limit(), 95);

    adaptive.learn(now, begun, 90);

    assert_eq!(adaptive.limit(), 81);
}

#[test]
fn what_it_learnt_is_forgotten_once_it_has_not_mattered_for_a_minute() {
    let (mut adaptive, now) = (adaptive(1, 100), Instant::now());
    for round in 0..20 {
        too_much(&mut adaptive, now + ms(round));
    }

    assert_eq!(borne(&mut adaptive, now + FORGET, 1), None);
    assert_eq!(borne(&mut adaptive, now + ms(19) + FORGET, 1), Some(Turn::Restored));

    assert_eq!(adaptive.limit(), 100);
}

proptest! {
    #[test]
    fn it_stays_in_its_bounds_and_tells_each_turn_once(
        ops in vec((0_u8..3, 0_u64..3000, 1_usize..80), 1..400),
        min in 0_usize..5,
        max in 0_usize..60,
    ) {
        let (mut adaptive, mut now) = (adaptive(min, max), Instant::now());
        let (least, most) = (min.max(1).min(max.max(1)), max.max(1));
        let mut last = Turn::Restored;
        for (kind, pass, company) in ops {
            now += ms(pass);
            let load = [Load::Borne, Load::TooMuch, Load::Unknown][usize::from(kind)];
            let before = adaptive.limit();
            let turn = adaptive.learn(now, over(load, now, company), company);

            prop_assert!((least..=most).contains(&adaptive.limit()));
            prop_assert!(load == Load::TooMuch || adaptive.limit() >= before);
            prop_assert!(load == Load::Borne || adaptive.limit() <= before);
            if let Some(turn) = turn {
                prop_assert_ne!(turn, last);
                last = turn;
            }
            prop_assert_eq!(last == Turn::Restored, adaptive.is_at_max());
        }
    }
}
