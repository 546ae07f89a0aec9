//! The functions between the two halves of a feed-forward layer, plain and gated.

use crate::Pool;
use crate::lanes::{Lanes, each_isa};
use crate::math::{erf_lanes, sigmoid_lanes, tanh_lanes};

/// Numbers worth one task of the pool.
const TASK_LEN: usize = 4096;

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x sigmoid(x)
    Silu,
    /// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))), Hendrycks and Gimpel 2016
    GeluTanh,
    /// x/2 (1 + erf(x / sqrt 2))
    GeluErf,
    /// x sigmoid(1.702 x)
    GeluQuick,
    Relu,
    /// max(x, 0)²
    ReluSquared,
    Sigmoid,
    Tanh,
}

/// `x = f(x)`
pub fn activate(pool: &Pool, f: Activation, x: &mut [f32]) {
    let isa = pool.isa();
    pool.for_chunks(x, TASK_LEN, |_, x| activate_piece(isa, f, x));
}

/// `out = f(gate) * up`
///
/// # Panics
/// If the lengths differ.
pub fn gated(pool: &Pool, f: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(gate.len() == out.len() && up.len() == out.len(), "gate, up and out of one length");
    let isa = pool.isa();
    pool.for_chunks(out, TASK_LEN, |i, out| {
        let range = i * TASK_LEN..i * TASK_LEN + out.len();
        gated_piece(isa, f, &gate[range.clone()], &up[range], out);
    });
}

/// [`gated`] where each row of `gate_up`, (T, 2 F), holds the gate and then what it gates; `out`
/// is (T, F).
///
/// # Panics
/// If `gate_up` is not twice `out`, or `out` is not whole rows of `width` = F.
pub fn gated_rows(pool: &Pool, f: Activation, gate_up: &[f32], width: usize, out: &mut [f32]) {
    assert!(width > 0 && out.len().is_multiple_of(width), "rows of {width}");
    assert_eq!(gate_up.len(), 2 * out.len(), "gate and up side by side");
    let isa = pool.isa();
    let rows_a_task = TASK_LEN.div_ceil(width);
    pool.for_chunks(out, rows_a_task * width, |i, out| {
        let gate_up = gate_up[i * rows_a_task * width * 2..].chunks_exact(2 * width);
        for (gate_up, out) in gate_up.zip(out.chunks_exact_mut(width)) {
            let (gate, up) = gate_up.split_at(width);
            gated_piece(isa, f, gate, up, out);
        }
    });
}

each_isa! {
    fn activate_piece(f: Activation, x: &mut [f32]) = activate_lanes;
}

#[inline(always)]
fn activate_lanes<V: Lanes>(f: Activation, x: &mut [f32]) {
    for x in x.chunks_mut(16) {
        f.of(V::load_some(x, 0.0)).store_some(x);
    }
}

each_isa! {
    /// [`gated`] on the caller's thread.
    pub(crate) fn gated_piece(f: Activation, gate: &[f32], up: &[f32], out: &mut [f32])
        = gated_lanes;
}

#[inline(always)]
fn gated_lanes<V: Lanes>(f: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((gate, up), out) in gate.chunks(16).zip(up.chunks(16)).zip(out.chunks_mut(16)) {
        f.of(V::load_some(gate, 0.0)).mul(V::load_some(up, 0.0)).store_some(out);
    }
}

impl Activation {
    #[inline(always)]
    fn of<V: Lanes>(self, x: V) -> V {
        let (half, one) = (V::splat(0.5), V::splat(1.0));
        match self {
            Activation::Silu => x.mul(sigmoid_lanes(x)),
            Activation::GeluTanh => {
                let cubed = x.mul(x).mul(V::splat(0.044_715)).mul_add(x, x);
                let t = tanh_lanes(cubed.mul(V::splat(0.797_884_6)));
                x.mul(half).mul(one.add(t))
            }
            Activation::GeluErf => {
                let e = erf_lanes(x.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2)));
                x.mul(half).mul(one.add(e))
            }
            Activation::GeluQuick => x.mul(sigmoid_lanes(x.mul(V::splat(1.702)))),
            Activation::Relu => V::splat(0.0).max(x),
            Activation::ReluSquared => {
                let positive = V::splat(0.0).max(x);
                positive.mul(positive)
            }
            Activation::Sigmoid => sigmoid_lanes(x),
            Activation::Tanh => tanh_lanes(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::tests::{assert_close, assert_same, floats};

    const ALL: [Activation; 8] = [
        Activation::Silu,
        Activation::GeluTanh,
        Activation::GeluErf,
        Activation::GeluQuick,
        Activation::Relu,
        Activation::ReluSquared,
        Activation::Sigmoid,
        Activation::Tanh,
    ];

    fn truth(f: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match f {
            Activation::Silu => x * sigmoid(x),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                x / 2.0 * (1.0 + inner.tanh())
            }
            // Phi(x) by the midpoint rule from 0, which converges fast for a smooth function.
            Activation::GeluErf => {
                let steps = 4000;
                let h = x / f64::from(steps);
                let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                let area: f64 = (0..steps).map(|i| density((f64::from(i) + 0.5) * h) * h).sum();
                x * (0.5 + area)
            }
            Activation::GeluQuick => x * sigmoid(1.702 * x),
            Activation::Relu => x.max(0.0),
            Activation::ReluSquared => x.max(0.0).powi(2),
            Activation::Sigmoid => sigmoid(x),
            Activation::Tanh => x.tanh(),
        }
    }

    #[test]
    fn activations_agree_with_f64() {
        let x = floats(333, 1);
        for f in ALL {
            let mut y = x.clone();
            activate(&Pool::new(1), f, &mut y);
            let want: Vec<f32> = x.iter().map(|&x| truth(f, f64::from(x)) as f32).collect();
            assert_close(&y, &want, 3e-7);
        }
    }

    #[test]
    fn forms_threads_and_layouts_agree_in_every_byte() {
        let (rows, width) = (101, 83);
        let mut gate = floats(rows * width, 2);
        gate[..6].copy_from_slice(&[f32::NAN, f32::INFINITY, -f32::INFINITY, -0.0, 1e-40, -90.0]);
        let up = floats(rows * width, 3);
        let side_by_side: Vec<f32> = gate
            .chunks(width)
            .zip(up.chunks(width))
            .flat_map(|(gate, up)| gate.iter().chain(up).copied())
            .collect();
        for f in ALL {
            let plain = Pool::with_isa(1, Isa::Scalar);
            let mut want = vec![0.0; rows * width];
            gated(&plain, f, &gate, &up, &mut want);
            let mut activated = gate.clone();
            activate(&plain, f, &mut activated);
            let product: Vec<f32> = activated.iter().zip(&up).map(|(a, b)| a * b).collect();
            assert_same(&want, &product);
            for pool in [Pool::new(1), Pool::new(3)] {
                let mut got = vec![0.0; rows * width];
                gated(&pool, f, &gate, &up, &mut got);
                assert_same(&got, &want);
                gated_rows(&pool, f, &side_by_side, width, &mut got);
                assert_same(&got, &want);
                let mut fast = gate.clone();
                activate(&pool, f, &mut fast);
                assert_same(&fast, &activated);
            }
        }
    }
}
