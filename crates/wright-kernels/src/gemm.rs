//! Products of f32 matrices for training: `C = A·B` or `C += A·B`, either operand transposed.
//!
//! One output is a sum over k in blocks whose length depends on k alone; inside a block one fused
//! multiply-add follows another, and the block's sum is added to C. So a result depends neither
//! on the number of threads nor on the other rows and columns, and the scalar form gives the
//! same bytes as the vector form. Threads share out rows of C, never a sum.
//!
//! The vector forms keep a tile of 6 rows by 16 columns, or 12 by 32, in registers (Goto and van
//! de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008). B is packed into panels of
//! 16 columns; A is packed only where it lies transposed and many columns read it, on NEON not
//! at all. Who multiplies with the same B often keeps its [`Panels`]. Weights in block formats are
//! not for this file: see the linear kernels.

use crate::Pool;
use crate::isa::by_isa;
use crate::pool::Parts;
use std::cell::RefCell;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;

pub(crate) use panels::Panels;

/// Rows of a register tile of AVX2 and NEON; AVX-512 has twice as many.
const MR: usize = 6;
/// Columns of a register tile, and of a panel of packed B.
const NR: usize = 16;
/// Longest block of a sum: a panel of B (384·16·4 = 24 KiB) then fits the first-level cache.
const KC_MAX: usize = 384;
/// Columns packed at a time: 384·1024·4 bytes = 1.5 MiB, which stays in the last-level cache.
const NC_MAX: usize = 1024;

/// A matrix to multiply, lying in memory by rows, `stride` elements apart.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    data: &'a [f32],
    stride: usize,
    transposed: bool,
}

impl<'a> Operand<'a> {
    /// The matrix as it lies in memory: element (i, j) is `data[i * stride + j]`.
    pub fn new(data: &'a [f32], stride: usize) -> Self {
        Operand { data, stride, transposed: false }
    }

    /// The transpose of what lies in memory: element (i, j) is `data[j * stride + i]`.
    pub fn transposed(data: &'a [f32], stride: usize) -> Self {
        Operand { data, stride, transposed: true }
    }

    /// The transpose of this matrix.
    pub fn across(self) -> Self {
        Operand { transposed: !self.transposed, ..self }
    }

    #[inline]
    fn at(&self, i: usize, j: usize) -> f32 {
        if self.transposed {
            self.data[j * self.stride + i]
        } else {
            self.data[i * self.stride + j]
        }
    }

    /// Whether (rows, cols) of the matrix lie inside the slice.
    fn covers(&self, rows: usize, cols: usize) -> bool {
        let (rows, cols) = if self.transposed { (cols, rows) } else { (rows, cols) };
        if rows == 0 || cols == 0 {
            return true;
        }
        cols <= self.stride && (rows - 1) * self.stride + cols <= self.data.len()
    }
}

/// What to do with what C holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// `C = A·B`; what C held does not matter.
    Overwrite,
    /// `C += A·B`.
    Add,
}

/// Multiplies A (m, k) by B (k, n) into C (m, n), whose rows are `stride_c` elements apart.
///
/// ```
/// use wright_kernels::Pool;
/// use wright_kernels::gemm::{Into, Operand, gemm};
///
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, -1.0]); // (2, 2) both
/// let mut c = [0.0; 4];
/// let (a, b) = (Operand::new(&a, 2), Operand::new(&b, 2));
/// gemm(&Pool::new(1), (2, 2, 2), a, b, &mut c, 2, Into::Overwrite);
/// assert_eq!(c, [1.0, -2.0, 3.0, -4.0]);
/// ```
///
/// # Panics
/// If an operand's slice is shorter than its shape says.
#[allow(clippy::too_many_arguments)]
pub fn gemm(
    pool: &Pool,
    (m, n, k): (usize, usize, usize),
    a: Operand<'_>,
    b: Operand<'_>,
    c: &mut [f32],
    stride_c: usize,
    into: Into,
) {
    assert!(a.covers(m, k), "A is shorter than ({m}, {k})");
    assert!(b.covers(k, n), "B is shorter than ({k}, {n})");
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= stride_c && (m - 1) * stride_c + n <= c.len(), "C is shorter than ({m}, {n})");
    if k == 0 {
        if into == Into::Overwrite {
            c.chunks_mut(stride_c).take(m).for_each(|row| row[..n].fill(0.0));
        }
        return;
    }
    let c = Parts::new(c);
    let gemm = Gemm { shape: (m, n, k), a, c: &c, stride_c, into, rows: rows_a_task(pool, m) };
    #[cfg(target_arch = "x86_64")]
    if pool.isa().has_avx512() {
        // SAFETY: the processor has AVX-512; slices were checked above.
        return unsafe { gemm.run_avx512(pool, &b) };
    }
    #[cfg(target_arch = "aarch64")]
    if pool.isa().has_neon() {
        return gemm.run_neon(pool, &b);
    }
    by_isa!(pool.isa(), gemm.run_avx2(pool, &b), gemm.run_scalar(pool, &b));
}

/// Length of the blocks that a sum of `k` terms is cut into: as few and as equal as may be.
fn block_of(k: usize) -> usize {
    k.div_ceil(k.div_ceil(KC_MAX))
}

/// Rows of C that one task computes: enough tasks to share out, enough rows to reuse a panel.
fn rows_a_task(pool: &Pool, m: usize) -> usize {
    let even = m.div_ceil(pool.threads() * 4).div_ceil(2 * MR) * 2 * MR;
    even.clamp(4 * MR, 24 * MR)
}

/// One product, checked.
struct Gemm<'a> {
    shape: (usize, usize, usize),
    a: Operand<'a>,
    c: &'a Parts<'a, f32>,
    stride_c: usize,
    into: Into,
    rows: usize,
}

impl Gemm<'_> {
    /// Whether the block of the sum that starts at `k0` adds to what C holds.
    fn adds(&self, k0: usize) -> bool {
        self.into == Into::Add || k0 > 0
    }

    /// The scalar reference: each output by itself.
    fn run_scalar(&self, pool: &Pool, b: &Operand<'_>) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        pool.run(m.div_ceil(self.rows), &|task| {
            let start = task * self.rows;
            for i in start..(start + self.rows).min(m) {
                // SAFETY: rows of C do not overlap, and each belongs to one task.
                let row = unsafe { self.c.slice(i * self.stride_c, n) };
                for (j, out) in row.iter_mut().enumerate() {
                    for k0 in (0..k).step_by(kc) {
                        let end = (k0 + kc).min(k);
                        let sum = (k0..end)
                            .fold(0.0f32, |sum, l| self.a.at(i, l).mul_add(b.at(l, j), sum));
                        *out = if self.adds(k0) { *out + sum } else { sum };
                    }
                }
            }
        });
    }
}

/// A cache line of packed numbers, so that panels are aligned.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; NR]);

thread_local! {
    /// Packed B of the thread that called, and packed A of any thread; kept between calls.
    static PACKED_B: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    static PACKED_A: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Floats that begin on a cache line, in memory that only grows.
#[derive(Debug)]
pub(crate) struct Aligned(Vec<Line>);

impl Aligned {
    pub(crate) const fn new() -> Self {
        Aligned(Vec::new())
    }

    /// `len` floats; what they are does not matter.
    pub(crate) fn floats(&mut self, len: usize) -> &mut [f32] {
        &mut as_floats_mut(at_least(&mut self.0, len.div_ceil(NR)))[..len]
    }
}

fn as_floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: a line is NR floats and nothing else.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * NR) }
}

const _: () = assert!(size_of::<Line>() == NR * 4);

/// `lines` lines of a buffer that only grows.
fn at_least(buffer: &mut Vec<Line>, lines: usize) -> &mut [Line] {
    if buffer.len() < lines {
        buffer.resize(lines, Line([0.0; NR]));
    }
    &mut buffer[..lines]
}

#[cfg(test)]
mod tests;
