//! Rows of activations in 8 bits: one scale for each 32 values, and the sums that kernels need.
//!
//! One form serves every weight format. A block's scale is `max|x| / 127` in f32, a value is
//! `round(x · 127 / max|x|)` to the nearest, ties to even, so it lies in -127..=127; the integer
//! kernels rely on -128 not occurring. A block that holds NaN or infinity gets the scale NaN,
//! which reaches every output that reads it; a block below 1e-35 in magnitude counts as zero.

#[cfg(target_arch = "aarch64")]
mod neon;

use crate::isa::by_isa;
use crate::{Isa, Pool};

/// Values that share a scale.
pub(super) const BLOCK: usize = 32;

/// Blocks whose largest magnitude is below this count as zero, so that `127 / max` stays finite.
const TINY: f32 = 1e-35;

/// Rows that one task quantizes.
const ROWS_PER_TASK: usize = 8;

/// 32 activations: one cache line with everything that a kernel reads of them.
///
/// A *pair sum* has two lanes, as `maddubs` makes them of four bytes: lane 0 sums the values at
/// 0 and 1 modulo 4, lane 1 those at 2 and 3.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Block {
    /// The values, in -127..=127.
    pub q: [i8; BLOCK],
    /// What one unit of `q` is worth.
    pub scale: f32,
    /// `scale · Σ q`, for formats with a minimum.
    pub scaled_sum: f32,
    /// 8 · pair sum of the block: at most 8·16·127 = 16,256.
    pub off8: [i16; 2],
    /// 16 · pair sum of the block: at most 32,512.
    pub off16: [i16; 2],
    /// 32 · pair sum of each half: at most 32·8·127 = 32,512.
    pub off32: [[i16; 2]; 2],
    /// Σ q of each half.
    pub half_sums: [i16; 2],
    /// Σ q.
    pub sum: i32,
}

const _: () = assert!(size_of::<Block>() == 64);

/// Offsets in bytes of the fields above, for kernels that broadcast them from memory.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) mod at {
    use super::Block;
    use std::mem::offset_of;
    pub const SCALE: usize = offset_of!(Block, scale);
    pub const SCALED_SUM: usize = offset_of!(Block, scaled_sum);
    pub const OFF8: usize = offset_of!(Block, off8);
    pub const OFF16: usize = offset_of!(Block, off16);
    pub const OFF32: usize = offset_of!(Block, off32);
    pub const HALF_SUMS: usize = offset_of!(Block, half_sums);
}

/// Rows of activations, rounded once and shared by every matrix that they meet.
#[derive(Debug, Clone, Default)]
pub struct Activations {
    /// (M, K / 32)
    blocks: Vec<Block>,
    m: usize,
    k: usize,
}

impl Activations {
    /// No rows; the buffer grows with the first `set` and is kept for the next.
    pub fn new() -> Activations {
        Activations::default()
    }

    /// Rounds `x`, (M, K), row after row.
    ///
    /// # Panics
    /// If `k` is not a multiple of 32 or `x` is not `m` rows of `k`.
    pub fn quantize(pool: &Pool, x: &[f32], m: usize, k: usize) -> Activations {
        let mut activations = Activations::new();
        activations.set(pool, x, m, k);
        activations
    }

    /// As [`Activations::quantize`], into the buffer that is already here.
    ///
    /// # Panics
    /// If `k` is not a multiple of 32 or `x` is not `m` rows of `k`.
    pub fn set(&mut self, pool: &Pool, x: &[f32], m: usize, k: usize) {
        assert_eq!(Some(x.len()), m.checked_mul(k), "activations are not (M, K)");
        self.resize(m, k);
        let isa = pool.isa();
        self.each_rows(pool, |first, rows| {
            let from = &x[first * k..first * k + rows.len() * BLOCK];
            quantize_blocks(isa, from, rows);
        });
    }

    /// Rounds rows as they are made: `make(row, out)` writes row `row`, K values, into `out`, on
    /// any thread. Saves a pass over memory after a norm or an activation.
    ///
    /// # Panics
    /// If `k` is not a multiple of 32.
    pub fn set_with<F>(&mut self, pool: &Pool, m: usize, k: usize, make: F)
    where
        F: Fn(usize, &mut [f32]) + Sync,
    {
        self.resize(m, k);
        let isa = pool.isa();
        let per_row = k / BLOCK;
        self.each_rows(pool, |first, rows| {
            let mut out = vec![0.0; k];
            for (i, row) in rows.chunks_exact_mut(per_row).enumerate() {
                make(first + i, &mut out);
                quantize_blocks(isa, &out, row);
            }
        });
    }

    /// Rows.
    pub fn m(&self) -> usize {
        self.m
    }

    /// Values in a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The blocks of all rows, (M, K / 32).
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn resize(&mut self, m: usize, k: usize) {
        assert!(k.is_multiple_of(BLOCK), "a row of activations is whole blocks of {BLOCK}");
        (self.m, self.k) = (m, k);
        self.blocks.resize(m * (k / BLOCK), Block::default());
    }

    /// Calls `work(first row, blocks of some rows)` for all rows, on the pool if there are many.
    fn each_rows(&mut self, pool: &Pool, work: impl Fn(usize, &mut [Block]) + Sync) {
        let per_task = (self.k / BLOCK) * ROWS_PER_TASK;
        if self.m <= ROWS_PER_TASK || per_task == 0 {
            work(0, &mut self.blocks);
            return;
        }
        let chunks: Vec<_> = self.blocks.chunks_mut(per_task).map(std::sync::Mutex::new).collect();
        pool.run(chunks.len(), &|task| {
            let mut rows = chunks[task].lock().expect("a task runs once");
            work(task * ROWS_PER_TASK, &mut rows);
        });
    }
}

/// Rounds `x` into `blocks`, 32 values each.
fn quantize_blocks(isa: Isa, x: &[f32], blocks: &mut [Block]) {
    assert_eq!(x.len(), blocks.len() * BLOCK);
    #[cfg(target_arch = "aarch64")]
    if isa.has_neon() {
        return neon::quantize(x, blocks);
    }
    by_isa!(isa, quantize_avx2(x, blocks), quantize_scalar(x, blocks));
}

/// (scale, factor to integers) of a block, from the bits of its largest magnitude. The bits of
/// magnitudes are ordered as the magnitudes are, with infinity and NaN on top.
#[inline]
pub(super) fn scale_of(max_bits: u32) -> (f32, f32) {
    let max = f32::from_bits(max_bits);
    if !max.is_finite() {
        (f32::NAN, 0.0)
    } else if max < TINY {
        (0.0, 0.0)
    } else {
        (max / 127.0, 127.0 / max)
    }
}

fn quantize_scalar(x: &[f32], blocks: &mut [Block]) {
    for (x, block) in x.chunks_exact(BLOCK).zip(blocks) {
        let max_bits = x.iter().fold(0, |max, v| max.max(v.abs().to_bits()));
        let (scale, factor) = scale_of(max_bits);
        let mut q = [0i8; BLOCK];
        if factor != 0.0 {
            for (q, v) in q.iter_mut().zip(x) {
                *q = (v * factor).round_ties_even() as i8;
            }
        }
        let mut pairs = [[0i16; 2]; 2];
        for (i, &v) in q.iter().enumerate() {
            pairs[i / 16][i % 4 / 2] += i16::from(v);
        }
        *block = Block::assemble(q, scale, pairs);
    }
}

impl Block {
    /// A block from its values, scale, and the pair sums of its halves.
    #[inline]
    pub(super) fn assemble(q: [i8; BLOCK], scale: f32, pairs: [[i16; 2]; 2]) -> Block {
        let whole = [pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1]];
        let half_sums = [pairs[0][0] + pairs[0][1], pairs[1][0] + pairs[1][1]];
        let sum = i32::from(half_sums[0]) + i32::from(half_sums[1]);
        Block {
            q,
            scale,
            scaled_sum: scale * sum as f32,
            off8: whole.map(|s| s * 8),
            off16: whole.map(|s| s * 16),
            off32: pairs.map(|half| half.map(|s| s * 32)),
            half_sums,
            sum,
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn quantize_avx2(x: &[f32], blocks: &mut [Block]) {
    use std::arch::x86_64::*;
    let magnitude = _mm256_set1_epi32(0x7fff_ffff);
    // packs work on 128-bit halves; this puts the dwords back in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (x, block) in x.chunks_exact(BLOCK).zip(blocks) {
        // SAFETY: the chunk has 32 values, 8 at each of the four places.
        let v: [__m256; 4] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(&x[8 * i]) });
        let bits = v.map(|v| _mm256_and_si256(_mm256_castps_si256(v), magnitude));
        let max = _mm256_max_epi32(
            _mm256_max_epi32(bits[0], bits[1]),
            _mm256_max_epi32(bits[2], bits[3]),
        );
        let max = _mm_max_epi32(_mm256_castsi256_si128(max), _mm256_extracti128_si256::<1>(max));
        let max = _mm_max_epi32(max, _mm_shuffle_epi32::<0x4e>(max));
        let max = _mm_max_epi32(max, _mm_shuffle_epi32::<0xb1>(max));
        let (scale, factor) = scale_of(_mm_cvtsi128_si32(max) as u32);
        let mut q = [0i8; BLOCK];
        let mut bytes = _mm256_setzero_si256();
        if factor != 0.0 {
            let factor = _mm256_set1_ps(factor);
            let i = v.map(|v| _mm256_cvtps_epi32(_mm256_mul_ps(v, factor)));
            let packed =
                _mm256_packs_epi16(_mm256_packs_epi32(i[0], i[1]), _mm256_packs_epi32(i[2], i[3]));
            bytes = _mm256_permutevar8x32_epi32(packed, order);
        }
        // SAFETY: q has 32 bytes.
        unsafe { _mm256_storeu_si256(q.as_mut_ptr().cast(), bytes) };
        let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
        let pairs = _mm256_add_epi16(pairs, _mm256_shuffle_epi32::<0x4e>(pairs));
        let pairs = _mm256_add_epi16(pairs, _mm256_shuffle_epi32::<0xb1>(pairs));
        let halves = [_mm256_extract_epi32::<0>(pairs), _mm256_extract_epi32::<4>(pairs)];
        let pairs = halves.map(|pair| [pair as i16, (pair >> 16) as i16]);
        *block = Block::assemble(q, scale, pairs);
    }
}
