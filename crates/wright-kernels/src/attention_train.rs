//! Causal attention over whole rows of tokens, forward and backward, for training.
//!
//! There is no KV cache: queries, keys and values of all tokens are at hand. Tokens lie in spans,
//! and none sees another span: a span is a document, so documents in one row stay apart. Of the
//! scores only a strip of some queries against the keys that they may see exists at a time
//! (Dao et al., "FlashAttention", 2022, section 3.1: the backward pass computes it again from
//! the log-sum-exp of each row). Score scale and sliding window are known; soft caps, sinks and
//! ALiBi are not. One task is one key/value head of one span; the queries of all heads that share
//! it go through each product together, so that its keys and values are packed once for them.

use crate::Pool;
use crate::gemm::{Into, Operand, gemm};
use crate::lanes::{Lanes, each_isa};
use crate::math::{exp_lanes, ln};
use crate::pool::Parts;
use std::cell::RefCell;
use std::ops::Range;

/// Queries whose scores exist at a time.
const STRIP: usize = 48;

/// The heads of one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    pub n_head: usize,
    pub n_kv_head: usize,
    /// Length of a query and key vector.
    pub key_dim: usize,
    pub value_dim: usize,
    /// Scores are multiplied with it.
    pub scale: f32,
    /// A query at p sees keys above p - window, itself included.
    pub window: Option<usize>,
}

impl Shape {
    fn widths(&self) -> [usize; 4] {
        let Shape { n_head, n_kv_head, key_dim, value_dim, .. } = *self;
        [n_head * key_dim, n_kv_head * key_dim, n_kv_head * value_dim, n_head * value_dim]
    }

    /// First key that any query of a strip from `start` sees.
    fn first_key(&self, start: usize) -> usize {
        self.window.map_or(0, |w| (start + 1).saturating_sub(w))
    }
}

/// What attention reads: (T, heads × dim) each.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
}

/// What the forward pass gave and the backward pass needs again.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// (T, n_head * value_dim)
    pub out: &'a [f32],
    /// (T, n_head): log-sum-exp of the scores.
    pub lse: &'a [f32],
}

/// Gradients of the inputs, overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    pub dq: &'a mut [f32],
    pub dk: &'a mut [f32],
    pub dv: &'a mut [f32],
}

thread_local! {
    /// Of one strip: scores and their gradients, and two matrices as wide as a head.
    static STRIPS: RefCell<[Vec<f32>; 4]> = const { RefCell::new([const { Vec::new() }; 4]) };
}

/// Writes attention's `out` (T, n_head * value_dim) and the `lse` (T, n_head) of its scores.
///
/// # Panics
/// If lengths do not fit or a span lies outside of the rows.
pub fn attention(
    pool: &Pool,
    shape: &Shape,
    spans: &[Range<usize>],
    inputs: Inputs<'_>,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let rows = check(shape, spans, &inputs);
    assert!(out.len() == rows * shape.widths()[3] && lse.len() == rows * shape.n_head);
    let (out, lse) = (Parts::new(out), Parts::new(lse));
    each_head(pool, shape, spans, &|span, kv_head| {
        let at = At { shape, span: span.clone(), kv_head };
        for start in (0..span.len()).step_by(STRIP) {
            forward_strip(pool, &at, start, inputs, &out, &lse);
        }
    });
}

/// Writes the gradients of queries, keys and values, given that of the output.
///
/// With P = exp(S − lse): dV = Pᵀ dO, dS = P ∘ (dO Vᵀ − rowsum(dO ∘ O)), dQ = dS K, dK = dSᵀ Q.
///
/// # Panics
/// If lengths do not fit or a span lies outside of the rows.
pub fn attention_backward(
    pool: &Pool,
    shape: &Shape,
    spans: &[Range<usize>],
    inputs: Inputs<'_>,
    outputs: Outputs<'_>,
    dout: &[f32],
    gradients: Gradients<'_>,
) {
    let rows = check(shape, spans, &inputs);
    let [q, k, v, o] = shape.widths();
    let Gradients { dq, dk, dv } = gradients;
    assert!(dq.len() == rows * q && dk.len() == rows * k && dv.len() == rows * v);
    assert!(dout.len() == rows * o && outputs.out.len() == rows * o);
    assert!(outputs.lse.len() == rows * shape.n_head);
    let grads = [Parts::new(dq), Parts::new(dk), Parts::new(dv)];
    each_head(pool, shape, spans, &|span, kv_head| {
        KEYS.with_borrow_mut(|[dk, dv]| {
            let dk = at_least(dk, span.len() * shape.key_dim);
            let dv = at_least(dv, span.len() * shape.value_dim);
            dk.fill(0.0);
            dv.fill(0.0);
            let at = At { shape, span: span.clone(), kv_head };
            for start in (0..span.len()).step_by(STRIP) {
                backward_strip(pool, &at, start, inputs, outputs, dout, &grads[0], [dk, dv]);
            }
            scatter(&grads[1], dk, span.start, k, kv_head, shape.key_dim);
            scatter(&grads[2], dv, span.start, v, kv_head, shape.value_dim);
        });
    });
}

/// Copies rows of one head (n, dim) into its columns of rows `row ..` of `width` values.
fn scatter(to: &Parts<'_, f32>, from: &[f32], row: usize, width: usize, head: usize, dim: usize) {
    for (i, values) in from.chunks_exact(dim).enumerate() {
        // SAFETY: a row of a head belongs to one task, and one slice lives at a time.
        let part = unsafe { to.slice((row + i) * width + head * dim, dim) };
        part.copy_from_slice(values);
    }
}

fn check(shape: &Shape, spans: &[Range<usize>], inputs: &Inputs<'_>) -> usize {
    let [q, k, v, _] = shape.widths();
    let rows = inputs.q.len() / q;
    assert!(shape.n_head.is_multiple_of(shape.n_kv_head), "heads share keys evenly");
    assert!(inputs.q.len() == rows * q && inputs.k.len() == rows * k && inputs.v.len() == rows * v);
    let mut end = 0;
    for span in spans {
        assert!(span.start == end && span.end > end, "spans follow one another");
        end = span.end;
    }
    assert_eq!(end, rows, "each row belongs to a span");
    rows
}

/// Runs a task for each span and key/value head, the longest spans first.
fn each_head(
    pool: &Pool,
    shape: &Shape,
    spans: &[Range<usize>],
    task: &(dyn Fn(&Range<usize>, usize) + Sync),
) {
    let mut order: Vec<&Range<usize>> = spans.iter().collect();
    order.sort_by_key(|span| std::cmp::Reverse(span.len()));
    pool.run(spans.len() * shape.n_kv_head, &|i| {
        task(order[i / shape.n_kv_head], i % shape.n_kv_head);
    });
}

/// Where a key/value head of a span lies, and the heads that share it.
struct At<'a> {
    shape: &'a Shape,
    span: Range<usize>,
    kv_head: usize,
}

impl At<'_> {
    /// Heads that share the keys.
    fn group(&self) -> usize {
        self.shape.n_head / self.shape.n_kv_head
    }

    /// The head of row `r` of a strip of `n` queries, and its query in the strip.
    fn head(&self, r: usize, n: usize) -> (usize, usize) {
        (self.kv_head * self.group() + r / n, r % n)
    }

    /// Keys and values (seen, dim) from key `first` on.
    fn keys<'b>(&self, x: Inputs<'b>, first: usize) -> [Operands<'b>; 2] {
        let [_, kw, vw, _] = self.shape.widths();
        let row = self.span.start + first;
        [
            Operands { data: &x.k[row * kw + self.kv_head * self.shape.key_dim..], stride: kw },
            Operands { data: &x.v[row * vw + self.kv_head * self.shape.value_dim..], stride: vw },
        ]
    }

    /// Rows `start .. start + n` of all heads, one head after the other: (group * n, dim).
    fn gather(&self, from: &[f32], (start, n): (usize, usize), dim: usize, to: &mut [f32]) {
        let width = self.shape.n_head * dim;
        for (r, to) in to.chunks_exact_mut(dim).enumerate() {
            let (head, i) = self.head(r, n);
            to.copy_from_slice(&from[(self.span.start + start + i) * width + head * dim..][..dim]);
        }
    }

    /// The way back of [`At::gather`].
    fn spread(&self, from: &[f32], (start, n): (usize, usize), dim: usize, to: &Parts<'_, f32>) {
        let width = self.shape.n_head * dim;
        for (head, from) in from.chunks_exact(n * dim).enumerate() {
            let head = self.kv_head * self.group() + head;
            scatter(to, from, self.span.start + start, width, head, dim);
        }
    }
}

/// A matrix in a wider one.
#[derive(Clone, Copy)]
struct Operands<'a> {
    data: &'a [f32],
    stride: usize,
}

impl<'a> Operands<'a> {
    fn plain(self) -> Operand<'a> {
        Operand::new(self.data, self.stride)
    }

    fn transposed(self) -> Operand<'a> {
        Operand::transposed(self.data, self.stride)
    }
}

/// The first `len` values of a buffer that only grows.
fn at_least(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

fn forward_strip(
    pool: &Pool,
    at: &At<'_>,
    start: usize,
    inputs: Inputs<'_>,
    out: &Parts<'_, f32>,
    lse: &Parts<'_, f32>,
) {
    let shape = at.shape;
    let n = STRIP.min(at.span.len() - start);
    let first = shape.first_key(start);
    let (rows, seen) = (at.group() * n, start + n - first);
    let [k, v] = at.keys(inputs, first);
    STRIPS.with_borrow_mut(|[scores, _, side, strip]| {
        let scores = at_least(scores, rows * seen);
        let q = at_least(side, rows * shape.key_dim);
        at.gather(inputs.q, (start, n), shape.key_dim, q);
        let q = Operand::new(q, shape.key_dim);
        gemm(pool, (rows, seen, shape.key_dim), q, k.transposed(), scores, seen, Into::Overwrite);
        for (r, row) in scores.chunks_exact_mut(seen).enumerate() {
            let (head, i) = at.head(r, n);
            let query = start + i;
            let visible = shape.first_key(query) - first..query + 1 - first;
            // SAFETY: a row of a head belongs to one task.
            let lse = unsafe { lse.slice((at.span.start + query) * shape.n_head + head, 1) };
            lse[0] = softmax(pool.isa(), row, visible.start, visible.end, shape.scale);
        }
        let strip = at_least(strip, rows * shape.value_dim);
        let size = (rows, shape.value_dim, seen);
        let scores = Operand::new(scores, seen);
        gemm(pool, size, scores, v.plain(), strip, shape.value_dim, Into::Overwrite);
        at.spread(strip, (start, n), shape.value_dim, out);
    });
}

thread_local! {
    /// Gradients of the keys and values of one head of one span.
    static KEYS: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

each_isa! {
    fn softmax(row: &mut [f32], from: usize, to: usize, scale: f32) -> f32 = softmax_body;
}

/// Softmax of `row[from..to]`, 0 elsewhere. Returns the log-sum-exp of the scaled scores.
#[inline(always)]
fn softmax_body<V: Lanes>(row: &mut [f32], from: usize, to: usize, scale: f32) -> f32 {
    row[..from].fill(0.0);
    row[to..].fill(0.0);
    let row = &mut row[from..to];
    let mut highest = V::splat(f32::NEG_INFINITY);
    for x in row.chunks(16) {
        highest = V::load_some(x, f32::NEG_INFINITY).max(highest);
    }
    let highest = highest.highest() * scale;
    let mut sum = V::splat(0.0);
    let (shift, by) = (V::splat(-highest), V::splat(scale));
    for x in row.chunks_mut(16) {
        let e = exp_lanes(V::load_some(x, f32::NEG_INFINITY).mul_add(by, shift));
        sum = sum.add(e);
        e.store_some(x);
    }
    let sum = sum.sum();
    let inverse = V::splat(1.0 / sum);
    for x in row.chunks_mut(16) {
        V::load_some(x, 0.0).mul(inverse).store_some(x);
    }
    (f64::from(highest) + ln(f64::from(sum))) as f32
}

#[allow(clippy::too_many_arguments)]
fn backward_strip(
    pool: &Pool,
    at: &At<'_>,
    start: usize,
    inputs: Inputs<'_>,
    outputs: Outputs<'_>,
    dout: &[f32],
    dq: &Parts<'_, f32>,
    [dk, dv]: [&mut [f32]; 2],
) {
    let shape = at.shape;
    let (key_dim, value_dim) = (shape.key_dim, shape.value_dim);
    let width = shape.widths()[3];
    let n = STRIP.min(at.span.len() - start);
    let first = shape.first_key(start);
    let (rows, seen) = (at.group() * n, start + n - first);
    let [k, v] = at.keys(inputs, first);
    STRIPS.with_borrow_mut(|[p, ds, side, strip]| {
        let (p, ds) = (at_least(p, rows * seen), at_least(ds, rows * seen));
        let d = at_least(strip, rows * value_dim);
        at.gather(dout, (start, n), value_dim, d);
        let d = Operand::new(d, value_dim);
        gemm(pool, (rows, seen, value_dim), d, v.transposed(), ds, seen, Into::Overwrite);
        let q = at_least(side, rows * key_dim);
        at.gather(inputs.q, (start, n), key_dim, q);
        let q = Operand::new(q, key_dim);
        gemm(pool, (rows, seen, key_dim), q, k.transposed(), p, seen, Into::Overwrite);
        for (r, (p, ds)) in p.chunks_exact_mut(seen).zip(ds.chunks_exact_mut(seen)).enumerate() {
            let (head, i) = at.head(r, n);
            let row = at.span.start + start + i;
            let visible = shape.first_key(start + i) - first..start + i + 1 - first;
            let part = row * width + head * value_dim..;
            let lse = outputs.lse[row * shape.n_head + head];
            let (dout, out) = (&dout[part.clone()][..value_dim], &outputs.out[part][..value_dim]);
            slope(pool.isa(), p, ds, visible, shape.scale, lse, (dout, out));
        }
        let (dk, dv) = (&mut dk[first * key_dim..], &mut dv[first * value_dim..]);
        let p_t = Operand::transposed(p, seen);
        gemm(pool, (seen, value_dim, rows), p_t, d, dv, value_dim, Into::Add);
        let ds_t = Operand::transposed(ds, seen);
        gemm(pool, (seen, key_dim, rows), ds_t, q, dk, key_dim, Into::Add);
        let strip = at_least(strip, rows * key_dim);
        let ds = Operand::new(ds, seen);
        gemm(pool, (rows, key_dim, seen), ds, k.plain(), strip, key_dim, Into::Overwrite);
        at.spread(strip, (start, n), key_dim, dq);
    });
}

each_isa! {
    fn slope(
        p: &mut [f32],
        ds: &mut [f32],
        visible: Range<usize>,
        scale: f32,
        lse: f32,
        d_and_out: (&[f32], &[f32]),
    ) = slope_body;
}

/// From scores and dP to P and the gradient of the unscaled scores; 0 where nothing is seen.
#[inline(always)]
fn slope_body<V: Lanes>(
    p: &mut [f32],
    ds: &mut [f32],
    visible: Range<usize>,
    scale: f32,
    lse: f32,
    (dout, out): (&[f32], &[f32]),
) {
    for x in [&mut *p, &mut *ds] {
        x[..visible.start].fill(0.0);
        x[visible.end..].fill(0.0);
    }
    let mut delta = V::splat(0.0);
    for (a, b) in dout.chunks(16).zip(out.chunks(16)) {
        delta = V::load_some(a, 0.0).mul_add(V::load_some(b, 0.0), delta);
    }
    let (delta, shift, by) = (V::splat(delta.sum()), V::splat(-lse), V::splat(scale));
    let pairs = p[visible.clone()].chunks_mut(16).zip(ds[visible].chunks_mut(16));
    for (p, ds) in pairs {
        let probability = exp_lanes(V::load_some(p, 0.0).mul_add(by, shift));
        let d = V::load_some(ds, 0.0).sub(delta).mul(probability).mul(by);
        probability.store_some(p);
        d.store_some(ds);
    }
}

#[cfg(test)]
mod tests;
