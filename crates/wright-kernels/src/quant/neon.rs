//! The microkernels of NEON: all sums in 32 bits, of signed bytes. Where Armv8.2's `sdot` is, it
//! multiplies and adds fours of bytes; else products are formed in 16 bits, which hold a pair:
//! 2 · 128 · 127 = 32,512 < 2^15.

use super::activations::at;
use super::formats::{self as f, Format, Sum, WeightBlock};
use super::microkernel::{Dot, Walk, by_format, columns, tiles, to_floats, unrolled};
use super::task::Task;
use super::vector::{Ints, Quads, Vector, widened};
use crate::DType;
use std::arch::aarch64::*;
use std::arch::asm;

/// Streams of weights that one row of activations takes, and that two rows take.
pub(super) const STREAMS: [usize; 2] = [4, 1];

/// All outputs of a task.
///
/// # Safety
/// The processor has `dotprod` if that is said.
pub(super) unsafe fn run(dotprod: bool, task: &Task<'_>) {
    // SAFETY: the caller's.
    unsafe {
        if dotprod { by_format!(span_with_sdot, task) } else { by_format!(span_without_sdot, task) }
    }
}

unsafe fn span_with_sdot<F: Format>(task: &Task<'_>) {
    // SAFETY: the caller's.
    unsafe { span::<F, Quads<true>>(task) }
}

unsafe fn span_without_sdot<F: Format>(task: &Task<'_>) {
    // SAFETY: the caller's.
    unsafe { span::<F, Quads<false>>(task) }
}

/// Walks a task: up to eight rows of activations at a time, panels of K, groups. Sixteen sums, half
/// a block of weights and 16 activations take 25 of 32 registers.
#[inline(always)]
unsafe fn span<F: Format, V: Dot>(task: &Task<'_>) {
    let mut row = task.rows.start;
    while row < task.rows.end {
        // SAFETY: the rows are the task's, and the caller promises the instructions.
        row += unsafe {
            match task.rows.end - row {
                1 => columns::<F, V, V, 4, 1>(task, row),
                2 | 3 => columns::<F, V, V, 2, 2>(task, row),
                4..8 => columns::<F, V, V, 2, 4>(task, row),
                _ => columns::<F, V, V, 1, 8>(task, row),
            }
        };
    }
}

impl Dot for Quads<true> {
    const STREAMS: [usize; 2] = STREAMS;

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn tiles<F: Format, const R: usize, const C: usize>(task: &Task<'_>, walk: &Walk) {
        // SAFETY: the caller's.
        unsafe { tiles::<F, Self, R, C>(task, walk) }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        weights: &[WeightBlock; R],
        a: &[*const u8; C],
    ) -> [[Self::Float; C]; R] {
        // SAFETY: the caller's.
        unsafe { block_sums::<F, true, R, C>(weights, a) }
    }
}

impl Dot for Quads<false> {
    const STREAMS: [usize; 2] = STREAMS;

    unsafe fn tiles<F: Format, const R: usize, const C: usize>(task: &Task<'_>, walk: &Walk) {
        // SAFETY: the caller's.
        unsafe { tiles::<F, Self, R, C>(task, walk) }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        weights: &[WeightBlock; R],
        a: &[*const u8; C],
    ) -> [[Self::Float; C]; R] {
        // SAFETY: the caller's.
        unsafe { block_sums::<F, false, R, C>(weights, a) }
    }
}

/// See [`Dot::sums`].
#[inline(always)]
unsafe fn block_sums<F: Format, const DOT: bool, const R: usize, const C: usize>(
    weights: &[WeightBlock; R],
    a: &[*const u8; C],
) -> [[[float32x4_t; 2]; C]; R] {
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[Quads::<DOT>::every(0); C]; R];
        for r in 0..R {
            half::<F, DOT, 0, C>(&weights[r], a, &mut sums[r]);
            half::<F, DOT, 1, C>(&weights[r], a, &mut sums[r]);
        }
        to_floats::<Quads<DOT>, R, C>(&sums)
    }
}

/// Adds half a block of a vector of rows, 16 values of each, to its sums with C rows of
/// activations.
#[inline(always)]
unsafe fn half<F: Format, const DOT: bool, const HALF: usize, const C: usize>(
    weights: &WeightBlock,
    a: &[*const u8; C],
    sums: &mut [Ints; C],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut w = [Quads::<DOT>::every(0); 4];
        unrolled!(G in [0, 1, 2, 3] {
            w[G] = F::vector::<Quads<DOT>>(weights, 4 * HALF + G);
        });
        let is_scaled = matches!(F::SUM, Sum::Halves | Sum::HalvesLess | Sum::WideHalves);
        let scales = if is_scaled {
            widened(F::half_scales::<Quads<DOT>>(weights, HALF))
        } else {
            [vdupq_n_s32(1); 2]
        };
        for c in 0..C {
            let q = vld1q_s8(a[c].add(16 * HALF).cast());
            let mut sum = if is_scaled { Quads::<DOT>::every(0) } else { sums[c] };
            match F::SUM {
                Sum::NarrowLess(offset) if HALF == 0 => sum = less(sum, a[c].add(offset)),
                Sum::HalvesLess => sum = less(sum, a[c].add(at::OFF32 + 4 * HALF)),
                _ => {}
            }
            sum = dot::<DOT, 0>(sum, w[0], q);
            sum = dot::<DOT, 1>(sum, w[1], q);
            sum = dot::<DOT, 2>(sum, w[2], q);
            sum = dot::<DOT, 3>(sum, w[3], q);
            sums[c] = if is_scaled { add_product(sums[c], sum, scales) } else { sum };
        }
    }
}

/// `sum` less the two 16-bit numbers at `p`, in every row.
#[inline(always)]
unsafe fn less(sum: Ints, p: *const u8) -> Ints {
    // SAFETY: the caller's; 4 bytes are there.
    unsafe {
        let [first, second] = p.cast::<[i16; 2]>().read_unaligned();
        let offset = vdupq_n_s32(i32::from(first) + i32::from(second));
        let sum = [vreinterpretq_s32_u8(sum[0]), vreinterpretq_s32_u8(sum[1])];
        let sum = [vsubq_s32(sum[0], offset), vsubq_s32(sum[1], offset)];
        [vreinterpretq_u8_s32(sum[0]), vreinterpretq_u8_s32(sum[1])]
    }
}

/// `total + sum · scales`
#[inline(always)]
fn add_product(total: Ints, sum: Ints, scales: [int32x4_t; 2]) -> Ints {
    // SAFETY: NEON is part of AArch64.
    unsafe {
        let total = [vreinterpretq_s32_u8(total[0]), vreinterpretq_s32_u8(total[1])];
        let sum = [vreinterpretq_s32_u8(sum[0]), vreinterpretq_s32_u8(sum[1])];
        let total =
            [vmlaq_s32(total[0], sum[0], scales[0]), vmlaq_s32(total[1], sum[1], scales[1])];
        [vreinterpretq_u8_s32(total[0]), vreinterpretq_u8_s32(total[1])]
    }
}

/// Adds to each row's sum its four weights times activations 4 · LANE to 4 · LANE + 3 of 16.
///
/// # Safety
/// The processor has `dotprod` if `DOT`.
#[inline(always)]
unsafe fn dot<const DOT: bool, const LANE: i32>(sum: Ints, w: Ints, a: int8x16_t) -> Ints {
    // SAFETY: the caller's; NEON is part of AArch64.
    unsafe {
        if DOT {
            return [sdot::<LANE>(sum[0], w[0], a), sdot::<LANE>(sum[1], w[1], a)];
        }
        let a = vreinterpretq_s8_s32(vdupq_laneq_s32::<LANE>(vreinterpretq_s32_s8(a)));
        [add_fours(sum[0], w[0], a), add_fours(sum[1], w[1], a)]
    }
}

/// What `sdot` does, by products and sums of two in 16 bits.
#[inline(always)]
fn add_fours(sum: uint8x16_t, w: uint8x16_t, a: int8x16_t) -> uint8x16_t {
    // SAFETY: NEON is part of AArch64.
    unsafe {
        let w = vreinterpretq_s8_u8(w);
        let low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
        let pairs = vpaddq_s16(low, vmull_high_s8(w, a));
        vreinterpretq_u8_s32(vpadalq_s16(vreinterpretq_s32_u8(sum), pairs))
    }
}

/// `sdot` by one element of `a`; the intrinsic is not stable yet.
#[target_feature(enable = "neon,dotprod")]
#[inline]
unsafe fn sdot<const LANE: i32>(mut sum: uint8x16_t, w: uint8x16_t, a: int8x16_t) -> uint8x16_t {
    // SAFETY: nothing but registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            sum = inout(vreg) sum,
            w = in(vreg) w,
            a = in(vreg) a,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
