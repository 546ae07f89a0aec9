//! Vectors of weights: the rows of one group of 8 with AVX2, of two groups with AVX-512.
//!
//! A format (`formats`) and a tile (`microkernel`) are written once, over this trait. Lane by lane
//! both widths do the same, so an output's bytes do not depend on which of them computed it.

use std::arch::x86_64::*;

/// Where the rows of a vector have a byte: at this address, and `next` bytes on in the second
/// group if the vector holds two.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub at: *const u8,
    pub next: usize,
}

impl Rows {
    /// `n` bytes further in every group.
    #[inline(always)]
    pub fn add(self, n: usize) -> Rows {
        Rows { at: self.at.wrapping_add(n), next: self.next }
    }
}

/// What formats and tiles need of a vector.
///
/// # Safety
/// All functions need the instructions of the type that implements them. Those that read need as
/// many bytes in every group as their documentation says.
pub(super) trait Vector: Copy {
    /// 32 bytes a group: four values of each row.
    type Int: Copy;
    /// One number for each row.
    type Float: Copy;
    /// Groups of 8 rows.
    const GROUPS: usize;

    /// 32 bytes of each group.
    unsafe fn load(from: Rows) -> Self::Int;
    /// The same 32 bits in every row.
    unsafe fn every(bits: i32) -> Self::Int;
    unsafe fn and(a: Self::Int, b: Self::Int) -> Self::Int;
    unsafe fn or(a: Self::Int, b: Self::Int) -> Self::Int;
    /// Sums of bytes.
    unsafe fn add_bytes(a: Self::Int, b: Self::Int) -> Self::Int;
    /// 16-bit lanes moved `n` bits up or down; `n` is known when this is inlined.
    unsafe fn left(x: Self::Int, n: usize) -> Self::Int;
    unsafe fn right(x: Self::Int, n: usize) -> Self::Int;
    /// `table[x]` for bytes below 16.
    unsafe fn look_up(table: &[i8; 16], x: Self::Int) -> Self::Int;

    /// One byte of each row: 8 of each group, side by side.
    unsafe fn row_bytes(from: Rows) -> __m128i;
    /// Two signed bytes of each row, widened to the 16-bit halves of its 32 bits.
    unsafe fn pairs(a: __m128i, b: __m128i) -> Self::Int;
    unsafe fn signed(bytes: __m128i) -> Self::Float;
    unsafe fn unsigned(bytes: __m128i) -> Self::Float;

    /// One f16 of each row: 16 bytes of each group.
    unsafe fn halves(from: Rows) -> Self::Float;
    /// One bf16 of each row: 16 bytes of each group.
    unsafe fn uppers(from: Rows) -> Self::Float;
    unsafe fn splat(x: f32) -> Self::Float;
    unsafe fn mul(a: Self::Float, b: Self::Float) -> Self::Float;
    /// a · b + c, rounded once.
    unsafe fn fma(a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;
    unsafe fn to_float(x: Self::Int) -> Self::Float;
    /// Sums of products of neighbouring 16-bit numbers.
    unsafe fn madd(a: Self::Int, b: Self::Int) -> Self::Int;

    /// The first `n` numbers at `from`, and zeros; all if there are enough.
    unsafe fn read(from: *const f32, n: usize) -> Self::Float;
    /// Writes the first `n`, or all.
    unsafe fn write(x: Self::Float, to: *mut f32, n: usize);

    /// -x
    #[inline(always)]
    unsafe fn negate(x: Self::Float) -> Self::Float {
        // SAFETY: the caller's.
        unsafe { Self::mul(x, Self::splat(-1.0)) }
    }

    /// The same byte everywhere.
    #[inline(always)]
    unsafe fn every_byte(byte: u8) -> Self::Int {
        // SAFETY: the caller's.
        unsafe { Self::every(i32::from_ne_bytes([byte; 4])) }
    }
}

/// The whole of a function below, under the one argument that holds for all of them.
macro_rules! promised {
    ($($code:tt)*) => {
        // SAFETY: the instructions and the bytes are there, as the trait's callers promise.
        unsafe { $($code)* }
    };
}

/// 8 rows: AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Ymm;

impl Vector for Ymm {
    type Int = __m256i;
    type Float = __m256;
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
pub(super) struct Zmm;

impl Vector for Zmm {
    type Int = __m512i;
    type Float = __m512;
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
