//! A tile: R vectors of rows by C rows of activations.
//!
//! Whatever R, C and the width are, and wherever a panel of K ends, an output goes through the same
//! operations in the same order; partial sums wait in the output itself, which loses nothing.

use super::activations::{Block, at};
use super::formats::{At, Format, Min};
use super::linear::Job;
use super::packed::{LANES, Layout};
use super::vector::{Rows, Vector};
use crate::isa::fetch;
use std::ops::Range;

/// Blocks in a panel of K, times rows of activations: 16 kB of these stay in the first cache.
const PANEL: usize = 256;

/// How far on the weights are that are fetched while a block is worked on.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Bytes from quants to quants.
    quants: usize,
    /// Groups, for the other planes.
    groups: usize,
}

impl Ahead {
    /// Groups that lie side by side. From memory, 1 kB gave 9.6 GB/s on a core of Zen 3, 4 kB 12,
    /// and 8 kB with groups by fours 15 (Q4_1, K 576).
    pub const fn beside(groups: usize) -> Ahead {
        Ahead { quants: 8192, groups }
    }

    /// Each group the next of a stream of its own. The processor follows four streams by itself
    /// and needs no more than a start: 256 bytes wrote a fifth more tokens on Zen 3 than groups
    /// side by side, 512 a tenth, 0 and 2048 none.
    pub const fn in_stream(groups: usize) -> Ahead {
        Ahead { quants: 256, groups }
    }
}

/// Bytes of the eight vectors of a block of one group.
pub(super) const VECTORS_BYTES: usize = 8 * 32;

/// The body once for each constant: loops over vectors of a block must be unrolled for shifts to
/// be constants and sums to stay in registers, and the compiler does not always see that.
macro_rules! unrolled {
    ($g:ident in [$($value:expr),*] $body:block) => { $({ const $g: usize = $value; $body })* };
}
pub(super) use unrolled;

/// Calls `$run::<F>(job)` for the format of the job's weights.
macro_rules! by_format {
    ($run:ident, $job:expr) => {
        match $job.layout.dtype {
            DType::Q4_0 => $run::<f::Q4_0>($job),
            DType::Q4_1 => $run::<f::Q4_1>($job),
            DType::Q5_0 => $run::<f::Q5_0>($job),
            DType::Q5_1 => $run::<f::Q5_1>($job),
            DType::Q8_0 => $run::<f::Q8_0>($job),
            DType::Q2K => $run::<f::Q2K>($job),
            DType::Q3K => $run::<f::Q3K>($job),
            DType::Q4K => $run::<f::Q4K>($job),
            DType::Q5K => $run::<f::Q5K>($job),
            DType::Q6K => $run::<f::Q6K>($job),
            DType::IQ4NL => $run::<f::Iq4Nl>($job),
            DType::IQ4XS => $run::<f::Iq4Xs>($job),
            DType::IQ2XXS => $run::<f::Iq2Xxs>($job),
            DType::IQ2XS => $run::<f::Iq2Xs>($job),
            DType::IQ2S => $run::<f::Iq2S>($job),
            DType::IQ3XXS => $run::<f::Iq3Xxs>($job),
            DType::IQ3S => $run::<f::Iq3S>($job),
            DType::IQ1S => $run::<f::Iq1S>($job),
            DType::IQ1M => $run::<f::Iq1M>($job),
            DType::TQ1_0 => $run::<f::Tq1>($job),
            DType::TQ2_0 => $run::<f::Tq2>($job),
            DType::MXFP4 => $run::<f::Mxfp4>($job),
            DType::F32 | DType::F16 | DType::BF16 => unreachable!("not packed"),
        }
    };
}
pub(super) use by_format;

/// A vector that can form the exact integer sums of a block.
///
/// # Safety
/// As [`Vector`]; places and activations are inside their matrices.
pub(super) trait Dot: Vector {
    /// The sum of each row with each row of activations, as a float, which it fits exactly.
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        places: &[At; R],
        a: &[*const u8; C],
    ) -> [[Self::Float; C]; R];

    /// Blocks `from..to` of all groups of the job, for C rows of activations from `row` on.
    unsafe fn groups<F: Format, const C: usize>(job: &Job<'_>, row: usize, from: usize, to: usize);
}

/// C rows of activations from `row` on against all groups of the job. Gives C.
///
/// # Safety
/// The instructions of `V`; the rows are the job's.
#[inline(always)]
pub(super) unsafe fn columns<F: Format, V: Dot, const C: usize>(
    job: &Job<'_>,
    row: usize,
) -> usize {
    let blocks = job.layout.blocks();
    // One row streams through all of K.
    let panel = if C == 1 { blocks } else { PANEL / C };
    let mut from = 0;
    while from < blocks {
        let to = blocks.min(from + panel);
        // SAFETY: the caller's, and the panel is inside the matrix and the activations.
        unsafe { V::groups::<F, C>(job, row, from, to) };
        from = to;
    }
    C
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

/// Tiles of R vectors from `group` on, as many as there are. Gives the first group that is left.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub(super) unsafe fn tiles<F: Format, V: Dot, const R: usize, const C: usize>(
    job: &Job<'_>,
    mut group: usize,
    row: usize,
    from: usize,
    to: usize,
) -> usize {
    while group + R * V::GROUPS <= job.groups.end {
        let groups = std::array::from_fn(|r| group + r * V::GROUPS);
        let ahead = Ahead::beside(R * V::GROUPS);
        // SAFETY: the caller's, and the groups are the job's.
        unsafe { tile::<F, V, R, C>(job, groups, row, from..to, std::ptr::null(), ahead) };
        group += R * V::GROUPS;
    }
    group
}

/// As [`tiles`], for a row or two: the job's groups in R pieces, of which a tile takes one each,
/// since memory gives more to several streams of a thread than to one. More rows gain nothing.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub(super) unsafe fn streams<F: Format, V: Dot, const R: usize, const C: usize>(
    job: &Job<'_>,
    first: usize,
    row: usize,
    from: usize,
    to: usize,
) -> usize {
    let each = (job.groups.end - first) / (R * V::GROUPS) * V::GROUPS;
    let ahead = Ahead::in_stream(V::GROUPS);
    for group in (first..first + each).step_by(V::GROUPS) {
        let groups = std::array::from_fn(|r| group + r * each);
        // SAFETY: the caller's, and the groups are the job's.
        unsafe { tile::<F, V, R, C>(job, groups, row, from..to, std::ptr::null(), ahead) };
    }
    first + R * each
}

/// Some blocks of the R vectors at `groups` by C rows, added to what earlier panels left in the
/// output. Formats that read them have the vectors of these blocks at `ready`: (blocks, R, 8
/// vectors).
///
/// # Safety
/// The instructions of `V`; groups, rows and blocks exist in the job's matrix and activations.
#[inline(always)]
pub(super) unsafe fn tile<F: Format, V: Dot, const R: usize, const C: usize>(
    job: &Job<'_>,
    groups: [usize; R],
    row: usize,
    panel: Range<usize>,
    ready: *const u8,
    ahead: Ahead,
) {
    let layout = job.layout;
    let blocks = layout.blocks();
    let column = |r: usize| groups[r] * LANES;
    // SAFETY: the caller's; every pointer stays inside its slice because the indices do.
    unsafe {
        let weights: [Rows; R] = std::array::from_fn(|r| Rows {
            at: job.weights.as_ptr().add(groups[r] * layout.group_bytes),
            next: layout.group_bytes,
        });
        let activations: [*const Block; C] =
            std::array::from_fn(|c| job.activations.as_ptr().add((row + c) * blocks));
        let mut acc = [[V::splat(0.0); C]; R];
        if panel.start > 0 {
            for (r, acc) in acc.iter_mut().enumerate() {
                for (c, acc) in acc.iter_mut().enumerate() {
                    let (at, n) = job.out.place(row + c, column(r));
                    *acc = V::read(at, n);
                }
            }
        }
        for b in panel.clone() {
            let places: [At; R] = std::array::from_fn(|r| At {
                ready: ready.wrapping_add(((b - panel.start) * R + r) * VECTORS_BYTES),
                ..place::<F>(layout, weights[r], b)
            });
            let a: [*const u8; C] = std::array::from_fn(|c| activations[c].add(b).cast());
            fetch_ahead::<F, V, R>(&places, layout.group_bytes, ahead);
            let sums = V::sums::<F, R, C>(&places, &a);
            for r in 0..R {
                add_scaled::<F, V, C>(&places[r], &a, &sums[r], &mut acc[r]);
            }
        }
        for (r, acc) in acc.iter().enumerate() {
            for (c, acc) in acc.iter().enumerate() {
                let (at, n) = job.out.place(row + c, column(r));
                V::write(*acc, at, n);
            }
        }
    }
}

/// Block `b` of the groups at `weights`.
#[inline(always)]
pub(super) fn place<F: Format>(layout: &Layout, weights: Rows, b: usize) -> At {
    let per_scales = F::STEPS.blocks;
    At {
        quants: weights.add(b * F::STEPS.quants),
        high: weights.add(layout.high + b * F::STEPS.high),
        front: weights.add(layout.scales + b / per_scales * F::STEPS.scales),
        ready: std::ptr::null(),
        j: b % per_scales,
    }
}

/// Asks for the weights that come next: quants some way on, the other planes of the next groups.
/// Addresses past the end are harmless.
#[inline(always)]
fn fetch_ahead<F: Format, V: Vector, const R: usize>(places: &[At; R], group: usize, by: Ahead) {
    let next = by.groups * group;
    for place in places {
        for i in 0..V::GROUPS {
            let ahead = |plane: Rows, bytes: usize| plane.at.wrapping_add(i * group + bytes);
            for line in 0..F::STEPS.quants.div_ceil(64) {
                fetch(ahead(place.quants, by.quants + 64 * line));
            }
            fetch(ahead(place.front, next));
            if F::STEPS.high > 0 {
                fetch(ahead(place.high, next));
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
    place: &At,
    a: &[*const u8; C],
    sums: &[V::Float; C],
    acc: &mut [V::Float; C],
) {
    // SAFETY: the caller's.
    unsafe {
        let scale = F::scale::<V>(place);
        for c in 0..C {
            let worth = V::mul(scale, V::splat(float(a[c].add(at::SCALE))));
            acc[c] = V::fma(sums[c], worth, acc[c]);
        }
        match F::MIN {
            Min::None => {}
            Min::Whole => {
                let min = F::min::<V>(place);
                for c in 0..C {
                    let sum = V::splat(float(a[c].add(at::SCALED_SUM)));
                    acc[c] = V::fma(min, sum, acc[c]);
                }
            }
            Min::Halves => {
                let (unit, mins) = (F::min::<V>(place), F::mins16::<V>(place));
                for c in 0..C {
                    let sums = V::madd(mins, V::every(bits(a[c].add(at::HALF_SUMS))));
                    let worth = V::mul(unit, V::splat(float(a[c].add(at::SCALE))));
                    acc[c] = V::fma(V::to_float(sums), worth, acc[c]);
                }
            }
        }
    }
}
