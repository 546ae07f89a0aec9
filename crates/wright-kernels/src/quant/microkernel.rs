//! A tile: R vectors of rows by C rows of activations.
//!
//! Whatever R, C and the width are, and wherever a panel of K ends, an output goes through the same
//! operations in the same order; partial sums wait in the output itself, which loses nothing.
//!
//! A tile is compiled once for each format and shape, so both are kept few: formats that differ in
//! a table only are one type (`formats`), and groups and rows that whole tiles leave over share two
//! small shapes ([`remainder`]).

use super::activations::at;
use super::formats::{Format, Min, WeightBlock};
use super::layout::{LANES, Layout};
use super::task::Task;
use super::vector::{Rows, VECTORS_BYTES, Vector};
use crate::isa::prefetch;
use std::ops::Range;

/// Blocks in a panel of K, times rows of activations: 16 kB of these stay in the first cache.
const PANEL: usize = 256;

/// Rows of activations of the larger tile of [`remainder`].
const REMAINDER_ROWS: usize = 4;

/// How far on the weights are that are prefetched while a block is worked on.
#[derive(Clone, Copy)]
pub(super) struct Prefetch {
    /// Bytes from quants to quants.
    quants: usize,
    /// Groups, for the other planes.
    groups: usize,
}

impl Prefetch {
    /// For groups that lie side by side. From memory, 1 kB gave 9.6 GB/s on a core of Zen 3, 4 kB
    /// 12, and 8 kB with four groups at a time 15 (Q4_1, K 576).
    pub const fn side_by_side(groups: usize) -> Prefetch {
        Prefetch { quants: 8192, groups }
    }

    /// For groups that are each the next of a stream of their own. The processor follows four
    /// streams by itself and needs no more than a start: 256 bytes wrote a fifth more tokens on
    /// Zen 3 than groups side by side, 512 a tenth, 0 and 2048 none.
    pub const fn in_stream(groups: usize) -> Prefetch {
        Prefetch { quants: 256, groups }
    }
}

/// The body once for each constant: loops over vectors of a block must be unrolled for shifts to
/// be constants and sums to stay in registers, and the compiler does not always see that.
macro_rules! unrolled {
    ($g:ident in [$($value:expr),*] $body:block) => { $({ const $g: usize = $value; $body })* };
}
pub(super) use unrolled;

/// Calls `$run::<F>(task)` for the format of the task's weights.
macro_rules! by_format {
    ($run:ident, $task:expr) => {
        match $task.layout.dtype {
            DType::Q4_0 => $run::<f::Q4_0>($task),
            DType::Q4_1 => $run::<f::Q4_1>($task),
            DType::Q5_0 => $run::<f::Q5_0>($task),
            DType::Q5_1 => $run::<f::Q5_1>($task),
            DType::Q8_0 => $run::<f::Q8_0>($task),
            DType::Q2K => $run::<f::Q2K>($task),
            DType::Q3K => $run::<f::Q3K>($task),
            DType::Q4K => $run::<f::Q4K>($task),
            DType::Q5K => $run::<f::Q5K>($task),
            DType::Q6K => $run::<f::Q6K>($task),
            DType::IQ4NL => $run::<f::Iq4Nl>($task),
            DType::MXFP4 => $run::<f::Mxfp4>($task),
            DType::IQ4XS | DType::IQ2XXS | DType::IQ3XXS | DType::IQ3S => $run::<f::Coded>($task),
            DType::IQ1S | DType::TQ1_0 | DType::TQ2_0 => $run::<f::Coded>($task),
            DType::IQ2XS | DType::IQ2S | DType::IQ1M => $run::<f::CodedHalves>($task),
            DType::F32 | DType::F16 | DType::BF16 => unreachable!("not packed"),
        }
    };
}
pub(super) use by_format;

/// A vector that can form the exact integer sums of a block.
///
/// # Safety
/// As [`Vector`]; blocks and activations are inside their matrices.
pub(super) trait Dot: Vector {
    /// Streams of weights that a tile of one row of activations reads, and one of two rows.
    const STREAMS: [usize; 2];

    /// The sum of each row with each row of activations, as a float, which it fits exactly.
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        weights: &[WeightBlock; R],
        a: &[*const u8; C],
    ) -> [[Self::Float; C]; R];

    /// [`tiles`] as a function of its own with the instructions of the vector, so that it is
    /// compiled once for all that call it.
    unsafe fn tiles<F: Format, const R: usize, const C: usize>(task: &Task<'_>, walk: &Walk);
}

/// Some tiles of R vectors by C rows, one after another.
pub(super) struct Walk {
    /// The group with which the first tile begins.
    pub first: usize,
    /// Tiles.
    pub count: usize,
    /// Groups from one tile to the next.
    pub step: usize,
    /// Groups from one vector of a tile to the next.
    pub stride: usize,
    /// The first row of activations.
    pub row: usize,
    /// Blocks of K.
    pub panel: Range<usize>,
    pub prefetch: Prefetch,
}

/// C rows of activations from `row` on against all groups of the task. Gives C.
///
/// A row or two take their groups in R streams, each a piece of the task's, since memory gives more
/// to several streams of a thread than to one. More rows gain nothing.
///
/// # Safety
/// The instructions of `V` and `N`; the rows are the task's.
#[inline(always)]
pub(super) unsafe fn columns<F: Format, V: Dot, N: Dot, const R: usize, const C: usize>(
    task: &Task<'_>,
    row: usize,
) -> usize {
    let tile = R * V::GROUPS;
    let count = task.groups.len() / tile;
    let walk = if C <= V::STREAMS.len() && V::STREAMS[C - 1] > 1 {
        let prefetch = Prefetch::in_stream(V::GROUPS);
        Walk { step: V::GROUPS, stride: count * V::GROUPS, prefetch, ..whole(task, row, count) }
    } else {
        let prefetch = Prefetch::side_by_side(tile);
        Walk { step: tile, stride: V::GROUPS, prefetch, ..whole(task, row, count) }
    };
    // SAFETY: the caller's; the walk is over groups of the task.
    unsafe {
        panels::<F, V, R, C>(task, walk);
        remainder::<F, N>(task, task.groups.start + count * tile, row..row + C);
    }
    C
}

/// The groups from `first` on, one at a time. Whole tiles leave few of them, or none.
///
/// # Safety
/// The instructions of `V`; groups and rows are the task's.
pub(super) unsafe fn remainder<F: Format, V: Dot>(
    task: &Task<'_>,
    first: usize,
    rows: Range<usize>,
) {
    let count = (task.groups.end - first) / V::GROUPS;
    let mut row = rows.start;
    while row < rows.end && count > 0 {
        let walk = Walk { first, ..whole(task, row, count) };
        // SAFETY: the caller's.
        unsafe {
            if rows.end - row >= REMAINDER_ROWS {
                panels::<F, V, 1, REMAINDER_ROWS>(task, walk);
                row += REMAINDER_ROWS;
            } else {
                panels::<F, V, 1, 1>(task, walk);
                row += 1;
            }
        }
    }
}

/// Tiles of one vector each, from the task's first group on, over all of K.
#[inline(always)]
fn whole(task: &Task<'_>, row: usize, count: usize) -> Walk {
    let panel = 0..task.layout.blocks();
    let prefetch = Prefetch::side_by_side(1);
    Walk { first: task.groups.start, count, step: 1, stride: 1, row, panel, prefetch }
}

/// The walk in panels of K; a single row streams through all of it.
///
/// # Safety
/// As [`tiles`].
#[inline(always)]
unsafe fn panels<F: Format, V: Dot, const R: usize, const C: usize>(task: &Task<'_>, walk: Walk) {
    let blocks = walk.panel.end;
    let len = if C == 1 { blocks } else { PANEL / C };
    let mut walk = walk;
    for from in (0..blocks).step_by(len) {
        walk.panel = from..blocks.min(from + len);
        // SAFETY: the caller's, and the panel is inside the matrix and the activations.
        unsafe { V::tiles::<F, R, C>(task, &walk) };
    }
}

/// Sums that floats hold exactly.
///
/// # Safety
/// The instructions of `V`.
#[inline(always)]
pub(super) unsafe fn to_floats<V: Vector, const R: usize, const C: usize>(
    sums: &[[V::Int; C]; R],
) -> [[V::Float; C]; R] {
    // SAFETY: the caller's. Loops, since a closure would not have the instructions.
    unsafe {
        let mut floats = [[V::splat(0.0); C]; R];
        for r in 0..R {
            for c in 0..C {
                floats[r][c] = V::to_float(sums[r][c]);
            }
        }
        floats
    }
}

/// All tiles of a walk.
///
/// # Safety
/// The instructions of `V`; groups, rows and blocks exist in the task's matrix and activations.
#[inline(always)]
pub(super) unsafe fn tiles<F: Format, V: Dot, const R: usize, const C: usize>(
    task: &Task<'_>,
    walk: &Walk,
) {
    for i in 0..walk.count {
        let mut groups = [walk.first + i * walk.step; R];
        for (r, group) in groups.iter_mut().enumerate() {
            *group += r * walk.stride;
        }
        let (panel, unpacked) = (walk.panel.clone(), std::ptr::null());
        // SAFETY: the caller's.
        unsafe { tile::<F, V, R, C>(task, groups, walk.row, panel, unpacked, walk.prefetch) };
    }
}

/// Some blocks of the R vectors at `groups` by C rows, added to what earlier panels left in the
/// output. Formats that read them have the vectors of these blocks at `unpacked`: (blocks, R, 8
/// vectors).
///
/// # Safety
/// The instructions of `V`; groups, rows and blocks exist in the task's matrix and activations.
#[inline(always)]
pub(super) unsafe fn tile<F: Format, V: Dot, const R: usize, const C: usize>(
    task: &Task<'_>,
    groups: [usize; R],
    row: usize,
    panel: Range<usize>,
    unpacked: *const u8,
    prefetch: Prefetch,
) {
    let layout = task.layout;
    let blocks = layout.blocks();
    // Loops and no closures: the compiler calls a closure in functions with instructions of their
    // own, and keeps the sums in memory meanwhile.
    // SAFETY: the caller's; every pointer stays inside its slice because the indices do.
    unsafe {
        let first = Rows { at: task.weights.as_ptr(), next: layout.group_bytes };
        let mut weights = [first; R];
        for r in 0..R {
            weights[r] = first.add(groups[r] * layout.group_bytes);
        }
        let mut activations = [task.activations.as_ptr(); C];
        for (c, row_of) in activations.iter_mut().enumerate() {
            *row_of = row_of.add((row + c) * blocks);
        }
        let mut acc = [[V::splat(0.0); C]; R];
        if panel.start > 0 {
            for (r, acc) in acc.iter_mut().enumerate() {
                for (c, acc) in acc.iter_mut().enumerate() {
                    let (at, n) = task.out.place(row + c, groups[r] * LANES);
                    *acc = V::read(at, n);
                }
            }
        }
        for b in panel.clone() {
            let mut places = [weight_block::<F>(layout, weights[0], b); R];
            let mut a = [activations[0].add(b).cast::<u8>(); C];
            for r in 0..R {
                let at = ((b - panel.start) * R + r) * VECTORS_BYTES;
                places[r] = weight_block::<F>(layout, weights[r], b);
                places[r].unpacked = unpacked.wrapping_add(at);
            }
            for c in 0..C {
                a[c] = activations[c].add(b).cast();
            }
            prefetch_weights::<F, V, R>(&places, layout.group_bytes, prefetch);
            let sums = V::sums::<F, R, C>(&places, &a);
            for r in 0..R {
                add_scaled::<F, V, C>(&places[r], &a, &sums[r], &mut acc[r]);
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            for (c, acc) in acc.iter().enumerate() {
                let (at, n) = task.out.place(row + c, groups[r] * LANES);
                V::write(*acc, at, n);
            }
        }
    }
}

/// Block `b` of the groups at `weights`.
#[inline(always)]
pub(super) fn weight_block<F: Format>(layout: &Layout, weights: Rows, b: usize) -> WeightBlock {
    let per_scales = F::STEPS.blocks;
    WeightBlock {
        quants: weights.add(b * F::STEPS.quants),
        high: weights.add(layout.high + b * F::STEPS.high),
        front: weights.add(layout.scales + b / per_scales * F::STEPS.scales),
        unpacked: std::ptr::null(),
        codes: layout.codes,
        j: b % per_scales,
    }
}

/// Asks for the weights that come next: quants some way on, the other planes of the next groups.
/// Addresses past the end are harmless.
#[inline(always)]
fn prefetch_weights<F: Format, V: Vector, const R: usize>(
    blocks: &[WeightBlock; R],
    group: usize,
    by: Prefetch,
) {
    let next = by.groups * group;
    for block in blocks {
        for i in 0..V::GROUPS {
            for line in 0..F::STEPS.quants.div_ceil(64) {
                prefetch(block.quants.add(i * group + by.quants + 64 * line).at);
            }
            prefetch(block.front.add(i * group + next).at);
            if F::STEPS.high > 0 {
                prefetch(block.high.add(i * group + next).at);
            }
        }
    }
}

/// The 32 bits at `p`.
#[inline(always)]
pub(super) unsafe fn bits(p: *const u8) -> i32 {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { p.cast::<i32>().read_unaligned() }
}

/// The f32 at `p`.
#[inline(always)]
unsafe fn float(p: *const u8) -> f32 {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe { p.cast::<f32>().read_unaligned() }
}

/// The float side of a block: scale, then minimum.
#[inline(always)]
unsafe fn add_scaled<F: Format, V: Vector, const C: usize>(
    weights: &WeightBlock,
    a: &[*const u8; C],
    sums: &[V::Float; C],
    acc: &mut [V::Float; C],
) {
    // SAFETY: the caller's.
    unsafe {
        let scale = F::scale::<V>(weights);
        for c in 0..C {
            let scale = V::mul(scale, V::splat(float(a[c].add(at::SCALE))));
            acc[c] = V::fma(sums[c], scale, acc[c]);
        }
        match F::MIN {
            Min::None => {}
            Min::Whole => {
                let min = F::min::<V>(weights);
                for c in 0..C {
                    let sum = V::splat(float(a[c].add(at::SCALED_SUM)));
                    acc[c] = V::fma(min, sum, acc[c]);
                }
            }
            Min::Halves => {
                let (unit, mins) = (F::min::<V>(weights), F::mins16::<V>(weights));
                for c in 0..C {
                    let sums = V::madd(mins, V::every(bits(a[c].add(at::HALF_SUMS))));
                    let scale = V::mul(unit, V::splat(float(a[c].add(at::SCALE))));
                    acc[c] = V::fma(V::to_float(sums), scale, acc[c]);
                }
            }
        }
    }
}
