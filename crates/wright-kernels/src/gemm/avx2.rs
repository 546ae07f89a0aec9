//! The AVX2 form of [`super::gemm`]: panels packed once, tiles of 6×16 in twelve registers.

use super::{
    Gemm, Line, MR, NC_MAX, NR, Operand, PACKED_A, PACKED_B, as_floats_mut, at_least, block_of,
};
use crate::Pool;
use std::arch::x86_64::*;

impl Gemm<'_> {
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn run_avx2(&self, pool: &Pool, b: &Operand<'_>) {
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
                        let block = Block {
                            rows: (i0, self.rows.min(m - i0)),
                            cols: (j0, width),
                            sum: (k0, depth),
                        };
                        self.block(&block, panels, depth);
                    });
                }
            }
        });
    }

    /// With all of B packed, `stride` lines from panel to panel; on this thread.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn packed_avx2(&self, lines: &[Line], stride: usize) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        for k0 in (0..k).step_by(kc) {
            let sum = (k0, kc.min(k - k0));
            self.block(&Block { rows: (0, m), cols: (0, n), sum }, &lines[k0..], stride);
        }
    }

    /// One task: some rows of C, all columns that are packed.
    #[target_feature(enable = "avx2,fma,f16c")]
    fn block(&self, block: &Block, panels: &[Line], stride: usize) {
        let (k0, depth) = block.sum;
        if self.a.transposed && block.cols.1 <= FEW {
            let data = &self.a.data[k0 * self.a.stride + block.rows.0..];
            let a = Rows { data, panel: MR, step_row: 1, step_k: self.a.stride };
            // SAFETY: the processor has AVX2 and FMA; the columns lie in the operand, which was
            // checked.
            unsafe { self.tiles(block, &a, panels, stride) };
        } else if self.a.transposed {
            PACKED_A.with_borrow_mut(|buffer| {
                let n_panels = block.rows.1.div_ceil(MR);
                let packed = at_least(buffer, (n_panels * depth * MR).div_ceil(NR));
                let packed = as_floats_mut(packed);
                pack_a::<MR>(&self.a, block, packed);
                let a = Rows { data: packed, panel: depth * MR, step_row: 1, step_k: MR };
                // SAFETY: as above; the panels hold what `Rows` says.
                unsafe { self.tiles(block, &a, panels, stride) };
            });
        } else {
            let data = &self.a.data[block.rows.0 * self.a.stride + k0..];
            let step = self.a.stride;
            let a = Rows { data, panel: MR * step, step_row: step, step_k: 1 };
            // SAFETY: as above; the rows lie in the operand, which was checked.
            unsafe { self.tiles(block, &a, panels, stride) };
        }
    }

    /// # Safety
    /// The processor must have AVX2 and FMA, and `a` must hold the block.
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn tiles(&self, block: &Block, a: &Rows<'_>, panels: &[Line], stride: usize) {
        let ((i0, height), (j0, width), (k0, depth)) = (block.rows, block.cols, block.sum);
        let adds = self.adds(k0);
        for p in 0..width.div_ceil(NR) {
            let panel = &panels[p * stride..][..depth];
            let cols = NR.min(width - p * NR);
            for r in (0..height).step_by(MR) {
                let rows = MR.min(height - r);
                let rows_a = &a.data[r / MR * a.panel..];
                assert!((rows - 1) * a.step_row + (depth - 1) * a.step_k < rows_a.len());
                let start = (i0 + r) * self.stride_c + j0 + p * NR;
                let tile = Tile {
                    a: rows_a.as_ptr(),
                    step_row: a.step_row,
                    step_k: a.step_k,
                    b: panel.as_ptr().cast(),
                    depth,
                };
                // SAFETY: tiles of C do not overlap; A and B were checked above.
                unsafe {
                    let len = (rows - 1) * self.stride_c + cols;
                    let c =
                        C { first: self.c.slice(start, len).as_mut_ptr(), stride: self.stride_c };
                    match rows {
                        6 => tile.write::<6>(&c, cols, adds),
                        5 => tile.write::<5>(&c, cols, adds),
                        4 => tile.write::<4>(&c, cols, adds),
                        3 => tile.write::<3>(&c, cols, adds),
                        2 => tile.write::<2>(&c, cols, adds),
                        _ => tile.write::<1>(&c, cols, adds),
                    }
                }
            }
        }
    }
}

/// The part of a product that one task computes: (start, length) of each.
pub(super) struct Block {
    pub rows: (usize, usize),
    pub cols: (usize, usize),
    pub sum: (usize, usize),
}

/// Columns of C for which it does not pay to pack A.
pub(super) const FEW: usize = 4 * NR;

/// The rows of A that a task reads, packed in panels or as they lie; one of the steps is 1.
pub(super) struct Rows<'a> {
    pub data: &'a [f32],
    /// From one tile's rows to the next's.
    pub panel: usize,
    pub step_row: usize,
    pub step_k: usize,
}

/// A corner of C.
pub(super) struct C {
    pub first: *mut f32,
    pub stride: usize,
}

/// What one tile multiplies.
struct Tile {
    a: *const f32,
    step_row: usize,
    step_k: usize,
    b: *const f32,
    depth: usize,
}

impl Tile {
    /// # Safety
    /// AVX2 and FMA; A must hold (ROWS, depth), B a whole panel, C (ROWS, cols).
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    unsafe fn write<const ROWS: usize>(&self, c: &C, cols: usize, adds: bool) {
        // SAFETY: as promised by the caller.
        unsafe {
            for r in 0..ROWS {
                let row = c.first.add(r * c.stride);
                // Two lines, unless C begins on one.
                _mm_prefetch::<_MM_HINT_T0>(row.cast());
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(NR - 1).cast());
            }
            let sums = if self.step_k == 1 {
                self.sums::<ROWS, true>()
            } else {
                self.sums::<ROWS, false>()
            };
            if cols == NR {
                for (r, [low, high]) in sums.into_iter().enumerate() {
                    let row = c.first.add(r * c.stride);
                    if adds {
                        _mm256_storeu_ps(row, _mm256_add_ps(_mm256_loadu_ps(row), low));
                        let at = row.add(8);
                        _mm256_storeu_ps(at, _mm256_add_ps(_mm256_loadu_ps(at), high));
                    } else {
                        _mm256_storeu_ps(row, low);
                        _mm256_storeu_ps(row.add(8), high);
                    }
                }
                return;
            }
            for (r, [low, high]) in sums.into_iter().enumerate() {
                let mut line = [0.0f32; NR];
                _mm256_storeu_ps(line.as_mut_ptr(), low);
                _mm256_storeu_ps(line.as_mut_ptr().add(8), high);
                for (j, sum) in line.into_iter().enumerate().take(cols) {
                    let out = c.first.add(r * c.stride + j);
                    *out = if adds { *out + sum } else { sum };
                }
            }
        }
    }

    /// The sums of a tile, in registers.
    ///
    /// # Safety
    /// As for `write`; BY_ROWS says whether `step_k` is 1, and `step_row` is 1 where it is not.
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    unsafe fn sums<const ROWS: usize, const BY_ROWS: bool>(&self) -> [[__m256; 2]; ROWS] {
        let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
        let (mut a, mut b) = (self.a, self.b);
        let (step_row, step_k) = if BY_ROWS { (self.step_row, 1) } else { (1, self.step_k) };
        macro_rules! one {
            ($l:expr) => {
                let low = _mm256_load_ps(b.add($l * NR));
                let high = _mm256_load_ps(b.add($l * NR + 8));
                for (r, sum) in sums.iter_mut().enumerate() {
                    let x = _mm256_broadcast_ss(&*a.add(r * step_row + $l * step_k));
                    sum[0] = _mm256_fmadd_ps(x, low, sum[0]);
                    sum[1] = _mm256_fmadd_ps(x, high, sum[1]);
                }
            };
        }
        // SAFETY: `depth` steps stay inside A and the panel, as the caller promises.
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

/// Packs MR rows of A side by side; `A` is stored transposed, so MR neighbours are one read, and
/// the rows of all panels are read together.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn pack_a<const MR: usize>(a: &Operand<'_>, block: &Block, packed: &mut [f32]) {
    let ((i0, height), (k0, depth)) = (block.rows, block.sum);
    for l in 0..depth {
        let row = &a.data[(k0 + l) * a.stride + i0..][..height];
        fetch_ahead(row, a.stride);
        let whole = row.chunks_exact(MR);
        let rest = whole.remainder();
        let mut at = l * MR;
        for from in whole {
            packed[at..at + MR].copy_from_slice(from);
            at += depth * MR;
        }
        if !rest.is_empty() {
            packed[at..at + rest.len()].copy_from_slice(rest);
        }
    }
}

/// Asks for a piece of a row some rows further on: pieces that lie far apart are not a pattern that
/// a processor would see by itself.
#[inline]
fn fetch_ahead(row: &[f32], stride: usize) {
    const ROWS: usize = 16;
    for at in (0..row.len()).step_by(NR) {
        let ahead = row.as_ptr().wrapping_add(ROWS * stride + at);
        // SAFETY: a prefetch of any address does nothing but fetch.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) };
    }
}

/// Panels that are packed together, at most, so that what is read lies close together as well.
const PANELS_MAX: usize = 4;

/// Packs (depth, width) of B into panels of 16 columns, the last filled up with zeros.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn pack_b(
    pool: &Pool,
    b: &Operand<'_>,
    (k0, depth): (usize, usize),
    (j0, width): (usize, usize),
    panels: &mut [Line],
) {
    // Few columns are shared out all the same.
    let n_panels = width.div_ceil(NR * pool.threads() * 2).min(PANELS_MAX);
    pool.for_chunks(panels, n_panels * depth, |task, panels| {
        let first = task * n_panels * NR;
        let cols = (j0 + first, (n_panels * NR).min(width - first));
        pack_some(b, (k0, depth), cols, panels);
    });
}

/// [`pack_b`] of a few panels.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn pack_some(
    b: &Operand<'_>,
    (k0, depth): (usize, usize),
    (j0, width): (usize, usize),
    panels: &mut [Line],
) {
    if !b.transposed {
        for l in 0..depth {
            let row = &b.data[(k0 + l) * b.stride + j0..][..width];
            fetch_ahead(row, b.stride);
            let whole = row.chunks_exact(NR);
            let rest = whole.remainder();
            let mut at = l;
            for from in whole {
                panels[at].0.copy_from_slice(from);
                at += depth;
            }
            if !rest.is_empty() {
                panels[at].0 = [0.0; NR];
                panels[at].0[..rest.len()].copy_from_slice(rest);
            }
        }
        return;
    }
    for (p, panel) in panels.chunks_exact_mut(depth).enumerate() {
        let j = j0 + p * NR;
        let cols = NR.min(width - p * NR);
        if cols == NR {
            pack_columns(b, (k0, depth), j, panel);
            continue;
        }
        for (l, line) in panel.iter_mut().enumerate() {
            line.0 = [0.0; NR];
            for (c, out) in line.0[..cols].iter_mut().enumerate() {
                *out = b.data[(j + c) * b.stride + k0 + l];
            }
        }
    }
}

/// Packs a whole panel whose columns lie as rows in memory, by transposing 8×8 at a time.
#[target_feature(enable = "avx2,fma,f16c")]
fn pack_columns(b: &Operand<'_>, (k0, depth): (usize, usize), j: usize, panel: &mut [Line]) {
    let whole = depth / 8 * 8;
    for half in 0..2 {
        let rows: [&[f32]; 8] =
            std::array::from_fn(|r| &b.data[(j + half * 8 + r) * b.stride + k0..][..depth]);
        for l in (0..whole).step_by(8) {
            // SAFETY: l + 8 <= depth, the length of each row and of the panel.
            unsafe {
                let eight = rows.map(|row| _mm256_loadu_ps(row.as_ptr().add(l)));
                for (i, column) in transpose(eight).into_iter().enumerate() {
                    _mm256_store_ps(panel[l + i].0.as_mut_ptr().add(half * 8), column);
                }
            }
        }
        for l in whole..depth {
            for (r, row) in rows.iter().enumerate() {
                panel[l].0[half * 8 + r] = row[l];
            }
        }
    }
}

/// Transposes 8×8.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn transpose(r: [__m256; 8]) -> [__m256; 8] {
    let pairs: [__m256; 8] = std::array::from_fn(|i| {
        let (x, y) = (r[i / 2 * 2], r[i / 2 * 2 + 1]);
        if i % 2 == 0 { _mm256_unpacklo_ps(x, y) } else { _mm256_unpackhi_ps(x, y) }
    });
    let quads: [__m256; 8] = std::array::from_fn(|i| {
        let (x, y) = (pairs[i / 4 * 4 + i % 4 / 2], pairs[i / 4 * 4 + i % 4 / 2 + 2]);
        if i % 2 == 0 { _mm256_shuffle_ps::<0x44>(x, y) } else { _mm256_shuffle_ps::<0xee>(x, y) }
    });
    std::array::from_fn(|i| {
        let (x, y) = (quads[i % 4], quads[i % 4 + 4]);
        if i < 4 {
            _mm256_permute2f128_ps::<0x20>(x, y)
        } else {
            _mm256_permute2f128_ps::<0x31>(x, y)
        }
    })
}
