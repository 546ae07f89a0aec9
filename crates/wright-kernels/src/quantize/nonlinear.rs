//! Blocks whose 4-bit codes name one of sixteen uneven steps: IQ4_NL and IQ4_XS.

use super::fit::{self, MAX};
use crate::lanes::Lanes;

/// The steps of GGUF's IQ4 formats: closer together near 0, where most weights are.
const STEPS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// How far each candidate reaches beyond the plain one, in the unit of steps. One a lane.
const TRIES: [f32; 16] =
    [-7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];

/// The unit `d` for `x ≈ d·step`, by weighted least squares over a few candidates.
#[inline(always)]
fn unit<V: Lanes>(x: &[f32], w: &[f32]) -> f32 {
    let extreme = fit::extreme::<V>(x);
    if extreme == 0.0 {
        return 0.0;
    }
    let lowest = f32::from(STEPS[0]);
    let inverse_d = V::splat(lowest).sub(V::load(&TRIES)).div(V::splat(extreme));
    let (mut xq, mut qq) = (V::splat(0.0), V::splat(0.0));
    for i in 0..x.len() {
        let (x, w) = (V::splat(x[i]), w[i]);
        let q = nearest_step(x.mul(inverse_d));
        let wq = q.mul(V::splat(w));
        xq = wq.mul_add(x, xq);
        qq = wq.mul_add(q, qq);
    }
    fit::best_unit(xq, qq).unwrap_or(extreme / lowest)
}

/// The step nearest to each of `x`.
#[inline(always)]
fn nearest_step<V: Lanes>(x: V) -> V {
    let mut step = V::splat(f32::from(STEPS[0]));
    for pair in STEPS.windows(2) {
        let (low, high) = (f32::from(pair[0]), f32::from(pair[1]));
        step = V::splat(0.5 * (low + high)).if_less(x, V::splat(high), step);
    }
    step
}

#[inline(always)]
fn weights<V: Lanes>(x: &[f32], importance: Option<&[f32]>, rms: f32) -> [f32; MAX] {
    match importance {
        Some(_) => fit::weights::<V>(x, importance, rms),
        None => fit::squares::<V>(x),
    }
}

/// The codes of the steps nearest to 16 of `x`, as numbers.
#[inline(always)]
fn nearest_code<V: Lanes>(x: V) -> [f32; 16] {
    let mut code = V::splat(0.0);
    for (index, pair) in STEPS.windows(2).enumerate() {
        let (low, high) = (f32::from(pair[0]), f32::from(pair[1]));
        code = V::splat(0.5 * (low + high)).if_less(x, V::splat((index + 1) as f32), code);
    }
    code.to_array()
}

#[inline(always)]
fn put_codes<V: Lanes>(x: &[f32], d: f32, out: &mut [u8]) {
    let inverse_d = V::splat(fit::inverse(d));
    let low = nearest_code(V::load(x).mul(inverse_d));
    let high = nearest_code(V::load(&x[16..]).mul(inverse_d));
    for i in 0..16 {
        out[i] = low[i] as u8 | ((high[i] as u8) << 4);
    }
}

/// Any number of blocks.
#[inline(always)]
pub fn iq4_nl<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    for (b, (x, out)) in x.chunks_exact(MAX).zip(out.chunks_exact_mut(18)).enumerate() {
        let importance = importance.map(|i| &i[b * MAX..(b + 1) * MAX]);
        let w = weights::<V>(x, importance, fit::rms::<V>(x));
        let d = fit::round_f16(unit::<V>(x, &w));
        out[..2].copy_from_slice(&fit::f16_bits(d).to_le_bytes());
        put_codes::<V>(x, d, &mut out[2..]);
    }
}

/// Eight sub-blocks of 32, each with a 6-bit scale counted from -32.
#[inline(always)]
pub fn iq4_xs<V: Lanes>(x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    let block_rms = fit::rms::<V>(x);
    let mut units = [0.0f32; 8];
    let mut extreme = 0.0f32;
    for (index, (x, unit_out)) in x.chunks_exact(32).zip(&mut units).enumerate() {
        let w = weights::<V>(x, importance.map(|i| &i[index * 32..(index + 1) * 32]), block_rms);
        *unit_out = unit::<V>(x, &w);
        if unit_out.abs() > extreme.abs() {
            extreme = *unit_out;
        }
    }
    let d = fit::round_f16(extreme / -32.0);
    out[..2].copy_from_slice(&fit::f16_bits(d).to_le_bytes());
    let mut upper = 0u16;
    out[4..8].fill(0);
    for (index, x) in x.chunks_exact(32).enumerate() {
        let scale = fit::nearest_in(units[index] * fit::inverse(d), -32, 31);
        let stored = (scale + 32) as u8;
        upper |= u16::from(stored >> 4) << (2 * index);
        out[4 + index / 2] |= (stored & 15) << (4 * (index % 2));
        put_codes::<V>(x, d * scale as f32, &mut out[8 + 16 * index..]);
    }
    out[2..4].copy_from_slice(&upper.to_le_bytes());
}
