//! What a machine can learn in a given time: the size, the steps and the settings with the lowest
//! predicted loss, and a forecast of time, memory and loss that the run is compared with.
//!
//! Arithmetic only: [`throughput`] fits what the caller timed, [`scaling_law`] what small runs
//! reached, and [`choose`] goes through a ladder of shapes. Nothing here reads a clock.

pub mod scaling_law;
pub mod throughput;

use crate::memory::Memory;
use crate::recipe;
use crate::shape::{Family, ModelShape};
use scaling_law::{ScalingLaw, effective_tokens};
use throughput::{Throughput, Work, weights_in_products};

/// What a run may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Seconds of training steps.
    pub seconds: f64,
    /// Tokens of training data.
    pub tokens: f64,
    pub n_vocab: usize,
    /// Memory that the run may take.
    pub memory_bytes: u64,
}

/// A run of a certain size, and what it is predicted to reach.
#[derive(Debug, Clone, PartialEq)]
pub struct SizedRun {
    pub shape: ModelShape,
    /// Rows of a step.
    pub batch: usize,
    pub steps: u64,
    pub seconds: f64,
    pub bits_per_byte: f64,
    pub memory: Memory,
}

impl SizedRun {
    /// Tokens that all steps learn from.
    pub fn tokens(&self) -> f64 {
        self.steps as f64 * (self.batch * self.shape.n_ctx) as f64
    }

    /// Operations of all steps.
    pub fn flops(&self) -> f64 {
        self.steps as f64 * Work::of(&self.shape, self.batch, recipe::OPTIMIZER).flops
    }
}

/// Widths of the ladder, with layers.
const LADDER: [(usize, usize); 16] = [
    (32, 2),
    (64, 2),
    (96, 3),
    (128, 4),
    (160, 4),
    (192, 4),
    (192, 6),
    (256, 5),
    (256, 6),
    (320, 6),
    (384, 8),
    (512, 8),
    (512, 12),
    (640, 12),
    (768, 12),
    (1024, 16),
];

/// The shape of one width and depth, in the proportions of [`recipe`].
pub fn shape_of(n_embd: usize, n_layer: usize, n_vocab: usize) -> ModelShape {
    let head_dim = if n_embd < 512 { 32 } else { 64 };
    let n_head = n_embd / head_dim;
    let halves = [2, 3].into_iter().find(|parts| n_head.is_multiple_of(*parts));
    ModelShape {
        family: Family::Qwen3,
        n_layer,
        n_embd,
        n_head,
        n_kv_head: n_head / halves.unwrap_or(n_head),
        head_dim,
        n_ff: (n_embd * 8 / 3).next_multiple_of(32),
        n_vocab,
        n_ctx: if n_embd < 512 { 256 } else { 512 },
        ..recipe::shape()
    }
}

/// Every shape that is considered.
pub fn ladder(n_vocab: usize) -> Vec<ModelShape> {
    LADDER.map(|(n_embd, n_layer)| shape_of(n_embd, n_layer, n_vocab)).to_vec()
}

/// What a run of this shape reaches within the budget, by the scaling law.
pub fn predict(
    budget: &Budget,
    shape: &ModelShape,
    throughput: &Throughput,
    law: &ScalingLaw,
) -> SizedRun {
    let seconds_of = |batch| throughput.seconds(Work::of(shape, batch, recipe::OPTIMIZER));
    let steps_of = |batch| (budget.seconds / seconds_of(batch)).floor().max(1.0);
    let mut batch = 16;
    // The batch follows from the tokens, and these hardly from the batch: it settles at once.
    for _ in 0..3 {
        batch = recipe::batch(steps_of(batch) * (batch * shape.n_ctx) as f64, shape.n_ctx);
    }
    let (steps, seconds) = (steps_of(batch), seconds_of(batch));
    let tokens = effective_tokens(steps * (batch * shape.n_ctx) as f64, budget.tokens);
    SizedRun {
        shape: shape.clone(),
        batch,
        steps: steps as u64,
        seconds: steps * seconds,
        bits_per_byte: law.bits_per_byte(weights_in_products(shape) as f64, tokens),
        memory: Memory::forecast(shape, recipe::micro_batch(batch, shape.n_ctx), false),
    }
}

/// The shape of the ladder with the lowest predicted loss, of those that fit into the memory.
/// None if none fits.
pub fn choose(budget: &Budget, throughput: &Throughput, law: &ScalingLaw) -> Option<SizedRun> {
    let all =
        ladder(budget.n_vocab).into_iter().map(|shape| predict(budget, &shape, throughput, law));
    all.filter(|choice| choice.memory.bytes() <= budget.memory_bytes)
        .min_by(|a, b| a.bits_per_byte.total_cmp(&b.bits_per_byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THROUGHPUT: Throughput = Throughput { seconds_per_flop: 8e-12, seconds_per_value: 2e-10 };

    fn budget(seconds: f64) -> Budget {
        Budget { seconds, tokens: 3.3e6, n_vocab: 4096, memory_bytes: 4 << 30 }
    }

    #[test]
    fn every_shape_of_the_ladder_can_be_made() {
        let shapes = ladder(4096);
        for shape in &shapes {
            shape.check().unwrap();
            assert_eq!(shape.n_head * shape.head_dim, shape.n_embd, "{shape:?}");
        }
        let sizes: Vec<usize> = shapes.iter().map(ModelShape::n_parameters).collect();
        assert!(sizes.is_sorted(), "{sizes:?}");
    }

    #[test]
    fn more_time_gives_larger_models_and_lower_losses() {
        let choices = [30.0, 600.0, 36_000.0]
            .map(|s| choose(&budget(s), &THROUGHPUT, &scaling_law::PRIOR).unwrap());
        for pair in choices.windows(2) {
            assert!(pair[0].shape.n_parameters() < pair[1].shape.n_parameters());
            assert!(pair[0].bits_per_byte > pair[1].bits_per_byte);
            assert!(pair[0].tokens() < pair[1].tokens());
        }
        for (choice, seconds) in choices.iter().zip([30.0, 600.0, 36_000.0]) {
            assert!((choice.seconds / seconds - 1.0).abs() < 0.05, "{choice:?}");
        }
    }

    #[test]
    fn what_does_not_fit_the_memory_is_not_chosen() {
        let small = Budget { memory_bytes: 100 << 20, ..budget(36_000.0) };
        let choice = choose(&small, &THROUGHPUT, &scaling_law::PRIOR).unwrap();
        assert!(choice.memory.bytes() <= 100 << 20);
        let none = Budget { memory_bytes: 1 << 20, ..small };
        assert_eq!(choose(&none, &THROUGHPUT, &scaling_law::PRIOR), None);
    }
}
