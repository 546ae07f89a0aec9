//! Fitting a grid to a few values by weighted least squares.
//!
//! Two kinds of grid: `d·q` with q in a signed range (`signed`), and `d·q + m` with q from 0
//! (`with_min`). Both try a range of steps around the one that spans the values, because the best
//! step clips the extremes a little or leaves them room, and keep the best.

use crate::{f16_to_f32, f32_to_f16};

/// Values in the largest sub-block that is fitted at once.
pub const MAX: usize = 32;

/// Candidate steps on each side of the plain one.
const TRIES: i32 = 9;

/// Nearest integer, halves to even, without a call to libm: exact for |x| < 2^22.
#[inline(always)]
pub fn nearest(x: f32) -> i32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23
    ((x + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
}

/// Nearest integer within `lo..=hi`, for an `x` of any size.
#[inline(always)]
pub fn nearest_in(x: f32, lo: i32, hi: i32) -> i32 {
    nearest(x.clamp(lo as f32 - 0.5, hi as f32 + 0.5)).clamp(lo, hi)
}

/// The bits of `x` as f16, kept finite.
#[inline(always)]
pub fn f16_bits(x: f32) -> u16 {
    f32_to_f16(x.clamp(-65504.0, 65504.0))
}

/// `x` as f16 would hold it, kept finite.
#[inline(always)]
pub fn round_f16(x: f32) -> f32 {
    f16_to_f32(f16_bits(x))
}

/// 1/x, or 0 where that is not finite.
#[inline(always)]
pub fn inverse(x: f32) -> f32 {
    let inverse = 1.0 / x;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// The weight of each value: importance × (rms + |x|) with a matrix or for grids with a minimum.
#[inline(always)]
pub fn weights(x: &[f32], importance: Option<&[f32]>, rms: f32) -> [f32; MAX] {
    let mut w = [0.0; MAX];
    for (i, (w, &x)) in w.iter_mut().zip(x).enumerate() {
        *w = match importance {
            Some(importance) => importance[i] * x.mul_add(x, rms * rms).sqrt(),
            None => rms + x.abs(),
        };
    }
    w
}

/// Root mean square.
#[inline(always)]
pub fn rms(x: &[f32]) -> f32 {
    (dot(x, x) / x.len() as f32).sqrt()
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = a.mul_add(*b, *lane);
        }
    }
    sum(lanes)
}

/// Sum of eight lanes by a fixed tree.
#[inline(always)]
fn sum(v: [f32; 8]) -> f32 {
    ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
}

/// The step `d` for `x ≈ d·q`, q in `lo..=hi` with `lo < 0 < hi`. 0 for values that are all 0.
///
/// The sign of `d` is free, so that the larger extreme may take the longer side of the range.
#[inline(always)]
pub fn signed(x: &[f32], w: &[f32], lo: i32, hi: i32) -> f32 {
    let mut extreme = 0.0f32;
    for &x in x {
        if x.abs() > extreme.abs() {
            extreme = x;
        }
    }
    if extreme == 0.0 {
        return 0.0;
    }
    let mut best_d = extreme / lo as f32;
    let mut best_gain = f32::MIN;
    for step in -TRIES..=TRIES {
        let inverse_d = (lo as f32 - 0.1 * step as f32) / extreme;
        let (xq, qq) = signed_sums(x, w, inverse_d, lo, hi);
        // With the best d for these q the weighted error falls by (Σwxq)² / Σwq².
        let gain = xq * xq / qq;
        if gain.is_finite() && gain > best_gain {
            best_gain = gain;
            best_d = xq / qq;
        }
    }
    best_d
}

/// (Σ w·x·q, Σ w·q·q) for q = nearest(x / d).
#[inline(always)]
fn signed_sums(x: &[f32], w: &[f32], inverse_d: f32, lo: i32, hi: i32) -> (f32, f32) {
    let mut xq = [0.0f32; 8];
    let mut qq = [0.0f32; 8];
    for (x, w) in x.chunks_exact(8).zip(w.chunks_exact(8)) {
        for lane in 0..8 {
            let q = nearest_in(x[lane] * inverse_d, lo, hi) as f32;
            let wq = w[lane] * q;
            xq[lane] = wq.mul_add(x[lane], xq[lane]);
            qq[lane] = wq.mul_add(q, qq[lane]);
        }
    }
    (sum(xq), sum(qq))
}

/// A fitted grid `d·q + m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub d: f32,
    pub m: f32,
}

/// The grid for `x ≈ d·q + m`, q in `0..=hi`; `d ≥ 0`. With `m_at_most_0` the grid reaches down
/// from 0, as in formats that store a subtracted minimum.
#[inline(always)]
pub fn with_min(x: &[f32], w: &[f32], hi: i32, m_at_most_0: bool) -> Grid {
    let (mut lowest, mut highest) = (f32::MAX, f32::MIN);
    for &x in x {
        lowest = lowest.min(x);
        highest = highest.max(x);
    }
    if m_at_most_0 {
        lowest = lowest.min(0.0);
    }
    if highest <= lowest {
        return Grid { d: 0.0, m: lowest };
    }
    let span = highest - lowest;
    let mut best = Grid { d: span / hi as f32, m: lowest };
    let mut best_error = error(x, w, hi, best);
    for step in -TRIES..=TRIES {
        let inverse_d = (hi as f32 + 0.1 * step as f32) / span;
        let grid = solve(x, w, hi, inverse_d, lowest, m_at_most_0);
        if grid.d <= 0.0 {
            continue;
        }
        let error = error(x, w, hi, grid);
        if error < best_error {
            best_error = error;
            best = grid;
        }
    }
    best
}

/// Least squares for d and m given q = nearest((x - lowest) / d).
#[inline(always)]
fn solve(x: &[f32], w: &[f32], hi: i32, inverse_d: f32, lowest: f32, m_at_most_0: bool) -> Grid {
    // Σw, Σwx, Σwq, Σwq², Σwqx
    let (mut s, mut sx, mut sq, mut sqq, mut sqx) =
        ([0f32; 8], [0f32; 8], [0f32; 8], [0f32; 8], [0f32; 8]);
    for (x, w) in x.chunks_exact(8).zip(w.chunks_exact(8)) {
        for lane in 0..8 {
            let q = nearest_in((x[lane] - lowest) * inverse_d, 0, hi) as f32;
            let wq = w[lane] * q;
            s[lane] += w[lane];
            sx[lane] = w[lane].mul_add(x[lane], sx[lane]);
            sq[lane] += wq;
            sqq[lane] = wq.mul_add(q, sqq[lane]);
            sqx[lane] = wq.mul_add(x[lane], sqx[lane]);
        }
    }
    let (s, sx, sq, sqq, sqx) = (sum(s), sum(sx), sum(sq), sum(sqq), sum(sqx));
    let det = s * sqq - sq * sq;
    if det <= 0.0 {
        return Grid { d: 0.0, m: lowest };
    }
    let d = (s * sqx - sq * sx) / det;
    let m = (sqq * sx - sq * sqx) / det;
    if m_at_most_0 && m > 0.0 {
        return Grid { d: if sqq > 0.0 { sqx / sqq } else { 0.0 }, m: 0.0 };
    }
    Grid { d, m }
}

/// Weighted squared error of `x` on a grid, each value on its nearest step.
#[inline(always)]
fn error(x: &[f32], w: &[f32], hi: i32, grid: Grid) -> f32 {
    let inverse_d = inverse(grid.d);
    let mut e = [0.0f32; 8];
    for (x, w) in x.chunks_exact(8).zip(w.chunks_exact(8)) {
        for lane in 0..8 {
            let q = nearest_in((x[lane] - grid.m) * inverse_d, 0, hi) as f32;
            let miss = grid.d.mul_add(q, grid.m) - x[lane];
            e[lane] = (w[lane] * miss).mul_add(miss, e[lane]);
        }
    }
    sum(e)
}
