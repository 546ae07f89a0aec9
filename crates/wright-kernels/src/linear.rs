//! Weights of any format times activations in f32, all arithmetic in f32.
//!
//! One output is a dot product over K in 16 lanes, each a chain of fused multiply-adds in
//! ascending order, reduced by the fixed tree. The last step of a K that is not whole 16s is
//! filled up with zeros. That is all that an output's bytes depend on: neither the number of rows
//! nor the path matters. Float weights and few rows are read where they lie; else some rows of
//! weights are decoded to f32 once and meet all activations while they are in the cache.
//!
//! The integer kernels for block formats are in `quant`; the products of training in `gemm`.

use crate::dequant::dequantize_with;
use crate::float16::{bf16_to_f32, f16_to_f32};
use crate::lanes::{Lanes, each_isa};
use crate::pool::Parts;
use crate::scratch::with_floats;
use crate::{DType, Matrix, Pool};

/// Rows of activations in a register tile.
const MT: usize = 2;
/// Outputs in a register tile: 2 * 3 sums of 16 lanes fill 12 of 16 AVX registers.
const NT: usize = 3;
/// Outputs in a tile of a single row.
const NT_ONE: usize = 6;
/// The same where there are 32 registers.
const MT_WIDE: usize = 6;
const NT_ONE_WIDE: usize = 12;
/// Length of K in which tiles run: 3 rows of weights and 2 of activations fit 32 KiB.
const K_BLOCK: usize = 1536;
/// Rows of activations that stay in the second-level cache while weights pass.
const M_BLOCK: usize = 64;
/// Bytes of f32 weights that stay in the first-level cache while activations pass.
const GROUP_BYTES: usize = 18 * 1024;
/// Most outputs of one task.
const TASK_OUTPUTS_MAX: usize = 48;
/// Rows up to which float weights are converted anew for each tile.
const FEW_ROWS: usize = 4;

/// `y = x wᵀ`: for x (M, K) and weights (N, K), y is (M, N).
///
/// # Panics
/// If `x` is not whole rows or `y` is not (M, N).
pub fn linear_f32(pool: &Pool, w: &Matrix<'_>, x: &[f32], y: &mut [f32]) {
    assert_eq!(w.bytes.len(), w.n * w.row_bytes(), "a matrix of (N, K)");
    if w.k == 0 || w.n == 0 {
        y.fill(0.0);
        return;
    }
    assert!(x.len().is_multiple_of(w.k), "rows of {}", w.k);
    let m = x.len() / w.k;
    assert_eq!(y.len(), m * w.n, "rows of {}", w.n);
    let direct = w.dtype == DType::F32 || w.dtype.is_float() && m <= FEW_ROWS;
    let n_task = task_outputs(w, pool.threads(), direct);
    let y = Parts::new(y);
    pool.run(w.n.div_ceil(n_task), &|task| {
        let n0 = task * n_task;
        let n = n_task.min(w.n - n0);
        let job = Job { x, k: w.k, m, n, n0, y_stride: w.n, y: &y };
        // SAFETY: tasks have different columns; `bytes` holds `n` rows of the format.
        unsafe { run_task(pool, w, &job, direct) };
    });
}

/// Outputs of a task: enough tasks to keep threads level, whole tiles, and, where weights are
/// decoded, no more than half a second-level cache of them.
fn task_outputs(w: &Matrix<'_>, threads: usize, direct: bool) -> usize {
    let fair = w.n.div_ceil(4 * threads).max(1 << 15 >> w.row_bytes().ilog2());
    let fits = if direct { TASK_OUTPUTS_MAX } else { (1 << 18) / (4 * w.k) };
    fair.min(fits).min(TASK_OUTPUTS_MAX).next_multiple_of(NT_ONE)
}

/// Some outputs of all rows.
struct Job<'a> {
    /// (M, K)
    x: &'a [f32],
    k: usize,
    m: usize,
    /// Outputs `n0 .. n0 + n` are computed.
    n: usize,
    n0: usize,
    /// (M, y_stride)
    y_stride: usize,
    y: &'a Parts<'a, f32>,
}

/// # Safety
/// `w` holds the job's outputs, and no other task writes its columns of `y`.
unsafe fn run_task(pool: &Pool, w: &Matrix<'_>, job: &Job<'_>, direct: bool) {
    let isa = pool.isa();
    let n_sums = M_BLOCK * job.n * 16;
    if direct {
        let rows = w.bytes[job.n0 * w.row_bytes()..].as_ptr();
        return with_floats(n_sums, |sums| match w.dtype {
            DType::F16 => outputs::<InF16>(isa, job, rows, sums),
            DType::BF16 => outputs::<InBF16>(isa, job, rows, sums),
            _ => outputs::<InF32>(isa, job, rows, sums),
        });
    }
    with_floats(n_sums + job.n * job.k, |floats| {
        let (sums, panel) = floats.split_at_mut(n_sums);
        for (row, decoded) in (job.n0..).zip(panel.chunks_exact_mut(job.k)) {
            dequantize_with(isa, w.dtype, w.row(row), decoded);
        }
        outputs::<InF32>(isa, job, panel.as_ptr().cast(), sums);
    });
}

/// How a weight lies in memory.
trait Stored {
    const BYTES: usize;
    /// # Safety
    /// 16 weights are at `at`.
    unsafe fn load<V: Lanes>(at: *const u8) -> V;
    /// # Safety
    /// A weight is at `at`.
    unsafe fn load_one(at: *const u8) -> f32;
}

struct InF32;
struct InF16;
struct InBF16;

impl Stored for InF32 {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn load<V: Lanes>(at: *const u8) -> V {
        // SAFETY: as the caller promises; lanes load from any address.
        unsafe { V::load_at(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_one(at: *const u8) -> f32 {
        // SAFETY: as the caller promises.
        unsafe { at.cast::<f32>().read_unaligned() }
    }
}

impl Stored for InF16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<V: Lanes>(at: *const u8) -> V {
        // SAFETY: as the caller promises; lanes load from any address.
        unsafe { V::load_f16_at(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_one(at: *const u8) -> f32 {
        // SAFETY: as the caller promises.
        f16_to_f32(unsafe { at.cast::<u16>().read_unaligned() })
    }
}

impl Stored for InBF16 {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn load<V: Lanes>(at: *const u8) -> V {
        // SAFETY: as the caller promises; lanes load from any address.
        unsafe { V::load_bf16_at(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_one(at: *const u8) -> f32 {
        // SAFETY: as the caller promises.
        bf16_to_f32(unsafe { at.cast::<u16>().read_unaligned() })
    }
}

each_isa! {
    fn outputs(job: &Job<'_>, w: *const u8, sums: &mut [f32]) = outputs_lanes <S: Stored>;
}

/// `w` points to the job's rows of weights; `sums` is (M_BLOCK, outputs, 16).
#[inline(always)]
fn outputs_lanes<V: Lanes, S: Stored>(job: &Job<'_>, w: *const u8, sums: &mut [f32]) {
    let row_bytes = job.k * S::BYTES;
    let group = (GROUP_BYTES / (4 * job.k.min(K_BLOCK))).max(1).next_multiple_of(NT_ONE);
    for m0 in (0..job.m).step_by(M_BLOCK) {
        let m = M_BLOCK.min(job.m - m0);
        for n0 in (0..job.n).step_by(group) {
            let n = group.min(job.n - n0);
            for k0 in (0..job.k).step_by(K_BLOCK) {
                let block = Block {
                    x: job.x[m0 * job.k + k0..].as_ptr(),
                    x_stride: job.k,
                    w: w.wrapping_add(n0 * row_bytes + k0 * S::BYTES),
                    w_stride: row_bytes,
                    k: K_BLOCK.min(job.k - k0),
                    resume: k0 > 0,
                };
                assert!(m * n * 16 <= sums.len());
                // SAFETY: x has M rows and w has N rows of K, of which this is a block; sums has
                // room, as checked.
                unsafe { block.run::<V, S>(m, n, sums.as_mut_ptr()) };
            }
            for (i, sums) in sums.chunks_exact(n * 16).take(m).enumerate() {
                // SAFETY: these columns are this task's, and no other part is alive.
                let y = unsafe { job.y.slice((m0 + i) * job.y_stride + job.n0 + n0, n) };
                for (y, sum) in y.iter_mut().zip(sums.chunks_exact(16)) {
                    *y = V::load(sum).sum();
                }
            }
        }
    }
}

/// A part of K for some rows and outputs.
struct Block {
    x: *const f32,
    /// Floats from row to row.
    x_stride: usize,
    w: *const u8,
    /// Bytes from row to row.
    w_stride: usize,
    k: usize,
    /// Whether `sums` holds the lanes of the K before this part.
    resume: bool,
}

impl Block {
    /// Adds this part of K to `sums`, (m, n, 16).
    ///
    /// # Safety
    /// There are `m` rows of x, `n` of w, and room for `m * n * 16` sums.
    #[inline(always)]
    unsafe fn run<V: Lanes, S: Stored>(&self, m: usize, n: usize, sums: *mut f32) {
        let mut i = 0;
        // SAFETY: tiles stay within m and n.
        unsafe {
            if V::REGISTERS >= 32 {
                while i + MT_WIDE <= m {
                    let j = self.tiles::<V, S, MT_WIDE, NT>(i, 0, n, sums);
                    self.tiles::<V, S, MT_WIDE, 1>(i, j, n, sums);
                    i += MT_WIDE;
                }
            }
            while i + MT <= m {
                let j = self.tiles::<V, S, MT, NT>(i, 0, n, sums);
                self.tiles::<V, S, MT, 1>(i, j, n, sums);
                i += MT;
            }
            while i < m {
                let mut j = 0;
                if V::REGISTERS >= 32 {
                    j = self.tiles::<V, S, 1, NT_ONE_WIDE>(i, j, n, sums);
                }
                j = self.tiles::<V, S, 1, NT_ONE>(i, j, n, sums);
                self.tiles::<V, S, 1, 1>(i, j, n, sums);
                i += 1;
            }
        }
    }

    /// Tiles of N outputs from `j` on, as many as there are. Gives the first output that is left.
    ///
    /// # Safety
    /// As [`Block::run`], with `i + M <= m`.
    #[inline(always)]
    unsafe fn tiles<V: Lanes, S: Stored, const M: usize, const N: usize>(
        &self,
        i: usize,
        mut j: usize,
        n: usize,
        sums: *mut f32,
    ) -> usize {
        while j + N <= n {
            // SAFETY: as the caller promises, and these outputs are there.
            unsafe { self.tile::<V, S, M, N>(i, j, n, sums) };
            j += N;
        }
        j
    }

    /// Rows `i..i + M`, outputs `j..j + N`.
    ///
    /// # Safety
    /// As [`Block::run`], with `i + M <= m` and `j + N <= n`.
    #[inline(always)]
    unsafe fn tile<V: Lanes, S: Stored, const M: usize, const N: usize>(
        &self,
        i: usize,
        j: usize,
        n: usize,
        sums: *mut f32,
    ) {
        // SAFETY: all offsets lie within the rows and outputs that the caller promises.
        unsafe {
            let x = self.x.add(i * self.x_stride);
            let w = self.w.add(j * self.w_stride);
            let sums = sums.add((i * n + j) * 16);
            let mut tile = [[V::splat(0.0); N]; M];
            if self.resume {
                for (a, row) in tile.iter_mut().enumerate() {
                    for (b, sum) in row.iter_mut().enumerate() {
                        *sum = V::load_at(sums.add((a * n + b) * 16));
                    }
                }
            }
            let whole = self.k & !15;
            let mut at = 0;
            while at < whole {
                let xs: [V; M] = std::array::from_fn(|a| V::load_at(x.add(a * self.x_stride + at)));
                let ws: [V; N] =
                    std::array::from_fn(|b| S::load(w.add(b * self.w_stride + at * S::BYTES)));
                if M == 1 {
                    // The outputs of the next tile: rows are too short for the processor to guess.
                    for b in N..2 * N {
                        fetch(w.wrapping_add(b * self.w_stride + at * S::BYTES));
                    }
                }
                for (row, x) in tile.iter_mut().zip(xs) {
                    for (sum, w) in row.iter_mut().zip(ws) {
                        *sum = w.mul_add(x, *sum);
                    }
                }
                at += 16;
            }
            if whole < self.k {
                self.last_step::<V, S, M, N>(x, w, &mut tile);
            }
            for (a, row) in tile.iter().enumerate() {
                for (b, sum) in row.iter().enumerate() {
                    sum.store_at(sums.add((a * n + b) * 16));
                }
            }
        }
    }

    /// What is left of K after the whole 16s, filled up with zeros.
    ///
    /// # Safety
    /// As [`Block::tile`]; `x` and `w` are its first row and output.
    #[inline(always)]
    unsafe fn last_step<V: Lanes, S: Stored, const M: usize, const N: usize>(
        &self,
        x: *const f32,
        w: *const u8,
        tile: &mut [[V; N]; M],
    ) {
        let whole = self.k & !15;
        for (a, row) in tile.iter_mut().enumerate() {
            for (b, sum) in row.iter_mut().enumerate() {
                let (mut xs, mut ws) = ([0.0; 16], [0.0; 16]);
                for at in whole..self.k {
                    // SAFETY: within the rows that the caller promises.
                    unsafe {
                        xs[at - whole] = *x.add(a * self.x_stride + at);
                        ws[at - whole] = S::load_one(w.add(b * self.w_stride + at * S::BYTES));
                    }
                }
                *sum = V::load(&ws).mul_add(V::load(&xs), *sum);
            }
        }
    }
}

/// Asks for the bytes at an address; one that is not there is harmless.
#[inline(always)]
fn fetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address does nothing but fetch, and every x86-64 has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests;
