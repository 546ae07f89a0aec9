//! Formats whose values are codes of four bits: steps of a table, times a scale for each 16 or 32.
//!
//! IQ1, IQ2 and IQ3 store points of a grid, TQ ternary digits and MXFP4 floats of four bits, all
//! packed more tightly than a nibble each. Unpacked here, they have one form, which decoding and
//! the integer kernels share. Every product below is exact in f32, so that the order of the
//! reference's roundings does not matter.

use crate::{DType, f16_to_f32};

/// Values in a block of the largest formats.
pub(crate) const BLOCK_MAX: usize = 256;

/// A block, unpacked.
pub(crate) struct Coded {
    /// Index into the format's steps, for each value.
    pub codes: [u8; BLOCK_MAX],
    /// For each 16 values, in units of the block's own scale.
    pub scales: [i8; BLOCK_MAX / 16],
    /// f16; for MXFP4, bf16.
    pub d: u16,
}

/// Points of the IQ grids, from `tests/golden/make_grids.py`.
const GRIDS: &[u8; 9216] = include_bytes!("grids.bin");
const IQ2_XXS: usize = 0;
const IQ2_XS: usize = 256;
const IQ2_S: usize = 768;
const IQ1: usize = 1792;
const IQ3_XXS: usize = 3840;
const IQ3_S: usize = 4096;

/// The steps of a format's codes. (MXFP4: twice the values of E2M1, and half the scale.)
pub(crate) const fn steps(dtype: DType) -> [i8; 16] {
    const SIGNED_2: [i8; 16] = [8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43, 0, 0, 0, 0, 0];
    const SIGNED_3: [i8; 16] =
        [4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62];
    const ODD: [i8; 16] = [1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15];
    // Eight times -1, 0 and 1, an eighth more or less.
    const SHIFTED: [i8; 16] = [-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7, 0, 0, 0, 0, 0];
    const TERNARY: [i8; 16] = [-1, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const E2M1: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];
    match dtype {
        DType::IQ2XXS | DType::IQ2XS | DType::IQ2S => SIGNED_2,
        DType::IQ3XXS => SIGNED_3,
        DType::IQ3S => ODD,
        DType::IQ1S | DType::IQ1M => SHIFTED,
        DType::TQ1_0 | DType::TQ2_0 => TERNARY,
        DType::MXFP4 => E2M1,
        _ => panic!("not a format of codes"),
    }
}

/// What a unit of scale · step is worth, in units of the block's own scale.
pub(crate) const fn unit(dtype: DType) -> f32 {
    match dtype {
        DType::IQ2XXS | DType::IQ2XS | DType::IQ2S | DType::IQ1S | DType::IQ1M => 0.125,
        DType::IQ3XXS => 0.25,
        _ => 1.0,
    }
}

/// Decodes a block into as many values as it has.
pub(super) fn decode(dtype: DType, block: &[u8], out: &mut [f32]) {
    let coded = Coded::read(dtype, block);
    let (steps, unit) = (steps(dtype), unit(dtype));
    let d = match dtype {
        DType::MXFP4 => f32::from_bits(u32::from(coded.d) << 16),
        _ => f16_to_f32(coded.d),
    };
    for (group, out) in out.chunks_mut(16).enumerate() {
        let scale = d * f32::from(coded.scales[group]) * unit;
        for (out, &code) in out.iter_mut().zip(&coded.codes[16 * group..]) {
            *out = scale * f32::from(steps[usize::from(code)]);
        }
    }
}

impl Coded {
    /// Unpacks a block of `dtype`, one of those of codes.
    pub fn read(dtype: DType, block: &[u8]) -> Coded {
        let mut coded = Coded { codes: [0; BLOCK_MAX], scales: [1; BLOCK_MAX / 16], d: 0 };
        let at = match dtype {
            DType::TQ1_0 => 52,
            DType::TQ2_0 => 64,
            _ => 0,
        };
        coded.d = u16::from_le_bytes([block[at], block[at + 1]]);
        match dtype {
            DType::IQ2XXS => coded.iq2_xxs(block),
            DType::IQ2XS => coded.iq2_xs(block),
            DType::IQ2S => coded.iq2_s(block),
            DType::IQ3XXS => coded.iq3_xxs(block),
            DType::IQ3S => coded.iq3_s(block),
            DType::IQ1S => coded.iq1_s(block),
            DType::IQ1M => coded.iq1_m(block),
            DType::TQ1_0 => coded.tq1_0(block),
            DType::TQ2_0 => coded.tq2_0(block),
            DType::MXFP4 => coded.mxfp4(block),
            _ => unreachable!("not a format of codes"),
        }
        coded
    }

    /// Eight codes from `to` on: a point of two-bit numbers, with a sign for each in code bit 3.
    fn eight(&mut self, to: usize, point: usize, signs: u8) {
        let steps = point_at(point);
        for i in 0..8 {
            self.codes[to + i] = (steps >> (2 * i) & 3) as u8 | (signs >> i & 1) << 3;
        }
    }

    /// Four codes from `to` on: a point of three-bit numbers, and the lowest four signs.
    fn four(&mut self, to: usize, point: usize, signs: u8) {
        let steps = point_at(point);
        for i in 0..4 {
            self.codes[to + i] = (steps >> (3 * i) & 7) as u8 | (signs >> i & 1) << 3;
        }
    }

    /// Scale 2s + 1 for the 16 values of `group`.
    fn odd_scale(&mut self, group: usize, s: u32) {
        self.scales[group] = (2 * s + 1) as i8;
    }

    /// (d: 2, for each 32: four points of 8 bits, then four signs of 7 bits and a scale of 4)
    fn iq2_xxs(&mut self, block: &[u8]) {
        for (b, half) in block[2..].chunks_exact(8).enumerate() {
            let word = u32_at(half, 4);
            for (i, &point) in half[..4].iter().enumerate() {
                let to = 32 * b + 8 * i;
                self.eight(to, IQ2_XXS + usize::from(point), even(word >> (7 * i)));
            }
            self.odd_scale(2 * b, word >> 28);
            self.odd_scale(2 * b + 1, word >> 28);
        }
    }

    /// (d: 2, 32 times: point of 9 bits and signs of 7, then 8 bytes of 4-bit scales for each 16)
    fn iq2_xs(&mut self, block: &[u8]) {
        for i in 0..32 {
            let word = u16_at(block, 2 + 2 * i);
            let point = IQ2_XS + usize::from(word & 511);
            self.eight(8 * i, point, even(u32::from(word >> 9)));
        }
        self.nibble_scales(&block[66..74]);
    }

    /// (d: 2, low bytes of points: 32, signs: 32, two high bits of points: 8, scales: 8)
    fn iq2_s(&mut self, block: &[u8]) {
        for i in 0..32 {
            let high = usize::from(block[66 + i / 4] >> (2 * (i % 4)) & 3);
            let point = IQ2_S + (usize::from(block[2 + i]) | high << 8);
            self.eight(8 * i, point, block[34 + i]);
        }
        self.nibble_scales(&block[74..82]);
    }

    fn nibble_scales(&mut self, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            self.odd_scale(2 * i, u32::from(byte & 15));
            self.odd_scale(2 * i + 1, u32::from(byte >> 4));
        }
    }

    /// (d: 2, points: 64, for each 32: four signs of 7 bits and a scale of 4)
    fn iq3_xxs(&mut self, block: &[u8]) {
        for b in 0..8 {
            let word = u32_at(block, 66 + 4 * b);
            for i in 0..4 {
                let (signs, at) = (even(word >> (7 * i)), 8 * b + 2 * i);
                let point = |k: usize| IQ3_XXS + usize::from(block[2 + at + k]);
                self.four(4 * at, point(0), signs);
                self.four(4 * at + 4, point(1), signs >> 4);
            }
            self.odd_scale(2 * b, word >> 28);
            self.odd_scale(2 * b + 1, word >> 28);
        }
    }

    /// (d: 2, low bytes of points: 64, ninth bits: 8, signs: 32, scales of 4 bits for each 32: 4)
    fn iq3_s(&mut self, block: &[u8]) {
        for i in 0..64 {
            let high = usize::from(block[66 + i / 8] >> (i % 8) & 1);
            let point = IQ3_S + (usize::from(block[2 + i]) | high << 8);
            self.four(4 * i, point, block[74 + i / 2] >> (4 * (i % 2)));
        }
        for b in 0..8 {
            let s = u32::from(block[106 + b / 2] >> (4 * (b % 2)) & 15);
            self.odd_scale(2 * b, s);
            self.odd_scale(2 * b + 1, s);
        }
    }

    /// (d: 2, low bytes of points: 32, for each 32: three high bits of four points, a scale of
    /// 3 bits, and whether the shift is down)
    fn iq1_s(&mut self, block: &[u8]) {
        for b in 0..8 {
            let word = u16_at(block, 34 + 2 * b);
            let down = if word >> 15 == 1 { 0xff } else { 0 };
            for i in 0..4 {
                let high = usize::from(word >> (3 * i) & 7);
                let point = IQ1 + (usize::from(block[2 + 4 * b + i]) | high << 8);
                self.eight(32 * b + 8 * i, point, down);
            }
            self.odd_scale(2 * b, u32::from(word >> 12 & 7));
            self.odd_scale(2 * b + 1, u32::from(word >> 12 & 7));
        }
    }

    /// (low bytes of points: 32, nibbles of three high bits and the shift: 16, four u16 of four
    /// 3-bit scales for each 16, whose upper nibbles are d)
    fn iq1_m(&mut self, block: &[u8]) {
        for i in 0..32 {
            let nibble = block[32 + i / 2] >> (4 * (i % 2)) & 15;
            let point = IQ1 + (usize::from(block[i]) | usize::from(nibble & 7) << 8);
            self.eight(8 * i, point, if nibble >> 3 == 1 { 0xff } else { 0 });
        }
        self.d = 0;
        for i in 0..4 {
            let word = u16_at(block, 48 + 2 * i);
            self.d |= word >> 12 << (4 * i);
            for j in 0..4 {
                self.odd_scale(4 * i + j, u32::from(word >> (3 * j) & 7));
            }
        }
    }

    /// (five ternary digits a byte: 48, four a byte: 4, d: 2). A byte is a fraction of 256: a
    /// digit is what a multiplication by 3 carries over.
    fn tq1_0(&mut self, block: &[u8]) {
        const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
        let runs = [(0, 32, 5, 0), (32, 16, 5, 160), (48, 4, 4, 240)];
        for (from, len, digits, to) in runs {
            for (digit, power) in POWERS.iter().take(digits).enumerate() {
                for i in 0..len {
                    let rest = block[from + i].wrapping_mul(*power);
                    self.codes[to + digit * len + i] = ((u16::from(rest) * 3) >> 8) as u8;
                }
            }
        }
    }

    /// (two bits a value: 64, d: 2). Of each half of 128 values, run t of 32 has bits 2t.
    fn tq2_0(&mut self, block: &[u8]) {
        for i in 0..BLOCK_MAX {
            self.codes[i] = block[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
        }
    }

    /// (power of two: 1, nibbles: 16)
    fn mxfp4(&mut self, block: &[u8]) {
        // 2^(e - 128), as the upper half of an f32; the two smallest are subnormal.
        self.d = match block[0] {
            e @ 0..=1 => 0x20 << e,
            e => u16::from(e - 1) << 7,
        };
        for i in 0..16 {
            self.codes[i] = block[1 + i] & 15;
            self.codes[i + 16] = block[1 + i] >> 4;
        }
    }
}

fn point_at(point: usize) -> u16 {
    u16_at(GRIDS, 2 * point)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Eight signs of which the file has seven: the number of minuses is even.
fn even(seven: u32) -> u8 {
    let seven = (seven & 127) as u8;
    seven | ((seven.count_ones() as u8 & 1) << 7)
}
