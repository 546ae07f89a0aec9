//! Rotary position embedding, reduced to data: which values pair up and how fast each turns.
//!
//! Every scaling (linear, llama 3's factors, YaRN) changes only the frequencies and one factor,
//! so that executors know none of them.

use wright_kernels::{Pairing, Yarn, frequencies};

/// How a model was stretched beyond the context that it was trained with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    None,
    /// Positions are divided by the factor.
    Linear {
        factor: f32,
    },
    /// YaRN (Peng et al. 2023, section 3): slow dimensions are interpolated, fast ones kept.
    Yarn {
        factor: f32,
        n_ctx_orig: u32,
        attn_factor: f32,
        beta_fast: f32,
        beta_slow: f32,
    },
}

/// A rotation as metadata describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    pub pairing: Pairing,
    /// Values of a head that turn; the rest pass through.
    pub n_rot: usize,
    pub base: f32,
    pub scaling: Scaling,
    /// Whether the file's `rope_freqs` apply.
    pub uses_factors: bool,
}

/// A rotation ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    pub pairing: Pairing,
    /// Radians a position, for each of n_rot / 2 pairs.
    pub inv_freq: Vec<f64>,
    /// Rotated values are multiplied with it (YaRN's attention factor; else 1).
    pub magnitude: f32,
}

impl Rope {
    /// `factors` divides each frequency (llama 3's `rope_freqs`); n_rot / 2 of them.
    pub fn new(config: &RopeConfig, factors: Option<&[f32]>) -> Rope {
        let base = f64::from(config.base);
        let factors = factors.filter(|_| config.uses_factors);
        let mut inv_freq = frequencies(base, config.n_rot, factors);
        let mut magnitude = 1.0;
        match config.scaling {
            Scaling::None => {}
            Scaling::Linear { factor } => {
                inv_freq.iter_mut().for_each(|f| *f /= f64::from(factor));
            }
            Scaling::Yarn { factor, n_ctx_orig, attn_factor, beta_fast, beta_slow } => {
                let yarn = Yarn {
                    factor: f64::from(factor),
                    n_ctx_orig: f64::from(n_ctx_orig),
                    beta_fast: f64::from(beta_fast),
                    beta_slow: f64::from(beta_slow),
                };
                yarn.stretch(base, &mut inv_freq);
                magnitude = attn_factor * yarn.magnitude();
            }
        }
        Rope { pairing: config.pairing, inv_freq, magnitude }
    }

    /// Values of a head that turn.
    pub fn n_rot(&self) -> usize {
        self.inv_freq.len() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(scaling: Scaling) -> RopeConfig {
        RopeConfig { pairing: Pairing::Norm, n_rot: 8, base: 1e4, scaling, uses_factors: true }
    }

    #[test]
    fn frequencies_fall_from_one_by_powers_of_the_base() {
        let rope = Rope::new(&plain(Scaling::None), None);
        let want = [1.0, 0.1, 0.01, 0.001];
        assert!(rope.inv_freq.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(rope.n_rot(), 8);
    }

    #[test]
    fn factors_and_linear_scaling_divide() {
        let factors = [1.0, 2.0, 4.0, 8.0];
        let rope = Rope::new(&plain(Scaling::Linear { factor: 2.0 }), Some(&factors));
        let want = [0.5, 0.025, 0.00125, 0.0000625];
        assert!(rope.inv_freq.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn yarn_keeps_the_fastest_and_interpolates_the_slowest() {
        let scaling = Scaling::Yarn {
            factor: 4.0,
            n_ctx_orig: 1024,
            attn_factor: 1.0,
            beta_fast: 32.0,
            beta_slow: 1.0,
        };
        let rope = Rope::new(&plain(scaling), None);
        assert_eq!(rope.inv_freq[0], 1.0);
        assert!((rope.inv_freq[3] - 0.001 / 4.0).abs() < 1e-12);
        assert!((rope.magnitude - (1.0 + 0.1 * 4f32.ln())).abs() < 1e-6);
    }
}
