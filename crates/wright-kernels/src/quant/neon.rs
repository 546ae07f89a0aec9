//! The microkernels of NEON: all sums in 32 bits, of signed bytes. Where Armv8.2's `sdot` is, it
//! multiplies and adds fours of bytes; else products are formed in 16 bits, which hold a pair:
//! 2 · 128 · 127 = 32,512 < 2^15.

use super::activations::{BLOCK, Block, at, scale_of};
use super::formats::{self as f, At, Format, Sum};
use super::linear::Job;
use super::microkernel::{Dot, by_format, columns, streams, tiles, to_floats, unrolled};
use super::vector::{Ints, Quads, Vector, widened};
use crate::DType;
use std::arch::aarch64::*;
use std::arch::asm;

/// Streams of weights that one row of activations takes, and that two rows take.
pub(super) const STREAMS: [usize; 2] = [4, 1];

/// All outputs of a job.
///
/// # Safety
/// The processor has `dotprod` if that is said.
pub(super) unsafe fn run(dotprod: bool, job: &Job<'_>) {
    // SAFETY: the caller's.
    unsafe { if dotprod { by_format!(with_sdot, job) } else { by_format!(without_sdot, job) } }
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn with_sdot<F: Format>(job: &Job<'_>) {
    // SAFETY: the caller's.
    unsafe { span::<F, true>(job) }
}

unsafe fn without_sdot<F: Format>(job: &Job<'_>) {
    // SAFETY: the caller's.
    unsafe { span::<F, false>(job) }
}

/// Walks a job: rows of activations by eights, panels of K, groups. Sixteen sums, half a block of
/// weights and 16 activations take 25 of 32 registers.
#[inline(always)]
unsafe fn span<F: Format, const DOT: bool>(job: &Job<'_>) {
    let mut row = job.rows.start;
    while row < job.rows.end {
        // SAFETY: the rows are the job's, and the instructions are there, as the caller promises.
        row += unsafe {
            match job.rows.end - row {
                1 => columns::<F, Quads<DOT>, 1>(job, row),
                2 | 3 => columns::<F, Quads<DOT>, 2>(job, row),
                4..8 => columns::<F, Quads<DOT>, 4>(job, row),
                _ => columns::<F, Quads<DOT>, 8>(job, row),
            }
        };
    }
}

impl<const DOT: bool> Dot for Quads<DOT> {
    #[inline(always)]
    unsafe fn groups<F: Format, const C: usize>(job: &Job<'_>, row: usize, from: usize, to: usize) {
        // SAFETY: the caller's.
        unsafe {
            let mut group = job.groups.start;
            if C == 1 {
                group = streams::<F, Self, { STREAMS[0] }, C>(job, group, row, from, to);
            } else if C <= 4 {
                group = tiles::<F, Self, 2, C>(job, group, row, from, to);
            }
            tiles::<F, Self, 1, C>(job, group, row, from, to);
        }
    }

    #[inline(always)]
    unsafe fn sums<F: Format, const R: usize, const C: usize>(
        places: &[At; R],
        a: &[*const u8; C],
    ) -> [[Self::Float; C]; R] {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = [[Self::every(0); C]; R];
            for r in 0..R {
                half::<F, DOT, 0, C>(&places[r], a, &mut sums[r]);
                half::<F, DOT, 1, C>(&places[r], a, &mut sums[r]);
            }
            to_floats::<Self, R, C>(&sums)
        }
    }
}

/// Adds half a block of a vector of rows, 16 values of each, to its sums with C rows of
/// activations.
#[inline(always)]
unsafe fn half<F: Format, const DOT: bool, const HALF: usize, const C: usize>(
    place: &At,
    a: &[*const u8; C],
    sums: &mut [Ints; C],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut w = [Quads::<DOT>::every(0); 4];
        unrolled!(G in [0, 1, 2, 3] {
            w[G] = F::vector::<Quads<DOT>>(place, 4 * HALF + G);
        });
        let is_scaled = matches!(F::SUM, Sum::Halves | Sum::HalvesLess | Sum::WideHalves);
        let scales = if is_scaled {
            widened(F::half_scales::<Quads<DOT>>(place, HALF))
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

/// Rounds `x` into `blocks`, 32 values each, as the plain form does.
pub(super) fn quantize(x: &[f32], blocks: &mut [Block]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(blocks) {
        let x = x.first_chunk().expect("a chunk is a block");
        // SAFETY: NEON is part of AArch64.
        *block = unsafe { quantized(x) };
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn quantized(x: &[f32; BLOCK]) -> Block {
    // SAFETY: 4 values are at each of the eight places.
    let v: [float32x4_t; 8] = std::array::from_fn(|i| unsafe { vld1q_f32(x.as_ptr().add(4 * i)) });
    let magnitudes = v.map(|v| vreinterpretq_u32_f32(vabsq_f32(v)));
    let max = magnitudes.into_iter().fold(vdupq_n_u32(0), |max, m| vmaxq_u32(max, m));
    let (scale, factor) = scale_of(vmaxvq_u32(max));
    let (mut q, mut pairs) = ([0i8; BLOCK], [[0i16; 2]; 2]);
    if factor != 0.0 {
        let i = v.map(|v| vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(v, factor))));
        for half in 0..2 {
            let i = &i[4 * half..][..4];
            let (low, high) = (vcombine_s16(i[0], i[1]), vcombine_s16(i[2], i[3]));
            let bytes = vcombine_s8(vmovn_s16(low), vmovn_s16(high));
            // SAFETY: there is room for 16 bytes.
            unsafe { vst1q_s8(q[16 * half..][..16].as_mut_ptr(), bytes) };
            // Sums of two: of the first and of the second values of four, in turn.
            let twos = vpaddlq_s8(bytes);
            let four = vadd_s16(vget_low_s16(twos), vget_high_s16(twos));
            let two = vadd_s16(four, vext_s16::<2>(four, four));
            pairs[half] = [vget_lane_s16::<0>(two), vget_lane_s16::<1>(two)];
        }
    }
    Block::assemble(q, scale, pairs)
}
