//! Sixteen lanes in two AVX2 registers.
//!
//! A value of this type exists only inside functions that `each_isa!` made and that run only
//! where AVX2, FMA and F16C are present: that is the safety argument of every block here.

use super::{Float, Lanes};
use std::arch::x86_64::*;

/// (lanes 0 to 7, lanes 8 to 15)
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(crate) __m256, pub(crate) __m256);

macro_rules! both {
    ($f:ident, $a:expr, $b:expr) => {
        // SAFETY: AVX2 is there, see the head of this file.
        unsafe { Avx2($f($a.0, $b.0), $f($a.1, $b.1)) }
    };
}

/// The bit that holds the sign.
#[inline(always)]
fn sign_bit() -> __m256 {
    // SAFETY: AVX2 is there, see the head of this file.
    unsafe { _mm256_set1_ps(-0.0) }
}

impl Float for Avx2 {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: AVX2 is there, see the head of this file.
        let lanes = unsafe { _mm256_set1_ps(x) };
        Avx2(lanes, lanes)
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        both!(_mm256_add_ps, self, b)
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        both!(_mm256_sub_ps, self, b)
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        both!(_mm256_mul_ps, self, b)
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        both!(_mm256_div_ps, self, b)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // SAFETY: FMA is there, see the head of this file.
        unsafe { Avx2(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        both!(_mm256_max_ps, self, b)
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        both!(_mm256_min_ps, self, b)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        let sign = Avx2(sign_bit(), sign_bit());
        both!(_mm256_andnot_ps, sign, self)
    }
    #[inline(always)]
    fn copy_sign(self, sign: Self) -> Self {
        let bit = Avx2(sign_bit(), sign_bit());
        let sign = both!(_mm256_and_ps, bit, sign);
        let magnitude = self.abs();
        both!(_mm256_or_ps, sign, magnitude)
    }
    #[inline(always)]
    fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: AVX2 is there, see the head of this file.
        unsafe { Avx2(_mm256_round_ps::<NEAREST>(self.0), _mm256_round_ps::<NEAREST>(self.1)) }
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        #[inline(always)]
        fn half(n: __m256) -> __m256 {
            // SAFETY: AVX2 is there, see the head of this file.
            unsafe {
                let biased = _mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            }
        }
        Avx2(half(self.0), half(self.1))
    }
    #[inline(always)]
    fn if_less(self, b: Self, a: Self, c: Self) -> Self {
        #[inline(always)]
        fn half(x: __m256, b: __m256, a: __m256, c: __m256) -> __m256 {
            // SAFETY: AVX2 is there, see the head of this file.
            unsafe { _mm256_blendv_ps(c, a, _mm256_cmp_ps::<_CMP_LT_OQ>(x, b)) }
        }
        Avx2(half(self.0, b.0, a.0, c.0), half(self.1, b.1, a.1, c.1))
    }
}

impl Lanes for Avx2 {
    const REGISTERS: usize = 8;

    #[inline(always)]
    unsafe fn load_at(src: *const f32) -> Self {
        // SAFETY: 16 floats, as the caller promises.
        unsafe { Avx2(_mm256_loadu_ps(src), _mm256_loadu_ps(src.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_f16_at(src: *const u16) -> Self {
        #[inline(always)]
        unsafe fn half(src: *const u16) -> __m256 {
            // SAFETY: 8 numbers, as the caller promises.
            unsafe { _mm256_cvtph_ps(_mm_loadu_si128(src.cast())) }
        }
        // SAFETY: 16 numbers, as the caller promises.
        unsafe { Avx2(half(src), half(src.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_at(src: *const u16) -> Self {
        #[inline(always)]
        unsafe fn half(src: *const u16) -> __m256 {
            // SAFETY: 8 numbers, as the caller promises.
            unsafe {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(src.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            }
        }
        // SAFETY: 16 numbers, as the caller promises.
        unsafe { Avx2(half(src), half(src.add(8))) }
    }
    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        let mut lanes = [0.0; 16];
        self.store(&mut lanes);
        lanes
    }
    #[inline(always)]
    unsafe fn store_at(self, dst: *mut f32) {
        // SAFETY: room for 16 floats, as the caller promises.
        unsafe {
            _mm256_storeu_ps(dst, self.0);
            _mm256_storeu_ps(dst.add(8), self.1);
        }
    }
    #[inline(always)]
    fn halves(low: f32, high: f32) -> Self {
        // SAFETY: AVX2 is there, see the head of this file.
        unsafe { Avx2(_mm256_set1_ps(low), _mm256_set1_ps(high)) }
    }
    #[inline(always)]
    fn fold(self) -> Self {
        // SAFETY: AVX2 is there, see the head of this file.
        let both = unsafe { _mm256_add_ps(self.0, self.1) };
        Avx2(both, both)
    }
    #[inline(always)]
    fn quarters(x: &[f32]) -> Self {
        let x: &[f32; 4] = x.first_chunk().expect("four floats");
        // SAFETY: AVX2 is there, see the head of this file; four floats are read.
        unsafe {
            let x = _mm_loadu_ps(x.as_ptr());
            let x = _mm256_set_m128(x, x);
            let first = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
            let last = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
            Avx2(_mm256_permutevar_ps(x, first), _mm256_permutevar_ps(x, last))
        }
    }
    #[inline(always)]
    fn fold_quarters(self) -> Self {
        // SAFETY: AVX2 is there, see the head of this file.
        let all = unsafe {
            let both = _mm256_add_ps(self.0, self.1);
            _mm256_add_ps(both, _mm256_permute2f128_ps::<1>(both, both))
        };
        Avx2(all, all)
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: AVX2 is there, see the head of this file.
        unsafe {
            let by8 = _mm256_add_ps(self.0, self.1);
            let by4 = _mm_add_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps::<1>(by8));
            let by2 = _mm_add_ps(by4, _mm_movehl_ps(by4, by4));
            _mm_cvtss_f32(_mm_add_ss(by2, _mm_movehdup_ps(by2)))
        }
    }
    #[inline(always)]
    fn highest(self) -> f32 {
        // SAFETY: AVX2 is there, see the head of this file.
        unsafe {
            let by8 = _mm256_max_ps(self.0, self.1);
            let by4 = _mm_max_ps(_mm256_castps256_ps128(by8), _mm256_extractf128_ps::<1>(by8));
            let by2 = _mm_max_ps(by4, _mm_movehl_ps(by4, by4));
            _mm_cvtss_f32(_mm_max_ss(by2, _mm_movehdup_ps(by2)))
        }
    }
    #[inline(always)]
    fn which(self, x: f32) -> u32 {
        // SAFETY: AVX2 is there, see the head of this file.
        unsafe {
            let x = _mm256_set1_ps(x);
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, x));
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(self.1, x));
            (low | high << 8) as u32
        }
    }
    #[inline(always)]
    fn to_f16(self) -> [u16; 16] {
        let mut halves = [0_u16; 16];
        // SAFETY: F16C is there, see the head of this file; each store writes 8 of the 16.
        unsafe {
            let low = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.0);
            let high = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(self.1);
            _mm_storeu_si128(halves.as_mut_ptr().cast(), low);
            _mm_storeu_si128(halves.as_mut_ptr().add(8).cast(), high);
        }
        halves
    }
}
