//! Sixteen floats that are worked on at once, whatever the width of the machine's vectors.
//!
//! A kernel is written once, generic over [`Lanes`], and compiled for each instruction set by
//! [`each_isa!`]. [`Plain`] is the scalar form and the reference; `Avx2` holds the same sixteen
//! lanes in two registers, `Avx512` in one, `Neon` in four. Every operation here is exact or
//! rounds once by IEEE 754, so the forms agree bit
//! for bit (a NaN stays a NaN, but its payload is not promised).
//!
//! Lanes are reduced in one order: halves are folded, 16 to 8 to 4 to 2 to 1.

use crate::float16::{bf16_to_f32, f16_to_f32, f32_to_f16};

/// Arithmetic that is the same for one float and for sixteen.
pub(crate) trait Float: Copy {
    fn splat(x: f32) -> Self;
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self` if it is greater than `b`, else `b`: the answer for a NaN in either is `b`.
    fn max(self, b: Self) -> Self;
    /// `self` if it is less than `b`, else `b`: the answer for a NaN in either is `b`.
    fn min(self, b: Self) -> Self;
    fn abs(self) -> Self;
    /// The sign bit of `sign` on the magnitude of `self`.
    fn copy_sign(self, sign: Self) -> Self;
    /// To the nearest integer, ties to even.
    fn round(self) -> Self;
    /// 2 to the power of `self`, an integer from -126 to 127. Anything else gives any number.
    fn pow2(self) -> Self;
    /// `a` where `self < b`, else `c` (also for a NaN).
    fn if_less(self, b: Self, a: Self, c: Self) -> Self;
}

/// Sixteen floats.
pub(crate) trait Lanes: Float {
    /// How many of these the machine's registers hold.
    const REGISTERS: usize;

    /// The first 16 of `src`.
    ///
    /// # Safety
    /// `src` points to 16 floats.
    unsafe fn load_at(src: *const f32) -> Self;
    /// # Safety
    /// `src` points to 16 half-precision floats.
    unsafe fn load_f16_at(src: *const u16) -> Self;
    /// # Safety
    /// `src` points to 16 brain floats.
    unsafe fn load_bf16_at(src: *const u16) -> Self;
    /// # Safety
    /// `dst` has room for 16 floats.
    unsafe fn store_at(self, dst: *mut f32);
    fn to_array(self) -> [f32; 16];
    /// `low` in lanes 0 to 7, `high` in the others.
    fn halves(low: f32, high: f32) -> Self;
    /// Lanes i and i + 8 added, in both.
    fn fold(self) -> Self;
    /// The first four of `x`, each in four lanes.
    #[inline(always)]
    fn quarters(x: &[f32]) -> Self {
        Self::load(&std::array::from_fn::<f32, 16, _>(|lane| x[lane / 4]))
    }
    /// Lanes i and i + 4 added of those that [`Lanes::fold`] leaves, in all four.
    #[inline(always)]
    fn fold_quarters(self) -> Self {
        let both = self.fold().to_array();
        Self::load(&std::array::from_fn::<f32, 16, _>(|lane| both[lane % 4] + both[lane % 4 + 4]))
    }
    fn sum(self) -> f32;
    fn highest(self) -> f32;
    /// A bit for each lane that holds `x`, the first the lowest.
    fn which(self, x: f32) -> u32;
    /// Rounded to half precision.
    fn to_f16(self) -> [u16; 16];

    #[inline(always)]
    fn load(src: &[f32]) -> Self {
        assert!(src.len() >= 16);
        // SAFETY: 16 floats are there.
        unsafe { Self::load_at(src.as_ptr()) }
    }

    /// Up to 16 of `src`, and `fill` in the lanes that are left.
    #[inline(always)]
    fn load_some(src: &[f32], fill: f32) -> Self {
        if src.len() >= 16 {
            return Self::load(src);
        }
        let mut full = [fill; 16];
        full[..src.len()].copy_from_slice(src);
        Self::load(&full)
    }

    #[inline(always)]
    fn store(self, dst: &mut [f32]) {
        assert!(dst.len() >= 16);
        // SAFETY: there is room for 16 floats.
        unsafe { self.store_at(dst.as_mut_ptr()) };
    }

    /// As many lanes as `dst` has room for.
    #[inline(always)]
    fn store_some(self, dst: &mut [f32]) {
        if dst.len() >= 16 {
            return self.store(dst);
        }
        dst.copy_from_slice(&self.to_array()[..dst.len()]);
    }
}

impl Float for f32 {
    #[inline(always)]
    fn splat(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn add(self, b: f32) -> f32 {
        self + b
    }
    #[inline(always)]
    fn sub(self, b: f32) -> f32 {
        self - b
    }
    #[inline(always)]
    fn mul(self, b: f32) -> f32 {
        self * b
    }
    #[inline(always)]
    fn div(self, b: f32) -> f32 {
        self / b
    }
    #[inline(always)]
    fn mul_add(self, b: f32, c: f32) -> f32 {
        f32::mul_add(self, b, c)
    }
    #[inline(always)]
    fn max(self, b: f32) -> f32 {
        if self > b { self } else { b }
    }
    #[inline(always)]
    fn min(self, b: f32) -> f32 {
        if self < b { self } else { b }
    }
    #[inline(always)]
    fn abs(self) -> f32 {
        f32::abs(self)
    }
    #[inline(always)]
    fn copy_sign(self, sign: f32) -> f32 {
        f32::copysign(self, sign)
    }
    #[inline(always)]
    fn round(self) -> f32 {
        self.round_ties_even()
    }
    #[inline(always)]
    fn pow2(self) -> f32 {
        f32::from_bits(((self as i32).wrapping_add(127) as u32) << 23)
    }
    #[inline(always)]
    fn if_less(self, b: f32, a: f32, c: f32) -> f32 {
        if self < b { a } else { c }
    }
}

/// Sixteen lanes one after another.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 16]);

impl Plain {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Plain(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Float for Plain {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Plain([x; 16])
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.zip(b, Float::add)
    }
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.zip(b, Float::sub)
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.zip(b, Float::mul)
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        self.zip(b, Float::div)
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        Plain(mul_add_each(&self.0, &b.0, &c.0))
    }
    #[inline(always)]
    fn max(self, b: Self) -> Self {
        self.zip(b, Float::max)
    }
    #[inline(always)]
    fn min(self, b: Self) -> Self {
        self.zip(b, Float::min)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Plain(self.0.map(f32::abs))
    }
    #[inline(always)]
    fn copy_sign(self, sign: Self) -> Self {
        self.zip(sign, f32::copysign)
    }
    #[inline(always)]
    fn round(self) -> Self {
        Plain(self.0.map(Float::round))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        Plain(self.0.map(Float::pow2))
    }
    #[inline(always)]
    fn if_less(self, b: Self, a: Self, c: Self) -> Self {
        let choose = |i: usize| if self.0[i] < b.0[i] { a.0[i] } else { c.0[i] };
        Plain(std::array::from_fn(choose))
    }
}

impl Lanes for Plain {
    const REGISTERS: usize = 8;

    #[inline(always)]
    unsafe fn load_at(src: *const f32) -> Self {
        // SAFETY: 16 floats, as the caller promises; an array of floats needs no alignment here.
        Plain(unsafe { src.cast::<[f32; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_f16_at(src: *const u16) -> Self {
        // SAFETY: 16 numbers, as the caller promises.
        Plain(each_from_f16(&unsafe { src.cast::<[u16; 16]>().read_unaligned() }))
    }
    #[inline(always)]
    unsafe fn load_bf16_at(src: *const u16) -> Self {
        // SAFETY: 16 numbers, as the caller promises.
        Plain(unsafe { src.cast::<[u16; 16]>().read_unaligned() }.map(bf16_to_f32))
    }
    #[inline(always)]
    unsafe fn store_at(self, dst: *mut f32) {
        // SAFETY: room for 16 floats, as the caller promises.
        unsafe { dst.cast::<[f32; 16]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        self.0
    }
    #[inline(always)]
    fn halves(low: f32, high: f32) -> Self {
        Plain(std::array::from_fn(|i| if i < 8 { low } else { high }))
    }
    #[inline(always)]
    fn fold(self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i % 8] + self.0[i % 8 + 8]))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        fold(self.0, Float::add)
    }
    #[inline(always)]
    fn highest(self) -> f32 {
        fold(self.0, Float::max)
    }
    #[inline(always)]
    fn which(self, x: f32) -> u32 {
        self.0.iter().rev().fold(0, |bits, &lane| bits << 1 | u32::from(lane == x))
    }
    #[inline(always)]
    fn to_f16(self) -> [u16; 16] {
        each_to_f16(&self.0)
    }
}

// Without an instruction for them, these are long code or sixteen calls of libm. A call of one of
// them costs nothing beside that, and inlined they were a fifth of all code of this crate.

#[inline(never)]
fn mul_add_each(a: &[f32; 16], b: &[f32; 16], c: &[f32; 16]) -> [f32; 16] {
    std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
}

#[inline(never)]
fn each_from_f16(halves: &[u16; 16]) -> [f32; 16] {
    halves.map(f16_to_f32)
}

#[inline(never)]
fn each_to_f16(floats: &[f32; 16]) -> [u16; 16] {
    floats.map(f32_to_f16)
}

#[inline(always)]
fn fold(mut lanes: [f32; 16], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
#[cfg(target_arch = "aarch64")]
mod neon;

/// Makes a function that runs `$body::<V>` with the lanes of the instruction set it is given.
///
/// `$body` must be `#[inline(always)]` down to its last helper, so that all of it is compiled
/// with the instructions in hand.
macro_rules! each_isa {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?
        = $body:ident $(<$($t:ident: $bound:ident),+>)?;) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<$($t: $bound),+>)? (isa: crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma,f16c")]
                fn with_avx2 $(<$($t: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<crate::lanes::Avx2 $($(, $t)+)?>($($arg),*)
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
                fn with_avx512 $(<$($t: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<crate::lanes::Avx512 $($(, $t)+)?>($($arg),*)
                }
                if isa.has_avx512() {
                    // SAFETY: the processor has what `Isa::Avx512` lists.
                    return unsafe { with_avx512 $(::<$($t),+>)? ($($arg),*) };
                }
                if isa.has_avx2() {
                    // SAFETY: the processor has AVX2, FMA and F16C.
                    return unsafe { with_avx2 $(::<$($t),+>)? ($($arg),*) };
                }
            }
            #[cfg(target_arch = "aarch64")]
            if isa.has_neon() {
                return $body::<crate::lanes::Neon $($(, $t)+)?>($($arg),*);
            }
            let _ = isa;
            $body::<crate::lanes::Plain $($(, $t)+)?>($($arg),*)
        }
    };
}
pub(crate) use each_isa;

/// Runs the body for each whole run of 16 of `0..n`, then for what is left. The compiler knows the
/// length of the former, so that only the latter pays for partial loads and stores. No closure:
/// one would be compiled without the instructions at hand.
macro_rules! by_lanes {
    ($n:expr, |$at:ident| $body:expr) => {{
        let n: usize = $n;
        let whole = n & !15;
        for start in (0..whole).step_by(16) {
            let $at = start..start + 16;
            $body
        }
        if whole < n {
            let $at = whole..n;
            $body
        }
    }};
}
pub(crate) use by_lanes;

#[cfg(test)]
mod tests;
