//! Vectors of AVX2 and of AVX-512.

use super::{Rows, Vector, promised};
use std::arch::x86_64::*;

/// 8 rows: AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(in crate::quant) struct Ymm;

impl Vector for Ymm {
    type Int = __m256i;
    type Float = __m256;
    type Bytes = __m128i;
    const GROUPS: usize = 1;

    #[inline(always)]
    unsafe fn load(from: Rows) -> __m256i {
        promised!(_mm256_loadu_si256(from.at.cast()))
    }
    #[inline(always)]
    unsafe fn every(bits: i32) -> __m256i {
        promised!(_mm256_set1_epi32(bits))
    }
    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        promised!(_mm256_and_si256(a, b))
    }
    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        promised!(_mm256_or_si256(a, b))
    }
    #[inline(always)]
    unsafe fn add_bytes(a: __m256i, b: __m256i) -> __m256i {
        promised!(_mm256_add_epi8(a, b))
    }
    #[inline(always)]
    unsafe fn left(x: __m256i, n: usize) -> __m256i {
        promised!(_mm256_sll_epi16(x, _mm_cvtsi32_si128(n as i32)))
    }
    #[inline(always)]
    unsafe fn right(x: __m256i, n: usize) -> __m256i {
        promised!(_mm256_srl_epi16(x, _mm_cvtsi32_si128(n as i32)))
    }
    #[inline(always)]
    unsafe fn look_up(table: &[i8; 16], x: __m256i) -> __m256i {
        promised! {
            let table = _mm_loadu_si128(table.as_ptr().cast());
            _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), x)
        }
    }
    #[inline(always)]
    unsafe fn row_bytes(from: Rows) -> __m128i {
        promised!(_mm_loadl_epi64(from.at.cast()))
    }
    #[inline(always)]
    unsafe fn low_nibbles(bytes: __m128i) -> __m128i {
        promised!(_mm_and_si128(bytes, _mm_set1_epi8(15)))
    }
    #[inline(always)]
    unsafe fn high_nibbles(bytes: __m128i) -> __m128i {
        promised!(_mm_and_si128(_mm_srli_epi16::<4>(bytes), _mm_set1_epi8(15)))
    }
    #[inline(always)]
    unsafe fn pairs(a: __m128i, b: __m128i) -> __m256i {
        promised!(_mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)))
    }
    #[inline(always)]
    unsafe fn signed(bytes: __m128i) -> __m256 {
        promised!(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)))
    }
    #[inline(always)]
    unsafe fn unsigned(bytes: __m128i) -> __m256 {
        promised!(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)))
    }
    #[inline(always)]
    unsafe fn halves(from: Rows) -> __m256 {
        promised!(_mm256_cvtph_ps(_mm_loadu_si128(from.at.cast())))
    }
    #[inline(always)]
    unsafe fn uppers(from: Rows) -> __m256 {
        promised! {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.at.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        promised!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        promised!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        promised!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    unsafe fn to_float(x: __m256i) -> __m256 {
        promised!(_mm256_cvtepi32_ps(x))
    }
    #[inline(always)]
    unsafe fn madd(a: __m256i, b: __m256i) -> __m256i {
        promised!(_mm256_madd_epi16(a, b))
    }
    #[inline(always)]
    unsafe fn read(from: *const f32, n: usize) -> __m256 {
        promised! {
            if n >= 8 {
                return _mm256_loadu_ps(from);
            }
            let mut eight = [0.0f32; 8];
            from.copy_to_nonoverlapping(eight.as_mut_ptr(), n);
            _mm256_loadu_ps(eight.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn write(x: __m256, to: *mut f32, n: usize) {
        promised! {
            if n >= 8 {
                _mm256_storeu_ps(to, x);
                return;
            }
            let mut eight = [0.0f32; 8];
            _mm256_storeu_ps(eight.as_mut_ptr(), x);
            to.copy_from_nonoverlapping(eight.as_ptr(), n);
        }
    }
}

/// 16 rows: AVX-512 F, BW, DQ, VL and VNNI, besides what [`Ymm`] needs.
#[derive(Clone, Copy)]
pub(in crate::quant) struct Zmm;

impl Vector for Zmm {
    type Int = __m512i;
    type Float = __m512;
    type Bytes = __m128i;
    const GROUPS: usize = 2;

    #[inline(always)]
    unsafe fn load(from: Rows) -> __m512i {
        promised! {
            let low = _mm256_loadu_si256(from.at.cast());
            let high = _mm256_loadu_si256(from.at.add(from.next).cast());
            _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
        }
    }
    #[inline(always)]
    unsafe fn every(bits: i32) -> __m512i {
        promised!(_mm512_set1_epi32(bits))
    }
    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        promised!(_mm512_and_si512(a, b))
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        promised!(_mm512_or_si512(a, b))
    }
    #[inline(always)]
    unsafe fn add_bytes(a: __m512i, b: __m512i) -> __m512i {
        promised!(_mm512_add_epi8(a, b))
    }
    #[inline(always)]
    unsafe fn left(x: __m512i, n: usize) -> __m512i {
        promised!(_mm512_sll_epi16(x, _mm_cvtsi32_si128(n as i32)))
    }
    #[inline(always)]
    unsafe fn right(x: __m512i, n: usize) -> __m512i {
        promised!(_mm512_srl_epi16(x, _mm_cvtsi32_si128(n as i32)))
    }
    #[inline(always)]
    unsafe fn look_up(table: &[i8; 16], x: __m512i) -> __m512i {
        promised! {
            let table = _mm_loadu_si128(table.as_ptr().cast());
            _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), x)
        }
    }
    #[inline(always)]
    unsafe fn row_bytes(from: Rows) -> __m128i {
        promised! {
            let low = _mm_loadl_epi64(from.at.cast());
            _mm_unpacklo_epi64(low, _mm_loadl_epi64(from.at.add(from.next).cast()))
        }
    }
    #[inline(always)]
    unsafe fn low_nibbles(bytes: __m128i) -> __m128i {
        promised!(_mm_and_si128(bytes, _mm_set1_epi8(15)))
    }
    #[inline(always)]
    unsafe fn high_nibbles(bytes: __m128i) -> __m128i {
        promised!(_mm_and_si128(_mm_srli_epi16::<4>(bytes), _mm_set1_epi8(15)))
    }
    #[inline(always)]
    unsafe fn pairs(a: __m128i, b: __m128i) -> __m512i {
        promised! {
            let both = _mm256_set_m128i(_mm_unpackhi_epi8(a, b), _mm_unpacklo_epi8(a, b));
            _mm512_cvtepi8_epi16(both)
        }
    }
    #[inline(always)]
    unsafe fn signed(bytes: __m128i) -> __m512 {
        promised!(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)))
    }
    #[inline(always)]
    unsafe fn unsigned(bytes: __m128i) -> __m512 {
        promised!(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)))
    }
    #[inline(always)]
    unsafe fn halves(from: Rows) -> __m512 {
        promised! {
            let low = _mm_loadu_si128(from.at.cast());
            let high = _mm_loadu_si128(from.at.add(from.next).cast());
            _mm512_cvtph_ps(_mm256_set_m128i(high, low))
        }
    }
    #[inline(always)]
    unsafe fn uppers(from: Rows) -> __m512 {
        promised! {
            let low = _mm_loadu_si128(from.at.cast());
            let high = _mm_loadu_si128(from.at.add(from.next).cast());
            let wide = _mm512_cvtepu16_epi32(_mm256_set_m128i(high, low));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        promised!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        promised!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        promised!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    unsafe fn to_float(x: __m512i) -> __m512 {
        promised!(_mm512_cvtepi32_ps(x))
    }
    #[inline(always)]
    unsafe fn madd(a: __m512i, b: __m512i) -> __m512i {
        promised!(_mm512_madd_epi16(a, b))
    }
    #[inline(always)]
    unsafe fn read(from: *const f32, n: usize) -> __m512 {
        promised!(_mm512_maskz_loadu_ps(first_lanes(n), from))
    }
    #[inline(always)]
    unsafe fn write(x: __m512, to: *mut f32, n: usize) {
        promised!(_mm512_mask_storeu_ps(to, first_lanes(n), x))
    }
}

/// A mask of the first `n` of 16 lanes, or all.
#[inline(always)]
fn first_lanes(n: usize) -> __mmask16 {
    if n >= 16 { !0 } else { (1 << n) - 1 }
}
