//! One step over a run of parameters, and sums over gradients.

use super::VALUES_A_TASK;
use crate::Pool;
use crate::lanes::{Lanes, each_isa};
use crate::pool::Parts;

/// Numbers of one AdamW step (Loshchilov and Hutter, "Decoupled Weight Decay Regularization").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    pub rate: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
    /// 1 - beta^step of the first and the second moment.
    pub correction1: f32,
    pub correction2: f32,
    /// Gradients are multiplied with it first: what clipping found.
    pub gradient_scale: f32,
}

/// Steps `w` along gradients `g`, with moments `m` and `v`; all of one length.
///
/// # Panics
/// If the lengths differ.
pub fn adamw(pool: &Pool, step: &AdamW, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    let n = w.len();
    assert!(g.len() == n && m.len() == n && v.len() == n);
    let (w, m, v) = (Parts::new(w), Parts::new(m), Parts::new(v));
    pool.run(n.div_ceil(VALUES_A_TASK), &|task| {
        let start = task * VALUES_A_TASK;
        let len = VALUES_A_TASK.min(n - start);
        // SAFETY: each task has parts of its own.
        let (w, m, v) = unsafe { (w.slice(start, len), m.slice(start, len), v.slice(start, len)) };
        adamw_some(pool.isa(), step, w, &g[start..start + len], m, v);
    });
}

each_isa! {
    fn adamw_some(step: &AdamW, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32])
        = adamw_body;
}

/// Each value by itself, and every operation rounds once: the compiler may take any lanes.
#[inline(always)]
fn adamw_body<V: Lanes>(s: &AdamW, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    let (keep, rest1, rest2) = (1.0 - s.rate * s.weight_decay, 1.0 - s.beta1, 1.0 - s.beta2);
    let rate = s.rate / s.correction1;
    let root = 1.0 / s.correction2.sqrt();
    for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * s.gradient_scale;
        *m = m.mul_add(s.beta1, rest1 * g);
        *v = v.mul_add(s.beta2, rest2 * g * g);
        let step = *m / v.sqrt().mul_add(root, s.eps);
        *w = step.mul_add(-rate, *w * keep);
    }
}

/// Sum of squares in f64: blocks of fixed length, each summed in 16 lanes, added in order.
pub fn sum_of_squares(pool: &Pool, x: &[f32]) -> f64 {
    let mut partial = vec![0.0f64; x.len().div_ceil(VALUES_A_TASK)];
    pool.for_chunks(&mut partial, 1, |task, sum| {
        let end = ((task + 1) * VALUES_A_TASK).min(x.len());
        sum[0] = squares_some(pool.isa(), &x[task * VALUES_A_TASK..end]);
    });
    partial.iter().sum()
}

each_isa! { fn squares_some(x: &[f32]) -> f64 = squares_body; }

#[inline(always)]
fn squares_body<V: Lanes>(x: &[f32]) -> f64 {
    let mut lanes = [0.0f64; 16];
    for x in x.chunks(16) {
        for (lane, &x) in lanes.iter_mut().zip(x) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    lanes.iter().sum()
}

/// y += by x
///
/// # Panics
/// If the lengths differ.
pub fn axpy(pool: &Pool, by: f32, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len());
    pool.for_chunks(y, VALUES_A_TASK, |task, y| {
        axpy_some(pool.isa(), by, &x[task * VALUES_A_TASK..][..y.len()], y);
    });
}

each_isa! { fn axpy_some(by: f32, x: &[f32], y: &mut [f32]) = axpy_body; }

#[inline(always)]
fn axpy_body<V: Lanes>(by: f32, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y = x.mul_add(by, *y);
    }
}

/// x = by x
pub fn scale(pool: &Pool, by: f32, x: &mut [f32]) {
    pool.for_chunks(x, VALUES_A_TASK, |_, x| x.iter_mut().for_each(|x| *x *= by));
}
