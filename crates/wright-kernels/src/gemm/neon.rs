//! The NEON form of [`super::gemm`]: B packed into panels, tiles of 6×16 in 24 of 32 registers.
//! A is read where it lies, also if that is across its rows.

use super::{Gemm, Line, MR, NC_MAX, NR, Operand, PACKED_B, at_least, block_of};
use crate::Pool;
use crate::lanes::{Float, Lanes, Neon};
use std::ops::Range;

impl Gemm<'_> {
    pub(super) fn run_neon(&self, pool: &Pool, b: &Operand<'_>) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        let nc = n.min(NC_MAX);
        PACKED_B.with_borrow_mut(|buffer| {
            let packed = at_least(buffer, nc.div_ceil(NR) * kc);
            for j0 in (0..n).step_by(nc) {
                let cols = j0..n.min(j0 + nc);
                for k0 in (0..k).step_by(kc) {
                    let sum = k0..k.min(k0 + kc);
                    let depth = sum.len();
                    let panels = &mut packed[..cols.len().div_ceil(NR) * depth];
                    pool.for_chunks(panels, depth, |p, panel| {
                        let first = j0 + p * NR;
                        pack(b, k0, first..cols.end.min(first + NR), panel);
                    });
                    let panels = &*panels;
                    pool.run(m.div_ceil(self.rows), &|task| {
                        let i0 = task * self.rows;
                        let rows = i0..m.min(i0 + self.rows);
                        self.tiles(rows, cols.clone(), sum.clone(), panels, depth);
                    });
                }
            }
        });
    }

    /// With all of B packed, `stride` lines from panel to panel; on this thread.
    pub(super) fn packed_neon(&self, lines: &[Line], stride: usize) {
        let (m, n, k) = self.shape;
        let kc = block_of(k);
        for k0 in (0..k).step_by(kc) {
            self.tiles(0..m, 0..n, k0..k.min(k0 + kc), &lines[k0..], stride);
        }
    }

    /// Some rows of C, and the columns that `panels` hold a block of the sum for.
    fn tiles(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        sum: Range<usize>,
        panels: &[Line],
        stride: usize,
    ) {
        for (p, j) in cols.clone().step_by(NR).enumerate() {
            let panel = &panels[p * stride..][..sum.len()];
            let cols = j..cols.end.min(j + NR);
            for i in rows.clone().step_by(MR) {
                let cols = cols.clone();
                match rows.end - i {
                    1 => self.tile::<1>(i, cols, sum.start, panel),
                    2 => self.tile::<2>(i, cols, sum.start, panel),
                    3 => self.tile::<3>(i, cols, sum.start, panel),
                    4 => self.tile::<4>(i, cols, sum.start, panel),
                    5 => self.tile::<5>(i, cols, sum.start, panel),
                    _ => self.tile::<6>(i, cols, sum.start, panel),
                }
            }
        }
    }

    /// ROWS rows of C from `i` on, and up to 16 columns.
    #[inline(always)]
    fn tile<const ROWS: usize>(&self, i: usize, cols: Range<usize>, k0: usize, panel: &[Line]) {
        // One of the two steps is a constant to the compiler.
        let sums = if self.a.transposed {
            sums::<ROWS>(&self.a.data[k0 * self.a.stride + i..], 1, self.a.stride, panel)
        } else {
            sums::<ROWS>(&self.a.data[i * self.a.stride + k0..], self.a.stride, 1, panel)
        };
        for (r, sum) in sums.into_iter().enumerate() {
            let start = (i + r) * self.stride_c + cols.start;
            // SAFETY: rows of C do not overlap, and each belongs to one task.
            let out = unsafe { self.c.slice(start, cols.len()) };
            let sum = if self.adds(k0) { Neon::load_some(out, 0.0).add(sum) } else { sum };
            sum.store_some(out);
        }
    }
}

/// The sums of ROWS rows of A with 16 columns of B, in registers.
#[inline(always)]
fn sums<const ROWS: usize>(
    a: &[f32],
    step_row: usize,
    step_k: usize,
    panel: &[Line],
) -> [Neon; ROWS] {
    assert!(panel.is_empty() || (ROWS - 1) * step_row + (panel.len() - 1) * step_k < a.len());
    let mut sums = [Neon::splat(0.0); ROWS];
    for (l, line) in panel.iter().enumerate() {
        let b = Neon::load(&line.0);
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the last of all is inside, as checked.
            let x = unsafe { *a.get_unchecked(r * step_row + l * step_k) };
            *sum = Neon::splat(x).mul_add(b, *sum);
        }
    }
    sums
}

/// Packs a panel: `cols`, up to 16, of the rows of B from `k0` on, filled up with zeros.
pub(super) fn pack(b: &Operand<'_>, k0: usize, cols: Range<usize>, panel: &mut [Line]) {
    for (l, line) in panel.iter_mut().enumerate() {
        if !b.transposed {
            let row = &b.data[(k0 + l) * b.stride..][cols.clone()];
            line.0[..row.len()].copy_from_slice(row);
        }
        line.0[cols.len()..].fill(0.0);
    }
    if !b.transposed {
        return;
    }
    for (c, j) in cols.enumerate() {
        let column = &b.data[j * b.stride + k0..][..panel.len()];
        for (line, &x) in panel.iter_mut().zip(column) {
            line.0[c] = x;
        }
    }
}
