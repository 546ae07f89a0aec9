//! Weights of any format times activations in f32, all arithmetic in f32.
//!
//! One output is a dot product over K in 16 lanes, each a chain of fused multiply-adds in
//! ascending order, reduced by the fixed tree. The last step of a K that is not whole 16s is
//! filled up with zeros. That is all that an output's bytes depend on: neither the number of rows
//! nor the path matters. Float weights and few rows are read where they lie (`rows`); else some
//! rows of weights are decoded to f32 once and meet all activations while they are in the cache:
//! in panels of a shape of their own on AVX2 (`panels`), as rows elsewhere.
//!
//! The integer kernels for block formats are in `quant`; the products of training in `gemm`.

use crate::dequant::dequantize_with;
use crate::pool::{Parts, Region};
use crate::scratch::with_floats;
use crate::{DType, Isa, Matrix, Pool};
use rows::{InBF16, InF16, InF32, NT_ONE, n_sums, outputs};

#[cfg(target_arch = "x86_64")]
mod panels;
mod rows;

/// Most outputs of one task, where weights are decoded.
const TASK_OUTPUTS_MAX: usize = 96;
/// Rows up to which float weights are converted again for each tile.
const FEW_ROWS: usize = 4;
/// Bytes of weights in a task of few rows: less is not worth a task.
const TASK_BYTES_MIN: usize = 32 << 10;
/// Tasks for each thread that what is left would make, where few rows share it.
const TASKS_OF_REST: usize = 2;
/// Bytes of decoded weights in a task: half of a second-level cache.
const DECODED_BYTES_MAX: usize = 256 << 10;
/// What outputs are split at: whole tiles of rows and of panels.
const OUTPUTS_OF_TILES: usize = 12;

/// A matrix and where its product goes.
#[derive(Debug)]
pub struct Product<'a> {
    /// (N, K)
    pub w: Matrix<'a>,
    /// (M, N)
    pub y: &'a mut [f32],
}

/// `y = x wᵀ`: for x (M, K) and weights (N, K), y is (M, N).
///
/// ```
/// use wright_kernels::{DType, Matrix, Pool, linear_f32};
///
/// // N = 2 outputs, K = 3 inputs.
/// let w = [1.0f32, 2.0, 3.0, 0.0, -1.0, 0.5].map(f32::to_le_bytes);
/// let w = Matrix::new(DType::F32, 2, 3, w.as_flattened()).expect("whole rows");
/// let mut y = [0.0; 2];
/// linear_f32(&Pool::new(1), &w, &[1.0, 1.0, 2.0], &mut y);
/// assert_eq!(y, [9.0, 0.0]);
/// ```
///
/// # Panics
/// If `x` is not whole rows or `y` is not (M, N).
pub fn linear_f32(pool: &Pool, w: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    linear_f32_each(pool, &mut [Product { w: *w, y }], x);
}

/// Several matrices that read the same activations, in one call of the pool: Q, K and V, or gate
/// and up. Each output is what [`linear_f32`] gives.
///
/// # Panics
/// If the matrices differ in K, `x` is not whole rows, or a `y` is not (M, N).
pub fn linear_f32_each(pool: &Pool, products: &mut [Product<'_>], x: &[f32]) {
    let Some(k) = products.first().map(|product| product.w.k) else { return };
    if k == 0 {
        products.iter_mut().for_each(|product| product.y.fill(0.0));
        return;
    }
    assert!(x.len().is_multiple_of(k), "rows of {k}");
    let m = x.len() / k;
    for Product { w, y } in &*products {
        assert_eq!(w.bytes.len(), w.n * w.row_bytes(), "a matrix of (N, K)");
        assert_eq!((w.k, y.len()), (k, m * w.n), "one K, and rows of {}", w.n);
    }
    if m == 0 {
        return;
    }
    let parts: Vec<(Matrix<'_>, Parts<'_, f32>)> =
        products.iter_mut().map(|product| (product.w, Parts::new(&mut *product.y))).collect();
    let tasks = tasks(pool, &parts, x, m);
    #[cfg(target_arch = "x86_64")]
    if m > FEW_ROWS && pool.isa().has_avx2() && !pool.isa().has_avx512() {
        return panels::with_packed(pool, x, k, |x| {
            // SAFETY: the processor has AVX2, FMA and F16C; tasks have different outputs.
            pool.run(tasks.len(), &|i| unsafe { panels::run(&tasks[i], x) });
        });
    }
    if tasks.first().is_some_and(|task| is_direct(task.w, m)) {
        pool.prefetch_next(tasks.iter().map(Task::region));
    }
    // SAFETY: tasks have different outputs.
    pool.run(tasks.len(), &|i| unsafe { run(pool.isa(), &tasks[i]) });
}

/// The outputs of all products, shared out.
fn tasks<'a>(
    pool: &Pool,
    parts: &'a [(Matrix<'a>, Parts<'a, f32>)],
    x: &'a [f32],
    m: usize,
) -> Vec<Task<'a>> {
    let mut tasks = Vec::new();
    // Bytes of weights that no task has yet.
    let mut left: usize = parts.iter().map(|(w, _)| w.bytes.len()).sum();
    for (w, y) in parts {
        let mut n0 = 0;
        while n0 < w.n {
            let n = outputs_of_task(w, m, pool.threads(), left).min(w.n - n0);
            left -= n * w.row_bytes();
            tasks.push(Task { w, x, m, n, n0, y });
            n0 += n;
        }
    }
    tasks
}

/// Outputs of the next task, where `left` bytes of weights are to be handed out.
///
/// A few rows take no longer than their weights take to come from memory, and these come fastest
/// in long pieces: a task gets a fixed part of what is left ("guided self-scheduling",
/// Polychronopoulos and Kuck 1987), so that the first are long and the last end together. Many
/// rows get enough tasks to keep threads level, and no more decoded weights than the second cache
/// holds.
fn outputs_of_task(w: &Matrix<'_>, m: usize, threads: usize, left: usize) -> usize {
    if is_direct(w, m) {
        let part = left / (TASKS_OF_REST * threads);
        let bytes = if threads == 1 { left } else { part.max(TASK_BYTES_MIN / m) };
        return bytes.div_ceil(w.row_bytes()).next_multiple_of(NT_ONE);
    }
    let fair = w.n.div_ceil(4 * threads);
    let fits = DECODED_BYTES_MAX / (4 * w.k);
    let most = fair.min(fits).min(TASK_OUTPUTS_MAX);
    (most / OUTPUTS_OF_TILES).max(1) * OUTPUTS_OF_TILES
}

/// Whether weights are read where they lie.
fn is_direct(w: &Matrix<'_>, m: usize) -> bool {
    w.dtype.is_float() && m <= FEW_ROWS
}

/// Some outputs of all rows.
struct Task<'a> {
    w: &'a Matrix<'a>,
    /// (M, K)
    x: &'a [f32],
    m: usize,
    /// Outputs `n0 .. n0 + n` are computed.
    n: usize,
    n0: usize,
    /// (M, N)
    y: &'a Parts<'a, f32>,
}

impl Task<'_> {
    /// Where the task begins to read: a single row's outputs in pieces, see `rows`.
    fn region(&self) -> Region {
        let streams = if self.m == 1 { NT_ONE } else { 1 };
        let first = &self.w.bytes[self.n0 * self.w.row_bytes()..];
        Region::new(first.as_ptr(), streams, self.n / streams * self.w.row_bytes())
    }
}

/// # Safety
/// No other task writes the task's columns of `y`.
unsafe fn run(isa: Isa, task: &Task<'_>) {
    let (w, k) = (task.w, task.w.k);
    let n_sums = n_sums(k, task.m);
    if w.dtype == DType::F32 || is_direct(w, task.m) {
        let rows = w.bytes[task.n0 * w.row_bytes()..].as_ptr();
        return with_floats(n_sums, |sums| match w.dtype {
            DType::F16 => outputs::<InF16>(isa, task, rows, sums),
            DType::BF16 => outputs::<InBF16>(isa, task, rows, sums),
            _ => outputs::<InF32>(isa, task, rows, sums),
        });
    }
    with_floats(n_sums + task.n * k, |floats| {
        let (sums, panel) = floats.split_at_mut(n_sums);
        for (row, decoded) in (task.n0..).zip(panel.chunks_exact_mut(k)) {
            dequantize_with(isa, w.dtype, w.row(row), decoded);
        }
        outputs::<InF32>(isa, task, panel.as_ptr().cast(), sums);
    });
}

#[cfg(test)]
mod tests;
