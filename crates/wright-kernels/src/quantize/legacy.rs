//! Blocks of 32 with one scale, and perhaps a minimum: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
//!
//! Byte layouts are those of GGUF: scale (and minimum) as f16, for five bits a word of fifth bits,
//! then nibbles with value i low and value i + 16 high in byte i.

use super::fit::{self, Grid, MAX};
use crate::lanes::Lanes;

/// A block's scale and codes: `x ≈ d·(q - zero)`.
#[inline(always)]
fn symmetric<V: Lanes>(x: &[f32], importance: Option<&[f32]>, zero: i32) -> (f32, [u8; MAX]) {
    let w = match importance {
        Some(_) => fit::weights::<V>(x, importance, fit::rms::<V>(x)),
        None => fit::squares::<V>(x),
    };
    let d = fit::round_f16(fit::signed::<V>(x, &w, -zero, zero - 1));
    let mut q = [0; MAX];
    fit::codes::<V>(x, 0.0, fit::inverse(d), -zero, zero - 1, &mut q);
    (d, q)
}

/// A block's grid and codes: `x ≈ d·q + m`.
#[inline(always)]
fn asymmetric<V: Lanes>(x: &[f32], importance: Option<&[f32]>, hi: i32) -> (Grid, [u8; MAX]) {
    let Grid { d, m } = match importance {
        Some(_) => {
            let w = fit::weights::<V>(x, importance, fit::rms::<V>(x));
            fit::with_min::<V>(x, Some(&w), hi, false)
        }
        None => fit::with_min::<V>(x, None, hi, false),
    };
    let grid = Grid { d: fit::round_f16(d), m: fit::round_f16(m) };
    let mut q = [0; MAX];
    fit::codes::<V>(x, -grid.m, fit::inverse(grid.d), 0, hi, &mut q);
    (grid, q)
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

#[inline(always)]
pub fn q4_0<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (d, q) = symmetric::<V>(x, importance, 8);
    put_f16(d, &mut out[..2]);
    put_nibbles(&q, &mut out[2..]);
}

#[inline(always)]
pub fn q5_0<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (d, q) = symmetric::<V>(x, importance, 16);
    put_f16(d, &mut out[..2]);
    out[2..6].copy_from_slice(&fifth_bits(&q));
    put_nibbles(&q, &mut out[6..]);
}

#[inline(always)]
pub fn q4_1<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (Grid { d, m }, q) = asymmetric::<V>(x, importance, 15);
    put_f16(d, &mut out[..2]);
    put_f16(m, &mut out[2..4]);
    put_nibbles(&q, &mut out[4..]);
}

#[inline(always)]
pub fn q5_1<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let (Grid { d, m }, q) = asymmetric::<V>(x, importance, 31);
    put_f16(d, &mut out[..2]);
    put_f16(m, &mut out[2..4]);
    out[4..8].copy_from_slice(&fifth_bits(&q));
    put_nibbles(&q, &mut out[8..]);
}

/// Eight bits need no search: the largest value takes 127.
#[inline(always)]
pub fn q8_0<V: Lanes>(x: &[f32], out: &mut [u8]) {
    let (lowest, highest) = fit::extremes::<V>(x);
    let d = fit::round_f16(highest.max(-lowest) / 127.0);
    put_f16(d, &mut out[..2]);
    let mut q = [0; MAX];
    fit::codes::<V>(x, 0.0, fit::inverse(d), -127, 127, &mut q);
    for i in 0..MAX {
        out[2 + i] = q[i].wrapping_sub(127);
    }
}
