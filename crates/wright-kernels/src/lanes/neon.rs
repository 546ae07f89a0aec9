//! Sixteen lanes in four NEON registers.
//!
//! NEON is part of every AArch64 that the compiler builds for, and conversions from and to half
//! precision are a part of it: that is the safety argument of every block here. What reads or
//! writes memory says so besides.

use super::{Float, Lanes};
use std::arch::aarch64::*;

/// Lanes 4i to 4i + 3 are in register i.
#[derive(Clone, Copy)]
pub(crate) struct Neon(pub(crate) [float32x4_t; 4]);

macro_rules! neon {
    ($($code:tt)*) => {
        // SAFETY: NEON is there, see the head of this file.
        unsafe { $($code)* }
    };
}

/// The expression for each of the four registers.
macro_rules! four {
    (|$i:ident| $register:expr) => {
        Neon(neon!([
            four!($i 0 $register),
            four!($i 1 $register),
            four!($i 2 $register),
            four!($i 3 $register),
        ]))
    };
    ($i:ident $n:literal $register:expr) => {{
        const $i: usize = $n;
        $register
    }};
}

/// `a` where it is greater than `b`, else `b`: NEON's own maximum answers a NaN with a NaN.
#[inline(always)]
fn greater(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    neon!(vbslq_f32(vcgtq_f32(a, b), a, b))
}

/// Lanes i and i + 8 put together, in two registers.
#[inline(always)]
fn eight(x: Neon, f: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> [float32x4_t; 2] {
    [f(x.0[0], x.0[2]), f(x.0[1], x.0[3])]
}

impl Float for Neon {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Neon([neon!(vdupq_n_f32(x)); 4])
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        four!(|I| vaddq_f32(self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        four!(|I| vsubq_f32(self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        four!(|I| vmulq_f32(self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        four!(|I| vdivq_f32(self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        four!(|I| vfmaq_f32(c.0[I], self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        four!(|I| vbslq_f32(vcgtq_f32(self.0[I], b.0[I]), self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        four!(|I| vbslq_f32(vcltq_f32(self.0[I], b.0[I]), self.0[I], b.0[I]))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        four!(|I| vabsq_f32(self.0[I]))
    }
    #[inline(always)]
    fn copy_sign(self, sign: Self) -> Self {
        let bit = neon!(vdupq_n_u32(1 << 31));
        four!(|I| vbslq_f32(bit, sign.0[I], self.0[I]))
    }
    #[inline(always)]
    fn round(self) -> Self {
        four!(|I| vrndnq_f32(self.0[I]))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        let bias = neon!(vdupq_n_s32(127));
        four!(|I| {
            let biased = vaddq_s32(vcvtq_s32_f32(self.0[I]), bias);
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
        })
    }
    #[inline(always)]
    fn if_less(self, b: Self, a: Self, c: Self) -> Self {
        four!(|I| vbslq_f32(vcltq_f32(self.0[I], b.0[I]), a.0[I], c.0[I]))
    }
}

impl Lanes for Neon {
    const REGISTERS: usize = 8;

    #[inline(always)]
    unsafe fn load_at(src: *const f32) -> Self {
        // 16 floats, as the caller promises.
        four!(|I| vld1q_f32(src.add(4 * I)))
    }
    #[inline(always)]
    unsafe fn load_f16_at(src: *const u16) -> Self {
        // 16 numbers, as the caller promises.
        four!(|I| vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(src.add(4 * I)))))
    }
    #[inline(always)]
    unsafe fn load_bf16_at(src: *const u16) -> Self {
        // 16 numbers, as the caller promises.
        four!(|I| vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(src.add(4 * I)))))
    }
    #[inline(always)]
    unsafe fn store_at(self, dst: *mut f32) {
        for (i, register) in self.0.into_iter().enumerate() {
            // Room for 16 floats, as the caller promises.
            neon!(vst1q_f32(dst.add(4 * i), register));
        }
    }
    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        let mut lanes = [0.0; 16];
        self.store(&mut lanes);
        lanes
    }
    #[inline(always)]
    fn halves(low: f32, high: f32) -> Self {
        let (low, high) = neon!((vdupq_n_f32(low), vdupq_n_f32(high)));
        Neon([low, low, high, high])
    }
    #[inline(always)]
    fn fold(self) -> Self {
        let [low, high] = eight(self, |a, b| neon!(vaddq_f32(a, b)));
        Neon([low, high, low, high])
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let [low, high] = eight(self, |a, b| neon!(vaddq_f32(a, b)));
        neon! {
            let by4 = vaddq_f32(low, high);
            let by2 = vadd_f32(vget_low_f32(by4), vget_high_f32(by4));
            vget_lane_f32::<0>(by2) + vget_lane_f32::<1>(by2)
        }
    }
    #[inline(always)]
    fn highest(self) -> f32 {
        let [low, high] = eight(self, greater);
        let by4 = greater(low, high);
        neon! {
            let (low, high) = (vget_low_f32(by4), vget_high_f32(by4));
            let by2 = vbsl_f32(vcgt_f32(low, high), low, high);
            Float::max(vget_lane_f32::<0>(by2), vget_lane_f32::<1>(by2))
        }
    }
    #[inline(always)]
    fn which(self, x: f32) -> u32 {
        const BITS: [u32; 4] = [1, 2, 4, 8];
        neon! {
            // Four numbers are there.
            let (x, bits) = (vdupq_n_f32(x), vld1q_u32(BITS.as_ptr()));
            let one = |register| vaddvq_u32(vandq_u32(vceqq_f32(register, x), bits));
            one(self.0[0]) | one(self.0[1]) << 4 | one(self.0[2]) << 8 | one(self.0[3]) << 12
        }
    }
    #[inline(always)]
    fn to_f16(self) -> [u16; 16] {
        let mut halves = [0_u16; 16];
        for (four, register) in halves.chunks_exact_mut(4).zip(self.0) {
            // The chunk has room for four.
            neon!(vst1_u16(four.as_mut_ptr(), vreinterpret_u16_f16(vcvt_f16_f32(register))));
        }
        halves
    }
}
