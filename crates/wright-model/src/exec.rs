//! What an executor can do: primitive operations on opaque handles, and fusions made of them.
//!
//! There are no slices here, nothing happens in place and nothing is read back in the middle of a
//! pass, so that the same forward pass runs on a processor, under a training tape, on a GPU, or as
//! mere bookkeeping. A handle that an operation takes by value is used up: an executor may reuse
//! its memory. An executor is made for one pass and knows its rows, weights and cache.
//!
//! A fusion is a default method composed of primitives. An executor may override it if the result
//! stays what the primitives give: the same bytes for executors of inference.

use crate::config::{Heads, Temperature};
use crate::network::{
    Attention, Bank, Experts, Feed, Gate, LatentProjections, Linear, Mlp, Norm, Projections,
    WeightId,
};
use wright_kernels::Activation;

pub mod cost;
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

    /// Cuts each value to -limit ..= limit.
    fn clamp(&mut self, x: Self::Tensor, limit: f32) -> Self::Tensor;

    /// Multiplies each row of `x` with its number of `by`, (R, 1).
    fn scale_rows(&mut self, x: Self::Tensor, by: &Self::Tensor) -> Self::Tensor;

    /// Multiplies each row by what its position asks for.
    fn warm(&mut self, x: Self::Tensor, by: Temperature) -> Self::Tensor;

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
        let [mut q, mut k, mut v] = match &a.projections {
            Projections::Latent(latent) => return self.latent_qkv(x, a, latent),
            Projections::Split { q, k, v } => self.norm_linears(x, a.norm.as_ref(), [q, k, v]),
            Projections::Fused(linear) => {
                let [all] = self.norm_linears(x, a.norm.as_ref(), [linear]);
                let (q, k, v) = (heads.q_width(), heads.k_width(), heads.v_width());
                [(0, q), (q, k), (q + k, v)].map(|(start, len)| self.columns(&all, start, len))
            }
        };
        if let Some(limit) = a.clamp {
            [q, k, v] = [q, k, v].map(|x| self.clamp(x, limit));
        }
        if !a.norm_after_rope {
            (q, k) = self.norm_heads(q, k, a);
        }
        if let Some(rope) = a.rope {
            q = self.rope(q, rope, heads.key_dim);
            k = self.rope(k, rope, heads.key_dim);
        }
        if a.norm_after_rope {
            (q, k) = self.norm_heads(q, k, a);
        }
        if let Some(temperature) = a.temperature {
            q = self.warm(q, temperature);
        }
        Qkv { q, k, v }
    }

    /// Norms of queries and keys, where there are some.
    fn norm_heads(
        &mut self,
        q: Self::Tensor,
        k: Self::Tensor,
        a: &Attention,
    ) -> (Self::Tensor, Self::Tensor) {
        let q = if let Some(norm) = &a.q_norm { self.renorm(q, norm) } else { q };
        let k = if let Some(norm) = &a.k_norm { self.renorm(k, norm) } else { k };
        (q, k)
    }

    /// [`Exec::qkv`] where keys and values are kept compressed: queries come to them.
    fn latent_qkv(
        &mut self,
        x: &Self::Tensor,
        a: &Attention,
        latent: &LatentProjections,
    ) -> Qkv<Self::Tensor> {
        let shape = latent.shape;
        let (n_head, head_dim) = (a.heads.n_head, shape.n_plain + shape.n_rot);
        let (q, kv) = match &latent.q_a {
            Some((down, norm)) => {
                let [q, kv] = self.norm_linears(x, a.norm.as_ref(), [down, &latent.kv_a]);
                let [q] = self.norm_linears(&q, Some(norm), [&latent.q]);
                (q, kv)
            }
            None => {
                let [q, kv] = self.norm_linears(x, a.norm.as_ref(), [&latent.q, &latent.kv_a]);
                (q, kv)
            }
        };
        let compressed = self.columns(&kv, 0, shape.rank);
        let compressed = self.renorm(compressed, &latent.kv_norm);
        let mut k_rot = self.columns(&kv, shape.rank, shape.n_rot);
        let q_plain = self.head_columns(&q, head_dim, 0, shape.n_plain);
        let mut q_rot = self.head_columns(&q, head_dim, shape.n_plain, shape.n_rot);
        if let Some(rope) = a.rope {
            q_rot = self.rope(q_rot, rope, shape.n_rot);
            k_rot = self.rope(k_rot, rope, shape.n_rot);
        }
        let q_plain = self.linear_heads(&q_plain, &latent.k_b);
        let q = self.join_heads(&q_plain, &q_rot, n_head);
        let k = self.join_heads(&compressed, &k_rot, 1);
        Qkv { q, k, v: compressed }
    }

    /// The feed-forward part, without the norm after it: an MLP, experts, or both. `norm` is as for
    /// [`Exec::gated_mlp`]. (R, n_embd)
    fn feed(&mut self, x: &Self::Tensor, norm: Option<&Norm>, feed: &Feed) -> Self::Tensor {
        let Some(experts) = &feed.experts else {
            let mlp = feed.mlp.as_ref().expect("a layer has an MLP, experts, or both");
            return self.gated_mlp(x, norm, mlp);
        };
        let normed = norm.map(|norm| self.norm(x, norm));
        let x = normed.as_ref().unwrap_or(x);
        let scores = self.linear(x, &experts.router);
        let chosen = self.experts(x, &scores, experts);
        let Some(mlp) = &feed.mlp else { return chosen };
        let mut shared = self.gated_mlp(x, None, mlp);
        if let Some(gate) = &feed.mlp_gate {
            let gate = self.linear(x, gate);
            let gate = self.activate(gate, Activation::Sigmoid);
            shared = self.scale_rows(shared, &gate);
        }
        self.add(chosen, &shared)
    }

    /// An MLP. `norm` is the one that applies before: the
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
