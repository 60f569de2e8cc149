//! The arithmetic of scores. Only +, -, x and / and rounding, which every machine does alike; no function of a maths
//! library, whose last digit may differ.

/// Piecewise linear between the given points, flat beyond them.
pub(super) fn interpolate(x: f64, points: &[(f64, f64)]) -> f64 {
    let Some(first) = points.first() else { return 0.0 };
    if x <= first.0 {
        return first.1;
    }
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if x <= x1 {
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
        }
    }
    points.last().map_or(0.0, |last| last.1)
}

/// exp(-n), written out: it is needed for whole numbers only. Beyond the list it is 0 to the digits that a part shows.
pub(super) fn decay(n: usize) -> f64 {
    const POWERS: [f64; 13] = [
        1.0,
        0.367_879_441_171_442_33,
        0.135_335_283_236_612_7,
        0.049_787_068_367_863_944,
        0.018_315_638_888_734_18,
        0.006_737_946_999_085_467,
        0.002_478_752_176_666_358_5,
        0.000_911_881_965_554_516_2,
        0.000_335_462_627_902_511_85,
        0.000_123_409_804_086_679_56,
        0.000_045_399_929_762_484_854,
        0.000_016_701_700_790_245_66,
        0.000_006_144_212_353_328_21,
    ];
    POWERS.get(n).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts within a text are far below 2^52")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// To so many steps of one.
pub(super) fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decay_is_the_exponential() {
        for n in 0..20 {
            assert!((decay(n) - (-number(n)).exp()).abs() < 1e-5, "{n}");
        }
    }

    #[test]
    fn between_the_points_it_is_straight_and_beyond_them_flat() {
        let points = [(0.0, 0.3), (10.0, 0.8), (20.0, 0.2)];
        for (x, y) in [(-1.0, 0.3), (5.0, 0.55), (10.0, 0.8), (15.0, 0.5), (99.0, 0.2)] {
            assert!((interpolate(x, &points) - y).abs() < 1e-12, "{x}");
        }
    }
}
