//! Many rows of activations on AVX2, where both sides are packed into panels.
//!
//! The 16 lanes of a sum are two halves that meet only at the end, so a tile is 3 rows by 4
//! outputs of one half: twelve sums in twelve registers, and 7 loads for 12 multiply-adds, where a
//! tile of both halves holds 2 by 3 and takes 10. A panel has the rows of a tile side by side, 8
//! lanes each, first all of the lower half and then all of the upper: it is read from end to end,
//! and no load crosses a cache line. The sums of a tile are added up while they are in registers,
//! in the order of the fixed tree.

use super::Task;
use super::rows::{InBF16, InF16, InF32, Stored};
use crate::dequant::dequantize_with;
use crate::isa::prefetch;
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
/// Floats of a tile: half of each sum.
const SUMS: usize = X_ROWS * W_ROWS * HALF;
/// Bytes of activations that stay in the second-level cache while weights pass.
const BLOCK_BYTES: usize = 160 << 10;
/// Outputs whose weights stay in the first-level cache while activations pass, the bytes that this
/// may take, and outputs of longer rows, of which no two panels would stay.
const GROUP: usize = 8;
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

/// The task's outputs of all rows. `x` are the panels of its activations.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and no other task writes the task's columns of `y`.
pub(super) unsafe fn run(task: &Task<'_>, x: &[f32]) {
    let k = padded(task.w.k);
    let group = if GROUP * k * 4 <= GROUP_BYTES { GROUP } else { GROUP_LONG };
    let n_weights = task.n.next_multiple_of(W_ROWS) * k;
    let n_sums = group / W_ROWS * SUMS;
    with_floats(n_weights + n_sums + W_ROWS * task.w.k, |floats| {
        let (weights, floats) = floats.split_at_mut(n_weights);
        let (sums, decoded) = floats.split_at_mut(n_sums);
        // SAFETY: the caller's.
        unsafe {
            pack_weights(task, weights, decoded);
            outputs(task, x, weights, group, sums);
        }
    });
}

/// Decodes the task's weights into panels, filled up with zeros to whole [`W_ROWS`].
///
/// # Safety
/// The processor has AVX2, FMA and F16C.
unsafe fn pack_weights(task: &Task<'_>, panels: &mut [f32], decoded: &mut [f32]) {
    let (w, k) = (task.w, task.w.k);
    for (p, panel) in panels.chunks_exact_mut(W_ROWS * padded(k)).enumerate() {
        let first = (p * W_ROWS).min(task.n);
        let n = W_ROWS.min(task.n - first);
        let stored = &w.bytes[(task.n0 + first) * w.row_bytes()..][..n * w.row_bytes()];
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

/// The sums of one half of the lanes: 3 rows by 4 outputs.
type Half = [[__m256; W_ROWS]; X_ROWS];

/// Multiplies all panels; `group` outputs at a time meet some rows, and `lower` has room for the
/// halves of sums of these.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and no other task writes the task's columns of `y`.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn outputs(task: &Task<'_>, x: &[f32], weights: &[f32], group: usize, lower: &mut [f32]) {
    let k = padded(task.w.k);
    let block = (BLOCK_BYTES / (4 * X_ROWS * k)).max(1);
    for (b, x) in x.chunks(block * X_ROWS * k).enumerate() {
        for (g, weights) in weights.chunks(group * k).enumerate() {
            for (p, x) in x.chunks_exact(X_ROWS * k).enumerate() {
                let at = ((b * block + p) * X_ROWS, g * group);
                // SAFETY: the caller's.
                unsafe { panel(task, x, weights, at, lower) };
            }
        }
    }
}

/// A panel of activations times some panels of weights, written to the rows and the task's outputs
/// from `(row, first)` on. All of the lower halves come first: half a panel of activations stays
/// in the first-level cache while those of the weights pass.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and no other task writes the task's columns of `y`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn panel(
    task: &Task<'_>,
    x: &[f32],
    weights: &[f32],
    (row, first): (usize, usize),
    lower: &mut [f32],
) {
    let weights = weights.chunks_exact(x.len() / X_ROWS * W_ROWS);
    let (x, upper_x) = x.split_at(x.len() / 2);
    // SAFETY: the caller's.
    unsafe {
        for (p, (weights, sums)) in weights.clone().zip(lower.chunks_exact_mut(SUMS)).enumerate() {
            fetch_outputs(task, (row, first + p * W_ROWS));
            store(&half(x, &weights[..weights.len() / 2]), sums);
        }
        for (p, (weights, sums)) in weights.zip(lower.chunks_exact(SUMS)).enumerate() {
            let upper = half(upper_x, &weights[weights.len() / 2..]);
            write(task, (row, first + p * W_ROWS), add_lanes(sums, &upper));
        }
    }
}

/// Asks for where three rows of the task's outputs from `(row, first)` on go: they lie too far
/// apart for the processor to see it coming.
#[inline(always)]
fn fetch_outputs(task: &Task<'_>, (row, first): (usize, usize)) {
    for row in row..task.m.min(row + X_ROWS) {
        prefetch(task.y.place(row * task.w.n + task.n0 + first).cast());
    }
}

/// Writes sums to the rows and the task's outputs from `(row, first)` on, as far as there are any.
///
/// # Safety
/// The processor has AVX2, and no other task writes the task's columns of `y`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn write(task: &Task<'_>, (row, first): (usize, usize), sums: [__m128; X_ROWS]) {
    let n = W_ROWS.min(task.n - first);
    for (row, sums) in (row..task.m).zip(sums) {
        // SAFETY: the caller's; there is room for four outputs, or for a copy of some.
        unsafe {
            let y = task.y.slice(row * task.w.n + task.n0 + first, n);
            if n == W_ROWS {
                _mm_storeu_ps(y.as_mut_ptr(), sums);
            } else {
                let mut all = [0.0; W_ROWS];
                _mm_storeu_ps(all.as_mut_ptr(), sums);
                y.copy_from_slice(&all[..n]);
            }
        }
    }
}

/// Half of the lanes of a panel of activations times one of weights.
///
/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn half(x: &[f32], weights: &[f32]) -> Half {
    assert_eq!(x.len() * W_ROWS, weights.len() * X_ROWS);
    let mut sums = [[_mm256_setzero_ps(); W_ROWS]; X_ROWS];
    let (mut x_at, mut w_at) = (x.as_ptr(), weights.as_ptr());
    macro_rules! step {
        ($step:literal) => {
            let x = x_at.add($step * X_ROWS * HALF);
            let x = [_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8)), _mm256_loadu_ps(x.add(16))];
            for n in 0..W_ROWS {
                let w = _mm256_loadu_ps(w_at.add(($step * W_ROWS + n) * HALF));
                for m in 0..X_ROWS {
                    sums[m][n] = _mm256_fmadd_ps(w, x[m], sums[m][n]);
                }
            }
        };
    }
    let steps = x.len() / (X_ROWS * HALF);
    // SAFETY: both panels have that many steps.
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
    }
    sums
}

/// Stores the sums of one half.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn store(half: &Half, sums: &mut [f32]) {
    for (sum, to) in half.as_flattened().iter().zip(sums.chunks_exact_mut(HALF)) {
        // SAFETY: eight floats.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), *sum) };
    }
}

/// Adds up the 16 lanes of each sum, of which `lower` and `upper` have eight, in the order of the
/// fixed tree: (rows, outputs).
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn add_lanes(lower: &[f32], upper: &Half) -> [__m128; X_ROWS] {
    // Two lanes of each output of a row: (a a b b c c d d).
    let mut by2 = [_mm256_setzero_ps(); X_ROWS];
    for m in 0..X_ROWS {
        let mut by8 = [_mm256_setzero_ps(); W_ROWS];
        for n in 0..W_ROWS {
            let lower = &lower[(m * W_ROWS + n) * HALF..][..HALF];
            // SAFETY: eight floats.
            by8[n] = unsafe { _mm256_add_ps(_mm256_loadu_ps(lower.as_ptr()), upper[m][n]) };
        }
        let [a, b, c, d] = by8;
        let (ac, bd) = (_mm256_castps_pd(fold(a, c)), _mm256_castps_pd(fold(b, d)));
        let (low, high) = (_mm256_unpacklo_pd(ac, bd), _mm256_unpackhi_pd(ac, bd));
        by2[m] = _mm256_add_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
    }
    let [first, second, third] = by2;
    let [first, second] = last_of_two(first, second);
    let [third, _] = last_of_two(third, third);
    [first, second, third]
}

/// Lanes i + 4 added to lanes i: four of `a`, then four of `b`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn fold(a: __m256, b: __m256) -> __m256 {
    let same = _mm256_blend_ps::<0xf0>(a, b);
    _mm256_add_ps(same, _mm256_permute2f128_ps::<0x21>(a, b))
}

/// The last two lanes of each output of two rows added up.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn last_of_two(a: __m256, b: __m256) -> [__m128; 2] {
    let (even, odd) = (_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xdd>(a, b));
    let sums = _mm256_castps_pd(_mm256_add_ps(even, odd));
    let sums = _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(sums));
    [_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums)]
}
