//! Exponential, logarithm, sine, cosine, hyperbolic tangent and error function of our own.
//!
//! A libm differs from machine to machine; these are the same operations everywhere, in one lane
//! or sixteen. Errors below are the largest seen in the tests against f64 (f32 functions) or the
//! bound of the truncated series (f64 functions). Polynomials were fitted with mpmath's
//! `chebyfit`; those in f64 are Taylor series, long enough for their interval.
//!
//! The f32 functions are for kernels. Those in f64 are for tables and for single numbers.

use crate::Isa;
use crate::isa::by_isa;
use crate::lanes::Float;

/// e^x: within 1.1 ulp (1.5 where the result is subnormal), 0 below -103.98, infinity above 88.72.
pub fn exp(x: f32) -> f32 {
    exp_lanes(x)
}

/// tanh x, within 2 ulp.
pub fn tanh(x: f32) -> f32 {
    tanh_lanes(x)
}

/// The error function, within 2 ulp.
pub fn erf(x: f32) -> f32 {
    erf_lanes(x)
}

/// 1 / (1 + e^-x), within 2.5 ulp where the result is not subnormal.
pub fn sigmoid(x: f32) -> f32 {
    sigmoid_lanes(x)
}

/// x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite); then a polynomial in r, times 2^n in two
/// steps, so that subnormal results are rounded once and the largest do not overflow early.
#[inline(always)]
pub(crate) fn exp_lanes<F: Float>(x: F) -> F {
    let x = F::splat(89.0).min(F::splat(-104.0).max(x));
    let n = x.mul(F::splat(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, the first with its last 9 bits zero, so that n times it is exact.
    let r = n.mul_add(F::splat(-0.693_145_75), x);
    let r = n.mul_add(F::splat(-1.428_606_8e-6), r);
    let p = F::splat(0.001_392_625);
    let p = p.mul_add(r, F::splat(0.008_363_233));
    let p = p.mul_add(r, F::splat(0.041_666_552));
    let p = p.mul_add(r, F::splat(0.166_665_77));
    let p = p.mul_add(r, F::splat(0.5));
    let p = p.mul(r).mul_add(r, r).add(F::splat(1.0));
    let first = n.mul(F::splat(0.5)).round();
    p.mul(first.pow2()).mul(n.sub(first).pow2())
}

/// Near 0 an odd polynomial, elsewhere 1 - 2 / (e^2|x| + 1).
#[inline(always)]
pub(crate) fn tanh_lanes<F: Float>(x: F) -> F {
    let magnitude = x.abs();
    let one = F::splat(1.0);
    let e = exp_lanes(magnitude.add(magnitude)).add(one);
    let far = one.sub(F::splat(2.0).div(e));
    let u = x.mul(x);
    let p = F::splat(-0.006_062_148);
    let p = p.mul_add(u, F::splat(0.020_973_234));
    let p = p.mul_add(u, F::splat(-0.053_845_823));
    let p = p.mul_add(u, F::splat(0.133_327_36));
    let p = p.mul_add(u, F::splat(-0.333_333_28));
    let near = p.mul(u).mul_add(magnitude, magnitude);
    magnitude.if_less(F::splat(0.625), near, far).copy_sign(x)
}

/// Below 1 an odd polynomial, above it 1 - e^-p(|x|); 1 from 3.95 on.
#[inline(always)]
pub(crate) fn erf_lanes<F: Float>(x: F) -> F {
    let magnitude = x.abs();
    let u = x.mul(x);
    let p = F::splat(-9.667_047e-6);
    let p = p.mul_add(u, F::splat(0.000_112_659_59));
    let p = p.mul_add(u, F::splat(-0.000_848_408));
    let p = p.mul_add(u, F::splat(0.005_221_031_6));
    let p = p.mul_add(u, F::splat(-0.026_865_43));
    let p = p.mul_add(u, F::splat(0.112_837_82));
    let p = p.mul_add(u, F::splat(-0.376_126_38));
    // 2 / sqrt(pi) = 1 + 0.12837917: the 1 is added last, where it costs one rounding.
    let p = p.mul_add(u, F::splat(0.128_379_17));
    let near = p.mul_add(magnitude, magnitude);
    let y = F::splat(3.95).min(magnitude);
    let q = F::splat(-1.658_320_6e-6);
    let q = q.mul_add(y, F::splat(4.645_992_5e-5));
    let q = q.mul_add(y, F::splat(-0.000_600_055_5));
    let q = q.mul_add(y, F::splat(0.004_774_191));
    let q = q.mul_add(y, F::splat(-0.026_460_879));
    let q = q.mul_add(y, F::splat(0.110_147_18));
    let q = q.mul_add(y, F::splat(0.631_757_56));
    let q = q.mul_add(y, F::splat(1.130_272));
    let q = q.mul_add(y, F::splat(-0.000_329_357_08));
    let far = F::splat(1.0).sub(exp_lanes(F::splat(0.0).sub(q)));
    magnitude.if_less(F::splat(1.0), near, far).copy_sign(x)
}

#[inline(always)]
pub(crate) fn sigmoid_lanes<F: Float>(x: F) -> F {
    let one = F::splat(1.0);
    one.div(exp_lanes(F::splat(0.0).sub(x)).add(one))
}

/// (sin x, cos x) of an angle in radians, within 1e-15 for |x| below 2^25. Beyond 2^40, and for
/// what is not finite, the answer is (NaN, NaN): no position is that far.
#[inline(always)]
pub fn sin_cos(x: f64) -> (f64, f64) {
    if x.abs() > (1_u64 << 40) as f64 || x.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    // x = n pi/2 + r, with pi/2 in three parts; the first two have 33 bits, so n times them is
    // exact up to n = 2^20 and carries the fused rounding's error beyond.
    let n = (x * std::f64::consts::FRAC_2_PI).round_ties_even();
    let r = n.mul_add(-1.570_796_326_734_125_6, x);
    let r = n.mul_add(-6.077_100_506_303_966e-11, r);
    let r = n.mul_add(-2.022_266_248_795_950_7e-21, r);
    let u = r * r;
    let sin = series(u, &SIN).mul_add(r * u, r);
    let cos = series(u, &COS).mul_add(u, 1.0);
    match n as i64 & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// -1/3!, 1/5!, … : (sin r - r) / r^3 as a series in r^2.
const SIN: [f64; 8] = reciprocal_factorials(3);
/// -1/2!, 1/4!, … : (cos r - 1) / r^2 as a series in r^2.
const COS: [f64; 8] = reciprocal_factorials(2);

const fn reciprocal_factorials(first: u64) -> [f64; 8] {
    let mut terms = [0.0; 8];
    let mut factorial = 1_u64;
    let mut k = 1;
    let mut i = 0;
    while i < 8 {
        while k <= first + 2 * i as u64 {
            factorial *= k;
            k += 1;
        }
        terms[i] = if i % 2 == 0 { -1.0 } else { 1.0 } / factorial as f64;
        i += 1;
    }
    terms
}

/// Horner's rule: `terms[0] + u (terms[1] + u (…))`.
#[inline(always)]
fn series(u: f64, terms: &[f64; 8]) -> f64 {
    let mut sum: f64 = terms[7];
    for i in (0..7).rev() {
        sum = sum.mul_add(u, terms[i]);
    }
    sum
}

/// Natural logarithm in f64, within 2 ulp; NaN below 0.
pub fn ln(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * 2_f64.powi(54), -54) } else { (x, 0) };
    // x = m 2^e with m in [sqrt 1/2, sqrt 2).
    let bits = x.to_bits();
    let mut e = ((bits >> 52) as i64) - 1023;
    let mut m = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        e += 1;
    }
    let e = (e + shift) as f64;
    // ln m = 2 artanh s, s = (m - 1) / (m + 1), |s| <= 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let u = s * s;
    let mut p: f64 = 1.0 / 23.0;
    for k in (1..11).rev() {
        p = p.mul_add(u, 1.0 / (2 * k + 1) as f64);
    }
    let ln_m = (p * u).mul_add(2.0 * s, 2.0 * s);
    // ln 2 in two parts, the first exact times any exponent.
    e.mul_add(1.908_214_929_270_587_7e-10, ln_m) + e * 0.693_147_180_369_123_8
}

/// e^x in f64, within 2 ulp where the result is normal.
pub fn exp_f64(x: f64) -> f64 {
    by_isa!(Isa::Avx2, exp_with_fma(x), exp_f64_inline(x))
}

/// Without the instruction, each fused multiply-add is a call of libm.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn exp_with_fma(x: f64) -> f64 {
    exp_f64_inline(x)
}

/// [`exp_f64`] without a branch, so that loops over it become vectors.
#[inline(always)]
pub(crate) fn exp_f64_inline(x: f64) -> f64 {
    /// 1.5 · 2^52: a sum with it is rounded to an integer, which its lowest bits hold.
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
    // 2 to the power of the integer in the lowest bits.
    let pow2 = |sum: f64| f64::from_bits(sum.to_bits().wrapping_add(1023) << 52);
    let x = x.clamp(-746.0, 710.0);
    let n = (x * std::f64::consts::LOG2_E + TO_INTEGER) - TO_INTEGER;
    let r = n.mul_add(-0.693_147_180_369_123_8, x);
    let r = n.mul_add(-1.908_214_929_270_587_7e-10, r);
    let mut p: f64 = 1.0;
    for k in (1..15).rev() {
        p = (p * r).mul_add(1.0 / k as f64, 1.0);
    }
    // In two steps, so that subnormal results are rounded once.
    let half = n * 0.5 + TO_INTEGER;
    p * pow2(half) * pow2(n - (half - TO_INTEGER) + TO_INTEGER)
}

/// `base` to the power of `y`, for a base above 0: e^(y ln base), within |y ln base| + 4 ulp.
pub fn pow(base: f64, y: f64) -> f64 {
    exp_f64(y * ln(base))
}

#[cfg(test)]
mod tests;
