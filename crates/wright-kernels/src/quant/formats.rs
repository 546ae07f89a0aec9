//! How vectors get at the weights of each format: eight byte vectors for a block of 32 values of
//! each row, and the scales.
//!
//! Functions here are inlined into the microkernels, which enable the instructions.

use super::activations::at;
use super::layout::{Codes, Steps};
#[cfg(target_arch = "x86_64")]
use super::vector::VECTORS_BYTES;
use super::vector::{Rows, Vector};
use crate::DType;

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
    /// As `Wide`, with an i8 scale for each half of the block.
    WideHalves,
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

/// A block of the rows of a vector in memory.
#[derive(Clone, Copy)]
pub(super) struct WeightBlock {
    pub quants: Rows,
    pub high: Rows,
    /// The f16 numbers of the block, or of the 256 values around it.
    pub front: Rows,
    /// The vectors, where they were unpacked before, which AVX2 does: see `Unpacked`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub unpacked: *const u8,
    /// What codes stand for, in formats of codes.
    pub codes: &'static Codes,
    /// Which block of the 256 it is.
    pub j: usize,
}

/// A format as the microkernels see it.
///
/// # Safety
/// All functions need the instructions of `V`, and a `WeightBlock` inside a packed matrix of this
/// format; `g < 8`, `half < 2`.
pub(super) trait Format {
    const STEPS: Steps;
    const SUM: Sum;
    const MIN: Min = Min::None;

    /// Values 4g..4g+4 of each row.
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int;

    /// What a unit of the sum is worth.
    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: every format has f16 scales of each row at the front.
        unsafe { V::halves(block.front) }
    }

    unsafe fn min<V: Vector>(_block: &WeightBlock) -> V::Float {
        unreachable!("a format without minimum")
    }

    /// The scale of a half, a signed byte for each row.
    unsafe fn half_scales<V: Vector>(_block: &WeightBlock, _half: usize) -> V::Bytes {
        unreachable!("a format without scales of halves")
    }

    /// The minima of the two halves in each row's 32 bits.
    unsafe fn mins16<V: Vector>(_block: &WeightBlock) -> V::Int {
        unreachable!("a format without minima of halves")
    }
}

/// The planes of a format that has an integer kernel.
const fn steps(dtype: DType) -> Steps {
    match Steps::of(dtype) {
        Some(steps) => steps,
        None => panic!("no integer kernel"),
    }
}

/// A format whose vectors have been unpacked, and lie one after another at
/// [`WeightBlock::unpacked`].
#[cfg(target_arch = "x86_64")]
pub(super) struct Unpacked<F>(std::marker::PhantomData<F>);

#[cfg(target_arch = "x86_64")]
impl<F: Format> Format for Unpacked<F> {
    const STEPS: Steps = F::STEPS;
    const SUM: Sum = F::SUM;
    const MIN: Min = F::MIN;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: the caller's, here and below; a group's vectors are 256 bytes.
        unsafe { V::load(Rows { at: block.unpacked.wrapping_add(32 * g), next: VECTORS_BYTES }) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { F::scale::<V>(block) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { F::min::<V>(block) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(block: &WeightBlock, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { F::half_scales::<V>(block, half) }
    }

    #[inline(always)]
    unsafe fn mins16<V: Vector>(block: &WeightBlock) -> V::Int {
        // SAFETY: as above.
        unsafe { F::mins16::<V>(block) }
    }
}

/// Four bits of each value.
#[inline(always)]
unsafe fn nibble<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
    // SAFETY: the caller's; a block has 128 bytes of nibbles.
    unsafe {
        let raw = V::load(block.quants.add(32 * (g % 4)));
        V::and(V::right(raw, 4 * (g / 4)), V::every_byte(15))
    }
}

/// Bit `g` of each byte of the high plane, moved to bit `to`.
#[inline(always)]
unsafe fn one_bit<V: Vector>(block: &WeightBlock, g: usize, to: usize) -> V::Int {
    // SAFETY: the caller's; a block has 32 bytes of high bits.
    unsafe {
        let raw = V::load(block.high);
        let moved = if g < to { V::left(raw, to - g) } else { V::right(raw, g - to) };
        V::and(moved, V::every_byte(1 << to))
    }
}

/// Two bits of each byte of a plane, moved to bit `to` (0 or 4).
#[inline(always)]
unsafe fn two_bits<V: Vector>(plane: Rows, g: usize, to: usize) -> V::Int {
    // SAFETY: the caller's; a block has 64 bytes in the plane.
    unsafe {
        let raw = V::load(plane.add(32 * (g / 4)));
        let from = 2 * (g % 4);
        let moved = if from < to { V::left(raw, to - from) } else { V::right(raw, from - to) };
        V::and(moved, V::every_byte(3 << to))
    }
}

/// Nibble and fifth bit.
#[inline(always)]
unsafe fn five_bits<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
    // SAFETY: the caller's.
    unsafe { V::or(nibble::<V>(block, g), one_bit::<V>(block, g, 4)) }
}

/// 4-bit values looked up in the table of the format.
#[inline(always)]
unsafe fn looked_up<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
    // SAFETY: the caller's.
    unsafe { V::look_up(&block.codes.steps, nibble::<V>(block, g)) }
}

/// Where the scales of block `j` are, behind `floats` f16 numbers of 8 rows.
#[inline(always)]
fn inner(block: &WeightBlock, floats: usize, step: usize) -> Rows {
    block.front.add(16 * floats + step * block.j)
}

/// `w < 16`: a pair is at most 2·15·127 = 3,810, eight pairs 30,480 < 2^15. Offset 8 leaves
/// |w - 8| ≤ 8, eight pairs at most 16,256.
pub(super) struct Q4_0;

impl Format for Q4_0 {
    const STEPS: Steps = steps(DType::Q4_0);
    const SUM: Sum = Sum::NarrowLess(at::OFF8);

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: the caller's, as in every impl below.
        unsafe { nibble::<V>(block, g) }
    }
}

/// `w < 16`: eight pairs are at most 8·2·15·127 = 30,480 < 2^15.
pub(super) struct Q4_1;

impl Format for Q4_1 {
    const STEPS: Steps = steps(DType::Q4_1);
    const SUM: Sum = Sum::Narrow;
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { nibble::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { V::halves(block.front.add(16)) }
    }
}

/// `w < 32`: a pair is at most 2·31·127 = 7,874. |w - 16| ≤ 16: eight pairs of these are at most
/// 8·2·16·127 = 32,512 < 2^15.
pub(super) struct Q5_0;

impl Format for Q5_0 {
    const STEPS: Steps = steps(DType::Q5_0);
    const SUM: Sum = Sum::NarrowLess(at::OFF16);

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { five_bits::<V>(block, g) }
    }
}

/// Sums as in Q5_0; the minimum takes back the offset: d·w + m = d·(w - 16) + (m + 16·d).
pub(super) struct Q5_1;

impl Format for Q5_1 {
    const STEPS: Steps = steps(DType::Q5_1);
    const SUM: Sum = Sum::NarrowLess(at::OFF16);
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { five_bits::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe {
            let d = V::halves(block.front);
            V::fma(V::splat(16.0), d, V::halves(block.front.add(16)))
        }
    }
}

/// `|w| ≤ 128`: a pair of magnitudes is at most 2·128·127 = 32,512 < 2^15.
pub(super) struct Q8_0;

impl Format for Q8_0 {
    const STEPS: Steps = steps(DType::Q8_0);
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above; a block has 256 bytes.
        unsafe { V::load(block.quants.add(32 * g)) }
    }
}

/// `w < 4`: four pairs are at most 4·2·3·127 = 3,048.
pub(super) struct Q2K;

impl Format for Q2K {
    const STEPS: Steps = steps(DType::Q2K);
    const SUM: Sum = Sum::Halves;
    const MIN: Min = Min::Halves;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { two_bits::<V>(block.quants, g, 0) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { V::negate(V::halves(block.front.add(16))) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(block: &WeightBlock, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::low_nibbles(V::row_bytes(inner(block, 2, 16).add(8 * half))) }
    }

    #[inline(always)]
    unsafe fn mins16<V: Vector>(block: &WeightBlock) -> V::Int {
        // SAFETY: as above.
        unsafe {
            let first = inner(block, 2, 16);
            let second = V::high_nibbles(V::row_bytes(first.add(8)));
            V::pairs(V::high_nibbles(V::row_bytes(first)), second)
        }
    }
}

/// Values are 0..8 less 4; 28 is added so that the offset is 32 and shared with Q6_K. `w ≤ 35`: a
/// pair is at most 2·35·127 = 8,890; |w - 32| ≤ 4, four pairs of these at most 4,064.
pub(super) struct Q3K;

impl Format for Q3K {
    const STEPS: Steps = steps(DType::Q3K);
    const SUM: Sum = Sum::HalvesLess;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe {
            let value = V::or(two_bits::<V>(block.quants, g, 0), one_bit::<V>(block, g, 2));
            V::add_bytes(value, V::every_byte(28))
        }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(block: &WeightBlock, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::row_bytes(inner(block, 1, 16).add(8 * half)) }
    }
}

/// Sums as in Q4_1.
pub(super) struct Q4K;

impl Format for Q4K {
    const STEPS: Steps = steps(DType::Q4K);
    const SUM: Sum = Sum::Narrow;
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { nibble::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { V::mul(V::halves(block.front), V::unsigned(V::row_bytes(inner(block, 2, 16)))) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe {
            let dmin = V::negate(V::halves(block.front.add(16)));
            V::mul(dmin, V::unsigned(V::row_bytes(inner(block, 2, 16).add(8))))
        }
    }
}

/// Sums as in Q5_0, minimum as in Q5_1.
pub(super) struct Q5K;

impl Format for Q5K {
    const STEPS: Steps = steps(DType::Q5K);
    const SUM: Sum = Sum::NarrowLess(at::OFF16);
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { five_bits::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { Q4K::scale::<V>(block) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { V::fma(V::splat(16.0), Q4K::scale::<V>(block), Q4K::min::<V>(block)) }
    }
}

/// `w < 64`: a pair is at most 2·63·127 = 16,002 < 2^15. |w - 32| ≤ 32: four pairs of these are
/// at most 4·2·32·127 = 32,512 < 2^15. Times a scale, 128 at most, four of them: below 2^25.
pub(super) struct Q6K;

impl Format for Q6K {
    const STEPS: Steps = steps(DType::Q6K);
    const SUM: Sum = Sum::HalvesLess;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { V::or(nibble::<V>(block, g), two_bits::<V>(block.high, g, 4)) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(block: &WeightBlock, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::row_bytes(inner(block, 1, 16).add(8 * half)) }
    }
}

/// `|w| ≤ 127`: as in Q8_0.
pub(super) struct Iq4Nl;

impl Format for Iq4Nl {
    const STEPS: Steps = steps(DType::IQ4NL);
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { looked_up::<V>(block, g) }
    }
}

/// IQ4_XS, IQ2_XXS, IQ3_XXS, IQ3_S, IQ1_S, TQ1_0, TQ2_0: codes with a scale for each block.
/// `|w| ≤ 127`, as in Q8_0.
pub(super) struct Coded;

impl Format for Coded {
    const STEPS: Steps = steps(DType::IQ4XS);
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { looked_up::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe {
            let scales = V::signed(V::row_bytes(inner(block, 1, 8)));
            V::mul(V::mul(V::splat(block.codes.unit), V::halves(block.front)), scales)
        }
    }
}

/// IQ2_XS, IQ2_S, IQ1_M: codes with a scale for each 16 values. `|w| ≤ 43`, sums of halves are
/// below 2^17 and scales at most 31.
pub(super) struct CodedHalves;

impl Format for CodedHalves {
    const STEPS: Steps = steps(DType::IQ2XS);
    const SUM: Sum = Sum::WideHalves;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { looked_up::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { V::mul(V::splat(block.codes.unit), V::halves(block.front)) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(block: &WeightBlock, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::row_bytes(inner(block, 1, 16).add(8 * half)) }
    }
}

/// `|w| ≤ 12`: as in Q8_0.
pub(super) struct Mxfp4;

impl Format for Mxfp4 {
    const STEPS: Steps = steps(DType::MXFP4);
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(block: &WeightBlock, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { looked_up::<V>(block, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(block: &WeightBlock) -> V::Float {
        // SAFETY: as above.
        unsafe { V::uppers(block.front) }
    }
}
