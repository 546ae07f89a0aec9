//! Rows of weights where they lie, in lanes of any width: a few rows of activations, or all
//! that there are where the processor has no form of its own for many.

use super::Task;
use crate::float16::{bf16_to_f32, f16_to_f32};
use crate::isa::prefetch;
use crate::lanes::{Lanes, each_isa};

/// Rows of activations in a register tile.
const MT: usize = 2;
/// Outputs in a register tile: 2 * 3 sums of 16 lanes fill 12 of 16 AVX registers.
const NT: usize = 3;
/// Outputs in a tile of a single row.
pub(super) const NT_ONE: usize = 6;
/// Bytes that a single row's weights are fetched ahead of their use.
const AHEAD: usize = 256;
/// Rows in a tile where there are 32 registers.
const MT_WIDE: usize = 6;
/// Length of K in which tiles run: 3 rows of weights and 2 of activations fit 32 KiB.
pub(super) const K_BLOCK: usize = 1536;
/// Rows of activations that stay in the second-level cache while weights pass.
const M_BLOCK: usize = 64;
/// Bytes of f32 weights that stay in the first-level cache while activations pass.
const GROUP_BYTES: usize = 18 * 1024;

/// How a weight lies in memory.
pub(super) trait Stored {
    const BYTES: usize;
    /// # Safety
    /// 16 weights are at `at`.
    unsafe fn load<V: Lanes>(at: *const u8) -> V;
    /// # Safety
    /// A weight is at `at`.
    unsafe fn load_one(at: *const u8) -> f32;
}

pub(super) struct InF32;
pub(super) struct InF16;
pub(super) struct InBF16;

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
    pub(super) fn outputs(task: &Task<'_>, w: *const u8, to: &mut [f32])
        = outputs_lanes <S: Stored>;
}

/// Outputs whose weights stay in the first-level cache while activations pass.
fn group(k: usize) -> usize {
    (GROUP_BYTES / (4 * k.min(K_BLOCK))).max(1).next_multiple_of(NT_ONE)
}

/// How many sums [`outputs`] needs room for.
pub(super) fn n_sums(k: usize, m: usize) -> usize {
    m.min(M_BLOCK) * group(k) * 16
}

/// `w` points to the task's rows of weights; `sums` has room for [`n_sums`].
#[inline(always)]
fn outputs_lanes<V: Lanes, S: Stored>(task: &Task<'_>, w: *const u8, sums: &mut [f32]) {
    if task.m == 1 {
        return one_row_lanes::<V, S>(task, w, sums);
    }
    let row_bytes = task.w.k * S::BYTES;
    let group = group(task.w.k);
    for m0 in (0..task.m).step_by(M_BLOCK) {
        let m = M_BLOCK.min(task.m - m0);
        for n0 in (0..task.n).step_by(group) {
            let n = group.min(task.n - n0);
            for k0 in (0..task.w.k).step_by(K_BLOCK) {
                let block = Block {
                    x: task.x[m0 * task.w.k + k0..].as_ptr(),
                    x_stride: task.w.k,
                    w: w.wrapping_add(n0 * row_bytes + k0 * S::BYTES),
                    w_stride: row_bytes,
                    k: K_BLOCK.min(task.w.k - k0),
                    resume: k0 > 0,
                };
                assert!(m * n * 16 <= sums.len());
                // SAFETY: x has M rows and w has N rows of K, of which this is a block; sums has
                // room, as checked.
                unsafe { block.run::<V, S>(m, n, sums.as_mut_ptr()) };
            }
            for (i, sums) in sums.chunks_exact(n * 16).take(m).enumerate() {
                // SAFETY: these columns are this task's, and no other part is alive.
                let y = unsafe { task.y.slice((m0 + i) * task.w.n + task.n0 + n0, n) };
                for (y, sum) in y.iter_mut().zip(sums.chunks_exact(16)) {
                    *y = V::load(sum).sum();
                }
            }
        }
    }
}

/// [`outputs`] of a single row: in pieces, of which a tile takes an output each, since memory gives
/// more to several streams of a thread than to one.
#[inline(always)]
fn one_row_lanes<V: Lanes, S: Stored>(task: &Task<'_>, w: *const u8, sums: &mut [f32]) {
    let each = task.n / NT_ONE;
    // SAFETY: these columns are this task's, and no other part is alive.
    let y = unsafe { task.y.slice(task.n0, task.n) };
    for i in 0..each {
        // SAFETY: the last output is `i + 5 each`, one of the task's.
        unsafe { one_tile::<V, S, NT_ONE>(task, w, i, each, sums) };
        for (piece, sums) in sums.chunks_exact(16).take(NT_ONE).enumerate() {
            y[i + piece * each] = V::load(sums).sum();
        }
    }
    for (i, y) in y.iter_mut().enumerate().skip(NT_ONE * each) {
        // SAFETY: one of the task's outputs.
        unsafe { one_tile::<V, S, 1>(task, w, i, 0, sums) };
        *y = V::load(&sums[..16]).sum();
    }
}

/// The sums, (N, 16), of a single row with each `each`th of N outputs from `first` on.
///
/// # Safety
/// `w` has all these outputs.
#[inline(always)]
unsafe fn one_tile<V: Lanes, S: Stored, const N: usize>(
    task: &Task<'_>,
    w: *const u8,
    first: usize,
    each: usize,
    sums: &mut [f32],
) {
    assert!(sums.len() >= N * 16 && task.x.len() >= task.w.k);
    let row_bytes = task.w.k * S::BYTES;
    for k0 in (0..task.w.k).step_by(K_BLOCK) {
        let block = Block {
            x: task.x[k0..].as_ptr(),
            x_stride: task.w.k,
            w: w.wrapping_add(first * row_bytes + k0 * S::BYTES),
            w_stride: each * row_bytes,
            k: K_BLOCK.min(task.w.k - k0),
            resume: k0 > 0,
        };
        // SAFETY: x has K values, the caller promises the outputs, and sums has room.
        unsafe { block.tile::<V, S, 1, N>(0, 0, N, sums.as_mut_ptr()) };
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
                let j = self.tiles::<V, S, 1, NT_ONE>(i, 0, n, sums);
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
                // No closures here: the compiler may call one, and then keeps the tile in memory.
                let (mut xs, mut ws) = ([V::splat(0.0); M], [V::splat(0.0); N]);
                for (a, xs) in xs.iter_mut().enumerate() {
                    *xs = V::load_at(x.add(a * self.x_stride + at));
                }
                for (b, ws) in ws.iter_mut().enumerate() {
                    *ws = S::load(w.add(b * self.w_stride + at * S::BYTES));
                }
                if M == 1 {
                    for b in 0..N {
                        prefetch(w.wrapping_add(b * self.w_stride + at * S::BYTES + AHEAD));
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
