//! Some queries of the heads that share keys, against all keys that they may see.

use super::{AttentionShape, Inputs, LANES, Outputs, keys, scatter};
use crate::Isa;
use crate::gemm::{Aligned, Into, Operand, Panels};
use crate::lanes::{Lanes, each_isa};
use crate::math::{exp_lanes, ln};
use crate::pool::Parts;
use std::ops::Range;

/// Which queries: `side` of each head from `start` on, fewer at the end of the span.
pub(super) struct QueryTile<'a> {
    pub shape: &'a AttentionShape,
    pub span: Range<usize>,
    pub kv_head: usize,
    pub first_head: usize,
    pub n_heads: usize,
    /// The first query, counted from the start of the span.
    pub start: usize,
    /// Columns of each head: whole lanes.
    pub side: usize,
}

/// Memory of a thread, kept from task to task.
pub(super) struct Scratch {
    /// Values of the head, for the way forward; keys, for the way back.
    pub values: Panels,
    pub keys: Panels,
    /// Queries and gradients of the output, (columns, dim) and transposed.
    q: Panels,
    q_across: Panels,
    d: Panels,
    d_across: Panels,
    /// Rows of the columns, gathered or to be spread: (columns, dim).
    rows: Aligned,
    /// Scores, then probabilities; and their gradients: (keys, columns).
    p: Aligned,
    ds: Aligned,
    /// Of each column: 1 / sum of exponentials, or log-sum-exp; and rowsum(dO ∘ O).
    norms: Aligned,
    deltas: Aligned,
    /// Gradients of the head's keys and values.
    dk: Aligned,
    dv: Aligned,
}

impl Scratch {
    pub const fn new() -> Self {
        Scratch {
            values: Panels::new(),
            keys: Panels::new(),
            q: Panels::new(),
            q_across: Panels::new(),
            d: Panels::new(),
            d_across: Panels::new(),
            rows: Aligned::new(),
            p: Aligned::new(),
            ds: Aligned::new(),
            norms: Aligned::new(),
            deltas: Aligned::new(),
            dk: Aligned::new(),
            dv: Aligned::new(),
        }
    }

    /// Sets the gradients of keys and values to 0.
    pub fn clear(&mut self, n_dk: usize, n_dv: usize) {
        self.dk.floats(n_dk).fill(0.0);
        self.dv.floats(n_dv).fill(0.0);
    }

    pub fn key_gradients(&mut self, n_dk: usize, n_dv: usize) -> [&[f32]; 2] {
        [self.dk.floats(n_dk), self.dv.floats(n_dv)]
    }
}

impl QueryTile<'_> {
    fn columns(&self) -> usize {
        self.n_heads * self.side
    }

    /// Queries of each head that are there.
    fn n_queries(&self) -> usize {
        self.side.min(self.span.len() - self.start)
    }

    /// The keys that any of the queries sees.
    fn seen(&self) -> Range<usize> {
        self.shape.first_key(self.start)..self.start + self.n_queries()
    }

    /// What sixteen columns see of the tile's rows.
    fn mask(&self, panel: usize) -> Mask {
        let first_query = self.start + panel * LANES % self.side;
        Mask { offset: first_query - self.seen().start, window: self.shape.window }
    }

    /// Rows of `from`, (T, n_head * dim), for each column: (columns, dim); 0 where none is.
    fn gather<'w>(&self, from: &[f32], dim: usize, rows: &'w mut Aligned) -> Operand<'w> {
        let width = self.shape.n_head * dim;
        let to = rows.floats(self.columns() * dim);
        for (column, to) in to.chunks_exact_mut(dim).enumerate() {
            let (head, query) = (self.first_head + column / self.side, column % self.side);
            if query < self.n_queries() {
                let row = self.span.start + self.start + query;
                to.copy_from_slice(&from[row * width + head * dim..][..dim]);
            } else {
                to.fill(0.0);
            }
        }
        Operand::new(to, dim)
    }

    /// The way back of [`QueryTile::gather`].
    fn spread(&self, rows: &[f32], dim: usize, to: &Parts<'_, f32>) {
        let row = self.span.start + self.start;
        for (head, rows) in rows.chunks_exact(self.side * dim).enumerate() {
            let head = self.first_head + head;
            let rows = &rows[..self.n_queries() * dim];
            scatter(to, rows, row, self.shape.n_head * dim, head, dim);
        }
    }

    /// Scores (keys, columns) of queries that are gathered in `q`.
    fn scores(&self, isa: Isa, inputs: Inputs<'_>, q: &Panels, p: &mut [f32]) {
        let (seen, dim) = (self.seen(), self.shape.key_dim);
        let [keys, _] = keys(self.shape, &self.from(seen.start), self.kv_head, inputs);
        let size = (seen.len(), self.columns(), dim);
        q.multiply(isa, size, keys, 0, p, self.columns(), Into::Overwrite);
    }

    /// The rows of the span from its key `first` on.
    fn from(&self, first: usize) -> Range<usize> {
        self.span.start + first..self.span.end
    }

    pub fn forward(
        &self,
        isa: Isa,
        inputs: Inputs<'_>,
        scratch: &mut Scratch,
        out: &Parts<'_, f32>,
        lse: &Parts<'_, f32>,
    ) {
        let (columns, seen, shape) = (self.columns(), self.seen(), self.shape);
        let q = self.gather(inputs.q, shape.key_dim, &mut scratch.rows);
        scratch.q_across.pack(isa, q.across(), (shape.key_dim, columns));
        let p = scratch.p.floats(seen.len() * columns);
        self.scores(isa, inputs, &scratch.q_across, p);
        let norms = scratch.norms.floats(columns);
        for panel in 0..columns / LANES {
            let first = panel * LANES;
            let ends = softmax(isa, p, columns, first, self.mask(panel), shape.scale);
            for (i, (highest, sum)) in ends.into_iter().enumerate() {
                norms[first + i] = 1.0 / sum;
                let (head, query) = ((first + i) / self.side, (first + i) % self.side);
                if query < self.n_queries() {
                    let row = self.span.start + self.start + query;
                    // SAFETY: a row of a head belongs to one task, and one slice lives at a time.
                    let lse = unsafe { lse.slice(row * shape.n_head + self.first_head + head, 1) };
                    lse[0] = (f64::from(highest) + ln(f64::from(sum))) as f32;
                }
            }
        }
        let dim = shape.value_dim;
        let rows = scratch.rows.floats(columns * dim);
        let size = (columns, dim, seen.len());
        let p = Operand::transposed(p, columns);
        scratch.values.multiply(isa, size, p, seen.start, rows, dim, Into::Overwrite);
        for (row, by) in rows.chunks_exact_mut(dim).zip(norms) {
            row.iter_mut().for_each(|x| *x *= *by);
        }
        self.spread(rows, dim, out);
    }

    pub fn backward(
        &self,
        isa: Isa,
        inputs: Inputs<'_>,
        outputs: Outputs<'_>,
        dout: &[f32],
        scratch: &mut Scratch,
        dq: &Parts<'_, f32>,
    ) {
        let (columns, seen, shape) = (self.columns(), self.seen(), self.shape);
        let (key_dim, value_dim) = (shape.key_dim, shape.value_dim);
        let q = self.gather(inputs.q, key_dim, &mut scratch.rows);
        scratch.q.pack(isa, q, (columns, key_dim));
        scratch.q_across.pack(isa, q.across(), (key_dim, columns));
        let d = self.gather(dout, value_dim, &mut scratch.rows);
        scratch.d.pack(isa, d, (columns, value_dim));
        scratch.d_across.pack(isa, d.across(), (value_dim, columns));
        let p = scratch.p.floats(seen.len() * columns);
        self.scores(isa, inputs, &scratch.q_across, p);
        let ds = scratch.ds.floats(seen.len() * columns);
        let [_, values] = keys(shape, &self.from(seen.start), self.kv_head, inputs);
        let size = (seen.len(), columns, value_dim);
        scratch.d_across.multiply(isa, size, values, 0, ds, columns, Into::Overwrite);
        let (lse, deltas) = (scratch.norms.floats(columns), scratch.deltas.floats(columns));
        self.ends(isa, outputs, dout, lse, deltas);
        for panel in 0..columns / LANES {
            let first = panel * LANES;
            let ends = (&lse[first..first + LANES], &deltas[first..first + LANES]);
            score_gradients(isa, p, ds, columns, first, self.mask(panel), shape.scale, ends);
        }
        let p = Operand::new(p, columns);
        let dv = &mut scratch.dv.floats(self.span.len() * value_dim)[seen.start * value_dim..];
        let size = (seen.len(), value_dim, columns);
        scratch.d.multiply(isa, size, p, 0, dv, value_dim, Into::Add);
        let dk = &mut scratch.dk.floats(self.span.len() * key_dim)[seen.start * key_dim..];
        let size = (seen.len(), key_dim, columns);
        scratch.q.multiply(isa, size, Operand::new(ds, columns), 0, dk, key_dim, Into::Add);
        let rows = scratch.rows.floats(columns * key_dim);
        let size = (columns, key_dim, seen.len());
        let ds = Operand::transposed(ds, columns);
        scratch.keys.multiply(isa, size, ds, seen.start, rows, key_dim, Into::Overwrite);
        self.spread(rows, key_dim, dq);
    }

    /// Of each column the log-sum-exp and rowsum(dO ∘ O); 0 where there is no query.
    fn ends(
        &self,
        isa: Isa,
        outputs: Outputs<'_>,
        dout: &[f32],
        lse: &mut [f32],
        deltas: &mut [f32],
    ) {
        let (shape, dim) = (self.shape, self.shape.value_dim);
        for (column, (lse, delta)) in lse.iter_mut().zip(deltas).enumerate() {
            let (head, query) = (self.first_head + column / self.side, column % self.side);
            (*lse, *delta) = (0.0, 0.0);
            if query < self.n_queries() {
                let at = (self.span.start + self.start + query) * shape.n_head + head;
                let part = at * dim..(at + 1) * dim;
                *lse = outputs.lse[at];
                *delta = dot(isa, &dout[part.clone()], &outputs.out[part]);
            }
        }
    }
}

/// Which rows of a tile sixteen queries, one after the other, see.
#[derive(Clone, Copy)]
struct Mask {
    /// Rows before that of the first query itself.
    offset: usize,
    window: Option<usize>,
}

impl Mask {
    /// `x`, and `hidden` in the lanes that do not see row `row`.
    #[inline(always)]
    fn apply<V: Lanes>(self, row: usize, x: V, hidden: V) -> V {
        let mut x = x;
        if row > self.offset {
            x = lanes::<V>().if_less(V::splat((row - self.offset) as f32), hidden, x);
        }
        if let Some(window) = self.window
            && row + window < self.offset + LANES
        {
            let end = (row + window) as f32 - self.offset as f32;
            x = lanes::<V>().if_less(V::splat(end), x, hidden);
        }
        x
    }
}

/// The number of each lane.
#[inline(always)]
fn lanes<V: Lanes>() -> V {
    const NUMBERS: [f32; LANES] =
        [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
    V::load(&NUMBERS)
}

each_isa! {
    fn softmax(
        tile: &mut [f32],
        columns: usize,
        first: usize,
        mask: Mask,
        scale: f32,
    ) -> [(f32, f32); LANES] = softmax_body;
}

/// Of each of sixteen columns of a tile, e^(score − highest), and (highest, sum) of the scaled
/// scores.
#[inline(always)]
fn softmax_body<V: Lanes>(
    tile: &mut [f32],
    columns: usize,
    first: usize,
    mask: Mask,
    scale: f32,
) -> [(f32, f32); LANES] {
    let nothing = V::splat(f32::NEG_INFINITY);
    let mut highest = nothing;
    for (row, x) in tile.chunks_exact(columns).enumerate() {
        highest = mask.apply(row, V::load(&x[first..first + LANES]), nothing).max(highest);
    }
    let by = V::splat(scale);
    let highest = highest.mul(by);
    let shift = V::splat(0.0).sub(highest);
    let mut sum = V::splat(0.0);
    for (row, x) in tile.chunks_exact_mut(columns).enumerate() {
        let x = &mut x[first..first + LANES];
        let e = exp_lanes(mask.apply(row, V::load(x), nothing).mul_add(by, shift));
        sum = sum.add(e);
        e.store(x);
    }
    let (highest, sum) = (highest.to_array(), sum.to_array());
    std::array::from_fn(|i| (highest[i], sum[i]))
}

each_isa! {
    fn score_gradients(
        p: &mut [f32],
        ds: &mut [f32],
        columns: usize,
        first: usize,
        mask: Mask,
        scale: f32,
        ends: (&[f32], &[f32]),
    ) = score_gradients_body;
}

/// From scores and dP of sixteen columns to P and the gradient of the unscaled scores; 0 where
/// nothing is seen. `ends` are log-sum-exp and rowsum(dO ∘ O).
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn score_gradients_body<V: Lanes>(
    p: &mut [f32],
    ds: &mut [f32],
    columns: usize,
    first: usize,
    mask: Mask,
    scale: f32,
    (lse, delta): (&[f32], &[f32]),
) {
    let (by, nothing) = (V::splat(scale), V::splat(0.0));
    let (shift, delta) = (nothing.sub(V::load(lse)), V::load(delta));
    let rows = p.chunks_exact_mut(columns).zip(ds.chunks_exact_mut(columns));
    for (row, (p, ds)) in rows.enumerate() {
        let (p, ds) = (&mut p[first..first + LANES], &mut ds[first..first + LANES]);
        let probability = exp_lanes(V::load(p).mul_add(by, shift));
        let probability = mask.apply(row, probability, nothing);
        V::load(ds).sub(delta).mul(probability).mul(by).store(ds);
        probability.store(p);
    }
}

each_isa! { fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body; }

#[inline(always)]
fn dot_body<V: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = V::splat(0.0);
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sum = V::load_some(a, 0.0).mul_add(V::load_some(b, 0.0), sum);
    }
    sum.sum()
}
