//! Rotary position embedding, reduced to data: which values pair up and how fast each turns.
//!
//! Every scaling (linear, llama 3's factors, YaRN) changes only the frequencies and one factor,
//! so that executors know none of them.

use std::borrow::Cow;
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
        /// Whether the ramp begins and ends at whole dimensions.
        truncate: bool,
    },
    /// LongRoPE (Ding et al. 2024): the file has factors for contexts up to `n_ctx_orig` and others
    /// for longer ones.
    Long,
    /// The base grows with a context beyond `n_ctx_orig` ("dynamic NTK").
    Dynamic {
        factor: f32,
        n_ctx_orig: u32,
    },
}

/// Tensors of the file that divide frequencies, n_rot / 2 numbers each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Factors {
    /// For every context (llama 3).
    pub all: Option<Vec<f32>>,
    /// For contexts up to the one of training, and for longer ones (LongRoPE).
    pub short: Option<Vec<f32>>,
    pub long: Option<Vec<f32>>,
}

/// A rotation as metadata describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    pub pairing: Pairing,
    /// Values of a head that turn; the rest pass through.
    pub n_rot: usize,
    pub base: f32,
    pub scaling: Scaling,
    /// Whether the file's factors apply.
    pub uses_factors: bool,
    /// The context before any stretching.
    pub n_ctx_orig: u32,
    /// For LongRoPE, which some files have without saying so.
    pub attn_factor: f32,
}

/// A rotation ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    pub pairing: Pairing,
    /// Radians a position, for each of n_rot / 2 pairs.
    pub inv_freq: Vec<f64>,
    /// Rotated values are multiplied with it (YaRN's attention factor; else 1).
    pub magnitude: f32,
    stretched: Stretched,
}

/// How frequencies depend on the context of a session.
#[derive(Debug, Clone, PartialEq)]
enum Stretched {
    No,
    /// Other ones beyond this context.
    Beyond(u32, Vec<f64>),
    Dynamic {
        base: f64,
        factor: f64,
        n_ctx_orig: u32,
    },
}

impl Rope {
    pub fn new(config: &RopeConfig, factors: &Factors) -> Rope {
        let base = f64::from(config.base);
        let plain = |factors: &Option<Vec<f32>>| {
            let factors = factors.as_deref().filter(|_| config.uses_factors);
            frequencies(base, config.n_rot, factors)
        };
        let mut inv_freq = plain(&factors.all);
        let (mut magnitude, mut stretched) = (1.0, Stretched::No);
        let is_long = factors.short.is_some() && factors.long.is_some() && config.uses_factors;
        match config.scaling {
            Scaling::None | Scaling::Long if is_long => {
                inv_freq = plain(&factors.short);
                stretched = Stretched::Beyond(config.n_ctx_orig, plain(&factors.long));
                magnitude = config.attn_factor;
            }
            Scaling::None | Scaling::Long => {}
            Scaling::Linear { factor } => {
                inv_freq.iter_mut().for_each(|f| *f /= f64::from(factor));
            }
            Scaling::Yarn { factor, n_ctx_orig, attn_factor, beta_fast, beta_slow, truncate } => {
                let yarn = Yarn {
                    factor: f64::from(factor),
                    n_ctx_orig: f64::from(n_ctx_orig),
                    beta_fast: f64::from(beta_fast),
                    beta_slow: f64::from(beta_slow),
                    truncate,
                };
                yarn.stretch(base, &mut inv_freq);
                magnitude = attn_factor * yarn.magnitude();
            }
            Scaling::Dynamic { factor, n_ctx_orig } => {
                stretched = Stretched::Dynamic { base, factor: f64::from(factor), n_ctx_orig };
            }
        }
        Rope { pairing: config.pairing, inv_freq, magnitude, stretched }
    }

    /// Radians a position in a session with room for `n_ctx` positions. A session keeps one set
    /// for its whole life, so that a token's keys never depend on those that follow.
    pub fn turns(&self, n_ctx: usize) -> Cow<'_, [f64]> {
        match &self.stretched {
            Stretched::Beyond(short, long) if n_ctx > *short as usize => Cow::Borrowed(long),
            Stretched::Dynamic { base, factor, n_ctx_orig } if n_ctx > *n_ctx_orig as usize => {
                let longer = factor * n_ctx as f64 / f64::from(*n_ctx_orig) - (factor - 1.0);
                let n_rot = self.n_rot() as f64;
                let base = base * wright_kernels::math::pow(longer, n_rot / (n_rot - 2.0).max(1.0));
                Cow::Owned(frequencies(base, self.n_rot(), None))
            }
            _ => Cow::Borrowed(&self.inv_freq),
        }
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
        RopeConfig {
            pairing: Pairing::Interleaved,
            n_rot: 8,
            base: 1e4,
            scaling,
            uses_factors: true,
            n_ctx_orig: 64,
            attn_factor: 1.25,
        }
    }

    #[test]
    fn frequencies_fall_from_one_by_powers_of_the_base() {
        let rope = Rope::new(&plain(Scaling::None), &Factors::default());
        let want = [1.0, 0.1, 0.01, 0.001];
        assert!(rope.inv_freq.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(rope.n_rot(), 8);
    }

    #[test]
    fn factors_and_linear_scaling_divide() {
        let factors = Factors { all: Some(vec![1.0, 2.0, 4.0, 8.0]), ..Factors::default() };
        let rope = Rope::new(&plain(Scaling::Linear { factor: 2.0 }), &factors);
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
            truncate: true,
        };
        let rope = Rope::new(&plain(scaling), &Factors::default());
        assert_eq!(rope.inv_freq[0], 1.0);
        assert!((rope.inv_freq[3] - 0.001 / 4.0).abs() < 1e-12);
        assert!((rope.magnitude - (1.0 + 0.1 * 4f32.ln())).abs() < 1e-6);
    }

    #[test]
    fn long_contexts_turn_by_factors_of_their_own() {
        let factors = Factors {
            short: Some(vec![1.0; 4]),
            long: Some(vec![1.0, 2.0, 4.0, 8.0]),
            ..Factors::default()
        };
        let rope = Rope::new(&plain(Scaling::None), &factors);
        assert!((rope.turns(64)[3] - 0.001).abs() < 1e-12);
        assert!((rope.turns(65)[3] - 0.000_125).abs() < 1e-12);
        assert_eq!(rope.magnitude, 1.25);
    }

    #[test]
    fn the_dynamic_base_grows_only_beyond_the_old_context() {
        let scaling = Scaling::Dynamic { factor: 2.0, n_ctx_orig: 64 };
        let rope = Rope::new(&plain(scaling), &Factors::default());
        assert_eq!(rope.turns(64), rope.inv_freq);
        let base = 1e4 * 3f64.powf(8.0 / 6.0);
        assert!((rope.turns(128)[1] - base.powf(-0.25)).abs() < 1e-12);
    }
}
