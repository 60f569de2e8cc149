use rstest::rstest;

use super::*;
use crate::{
    check::Violation,
    prompt::{self, Format},
    request::{CaptionRequest, Description},
    user::Preferences,
};

fn brief() -> Brief {
    let request = CaptionRequest::new(Description::new("Bread on the counter").unwrap());
    Brief::resolve(&request, &Preferences::default()).0
}

fn judged(score: f64, valid: bool) -> Judged {
    Judged {
        angle: String::new(),
        text: "Bread".into(),
        valid,
        quality_score: score,
        parts: vec![Mean {
            name: "hook".into(),
            value: score / 100.0,
        }],
        untraced: usize::from(!valid),
        violations: if valid {
            Vec::new()
        } else {
            vec![Violation {
                rule: "too_long".into(),
                value: "3".into(),
                limit: "2".into(),
            }]
        },
        repairs: Vec::new(),
    }
}

fn outcome(variants: Vec<Judged>) -> Outcome {
    Outcome {
        variants,
        attempts: 1,
        ..Outcome::new("a", "for a test", &brief())
    }
}

fn failed(error: &str) -> Outcome {
    Outcome {
        error: Some(error.into()),
        ..outcome(Vec::new())
    }
}

#[test]
fn a_brief_is_valid_only_with_all_of_its_variants() {
    let run = [
        outcome(vec![judged(80.0, true), judged(60.0, true)]),
        outcome(vec![judged(90.0, true), judged(40.0, false)]),
        failed("provider_timeout"),
    ];

    let summary = Summary::of(&run);

    let totals = &summary.published;
    assert_eq!(
        (summary.asked, totals.answered, totals.valid, totals.texts),
        (3, 2, 1, 4)
    );
    assert_eq!((totals.valid_percent, totals.quality_score), (33.3, 67.5));
    let hook = Mean {
        name: "hook".into(),
        value: 0.675,
    };
    assert_eq!(totals.parts, [hook]);
    assert_eq!((totals.unfaithful, totals.untraced), (1, 1));
    assert_eq!(totals.violations[0].name, "too_long");
    assert_eq!(
        totals.errors,
        [Count {
            name: "provider_timeout".into(),
            count: 1
        }]
    );
    assert!(run[0].is_valid() && !run[1].is_valid() && !run[2].is_valid());
}

#[test]
fn nearly_all_is_not_a_hundred_percent() {
    let mut run = vec![outcome(vec![judged(80.0, true)]); 2999];
    run.push(failed("internal"));

    let totals = Summary::of(&run).published;
    assert_eq!((totals.valid, totals.valid_percent), (2999, 99.9));
}

#[test]
fn what_is_passed_over_counts_for_nothing() {
    let skipped = Outcome {
        passed_over: true,
        attempts: 0,
        ..outcome(Vec::new())
    };

    let summary = Summary::of(&[outcome(vec![judged(80.0, true)]), skipped]);

    assert_eq!((summary.briefs, summary.asked, summary.passed_over), (2, 1, 1));
    let totals = &summary.published;
    assert_eq!((totals.valid, totals.valid_percent), (1, 100.0));
    assert_eq!(summary.baseline, None);
}

#[test]
fn the_baseline_has_its_own_figures() {
    let run = [
        Outcome {
            baseline: Some(Baseline::failed("unusable")),
            ..outcome(vec![judged(80.0, true)])
        },
        Outcome {
            baseline: Some(Baseline::Judged(Box::new(judged(40.0, false)))),
            ..outcome(vec![judged(60.0, true)])
        },
        // Nobody answered before the time was up.
        failed("provider_timeout"),
    ];

    let baseline = Summary::of(&run).baseline.unwrap();

    assert_eq!((baseline.answered, baseline.valid, baseline.texts), (1, 0, 1));
    let errors: Vec<&str> = baseline.errors.iter().map(|count| count.name.as_str()).collect();
    assert_eq!(errors, ["provider_timeout", "unusable"]);
}

#[test]
fn repairs_and_missing_variants_are_counted() {
    let mended = Judged {
        repairs: vec!["cut".into(), "moved".into()],
        ..judged(70.0, true)
    };
    let run = [
        Outcome {
            wanted: 3,
            ..outcome(vec![mended.clone(), judged(70.0, true)])
        },
        outcome(vec![Judged {
            repairs: vec!["moved".into()],
            ..mended
        }]),
    ];

    let summary = Summary::of(&run);

    assert_eq!((summary.repaired, summary.fewer_variants, summary.attempts), (2, 1, 2));
    let named: Vec<(&str, usize)> = summary.repairs.iter().map(|c| (c.name.as_str(), c.count)).collect();
    assert_eq!(named, [("moved", 2), ("cut", 1)]);
}

#[rstest]
#[case::one(&[3.0], (3.0, 3.0, 3.0))]
#[case::even(&[4.0, 1.0, 3.0, 2.0], (2.0, 4.0, 4.0))]
#[case::twenty(&[1.,2.,3.,4.,5.,6.,7.,8.,9.,10.,11.,12.,13.,14.,15.,16.,17.,18.,19.,99.], (10.0, 19.0, 99.0))]
fn times_are_told_by_nearest_rank(#[case] seconds: &[f64], #[case] expected: (f64, f64, f64)) {
    let run: Vec<Outcome> = seconds
        .iter()
        .map(|seconds| Outcome {
            seconds: *seconds,
            ..outcome(vec![judged(80.0, true)])
        })
        .collect();

    let spread = Summary::of(&run).seconds.unwrap();

    assert_eq!((spread.median, spread.p95, spread.longest), expected);
    assert_eq!(Summary::of(&[]).seconds, None);
}

#[rstest]
#[case::valid(
    r#"{"variants":[{"hook":"Bread on the counter.","hashtags":["Bread"]}]}"#,
    Some(true)
)]
// Whoever asks for no more than five tags gets seven here: that is what repairs are for.
#[case::too_many_tags(
    r#"{"variants":[{"hook":"Bread.","hashtags":["a1","b2","c3","d4","e5","f6","g7"]}]}"#,
    Some(false)
)]
#[case::not_json("here you are: bread", None)]
#[case::empty("", None)]
fn the_baseline_is_the_first_output_as_it_came(#[case] answer: &str, #[case] valid: Option<bool>) {
    let prompt = prompt::render(&brief(), &[], Format::Variants, None);

    let baseline = Baseline::of(answer, &prompt, Grade::Basic);

    match (baseline, valid) {
        (Baseline::Judged(judged), Some(valid)) => {
            assert_eq!(judged.valid, valid, "{judged:?}");
            assert_eq!(judged.repairs, Vec::<String>::new());
            assert!(judged.text.starts_with("Bread"));
        }
        (Baseline::Failed { error }, None) => assert_eq!(error, "unusable"),
        (baseline, _) => panic!("{baseline:?}"),
    }
}

#[test]
fn the_untraced_is_counted_in_the_baseline() {
    let prompt = prompt::render(&brief(), &[], Format::Variants, None);

    let answer = r#"{"variants":[{"hook":"Bread on the counter for 3.50 euros."}]}"#;
    let Baseline::Judged(judged) = Baseline::of(answer, &prompt, Grade::Basic) else {
        panic!("no caption");
    };

    assert!(judged.untraced >= 1, "{judged:?}");
}
