//! Many rows of activations on AVX2, where both sides are packed into panels.
//!
//! The 16 lanes of a sum are two halves that meet only at the end, so a tile is 3 rows by 4
//! outputs of one half: twelve sums in twelve registers, and 7 loads for 12 multiply-adds, where a
//! tile of both halves holds 2 by 3 and takes 10. A panel has the rows of a tile side by side, 8
//! lanes each, first all of the lower half and then all of the upper: it is read from end to end,
//! and no load crosses a cache line. Sums are added up for eight outputs together, in the order
//! of the fixed tree.

use super::Job;
use super::rows::{InBF16, InF16, InF32, Stored};
use crate::dequant::dequantize_with;
use crate::lanes::Avx2;
use crate::scratch::{with_floats, with_shared};
use crate::{DType, Isa, Pool};
use std::arch::x86_64::*;

/// Rows of activations in a tile, and in a panel of them.
const X_ROWS: usize = 3;
/// Outputs in a tile, and in a panel of weights.
const W_ROWS: usize = 4;
/// Lanes of half a sum.
const HALF: usize = 8;
/// Outputs whose sums are added up together: two panels.
const OUTPUTS: usize = 8;
/// Bytes of activations that stay in the second-level cache while weights pass.
const BLOCK_BYTES: usize = 160 << 10;
/// Bytes of weights that stay in the first-level cache while activations pass, and outputs of
/// longer rows, of which no two panels would stay.
const GROUP_BYTES: usize = 20 << 10;
const GROUP_LONG: usize = 16;
/// Panels of activations that one task packs.
const TASK_PANELS: usize = 8;

/// Floats of a row in a panel: K filled up to whole 16s.
fn padded(k: usize) -> usize {
    k.next_multiple_of(2 * HALF)
}

/// Packs `x`, (M, K), and hands the panels to `f`.
pub(super) fn with_packed(pool: &Pool, x: &[f32], k: usize, f: impl FnOnce(&[f32])) {
    let rows = x.len() / k;
    let panel = X_ROWS * padded(k);
    with_shared(rows.div_ceil(X_ROWS) * panel, |panels| {
        pool.for_chunks(panels, TASK_PANELS * panel, |task, panels| {
            let x = x[task * TASK_PANELS * X_ROWS * k..].chunks(X_ROWS * k);
            for (x, panel) in x.zip(panels.chunks_exact_mut(panel)) {
                let rows = x.len() / k;
                // SAFETY: only a processor with AVX2 comes here, and the rows are there.
                unsafe { pack::<InF32, X_ROWS>(x.as_ptr().cast(), (rows, k), panel) };
            }
        });
        f(panels);
    });
}

/// The job's outputs of all rows. `x` are the panels of its activations.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and no other task writes the job's columns of `y`.
pub(super) unsafe fn run(job: &Job<'_>, x: &[f32]) {
    let k = padded(job.w.k);
    let group = if OUTPUTS * k * 4 <= GROUP_BYTES { OUTPUTS } else { GROUP_LONG };
    let n_weights = job.n.next_multiple_of(OUTPUTS) * k;
    let n_sums = 2 * X_ROWS * group * HALF;
    with_floats(n_weights + n_sums + W_ROWS * job.w.k, |floats| {
        let (weights, floats) = floats.split_at_mut(n_weights);
        let (sums, decoded) = floats.split_at_mut(n_sums);
        // SAFETY: the caller's.
        unsafe {
            pack_weights(job, weights, decoded);
            outputs(job, x, weights, group, sums);
        }
    });
}

/// Decodes the job's weights into panels, filled up with zeros to whole [`OUTPUTS`].
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
unsafe fn pack_weights(job: &Job<'_>, panels: &mut [f32], decoded: &mut [f32]) {
    let (w, k) = (job.w, job.w.k);
    for (p, panel) in panels.chunks_exact_mut(W_ROWS * padded(k)).enumerate() {
        let first = (p * W_ROWS).min(job.n);
        let n = W_ROWS.min(job.n - first);
        let stored = &w.bytes[(job.n0 + first) * w.row_bytes()..][..n * w.row_bytes()];
        // SAFETY: the caller's; n rows are stored, or decoded.
        unsafe {
            match w.dtype {
                DType::F32 => pack::<InF32, W_ROWS>(stored.as_ptr(), (n, k), panel),
                DType::F16 => pack::<InF16, W_ROWS>(stored.as_ptr(), (n, k), panel),
                DType::BF16 => pack::<InBF16, W_ROWS>(stored.as_ptr(), (n, k), panel),
                _ => {
                    let decoded = &mut decoded[..n * k];
                    dequantize_with(Isa::Avx2, w.dtype, stored, decoded);
                    pack::<InF32, W_ROWS>(decoded.as_ptr().cast(), (n, k), panel);
                }
            }
        }
    }
}

/// Packs up to R rows of K into a panel of R; rows that are missing become zeros.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and `rows` points to that many rows.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn pack<S: Stored, const R: usize>(
    rows: *const u8,
    (n_rows, k): (usize, usize),
    panel: &mut [f32],
) {
    assert_eq!(panel.len(), R * padded(k));
    if n_rows < R {
        panel.fill(0.0);
    }
    let (lower, upper) = panel.split_at_mut(R * padded(k) / 2);
    let whole = k & !15;
    let steps = lower.chunks_exact_mut(R * HALF).zip(upper.chunks_exact_mut(R * HALF));
    for (step, (lower, upper)) in steps.enumerate() {
        let at = step * 16;
        let halves = lower.chunks_exact_mut(HALF).zip(upper.chunks_exact_mut(HALF));
        for (row, (lower, upper)) in halves.enumerate().take(n_rows) {
            // SAFETY: 16 numbers of a row that is there, or what is left of them one by one.
            unsafe {
                let Avx2(low, high) = if at < whole {
                    S::load(rows.add((row * k + at) * S::BYTES))
                } else {
                    let mut last = [0.0; 16];
                    for (i, value) in last.iter_mut().take(k - whole).enumerate() {
                        *value = S::load_one(rows.add((row * k + at + i) * S::BYTES));
                    }
                    InF32::load(last.as_ptr().cast())
                };
                _mm256_storeu_ps(lower.as_mut_ptr(), low);
                _mm256_storeu_ps(upper.as_mut_ptr(), high);
            }
        }
    }
}

/// Multiplies all panels; `group` outputs at a time meet some rows. `sums` is two halves of
/// (X_ROWS, group, HALF).
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and no other task writes the job's columns of `y`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn outputs(job: &Job<'_>, x: &[f32], weights: &[f32], group: usize, sums: &mut [f32]) {
    let k = padded(job.w.k);
    let block = (BLOCK_BYTES / (4 * X_ROWS * k)).max(1);
    for (b, x) in x.chunks(block * X_ROWS * k).enumerate() {
        for (g, weights) in weights.chunks(group * k).enumerate() {
            let n = weights.len() / k;
            let sums = &mut sums[..2 * X_ROWS * n * HALF];
            for (p, x) in x.chunks_exact(X_ROWS * k).enumerate() {
                let row = (b * block + p) * X_ROWS;
                // SAFETY: the caller's.
                unsafe {
                    panel(x, weights, sums);
                    write(job, row, g * group, sums);
                }
            }
        }
    }
}

/// A panel of activations times some panels of weights.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn panel(x: &[f32], weights: &[f32], sums: &mut [f32]) {
    let k = x.len() / X_ROWS;
    let stride = weights.len() / k * HALF;
    let (x, sums) = (x.chunks_exact(x.len() / 2), sums.chunks_exact_mut(sums.len() / 2));
    for (half, (x, sums)) in x.zip(sums).enumerate() {
        for (p, weights) in weights.chunks_exact(W_ROWS * k).enumerate() {
            let weights = weights.chunks_exact(W_ROWS * k / 2).nth(half);
            let sums = &mut sums[p * W_ROWS * HALF..];
            // SAFETY: the caller's.
            unsafe { tile(x, weights.expect("two halves"), sums, stride) };
        }
    }
}

/// Half of the lanes of 3 rows by 4 outputs; rows of `sums` are `stride` apart.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn tile(x: &[f32], weights: &[f32], sums: &mut [f32], stride: usize) {
    assert_eq!(x.len() * W_ROWS, weights.len() * X_ROWS);
    assert!((X_ROWS - 1) * stride + W_ROWS * HALF <= sums.len());
    let mut tile = [[_mm256_setzero_ps(); W_ROWS]; X_ROWS];
    let (mut x_at, mut w_at) = (x.as_ptr(), weights.as_ptr());
    macro_rules! step {
        ($step:literal) => {
            let x = x_at.add($step * X_ROWS * HALF);
            let x = [_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8)), _mm256_loadu_ps(x.add(16))];
            for n in 0..W_ROWS {
                let w = _mm256_loadu_ps(w_at.add(($step * W_ROWS + n) * HALF));
                for m in 0..X_ROWS {
                    tile[m][n] = _mm256_fmadd_ps(w, x[m], tile[m][n]);
                }
            }
        };
    }
    let steps = x.len() / (X_ROWS * HALF);
    // SAFETY: both panels have that many steps, and sums have room, as checked.
    unsafe {
        for _ in 0..steps / 2 {
            step!(0);
            step!(1);
            x_at = x_at.add(2 * X_ROWS * HALF);
            w_at = w_at.add(2 * W_ROWS * HALF);
        }
        if !steps.is_multiple_of(2) {
            step!(0);
        }
        for (m, row) in tile.iter().enumerate() {
            for (n, sum) in row.iter().enumerate() {
                _mm256_storeu_ps(sums.as_mut_ptr().add(m * stride + n * HALF), *sum);
            }
        }
    }
}

/// Adds up the lanes of 3 rows from `row` on and writes those outputs that there are, from the
/// job's output `first` on.
///
/// # Safety
/// The processor has AVX2 and FMA, and no other task writes the job's columns of `y`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn write(job: &Job<'_>, row: usize, first: usize, sums: &[f32]) {
    let (lower, upper) = sums.split_at(sums.len() / 2);
    let n = lower.len() / X_ROWS;
    let rows = lower.chunks_exact(n).zip(upper.chunks_exact(n));
    for (row, (lower, upper)) in (row..job.m).zip(rows) {
        let eights = lower.chunks_exact(OUTPUTS * HALF).zip(upper.chunks_exact(OUTPUTS * HALF));
        for (i, (lower, upper)) in eights.enumerate() {
            let first = first + i * OUTPUTS;
            let n = OUTPUTS.min(job.n - first);
            // SAFETY: the caller's; 64 sums of each half; room for 8 outputs, or a copy of some.
            unsafe {
                let sums = add_lanes(lower.as_ptr(), upper.as_ptr());
                let y = job.y.slice(row * job.w.n + job.n0 + first, n);
                if n == OUTPUTS {
                    _mm256_storeu_ps(y.as_mut_ptr(), sums);
                } else {
                    let mut all = [0.0; OUTPUTS];
                    _mm256_storeu_ps(all.as_mut_ptr(), sums);
                    y.copy_from_slice(&all[..n]);
                }
            }
        }
    }
}

/// The sums of 16 lanes each, of which the pointers have the halves, for eight outputs.
///
/// # Safety
/// The processor has AVX2, and each pointer has (8, 8) floats.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn add_lanes(lower: *const f32, upper: *const f32) -> __m256 {
    let mut by8 = [_mm256_setzero_ps(); 8];
    for (i, sum) in by8.iter_mut().enumerate() {
        // SAFETY: the caller's.
        let (low, high) =
            unsafe { (_mm256_loadu_ps(lower.add(i * 8)), _mm256_loadu_ps(upper.add(i * 8))) };
        *sum = _mm256_add_ps(low, high);
    }
    // (output i, output i + 4), four lanes each.
    let mut by4 = [_mm256_setzero_ps(); 4];
    for (i, sum) in by4.iter_mut().enumerate() {
        let (a, b) = (by8[i], by8[i + 4]);
        let low = _mm256_permute2f128_ps::<0x20>(a, b);
        *sum = _mm256_add_ps(low, _mm256_permute2f128_ps::<0x31>(a, b));
    }
    // Two lanes of outputs i and i + 1, in either half.
    let mut by2 = [_mm256_setzero_ps(); 2];
    for (i, sum) in by2.iter_mut().enumerate() {
        let (a, b) = (_mm256_castps_pd(by4[2 * i]), _mm256_castps_pd(by4[2 * i + 1]));
        let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        *sum = _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
    }
    let [a, b] = by2;
    _mm256_add_ps(_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xdd>(a, b))
}
