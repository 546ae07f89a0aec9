//! The best token of a row of logits, and its log-softmax.
//!
//! What is drawn and what is reported must be the same on every machine, so nothing here comes from
//! a libm: `exp`, `ln` and the sum over the vocabulary are those of the kernels, in f64.

use wright_kernels::math::ln;
use wright_kernels::sum_exp_f64;

/// Lanes of the search over a vocabulary: fixed, whatever the width of the machine's vectors.
const LANES: usize = 16;

/// The largest logit and its id; the lowest id among equals. `None` for an empty row, for a row
/// with NaN or +∞ in it, or one that is −∞ throughout.
pub(crate) fn argmax(logits: &[f32]) -> Option<(u32, f32)> {
    let max = lane_max(logits)?;
    let id = logits.iter().position(|&l| l == max)?;
    Some((u32::try_from(id).ok()?, max))
}

/// The largest logit, under the conditions of [`argmax`].
fn lane_max(logits: &[f32]) -> Option<f32> {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut poison = [0.0f32; LANES]; // turns NaN when a NaN or +∞ passes
    let (chunks, tail) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let l = chunk[lane];
            lanes[lane] = if l > lanes[lane] { l } else { lanes[lane] };
            poison[lane] += if l < f32::INFINITY { 0.0 } else { f32::NAN };
        }
    }
    for (lane, &l) in tail.iter().enumerate() {
        lanes[lane] = if l > lanes[lane] { l } else { lanes[lane] };
        poison[lane] += if l < f32::INFINITY { 0.0 } else { f32::NAN };
    }
    let max = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    (max > f32::NEG_INFINITY && !poison.iter().any(|p| p.is_nan())).then_some(max)
}

/// What is needed to turn logits of one row into log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSoftmax {
    /// The most likely token: the lowest id among equals.
    pub best: u32,
    /// ln Σ exp(logit).
    pub log_sum: f64,
}

impl LogSoftmax {
    /// Reads a row of logits. `None` if it holds NaN or +∞, or nothing but −∞.
    pub fn of(logits: &[f32]) -> Option<Self> {
        let (best, max) = argmax(logits)?;
        Some(LogSoftmax { best, log_sum: f64::from(max) + ln(sum_exp_f64(logits, max)) })
    }

    /// Natural log of the probability of a token with this logit.
    pub fn logprob(&self, logit: f32) -> f64 {
        f64::from(logit) - self.log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::philox::uniform;

    #[test]
    fn argmax_takes_the_lowest_of_equals_and_refuses_what_is_no_distribution() {
        let mut row = vec![-1.0f32; 100];
        row[37] = 2.0;
        row[90] = 2.0;
        assert_eq!(argmax(&row), Some((37, 2.0)));
        row[0] = f32::NEG_INFINITY;
        assert_eq!(argmax(&row), Some((37, 2.0)));
        for bad in [f32::NAN, f32::INFINITY] {
            for place in [3, 16, 99] {
                let mut row = row.clone();
                row[place] = bad;
                assert_eq!(argmax(&row), None);
            }
        }
        assert_eq!(argmax(&[]), None);
        assert_eq!(argmax(&[f32::NEG_INFINITY; 5]), None);
    }

    #[test]
    fn probabilities_of_a_row_add_up_to_one() {
        for n in [1usize, 15, 16, 17, 1000] {
            let row: Vec<f32> =
                (0..n as u64).map(|i| (uniform(3, i) * 40.0 - 20.0) as f32).collect();
            let soft = LogSoftmax::of(&row).unwrap();
            let total: f64 = row.iter().map(|&l| soft.logprob(l).exp()).sum();
            assert!((total - 1.0).abs() < 1e-12, "{n}: {total}");
        }
    }
}
