//! Sums, products and the soft cap, number by number and in place.

use crate::Pool;
use crate::lanes::{Lanes, each_isa};
use crate::math::tanh_lanes;

/// Numbers worth one task of the pool.
const TASK_LEN: usize = 16384;

/// `x += y`
///
/// # Panics
/// If the lengths differ.
pub fn add(pool: &Pool, x: &mut [f32], y: &[f32]) {
    zip(pool, x, y, |x, y| {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    });
}

/// `x *= y`
///
/// # Panics
/// If the lengths differ.
pub fn mul(pool: &Pool, x: &mut [f32], y: &[f32]) {
    zip(pool, x, y, |x, y| {
        for (x, y) in x.iter_mut().zip(y) {
            *x *= y;
        }
    });
}

/// `x += factor * y`, the product and the sum rounded together.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled(pool: &Pool, x: &mut [f32], y: &[f32], factor: f32) {
    let isa = pool.isa();
    zip(pool, x, y, |x, y| add_scaled_piece(isa, x, y, factor));
}

/// `x *= factor`
pub fn scale(pool: &Pool, x: &mut [f32], factor: f32) {
    pool.for_chunks(x, TASK_LEN, |_, x| x.iter_mut().for_each(|x| *x *= factor));
}

/// `x = cap * tanh(x / cap)`
pub fn soft_cap(pool: &Pool, x: &mut [f32], cap: f32) {
    let isa = pool.isa();
    pool.for_chunks(x, TASK_LEN / 4, |_, x| soft_cap_piece(isa, x, cap));
}

/// Adds `bias`, (N), to each row of `x`, (T, N).
///
/// # Panics
/// If `x` is not whole rows.
pub fn add_bias(pool: &Pool, x: &mut [f32], bias: &[f32]) {
    if x.is_empty() {
        return;
    }
    assert!(x.len().is_multiple_of(bias.len()), "rows of {}", bias.len());
    let rows_a_task = TASK_LEN.div_ceil(bias.len());
    pool.for_chunks(x, rows_a_task * bias.len(), |_, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x += b;
            }
        }
    });
}

fn zip(pool: &Pool, x: &mut [f32], y: &[f32], f: impl Fn(&mut [f32], &[f32]) + Sync) {
    assert_eq!(x.len(), y.len(), "both of one length");
    pool.for_chunks(x, TASK_LEN, |i, x| {
        let at = i * TASK_LEN;
        f(x, &y[at..at + x.len()]);
    });
}

each_isa! {
    fn add_scaled_piece(x: &mut [f32], y: &[f32], factor: f32) = add_scaled_lanes;
}

#[inline(always)]
fn add_scaled_lanes<V: Lanes>(x: &mut [f32], y: &[f32], factor: f32) {
    for (x, y) in x.chunks_mut(16).zip(y.chunks(16)) {
        let sum = V::load_some(y, 0.0).mul_add(V::splat(factor), V::load_some(x, 0.0));
        sum.store_some(x);
    }
}

each_isa! {
    fn soft_cap_piece(x: &mut [f32], cap: f32) = soft_cap_slice;
}

#[inline(always)]
fn soft_cap_slice<V: Lanes>(x: &mut [f32], cap: f32) {
    for x in x.chunks_mut(16) {
        soft_cap_lanes(V::load_some(x, 0.0), cap).store_some(x);
    }
}

#[inline(always)]
pub(crate) fn soft_cap_lanes<V: Lanes>(x: V, cap: f32) -> V {
    tanh_lanes(x.div(V::splat(cap))).mul(V::splat(cap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::tests::{assert_close, assert_same, floats};

    #[test]
    fn sums_products_and_caps_agree_with_plain_arithmetic_on_any_pool() {
        let n = 40_003;
        let (x, y) = (floats(n, 1), floats(n, 2));
        let each = |f: &dyn Fn(f32, f32) -> f32| -> Vec<f32> {
            x.iter().zip(&y).map(|(&x, &y)| f(x, y)).collect()
        };
        for pool in [Pool::with_isa(1, Isa::Scalar), Pool::new(1), Pool::new(3)] {
            let run = |f: &dyn Fn(&mut [f32])| {
                let mut out = x.clone();
                f(&mut out);
                out
            };
            assert_same(&run(&|x| add(&pool, x, &y)), &each(&|x, y| x + y));
            assert_same(&run(&|x| mul(&pool, x, &y)), &each(&|x, y| x * y));
            assert_same(&run(&|x| scale(&pool, x, 0.3)), &each(&|x, _| x * 0.3));
            let fused = each(&|x, y| y.mul_add(0.7, x));
            assert_same(&run(&|x| add_scaled(&pool, x, &y, 0.7)), &fused);
            let capped = run(&|x| soft_cap(&pool, x, 3.0));
            assert_same(&capped, &each(&|x, _| crate::math::tanh(x / 3.0) * 3.0));
            assert_close(&capped, &each(&|x, _| (x / 3.0).tanh() * 3.0), 1e-6);
            let mut rows = x[..40_000].to_vec();
            add_bias(&pool, &mut rows, &y[..80]);
            let want: Vec<f32> = (0..40_000).map(|i| x[i] + y[i % 80]).collect();
            assert_same(&rows, &want);
        }
    }
}
