//! The executor for inference on a processor, by the kernels.
//!
//! Weights that have an integer kernel are repacked once and meet activations rounded to 8 bits;
//! the others are multiplied in f32. Without repacked weights and with a cache in f32 it is the
//! exact mode. It fuses a norm with the rounding of what follows, and the rounding is shared by
//! all matrices that read the same input; the bytes are those of the operations one by one.

pub mod buffers;
mod experts;
mod memory;
pub mod store;
pub mod weights;

use crate::batch::Rows;
use crate::config::{Heads, NormKind, Temperature};
use crate::exec::{Exec, Qkv};
use crate::kv::KvTable;
use crate::model::Model;
use crate::network::{Bank, Experts, Linear, Norm, WeightId};
use buffers::{Buf, Buffers};
use store::KvStore;
use weights::CpuWeights;
use wright_kernels::attention::{Attention, Span, attend, write_kv};
use wright_kernels::quant::{Activations, PackedProduct, linear_packed_each};
use wright_kernels::{
    Activation, Matrix, Pool, Product, RopeTable, activate, elementwise, embed, gated, gated_rows,
    layer_norm, layer_norm_in_place, linear_f32, linear_f32_each, rms_norm, rms_norm_in_place,
    rope,
};

/// What an executor keeps from one pass to the next.
#[derive(Debug)]
pub struct CpuState {
    pub weights: CpuWeights,
    pub store: KvStore,
    pub buffers: Buffers,
    rounded: Activations,
}

impl CpuState {
    pub fn new(weights: CpuWeights, store: KvStore) -> CpuState {
        CpuState { weights, store, buffers: Buffers::default(), rounded: Activations::new() }
    }
}

/// One pass.
pub struct Cpu<'p> {
    model: &'p Model,
    pool: &'p Pool,
    rows: &'p Rows,
    /// The rows' sequences and where these lie in the cache.
    spans: Vec<Span<'p>>,
    weights: &'p CpuWeights,
    store: &'p mut KvStore,
    buffers: &'p Buffers,
    rounded: &'p mut Activations,
    /// For each of the network's ropes, the turns of this pass's rows.
    ropes: Vec<RopeTable>,
}

impl<'p> Cpu<'p> {
    pub fn new(
        model: &'p Model,
        pool: &'p Pool,
        rows: &'p Rows,
        table: &'p KvTable,
        state: &'p mut CpuState,
    ) -> Cpu<'p> {
        let ropes = model.network().ropes.iter();
        let turns = |r: &crate::rope::Rope| {
            RopeTable::new(pool, &r.turns(table.n_ctx()), r.magnitude, &rows.positions)
        };
        let CpuState { weights, store, buffers, rounded } = state;
        let spans = rows.spans.iter().map(|span| Span {
            row: span.rows.start,
            n_rows: span.rows.len(),
            pos: span.pos as usize,
            blocks: table.blocks(span.seq),
        });
        Cpu {
            model,
            pool,
            rows,
            spans: spans.collect(),
            weights,
            store,
            buffers,
            rounded,
            ropes: ropes.map(turns).collect(),
        }
    }

    fn kernel_norm(&self, norm: &Norm) -> wright_kernels::Norm<'p> {
        wright_kernels::Norm {
            len: norm.group,
            eps: norm.eps,
            weight: norm.weight.map(|id| self.model.vector(id)),
            bias: norm.bias.map(|id| self.model.vector(id)),
        }
    }

    /// Rounds `x`, normalized if there is a norm, for matrices of `k` columns.
    fn round(&mut self, x: &Buf<'_>, norm: Option<&Norm>) {
        let (m, k) = (x.rows(), x.cols);
        let Some(norm) = norm else {
            self.rounded.set(self.pool, x, m, k);
            return;
        };
        let kernel = self.kernel_norm(norm);
        let pool = self.pool;
        let data: &[f32] = x;
        let kind = norm.kind;
        self.rounded.set_with(pool, m, k, |row, out| {
            normalise(pool, kind, &kernel, &data[row * k..(row + 1) * k], out);
        });
    }

    /// Multiplies what was rounded last with each matrix.
    fn multiply<const N: usize>(&mut self, linears: [&Linear; N]) -> [Buf<'p>; N] {
        let m = self.rounded.m();
        let mut outs = linears.map(|l| self.buffers.take(m, l.n_out));
        let mut at = outs.iter_mut();
        let mut parts = linears.map(|l| PackedProduct {
            weights: self.weights.packed(l.weight).expect("callers asked for packed weights"),
            y: at.next().expect("as many outputs as matrices"),
        });
        linear_packed_each(self.pool, &mut parts, self.rounded);
        for (out, linear) in outs.iter_mut().zip(linears) {
            self.add_bias(out, linear);
        }
        outs
    }

    /// Multiplies `x` with each matrix, in f32.
    fn multiply_floats<const N: usize>(
        &self,
        matrices: [Matrix<'_>; N],
        x: &Buf<'_>,
        outs: &mut [Buf<'_>; N],
    ) {
        let mut outs = outs.iter_mut();
        let mut products =
            matrices.map(|w| Product { w, y: outs.next().expect("as many outputs as matrices") });
        linear_f32_each(self.pool, &mut products, x);
    }

    fn add_bias(&self, y: &mut Buf<'_>, linear: &Linear) {
        if let Some(bias) = linear.bias {
            elementwise::add_bias(self.pool, y, self.model.vector(bias));
        }
    }

    fn is_packed(&self, linear: &Linear) -> bool {
        self.weights.packed(linear.weight).is_some()
    }
}

/// `out = norm(x)` for whole groups.
fn normalise(
    pool: &Pool,
    kind: NormKind,
    norm: &wright_kernels::Norm<'_>,
    x: &[f32],
    out: &mut [f32],
) {
    match kind {
        NormKind::Rms => rms_norm(pool, norm, x, out),
        NormKind::Layer => layer_norm(pool, norm, x, out),
    }
}

impl<'p> Exec for Cpu<'p> {
    type Tensor = Buf<'p>;

    fn embed(&mut self, table: WeightId, scale: f32) -> Buf<'p> {
        let matrix = self.model.matrix(table);
        let mut out = self.buffers.take(self.rows.len(), matrix.k);
        embed(self.pool, &matrix, &self.rows.ids, &mut out);
        if scale != 1.0 {
            elementwise::scale(self.pool, &mut out, scale);
        }
        out
    }

    fn embed_positions(&mut self, table: WeightId) -> Buf<'p> {
        let matrix = self.model.matrix(table);
        let mut out = self.buffers.take(self.rows.len(), matrix.k);
        embed(self.pool, &matrix, &self.rows.positions, &mut out);
        out
    }

    fn embed_types(&mut self, table: WeightId) -> Buf<'p> {
        let matrix = self.model.matrix(table);
        let mut out = self.buffers.take(self.rows.len(), matrix.k);
        embed(self.pool, &matrix, &self.rows.types(), &mut out);
        out
    }

    fn linear_heads(&mut self, x: &Buf<'p>, bank: &Bank) -> Buf<'p> {
        self.each_head(x, bank)
    }

    fn experts(&mut self, x: &Buf<'p>, scores: &Buf<'p>, experts: &Experts) -> Buf<'p> {
        self.meet_experts(x, scores, experts)
    }

    fn linear(&mut self, x: &Buf<'p>, linear: &Linear) -> Buf<'p> {
        if self.is_packed(linear) {
            self.round(x, None);
            let [y] = self.multiply([linear]);
            return y;
        }
        let mut y = self.buffers.take(x.rows(), linear.n_out);
        linear_f32(self.pool, &self.model.matrix(linear.weight), x, &mut y);
        self.add_bias(&mut y, linear);
        y
    }

    fn norm(&mut self, x: &Buf<'p>, norm: &Norm) -> Buf<'p> {
        let mut out = self.buffers.take(x.rows(), x.cols);
        normalise(self.pool, norm.kind, &self.kernel_norm(norm), x, &mut out);
        out
    }

    fn norm_in_place(&mut self, mut x: Buf<'p>, norm: &Norm) -> Buf<'p> {
        let kernel = self.kernel_norm(norm);
        match norm.kind {
            NormKind::Rms => rms_norm_in_place(self.pool, &kernel, &mut x),
            NormKind::Layer => layer_norm_in_place(self.pool, &kernel, &mut x),
        }
        x
    }

    fn rope(&mut self, mut x: Buf<'p>, index: usize, head_dim: usize) -> Buf<'p> {
        let pairing = self.model.network().ropes[index].pairing;
        rope(self.pool, pairing, &self.ropes[index], head_dim, &mut x);
        x
    }

    fn attend(
        &mut self,
        layer: usize,
        qkv: Qkv<Buf<'p>>,
        heads: &Heads,
        sinks: Option<WeightId>,
    ) -> Buf<'p> {
        let mut out = self.buffers.take(qkv.q.rows(), heads.out_width());
        let slopes: Option<Vec<f32>> = heads
            .alibi_max_bias
            .map(|_| (0..heads.n_head).map(|head| heads.alibi_slope(head) as f32).collect());
        let attention = Attention {
            n_head: heads.n_head,
            n_kv_head: heads.n_kv_head,
            key_dim: heads.key_dim,
            value_dim: heads.value_dim,
            scale: heads.scale,
            causal: heads.causal,
            window: heads.window.map(|window| window as usize),
            chunked: heads.chunked,
            soft_cap: heads.soft_cap,
            alibi: slopes.as_deref(),
            sinks: sinks.map(|id| self.model.vector(id)),
        };
        let place = self.store.place(layer);
        let new = (&qkv.k[..], &qkv.v[..]);
        write_kv(self.pool, &attention, (self.store.cells_mut(), place), &self.spans, new);
        attend(self.pool, &attention, (self.store.cells(), place), &self.spans, &qkv.q, &mut out);
        out
    }

    fn activate(&mut self, mut x: Buf<'p>, activation: Activation) -> Buf<'p> {
        activate(self.pool, activation, &mut x);
        x
    }

    fn add(&mut self, mut a: Buf<'p>, b: &Buf<'p>) -> Buf<'p> {
        elementwise::add(self.pool, &mut a, b);
        a
    }

    fn mul(&mut self, mut a: Buf<'p>, b: &Buf<'p>) -> Buf<'p> {
        elementwise::mul(self.pool, &mut a, b);
        a
    }

    fn scale(&mut self, mut x: Buf<'p>, by: f32) -> Buf<'p> {
        elementwise::scale(self.pool, &mut x, by);
        x
    }

    fn soft_cap(&mut self, mut x: Buf<'p>, cap: f32) -> Buf<'p> {
        elementwise::soft_cap(self.pool, &mut x, cap);
        x
    }

    fn clamp(&mut self, mut x: Buf<'p>, limit: f32) -> Buf<'p> {
        x.iter_mut().for_each(|x| *x = x.clamp(-limit, limit));
        x
    }

    fn scale_rows(&mut self, mut x: Buf<'p>, by: &Buf<'p>) -> Buf<'p> {
        let cols = x.cols;
        for (row, by) in x.chunks_exact_mut(cols).zip(by.iter()) {
            row.iter_mut().for_each(|x| *x *= by);
        }
        x
    }

    fn scale_by_position(&mut self, mut x: Buf<'p>, by: Temperature) -> Buf<'p> {
        let cols = x.cols;
        for (row, &pos) in x.chunks_exact_mut(cols).zip(&self.rows.positions) {
            let by = by.at(pos) as f32;
            row.iter_mut().for_each(|x| *x *= by);
        }
        x
    }

    fn head_columns(&mut self, x: &Buf<'p>, head_dim: usize, start: usize, len: usize) -> Buf<'p> {
        let mut out = self.buffers.take(x.rows(), x.cols / head_dim * len);
        let heads = x.chunks_exact(head_dim);
        for (to, from) in out.chunks_exact_mut(len).zip(heads) {
            to.copy_from_slice(&from[start..start + len]);
        }
        out
    }

    fn join_heads(&mut self, a: &Buf<'p>, b: &Buf<'p>, n_head: usize) -> Buf<'p> {
        let mut out = self.buffers.take(a.rows(), a.cols + b.cols);
        let (of_a, of_b) = (a.cols / n_head, b.cols / n_head);
        let pairs = a.chunks_exact(of_a).zip(b.chunks_exact(of_b));
        for (to, (a, b)) in out.chunks_exact_mut(of_a + of_b).zip(pairs) {
            to[..of_a].copy_from_slice(a);
            to[of_a..].copy_from_slice(b);
        }
        out
    }

    fn columns(&mut self, x: &Buf<'p>, start: usize, len: usize) -> Buf<'p> {
        let mut out = self.buffers.take(x.rows(), len);
        let rows = x.chunks_exact(x.cols);
        for (to, from) in out.chunks_exact_mut(len).zip(rows) {
            to.copy_from_slice(&from[start..start + len]);
        }
        out
    }

    fn wanted_rows(&mut self, x: Buf<'p>) -> Buf<'p> {
        if self.rows.wanted.len() == self.rows.len() {
            return x;
        }
        let mut out = self.buffers.take(self.rows.wanted.len(), x.cols);
        for (to, &row) in out.chunks_exact_mut(x.cols).zip(&self.rows.wanted) {
            let from = row as usize * x.cols;
            to.copy_from_slice(&x[from..from + x.cols]);
        }
        out
    }

    fn norm_linears<const N: usize>(
        &mut self,
        x: &Buf<'p>,
        norm: Option<&Norm>,
        linears: [&Linear; N],
    ) -> [Buf<'p>; N] {
        if linears.iter().all(|l| self.is_packed(l)) {
            self.round(x, norm);
            return self.multiply(linears);
        }
        let normed = norm.map(|norm| self.norm(x, norm));
        let x = normed.as_ref().unwrap_or(x);
        if linears.iter().any(|l| self.is_packed(l)) {
            return linears.map(|linear| self.linear(x, linear));
        }
        let mut outs = linears.map(|l| self.buffers.take(x.rows(), l.n_out));
        let matrices = linears.map(|l| self.model.matrix(l.weight));
        self.multiply_floats(matrices, x, &mut outs);
        for (y, linear) in outs.iter_mut().zip(linears) {
            self.add_bias(y, linear);
        }
        outs
    }

    fn gated(&mut self, gate: Buf<'p>, up: &Buf<'p>, activation: Activation) -> Buf<'p> {
        let mut hidden = self.buffers.take(gate.rows(), gate.cols);
        gated(self.pool, activation, &gate, up, &mut hidden);
        hidden
    }

    fn gated_halves(&mut self, both: &Buf<'p>, n_ff: usize, activation: Activation) -> Buf<'p> {
        let mut hidden = self.buffers.take(both.rows(), n_ff);
        gated_rows(self.pool, activation, both, n_ff, &mut hidden);
        hidden
    }

    /// Rounded as it is made where `down` is packed.
    fn gated_linear(
        &mut self,
        gate: Buf<'p>,
        up: &Buf<'p>,
        activation: Activation,
        down: &Linear,
    ) -> Buf<'p> {
        if !self.is_packed(down) {
            let hidden = self.gated(gate, up, activation);
            return self.linear(&hidden, down);
        }
        let (pool, m, k) = (self.pool, gate.rows(), gate.cols);
        let (gate, up) = (&gate[..], &up[..]);
        self.rounded.set_with(pool, m, k, |row, out| {
            let at = row * k..(row + 1) * k;
            gated(pool, activation, &gate[at.clone()], &up[at], out);
        });
        let [y] = self.multiply([down]);
        y
    }
}
