//! One block of the cache against the rows of one tile: scores, softmax so far, mixed values.

use super::{Attention, KV_BLOCK};
use crate::elementwise::soft_cap_lanes;
use crate::float16::f16_to_f32;
use crate::isa::prefetch;
use crate::lanes::{Lanes, each_isa};
use crate::math::exp_lanes;
use std::ops::Range;

/// A number of the cache.
pub(crate) trait Cell: Copy + Send + Sync {
    /// # Safety
    /// 16 cells are at `at`.
    unsafe fn load<V: Lanes>(at: *const Self) -> V;
    fn to_f32(self) -> f32;
}

impl Cell for f32 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(at: *const f32) -> V {
        // SAFETY: as the caller promises.
        unsafe { V::load_at(at) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Cell for u16 {
    #[inline(always)]
    unsafe fn load<V: Lanes>(at: *const u16) -> V {
        // SAFETY: as the caller promises.
        unsafe { V::load_f16_at(at) }
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16_to_f32(self)
    }
}

/// A block and the rows that look at it.
pub(super) struct Tile<'a, C> {
    pub attention: &'a Attention<'a>,
    /// (key_dim, 64)
    pub k: &'a [C],
    /// (64, value_dim)
    pub v: &'a [C],
    /// (queries, heads of the group, key_dim)
    pub q: &'a [f32],
    pub first_head: usize,
    /// Position of the first query.
    pub first_pos: usize,
    pub n_queries: usize,
    /// Position of the block's first lane.
    pub block_pos: usize,
    /// Positions of the sequence.
    pub len: usize,
    /// The keys that are read after this block; null if none are.
    pub next: *const C,
}

impl<C> Tile<'_, C> {
    /// The lanes of the block that query `t` sees.
    #[inline(always)]
    fn lanes(&self, t: usize) -> Range<usize> {
        let seen = self.attention.seen(self.first_pos + t, self.len);
        let start = seen.start.clamp(self.block_pos, self.block_pos + KV_BLOCK) - self.block_pos;
        let end = seen.end.clamp(self.block_pos, self.block_pos + KV_BLOCK) - self.block_pos;
        start..end
    }
}

each_isa! {
    /// Folds the block into the partial results, (rows, 2 + value_dim), of the rows that see any
    /// of it. `scores` is (rows, 64), for use in here.
    pub(super) fn fold_block(tile: &Tile<'_, C>, scores: &mut [f32], partials: &mut [f32])
        = fold_block_lanes <C: Cell>;
}

#[inline(always)]
fn fold_block_lanes<V: Lanes, C: Cell>(
    tile: &Tile<'_, C>,
    scores: &mut [f32],
    partials: &mut [f32],
) {
    let a = tile.attention;
    let (group, row_len) = (a.group(), a.value_dim + 2);
    // Those that see something follow each other.
    let sees = |t: &usize| !tile.lanes(*t).is_empty();
    let Some(first) = (0..tile.n_queries).find(sees) else { return };
    let n_seeing = (first..tile.n_queries).take_while(sees).count();
    let rows = first * group..(first + n_seeing) * group;
    let q = &tile.q[rows.start * a.key_dim..rows.end * a.key_dim];
    let scores = &mut scores[rows.start * KV_BLOCK..rows.end * KV_BLOCK];
    let partials = &mut partials[rows.start * row_len..rows.end * row_len];
    scores.fill(0.0);
    let n_rows = rows.len();
    let product = Product {
        a: q,
        a_stride: a.key_dim,
        b: tile.k,
        b_stride: KV_BLOCK,
        n: a.key_dim,
        c_stride: KV_BLOCK,
        width: KV_BLOCK,
        next: tile.v.as_ptr(),
    };
    product.add_to::<V>(n_rows, scores);
    for r in 0..n_rows {
        let t = first + r / group;
        let scores = &mut scores[r * KV_BLOCK..][..KV_BLOCK];
        let partial = &mut partials[r * row_len..][..row_len];
        soften::<V, C>(tile, t, tile.first_head + r % group, scores, partial);
    }
    mix_values::<V, C>(tile, first, n_seeing, scores, partials);
}

/// Scores of one row to weights relative to its new maximum; what it has so far is scaled to it.
#[inline(always)]
fn soften<V: Lanes, C: Cell>(
    tile: &Tile<'_, C>,
    t: usize,
    head: usize,
    scores: &mut [f32],
    partial: &mut [f32],
) {
    let a = tile.attention;
    let lanes = tile.lanes(t);
    let pos = tile.first_pos + t;
    let mut highest = V::splat(f32::NEG_INFINITY);
    for (i, scores) in scores.chunks_exact_mut(16).enumerate() {
        let mut s = V::load(scores).mul(V::splat(a.scale));
        if let Some(cap) = a.soft_cap {
            s = soft_cap_lanes(s, cap);
        }
        s.store(scores);
        if let Some(slopes) = a.alibi {
            for (lane, score) in scores.iter_mut().enumerate() {
                let distance = pos.abs_diff(tile.block_pos + i * 16 + lane);
                *score = (-slopes[head]).mul_add(distance as f32, *score);
            }
        }
        if lanes.len() < KV_BLOCK {
            for (lane, score) in (i * 16..).zip(scores.iter_mut()) {
                if !lanes.contains(&lane) {
                    *score = f32::NEG_INFINITY;
                }
            }
        }
        highest = V::load(scores).max(highest);
    }
    let highest = highest.highest();
    let max = if highest > partial[0] { highest } else { partial[0] };
    let mut sum = V::splat(0.0);
    for scores in scores.chunks_exact_mut(16) {
        let p = exp_lanes(V::load(scores).sub(V::splat(max)));
        p.store(scores);
        sum = sum.add(p);
    }
    let shrink = exp_lanes(partial[0] - max);
    partial[0] = max;
    partial[1] = partial[1].mul_add(shrink, sum.sum());
    for mixed in partial[2..].chunks_mut(16) {
        V::load_some(mixed, 0.0).mul(V::splat(shrink)).store_some(mixed);
    }
}

/// Adds the values, by their weights, in ascending order of positions and only those that a row
/// sees: what lies beyond may be anything.
#[inline(always)]
fn mix_values<V: Lanes, C: Cell>(
    tile: &Tile<'_, C>,
    first: usize,
    n_seeing: usize,
    scores: &[f32],
    partials: &mut [f32],
) {
    let a = tile.attention;
    let (group, row_len) = (a.group(), a.value_dim + 2);
    let mut t = 0;
    while t < n_seeing {
        let lanes = tile.lanes(first + t);
        let alike = (t..n_seeing).take_while(|&u| tile.lanes(first + u) == lanes).count();
        let product = Product {
            a: &scores[t * group * KV_BLOCK + lanes.start..],
            a_stride: KV_BLOCK,
            b: &tile.v[lanes.start * a.value_dim..],
            b_stride: a.value_dim,
            n: lanes.len(),
            c_stride: row_len,
            width: a.value_dim,
            next: tile.next,
        };
        product.add_to::<V>(alike * group, &mut partials[t * group * row_len + 2..]);
        t += alike;
    }
}

/// `c += a b`, each output a chain of fused multiply-adds in ascending order of `n`.
struct Product<'a, C> {
    /// (rows, n)
    a: &'a [f32],
    a_stride: usize,
    /// (n, width)
    b: &'a [C],
    b_stride: usize,
    n: usize,
    /// c is (rows, width)
    c_stride: usize,
    width: usize,
    /// Fetched while the first rows read b, at the same places: what is read next, or null.
    next: *const C,
}

impl<C: Cell> Product<'_, C> {
    #[inline(always)]
    fn add_to<V: Lanes>(&self, n_rows: usize, c: &mut [f32]) {
        if n_rows == 0 || self.n == 0 {
            return;
        }
        assert!(self.a.len() >= (n_rows - 1) * self.a_stride + self.n);
        assert!(self.b.len() >= (self.n - 1) * self.b_stride + self.width);
        assert!(c.len() >= (n_rows - 1) * self.c_stride + self.width);
        let c = c.as_mut_ptr();
        let mut row = 0;
        // SAFETY: rows and lanes stay within what was checked.
        unsafe {
            // Twice the rows and lanes keep both multipliers busy and halve the conversions.
            if V::REGISTERS >= 32 {
                while n_rows - row >= 12 {
                    self.rows::<V, 12, 2>(row, c);
                    row += 12;
                }
            }
            while n_rows - row >= 6 {
                self.rows::<V, 6, 1>(row, c);
                row += 6;
            }
            match n_rows - row {
                5 => self.rows::<V, 5, 1>(row, c),
                4 => self.rows::<V, 4, 1>(row, c),
                3 => self.rows::<V, 3, 2>(row, c),
                2 => self.rows::<V, 2, 2>(row, c),
                1 => self.rows::<V, 1, 4>(row, c),
                _ => {}
            }
        }
    }

    /// `R` rows, `P` times 16 lanes at a time.
    ///
    /// # Safety
    /// `row + R` rows are within a and c.
    #[inline(always)]
    unsafe fn rows<V: Lanes, const R: usize, const P: usize>(&self, row: usize, c: *mut f32) {
        let mut at = 0;
        // SAFETY: `at` stays within the width.
        unsafe {
            while at + 16 * P <= self.width {
                self.tile::<V, R, P>(row, at, c);
                at += 16 * P;
            }
            while at + 16 <= self.width {
                self.tile::<V, R, 1>(row, at, c);
                at += 16;
            }
            for at in at..self.width {
                for r in row..row + R {
                    let sum = c.add(r * self.c_stride + at);
                    for i in 0..self.n {
                        let b = self.b.get_unchecked(i * self.b_stride + at).to_f32();
                        *sum = self.a.get_unchecked(r * self.a_stride + i).mul_add(b, *sum);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Product::rows`], with `at + 16 P` within the width.
    #[inline(always)]
    unsafe fn tile<V: Lanes, const R: usize, const P: usize>(
        &self,
        row: usize,
        at: usize,
        c: *mut f32,
    ) {
        // SAFETY: within a, b and c, as the caller promises.
        unsafe {
            let a = self.a.as_ptr().add(row * self.a_stride);
            let mut b = self.b.as_ptr().add(at);
            let c = c.add(row * self.c_stride + at);
            let mut sums = [[V::splat(0.0); P]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (p, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load_at(c.add(r * self.c_stride + p * 16));
                }
            }
            let is_first = row == 0 && !self.next.is_null();
            let mut next = self.next.wrapping_add(at);
            for i in 0..self.n {
                if is_first {
                    fetch_cells(next, 16 * P);
                    next = next.wrapping_add(self.b_stride);
                }
                // No closure here: the compiler may call it, and then keeps the sums in memory.
                let mut bs = [V::splat(0.0); P];
                for (p, bs) in bs.iter_mut().enumerate() {
                    *bs = C::load::<V>(b.add(p * 16));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let a = V::splat(*a.add(r * self.a_stride + i));
                    for (b, sum) in bs.iter().zip(sums.iter_mut()) {
                        *sum = a.mul_add(*b, *sum);
                    }
                }
                b = b.wrapping_add(self.b_stride);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (p, sum) in sums.iter().enumerate() {
                    sum.store_at(c.add(r * self.c_stride + p * 16));
                }
            }
        }
    }
}

/// Asks for some cells; places that are not there are harmless.
#[inline(always)]
fn fetch_cells<C>(at: *const C, n: usize) {
    for line in 0..(n * size_of::<C>()).div_ceil(64) {
        prefetch(at.cast::<u8>().wrapping_add(64 * line));
    }
}
