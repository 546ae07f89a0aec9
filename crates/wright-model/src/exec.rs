//! What an executor can do: primitive operations on opaque handles, and fusions made of them.
//!
//! There are no slices here, nothing happens in place and nothing is read back in the middle of a
//! pass, so that the same forward pass runs on a processor, under a training tape, on a GPU, or as
//! mere bookkeeping. A handle that an operation takes by value is used up: an executor may reuse
//! its memory. An executor is made for one pass and knows its rows, weights and cache.
//!
//! A fusion is a default method composed of primitives. An executor may override it if the result
//! stays what the primitives give: the same bytes for executors of inference.

use crate::config::Heads;
use crate::network::{Attention, Gate, Linear, Mlp, Norm, Projections, WeightId};
use wright_kernels::Activation;

pub mod cost;
pub mod cpu;
pub mod exact;

/// Queries, keys and values of the pass's rows.
#[derive(Debug)]
pub struct Qkv<T> {
    /// (T, n_head * key_dim)
    pub q: T,
    /// (T, n_kv_head * key_dim)
    pub k: T,
    /// (T, n_kv_head * value_dim)
    pub v: T,
}

/// Runs one forward pass over T rows, the tokens of its batch.
pub trait Exec {
    /// A matrix of activations.
    type Tensor;

    /// Rows of `table` for the pass's tokens, times `scale`. (T, n_embd)
    fn embed(&mut self, table: WeightId, scale: f32) -> Self::Tensor;

    /// Rows of `table` for the pass's positions. (T, n_embd)
    fn embed_positions(&mut self, table: WeightId) -> Self::Tensor;

    /// W x + b: (R, n_in) to (R, n_out).
    fn linear(&mut self, x: &Self::Tensor, linear: &Linear) -> Self::Tensor;

    /// Normalises each group of each row.
    fn norm(&mut self, x: &Self::Tensor, norm: &Norm) -> Self::Tensor;

    /// Turns each head of each row by its position; `rope` is an index into the network's.
    fn rope(&mut self, x: Self::Tensor, rope: usize, head_dim: usize) -> Self::Tensor;

    /// Writes keys and values, rounded to the cache's type, then attends to everything that each
    /// row may see, its own chunk included. (T, n_head * value_dim)
    fn attend(
        &mut self,
        layer: usize,
        qkv: Qkv<Self::Tensor>,
        heads: &Heads,
        sinks: Option<WeightId>,
    ) -> Self::Tensor;

    fn activate(&mut self, x: Self::Tensor, activation: Activation) -> Self::Tensor;

    fn add(&mut self, a: Self::Tensor, b: &Self::Tensor) -> Self::Tensor;

    fn mul(&mut self, a: Self::Tensor, b: &Self::Tensor) -> Self::Tensor;

    fn scale(&mut self, x: Self::Tensor, by: f32) -> Self::Tensor;

    /// cap * tanh(x / cap)
    fn soft_cap(&mut self, x: Self::Tensor, cap: f32) -> Self::Tensor;

    /// Columns `start .. start + len` of each row.
    fn columns(&mut self, x: &Self::Tensor, start: usize, len: usize) -> Self::Tensor;

    /// The rows whose logits are wanted.
    fn wanted_rows(&mut self, x: Self::Tensor) -> Self::Tensor;

    /// [`Exec::norm`] of something that is not needed any more.
    fn renorm(&mut self, x: Self::Tensor, norm: &Norm) -> Self::Tensor {
        self.norm(&x, norm)
    }

    /// Several linear maps of one normalised input.
    fn norm_linears<const N: usize>(
        &mut self,
        x: &Self::Tensor,
        norm: Option<&Norm>,
        linears: [&Linear; N],
    ) -> [Self::Tensor; N] {
        match norm {
            Some(norm) => {
                let x = self.norm(x, norm);
                linears.map(|linear| self.linear(&x, linear))
            }
            None => linears.map(|linear| self.linear(x, linear)),
        }
    }

    /// From a layer's input to what attention needs: norm, projections, norms of heads, rotation.
    fn qkv(&mut self, x: &Self::Tensor, a: &Attention) -> Qkv<Self::Tensor> {
        let heads = &a.heads;
        let [mut q, mut k, v] = match &a.projections {
            Projections::Split { q, k, v } => self.norm_linears(x, a.norm.as_ref(), [q, k, v]),
            Projections::Fused(linear) => {
                let [all] = self.norm_linears(x, a.norm.as_ref(), [linear]);
                let (q, k, v) = (heads.q_width(), heads.k_width(), heads.v_width());
                [(0, q), (q, k), (q + k, v)].map(|(start, len)| self.columns(&all, start, len))
            }
        };
        if let Some(norm) = &a.q_norm {
            q = self.renorm(q, norm);
        }
        if let Some(norm) = &a.k_norm {
            k = self.renorm(k, norm);
        }
        if let Some(rope) = a.rope {
            q = self.rope(q, rope, heads.key_dim);
            k = self.rope(k, rope, heads.key_dim);
        }
        Qkv { q, k, v }
    }

    /// The feed-forward part, without the norm after it. `norm` is the one that applies before: the
    /// layer's own, or one shared with attention. (R, n_embd)
    fn gated_mlp(&mut self, x: &Self::Tensor, norm: Option<&Norm>, mlp: &Mlp) -> Self::Tensor {
        let hidden = match &mlp.gate {
            Gate::None => {
                let [up] = self.norm_linears(x, norm, [&mlp.up]);
                self.activate(up, mlp.activation)
            }
            Gate::Split(gate) => {
                let [gate, up] = self.norm_linears(x, norm, [gate, &mlp.up]);
                let gate = self.activate(gate, mlp.activation);
                self.mul(gate, &up)
            }
            Gate::FusedWithUp => {
                let [both] = self.norm_linears(x, norm, [&mlp.up]);
                let n_ff = mlp.down.n_in;
                let gate = self.columns(&both, 0, n_ff);
                let gate = self.activate(gate, mlp.activation);
                let up = self.columns(&both, n_ff, n_ff);
                self.mul(gate, &up)
            }
        };
        self.linear(&hidden, &mlp.down)
    }

    /// Logits of the rows of `x`. (R, n_vocab)
    fn head(&mut self, x: &Self::Tensor, norm: Option<&Norm>, linear: &Linear) -> Self::Tensor {
        let [logits] = self.norm_linears(x, norm, [linear]);
        logits
    }
}
