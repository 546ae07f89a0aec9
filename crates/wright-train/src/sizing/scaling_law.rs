//! What loss a model reaches: a scaling law, fitted to the data at hand by small runs.
//!
//! Bits per byte of held-out text after training N weights on D tokens are taken to be
//! e + a N^-α + b D^-β (Hoffmann et al. 2022, "Chinchilla", section 3.3), with N the weights that
//! a token meets in products and D the tokens after repetition is discounted (Muennighoff et al.
//! 2023). The exponents stay as they were found on other data; e, a and b follow what small runs
//! reached, and stay near their priors as far as few small runs cannot tell.

/// Where exponents and the first guess of the rest come from: five runs of Wright's own recipe on
/// children's classics, 0.16 to 0.69 M weights on 0.03 to 2.2 M tokens, noted in LOG.md.
pub const PRIOR: ScalingLaw =
    ScalingLaw { floor: 0.65, of_weights: 0.2836, of_tokens: 0.8669, alpha: 0.30, beta: 0.15 };

/// Repetitions that add about nothing beyond, as a number of epochs (Muennighoff et al. 2023).
const EPOCHS_THAT_HELP: f64 = 15.4;
/// How far a run's result lies from a good law, and how far a prior may lie from the truth.
const SIGMA_OF_RUN: f64 = 0.01;
const SIGMA_OF_PRIOR: f64 = 0.1;

/// Bits per byte: floor + of_weights (N / 1e6)^-alpha + of_tokens (D / 1e6)^-beta.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingLaw {
    pub floor: f64,
    pub of_weights: f64,
    pub of_tokens: f64,
    pub alpha: f64,
    pub beta: f64,
}

/// What a run reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Weights that a token meets in products.
    pub weights: f64,
    /// Tokens, discounted by [`effective_tokens`].
    pub tokens: f64,
    pub bits_per_byte: f64,
}

/// How many tokens seen once teach as much as `tokens` of which only `unique` differ.
pub fn effective_tokens(tokens: f64, unique: f64) -> f64 {
    let repeats = (tokens / unique.max(1.0) - 1.0).max(0.0);
    tokens.min(unique) + unique * EPOCHS_THAT_HELP * (1.0 - exp(-repeats / EPOCHS_THAT_HELP))
}

/// e^x of the platform: forecasts need not be the same everywhere.
fn exp(x: f64) -> f64 {
    x.exp()
}

impl ScalingLaw {
    fn terms(&self, weights: f64, tokens: f64) -> [f64; 3] {
        [1.0, (weights / 1e6).powf(-self.alpha), (tokens / 1e6).powf(-self.beta)]
    }

    /// Bits per byte after training so many weights on so many tokens, as [`effective_tokens`]
    /// counts them.
    pub fn bits_per_byte(&self, weights: f64, tokens: f64) -> f64 {
        let [one, n, d] = self.terms(weights, tokens);
        self.floor * one + self.of_weights * n + self.of_tokens * d
    }

    /// The law nearest to `self` that agrees with what runs reached: ridge regression of relative
    /// errors around the prior, which is first scaled as a whole.
    #[must_use]
    pub fn fitted(&self, runs: &[Observation]) -> ScalingLaw {
        if runs.is_empty() {
            return *self;
        }
        let ratio = |r: &Observation| r.bits_per_byte / self.bits_per_byte(r.weights, r.tokens);
        let mean = runs.iter().map(|r| ratio(r).ln()).sum::<f64>() / runs.len() as f64;
        let scale = exp(mean);
        let prior = [self.floor, self.of_weights, self.of_tokens].map(|x| x * scale);
        let mut left = [[0.0; 3]; 3];
        let mut right = [0.0; 3];
        for i in 0..3 {
            let precision = (prior[i] * SIGMA_OF_PRIOR).powi(-2);
            left[i][i] = precision;
            right[i] = precision * prior[i];
        }
        for run in runs {
            let terms = self.terms(run.weights, run.tokens);
            let precision = (run.bits_per_byte * SIGMA_OF_RUN).powi(-2);
            for i in 0..3 {
                right[i] += precision * terms[i] * run.bits_per_byte;
                (0..3).for_each(|j| left[i][j] += precision * terms[i] * terms[j]);
            }
        }
        let [floor, of_weights, of_tokens] = solve(left, right).map(|x| x.max(0.0));
        ScalingLaw { floor, of_weights, of_tokens, ..*self }
    }
}

/// Gauss's elimination; the matrix is positive definite, so that no row needs to move.
fn solve(mut left: [[f64; 3]; 3], mut right: [f64; 3]) -> [f64; 3] {
    for i in 0..3 {
        for j in i + 1..3 {
            let by = left[j][i] / left[i][i];
            (i..3).for_each(|k| left[j][k] -= by * left[i][k]);
            right[j] -= by * right[i];
        }
    }
    let mut x = [0.0; 3];
    for i in (0..3).rev() {
        let rest: f64 = (i + 1..3).map(|k| left[i][k] * x[k]).sum();
        x[i] = (right[i] - rest) / left[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, within: f64) {
        assert!((a / b - 1.0).abs() < within, "{a} for {b}");
    }

    #[test]
    fn tokens_seen_again_are_worth_less_and_less() {
        assert_eq!(effective_tokens(5.0, 10.0), 5.0);
        near(effective_tokens(20.0, 10.0), 10.0 + 154.0 * (1.0 - (-1.0f64 / 15.4).exp()), 1e-9);
        assert!(effective_tokens(1e6, 10.0) <= 164.0);
        assert!(effective_tokens(40.0, 10.0) > effective_tokens(30.0, 10.0));
    }

    #[test]
    fn a_fit_without_noise_follows_the_runs_beyond_them() {
        // Data on which everything is harder, and tokens help more, than the prior has it.
        let truth = ScalingLaw { floor: 0.9, of_weights: 0.33, of_tokens: 0.8, ..PRIOR };
        let run = |weights: f64, tokens: f64| Observation {
            weights,
            tokens,
            bits_per_byte: truth.bits_per_byte(weights, tokens),
        };
        let runs = [run(1e5, 2e5), run(1e5, 8e5), run(4e5, 3e5)];
        let law = PRIOR.fitted(&runs);
        for r in &runs {
            near(law.bits_per_byte(r.weights, r.tokens), r.bits_per_byte, 0.01);
        }
        near(law.bits_per_byte(2e6, 6e6), truth.bits_per_byte(2e6, 6e6), 0.05);
        assert_eq!(PRIOR.fitted(&[]), PRIOR);
    }

    #[test]
    fn harder_data_scale_the_whole_law() {
        let runs = [Observation {
            weights: 3e5,
            tokens: 5e5,
            bits_per_byte: 1.5 * PRIOR.bits_per_byte(3e5, 5e5),
        }];
        let law = PRIOR.fitted(&runs);
        near(law.bits_per_byte(3e6, 9e6), 1.5 * PRIOR.bits_per_byte(3e6, 9e6), 0.01);
        let none = solve([[2.0, 0.0, 0.0], [0.0, 4.0, 1.0], [0.0, 1.0, 3.0]], [2.0, 5.0, 4.0]);
        assert_eq!(none, [1.0, 1.0, 1.0]);
    }
}
