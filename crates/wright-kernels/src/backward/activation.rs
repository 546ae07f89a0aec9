//! The activation functions of an MLP and their derivatives, alone or as a gate.

use super::VALUES_A_TASK;
use crate::Pool;
use crate::lanes::{Lanes, by_lanes, each_isa};
use crate::math::{sigmoid_lanes, tanh_lanes};
use crate::pool::Parts;

/// The function inside an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// x sigmoid(x)
    Silu,
    /// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    GeluTanh,
    /// max(x, 0)^2
    ReluSquared,
}

/// sqrt(2 / pi)
const ROOT: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// Value and derivative at x.
#[inline(always)]
fn curve<V: Lanes>(kind: Curve, x: V) -> (V, V) {
    let one = V::splat(1.0);
    match kind {
        Curve::Silu => {
            let s = sigmoid_lanes(x);
            // d/dx x s(x) = s + x s (1 - s)
            (x.mul(s), s.mul(x).mul_add(one.sub(s), s))
        }
        Curve::GeluTanh => {
            let square = x.mul(x);
            let inner = square.mul_add(V::splat(CUBE), one).mul(x).mul(V::splat(ROOT));
            let t = tanh_lanes(inner);
            let half = V::splat(0.5).mul(one.add(t));
            let inner_derivative = square.mul_add(V::splat(3.0 * CUBE), one).mul(V::splat(ROOT));
            let bend = V::splat(0.5).mul(x).mul(one.sub(t.mul(t))).mul(inner_derivative);
            (x.mul(half), half.add(bend))
        }
        Curve::ReluSquared => {
            let r = x.max(V::splat(0.0));
            (r.mul(r), r.add(r))
        }
    }
}

/// y = f(x)
///
/// # Panics
/// If the lengths differ.
pub fn activate(pool: &Pool, kind: Curve, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len());
    pool.for_chunks(y, VALUES_A_TASK, |task, y| {
        let from = task * VALUES_A_TASK;
        activate_some(pool.isa(), kind, &x[from..from + y.len()], y);
    });
}

each_isa! { fn activate_some(kind: Curve, x: &[f32], y: &mut [f32]) = activate_body; }

#[inline(always)]
fn activate_body<V: Lanes>(kind: Curve, x: &[f32], y: &mut [f32]) {
    by_lanes!(y.len(), |at| {
        curve(kind, V::load_some(&x[at.clone()], 0.0)).0.store_some(&mut y[at]);
    });
}

/// dx = dy f'(x), written over `dy`.
///
/// # Panics
/// If the lengths differ.
pub fn activate_backward(pool: &Pool, kind: Curve, x: &[f32], dy: &mut [f32]) {
    assert_eq!(x.len(), dy.len());
    pool.for_chunks(dy, VALUES_A_TASK, |task, dy| {
        let from = task * VALUES_A_TASK;
        activate_gradient(pool.isa(), kind, &x[from..from + dy.len()], dy);
    });
}

each_isa! { fn activate_gradient(kind: Curve, x: &[f32], dy: &mut [f32]) = activate_gradient_body; }

#[inline(always)]
fn activate_gradient_body<V: Lanes>(kind: Curve, x: &[f32], dy: &mut [f32]) {
    by_lanes!(dy.len(), |at| {
        let (x, dy) = (&x[at.clone()], &mut dy[at]);
        curve(kind, V::load_some(x, 0.0)).1.mul(V::load_some(dy, 0.0)).store_some(dy);
    });
}

/// y = f(gate) up
///
/// # Panics
/// If the lengths differ.
pub fn gated(pool: &Pool, kind: Curve, gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == y.len() && up.len() == y.len());
    pool.for_chunks(y, VALUES_A_TASK, |task, y| {
        let part = task * VALUES_A_TASK..task * VALUES_A_TASK + y.len();
        gated_some(pool.isa(), kind, &gate[part.clone()], &up[part], y);
    });
}

each_isa! { fn gated_some(kind: Curve, gate: &[f32], up: &[f32], y: &mut [f32]) = gated_body; }

#[inline(always)]
fn gated_body<V: Lanes>(kind: Curve, gate: &[f32], up: &[f32], y: &mut [f32]) {
    by_lanes!(y.len(), |at| {
        let (gate, up) = (&gate[at.clone()], &up[at.clone()]);
        curve(kind, V::load_some(gate, 0.0)).0.mul(V::load_some(up, 0.0)).store_some(&mut y[at]);
    });
}

/// The gradients of [`gated`], written over its inputs: `gate` becomes dy up f'(gate) and `up`
/// becomes dy f(gate).
///
/// # Panics
/// If the lengths differ.
pub fn gated_backward(pool: &Pool, kind: Curve, gate: &mut [f32], up: &mut [f32], dy: &[f32]) {
    assert!(gate.len() == dy.len() && up.len() == dy.len());
    let (gate, up) = (Parts::new(gate), Parts::new(up));
    pool.run(dy.len().div_ceil(VALUES_A_TASK), &|task| {
        let start = task * VALUES_A_TASK;
        let len = VALUES_A_TASK.min(dy.len() - start);
        // SAFETY: each task has parts of its own.
        let (gate, up) = unsafe { (gate.slice(start, len), up.slice(start, len)) };
        gated_gradient(pool.isa(), kind, gate, up, &dy[start..start + len]);
    });
}

each_isa! {
    fn gated_gradient(kind: Curve, gate: &mut [f32], up: &mut [f32], dy: &[f32])
        = gated_gradient_lanes;
}

#[inline(always)]
fn gated_gradient_lanes<V: Lanes>(kind: Curve, gate: &mut [f32], up: &mut [f32], dy: &[f32]) {
    by_lanes!(dy.len(), |at| {
        let (gate, up) = (&mut gate[at.clone()], &mut up[at.clone()]);
        let (value, derivative) = curve(kind, V::load_some(gate, 0.0));
        let dy = V::load_some(&dy[at], 0.0);
        V::load_some(up, 0.0).mul(dy).mul(derivative).store_some(gate);
        value.mul(dy).store_some(up);
    });
}
