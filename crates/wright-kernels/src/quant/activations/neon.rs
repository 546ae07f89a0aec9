//! The NEON form of rounding activations.

use super::{BLOCK, Block, scale_of};
use std::arch::aarch64::*;

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
