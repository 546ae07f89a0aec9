//! The AVX-512 form of [`super::gemm`]: tiles of 12 rows by two panels of B in 24 registers.

use super::avx2::{Block, C, FEW, Rows, pack_a, pack_b};
use super::{
    Gemm, Line, NC_MAX, NR, Operand, PACKED_A, PACKED_B, as_floats_mut, at_least, block_of,
};
use crate::Pool;
use std::arch::x86_64::*;

/// Rows of a register tile.
const MR: usize = 12;
/// Rows of the tiles that what is left is cut into.
const TILES: [usize; 5] = [MR, 8, 4, 2, 1];

impl Gemm<'_> {
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn run_avx512(&self, pool: &Pool, b: &Operand<'_>) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        let nc = n.min(NC_MAX);
        PACKED_B.with_borrow_mut(|buffer| {
            let packed = at_least(buffer, nc.div_ceil(NR) * kc);
            for j0 in (0..n).step_by(nc) {
                let width = nc.min(n - j0);
                for k0 in (0..k).step_by(kc) {
                    let depth = kc.min(k - k0);
                    let panels = &mut packed[..width.div_ceil(NR) * depth];
                    pack_b(pool, b, (k0, depth), (j0, width), panels);
                    let panels = &*panels;
                    pool.run(m.div_ceil(self.rows), &|task| {
                        let i0 = task * self.rows;
                        let rows = (i0, self.rows.min(m - i0));
                        let block = Block { rows, cols: (j0, width), sum: (k0, depth) };
                        self.wide_block(&block, panels, depth);
                    });
                }
            }
        });
    }

    /// With all of B packed, `stride` lines from panel to panel; on this thread.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn packed_avx512(&self, lines: &[Line], stride: usize) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        for k0 in (0..k).step_by(kc) {
            let sum = (k0, kc.min(k - k0));
            self.wide_block(&Block { rows: (0, m), cols: (0, n), sum }, &lines[k0..], stride);
        }
    }

    /// One task: some rows of C, all columns that are packed.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    fn wide_block(&self, block: &Block, panels: &[Line], stride: usize) {
        let (k0, depth) = block.sum;
        if self.a.transposed && block.cols.1 <= FEW {
            let data = &self.a.data[k0 * self.a.stride + block.rows.0..];
            let a = Rows { data, panel: MR, step_row: 1, step_k: self.a.stride };
            // SAFETY: the processor has AVX-512; the columns lie in the operand, which was checked.
            unsafe { self.wide_tiles(block, &a, panels, stride) };
        } else if self.a.transposed {
            PACKED_A.with_borrow_mut(|buffer| {
                let n_panels = block.rows.1.div_ceil(MR);
                let packed = at_least(buffer, (n_panels * depth * MR).div_ceil(NR));
                let packed = as_floats_mut(packed);
                pack_a::<MR>(&self.a, block, packed);
                let a = Rows { data: packed, panel: depth * MR, step_row: 1, step_k: MR };
                // SAFETY: the processor has AVX-512; the panels hold what `Rows` says.
                unsafe { self.wide_tiles(block, &a, panels, stride) };
            });
        } else {
            let data = &self.a.data[block.rows.0 * self.a.stride + k0..];
            let step = self.a.stride;
            let a = Rows { data, panel: MR * step, step_row: step, step_k: 1 };
            // SAFETY: as above; the rows lie in the operand, which was checked.
            unsafe { self.wide_tiles(block, &a, panels, stride) };
        }
    }

    /// # Safety
    /// The processor must have AVX-512, and `a` must hold the block.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn wide_tiles(&self, block: &Block, a: &Rows<'_>, panels: &[Line], stride: usize) {
        let ((i0, height), (j0, width), (k0, depth)) = (block.rows, block.cols, block.sum);
        let adds = self.adds(k0);
        for start_col in (0..width).step_by(2 * NR) {
            let cols = (2 * NR).min(width - start_col);
            let pair = &panels[start_col / NR * stride..];
            assert!((cols - 1) / NR * stride + depth <= pair.len());
            let mut r = 0;
            while r < height {
                let rows = TILES.into_iter().find(|&rows| rows <= height - r).unwrap_or(1);
                let rows_a = &a.data[r / MR * a.panel + r % MR * a.step_row..];
                assert!((rows - 1) * a.step_row + (depth - 1) * a.step_k < rows_a.len());
                let start = (i0 + r) * self.stride_c + j0 + start_col;
                let len = (rows - 1) * self.stride_c + cols;
                let tile = Tile {
                    a: rows_a.as_ptr(),
                    step_row: a.step_row,
                    step_k: a.step_k,
                    b: pair.as_ptr().cast(),
                    next_panel: stride * NR,
                    depth,
                    cols,
                    adds,
                };
                // SAFETY: tiles of C do not overlap; A and B were checked above, and a pair of
                // panels has the second where there are more than NR columns.
                unsafe {
                    let first = self.c.slice(start, len).as_mut_ptr();
                    let c = C { first, stride: self.stride_c };
                    match cols > NR {
                        true => tile.run::<2>(&c, rows),
                        false => tile.run::<1>(&c, rows),
                    }
                }
                r += rows;
            }
        }
    }
}

/// What one tile multiplies, and how it is stored.
struct Tile {
    a: *const f32,
    step_row: usize,
    step_k: usize,
    b: *const f32,
    next_panel: usize,
    depth: usize,
    cols: usize,
    adds: bool,
}

impl Tile {
    /// # Safety
    /// AVX-512; A must hold (rows, depth), B so many panels, C (rows, cols).
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn run<const PANELS: usize>(&self, c: &C, rows: usize) {
        // SAFETY: as promised by the caller.
        unsafe {
            match rows {
                12 => self.write::<12, PANELS>(c),
                8 => self.write::<8, PANELS>(c),
                4 => self.write::<4, PANELS>(c),
                2 => self.write::<2, PANELS>(c),
                _ => self.write::<1, PANELS>(c),
            }
        }
    }

    /// # Safety
    /// As for `run`.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    unsafe fn write<const ROWS: usize, const PANELS: usize>(&self, c: &C) {
        // SAFETY: as promised by the caller; masks keep loads and stores to the columns of C.
        unsafe {
            for r in 0..ROWS {
                let row = c.first.add(r * c.stride);
                _mm_prefetch::<_MM_HINT_T0>(row.cast());
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(NR).cast());
            }
            let sums = match self.step_k {
                1 => self.sums::<ROWS, PANELS, true>(),
                _ => self.sums::<ROWS, PANELS, false>(),
            };
            for (r, sums) in sums.into_iter().enumerate() {
                for (p, sum) in sums.into_iter().enumerate() {
                    let at = c.first.add(r * c.stride + p * NR);
                    let left = (self.cols - p * NR).min(NR);
                    let mask = (0xffff_u32 >> (NR - left)) as __mmask16;
                    let sum = match self.adds {
                        true => _mm512_add_ps(_mm512_maskz_loadu_ps(mask, at), sum),
                        false => sum,
                    };
                    _mm512_mask_storeu_ps(at, mask, sum);
                }
            }
        }
    }

    /// The sums of a tile, in registers.
    ///
    /// # Safety
    /// As for `run`; BY_ROWS says whether `step_k` is 1, and `step_row` is 1 where it is not.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    unsafe fn sums<const ROWS: usize, const PANELS: usize, const BY_ROWS: bool>(
        &self,
    ) -> [[__m512; PANELS]; ROWS] {
        let mut sums = [[_mm512_setzero_ps(); PANELS]; ROWS];
        let (mut a, mut b) = (self.a, self.b);
        let (step_row, step_k) = if BY_ROWS { (self.step_row, 1) } else { (1, self.step_k) };
        let next_panel = self.next_panel;
        macro_rules! one {
            ($l:expr) => {
                let panels: [__m512; PANELS] =
                    std::array::from_fn(|p| _mm512_load_ps(b.add(p * next_panel + $l * NR)));
                for (r, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(r * step_row + $l * step_k));
                    for (sum, panel) in sum.iter_mut().zip(panels) {
                        *sum = _mm512_fmadd_ps(x, panel, *sum);
                    }
                }
            };
        }
        // SAFETY: `depth` steps stay inside A and the panels, as the caller promises.
        unsafe {
            for _ in 0..self.depth / 4 {
                one!(0);
                one!(1);
                one!(2);
                one!(3);
                a = a.add(4 * step_k);
                b = b.add(4 * NR);
            }
            for _ in 0..self.depth % 4 {
                one!(0);
                a = a.add(step_k);
                b = b.add(NR);
            }
        }
        sums
    }
}
