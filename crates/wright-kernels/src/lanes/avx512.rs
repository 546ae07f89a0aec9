//! Sixteen lanes in one AVX-512 register.
//!
//! A value of this type exists only inside functions that `each_isa!` made and that run only
//! where AVX-512 F, BW, DQ and VL are present: that is the safety argument of every block here.

use super::{Float, Lanes};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512(pub(crate) __m512);

macro_rules! lanes {
    ($f:ident $(::<$n:literal>)? ($($x:expr),*)) => {
        // SAFETY: AVX-512 is there, see the head of this file.
        Avx512(unsafe { $f $(::<$n>)? ($($x),*) })
    };
}

/// The bit that holds the sign, in every lane.
#[inline(always)]
fn sign_bit() -> __m512 {
    // SAFETY: AVX-512 is there, see the head of this file.
    unsafe { _mm512_set1_ps(-0.0) }
}

impl Float for Avx512 {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        lanes!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        lanes!(_mm512_add_ps(self.0, b.0))
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        lanes!(_mm512_sub_ps(self.0, b.0))
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        lanes!(_mm512_mul_ps(self.0, b.0))
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        lanes!(_mm512_div_ps(self.0, b.0))
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        lanes!(_mm512_fmadd_ps(self.0, b.0, c.0))
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        lanes!(_mm512_max_ps(self.0, b.0))
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        lanes!(_mm512_min_ps(self.0, b.0))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        lanes!(_mm512_andnot_ps(sign_bit(), self.0))
    }
    #[inline(always)]
    fn copy_sign(self, sign: Self) -> Self {
        let sign = lanes!(_mm512_and_ps(sign_bit(), sign.0));
        lanes!(_mm512_or_ps(sign.0, self.abs().0))
    }
    #[inline(always)]
    fn round(self) -> Self {
        // To whole numbers (scale 0), nearest even, without exceptions.
        lanes!(_mm512_roundscale_ps::<8>(self.0))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        // SAFETY: AVX-512 is there, see the head of this file.
        Avx512(unsafe {
            let biased = _mm512_add_epi32(_mm512_cvttps_epi32(self.0), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        })
    }
    #[inline(always)]
    fn if_less(self, b: Self, a: Self, c: Self) -> Self {
        // SAFETY: AVX-512 is there, see the head of this file.
        Avx512(unsafe {
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, b.0), c.0, a.0)
        })
    }
}

impl Lanes for Avx512 {
    const REGISTERS: usize = 32;

    #[inline(always)]
    unsafe fn load_at(src: *const f32) -> Self {
        lanes!(_mm512_loadu_ps(src))
    }
    #[inline(always)]
    unsafe fn load_f16_at(src: *const u16) -> Self {
        lanes!(_mm512_cvtph_ps(_mm256_loadu_si256(src.cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16_at(src: *const u16) -> Self {
        // SAFETY: AVX-512 is there, see the head of this file; 16 numbers, as the caller promises.
        Avx512(unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(src.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }
    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        let mut lanes = [0.0; 16];
        self.store(&mut lanes);
        lanes
    }
    #[inline(always)]
    unsafe fn store_at(self, dst: *mut f32) {
        // SAFETY: AVX-512 is there, see the head of this file; room, as the caller promises.
        unsafe { _mm512_storeu_ps(dst, self.0) };
    }
    #[inline(always)]
    fn halves(low: f32, high: f32) -> Self {
        // SAFETY: AVX-512 is there, see the head of this file.
        unsafe {
            let low = _mm512_castps256_ps512(_mm256_set1_ps(low));
            Avx512(_mm512_insertf32x8::<1>(low, _mm256_set1_ps(high)))
        }
    }
    #[inline(always)]
    fn fold(self) -> Self {
        // SAFETY: AVX-512 is there, see the head of this file.
        unsafe {
            let turned = _mm512_shuffle_f32x4::<0b01_00_11_10>(self.0, self.0);
            Avx512(_mm512_add_ps(self.0, turned))
        }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: AVX-512 is there, see the head of this file.
        unsafe {
            let by8 =
                _mm256_add_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0));
            let by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps::<1>(by8));
            let by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
            _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)))
        }
    }
    #[inline(always)]
    fn highest(self) -> f32 {
        // SAFETY: AVX-512 is there, see the head of this file.
        unsafe {
            let by8 =
                _mm256_max_ps(_mm512_castps512_ps256(self.0), _mm512_extractf32x8_ps::<1>(self.0));
            let by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps::<1>(by8));
            let by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
            _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)))
        }
    }
    #[inline(always)]
    fn which(self, x: f32) -> u32 {
        // SAFETY: AVX-512 is there, see the head of this file.
        u32::from(unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, _mm512_set1_ps(x)) })
    }
    #[inline(always)]
    fn to_f16(self) -> [u16; 16] {
        let mut halves = [0_u16; 16];
        // SAFETY: AVX-512 is there, see the head of this file; the array has room for 16.
        unsafe {
            let all = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0);
            _mm256_storeu_si256(halves.as_mut_ptr().cast(), all);
        }
        halves
    }
}
