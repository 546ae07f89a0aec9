//! Vectors of NEON: the four rows of a group that come first, and the four others.
//!
//! No `map` of arrays: it was called, and not inlined, in functions that have `dotprod`.

use super::{Rows, Vector, promised};
use std::arch::aarch64::*;

/// 8 rows in two registers of 16 bytes. `DOT` says whether microkernels may use `sdot` on it;
/// nothing in this file does.
#[derive(Clone, Copy)]
pub(in crate::quant) struct Quads<const DOT: bool>;

/// Four bytes, or 32 bits, of each of 8 rows.
pub(in crate::quant) type Ints = [uint8x16_t; 2];

/// Signed bytes of 8 rows in 32 bits.
#[inline(always)]
pub(in crate::quant) fn widened(bytes: uint8x8_t) -> [int32x4_t; 2] {
    // SAFETY: NEON is part of AArch64.
    unsafe {
        let wide = vmovl_s8(vreinterpret_s8_u8(bytes));
        [vmovl_s16(vget_low_s16(wide)), vmovl_high_s16(wide)]
    }
}

/// Signed bytes in 16 bits.
#[inline(always)]
fn wide_bytes(bytes: uint8x8_t) -> uint8x16_t {
    // SAFETY: NEON is part of AArch64.
    unsafe { vreinterpretq_u8_s16(vmovl_s8(vreinterpret_s8_u8(bytes))) }
}

/// Sums of products of neighbouring 16-bit numbers.
#[inline(always)]
fn sums_of_two(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    // SAFETY: NEON is part of AArch64.
    unsafe {
        let (a, b) = (vreinterpretq_s16_u8(a), vreinterpretq_s16_u8(b));
        let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
        vreinterpretq_u8_s32(vpaddq_s32(low, vmull_high_s16(a, b)))
    }
}

impl<const DOT: bool> Vector for Quads<DOT> {
    type Int = Ints;
    type Float = [float32x4_t; 2];
    type Bytes = uint8x8_t;
    const GROUPS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: Rows) -> Ints {
        promised!([vld1q_u8(from.at), vld1q_u8(from.at.add(16))])
    }
    #[inline(always)]
    unsafe fn every(bits: i32) -> Ints {
        promised!([vreinterpretq_u8_s32(vdupq_n_s32(bits)); 2])
    }
    #[inline(always)]
    unsafe fn and(a: Ints, b: Ints) -> Ints {
        promised!([vandq_u8(a[0], b[0]), vandq_u8(a[1], b[1])])
    }
    #[inline(always)]
    unsafe fn or(a: Ints, b: Ints) -> Ints {
        promised!([vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1])])
    }
    #[inline(always)]
    unsafe fn add_bytes(a: Ints, b: Ints) -> Ints {
        promised!([vaddq_u8(a[0], b[0]), vaddq_u8(a[1], b[1])])
    }
    #[inline(always)]
    unsafe fn left(x: Ints, n: usize) -> Ints {
        promised! {
            let n = vdupq_n_s8(n as i8);
            [vshlq_u8(x[0], n), vshlq_u8(x[1], n)]
        }
    }
    #[inline(always)]
    unsafe fn right(x: Ints, n: usize) -> Ints {
        promised! {
            let n = vdupq_n_s8(-(n as i8));
            [vshlq_u8(x[0], n), vshlq_u8(x[1], n)]
        }
    }
    #[inline(always)]
    unsafe fn look_up(table: &[i8; 16], x: Ints) -> Ints {
        promised! {
            let table = vld1q_u8(table.as_ptr().cast());
            [vqtbl1q_u8(table, x[0]), vqtbl1q_u8(table, x[1])]
        }
    }
    #[inline(always)]
    unsafe fn row_bytes(from: Rows) -> uint8x8_t {
        promised!(vld1_u8(from.at))
    }
    #[inline(always)]
    unsafe fn low_nibbles(bytes: uint8x8_t) -> uint8x8_t {
        promised!(vand_u8(bytes, vdup_n_u8(15)))
    }
    #[inline(always)]
    unsafe fn high_nibbles(bytes: uint8x8_t) -> uint8x8_t {
        promised!(vshr_n_u8::<4>(bytes))
    }
    #[inline(always)]
    unsafe fn pairs(a: uint8x8_t, b: uint8x8_t) -> Ints {
        promised!([wide_bytes(vzip1_u8(a, b)), wide_bytes(vzip2_u8(a, b))])
    }
    #[inline(always)]
    unsafe fn signed(bytes: uint8x8_t) -> [float32x4_t; 2] {
        promised! {
            let [first, second] = widened(bytes);
            [vcvtq_f32_s32(first), vcvtq_f32_s32(second)]
        }
    }
    #[inline(always)]
    unsafe fn unsigned(bytes: uint8x8_t) -> [float32x4_t; 2] {
        promised! {
            let wide = vmovl_u8(bytes);
            let [first, second] = [vmovl_u16(vget_low_u16(wide)), vmovl_high_u16(wide)];
            [vcvtq_f32_u32(first), vcvtq_f32_u32(second)]
        }
    }
    #[inline(always)]
    unsafe fn halves(from: Rows) -> [float32x4_t; 2] {
        promised! {
            let both = vreinterpretq_f16_u8(vld1q_u8(from.at));
            [vcvt_f32_f16(vget_low_f16(both)), vcvt_high_f32_f16(both)]
        }
    }
    #[inline(always)]
    unsafe fn uppers(from: Rows) -> [float32x4_t; 2] {
        promised! {
            let both = vreinterpretq_u16_u8(vld1q_u8(from.at));
            let wide = [vshll_n_u16::<16>(vget_low_u16(both)), vshll_high_n_u16::<16>(both)];
            [vreinterpretq_f32_u32(wide[0]), vreinterpretq_f32_u32(wide[1])]
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [float32x4_t; 2] {
        promised!([vdupq_n_f32(x); 2])
    }
    #[inline(always)]
    unsafe fn mul(a: [float32x4_t; 2], b: [float32x4_t; 2]) -> [float32x4_t; 2] {
        promised!([vmulq_f32(a[0], b[0]), vmulq_f32(a[1], b[1])])
    }
    #[inline(always)]
    unsafe fn fma(
        a: [float32x4_t; 2],
        b: [float32x4_t; 2],
        c: [float32x4_t; 2],
    ) -> [float32x4_t; 2] {
        promised!([vfmaq_f32(c[0], a[0], b[0]), vfmaq_f32(c[1], a[1], b[1])])
    }
    #[inline(always)]
    unsafe fn to_float(x: Ints) -> [float32x4_t; 2] {
        promised! {
            let x = [vreinterpretq_s32_u8(x[0]), vreinterpretq_s32_u8(x[1])];
            [vcvtq_f32_s32(x[0]), vcvtq_f32_s32(x[1])]
        }
    }
    #[inline(always)]
    unsafe fn madd(a: Ints, b: Ints) -> Ints {
        [sums_of_two(a[0], b[0]), sums_of_two(a[1], b[1])]
    }
    #[inline(always)]
    unsafe fn read(from: *const f32, n: usize) -> [float32x4_t; 2] {
        promised! {
            if n >= 8 {
                return [vld1q_f32(from), vld1q_f32(from.add(4))];
            }
            let mut eight = [0.0f32; 8];
            from.copy_to_nonoverlapping(eight.as_mut_ptr(), n);
            [vld1q_f32(eight.as_ptr()), vld1q_f32(eight.as_ptr().add(4))]
        }
    }
    #[inline(always)]
    unsafe fn write(x: [float32x4_t; 2], to: *mut f32, n: usize) {
        promised! {
            if n >= 8 {
                vst1q_f32(to, x[0]);
                vst1q_f32(to.add(4), x[1]);
                return;
            }
            let mut eight = [0.0f32; 8];
            vst1q_f32(eight.as_mut_ptr(), x[0]);
            vst1q_f32(eight.as_mut_ptr().add(4), x[1]);
            to.copy_from_nonoverlapping(eight.as_ptr(), n);
        }
    }
}
