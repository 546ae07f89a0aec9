//! Softmax and its logarithm over rows.
//!
//! The sum of a row is taken in two levels, 1,024 numbers at a time in 16 lanes, so that a
//! vocabulary of hundreds of thousands loses no more than a short row does.

use crate::lanes::{Lanes, each_isa};
use crate::math::{exp_f64_inline, exp_lanes, ln};
use crate::{Isa, Pool};

/// Numbers worth one task of the pool.
const TASK_LEN: usize = 4096;
/// Numbers summed before their sum is added to the row's: 64 steps of 16 lanes.
const SUM_LEN: usize = 1024;

/// Each row of `x`, (R, `n`), becomes `exp(x) / sum(exp(x))`. A row of -inf alone becomes NaN.
///
/// ```
/// let pool = wright_kernels::Pool::new(1);
/// let mut x = [0.0, 0.0, 1.0, f32::NEG_INFINITY]; // (R = 2, n = 2)
/// wright_kernels::softmax(&pool, &mut x, 2);
/// assert_eq!(x, [0.5, 0.5, 1.0, 0.0]);
/// ```
///
/// # Panics
/// If `x` is not whole rows.
pub fn softmax(pool: &Pool, x: &mut [f32], n: usize) {
    let isa = pool.isa();
    for_rows(pool, x, n, |row| {
        let max = highest(isa, row);
        let sum = exp_in_place(isa, row, max);
        multiply(isa, row, 1.0 / sum);
    });
}

/// Each row of `x`, (R, `n`), becomes `x - log(sum(exp(x)))`.
///
/// # Panics
/// If `x` is not whole rows.
pub fn log_softmax(pool: &Pool, x: &mut [f32], n: usize) {
    let isa = pool.isa();
    for_rows(pool, x, n, |row| {
        let max = highest(isa, row);
        let log_sum = ln(f64::from(sum_exp(isa, row, max))) as f32;
        subtract(isa, row, max, log_sum);
    });
}

/// `log(sum(exp(row)))`, of one row, on the caller's thread. Of no number it is -inf.
pub fn log_sum_exp(row: &[f32]) -> f64 {
    let isa = Isa::detect();
    let max = highest(isa, row);
    if max == f32::NEG_INFINITY {
        return f64::from(max);
    }
    f64::from(max) + ln(f64::from(sum_exp(isa, row, max)))
}

/// `sum(exp(row - max))` in f64, of one row, on the caller's thread. The sum has 16 lanes, reduced
/// by the fixed tree.
pub fn sum_exp_f64(row: &[f32], max: f32) -> f64 {
    sum_exp_f64_with(Isa::detect(), row, max)
}

fn for_rows(pool: &Pool, x: &mut [f32], n: usize, f: impl Fn(&mut [f32]) + Sync) {
    if x.is_empty() {
        return;
    }
    assert!(n > 0 && x.len().is_multiple_of(n), "{} is not rows of {n}", x.len());
    pool.for_chunks(x, TASK_LEN.div_ceil(n) * n, |_, rows| {
        rows.chunks_exact_mut(n).for_each(&f);
    });
}

each_isa! {
    fn highest(x: &[f32]) -> f32 = highest_lanes;
}

#[inline(always)]
fn highest_lanes<V: Lanes>(x: &[f32]) -> f32 {
    let mut max = V::splat(f32::NEG_INFINITY);
    for x in x.chunks(16) {
        max = V::load_some(x, f32::NEG_INFINITY).max(max);
    }
    max.highest()
}

each_isa! {
    fn sum_exp(x: &[f32], max: f32) -> f32 = sum_exp_lanes;
}

#[inline(always)]
fn sum_exp_lanes<V: Lanes>(x: &[f32], max: f32) -> f32 {
    let mut total = V::splat(0.0);
    for x in x.chunks(SUM_LEN) {
        let mut sum = V::splat(0.0);
        for x in x.chunks(16) {
            let x = V::load_some(x, f32::NEG_INFINITY);
            sum = sum.add(exp_lanes(x.sub(V::splat(max))));
        }
        total = total.add(sum);
    }
    total.sum()
}

each_isa! {
    fn sum_exp_f64_with(x: &[f32], max: f32) -> f64 = sum_exp_f64_body;
}

/// `V` says with which instructions this is compiled; the lanes are in f64.
#[inline(always)]
fn sum_exp_f64_body<V: Lanes>(x: &[f32], max: f32) -> f64 {
    let mut lanes = [0.0; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += exp_f64_inline(f64::from(x) - f64::from(max));
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += exp_f64_inline(f64::from(x) - f64::from(max));
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

each_isa! {
    fn exp_in_place(x: &mut [f32], max: f32) -> f32 = exp_in_place_lanes;
}

/// The same sum as [`sum_exp_lanes`], whose terms are kept.
#[inline(always)]
fn exp_in_place_lanes<V: Lanes>(x: &mut [f32], max: f32) -> f32 {
    let mut total = V::splat(0.0);
    for x in x.chunks_mut(SUM_LEN) {
        let mut sum = V::splat(0.0);
        for x in x.chunks_mut(16) {
            let e = exp_lanes(V::load_some(x, f32::NEG_INFINITY).sub(V::splat(max)));
            e.store_some(x);
            sum = sum.add(e);
        }
        total = total.add(sum);
    }
    total.sum()
}

each_isa! {
    fn multiply(x: &mut [f32], factor: f32) = multiply_lanes;
}

#[inline(always)]
fn multiply_lanes<V: Lanes>(x: &mut [f32], factor: f32) {
    for x in x.chunks_mut(16) {
        V::load_some(x, 0.0).mul(V::splat(factor)).store_some(x);
    }
}

each_isa! {
    fn subtract(x: &mut [f32], max: f32, log_sum: f32) = subtract_lanes;
}

#[inline(always)]
fn subtract_lanes<V: Lanes>(x: &mut [f32], max: f32, log_sum: f32) {
    for x in x.chunks_mut(16) {
        V::load_some(x, 0.0).sub(V::splat(max)).sub(V::splat(log_sum)).store_some(x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{assert_close, assert_same, floats};

    #[test]
    fn softmax_agrees_with_f64_and_forms_and_threads_in_every_byte() {
        for (rows, n) in [(1, 1), (5, 7), (9, 16), (3, 5000), (2, 70_001)] {
            let mut x = floats(rows * n, 1);
            if n > 10 {
                x[3] = f32::NEG_INFINITY;
                x[4] = 80.0;
            }
            let mut want = Vec::new();
            let mut want_log = Vec::new();
            for row in x.chunks(n) {
                let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                want.extend(row.iter().map(|&x| (f64::from(x).exp() / sum) as f32));
                want_log.extend(row.iter().map(|&x| (f64::from(x) - sum.ln()) as f32));
                assert!((log_sum_exp(row) - sum.ln()).abs() < 1e-6);
                let max = row.iter().copied().fold(f32::MIN, f32::max);
                let sums = Isa::all().into_iter().map(|isa| sum_exp_f64_with(isa, row, max));
                let sums: Vec<u64> = sums.map(f64::to_bits).collect();
                assert!(sums.iter().all(|&bits| bits == sums[0]), "{sums:?}");
                let scaled = sum_exp_f64(row, max) * f64::from(max).exp();
                assert!((scaled / sum - 1.0).abs() < 1e-13);
            }
            let run = |pool: &Pool| {
                let (mut p, mut log_p) = (x.clone(), x.clone());
                softmax(pool, &mut p, n);
                log_softmax(pool, &mut log_p, n);
                (p, log_p)
            };
            let (p, log_p) = run(&Pool::with_isa(1, Isa::Scalar));
            assert_close(&p, &want, 1e-6);
            for (got, want) in log_p.iter().zip(&want_log) {
                assert!(got == want || (got - want).abs() < 2e-6 * want.abs().max(1.0));
            }
            let (p2, log_p2) = run(&Pool::new(3));
            assert_same(&p, &p2);
            assert_same(&log_p, &log_p2);
        }
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
    }
}
