//! Super-blocks of 256 with a scale and a minimum per sub-block: Q2_K, Q4_K, Q5_K.
//!
//! `x ≈ d·scale·q - d_min·min`, with scale and min small integers per sub-block and d, d_min f16.
//! Each sub-block is fitted by itself, the results are rounded to integers, and every value is
//! then placed on the grid that the stored integers describe.

use super::fit::{self, Eight, Grid};
use crate::lanes::Lanes;

/// Sub-block scales and minima as integers, their units, and the values on the grid.
struct Fitted {
    d: f32,
    d_min: f32,
    scales: [u8; 16],
    mins: [u8; 16],
    q: [u8; 256],
}

/// Fits sub-blocks of `LEN` values, q in `0..=hi`, scales and minima in `0..=top`.
#[inline(always)]
fn fitted<V: Lanes, const LEN: usize>(
    x: &[f32],
    importance: Option<&[f32]>,
    hi: i32,
    top: i32,
) -> Fitted {
    let mut grids = [Grid { d: 0.0, m: 0.0 }; 16];
    let (mut d_max, mut m_max) = (0.0f32, 0.0f32);
    let block_rms = fit::rms::<V>(x);
    for (index, grid) in grids.iter_mut().take(256 / LEN).enumerate() {
        let at = index * LEN..(index + 1) * LEN;
        let x = &x[at.clone()];
        let importance = importance.map(|i| &i[at]);
        let rms = if importance.is_some() { block_rms } else { fit::rms::<V>(x) };
        let w = fit::weights::<V>(x, importance, rms);
        *grid = fit::with_min::<V, Eight>(x, Some(&w), hi, true);
        d_max = d_max.max(grid.d);
        m_max = m_max.max(-grid.m);
    }
    let d = fit::round_f16(d_max / top as f32);
    let d_min = fit::round_f16(m_max / top as f32);
    let mut fitted = Fitted { d, d_min, scales: [0; 16], mins: [0; 16], q: [0; 256] };
    for index in 0..256 / LEN {
        let at = index * LEN..(index + 1) * LEN;
        let scale = fit::nearest_in(grids[index].d * fit::inverse(d), 0, top);
        let min = fit::nearest_in(-grids[index].m * fit::inverse(d_min), 0, top);
        fitted.scales[index] = scale as u8;
        fitted.mins[index] = min as u8;
        let inverse_step = fit::inverse(d * scale as f32);
        let offset = d_min * min as f32;
        fit::codes::<V>(&x[at.clone()], offset, inverse_step, 0, hi, &mut fitted.q[at]);
    }
    fitted
}

/// Eight 6-bit scales and eight 6-bit minima in twelve bytes: the first four of each stand in the
/// low six bits of bytes 0–3 and 4–7, the others in the nibbles of bytes 8–11 with their upper two
/// bits on top of those.
#[inline(always)]
fn put_scales(scales: &[u8; 16], mins: &[u8; 16], out: &mut [u8]) {
    for i in 0..4 {
        out[i] = scales[i] | ((scales[i + 4] >> 4) << 6);
        out[i + 4] = mins[i] | ((mins[i + 4] >> 4) << 6);
        out[i + 8] = (scales[i + 4] & 15) | ((mins[i + 4] & 15) << 4);
    }
}

/// Low nibbles, 64 values in 32 bytes: the first 32 low, the next 32 high.
#[inline(always)]
fn put_nibbles(q: &[u8; 256], out: &mut [u8]) {
    for (q, out) in q.chunks_exact(64).zip(out.chunks_exact_mut(32)) {
        for i in 0..32 {
            out[i] = (q[i] & 15) | (q[i + 32] << 4);
        }
    }
}

#[inline(always)]
fn put_units(fitted: &Fitted, out: &mut [u8]) {
    out[..2].copy_from_slice(&fit::f16_bits(fitted.d).to_le_bytes());
    out[2..4].copy_from_slice(&fit::f16_bits(fitted.d_min).to_le_bytes());
}

#[inline(always)]
pub fn q4_k<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let fitted = fitted::<V, 32>(x, importance, 15, 63);
    put_units(&fitted, out);
    put_scales(&fitted.scales, &fitted.mins, &mut out[4..16]);
    put_nibbles(&fitted.q, &mut out[16..]);
}

#[inline(always)]
pub fn q5_k<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let fitted = fitted::<V, 32>(x, importance, 31, 63);
    put_units(&fitted, out);
    put_scales(&fitted.scales, &fitted.mins, &mut out[4..16]);
    let fifth = &mut out[16..48];
    fifth.fill(0);
    for (sub_block, q) in fitted.q.chunks_exact(32).enumerate() {
        for (fifth, &q) in fifth.iter_mut().zip(q) {
            *fifth |= (q >> 4) << sub_block;
        }
    }
    put_nibbles(&fitted.q, &mut out[48..]);
}

#[inline(always)]
pub fn q2_k<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let fitted = fitted::<V, 16>(x, importance, 3, 15);
    for (out, (scale, min)) in out.iter_mut().zip(fitted.scales.iter().zip(&fitted.mins)) {
        *out = scale | (min << 4);
    }
    for (q, out) in fitted.q.chunks_exact(128).zip(out[16..80].chunks_exact_mut(32)) {
        for i in 0..32 {
            out[i] = q[i] | (q[i + 32] << 2) | (q[i + 64] << 4) | (q[i + 96] << 6);
        }
    }
    put_units(&fitted, &mut out[80..]);
}
