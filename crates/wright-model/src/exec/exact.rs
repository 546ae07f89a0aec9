//! The scalar truth: every operation written out plainly, generic over f32 and f64.
//!
//! In f64 it is the oracle that other executors and, later, gradients are held against. Weights
//! are decoded row by row, the cache keeps the numbers of the computation unrounded, nothing is
//! fused. It splits outputs over threads but is not made to be fast.

mod experts;

use crate::batch::{Rows, Span};
use crate::config::{Heads, NormKind, Temperature};
use crate::exec::{Exec, Qkv};
use crate::kv::{BLOCK, BlockCopy, KvTable};
use crate::model::Model;
use crate::network::{Bank, Experts, Linear, Norm, WeightId};
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use wright_kernels::{Activation, Pairing, Pool, dequantize};

/// The numbers that it computes in.
pub trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Default
    + AddAssign
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + 'static
{
    fn of(x: f64) -> Self;
    fn from_f32(x: f32) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn tanh(self) -> Self;
    fn erf(self) -> Self;
}

impl Real for f32 {
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn from_f32(x: f32) -> f32 {
        x
    }
    fn to_f32(self) -> f32 {
        self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn sqrt(self) -> f32 {
        self.sqrt()
    }
    fn exp(self) -> f32 {
        self.exp()
    }
    fn tanh(self) -> f32 {
        self.tanh()
    }
    fn erf(self) -> f32 {
        wright_kernels::math::erf(self)
    }
}

impl Real for f64 {
    fn of(x: f64) -> f64 {
        x
    }
    fn from_f32(x: f32) -> f64 {
        f64::from(x)
    }
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn sqrt(self) -> f64 {
        self.sqrt()
    }
    fn exp(self) -> f64 {
        self.exp()
    }
    fn tanh(self) -> f64 {
        self.tanh()
    }
    /// 2/sqrt(pi) exp(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...), whose terms are of one sign.
    fn erf(self) -> f64 {
        if self.abs() > 6.0 {
            return self.signum();
        }
        let (mut sum, mut term) = (0.0, self);
        for n in 1..400 {
            sum += term;
            term *= 2.0 * self * self / f64::from(2 * n + 1);
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-self * self).exp() * sum
    }
}

/// Rows of activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Mat<R> {
    /// (rows, cols)
    pub data: Vec<R>,
    pub cols: usize,
}

impl<R: Real> Mat<R> {
    fn zeros(rows: usize, cols: usize) -> Self {
        Mat { data: vec![R::default(); rows * cols], cols }
    }

    fn rows(&self) -> usize {
        self.data.len() / self.cols
    }

    fn map(mut self, f: impl Fn(R) -> R) -> Self {
        self.data.iter_mut().for_each(|x| *x = f(*x));
        self
    }

    fn zip(mut self, other: &Self, f: impl Fn(R, R) -> R) -> Self {
        self.data.iter_mut().zip(&other.data).for_each(|(a, &b)| *a = f(*a, b));
        self
    }
}

/// Keys and values of all layers, unrounded.
#[derive(Debug, Clone, Default)]
pub struct ExactStore<R> {
    layers: Vec<LayerStore<R>>,
}

/// (block, kv head, position in the block, value of the head) for keys and for values.
#[derive(Debug, Clone, Default)]
struct LayerStore<R> {
    k: Vec<R>,
    v: Vec<R>,
}

impl<R: Real> ExactStore<R> {
    pub fn new(model: &Model, n_blocks: usize) -> Self {
        let layers = model.config().layers.iter().map(|layer| LayerStore {
            k: vec![R::default(); n_blocks * BLOCK * layer.heads.k_width()],
            v: vec![R::default(); n_blocks * BLOCK * layer.heads.v_width()],
        });
        ExactStore { layers: layers.collect() }
    }

    /// Copies a block's contents in every layer.
    pub fn copy_block(&mut self, copy: BlockCopy, n_blocks: usize) {
        for layer in &mut self.layers {
            for side in [&mut layer.k, &mut layer.v] {
                let len = side.len() / n_blocks;
                let from = copy.from as usize * len;
                side.copy_within(from..from + len, copy.to as usize * len);
            }
        }
    }
}

/// One pass.
pub struct Exact<'p, R> {
    pub model: &'p Model,
    pub pool: &'p Pool,
    pub rows: &'p Rows,
    pub table: &'p KvTable,
    pub store: &'p mut ExactStore<R>,
}

/// Weight rows that one task decodes.
const ROWS_A_TASK: usize = 16;

impl<R: Real> Exact<'_, R> {
    /// Row `row` of a matrix as f32.
    fn decode(&self, weight: WeightId, row: usize, into: &mut [f32]) {
        let matrix = self.model.matrix(weight);
        dequantize(matrix.dtype, matrix.row(row), into);
    }

    fn lookup(&self, table: WeightId, indices: &[u32], scale: f32) -> Mat<R> {
        let cols = self.model.matrix(table).k;
        let mut row = vec![0.0; cols];
        let mut out = Mat { data: Vec::with_capacity(indices.len() * cols), cols };
        for &index in indices {
            self.decode(table, index as usize, &mut row);
            out.data.extend(row.iter().map(|&x| R::from_f32(x) * R::from_f32(scale)));
        }
        out
    }

    fn add_bias(&self, x: &mut Mat<R>, bias: WeightId) {
        let bias = self.model.vector(bias);
        for row in x.data.chunks_exact_mut(x.cols) {
            row.iter_mut().zip(bias).for_each(|(x, &b)| *x += R::from_f32(b));
        }
    }

    /// Where head `head` of position `pos` lies in a store whose heads have `dim` values.
    fn slot(&self, span: &Span, heads: &Heads, pos: usize, head: usize, dim: usize) -> usize {
        let block = self.table.blocks(span.seq)[pos / BLOCK] as usize;
        ((block * heads.n_kv_head + head) * BLOCK + pos % BLOCK) * dim
    }

    fn write(&mut self, layer: usize, qkv: &Qkv<Mat<R>>, heads: &Heads) {
        for span in &self.rows.spans {
            for (row, pos) in span.rows.clone().zip(span.pos as usize..) {
                for head in 0..heads.n_kv_head {
                    let (dk, dv) = (heads.key_dim, heads.value_dim);
                    let to = self.slot(span, heads, pos, head, dk);
                    let from = row * qkv.k.cols + head * dk;
                    let key = &qkv.k.data[from..from + dk];
                    self.store.layers[layer].k[to..to + dk].copy_from_slice(key);
                    let to = self.slot(span, heads, pos, head, dv);
                    let from = row * qkv.v.cols + head * dv;
                    let value = &qkv.v.data[from..from + dv];
                    self.store.layers[layer].v[to..to + dv].copy_from_slice(value);
                }
            }
        }
    }

    /// Attention of one head of one row over all positions that it sees.
    fn attend_head(&self, layer: usize, at: Query<'_, R>, out: &mut [R]) {
        let Query { span, pos, head, q, heads, sink } = at;
        let end = span.pos as usize + span.rows.len();
        let seen = heads.oldest(pos)..if heads.causal { pos + 1 } else { end };
        let kv_head = head / heads.group();
        let store = &self.store.layers[layer];
        let mut scores = Vec::with_capacity(seen.len());
        for other in seen.clone() {
            let k = self.slot(span, heads, other, kv_head, heads.key_dim);
            let mut score = dot(q, &store.k[k..k + heads.key_dim]) * R::from_f32(heads.scale);
            if let Some(cap) = heads.soft_cap {
                score = R::from_f32(cap) * (score / R::from_f32(cap)).tanh();
            }
            if heads.alibi_max_bias.is_some() {
                score += R::of(-(pos.abs_diff(other) as f64) * heads.alibi_slope(head));
            }
            scores.push(score);
        }
        let start = sink.unwrap_or(scores[0]);
        let max = scores.iter().fold(start, |a, &b| if b > a { b } else { a });
        let mut sum = sink.map_or(R::default(), |sink| (sink - max).exp());
        for (other, &score) in seen.zip(&scores) {
            let p = (score - max).exp();
            sum += p;
            let v = self.slot(span, heads, other, kv_head, heads.value_dim);
            for (o, &x) in out.iter_mut().zip(&store.v[v..v + heads.value_dim]) {
                *o += p * x;
            }
        }
        out.iter_mut().for_each(|o| *o = *o / sum);
    }
}

/// One head's query.
struct Query<'a, R> {
    span: &'a Span,
    pos: usize,
    head: usize,
    q: &'a [R],
    heads: &'a Heads,
    sink: Option<R>,
}

/// Sixteen sums, one for each lane, added up in a fixed order.
fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    let mut lanes = [R::default(); 16];
    let (a_tail, b_tail) = (a.chunks_exact(16).remainder(), b.chunks_exact(16).remainder());
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    for (lane, (&a, &b)) in a_tail.iter().zip(b_tail).enumerate() {
        lanes[lane] += a * b;
    }
    lanes.into_iter().fold(R::default(), |sum, x| sum + x)
}

impl<R: Real> Exec for Exact<'_, R> {
    type Tensor = Mat<R>;

    fn embed(&mut self, table: WeightId, scale: f32) -> Mat<R> {
        self.lookup(table, &self.rows.ids, scale)
    }

    fn embed_positions(&mut self, table: WeightId) -> Mat<R> {
        self.lookup(table, &self.rows.positions, 1.0)
    }

    fn embed_types(&mut self, table: WeightId) -> Mat<R> {
        self.lookup(table, &self.rows.types(), 1.0)
    }

    fn linear_heads(&mut self, x: &Mat<R>, bank: &Bank) -> Mat<R> {
        self.each_head(x, bank)
    }

    fn experts(&mut self, x: &Mat<R>, scores: &Mat<R>, experts: &Experts) -> Mat<R> {
        self.meet_experts(x, scores, experts)
    }

    fn linear(&mut self, x: &Mat<R>, linear: &Linear) -> Mat<R> {
        let (rows, n_out) = (x.rows(), linear.n_out);
        // (n_out, rows), so that each task writes a run of its own.
        let mut columns = vec![R::default(); n_out * rows];
        let this = &*self;
        this.pool.for_chunks(&mut columns, ROWS_A_TASK * rows, |task, columns| {
            let mut raw = vec![0.0; linear.n_in];
            let mut row = vec![R::default(); linear.n_in];
            for (index, column) in columns.chunks_exact_mut(rows).enumerate() {
                this.decode(linear.weight, task * ROWS_A_TASK + index, &mut raw);
                row.iter_mut().zip(&raw).for_each(|(r, &x)| *r = R::from_f32(x));
                for (y, x) in column.iter_mut().zip(x.data.chunks_exact(x.cols)) {
                    *y = dot(x, &row);
                }
            }
        });
        let mut y = Mat::zeros(rows, n_out);
        for (r, row) in y.data.chunks_exact_mut(n_out).enumerate() {
            row.iter_mut().enumerate().for_each(|(n, y)| *y = columns[n * rows + r]);
        }
        if let Some(bias) = linear.bias {
            self.add_bias(&mut y, bias);
        }
        y
    }

    fn norm(&mut self, x: &Mat<R>, norm: &Norm) -> Mat<R> {
        let mut y = x.clone();
        let weight = norm.weight.map(|id| self.model.vector(id));
        let bias = norm.bias.map(|id| self.model.vector(id));
        let n = R::of(norm.group as f64);
        for (at, group) in y.data.chunks_exact_mut(norm.group).enumerate() {
            // Each head of a row may have weights of its own.
            let of_group = |all: &'_ [f32], i: usize| all[(at * norm.group + i) % all.len()];
            if norm.kind == NormKind::Layer {
                let mean = group.iter().fold(R::default(), |s, &x| s + x) / n;
                group.iter_mut().for_each(|x| *x = *x - mean);
            }
            let square = dot(group, group) / n;
            let scale = R::of(1.0) / (square + R::from_f32(norm.eps)).sqrt();
            for (i, x) in group.iter_mut().enumerate() {
                *x = *x * scale * R::from_f32(weight.map_or(1.0, |w| of_group(w, i)));
                *x += R::from_f32(bias.map_or(0.0, |b| of_group(b, i)));
            }
        }
        y
    }

    fn rope(&mut self, mut x: Mat<R>, rope: usize, head_dim: usize) -> Mat<R> {
        let rope = &self.model.network().ropes[rope];
        let turns = rope.turns(self.table.n_ctx());
        let half = turns.len();
        let magnitude = f64::from(rope.magnitude);
        for (row, &pos) in x.data.chunks_exact_mut(x.cols).zip(&self.rows.positions) {
            for head in row.chunks_exact_mut(head_dim) {
                for (i, freq) in turns.iter().enumerate() {
                    let (sin, cos) = (f64::from(pos) * freq).sin_cos();
                    let (sin, cos) = (R::of(sin * magnitude), R::of(cos * magnitude));
                    let (a, b) = match rope.pairing {
                        Pairing::Interleaved => (2 * i, 2 * i + 1),
                        Pairing::Halves => (i, i + half),
                    };
                    let (u, v) = (head[a], head[b]);
                    head[a] = u * cos - v * sin;
                    head[b] = u * sin + v * cos;
                }
            }
        }
        x
    }

    fn attend(
        &mut self,
        layer: usize,
        qkv: Qkv<Mat<R>>,
        heads: &Heads,
        sinks: Option<WeightId>,
    ) -> Mat<R> {
        self.write(layer, &qkv, heads);
        let mut out = Mat::zeros(qkv.q.rows(), heads.out_width());
        let this = &*self;
        let sinks = sinks.map(|id| this.model.vector(id));
        this.pool.for_chunks(&mut out.data, heads.out_width(), |row, out| {
            let span = this.rows.spans.iter().find(|s| s.rows.contains(&row));
            let span = span.expect("each row belongs to a span");
            let pos = this.rows.positions[row] as usize;
            for (head, out) in out.chunks_exact_mut(heads.value_dim).enumerate() {
                let from = row * qkv.q.cols + head * heads.key_dim;
                let q = &qkv.q.data[from..from + heads.key_dim];
                let sink = sinks.map(|s| R::from_f32(s[head]));
                this.attend_head(layer, Query { span, pos, head, q, heads, sink }, out);
            }
        });
        out
    }

    fn activate(&mut self, x: Mat<R>, activation: Activation) -> Mat<R> {
        let one = R::of(1.0);
        let zero = R::default();
        let half_root = R::of(std::f64::consts::FRAC_1_SQRT_2);
        match activation {
            Activation::Silu => x.map(|x| x / (one + (zero - x).exp())),
            Activation::GeluTanh => {
                let (root, cube) = (R::of((2.0 / std::f64::consts::PI).sqrt()), R::of(0.044715));
                x.map(|x| R::of(0.5) * x * (one + (root * (x + cube * x * x * x)).tanh()))
            }
            Activation::GeluErf => x.map(|x| R::of(0.5) * x * (one + (x * half_root).erf())),
            Activation::GeluQuick => x.map(|x| x / (one + (R::of(-1.702) * x).exp())),
            Activation::Relu => x.map(|x| if x > zero { x } else { zero }),
            Activation::ReluSquared => x.map(|x| if x > zero { x * x } else { zero }),
            Activation::Sigmoid => x.map(|x| one / (one + (zero - x).exp())),
            Activation::Tanh => x.map(Real::tanh),
        }
    }

    fn add(&mut self, a: Mat<R>, b: &Mat<R>) -> Mat<R> {
        a.zip(b, |a, b| a + b)
    }

    fn mul(&mut self, a: Mat<R>, b: &Mat<R>) -> Mat<R> {
        a.zip(b, |a, b| a * b)
    }

    fn scale(&mut self, x: Mat<R>, by: f32) -> Mat<R> {
        x.map(|x| x * R::from_f32(by))
    }

    fn soft_cap(&mut self, x: Mat<R>, cap: f32) -> Mat<R> {
        let cap = R::from_f32(cap);
        x.map(|x| cap * (x / cap).tanh())
    }

    fn clamp(&mut self, x: Mat<R>, limit: f32) -> Mat<R> {
        let (low, high) = (R::from_f32(-limit), R::from_f32(limit));
        x.map(|x| {
            if x < low {
                low
            } else if x > high {
                high
            } else {
                x
            }
        })
    }

    fn scale_rows(&mut self, mut x: Mat<R>, by: &Mat<R>) -> Mat<R> {
        for (row, &by) in x.data.chunks_exact_mut(x.cols).zip(&by.data) {
            row.iter_mut().for_each(|x| *x = *x * by);
        }
        x
    }

    fn scale_by_position(&mut self, mut x: Mat<R>, by: Temperature) -> Mat<R> {
        for (row, &pos) in x.data.chunks_exact_mut(x.cols).zip(&self.rows.positions) {
            let by = R::of(by.at(pos));
            row.iter_mut().for_each(|x| *x = *x * by);
        }
        x
    }

    fn head_columns(&mut self, x: &Mat<R>, head_dim: usize, start: usize, len: usize) -> Mat<R> {
        let cols = x.cols / head_dim * len;
        let heads = x.data.chunks_exact(head_dim);
        Mat { data: heads.flat_map(|head| &head[start..start + len]).copied().collect(), cols }
    }

    fn join_heads(&mut self, a: &Mat<R>, b: &Mat<R>, n_head: usize) -> Mat<R> {
        let (of_a, of_b) = (a.cols / n_head, b.cols / n_head);
        let pairs = a.data.chunks_exact(of_a).zip(b.data.chunks_exact(of_b));
        let data = pairs.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
        Mat { data, cols: a.cols + b.cols }
    }

    fn columns(&mut self, x: &Mat<R>, start: usize, len: usize) -> Mat<R> {
        let rows = x.data.chunks_exact(x.cols);
        Mat { data: rows.flat_map(|row| &row[start..start + len]).copied().collect(), cols: len }
    }

    fn wanted_rows(&mut self, x: Mat<R>) -> Mat<R> {
        let mut data = Vec::with_capacity(self.rows.wanted.len() * x.cols);
        for &row in &self.rows.wanted {
            let from = row as usize * x.cols;
            data.extend_from_slice(&x.data[from..from + x.cols]);
        }
        Mat { data, cols: x.cols }
    }
}
