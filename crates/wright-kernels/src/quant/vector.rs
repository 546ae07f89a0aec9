//! Vectors of weights: the rows of one group of 8 with AVX2 and NEON, of two groups with AVX-512.
//!
//! A format (`formats`) and a tile (`microkernel`) are written once, over this trait. Lane by lane
//! all of them do the same, so an output's bytes do not depend on which of them computed it.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(super) use neon::{Ints, Quads, widened};
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Ymm, Zmm};

/// Bytes of the eight vectors of a block of 32 values of one group.
pub(super) const VECTORS_BYTES: usize = 8 * 32;

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
    /// One byte for each row.
    type Bytes: Copy;
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
    /// Bytes moved `n` bits up or down, `n` known when this is inlined; what bits come in at the
    /// other end is not said.
    unsafe fn left(x: Self::Int, n: usize) -> Self::Int;
    unsafe fn right(x: Self::Int, n: usize) -> Self::Int;
    /// `table[x]` for bytes below 16.
    unsafe fn look_up(table: &[i8; 16], x: Self::Int) -> Self::Int;

    /// One byte of each row: 8 of each group, side by side.
    unsafe fn row_bytes(from: Rows) -> Self::Bytes;
    /// The low four bits of each byte, or the high.
    unsafe fn low_nibbles(bytes: Self::Bytes) -> Self::Bytes;
    unsafe fn high_nibbles(bytes: Self::Bytes) -> Self::Bytes;
    /// Two signed bytes of each row, widened to the 16-bit halves of its 32 bits.
    unsafe fn pairs(a: Self::Bytes, b: Self::Bytes) -> Self::Int;
    unsafe fn signed(bytes: Self::Bytes) -> Self::Float;
    unsafe fn unsigned(bytes: Self::Bytes) -> Self::Float;

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

/// The whole of a function of an implementation, under the one argument that holds for all of them.
macro_rules! promised {
    ($($code:tt)*) => {
        // SAFETY: the instructions and the bytes are there, as the trait's callers promise.
        unsafe { $($code)* }
    };
}
use promised;
