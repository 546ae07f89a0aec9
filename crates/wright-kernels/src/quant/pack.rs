//! From the blocks of a file to the planes of a group: moving bits, no arithmetic on values.
//!
//! The file's side is GGUF's (`ggml-common.h` names the fields); the packed side is described in
//! `packed`. Formats whose file order of nibbles is also ours move four bytes at a time.

use super::packed::{LANES, Layout};
use crate::{DType, Matrix};

/// The planes of one group.
struct Planes<'a> {
    quants: &'a mut [u8],
    high: &'a mut [u8],
    scales: &'a mut [u8],
}

/// Fills a zeroed `group` with rows `first..first + 8`, fewer at the end of the matrix.
pub(super) fn group(layout: &Layout, matrix: &Matrix<'_>, first: usize, group: &mut [u8]) {
    let (quants, rest) = group.split_at_mut(layout.high);
    let (high, scales) = rest.split_at_mut(layout.scales - layout.high);
    let mut planes = Planes { quants, high, scales };
    for lane in 0..LANES.min(matrix.n - first) {
        let row = matrix.row(first + lane);
        for (b, block) in row.chunks_exact(matrix.dtype.block_bytes()).enumerate() {
            match matrix.dtype {
                DType::Q4_0 | DType::IQ4NL => planes.simple(b, lane, block, 0, 0),
                DType::Q4_1 => planes.simple(b, lane, block, 1, 0),
                DType::Q5_0 => planes.simple(b, lane, block, 0, 4),
                DType::Q5_1 => planes.simple(b, lane, block, 1, 4),
                DType::Q8_0 => planes.q8_0(b, lane, block),
                DType::Q2K => planes.q2_k(b, lane, block),
                DType::Q3K => planes.q3_k(b, lane, block),
                DType::Q4K => planes.q4_k(b, lane, block, 0),
                DType::Q5K => planes.q4_k(b, lane, block, 32),
                DType::Q6K => planes.q6_k(b, lane, block),
                DType::IQ4XS => planes.iq4_xs(b, lane, block),
                DType::F32 | DType::F16 | DType::BF16 => unreachable!("no layout for floats"),
            }
        }
    }
}

impl Planes<'_> {
    /// Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL: f16 d, `minima` × f16 m, `high` bytes of fifth bits, then
    /// nibbles: byte i holds values i and i + 16.
    fn simple(&mut self, b: usize, lane: usize, block: &[u8], minima: usize, high: usize) {
        let step = 16 * (1 + minima);
        for scale in 0..=minima {
            let at = b * step + 16 * scale + 2 * lane;
            self.scales[at..at + 2].copy_from_slice(&block[2 * scale..2 * scale + 2]);
        }
        let rest = &block[2 * (1 + minima)..];
        if let [b0, b1, b2, b3, ..] = rest[..high] {
            let bits = u32::from_le_bytes([b0, b1, b2, b3]);
            for value in 0..32 {
                self.high[32 * b + 4 * lane + value % 4] |=
                    ((bits >> value & 1) as u8) << (value / 4);
            }
        }
        self.nibbles(b, lane, &rest[high..]);
    }

    fn q8_0(&mut self, b: usize, lane: usize, block: &[u8]) {
        let at = 16 * b + 2 * lane;
        self.scales[at..at + 2].copy_from_slice(&block[..2]);
        for (g, four) in block[2..].as_chunks::<4>().0.iter().enumerate() {
            let at = 256 * b + 32 * g + 4 * lane;
            self.quants[at..at + 4].copy_from_slice(four);
        }
    }

    /// 16 bytes of nibbles, byte i with values i and i + 16: our own order.
    fn nibbles(&mut self, b: usize, lane: usize, bytes: &[u8]) {
        for (g, four) in bytes.as_chunks::<4>().0.iter().enumerate() {
            let at = 128 * b + 32 * g + 4 * lane;
            self.quants[at..at + 4].copy_from_slice(four);
        }
    }

    /// Q4_K and Q5_K: f16 d, f16 dmin, 12 bytes of 6-bit scales and minima, `high` bytes of fifth
    /// bits (bit j of byte l: value l of block j), 128 bytes of nibbles (32 bytes: two blocks).
    fn q4_k(&mut self, s: usize, lane: usize, block: &[u8], high: usize) {
        let front = 160 * s;
        self.halves(front, lane, &block[..4]);
        let (packed, fifth) = (&block[4..16], &block[16..16 + high]);
        for j in 0..8 {
            let (scale, min) = six_bits(packed, j);
            self.scales[front + 32 + 16 * j + lane] = scale;
            self.scales[front + 32 + 16 * j + 8 + lane] = min;
            let pair = &block[16 + high + 32 * (j / 2)..][..32];
            let value = |l: usize| pair[l] >> (4 * (j % 2)) & 15;
            let nibbles: [u8; 16] = std::array::from_fn(|i| value(i) | value(i + 16) << 4);
            self.nibbles(8 * s + j, lane, &nibbles);
            for (l, bits) in fifth.iter().enumerate() {
                self.high[32 * (8 * s + j) + 4 * lane + l % 4] |= (bits >> j & 1) << (l / 4);
            }
        }
    }

    /// 128 bytes of low nibbles, 64 of two high bits, 16 i8 scales, f16 d. Of each half of 128
    /// values, block t (0..4) has its nibbles at bytes 32 (t mod 2), low for t < 2.
    fn q6_k(&mut self, s: usize, lane: usize, block: &[u8]) {
        let front = 144 * s;
        self.halves(front, lane, &block[208..210]);
        for j in 0..8 {
            let (half, t) = (j / 4, j % 4);
            self.sixteenths(front + 16, j, lane, [block[192 + 2 * j], block[193 + 2 * j]]);
            let low = &block[64 * half + 32 * (t % 2)..][..32];
            let value = |l: usize| low[l] >> (4 * (t / 2)) & 15;
            let nibbles: [u8; 16] = std::array::from_fn(|i| value(i) | value(i + 16) << 4);
            self.nibbles(8 * s + j, lane, &nibbles);
            let high = &block[128 + 32 * half..][..32];
            let at = 64 * (8 * s + j);
            two_bits(&mut self.high[at..at + 64], lane, |l| high[l] >> (2 * t) & 3);
        }
    }

    /// 16 bytes of scale and minimum, 64 of two-bit values, f16 d, f16 dmin. Of each half of 128
    /// values, block t has bits 2t of 32 bytes.
    fn q2_k(&mut self, s: usize, lane: usize, block: &[u8]) {
        let front = 160 * s;
        self.halves(front, lane, &block[80..84]);
        for j in 0..8 {
            self.sixteenths(front + 32, j, lane, [block[2 * j], block[2 * j + 1]]);
            let values = &block[16 + 32 * (j / 4)..][..32];
            let at = 64 * (8 * s + j);
            let quants = &mut self.quants[at..at + 64];
            two_bits(quants, lane, |l| values[l] >> (2 * (j % 4)) & 3);
        }
    }

    /// 32 bytes of third bits (bit j of byte l: value l of block j), 64 of two-bit values as in
    /// Q2_K, 12 of 6-bit scales, f16 d.
    fn q3_k(&mut self, s: usize, lane: usize, block: &[u8]) {
        let front = 144 * s;
        self.halves(front, lane, &block[108..110]);
        let packed = &block[96..108];
        let scale = |i: usize| {
            let low = packed[i % 8] >> (4 * (i / 8)) & 15;
            let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
            (low | high << 4).wrapping_sub(32)
        };
        for j in 0..8 {
            self.sixteenths(front + 16, j, lane, [scale(2 * j), scale(2 * j + 1)]);
            let values = &block[32 + 32 * (j / 4)..][..32];
            let at = 64 * (8 * s + j);
            let quants = &mut self.quants[at..at + 64];
            two_bits(quants, lane, |l| values[l] >> (2 * (j % 4)) & 3);
            for (l, bits) in block[..32].iter().enumerate() {
                self.high[32 * (8 * s + j) + 4 * lane + l % 4] |= (bits >> j & 1) << (l / 4);
            }
        }
    }

    /// f16 d, 16 bits with the upper two bits of 8 scales, 4 bytes with their lower four, then
    /// nibbles as in Q4_0.
    fn iq4_xs(&mut self, s: usize, lane: usize, block: &[u8]) {
        let front = 80 * s;
        self.halves(front, lane, &block[..2]);
        let upper = u16::from_le_bytes([block[2], block[3]]);
        for j in 0..8 {
            let low = block[4 + j / 2] >> (4 * (j % 2)) & 15;
            let scale = (low | ((upper >> (2 * j) & 3) as u8) << 4).wrapping_sub(32);
            self.scales[front + 16 + 8 * j + lane] = scale;
            self.nibbles(8 * s + j, lane, &block[8 + 16 * j..][..16]);
        }
    }

    /// f16 numbers of one row, 8 rows of each at `front`.
    fn halves(&mut self, front: usize, lane: usize, bytes: &[u8]) {
        for (i, half) in bytes.as_chunks::<2>().0.iter().enumerate() {
            let at = front + 16 * i + 2 * lane;
            self.scales[at..at + 2].copy_from_slice(half);
        }
    }

    /// The scales of the two halves of block `j`, behind the f16 numbers at `front`.
    fn sixteenths(&mut self, front: usize, j: usize, lane: usize, scales: [u8; 2]) {
        self.scales[front + 16 * j + lane] = scales[0];
        self.scales[front + 16 * j + 8 + lane] = scales[1];
    }
}

/// Puts 32 two-bit values of one row into a plane's 64 bytes of a block.
fn two_bits(plane: &mut [u8], lane: usize, value: impl Fn(usize) -> u8) {
    for l in 0..32 {
        plane[32 * (l / 16) + 4 * lane + l % 4] |= value(l) << (2 * (l / 4 % 4));
    }
}

/// (scale, minimum) of block `j` of eight, 6 bits each, from 12 bytes.
fn six_bits(packed: &[u8], j: usize) -> (u8, u8) {
    if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        let scale = packed[j + 4] & 15 | packed[j - 4] >> 6 << 4;
        let min = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
        (scale, min)
    }
}
