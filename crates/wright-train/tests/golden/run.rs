//! The models and batches that are trained both here and by PyTorch.

use std::sync::Arc;
use wright_train::{Family, ModelShape, OptimizerOptions, Parameters, Trainer};

pub const FAMILIES: [Family; 4] = Family::ALL;
pub const STEPS: usize = 50;
pub const ROWS: usize = 4;
pub const T: usize = 32;
#[allow(dead_code, reason = "the export takes no step")]
pub const RATE: f32 = 3e-3;

pub fn shape(family: Family) -> ModelShape {
    ModelShape {
        family,
        n_layer: 2,
        n_embd: 64,
        n_head: 4,
        n_kv_head: if family == Family::Gpt2 { 4 } else { 2 },
        head_dim: 16,
        n_ff: 128,
        n_vocab: 128,
        n_ctx: T,
        tied: true,
        rope_base: 10_000.0,
        norm_eps: 1e-6,
    }
}

/// Row `row` of step `step`: T + 1 ids of a sequence that can be learnt.
pub fn ids(step: usize, row: usize) -> Vec<u32> {
    let mut x = (step * ROWS + row) * 37 % 128;
    let mut all = Vec::new();
    for i in 0..T + 1 {
        all.push(x as u32);
        x = (x * 5 + 3 + (i * row) % 3) % 128;
    }
    all
}

pub fn trainer(family: Family) -> Trainer {
    let shape = shape(family);
    let model = Arc::new(shape.skeleton().unwrap());
    let mut specs = shape.tensors();
    // Larger than usual, so that every operation matters from the first step.
    specs.iter_mut().filter_map(|s| s.deviation.as_mut()).for_each(|d| *d = 0.08);
    let parameters = Parameters::initial(&model, &specs, 11);
    Trainer::new(model, parameters, OptimizerOptions::default(), T, 2).unwrap()
}
