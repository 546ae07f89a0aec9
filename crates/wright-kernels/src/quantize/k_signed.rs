//! Super-blocks of 256 with a signed scale per 16 values and no minimum: Q3_K, Q6_K.
//!
//! `x ≈ d·scale·q`, q signed, scale a signed integer per sub-block, d f16.

use super::fit::{self, Eight};
use crate::lanes::Lanes;

/// Sub-block scales as integers, their unit, and the values on the grid, counted from 0.
struct Fitted {
    d: f32,
    scales: [i8; 16],
    q: [u8; 256],
}

/// q in `-zero..zero`, scales in `-top..top`.
#[inline(always)]
fn fitted<V: Lanes>(x: &[f32], importance: Option<&[f32]>, zero: i32, top: i32) -> Fitted {
    let mut steps = [0.0f32; 16];
    let mut extreme = 0.0f32;
    let block_rms = fit::rms::<V>(x);
    for (index, step) in steps.iter_mut().enumerate() {
        let at = index * 16..(index + 1) * 16;
        let x = &x[at.clone()];
        let w = match importance {
            Some(importance) => fit::weights::<V>(x, Some(&importance[at]), block_rms),
            None => fit::squares::<V>(x),
        };
        *step = fit::signed::<V, Eight>(x, &w, -zero, zero - 1);
        if step.abs() > extreme.abs() {
            extreme = *step;
        }
    }
    // The scale of the largest magnitude takes the long side of the signed range.
    let d = fit::round_f16(extreme / -top as f32);
    let mut fitted = Fitted { d, scales: [0; 16], q: [zero as u8; 256] };
    for index in 0..16 {
        let at = index * 16..(index + 1) * 16;
        let scale = fit::nearest_in(steps[index] * fit::inverse(d), -top, top - 1);
        fitted.scales[index] = scale as i8;
        let inverse_step = fit::inverse(d * scale as f32);
        fit::codes::<V>(&x[at.clone()], 0.0, inverse_step, -zero, zero - 1, &mut fitted.q[at]);
    }
    fitted
}

#[inline(always)]
pub fn q6_k<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let fitted = fitted::<V>(x, importance, 32, 128);
    let (low, rest) = out.split_at_mut(128);
    let (high, rest) = rest.split_at_mut(64);
    let (scales, d) = rest.split_at_mut(16);
    for (half, q) in fitted.q.chunks_exact(128).enumerate() {
        for i in 0..32 {
            let (a, b, c, e) = (q[i], q[i + 32], q[i + 64], q[i + 96]);
            low[half * 64 + i] = (a & 15) | ((c & 15) << 4);
            low[half * 64 + 32 + i] = (b & 15) | ((e & 15) << 4);
            high[half * 32 + i] = (a >> 4) | ((b >> 4) << 2) | ((c >> 4) << 4) | ((e >> 4) << 6);
        }
    }
    for (out, &scale) in scales.iter_mut().zip(&fitted.scales) {
        *out = scale as u8;
    }
    d.copy_from_slice(&fit::f16_bits(fitted.d).to_le_bytes());
}

#[inline(always)]
pub fn q3_k<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let fitted = fitted::<V>(x, importance, 4, 32);
    let (third, rest) = out.split_at_mut(32);
    let (low, rest) = rest.split_at_mut(64);
    let (scales, d) = rest.split_at_mut(12);
    third.fill(0);
    for (run, q) in fitted.q.chunks_exact(32).enumerate() {
        for (third, &q) in third.iter_mut().zip(q) {
            *third |= (q >> 2) << run;
        }
    }
    for (q, out) in fitted.q.chunks_exact(128).zip(low.chunks_exact_mut(32)) {
        for i in 0..32 {
            let crumbs = [q[i] & 3, q[i + 32] & 3, q[i + 64] & 3, q[i + 96] & 3];
            out[i] = crumbs[0] | (crumbs[1] << 2) | (crumbs[2] << 4) | (crumbs[3] << 6);
        }
    }
    // Six bits a scale, counted from 0: low nibbles in bytes 0–7, upper pairs in bytes 8–11.
    scales.fill(0);
    for (i, &scale) in fitted.scales.iter().enumerate() {
        let scale = (i32::from(scale) + 32) as u8;
        scales[i % 8] |= (scale & 15) << (4 * (i / 8));
        scales[8 + i % 4] |= (scale >> 4) << (2 * (i / 4));
    }
    d.copy_from_slice(&fit::f16_bits(fitted.d).to_le_bytes());
}
