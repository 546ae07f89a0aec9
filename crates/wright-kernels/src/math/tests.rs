use super::*;
use crate::lanes::{Lanes, each_isa};

/// Distance between `got` and `want` in units of the last place of f32 at `want`.
fn ulps(got: f32, want: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let rounded = want as f32;
    if got == rounded {
        // Also where both are infinite.
        return if rounded.is_finite() {
            (f64::from(got) - want).abs() / ulp(rounded)
        } else {
            0.0
        };
    }
    (f64::from(got) - want).abs() / ulp(rounded)
}

fn ulp(x: f32) -> f64 {
    let x = x.abs().clamp(f32::MIN_POSITIVE, f32::MAX);
    f64::from(f32::from_bits(x.to_bits() & 0x7f80_0000)) * f64::from(f32::EPSILON)
}

/// The largest error over evenly spaced arguments and the special ones.
fn worst(f: impl Fn(f32) -> f32, truth: impl Fn(f64) -> f64, range: [f32; 2]) -> f64 {
    let steps = 1_000_003;
    let step = (range[1] - range[0]) / steps as f32;
    (0..=steps)
        .map(|i| range[0] + i as f32 * step)
        .map(|x| ulps(f(x), truth(f64::from(x))))
        .fold(0.0, f64::max)
}

#[test]
fn exp_keeps_its_bound() {
    assert!(worst(exp, f64::exp, [-87.0, 88.72]) < 1.1);
    assert!(worst(exp, f64::exp, [-1.0, 1.0]) < 1.1);
    // Subnormal: ulp() is that of the smallest normal number.
    assert!(worst(exp, f64::exp, [-110.0, -87.0]) < 1.5);
    assert_eq!(exp(0.0), 1.0);
    assert_eq!(exp(-0.0), 1.0);
    assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    assert_eq!(exp(-104.0), 0.0);
    assert_eq!(exp(f32::INFINITY), f32::INFINITY);
    assert_eq!(exp(88.73), f32::INFINITY);
    assert!(exp(88.72).is_finite());
    assert!(exp(f32::NAN).is_nan());
}

#[test]
fn tanh_sigmoid_and_erf_keep_their_bounds() {
    assert!(worst(tanh, f64::tanh, [-10.0, 10.0]) < 2.0);
    assert!(worst(tanh, f64::tanh, [-0.7, 0.7]) < 2.0);
    let truth = |x: f64| 1.0 / (1.0 + (-x).exp());
    assert!(worst(sigmoid, truth, [-87.0, 30.0]) < 2.5);
    assert!(worst(erf, erf_by_series, [-1.1, 1.1]) < 2.0);
    assert!(worst(erf, erf_by_series, [-4.0, 4.0]) < 2.0);
    for f in [tanh, erf] {
        assert_eq!(f(f32::INFINITY), 1.0);
        assert_eq!(f(-50.0), -1.0);
        assert_eq!(f(-0.0).to_bits(), (-0.0_f32).to_bits());
        assert!(f(f32::NAN).is_nan());
        let slope = if f(1.0) > 0.8 { std::f32::consts::FRAC_2_SQRT_PI } else { 1.0 };
        assert!((f(1e-30) / 1e-30 - slope).abs() < 2e-7);
    }
    assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
    assert_eq!(sigmoid(f32::INFINITY), 1.0);
}

/// erf x = 2/sqrt(pi) e^(-x²) sum of 2^n x^(2n+1) / (2n+1)!!, whose terms are all positive.
fn erf_by_series(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..90 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

#[test]
fn sine_and_cosine_hold_out_to_far_positions() {
    for i in 0..400_000_u32 {
        let x = f64::from(i) * 83.886_07 - 100.0;
        let (sin, cos) = sin_cos(x);
        assert!((sin - x.sin()).abs() < 1e-15, "sin {x}");
        assert!((cos - x.cos()).abs() < 1e-15, "cos {x}");
    }
    assert_eq!(sin_cos(0.0), (0.0, 1.0));
    assert!(sin_cos(f64::NAN).0.is_nan() && sin_cos(f64::INFINITY).1.is_nan());
}

#[test]
fn logarithm_exponential_and_power_in_f64() {
    let mut x = 1e-310_f64;
    while x < 1e300 {
        assert!((ln(x) - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs(), "ln {x}");
        x *= 1.003_7;
    }
    for i in 0..200_000 {
        let x = f64::from(i) * 0.007 - 700.0;
        assert!((exp_f64(x) / x.exp() - 1.0).abs() < 4.5e-16, "exp {x}");
    }
    for i in 0..100_000 {
        let x = f64::from(i) * 0.015 - 750.0;
        assert_eq!(exp_f64(x).to_bits(), exp_f64_inline(x).to_bits(), "exp {x} in either form");
    }
    assert!(exp_f64(f64::NAN).is_nan());
    assert_eq!(exp_f64(f64::NEG_INFINITY), 0.0);
    assert_eq!(exp_f64(-745.0), f64::from_bits(1), "the smallest subnormal number");
    assert_eq!(exp_f64(-800.0), 0.0);
    assert_eq!(exp_f64(800.0), f64::INFINITY);
    assert_eq!(ln(0.0), f64::NEG_INFINITY);
    assert!(ln(-1.0).is_nan());
    assert!((pow(10_000.0, -0.75) - 1e-3).abs() < 1e-17);
    assert!((pow(500_000.0, -0.5) - 500_000_f64.sqrt().recip()).abs() < 1e-17);
}

#[inline(always)]
fn all<V: Lanes>(x: &[f32], out: &mut [f32]) {
    for (x, out) in x.chunks_exact(16).zip(out.chunks_exact_mut(64)) {
        let x = V::load(x);
        exp_lanes(x).store(&mut out[..16]);
        tanh_lanes(x).store(&mut out[16..32]);
        erf_lanes(x).store(&mut out[32..48]);
        sigmoid_lanes(x).store(&mut out[48..]);
    }
}

each_isa! {
    fn all_with(x: &[f32], out: &mut [f32]) = all;
}

#[test]
fn lanes_and_single_numbers_agree() {
    let mut x: Vec<f32> = (0..16_000).map(|i| i as f32 * 0.014 - 112.0).collect();
    x[..5].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-42]);
    let mut plain = vec![0.0; x.len() * 4];
    let mut fast = plain.clone();
    all_with(crate::Isa::Scalar, &x, &mut plain);
    all_with(crate::Isa::detect(), &x, &mut fast);
    crate::tests::assert_same(&plain, &fast);
    for (i, &x) in x.iter().enumerate() {
        let at = i / 16 * 64 + i % 16;
        for (k, f) in [exp, tanh, erf, sigmoid].into_iter().enumerate() {
            crate::tests::assert_same(&[f(x)], &[plain[at + 16 * k]]);
        }
    }
}
