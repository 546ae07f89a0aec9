//! What an executor can do: primitive operations on opaque handles, and fusions made of them.
//!
//! There are no slices here and nothing is read back in the middle of a pass, so that the same
//! forward pass runs on a processor, under a training tape, on a GPU, or as mere bookkeeping. A
//! handle that an operation takes by value is used up: an executor may reuse its memory. An
//! executor is made for one pass and knows its rows, weights and cache. What a transformer is,
//! `forward.rs` says; nothing here knows a layer.
//!
//! A fusion is a default method composed of primitives, and stands here only where an executor
//! overrides it. The result must stay what the primitives give: the same bytes for executors of
//! inference (`tests/fusions.rs` holds them to it).

use crate::config::{Heads, Temperature};
use crate::network::{Bank, Experts, Linear, Norm, WeightId};
use wright_kernels::Activation;

pub mod cpu;
pub mod exact;
pub(crate) mod routing;

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

    /// A layer begins with `x`, and nothing but `x` of what came before is read again.
    fn begin_layer(&mut self, _x: &Self::Tensor) {}

    /// Rows of `table` for the pass's tokens, times `scale`. (T, n_embd)
    fn embed(&mut self, table: WeightId, scale: f32) -> Self::Tensor;

    /// Rows of `table` for the pass's positions. (T, n_embd)
    fn embed_positions(&mut self, table: WeightId) -> Self::Tensor;

    /// Rows of `table` for the types of the pass's tokens ([`crate::batch::Rows::types`]).
    /// (T, n_embd)
    fn embed_types(&mut self, table: WeightId) -> Self::Tensor;

    /// W x + b: (R, n_in) to (R, n_out).
    fn linear(&mut self, x: &Self::Tensor, linear: &Linear) -> Self::Tensor;

    /// A matrix of its own for each head: (R, n * n_in) to (R, n * n_out).
    fn linear_heads(&mut self, x: &Self::Tensor, bank: &Bank) -> Self::Tensor;

    /// Sends each row to the experts that its scores choose, and adds up what these give, by
    /// ascending number of the expert. `scores` are the router's, (R, n_expert). (R, n_embd)
    fn experts(
        &mut self,
        x: &Self::Tensor,
        scores: &Self::Tensor,
        experts: &Experts,
    ) -> Self::Tensor;

    /// Normalizes each group of each row.
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

    /// act(x), value by value.
    fn activate(&mut self, x: Self::Tensor, activation: Activation) -> Self::Tensor;

    /// a + b, value by value.
    fn add(&mut self, a: Self::Tensor, b: &Self::Tensor) -> Self::Tensor;

    /// a * b, value by value.
    fn mul(&mut self, a: Self::Tensor, b: &Self::Tensor) -> Self::Tensor;

    /// x * by, value by value.
    fn scale(&mut self, x: Self::Tensor, by: f32) -> Self::Tensor;

    /// cap * tanh(x / cap)
    fn soft_cap(&mut self, x: Self::Tensor, cap: f32) -> Self::Tensor;

    /// Cuts each value to -limit ..= limit.
    fn clamp(&mut self, x: Self::Tensor, limit: f32) -> Self::Tensor;

    /// Multiplies each row of `x` with its number of `by`, (R, 1).
    fn scale_rows(&mut self, x: Self::Tensor, by: &Self::Tensor) -> Self::Tensor;

    /// Multiplies each row by the factor of its position.
    fn scale_by_position(&mut self, x: Self::Tensor, by: Temperature) -> Self::Tensor;

    /// Columns `start .. start + len` of each row.
    fn columns(&mut self, x: &Self::Tensor, start: usize, len: usize) -> Self::Tensor;

    /// Columns `start .. start + len` of each head of `head_dim` columns, side by side.
    fn head_columns(
        &mut self,
        x: &Self::Tensor,
        head_dim: usize,
        start: usize,
        len: usize,
    ) -> Self::Tensor;

    /// For each of `n_head` heads, its columns of `a` and then those of `b`.
    fn join_heads(&mut self, a: &Self::Tensor, b: &Self::Tensor, n_head: usize) -> Self::Tensor;

    /// The rows whose logits are wanted.
    fn wanted_rows(&mut self, x: Self::Tensor) -> Self::Tensor;

    /// [`Exec::norm`] of a tensor that is not needed any more.
    fn norm_in_place(&mut self, x: Self::Tensor, norm: &Norm) -> Self::Tensor {
        self.norm(&x, norm)
    }

    /// Several linear maps of one input, which is normalized first where there is a norm.
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

    /// act(gate) * up, value by value.
    fn gated(
        &mut self,
        gate: Self::Tensor,
        up: &Self::Tensor,
        activation: Activation,
    ) -> Self::Tensor {
        let gate = self.activate(gate, activation);
        self.mul(gate, up)
    }

    /// [`Exec::gated`] of the halves of each row, gates first: (R, 2 * n_ff) to (R, n_ff).
    fn gated_halves(
        &mut self,
        both: &Self::Tensor,
        n_ff: usize,
        activation: Activation,
    ) -> Self::Tensor {
        let gate = self.columns(both, 0, n_ff);
        let up = self.columns(both, n_ff, n_ff);
        self.gated(gate, &up, activation)
    }

    /// W (act(gate) * up) + b: the second half of a gated MLP.
    fn gated_linear(
        &mut self,
        gate: Self::Tensor,
        up: &Self::Tensor,
        activation: Activation,
        down: &Linear,
    ) -> Self::Tensor {
        let hidden = self.gated(gate, up, activation);
        self.linear(&hidden, down)
    }

    /// Logits of the rows of `x`, (R, n_vocab). Training overrides it, since it needs losses and
    /// not logits.
    fn head(&mut self, x: &Self::Tensor, norm: Option<&Norm>, linear: &Linear) -> Self::Tensor {
        let [logits] = self.norm_linears(x, norm, [linear]);
        logits
    }
}
