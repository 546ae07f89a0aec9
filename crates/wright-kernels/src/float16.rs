//! The two formats of 16 bits, to and from f32.
//!
//! Rounding is to the nearest, ties to even, as IEEE 754 has it; a NaN stays a (quiet) NaN.

/// Half precision (1 sign, 5 exponent, 10 mantissa bits) to f32; exact.
#[inline(always)]
pub fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    let bits = if magnitude >= 0x7c00 {
        // Infinity, or a NaN that is made quiet as processors do.
        let quiet = if magnitude > 0x7c00 { 0x0040_0000 } else { 0 };
        0x7f80_0000 | (magnitude & 0x3ff) << 13 | quiet
    } else if magnitude >= 0x0400 {
        (magnitude << 13) + ((127 - 15) << 23)
    } else {
        // Subnormal: an integer times 2^-24, which f32 holds exactly.
        (magnitude as f32 * (1.0 / 16_777_216.0)).to_bits()
    };
    f32::from_bits(sign | bits)
}

/// f32 to half precision; too large becomes infinity, too small becomes zero.
#[inline(always)]
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00 | (magnitude >> 13) as u16 & 0x1ff;
    }
    if magnitude >= 0x4780_0000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14 the spacing is 2^-24: adding 0.5, whose spacing is 2^-24, rounds for us.
        let rounded = f32::from_bits(magnitude) + 0.5;
        return sign | (rounded.to_bits() - 0.5_f32.to_bits()) as u16;
    }
    let odd = magnitude >> 13 & 1;
    sign | ((magnitude - ((127 - 15) << 23) + 0xfff + odd) >> 13) as u16
}

/// The upper half of an f32, back in its place; exact.
#[inline(always)]
pub fn bf16_to_f32(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// f32 rounded to its upper half.
#[inline(always)]
pub fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_way_there_and_back() {
        for half in 0..=u16::MAX {
            let x = f16_to_f32(half);
            if x.is_nan() {
                assert!(f16_to_f32(f32_to_f16(x)).is_nan());
                assert!(bf16_to_f32(f32_to_bf16(x)).is_nan());
            } else {
                assert_eq!(f32_to_f16(x), half);
                assert_eq!(half::f16::from_bits(half).to_f32().to_bits(), x.to_bits());
            }
            assert!(
                bf16_to_f32(half).is_nan() || f32_to_bf16(bf16_to_f32(half)) == half,
                "{half:x}"
            );
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_as_the_crate_half_has_it() {
        let mut bits = 1_u32;
        for _ in 0..2_000_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(bits);
            if !x.is_nan() {
                assert_eq!(f32_to_f16(x), half::f16::from_f32(x).to_bits(), "{x:e}");
                assert_eq!(f32_to_bf16(x), half::bf16::from_f32(x).to_bits(), "{x:e}");
            }
        }
        for half in 0..0x7c00_u16 {
            let (low, high) = (f16_to_f32(half), f16_to_f32(half + 1));
            if high.is_finite() {
                let tie = low / 2.0 + high / 2.0;
                assert_eq!(f32_to_f16(tie) & 1, 0, "{tie:e} is half way");
            }
        }
        assert_eq!(f32_to_f16(65519.9), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
    }
}
