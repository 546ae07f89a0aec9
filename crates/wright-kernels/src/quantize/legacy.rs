//! Blocks of 32 with one scale, and perhaps a minimum: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
//!
//! Byte layouts are those of GGUF: scale (and minimum) as f16, for five bits a word of fifth bits,
//! then nibbles with value i low and value i + 16 high in byte i.

use super::fit::{self, Four, Grid, MAX};
use crate::lanes::Lanes;

/// Blocks that are fitted together: what is done for one waits long for its own results, and
/// processors do another's meanwhile where that is near enough in the program.
pub const TOGETHER: usize = 8;

/// The codes of some blocks.
type Codes = [[u8; MAX]; TOGETHER];

/// The weights of some blocks' values with an importance matrix.
#[inline(always)]
fn weights<V: Lanes>(x: &[f32], importance: &[f32]) -> [[f32; MAX]; TOGETHER] {
    let mut w = [[0.0; MAX]; TOGETHER];
    for b in 0..x.len() / MAX {
        let (x, importance) = (&x[b * MAX..(b + 1) * MAX], &importance[b * MAX..(b + 1) * MAX]);
        w[b] = fit::weights::<V>(x, Some(importance), fit::rms::<V>(x));
    }
    w
}

/// Numbers as f16 would hold them, kept finite.
#[inline(always)]
fn round_f16<V: Lanes>(numbers: &mut [f32; TOGETHER]) {
    let most = V::splat(65504.0);
    let lanes = V::load_some(numbers, 0.0).min(most).max(V::splat(-65504.0));
    // SAFETY: there are 16 halves.
    let rounded = unsafe { V::load_f16_at(lanes.to_f16().as_ptr()) };
    rounded.store_some(numbers);
}

/// The scales and codes of some blocks: `x ≈ d·(q - zero)`.
#[inline(always)]
fn symmetric<V: Lanes>(
    x: &[f32],
    importance: Option<&[f32]>,
    zero: i32,
) -> ([f32; TOGETHER], Codes) {
    let n = x.len() / MAX;
    let block = |b: usize| &x[b * MAX..(b + 1) * MAX];
    let mut w = [[0.0; MAX]; TOGETHER];
    match importance {
        Some(importance) => w = weights::<V>(x, importance),
        None => {
            for b in 0..n {
                w[b] = fit::squares::<V>(block(b));
            }
        }
    }
    let (mut d, mut q) = ([0.0; TOGETHER], [[0; MAX]; TOGETHER]);
    let (mut extremes, nothing) = ([0.0; TOGETHER], V::splat(0.0));
    let mut sums = [(nothing, nothing); TOGETHER];
    for b in 0..n {
        extremes[b] = fit::extreme::<V>(block(b));
    }
    for b in 0..n {
        sums[b] = fit::signed_sums::<V, Four>(block(b), &w[b], -zero, zero - 1, extremes[b]);
    }
    for b in 0..n {
        d[b] = fit::step::<V>(sums[b], -zero, extremes[b]);
    }
    round_f16::<V>(&mut d);
    for b in 0..n {
        fit::codes::<V>(block(b), 0.0, fit::inverse(d[b]), -zero, zero - 1, &mut q[b]);
    }
    (d, q)
}

/// The scales, minima and codes of some blocks: `x ≈ d·q + m`.
#[inline(always)]
fn asymmetric<V: Lanes>(
    x: &[f32],
    importance: Option<&[f32]>,
    hi: i32,
) -> ([f32; TOGETHER], [f32; TOGETHER], Codes) {
    let n = x.len() / MAX;
    let block = |b: usize| &x[b * MAX..(b + 1) * MAX];
    let (mut d, mut m, mut q) = ([0.0; TOGETHER], [0.0; TOGETHER], [[0; MAX]; TOGETHER]);
    // One loop each: no weights are a constant then.
    match importance {
        Some(importance) => {
            let w = weights::<V>(x, importance);
            for b in 0..n {
                Grid { d: d[b], m: m[b] } =
                    fit::with_min::<V, Four>(block(b), Some(&w[b]), hi, false);
            }
        }
        None => {
            for b in 0..n {
                Grid { d: d[b], m: m[b] } = fit::with_min::<V, Four>(block(b), None, hi, false);
            }
        }
    }
    round_f16::<V>(&mut d);
    round_f16::<V>(&mut m);
    for b in 0..n {
        fit::codes::<V>(block(b), -m[b], fit::inverse(d[b]), 0, hi, &mut q[b]);
    }
    (d, m, q)
}

/// Low nibbles: value i in the low half of byte i, value i + 16 in the high half.
#[inline(always)]
fn put_nibbles(q: &[u8; MAX], out: &mut [u8]) {
    for i in 0..16 {
        out[i] = (q[i] & 15) | (q[i + 16] << 4);
    }
}

/// The fifth bit of each value, value i at bit i.
#[inline(always)]
fn fifth_bits(q: &[u8; MAX]) -> [u8; 4] {
    let mut bits = 0u32;
    for i in 0..MAX {
        bits |= u32::from(q[i] >> 4) << i;
    }
    bits.to_le_bytes()
}

#[inline(always)]
fn put_f16(x: f32, out: &mut [u8]) {
    out.copy_from_slice(&fit::f16_bits(x).to_le_bytes());
}

/// Up to [`TOGETHER`] blocks, as the others are.
#[inline(always)]
pub fn q4_0<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (d, q) = symmetric::<V>(x, importance, 8);
    for (b, out) in out.chunks_exact_mut(18).enumerate() {
        put_f16(d[b], &mut out[..2]);
        put_nibbles(&q[b], &mut out[2..]);
    }
}

#[inline(always)]
pub fn q5_0<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (d, q) = symmetric::<V>(x, importance, 16);
    for (b, out) in out.chunks_exact_mut(22).enumerate() {
        put_f16(d[b], &mut out[..2]);
        out[2..6].copy_from_slice(&fifth_bits(&q[b]));
        put_nibbles(&q[b], &mut out[6..]);
    }
}

#[inline(always)]
pub fn q4_1<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (d, m, q) = asymmetric::<V>(x, importance, 15);
    for (b, out) in out.chunks_exact_mut(20).enumerate() {
        put_f16(d[b], &mut out[..2]);
        put_f16(m[b], &mut out[2..4]);
        put_nibbles(&q[b], &mut out[4..]);
    }
}

#[inline(always)]
pub fn q5_1<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (d, m, q) = asymmetric::<V>(x, importance, 31);
    for (b, out) in out.chunks_exact_mut(24).enumerate() {
        put_f16(d[b], &mut out[..2]);
        put_f16(m[b], &mut out[2..4]);
        out[4..8].copy_from_slice(&fifth_bits(&q[b]));
        put_nibbles(&q[b], &mut out[8..]);
    }
}

/// Eight bits need no search: the largest value takes 127.
#[inline(always)]
pub fn q8_0<V: Lanes>(x: &[f32], out: &mut [u8]) {
    let mut d = [0.0; TOGETHER];
    for (b, x) in x.chunks_exact(MAX).enumerate() {
        let (lowest, highest) = fit::extremes::<V>(x);
        d[b] = highest.max(-lowest) / 127.0;
    }
    round_f16::<V>(&mut d);
    for (b, (x, out)) in x.chunks_exact(MAX).zip(out.chunks_exact_mut(34)).enumerate() {
        put_f16(d[b], &mut out[..2]);
        let mut q = [0; MAX];
        fit::codes::<V>(x, 0.0, fit::inverse(d[b]), -127, 127, &mut q);
        for i in 0..MAX {
            out[2 + i] = q[i].wrapping_sub(127);
        }
    }
}
