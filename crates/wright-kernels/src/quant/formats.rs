//! How AVX2 gets at the weights of each format: eight byte vectors for a block of 32 values of 8
//! rows, and their scales.
//!
//! Functions here are inlined into the microkernels of `avx2`, which enable the instructions.

use super::activations::at;
use super::packed::Steps;
use super::scalar::IQ4;
use crate::DType;
use std::arch::x86_64::*;

/// How the integer sum of a block is formed. `w` is a weight as its vector holds it, `|a| ≤ 127`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// Eight `maddubs` added in 16 bits: `w` is unsigned.
    Narrow,
    /// As `Narrow`, less an offset times Σ a, which is at this byte of the activations.
    /// Sums may wrap on the way; only the end result must fit.
    NarrowLess(usize),
    /// Four `maddubs` added in 16 bits for each half of the block, times the half's i8 scale.
    Halves,
    /// As `Halves`, less 32 · Σ a.
    HalvesLess,
    /// Signed bytes: each `maddubs` of magnitudes and signed activations is widened at once.
    Wide,
}

/// What is added besides scale · sum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Min {
    None,
    /// `min() · scaled_sum`.
    Whole,
    /// `mins16() · half sums`, in units of `min() · scale of the activations`.
    Halves,
}

/// A block of 8 rows in memory.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub quants: *const u8,
    pub high: *const u8,
    /// The f16 numbers of the block, or of the 256 values around it.
    pub front: *const u8,
    /// Which block of the 256 it is.
    pub j: usize,
}

/// A format as the microkernels see it.
///
/// # Safety
/// All functions need AVX2, FMA and F16C, and an `At` inside a packed matrix of this format;
/// `g < 8`, `half < 2`.
pub(super) trait Format {
    const DTYPE: DType;
    const SUM: Sum;
    const MIN: Min = Min::None;
    const STEPS: Steps = match Steps::of(Self::DTYPE) {
        Some(steps) => steps,
        None => panic!("no integer kernel"),
    };

    /// Values 4g..4g+4 of 8 rows.
    unsafe fn vector(at: &At, g: usize) -> __m256i;

    /// What a unit of the sum is worth.
    #[inline(always)]
    unsafe fn scale(at: &At) -> __m256 {
        // SAFETY: every format has f16 scales of 8 rows at the front.
        unsafe { halves(at.front) }
    }

    unsafe fn min(_at: &At) -> __m256 {
        unreachable!("a format without minimum")
    }

    /// The scale of a half, twice in each row's 32 bits.
    unsafe fn scales16(_at: &At, _half: usize) -> __m256i {
        unreachable!("a format without scales of halves")
    }

    /// The minima of the two halves in each row's 32 bits.
    unsafe fn mins16(_at: &At) -> __m256i {
        unreachable!("a format without minima of halves")
    }
}

/// 8 numbers of f16 as f32.
#[inline(always)]
unsafe fn halves(p: *const u8) -> __m256 {
    // SAFETY: the caller's; 16 bytes are there.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
}

/// 8 bytes, unsigned, as f32.
#[inline(always)]
unsafe fn unsigned(p: *const u8) -> __m256 {
    // SAFETY: the caller's; 8 bytes are there.
    unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()))) }
}

#[inline(always)]
unsafe fn load(p: *const u8) -> __m256i {
    // SAFETY: the caller's; 32 bytes are there.
    unsafe { _mm256_loadu_si256(p.cast()) }
}

/// Shifts 16-bit lanes right; `n` is known when this is inlined.
#[inline(always)]
unsafe fn right(x: __m256i, n: usize) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        match n {
            0 => x,
            1 => _mm256_srli_epi16::<1>(x),
            2 => _mm256_srli_epi16::<2>(x),
            3 => _mm256_srli_epi16::<3>(x),
            4 => _mm256_srli_epi16::<4>(x),
            5 => _mm256_srli_epi16::<5>(x),
            6 => _mm256_srli_epi16::<6>(x),
            _ => _mm256_srli_epi16::<7>(x),
        }
    }
}

/// Shifts 16-bit lanes left; `n` is known when this is inlined.
#[inline(always)]
unsafe fn left(x: __m256i, n: usize) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        match n {
            0 => x,
            1 => _mm256_slli_epi16::<1>(x),
            2 => _mm256_slli_epi16::<2>(x),
            3 => _mm256_slli_epi16::<3>(x),
            _ => _mm256_slli_epi16::<4>(x),
        }
    }
}

/// Four bits of each value.
#[inline(always)]
unsafe fn nibble(at: &At, g: usize) -> __m256i {
    // SAFETY: the caller's; a block has 128 bytes of nibbles.
    unsafe {
        let raw = load(at.quants.add(32 * (g % 4)));
        _mm256_and_si256(right(raw, 4 * (g / 4)), _mm256_set1_epi8(15))
    }
}

/// Bit `g` of each byte of the high plane, moved to bit `to`.
#[inline(always)]
unsafe fn one_bit(at: &At, g: usize, to: usize) -> __m256i {
    // SAFETY: the caller's; a block has 32 bytes of high bits.
    unsafe {
        let raw = load(at.high);
        let moved = if g < to { left(raw, to - g) } else { right(raw, g - to) };
        _mm256_and_si256(moved, _mm256_set1_epi8(1 << to))
    }
}

/// Two bits of each byte of a plane, moved to bit `to` (0 or 4).
#[inline(always)]
unsafe fn two_bits(plane: *const u8, g: usize, to: usize) -> __m256i {
    // SAFETY: the caller's; a block has 64 bytes in the plane.
    unsafe {
        let raw = load(plane.add(32 * (g / 4)));
        let from = 2 * (g % 4);
        let moved = if from < to { left(raw, to - from) } else { right(raw, from - to) };
        _mm256_and_si256(moved, _mm256_set1_epi8(3 << to))
    }
}

/// Nibble and fifth bit.
#[inline(always)]
unsafe fn five_bits(at: &At, g: usize) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_or_si256(nibble(at, g), one_bit(at, g, 4)) }
}

/// 8 signed bytes, each twice as 16 bits in a row's 32.
#[inline(always)]
unsafe fn twice(bytes: __m128i) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes)) }
}

/// 4-bit values looked up in the table of IQ4.
#[inline(always)]
unsafe fn looked_up(at: &At, g: usize) -> __m256i {
    // SAFETY: the caller's; the table has 16 bytes.
    unsafe {
        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(IQ4.as_ptr().cast()));
        _mm256_shuffle_epi8(table, nibble(at, g))
    }
}

/// Where the scales of block `j` are, behind `floats` f16 numbers of 8 rows.
#[inline(always)]
unsafe fn inner(at: &At, floats: usize, step: usize) -> *const u8 {
    // SAFETY: the caller's; inside the scales of 256 values.
    unsafe { at.front.add(16 * floats + step * at.j) }
}

/// `w < 16`: a pair is at most 2·15·127 = 3,810, eight pairs 30,480 < 2^15. Offset 8 leaves
/// |w - 8| ≤ 8, eight pairs at most 16,256.
pub(super) struct Q4_0;

impl Format for Q4_0 {
    const DTYPE: DType = DType::Q4_0;
    const SUM: Sum = Sum::NarrowLess(at::OFF8);

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: the caller's, as in every impl below.
        unsafe { nibble(at, g) }
    }
}

/// `w < 16`: eight pairs are at most 8·2·15·127 = 30,480 < 2^15.
pub(super) struct Q4_1;

impl Format for Q4_1 {
    const DTYPE: DType = DType::Q4_1;
    const SUM: Sum = Sum::Narrow;
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { nibble(at, g) }
    }

    #[inline(always)]
    unsafe fn min(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe { halves(at.front.add(16)) }
    }
}

/// `w < 32`: a pair is at most 2·31·127 = 7,874. |w - 16| ≤ 16: eight pairs of these are at most
/// 8·2·16·127 = 32,512 < 2^15.
pub(super) struct Q5_0;

impl Format for Q5_0 {
    const DTYPE: DType = DType::Q5_0;
    const SUM: Sum = Sum::NarrowLess(at::OFF16);

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { five_bits(at, g) }
    }
}

/// Sums as in Q5_0; the minimum takes back the offset: d·w + m = d·(w - 16) + (m + 16·d).
pub(super) struct Q5_1;

impl Format for Q5_1 {
    const DTYPE: DType = DType::Q5_1;
    const SUM: Sum = Sum::NarrowLess(at::OFF16);
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { five_bits(at, g) }
    }

    #[inline(always)]
    unsafe fn min(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let d = halves(at.front);
            _mm256_fmadd_ps(_mm256_set1_ps(16.0), d, halves(at.front.add(16)))
        }
    }
}

/// `|w| ≤ 128`: a pair of magnitudes is at most 2·128·127 = 32,512 < 2^15.
pub(super) struct Q8_0;

impl Format for Q8_0 {
    const DTYPE: DType = DType::Q8_0;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above; a block has 256 bytes.
        unsafe { load(at.quants.add(32 * g)) }
    }
}

/// `w < 4`: four pairs are at most 4·2·3·127 = 3,048.
pub(super) struct Q2K;

impl Format for Q2K {
    const DTYPE: DType = DType::Q2K;
    const SUM: Sum = Sum::Halves;
    const MIN: Min = Min::Halves;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { two_bits(at.quants, g, 0) }
    }

    #[inline(always)]
    unsafe fn min(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_xor_ps(halves(at.front.add(16)), _mm256_set1_ps(-0.0)) }
    }

    #[inline(always)]
    unsafe fn scales16(at: &At, half: usize) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let both = _mm_loadl_epi64(inner(at, 2, 16).add(8 * half).cast());
            twice(_mm_and_si128(both, _mm_set1_epi8(15)))
        }
    }

    #[inline(always)]
    unsafe fn mins16(at: &At) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let both = _mm_loadu_si128(inner(at, 2, 16).cast());
            let mins = _mm_and_si128(_mm_srli_epi16::<4>(both), _mm_set1_epi8(15));
            let rows = _mm_unpacklo_epi8(mins, _mm_srli_si128::<8>(mins));
            _mm256_cvtepu8_epi16(rows)
        }
    }
}

/// Values are 0..8 less 4; 28 is added so that the offset is 32 and shared with Q6_K. `w ≤ 35`: a
/// pair is at most 2·35·127 = 8,890; |w - 32| ≤ 4, four pairs of these at most 4,064.
pub(super) struct Q3K;

impl Format for Q3K {
    const DTYPE: DType = DType::Q3K;
    const SUM: Sum = Sum::HalvesLess;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let value = _mm256_or_si256(two_bits(at.quants, g, 0), one_bit(at, g, 2));
            _mm256_add_epi8(value, _mm256_set1_epi8(28))
        }
    }

    #[inline(always)]
    unsafe fn scales16(at: &At, half: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { twice(_mm_loadl_epi64(inner(at, 1, 16).add(8 * half).cast())) }
    }
}

/// Sums as in Q4_1.
pub(super) struct Q4K;

impl Format for Q4K {
    const DTYPE: DType = DType::Q4K;
    const SUM: Sum = Sum::Narrow;
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { nibble(at, g) }
    }

    #[inline(always)]
    unsafe fn scale(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(halves(at.front), unsigned(inner(at, 2, 16))) }
    }

    #[inline(always)]
    unsafe fn min(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let dmin = _mm256_xor_ps(halves(at.front.add(16)), _mm256_set1_ps(-0.0));
            _mm256_mul_ps(dmin, unsigned(inner(at, 2, 16).add(8)))
        }
    }
}

/// Sums as in Q5_0, minimum as in Q5_1.
pub(super) struct Q5K;

impl Format for Q5K {
    const DTYPE: DType = DType::Q5K;
    const SUM: Sum = Sum::NarrowLess(at::OFF16);
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { five_bits(at, g) }
    }

    #[inline(always)]
    unsafe fn scale(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe { Q4K::scale(at) }
    }

    #[inline(always)]
    unsafe fn min(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(_mm256_set1_ps(16.0), Q4K::scale(at), Q4K::min(at)) }
    }
}

/// `w < 64`: a pair is at most 2·63·127 = 16,002 < 2^15. |w - 32| ≤ 32: four pairs of these are
/// at most 4·2·32·127 = 32,512 < 2^15. Times a scale, 128 at most, four of them: below 2^25.
pub(super) struct Q6K;

impl Format for Q6K {
    const DTYPE: DType = DType::Q6K;
    const SUM: Sum = Sum::HalvesLess;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_or_si256(nibble(at, g), two_bits(at.high, g, 4)) }
    }

    #[inline(always)]
    unsafe fn scales16(at: &At, half: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { twice(_mm_loadl_epi64(inner(at, 1, 16).add(8 * half).cast())) }
    }
}

/// `|w| ≤ 127`: as in Q8_0.
pub(super) struct Iq4Nl;

impl Format for Iq4Nl {
    const DTYPE: DType = DType::IQ4NL;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { looked_up(at, g) }
    }
}

/// `|w| ≤ 127`: as in Q8_0.
pub(super) struct Iq4Xs;

impl Format for Iq4Xs {
    const DTYPE: DType = DType::IQ4XS;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector(at: &At, g: usize) -> __m256i {
        // SAFETY: as above.
        unsafe { looked_up(at, g) }
    }

    #[inline(always)]
    unsafe fn scale(at: &At) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let scales = _mm_loadl_epi64(inner(at, 1, 8).cast());
            let scales = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales));
            _mm256_mul_ps(halves(at.front), scales)
        }
    }
}
