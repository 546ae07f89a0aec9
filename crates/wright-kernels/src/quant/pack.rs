//! From the blocks of a file to the planes of a group: moving bits, no arithmetic on values.
//!
//! The file's side is GGUF's (`ggml-common.h` names the fields); the packed side is described in
//! `layout`. Formats whose file order of nibbles is also ours move four bytes at a time.

use super::layout::{LANES, Layout};
use crate::dequant::coded::Coded;
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
    let p = &mut planes;
    match matrix.dtype {
        DType::Q4_0 | DType::IQ4NL => rows(matrix, first, |b, r, x| p.simple::<0, 0>(b, r, x)),
        DType::Q4_1 => rows(matrix, first, |b, r, x| p.simple::<1, 0>(b, r, x)),
        DType::Q5_0 => rows(matrix, first, |b, r, x| p.simple::<0, 4>(b, r, x)),
        DType::Q5_1 => rows(matrix, first, |b, r, x| p.simple::<1, 4>(b, r, x)),
        DType::Q8_0 => rows(matrix, first, |b, r, x| p.q8_0(b, r, x)),
        DType::Q2K => rows(matrix, first, |b, r, x| p.q2_k(b, r, x)),
        DType::Q3K => rows(matrix, first, |b, r, x| p.q3_k(b, r, x)),
        DType::Q4K => rows(matrix, first, |b, r, x| p.q4_k::<0>(b, r, x)),
        DType::Q5K => rows(matrix, first, |b, r, x| p.q4_k::<32>(b, r, x)),
        DType::Q6K => rows(matrix, first, |b, r, x| p.q6_k(b, r, x)),
        DType::IQ4XS => rows(matrix, first, |b, r, x| p.iq4_xs(b, r, x)),
        DType::F32 | DType::F16 | DType::BF16 => unreachable!("no layout for floats"),
        coded => rows(matrix, first, |b, r, x| p.coded(coded, b, r, x)),
    }
}

/// Calls `put(number of the block, lane, block)` for all blocks of up to 8 rows.
#[inline(always)]
fn rows(matrix: &Matrix<'_>, first: usize, mut put: impl FnMut(usize, usize, &[u8])) {
    for lane in 0..LANES.min(matrix.n - first) {
        let row = matrix.row(first + lane);
        for (b, block) in row.chunks_exact(matrix.dtype.block_bytes()).enumerate() {
            put(b, lane, block);
        }
    }
}

impl Planes<'_> {
    /// Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL: f16 d, `MINIMA` × f16 m, `HIGH` bytes of fifth bits, then
    /// nibbles: byte i holds values i and i + 16.
    #[inline(always)]
    fn simple<const MINIMA: usize, const HIGH: usize>(
        &mut self,
        b: usize,
        lane: usize,
        block: &[u8],
    ) {
        let front = 2 + 2 * MINIMA;
        let block = &block[..front + HIGH + 16];
        self.halves(8 * front * b, lane, &block[..front]);
        if HIGH > 0 {
            let bits = u32::from_le_bytes(block[front..].as_chunks().0[0]);
            let high = [0, 1, 2, 3].map(|i| each_fourth(bits >> i));
            self.high[32 * b + 4 * lane..][..4].copy_from_slice(&high);
        }
        self.nibbles(b, lane, &block[front + HIGH..]);
    }

    #[inline(always)]
    fn q8_0(&mut self, b: usize, lane: usize, block: &[u8]) {
        self.halves(16 * b, lane, &block[..2]);
        let room = &mut self.quants[256 * b..][..256];
        for (g, four) in block[2..34].as_chunks::<4>().0.iter().enumerate() {
            room[32 * g + 4 * lane..][..4].copy_from_slice(four);
        }
    }

    /// 16 bytes of nibbles, byte i with values i and i + 16: our own order.
    #[inline(always)]
    fn nibbles(&mut self, b: usize, lane: usize, bytes: &[u8]) {
        let room = &mut self.quants[128 * b..][..128];
        for (g, four) in bytes[..16].as_chunks::<4>().0.iter().enumerate() {
            room[32 * g + 4 * lane..][..4].copy_from_slice(four);
        }
    }

    /// Q4_K and Q5_K: f16 d, f16 dmin, 12 bytes of 6-bit scales and minima, `high` bytes of fifth
    /// bits (bit j of byte l: value l of block j), 128 bytes of nibbles (32 bytes: two blocks).
    fn q4_k<const HIGH: usize>(&mut self, s: usize, lane: usize, block: &[u8]) {
        let front = 160 * s;
        self.halves(front, lane, &block[..4]);
        let (packed, fifth) = (&block[4..16], &block[16..16 + HIGH]);
        for j in 0..8 {
            let (scale, min) = six_bits(packed, j);
            self.scales[front + 32 + 16 * j + lane] = scale;
            self.scales[front + 32 + 16 * j + 8 + lane] = min;
            let nibbles = joined(&block[16 + HIGH + 32 * (j / 2)..], j % 2);
            self.nibbles(8 * s + j, lane, &nibbles);
        }
        if let Some(fifth) = fifth.first_chunk() {
            self.one_bit(s, lane, fifth);
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
            let nibbles = joined(&block[64 * half + 32 * (t % 2)..], t / 2);
            self.nibbles(8 * s + j, lane, &nibbles);
            let high = &block[128 + 32 * half..][..32];
            let at = 64 * (8 * s + j);
            two_bits(&mut self.high[at..at + 64], lane, high, 2 * t);
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
            two_bits(quants, lane, values, 2 * (j % 4));
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
            two_bits(quants, lane, values, 2 * (j % 4));
        }
        if let Some(third) = block.first_chunk() {
            self.one_bit(s, lane, third);
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

    /// Formats of codes, unpacked; `s` counts the file's blocks.
    fn coded(&mut self, dtype: DType, s: usize, lane: usize, block: &[u8]) {
        let coded = Coded::read(dtype, block);
        let per_block = dtype.block_len() / 32;
        for j in 0..per_block {
            let codes = &coded.codes[32 * j..][..32];
            let nibbles: [u8; 16] = std::array::from_fn(|i| codes[i] | codes[i + 16] << 4);
            self.nibbles(per_block * s + j, lane, &nibbles);
        }
        let of_halves = matches!(dtype, DType::IQ2XS | DType::IQ2S | DType::IQ1M);
        let front = match (per_block, of_halves) {
            (1, _) => 16 * s,
            (_, true) => 144 * s,
            (_, false) => 80 * s,
        };
        self.halves(front, lane, &coded.d.to_le_bytes());
        for j in (0..per_block).filter(|_| per_block > 1) {
            let scales = [coded.scales[2 * j] as u8, coded.scales[2 * j + 1] as u8];
            match of_halves {
                true => self.sixteenths(front + 16, j, lane, scales),
                false => self.scales[front + 16 + 8 * j + lane] = scales[0],
            }
        }
    }

    /// One more bit for 256 values: bit j of byte l belongs to value l of block j.
    fn one_bit(&mut self, s: usize, lane: usize, bytes: &[u8; 32]) {
        let words = words(bytes);
        let room = &mut self.high[256 * s..][..256];
        for j in 0..8 {
            let bit = |g: usize| (words[g] >> j & 0x0101_0101) << g;
            let low = bit(0) | bit(1) | bit(2) | bit(3);
            let four = low | bit(4) | bit(5) | bit(6) | bit(7);
            room[32 * j + 4 * lane..][..4].copy_from_slice(&four.to_le_bytes());
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

/// 32 bytes as eight words, values 4g..4g+4 in word g.
#[inline(always)]
fn words(bytes: &[u8]) -> [u32; 8] {
    let (fours, _) = bytes[..32].as_chunks::<4>();
    std::array::from_fn(|g| u32::from_le_bytes(fours[g]))
}

/// The low (`which` 0) or high (1) nibbles of 32 bytes, two to a byte: i and i + 16.
#[inline(always)]
fn joined(bytes: &[u8], which: usize) -> [u8; 16] {
    let nibbles = words(bytes).map(|word| word >> (4 * which) & 0x0f0f_0f0f);
    let mut out = [0; 16];
    for (g, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *out = (nibbles[g] | nibbles[g + 4] << 4).to_le_bytes();
    }
    out
}

/// Puts two bits, those at `shift` and up, of each of 32 bytes of one row into a plane's 64 bytes
/// of a block.
#[inline(always)]
fn two_bits(plane: &mut [u8], lane: usize, bytes: &[u8], shift: usize) {
    let w = words(bytes).map(|word| word >> shift & 0x0303_0303);
    for half in 0..2 {
        let w = &w[4 * half..][..4];
        let four = w[0] | w[1] << 2 | w[2] << 4 | w[3] << 6;
        plane[32 * half + 4 * lane..][..4].copy_from_slice(&four.to_le_bytes());
    }
}

/// Bits 0, 4, 8, … 28, side by side.
fn each_fourth(bits: u32) -> u8 {
    let x = bits & 0x1111_1111;
    let x = (x | x >> 3) & 0x0303_0303;
    let x = (x | x >> 6) & 0x000f_000f;
    (x | x >> 12) as u8
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
