//! A prediction of the memory that a run needs.

use crate::shape::{Family, ModelShape};

/// Peak memory of a run in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Weights, gradients and two moments.
    pub state_bytes: u64,
    /// What a micro-batch's forward pass leaves for its way back, and the buffers of both.
    pub activation_bytes: u64,
}

impl Memory {
    /// For micro-batches of `n_rows` rows.
    pub fn forecast(shape: &ModelShape, n_rows: usize, recompute: bool) -> Memory {
        let tokens = (n_rows * shape.n_ctx) as u64;
        let (kept, working) = floats_per_token(shape);
        let layers = shape.n_layer as u64;
        let c = shape.n_embd as u64;
        // With recomputation a layer leaves its input alone, and one layer at a time has all.
        let all = if recompute { layers * c + kept } else { layers * kept };
        let logits = 4 * HEAD_VALUES;
        Memory {
            state_bytes: 16 * shape.n_parameters() as u64,
            activation_bytes: 4 * tokens * (all + working) + logits,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.state_bytes + self.activation_bytes
    }
}

/// Logits that the head holds at a time, and what packing takes beside them.
const HEAD_VALUES: u64 = 5 << 20;

/// Values a token that each layer keeps, and that one layer works with on the way back.
pub(crate) fn floats_per_token(shape: &ModelShape) -> (u64, u64) {
    let ModelShape { n_embd, n_head, n_kv_head, head_dim, n_ff, .. } = *shape;
    let (q, kv) = (n_head * head_dim, n_kv_head * head_dim);
    if shape.family == Family::Gpt2 {
        // The residual twice, q, k and v, attention's result, the MLP before and after its curve.
        let kept = 2 * n_embd + 4 * q + n_head + 2 * n_ff;
        return (kept as u64, (2 * n_ff + 4 * n_embd) as u64);
    }
    // The residual twice, q, k and v, attention's result, its log-sum-exp, gate and up.
    let mut kept = 2 * n_embd + 2 * q + 2 * kv + n_head + 2 * n_ff;
    if shape.family != Family::Llama {
        kept += q + kv;
    }
    if shape.family == Family::Gemma3 {
        kept += 2 * n_embd;
    }
    (kept as u64, (4 * n_ff + 4 * n_embd) as u64)
}
