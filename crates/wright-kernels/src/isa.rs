//! Which instructions the kernels may use, found out when the program runs.
//!
//! Every kernel has a scalar form and gives the same bytes in all forms, so the choice is one of
//! speed alone. Tests choose by hand to hold the forms against each other.

/// A set of instructions that kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust with `f32::mul_add`: the reference that the others are tested against.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same with AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
    /// AArch64, of which NEON is a part.
    Neon,
    /// The same with the dot products of bytes that Armv8.2 brought (`dotprod`).
    NeonDot,
}

impl Isa {
    /// The best set that this processor has.
    pub fn detect() -> Isa {
        *Isa::all().last().expect("scalar is always there")
    }

    /// All sets that this processor has, from the plainest to the best.
    pub fn all() -> Vec<Isa> {
        let mut sets = vec![Isa::Scalar];
        if avx2_is_there() {
            sets.push(Isa::Avx2);
            if avx512_is_there() {
                sets.push(Isa::Avx512);
            }
        }
        if neon_is_there() {
            sets.push(Isa::Neon);
            if dotprod_is_there() {
                sets.push(Isa::NeonDot);
            }
        }
        sets
    }

    /// Whether AVX2 forms are both asked for and possible. Kernels ask this and nothing else, so
    /// that a hand-made `Isa::Avx2` on a lesser processor is slow and not unsound.
    #[inline]
    pub fn has_avx2(self) -> bool {
        matches!(self, Isa::Avx2 | Isa::Avx512) && avx2_is_there()
    }

    /// Whether AVX-512 forms are both asked for and possible.
    #[inline]
    pub fn has_avx512(self) -> bool {
        self == Isa::Avx512 && avx2_is_there() && avx512_is_there()
    }

    /// Whether NEON forms are both asked for and possible.
    #[inline]
    pub fn has_neon(self) -> bool {
        matches!(self, Isa::Neon | Isa::NeonDot) && neon_is_there()
    }

    /// Whether NEON forms with dot products of bytes are both asked for and possible.
    #[inline]
    pub fn has_dotprod(self) -> bool {
        self == Isa::NeonDot && neon_is_there() && dotprod_is_there()
    }

    /// What to call it in reports and replay records.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
            Isa::NeonDot => "neon-dotprod",
        }
    }
}

/// Asks for the bytes at an address; one that is not there is harmless.
#[inline(always)]
pub(crate) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address does nothing but fetch, and every x86-64 has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above. The intrinsic is not stable yet.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{at}]",
            at = in(reg) at,
            options(readonly, nostack, preserves_flags),
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

/// The standard library caches the answer, so that asking again costs a load or two.
#[cfg(target_arch = "x86_64")]
#[inline]
fn avx2_is_there() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn avx512_is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn avx2_is_there() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn avx512_is_there() -> bool {
    false
}

/// Vectors are read from packed weights as they lie there, the lowest byte first.
#[inline]
fn neon_is_there() -> bool {
    cfg!(all(target_arch = "aarch64", target_endian = "little"))
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn dotprod_is_there() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
}

#[cfg(not(target_arch = "aarch64"))]
#[inline]
fn dotprod_is_there() -> bool {
    false
}

/// Calls the AVX2 form of a kernel where the set allows it, else its scalar twin. Forms for other
/// sets are asked for before.
///
/// The AVX2 form must need no target features beyond `avx2`, `fma` and `f16c`.
macro_rules! by_isa {
    ($isa:expr, $avx2:expr, $scalar:expr) => {{
        #[cfg(target_arch = "x86_64")]
        let done = if $isa.has_avx2() {
            // SAFETY: the processor has AVX2, FMA and F16C; slices were checked by the caller.
            Some(unsafe { $avx2 })
        } else {
            None
        };
        #[cfg(not(target_arch = "x86_64"))]
        let done = {
            let _ = $isa;
            None
        };
        match done {
            Some(value) => value,
            None => $scalar,
        }
    }};
}
pub(crate) use by_isa;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_detected_may_be_used_and_scalar_stays_scalar() {
        for isa in Isa::all() {
            assert_eq!(isa.has_avx2(), matches!(isa, Isa::Avx2 | Isa::Avx512));
            assert_eq!(isa.has_avx512(), isa == Isa::Avx512);
            assert_eq!(isa.has_neon(), matches!(isa, Isa::Neon | Isa::NeonDot));
            assert_eq!(isa.has_dotprod(), isa == Isa::NeonDot);
        }
        assert_eq!(Isa::all()[0], Isa::Scalar);
        assert_eq!(Isa::all().last(), Some(&Isa::detect()));
        assert!(!Isa::Avx2.has_avx512() && !Isa::Neon.has_dotprod());
    }

    #[test]
    fn what_another_processor_has_is_never_used() {
        let (x86, arm) = (cfg!(target_arch = "x86_64"), cfg!(target_arch = "aarch64"));
        assert!(x86 || !(Isa::Avx2.has_avx2() || Isa::Avx512.has_avx512()));
        assert!(arm || !(Isa::Neon.has_neon() || Isa::NeonDot.has_dotprod()));
        assert!(!Isa::NeonDot.has_avx2() && !Isa::Avx512.has_neon());
    }
}
