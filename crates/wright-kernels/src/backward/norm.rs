//! Root-mean-square and layer norms over many rows, and their gradients.

use super::VALUES_A_TASK;
use crate::Pool;
use crate::lanes::{Lanes, by_lanes, each_isa};
use crate::pool::Parts;
use std::ops::Range;

/// The kind of a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// x / sqrt(mean(x^2) + eps)
    Rms,
    /// (x - mean) / sqrt(var + eps)
    Layer,
}

/// A norm over each run of `group` values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormShape {
    pub kind: NormKind,
    pub group: usize,
    pub eps: f32,
}

/// y = norm(x) weight + bias, where weight and bias have `group` values each.
///
/// # Panics
/// If lengths do not fit.
pub fn norm(
    pool: &Pool,
    shape: NormShape,
    x: &[f32],
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let group = shape.group;
    assert!(x.len() == y.len() && x.len().is_multiple_of(group));
    assert!([weight, bias].into_iter().flatten().all(|v| v.len() == group));
    let a_task = groups_a_task(group) * group;
    pool.for_chunks(y, a_task, |task, y| {
        let x = &x[task * a_task..][..y.len()];
        norm_some(pool.isa(), shape, x, weight, bias, y);
    });
}

/// Groups in one task; also the blocks in which gradients of weights are summed, so it must not
/// depend on the pool.
fn groups_a_task(group: usize) -> usize {
    VALUES_A_TASK.div_ceil(group)
}

each_isa! {
    fn norm_some(
        shape: NormShape,
        x: &[f32],
        weight: Option<&[f32]>,
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) = norm_body;
}

#[inline(always)]
fn norm_body<V: Lanes>(
    shape: NormShape,
    x: &[f32],
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    for (x, y) in x.chunks_exact(shape.group).zip(y.chunks_exact_mut(shape.group)) {
        let (mean, inverse) = moments::<V>(shape, x);
        let (mean, inverse) = (V::splat(mean), V::splat(inverse));
        by_lanes!(shape.group, |at| {
            let w = weight.map_or(V::splat(1.0), |w| V::load_some(&w[at.clone()], 0.0));
            let b = bias.map_or(V::splat(0.0), |b| V::load_some(&b[at.clone()], 0.0));
            let hat = V::load_some(&x[at.clone()], 0.0).sub(mean).mul(inverse);
            hat.mul_add(w, b).store_some(&mut y[at]);
        });
    }
}

/// (mean, 1 / deviation); the mean is 0 for RMS.
#[inline(always)]
fn moments<V: Lanes>(shape: NormShape, x: &[f32]) -> (f32, f32) {
    let n = shape.group as f32;
    let mut mean = 0.0;
    if shape.kind == NormKind::Layer {
        let mut sum = V::splat(0.0);
        by_lanes!(x.len(), |at| sum = sum.add(V::load_some(&x[at], 0.0)));
        mean = sum.sum() / n;
    }
    let mut square = V::splat(0.0);
    by_lanes!(x.len(), |at| {
        // Lanes beyond the end are the mean, and count for nothing.
        let x = V::load_some(&x[at], mean).sub(V::splat(mean));
        square = x.mul_add(x, square);
    });
    (mean, 1.0 / (square.sum() / n + shape.eps).sqrt())
}

/// Adds the gradients of [`norm`]: to `dx` that of the input, to `dw` and `db` those of weight
/// and bias.
///
/// With h = (x - mean) / deviation and g = dy weight:
/// dx = (g - mean(g) - h mean(g h)) / deviation, where mean(g) is absent for RMS.
///
/// # Panics
/// If lengths do not fit.
#[allow(clippy::too_many_arguments)]
pub fn norm_backward(
    pool: &Pool,
    shape: NormShape,
    x: &[f32],
    weight: Option<&[f32]>,
    dy: &[f32],
    dx: &mut [f32],
    dw: Option<&mut [f32]>,
    db: Option<&mut [f32]>,
) {
    let group = shape.group;
    assert!(x.len() == dy.len() && x.len() == dx.len() && x.len().is_multiple_of(group));
    assert!(weight.is_none_or(|w| w.len() == group));
    let a_task = groups_a_task(group) * group;
    let n_tasks = x.len().div_ceil(a_task);
    // (task, weight then bias, group)
    let mut partial = vec![0.0; n_tasks * 2 * group];
    let (dx, sums) = (Parts::new(dx), Parts::new(&mut partial));
    pool.run(n_tasks, &|task| {
        let start = task * a_task;
        let len = a_task.min(x.len() - start);
        // SAFETY: each task has parts of its own.
        let (dx, sums) = unsafe { (dx.slice(start, len), sums.slice(task * 2 * group, 2 * group)) };
        let part = start..start + len;
        backward_some(pool.isa(), shape, &x[part.clone()], weight, &dy[part], dx, sums);
    });
    for (at, total) in [dw, db].into_iter().enumerate() {
        let Some(total) = total else { continue };
        for sums in partial.chunks_exact(2 * group) {
            let part = &sums[at * group..][..group];
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
}

each_isa! {
    fn backward_some(
        shape: NormShape,
        x: &[f32],
        weight: Option<&[f32]>,
        dy: &[f32],
        dx: &mut [f32],
        sums: &mut [f32],
    ) = backward_body;
}

#[inline(always)]
fn backward_body<V: Lanes>(
    shape: NormShape,
    x: &[f32],
    weight: Option<&[f32]>,
    dy: &[f32],
    dx: &mut [f32],
    sums: &mut [f32],
) {
    let group = shape.group;
    let n = group as f32;
    let (dw, db) = sums.split_at_mut(group);
    let rows = x.chunks_exact(group).zip(dy.chunks_exact(group)).zip(dx.chunks_exact_mut(group));
    for ((x, dy), dx) in rows {
        let (mean, inverse) = moments::<V>(shape, x);
        let inverse = V::splat(inverse);
        let (mut sum_g, mut sum_gh) = (V::splat(0.0), V::splat(0.0));
        by_lanes!(group, |at| {
            let d = V::load_some(&dy[at.clone()], 0.0);
            let (h, g) = (hat(&x[at.clone()], mean, inverse), weigh(weight, at.clone(), d));
            sum_g = sum_g.add(g);
            sum_gh = g.mul_add(h, sum_gh);
            let dw = &mut dw[at.clone()];
            h.mul_add(d, V::load_some(dw, 0.0)).store_some(dw);
            let db = &mut db[at];
            d.add(V::load_some(db, 0.0)).store_some(db);
        });
        let mean_g = if shape.kind == NormKind::Layer { sum_g.sum() / n } else { 0.0 };
        let (mean_g, mean_gh) = (V::splat(mean_g), V::splat(-sum_gh.sum() / n));
        by_lanes!(group, |at| {
            let g = weigh(weight, at.clone(), V::load_some(&dy[at.clone()], 0.0));
            let inner = hat(&x[at.clone()], mean, inverse).mul_add(mean_gh, g.sub(mean_g));
            let dx = &mut dx[at];
            inner.mul_add(inverse, V::load_some(dx, 0.0)).store_some(dx);
        });
    }
}

/// (x - mean) / deviation of up to 16 values.
#[inline(always)]
fn hat<V: Lanes>(x: &[f32], mean: f32, inverse: V) -> V {
    V::load_some(x, mean).sub(V::splat(mean)).mul(inverse)
}

#[inline(always)]
fn weigh<V: Lanes>(weight: Option<&[f32]>, at: Range<usize>, dy: V) -> V {
    match weight {
        Some(w) => dy.mul(V::load_some(&w[at], 0.0)),
        None => dy,
    }
}
