//! Where a score stands among captions that people wrote, as far as that can be told.
//!
//! There are no captions of people here to score: those that were measured (2017-2019) are not ours to keep, and nothing says
//! what their writers were asked for. What is known is that a rubric of this kind gave them a mean of 0.83 with a standard
//! deviation of 0.09. So this is the normal distribution with that mean and deviation, cut at 0 and 100 and summed up
//! by whole points: a yardstick, derived and not counted. It says above all that a score of 83 is middling.

/// How many of 100 such captions score below 0, 1, 2, ... 100 points.
const BELOW: [u8; 101] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 9, 11, 14, 16,
    19, 22, 26, 30, 34, 38, 42, 47, 52, 56, 61, 65, 69, 73, 77, 81, 84, 87, 89, 92, 94, 95, 97, 98, 99, 100,
];

/// The mean and the standard deviation that the table is made from, in points.
pub const YARDSTICK: (u8, u8) = (83, 9);

/// How many of 100 captions that people wrote score below this, in whole points.
pub(super) fn of(score: f64) -> u8 {
    let below = (0..=100_u8)
        .rev()
        .find(|points| f64::from(*points) <= score)
        .unwrap_or_default();
    BELOW[usize::from(below)]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_table_is_the_distribution_that_it_says() {
        // The area under the bell by the trapezoid rule, in steps of a thousandth of a point.
        let (mean, deviation) = (f64::from(YARDSTICK.0), f64::from(YARDSTICK.1));
        let density = |x: f64| (-(x - mean) * (x - mean) / (2.0 * deviation * deviation)).exp();
        let mut areas = vec![0.0];
        for point in 0..100 {
            let area: f64 = (0..1000)
                .map(|step| {
                    let x = f64::from(point) + f64::from(step) / 1000.0;
                    (density(x) + density(x + 0.001)) / 2000.0
                })
                .sum();
            areas.push(areas[areas.len() - 1] + area);
        }
        for (point, area) in areas.iter().enumerate() {
            let share = 100.0 * area / areas[100];
            assert!(
                (share - f64::from(BELOW[point])).abs() <= 0.5 + 1e-6,
                "{point}: {share}"
            );
        }
    }

    #[rstest]
    #[case(0.0, 0)]
    #[case(49.0, 0)]
    #[case(83.0, 52)]
    #[case(83.9, 52)]
    #[case(100.0, 100)]
    fn a_score_has_its_place(#[case] score: f64, #[case] percentile: u8) {
        assert_eq!(of(score), percentile);
    }
}
