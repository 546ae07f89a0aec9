//! How vectors get at the weights of each format: eight byte vectors for a block of 32 values of
//! each row, and the scales.
//!
//! Functions here are inlined into the microkernels, which enable the instructions.

use super::activations::at;
#[cfg(target_arch = "x86_64")]
use super::microkernel::VECTORS_BYTES;
use super::packed::Steps;
use super::scalar::IQ4;
use super::vector::{Rows, Vector};
use crate::DType;
use crate::dequant::coded;

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
pub(super) struct At {
    pub quants: Rows,
    pub high: Rows,
    /// The f16 numbers of the block, or of the 256 values around it.
    pub front: Rows,
    /// The vectors, where they were unpacked before, which AVX2 does: see `Unpacked`.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub ready: *const u8,
    /// Which block of the 256 it is.
    pub j: usize,
}

/// A format as the microkernels see it.
///
/// # Safety
/// All functions need the instructions of `V`, and an `At` inside a packed matrix of this format;
/// `g < 8`, `half < 2`.
pub(super) trait Format {
    const DTYPE: DType;
    const SUM: Sum;
    const MIN: Min = Min::None;
    const STEPS: Steps = match Steps::of(Self::DTYPE) {
        Some(steps) => steps,
        None => panic!("no integer kernel"),
    };

    /// Values 4g..4g+4 of each row.
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int;

    /// What a unit of the sum is worth.
    #[inline(always)]
    unsafe fn scale<V: Vector>(at: &At) -> V::Float {
        // SAFETY: every format has f16 scales of each row at the front.
        unsafe { V::halves(at.front) }
    }

    unsafe fn min<V: Vector>(_at: &At) -> V::Float {
        unreachable!("a format without minimum")
    }

    /// The scale of a half, a signed byte for each row.
    unsafe fn half_scales<V: Vector>(_at: &At, _half: usize) -> V::Bytes {
        unreachable!("a format without scales of halves")
    }

    /// The minima of the two halves in each row's 32 bits.
    unsafe fn mins16<V: Vector>(_at: &At) -> V::Int {
        unreachable!("a format without minima of halves")
    }
}

/// A format whose vectors have been unpacked and lie one after another at [`At::ready`].
#[cfg(target_arch = "x86_64")]
pub(super) struct Unpacked<F>(std::marker::PhantomData<F>);

#[cfg(target_arch = "x86_64")]
impl<F: Format> Format for Unpacked<F> {
    const DTYPE: DType = F::DTYPE;
    const SUM: Sum = F::SUM;
    const MIN: Min = F::MIN;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: the caller's, here and below; a group's vectors are 256 bytes.
        unsafe { V::load(Rows { at: at.ready.wrapping_add(32 * g), next: VECTORS_BYTES }) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { F::scale::<V>(at) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { F::min::<V>(at) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(at: &At, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { F::half_scales::<V>(at, half) }
    }

    #[inline(always)]
    unsafe fn mins16<V: Vector>(at: &At) -> V::Int {
        // SAFETY: as above.
        unsafe { F::mins16::<V>(at) }
    }
}

/// Four bits of each value.
#[inline(always)]
unsafe fn nibble<V: Vector>(at: &At, g: usize) -> V::Int {
    // SAFETY: the caller's; a block has 128 bytes of nibbles.
    unsafe {
        let raw = V::load(at.quants.add(32 * (g % 4)));
        V::and(V::right(raw, 4 * (g / 4)), V::every_byte(15))
    }
}

/// Bit `g` of each byte of the high plane, moved to bit `to`.
#[inline(always)]
unsafe fn one_bit<V: Vector>(at: &At, g: usize, to: usize) -> V::Int {
    // SAFETY: the caller's; a block has 32 bytes of high bits.
    unsafe {
        let raw = V::load(at.high);
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
unsafe fn five_bits<V: Vector>(at: &At, g: usize) -> V::Int {
    // SAFETY: the caller's.
    unsafe { V::or(nibble::<V>(at, g), one_bit::<V>(at, g, 4)) }
}

/// 4-bit values looked up in the table of IQ4.
#[inline(always)]
unsafe fn looked_up<V: Vector>(at: &At, g: usize) -> V::Int {
    // SAFETY: the caller's.
    unsafe { V::look_up(&IQ4, nibble::<V>(at, g)) }
}

/// Where the scales of block `j` are, behind `floats` f16 numbers of 8 rows.
#[inline(always)]
fn inner(at: &At, floats: usize, step: usize) -> Rows {
    at.front.add(16 * floats + step * at.j)
}

/// `w < 16`: a pair is at most 2·15·127 = 3,810, eight pairs 30,480 < 2^15. Offset 8 leaves
/// |w - 8| ≤ 8, eight pairs at most 16,256.
pub(super) struct Q4_0;

impl Format for Q4_0 {
    const DTYPE: DType = DType::Q4_0;
    const SUM: Sum = Sum::NarrowLess(at::OFF8);

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: the caller's, as in every impl below.
        unsafe { nibble::<V>(at, g) }
    }
}

/// `w < 16`: eight pairs are at most 8·2·15·127 = 30,480 < 2^15.
pub(super) struct Q4_1;

impl Format for Q4_1 {
    const DTYPE: DType = DType::Q4_1;
    const SUM: Sum = Sum::Narrow;
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { nibble::<V>(at, g) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { V::halves(at.front.add(16)) }
    }
}

/// `w < 32`: a pair is at most 2·31·127 = 7,874. |w - 16| ≤ 16: eight pairs of these are at most
/// 8·2·16·127 = 32,512 < 2^15.
pub(super) struct Q5_0;

impl Format for Q5_0 {
    const DTYPE: DType = DType::Q5_0;
    const SUM: Sum = Sum::NarrowLess(at::OFF16);

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { five_bits::<V>(at, g) }
    }
}

/// Sums as in Q5_0; the minimum takes back the offset: d·w + m = d·(w - 16) + (m + 16·d).
pub(super) struct Q5_1;

impl Format for Q5_1 {
    const DTYPE: DType = DType::Q5_1;
    const SUM: Sum = Sum::NarrowLess(at::OFF16);
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { five_bits::<V>(at, g) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe {
            let d = V::halves(at.front);
            V::fma(V::splat(16.0), d, V::halves(at.front.add(16)))
        }
    }
}

/// `|w| ≤ 128`: a pair of magnitudes is at most 2·128·127 = 32,512 < 2^15.
pub(super) struct Q8_0;

impl Format for Q8_0 {
    const DTYPE: DType = DType::Q8_0;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above; a block has 256 bytes.
        unsafe { V::load(at.quants.add(32 * g)) }
    }
}

/// `w < 4`: four pairs are at most 4·2·3·127 = 3,048.
pub(super) struct Q2K;

impl Format for Q2K {
    const DTYPE: DType = DType::Q2K;
    const SUM: Sum = Sum::Halves;
    const MIN: Min = Min::Halves;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { two_bits::<V>(at.quants, g, 0) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { V::negate(V::halves(at.front.add(16))) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(at: &At, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::low_nibbles(V::row_bytes(inner(at, 2, 16).add(8 * half))) }
    }

    #[inline(always)]
    unsafe fn mins16<V: Vector>(at: &At) -> V::Int {
        // SAFETY: as above.
        unsafe {
            let first = inner(at, 2, 16);
            let second = V::high_nibbles(V::row_bytes(first.add(8)));
            V::pairs(V::high_nibbles(V::row_bytes(first)), second)
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
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe {
            let value = V::or(two_bits::<V>(at.quants, g, 0), one_bit::<V>(at, g, 2));
            V::add_bytes(value, V::every_byte(28))
        }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(at: &At, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::row_bytes(inner(at, 1, 16).add(8 * half)) }
    }
}

/// Sums as in Q4_1.
pub(super) struct Q4K;

impl Format for Q4K {
    const DTYPE: DType = DType::Q4K;
    const SUM: Sum = Sum::Narrow;
    const MIN: Min = Min::Whole;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { nibble::<V>(at, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { V::mul(V::halves(at.front), V::unsigned(V::row_bytes(inner(at, 2, 16)))) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe {
            let dmin = V::negate(V::halves(at.front.add(16)));
            V::mul(dmin, V::unsigned(V::row_bytes(inner(at, 2, 16).add(8))))
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
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { five_bits::<V>(at, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { Q4K::scale::<V>(at) }
    }

    #[inline(always)]
    unsafe fn min<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { V::fma(V::splat(16.0), Q4K::scale::<V>(at), Q4K::min::<V>(at)) }
    }
}

/// `w < 64`: a pair is at most 2·63·127 = 16,002 < 2^15. |w - 32| ≤ 32: four pairs of these are
/// at most 4·2·32·127 = 32,512 < 2^15. Times a scale, 128 at most, four of them: below 2^25.
pub(super) struct Q6K;

impl Format for Q6K {
    const DTYPE: DType = DType::Q6K;
    const SUM: Sum = Sum::HalvesLess;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { V::or(nibble::<V>(at, g), two_bits::<V>(at.high, g, 4)) }
    }

    #[inline(always)]
    unsafe fn half_scales<V: Vector>(at: &At, half: usize) -> V::Bytes {
        // SAFETY: as above.
        unsafe { V::row_bytes(inner(at, 1, 16).add(8 * half)) }
    }
}

/// `|w| ≤ 127`: as in Q8_0.
pub(super) struct Iq4Nl;

impl Format for Iq4Nl {
    const DTYPE: DType = DType::IQ4NL;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { looked_up::<V>(at, g) }
    }
}

/// `|w| ≤ 127`: as in Q8_0.
pub(super) struct Iq4Xs;

impl Format for Iq4Xs {
    const DTYPE: DType = DType::IQ4XS;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { looked_up::<V>(at, g) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe {
            let scales = V::signed(V::row_bytes(inner(at, 1, 8)));
            V::mul(V::halves(at.front), scales)
        }
    }
}

/// Formats of codes with a scale for each block: `|w| ≤ 62`, as in Q8_0.
macro_rules! coded {
    ($($name:ident = $dtype:expr;)*) => { $(
        pub(super) struct $name;

        impl Format for $name {
            const DTYPE: DType = $dtype;
            const SUM: Sum = Sum::Wide;

            #[inline(always)]
            unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
                // SAFETY: as above.
                unsafe { V::look_up(&const { coded::steps($dtype) }, nibble::<V>(at, g)) }
            }

            #[inline(always)]
            unsafe fn scale<V: Vector>(at: &At) -> V::Float {
                // SAFETY: as above.
                unsafe {
                    let scales = V::signed(V::row_bytes(inner(at, 1, 8)));
                    let unit = V::splat(const { coded::unit($dtype) });
                    V::mul(V::mul(unit, V::halves(at.front)), scales)
                }
            }
        }
    )* };
}

coded! {
    Iq2Xxs = DType::IQ2XXS;
    Iq3Xxs = DType::IQ3XXS;
    Iq3S = DType::IQ3S;
    Iq1S = DType::IQ1S;
    Tq1 = DType::TQ1_0;
    Tq2 = DType::TQ2_0;
}

/// Formats of codes with a scale for each 16 values: `|w| ≤ 43`, sums of halves below 2^17, scales
/// at most 31.
macro_rules! coded_halves {
    ($($name:ident = $dtype:expr;)*) => { $(
        pub(super) struct $name;

        impl Format for $name {
            const DTYPE: DType = $dtype;
            const SUM: Sum = Sum::WideHalves;

            #[inline(always)]
            unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
                // SAFETY: as above.
                unsafe { V::look_up(&const { coded::steps($dtype) }, nibble::<V>(at, g)) }
            }

            #[inline(always)]
            unsafe fn scale<V: Vector>(at: &At) -> V::Float {
                // SAFETY: as above.
                unsafe { V::mul(V::splat(const { coded::unit($dtype) }), V::halves(at.front)) }
            }

            #[inline(always)]
            unsafe fn half_scales<V: Vector>(at: &At, half: usize) -> V::Bytes {
                // SAFETY: as above.
                unsafe { V::row_bytes(inner(at, 1, 16).add(8 * half)) }
            }
        }
    )* };
}

coded_halves! {
    Iq2Xs = DType::IQ2XS;
    Iq2S = DType::IQ2S;
    Iq1M = DType::IQ1M;
}

/// `|w| ≤ 12`: as in Q8_0.
pub(super) struct Mxfp4;

impl Format for Mxfp4 {
    const DTYPE: DType = DType::MXFP4;
    const SUM: Sum = Sum::Wide;

    #[inline(always)]
    unsafe fn vector<V: Vector>(at: &At, g: usize) -> V::Int {
        // SAFETY: as above.
        unsafe { V::look_up(&const { coded::steps(DType::MXFP4) }, nibble::<V>(at, g)) }
    }

    #[inline(always)]
    unsafe fn scale<V: Vector>(at: &At) -> V::Float {
        // SAFETY: as above.
        unsafe { V::uppers(at.front) }
    }
}
