//! Fitting a grid to a few values by weighted least squares.
//!
//! Two kinds of grid: `d·q` with q in a signed range (`signed`), and `d·q + m` with q from 0
//! (`with_min`). Both try a range of steps around the one that spans the values, because the best
//! step clips the extremes a little or leaves them room, and keep the best.

use crate::lanes::{Float, Lanes};
use crate::{f16_to_f32, f32_to_f16};

/// Values in the largest sub-block that is fitted at once.
pub const MAX: usize = 32;

/// How far each candidate's grid is wider or narrower than the one that spans the values, in
/// steps of that grid; one is the plain one. On normal values these eight leave as much error as
/// sixteen that lie closer.
const TRIES: [f32; 8] = [-1.0, -0.7, -0.45, -0.2, 0.0, 0.25, 0.5, 0.75];

/// As [`TRIES`], where a scale serves 32 values: the error of normal values grows by 0.7 % with a
/// scale and by 1.8 % with a minimum, too. The plain grid alone leaves 18 and 15 % more than eight.
const FEW_TRIES: [f32; 4] = [-0.9, -0.4, 0.0, 0.4];

/// How many candidates are tried; 16 lanes then hold several values.
pub trait Search {
    /// Values that are looked at together.
    const VALUES: usize;
    /// The candidates, one a lane: the first value's lanes, then the next one's.
    fn tries<V: Lanes>() -> V;
    /// A value in all lanes of its candidates.
    fn spread<V: Lanes>(x: &[f32]) -> V;
    /// Each candidate's sum over its lanes.
    fn gather<V: Lanes>(sum: V) -> V;
}

/// [`TRIES`].
pub struct Eight;
/// [`FEW_TRIES`].
pub struct Four;

impl Search for Eight {
    const VALUES: usize = 2;
    #[inline(always)]
    fn tries<V: Lanes>() -> V {
        let mut lanes = [0.0; 16];
        lanes[..8].copy_from_slice(&TRIES);
        lanes[8..].copy_from_slice(&TRIES);
        V::load(&lanes)
    }
    #[inline(always)]
    fn spread<V: Lanes>(x: &[f32]) -> V {
        V::halves(x[0], x[1])
    }
    #[inline(always)]
    fn gather<V: Lanes>(sum: V) -> V {
        sum.fold()
    }
}

impl Search for Four {
    const VALUES: usize = 4;
    #[inline(always)]
    fn tries<V: Lanes>() -> V {
        let mut lanes = [0.0; 16];
        for i in 0..16 {
            lanes[i] = FEW_TRIES[i % 4];
        }
        V::load(&lanes)
    }
    #[inline(always)]
    fn spread<V: Lanes>(x: &[f32]) -> V {
        V::quarters(x)
    }
    #[inline(always)]
    fn gather<V: Lanes>(sum: V) -> V {
        sum.fold_quarters()
    }
}

/// Added to a small number, it leaves no place for a fraction, and the integer in the lowest bits:
/// 1.5 · 2^23.
const MAGIC: f32 = 12_582_912.0;

/// Nearest integer within `lo..=hi`, halves to even, for an `x` of any size; `lo` for a NaN.
#[inline(always)]
pub fn nearest_in(x: f32, lo: i32, hi: i32) -> i32 {
    let x = Float::min(Float::max(x, lo as f32), hi as f32) + MAGIC;
    (x.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32)
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

/// The weight of each value: importance × √(rms² + x²) with a matrix, rms + |x| without.
#[inline(always)]
pub fn weights<V: Lanes>(x: &[f32], importance: Option<&[f32]>, rms: f32) -> [f32; MAX] {
    let mut w = [0.0; MAX];
    if let Some(importance) = importance {
        for i in 0..x.len().min(MAX) {
            w[i] = importance[i] * x[i].mul_add(x[i], rms * rms).sqrt();
        }
        return w;
    }
    for start in (0..x.len()).step_by(16) {
        V::load(&x[start..]).abs().add(V::splat(rms)).store(&mut w[start..]);
    }
    w
}

/// x² as weights: what keeps large values right.
#[inline(always)]
pub fn squares<V: Lanes>(x: &[f32]) -> [f32; MAX] {
    let mut w = [0.0; MAX];
    for start in (0..x.len()).step_by(16) {
        let x = V::load(&x[start..]);
        x.mul(x).store(&mut w[start..]);
    }
    w
}

/// The integers nearest to `(x + offset) · inverse_d` within `lo..=hi`, halves to even, less `lo`;
/// 0 for a NaN. Whole runs of 16.
#[inline(always)]
pub fn codes<V: Lanes>(x: &[f32], offset: f32, inverse_d: f32, lo: i32, hi: i32, out: &mut [u8]) {
    let (low, high) = (V::splat(lo as f32), V::splat(hi as f32));
    let (offset, inverse_d) = (V::splat(offset), V::splat(inverse_d));
    for start in (0..x.len()).step_by(16) {
        let x = V::load(&x[start..]).add(offset).mul(inverse_d);
        let bits = x.max(low).min(high).add(V::splat(MAGIC)).to_array();
        let out = &mut out[start..start + 16];
        for i in 0..16 {
            out[i] = (bits[i].to_bits() as u8).wrapping_sub(lo as u8);
        }
    }
}

/// Root mean square of whole runs of 16.
#[inline(always)]
pub fn rms<V: Lanes>(x: &[f32]) -> f32 {
    let mut squares = V::splat(0.0);
    for start in (0..x.len()).step_by(16) {
        let x = V::load(&x[start..]);
        squares = x.mul_add(x, squares);
    }
    (squares.sum() / x.len() as f32).sqrt()
}

/// The step `d` for `x ≈ d·q`, q in `lo..=hi` with `lo < 0 < hi`. 0 for values that are all 0.
///
/// The sign of `d` is free, so that the larger extreme may take the longer side of the range.
#[inline(always)]
pub fn signed<V: Lanes, S: Search>(x: &[f32], w: &[f32], lo: i32, hi: i32) -> f32 {
    let extreme = extreme::<V>(x);
    step::<V>(signed_sums::<V, S>(x, w, lo, hi, extreme), lo, extreme)
}

/// Σ w·x·q and Σ w·q·q of each candidate.
#[inline(always)]
pub fn signed_sums<V: Lanes, S: Search>(
    x: &[f32],
    w: &[f32],
    lo: i32,
    hi: i32,
    extreme: f32,
) -> (V, V) {
    let (lo, hi) = (lo as f32, hi as f32);
    let inverse_d = V::splat(lo).sub(S::tries()).div(V::splat(extreme));
    let (mut xq, mut qq) = (V::splat(0.0), V::splat(0.0));
    for (x, w) in x.chunks_exact(S::VALUES).zip(w.chunks_exact(S::VALUES)) {
        let (x, w) = (S::spread::<V>(x), S::spread::<V>(w));
        let q = x.mul(inverse_d).max(V::splat(lo)).min(V::splat(hi)).round();
        let wq = q.mul(w);
        xq = wq.mul_add(x, xq);
        qq = wq.mul_add(q, qq);
    }
    (S::gather(xq), S::gather(qq))
}

/// The step out of [`signed_sums`].
#[inline(always)]
pub fn step<V: Lanes>((xq, qq): (V, V), lo: i32, extreme: f32) -> f32 {
    if extreme == 0.0 {
        return 0.0;
    }
    best_unit(xq, qq).unwrap_or(extreme / lo as f32)
}

/// The value of the largest magnitude, the highest of two.
#[inline(always)]
pub fn extreme<V: Lanes>(x: &[f32]) -> f32 {
    let (lowest, highest) = extremes::<V>(x);
    if -lowest > highest { lowest } else { highest }
}

/// The lowest and the highest of some values, whole runs of 16.
#[inline(always)]
pub fn extremes<V: Lanes>(x: &[f32]) -> (f32, f32) {
    let mut lowest = V::load(x);
    let mut highest = lowest;
    for start in (16..x.len()).step_by(16) {
        let run = V::load(&x[start..]);
        lowest = run.min(lowest);
        highest = run.max(highest);
    }
    (-V::splat(0.0).sub(lowest).highest(), highest.highest())
}

/// Out of candidates with these Σ w·x·q and Σ w·q·q, the best one's least-squares unit: with it
/// the weighted error falls by (Σwxq)² / Σwq². None if none is finite.
#[inline(always)]
pub fn best_unit<V: Lanes>(xq: V, qq: V) -> Option<f32> {
    let d = xq.div(qq);
    let gains = d.mul(xq);
    // What is not a number, and what is infinite, counts for less than nothing.
    let least = V::splat(f32::MIN);
    let gains = gains.if_less(V::splat(f32::INFINITY), gains, least).max(least);
    let lane = first_highest(gains)?;
    Some(d.to_array()[lane]).filter(|d| d.is_finite())
}

/// The first of the lanes that hold the highest value; None if that is `f32::MIN`.
#[inline(always)]
fn first_highest<V: Lanes>(x: V) -> Option<usize> {
    let highest = x.highest();
    (highest > f32::MIN).then(|| (x.which(highest).trailing_zeros() & 15) as usize)
}

/// A fitted grid `d·q + m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub d: f32,
    pub m: f32,
}

/// The grid for `x ≈ d·q + m`, q in `0..=hi`; `d ≥ 0`. Without weights all values count alike. With
/// `m_at_most_0` the grid reaches down from 0, as in formats that store a subtracted minimum.
#[inline(always)]
pub fn with_min<V: Lanes, S: Search>(
    x: &[f32],
    w: Option<&[f32]>,
    hi: i32,
    m_at_most_0: bool,
) -> Grid {
    let (mut lowest, highest) = extremes::<V>(x);
    if m_at_most_0 {
        lowest = lowest.min(0.0);
    }
    Sums::<V>::of::<S>(x, w, hi, lowest, highest).grid(m_at_most_0)
}

/// Sums over values y = x - lowest, of which those with q differ by candidate.
struct Sums<V> {
    hi: f32,
    lowest: f32,
    highest: f32,
    w: f32,
    wy: f32,
    wyy: f32,
    wq: V,
    wqq: V,
    wqy: V,
}

impl<V: Lanes> Sums<V> {
    #[inline(always)]
    pub fn of<S: Search>(x: &[f32], w: Option<&[f32]>, hi: i32, lowest: f32, highest: f32) -> Self {
        let hi = hi as f32;
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let (mut sum_w, mut wy, mut wyy) = (zero, zero, zero);
        for at in (0..x.len()).step_by(16) {
            let y = V::load(&x[at..]).sub(V::splat(lowest));
            let w = w.map_or(one, |w| V::load(&w[at..]));
            let product = w.mul(y);
            sum_w = sum_w.add(w);
            wy = wy.add(product);
            wyy = product.mul_add(y, wyy);
        }
        let inverse_d = V::splat(hi).add(S::tries()).div(V::splat(highest - lowest));
        let (mut wq, mut wqq, mut wqy) = (zero, zero, zero);
        for at in (0..x.len()).step_by(S::VALUES) {
            let y = S::spread::<V>(&x[at..]).sub(V::splat(lowest));
            let q = y.mul(inverse_d).min(V::splat(hi)).round();
            let product = q.mul(w.map_or(one, |w| S::spread(&w[at..])));
            wq = wq.add(product);
            wqq = product.mul_add(q, wqq);
            wqy = product.mul_add(y, wqy);
        }
        let (wq, wqq, wqy) = (S::gather(wq), S::gather(wqq), S::gather(wqy));
        let (w, wy, wyy) = (sum_w.sum(), wy.sum(), wyy.sum());
        Sums { hi, lowest, highest, w, wy, wyy, wq, wqq, wqy }
    }

    /// The best candidate's grid: that with the least error; one that has none, or no grid, is the
    /// worst.
    #[inline(always)]
    fn grid(&self, m_at_most_0: bool) -> Grid {
        let Sums { hi, lowest, highest, .. } = *self;
        if highest <= lowest {
            return Grid { d: 0.0, m: lowest };
        }
        let (d, m, error) = self.solve(lowest, m_at_most_0);
        let (zero, most) = (V::splat(0.0), V::splat(f32::INFINITY));
        let worst = V::splat(f32::MIN);
        let merit = error.if_less(most, zero.sub(error), worst);
        let merit = zero.if_less(d, merit, worst);
        let merit = d.if_less(most, merit, worst);
        match first_highest(merit) {
            Some(lane) => Grid { d: d.to_array()[lane], m: m.to_array()[lane] },
            None => Grid { d: (highest - lowest) / hi, m: lowest },
        }
    }

    /// Least squares for d and m given each candidate's q, and what error is left.
    #[inline(always)]
    fn solve(&self, lowest: f32, m_at_most_0: bool) -> (V, V, V) {
        let (w, wy, wyy) = (V::splat(self.w), V::splat(self.wy), V::splat(self.wyy));
        let det = w.mul(self.wqq).sub(self.wq.mul(self.wq));
        let d = w.mul(self.wqy).sub(self.wq.mul(wy)).div(det);
        let m = self.wqq.mul(wy).sub(self.wq.mul(self.wqy)).div(det);
        let error = wyy.sub(d.mul(self.wqy)).sub(m.mul(wy));
        let lowest = V::splat(lowest);
        let m = m.add(lowest);
        if !m_at_most_0 {
            return (d, m, error);
        }
        // Where all values have one code, any line through them is as good: rounding would choose.
        let flat = w.mul(self.wqq).mul(V::splat(1e-5));
        let m = det.if_less(flat, V::splat(f32::INFINITY), m);
        // Where the best minimum is above 0: the grid d·q, and sums over x instead of y.
        let wqx = lowest.mul_add(self.wq, self.wqy);
        let wxx = lowest.mul_add(wy.add(wy), wyy).add(lowest.mul(lowest).mul(w));
        let d_at_0 = wqx.div(self.wqq);
        let error_at_0 = wxx.sub(d_at_0.mul(wqx));
        let zero = V::splat(0.0);
        (zero.if_less(m, d_at_0, d), m.min(zero), zero.if_less(m, error_at_0, error))
    }
}
