//! Causal attention over whole rows of tokens, forward and backward, for training.
//!
//! There is no KV cache: queries, keys and values of all tokens are at hand. Tokens lie in spans,
//! and none sees another span: a span is a document, so documents in one row stay apart. Of the
//! scores only a tile of some queries against the keys that they may see exists at a time
//! (Dao et al., "FlashAttention", 2022, section 3.1: the backward pass computes it again from
//! the log-sum-exp of each row). Score scale and sliding window are known; soft caps, sinks and
//! ALiBi are not.
//!
//! One task is one key/value head of one span. A tile lies in memory by keys, sixteen queries of
//! a head side by side: (keys seen, columns), where a column is a query of one of the heads that
//! share the keys. So maxima and sums of the softmax run over lanes that stand for queries, keys
//! and values are multiplied as they lie, and what is packed is packed once for many tiles.

use crate::Pool;
use crate::gemm::Operand;
use crate::pool::Parts;
use std::cell::RefCell;
use std::ops::Range;

mod query_tile;

use query_tile::{QueryTile, Scratch};

/// Queries side by side.
const LANES: usize = 16;
/// Heads that share keys and go through a tile together, at most.
const HEADS_MAX: usize = 4;
/// Columns of a tile at the least: a product over fewer would not pay.
const COLUMNS_MIN: usize = 48;

/// The heads of one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
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

impl AttentionShape {
    fn widths(&self) -> [usize; 4] {
        let AttentionShape { n_head, n_kv_head, key_dim, value_dim, .. } = *self;
        [n_head * key_dim, n_kv_head * key_dim, n_kv_head * value_dim, n_head * value_dim]
    }

    /// First key that any query of a tile from `start` sees.
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
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// Writes attention's `out` (T, n_head * value_dim) and the `lse` (T, n_head) of its scores.
///
/// # Panics
/// If lengths do not fit or a span lies outside of the rows.
pub fn attention(
    pool: &Pool,
    shape: &AttentionShape,
    spans: &[Range<usize>],
    inputs: Inputs<'_>,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let rows = check(shape, spans, &inputs);
    assert!(out.len() == rows * shape.widths()[3] && lse.len() == rows * shape.n_head);
    let (out, lse) = (Parts::new(out), Parts::new(lse));
    each_head(pool, shape, spans, &|span, kv_head| {
        SCRATCH.with_borrow_mut(|scratch| {
            let [_, v] = keys(shape, span, kv_head, inputs);
            scratch.values.pack(pool.isa(), v, (span.len(), shape.value_dim));
            each_tile(shape, span, kv_head, |tile| {
                tile.forward(pool.isa(), inputs, scratch, &out, &lse);
            });
        });
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
    shape: &AttentionShape,
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
    let [dq, dk, dv] = [Parts::new(dq), Parts::new(dk), Parts::new(dv)];
    each_head(pool, shape, spans, &|span, kv_head| {
        SCRATCH.with_borrow_mut(|scratch| {
            let (n, isa) = (span.len(), pool.isa());
            let [keys, _] = keys(shape, span, kv_head, inputs);
            scratch.keys.pack(isa, keys, (n, shape.key_dim));
            scratch.clear(n * shape.key_dim, n * shape.value_dim);
            each_tile(shape, span, kv_head, |tile| {
                tile.backward(isa, inputs, outputs, dout, scratch, &dq);
            });
            let [dk_head, dv_head] = scratch.key_gradients(n * shape.key_dim, n * shape.value_dim);
            scatter(&dk, dk_head, span.start, k, kv_head, shape.key_dim);
            scatter(&dv, dv_head, span.start, v, kv_head, shape.value_dim);
        });
    });
}

/// Keys and values (T, dim) of a head of a span.
fn keys<'a>(
    shape: &AttentionShape,
    span: &Range<usize>,
    kv_head: usize,
    inputs: Inputs<'a>,
) -> [Operand<'a>; 2] {
    let [_, kw, vw, _] = shape.widths();
    [
        Operand::new(&inputs.k[span.start * kw + kv_head * shape.key_dim..], kw),
        Operand::new(&inputs.v[span.start * vw + kv_head * shape.value_dim..], vw),
    ]
}

/// Calls `f` with the tiles of a span and a key/value head, the earliest queries first.
fn each_tile(
    shape: &AttentionShape,
    span: &Range<usize>,
    kv_head: usize,
    mut f: impl FnMut(&QueryTile<'_>),
) {
    let group = shape.n_head / shape.n_kv_head;
    for first in (0..group).step_by(HEADS_MAX) {
        let n_heads = HEADS_MAX.min(group - first);
        let side = COLUMNS_MIN.div_ceil(LANES * n_heads) * LANES;
        for start in (0..span.len()).step_by(side) {
            let first_head = kv_head * group + first;
            f(&QueryTile { shape, span: span.clone(), kv_head, first_head, n_heads, start, side });
        }
    }
}

/// Copies rows of one head (n, dim) into its columns of rows `row ..` of `width` values.
fn scatter(to: &Parts<'_, f32>, from: &[f32], row: usize, width: usize, head: usize, dim: usize) {
    for (i, values) in from.chunks_exact(dim).enumerate() {
        // SAFETY: a row of a head belongs to one task, and one slice lives at a time.
        let part = unsafe { to.slice((row + i) * width + head * dim, dim) };
        part.copy_from_slice(values);
    }
}

fn check(shape: &AttentionShape, spans: &[Range<usize>], inputs: &Inputs<'_>) -> usize {
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
    shape: &AttentionShape,
    spans: &[Range<usize>],
    task: &(dyn Fn(&Range<usize>, usize) + Sync),
) {
    let mut order: Vec<&Range<usize>> = spans.iter().collect();
    order.sort_by_key(|span| std::cmp::Reverse(span.len()));
    pool.run(spans.len() * shape.n_kv_head, &|i| {
        task(order[i / shape.n_kv_head], i % shape.n_kv_head);
    });
}

#[cfg(test)]
mod tests;
