//! Choosing among tokens, the same way for the same seed on every machine.

/// A small generator of pseudo-random numbers (xorshift64*). Ours, so that no update of a dependency changes captions.
pub(crate) struct Random(u64);

impl Random {
    /// The generator of candidate `stream` under `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        // SplitMix64 spreads neighbouring seeds apart.
        let mut z = seed.wrapping_add(stream.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((z ^ (z >> 31)).max(1))
    }

    /// A number from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn unit(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        // 24 bits fit an f32 exactly.
        u32::try_from(bits).map_or(0.0, unit_of)
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 24 bits, which an f32 holds exactly")]
fn unit_of(bits: u32) -> f32 {
    bits as f32 / 16_777_216.0
}

/// The indices of the `count` largest logits, largest first; of equal ones the lower index first.
pub(crate) fn top(logits: &[f32], count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0u32..).take(logits.len()).collect();
    let logit = |id: &u32| logits[*id as usize];
    let by_logit = |a: &u32, b: &u32| logit(b).total_cmp(&logit(a)).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, by_logit);
        order.truncate(count);
    }
    order.sort_unstable_by(by_logit);
    order
}

/// Draws one of `choices` by the softmax of their logits at `temperature`; at 0 the most likely one. `choices` are
/// sorted, largest logit first.
pub(crate) fn draw<T>(choices: &[(f32, T)], temperature: f32, random: &mut Random) -> Option<usize> {
    let (best, _) = choices.first()?;
    if temperature < 0.01 {
        return Some(0);
    }
    let weights: Vec<f32> = choices
        .iter()
        .map(|(logit, _)| ((logit - best) / temperature).exp())
        .collect();
    let mut left = random.unit() * weights.iter().sum::<f32>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return Some(index);
        }
    }
    Some(choices.len() - 1)
}

/// The natural logarithm of the sum of `exp(logit)` over all tokens: what turns logits into log-probabilities.
pub(crate) fn log_total(logits: &[f32]) -> f32 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    best + logits.iter().map(|logit| (logit - best).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_each_stream_its_own() {
        let numbers = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.unit(), random.unit(), random.unit()].map(f32::to_bits)
        };

        assert_eq!(numbers(1, 0), numbers(1, 0));
        assert_ne!(numbers(1, 0), numbers(1, 1));
        assert_ne!(numbers(1, 0), numbers(2, 0));
    }

    #[test]
    fn draws_follow_the_weights() {
        let mut random = Random::new(7, 0);
        let choices = [(3.0_f32.ln(), ()), (0.0, ())];

        let firsts = (0..4000)
            .filter(|_| draw(&choices, 1.0, &mut random) == Some(0))
            .count();

        assert!((2850..3150).contains(&firsts), "{firsts} of 4000, expected about 3000");
    }

    #[test]
    fn at_temperature_zero_the_most_likely_one_is_drawn() {
        let mut random = Random::new(7, 0);

        assert!((0..100).all(|_| draw(&[(0.1, ()), (0.0, ())], 0.0, &mut random) == Some(0)));
        assert_eq!(draw::<()>(&[], 0.0, &mut random), None);
    }

    #[test]
    fn the_top_comes_sorted() {
        assert_eq!(top(&[0.5, 3.0, -1.0, 2.0, 3.0], 3), [1, 4, 3]);
        assert_eq!(top(&[1.0, 2.0], 9), [1, 0]);
    }

    #[test]
    fn probabilities_sum_to_one() {
        let logits = [1.0, 2.0, 3.0, -50.0];
        let total = log_total(&logits);

        let sum: f32 = logits.iter().map(|logit| (logit - total).exp()).sum();

        assert!((sum - 1.0).abs() < 1e-5);
    }
}
