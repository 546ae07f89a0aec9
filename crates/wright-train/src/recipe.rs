//! Wright's default training settings: what worked best on small models.
//!
//! LOG.md has the runs that these numbers come from.

use crate::run_config::TrainConfig;
use crate::schedule::Decay;
use crate::shape::{ModelShape, preset};
use crate::trainer::OptimizerKind;

pub const OPTIMIZER: OptimizerKind = OptimizerKind::Muon;

/// The parts of a shape that do not depend on its size.
pub fn shape() -> ModelShape {
    preset("2m").expect("it is a preset")
}

/// Rows of a step where a run learns from so many tokens: the power of two nearest to a law by
/// which batches grow with the run.
pub fn batch(tokens: f64, n_ctx: usize) -> usize {
    let rows = BATCH_AT_1M * (tokens / 1e6).powf(0.383) / n_ctx as f64;
    1 << (rows.log2().round() as i64).clamp(1, 9)
}

/// Tokens of a step in a run of a million.
const BATCH_AT_1M: f64 = 2048.0;

/// Rows in memory at a time: enough for products to be fast.
pub fn micro_batch(batch: usize, n_ctx: usize) -> usize {
    batch.min((MICRO_TOKENS / n_ctx).max(1))
}

const MICRO_TOKENS: usize = 8192;

/// Checkpoints and held-out losses in a run.
pub const LOOKS: u64 = 10;

/// The settings of a run of `steps` steps of `batch` rows.
pub fn train(shape: &ModelShape, steps: u64, batch: usize, seed: u64) -> TrainConfig {
    let every = (steps / LOOKS).max(1);
    TrainConfig {
        steps,
        batch,
        micro_batch: micro_batch(batch, shape.n_ctx),
        seed,
        optimizer: OPTIMIZER,
        learning_rate: 0.01,
        warmup: (steps / 50).min(100),
        decay: Decay::Linear,
        decay_part: 0.65,
        end_rate: 0.0,
        weight_decay: 0.1,
        momentum_warmup: (steps / 5).min(300),
        checkpoint_every: every,
        validate_every: every,
        ..TrainConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_with_the_run() {
        assert_eq!([2e5, 1e6, 1e7, 1e9].map(|tokens| batch(tokens, 256)), [4, 8, 16, 128]);
        assert_eq!((batch(1.0, 256), batch(1e15, 256)), (2, 512));
        assert_eq!(
            (micro_batch(16, 256), micro_batch(512, 256), micro_batch(4, 65536)),
            (16, 32, 1)
        );
    }

    #[test]
    fn the_settings_of_any_run_round_trip() {
        for steps in [1, 7, 100, 100_000] {
            let t = train(&shape(), steps, 8, 1);
            assert!(t.warmup <= steps && t.checkpoint_every > 0 && t.validate_every > 0);
        }
    }
}
