use rstest::rstest;

use super::*;

#[test]
fn a_figure_shows_its_median_what_it_is_compared_with_and_whether_the_target_is_met() {
    let (service, floor) = ([80.0, 45.0, 90.0], [100.0, 100.0, 100.0]);
    let figure = Figure::alone("cold", "throughput", "/s", &service)
        .beside("floor", Comparison::Ratio, &service, &floor)
        .target(Bound::AtLeast(0.80));
    let alone = Figure::alone("start", "ready after", "ms", &[250.0]).target(Bound::AtMost(200.0));
    let difference =
        Figure::alone("cold", "p50", "ms", &[0.25]).beside("floor", Comparison::Difference, &[0.25], &[0.2]);

    let table = table(&[figure, alone, difference]);

    let lines: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "| cold | throughput | 80.0 /s | floor 100 | 0.800 x (0.450 to 0.900) | >= 0.800 | yes |",
            "| start | ready after | 250 ms |  |  | <= 200 | NO |",
            "| cold | p50 | 0.250 ms | floor 0.200 | +0.050 ms |  |  |",
        ]
    );
}

#[rstest]
#[case(Bound::AtLeast(0.8), 0.8, true)]
#[case(Bound::AtLeast(0.8), 0.79, false)]
#[case(Bound::AtMost(1.3), 1.3, true)]
#[case(Bound::AtMost(1.3), 1.31, false)]
// What was not measured meets nothing.
#[case(Bound::AtMost(1.3), f64::NAN, false)]
fn a_target_holds_up_to_its_bound(#[case] bound: Bound, #[case] value: f64, #[case] met: bool) {
    let figure = Figure::alone("x", "y", "", &[value]).target(bound);

    assert_eq!(figure.met(), Some(met));
}

#[rstest]
#[case(&[3.0, 1.0, 2.0], 2.0)]
#[case(&[2.0, 1.0], 1.5)]
#[case(&[5.0], 5.0)]
fn the_median_is_the_one_in_the_middle(#[case] values: &[f64], #[case] median: f64) {
    assert!((super::median(values) - median).abs() < f64::EPSILON);
}
