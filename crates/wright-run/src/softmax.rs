//! Exponential, logarithm and log-softmax over a row of logits.
//!
//! What is drawn and what is reported must be the same on every machine, so nothing here comes from
//! a libm: `exp` and `ln` are polynomials in f64 with plain multiplies and adds, and the sum over
//! the vocabulary runs over a fixed tree of 16 lanes. Accuracy is a few units in the last place,
//! far below what f32 logits carry. Not for training, which needs gradients, and not for kernels,
//! which have their own f32 forms.

/// Lanes of the sum over a vocabulary: fixed, whatever the width of the machine's vectors.
const LANES: usize = 16;

/// e^x for x ≤ 709; 0 below −708, and NaN for NaN.
pub(crate) fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1; // 32 bits of ln 2, so n·LN2_HIGH is exact
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²: adding it rounds to an integer
    let clamped = if x < -708.0 { -708.0 } else { x };
    let shifted = clamped * std::f64::consts::LOG2_E + TO_INTEGER;
    let n = shifted - TO_INTEGER;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW; // |r| ≤ ln 2 / 2
    let mut sum = 1.0 / 6_227_020_800.0; // 1/13!
    for inverse_factorial in INVERSE_FACTORIALS {
        sum = sum * r + inverse_factorial;
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    let value = sum * power;
    if x < -708.0 { 0.0 } else { value }
}

/// 1/12!, 1/11! … 1/0!.
const INVERSE_FACTORIALS: [f64; 13] = [
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
    1.0,
    1.0,
];

/// Natural logarithm of a normal positive number; −∞ for 0 and below the normal numbers.
pub(crate) fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x < f64::MIN_POSITIVE {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) as i64 - 1023) as f64;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | (1023 << 52)); // [1, 2)
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1.0;
    }
    // ln m = 2·artanh(s), s = (m − 1)/(m + 1), |s| ≤ 0.172
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let mut sum = 0.0;
    for k in (1..=11).rev() {
        sum = (sum + 1.0 / f64::from(2 * k + 1)) * s2;
    }
    exponent * std::f64::consts::LN_2 + 2.0 * s * (1.0 + sum)
}

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

/// Σ exp(l − max) over a row.
pub(crate) fn sum_exp(logits: &[f32], max: f32) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (chunks, tail) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += exp(f64::from(chunk[lane]) - f64::from(max));
        }
    }
    for (lane, &l) in tail.iter().enumerate() {
        lanes[lane] += exp(f64::from(l) - f64::from(max));
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

/// What is needed to turn logits of one row into log-probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSoftmax {
    /// The likeliest token: the lowest id among equals.
    pub best: u32,
    /// ln Σ exp(logit).
    pub log_sum: f64,
}

impl LogSoftmax {
    /// Reads a row of logits. `None` if it holds NaN or +∞, or nothing but −∞.
    pub fn of(logits: &[f32]) -> Option<Self> {
        let (best, max) = argmax(logits)?;
        Some(LogSoftmax { best, log_sum: f64::from(max) + ln(sum_exp(logits, max)) })
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
    fn exp_and_ln_agree_with_the_platform_to_the_last_digits() {
        for i in 0..200_000 {
            let x = uniform(1, i) * 1400.0 - 700.0;
            let (got, want) = (exp(x), x.exp());
            assert!((got - want).abs() <= 1e-15 * want, "exp {x}: {got} {want}");
            let y = want * uniform(2, i);
            let (got, want) = (ln(y), y.ln());
            assert!((got - want).abs() <= 4e-16 * want.abs().max(1.0), "ln {y}: {got} {want}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e300), 0.0);
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
    }

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
