//! Stored formats to f32, bit for bit as the reference decoder (the `gguf` Python package) has it.
//!
//! The order of the roundings is part of the format's meaning here: a scale is multiplied first
//! and an offset subtracted last, never fused. Arithmetic on the integers themselves is `quant`;
//! writing blocks is `quantize`.
//!
//! Layouts: within a block of 32 the low nibbles hold values 0 to 15 and the high ones 16 to 31.
//! In the K formats 256 values share a scale in half precision, and groups of 16 or 32 refine it
//! with a small integer.

pub(crate) mod coded;
mod k_blocks;

use crate::float16::{bf16_to_f32, f16_to_f32};
use crate::isa::Isa;
use crate::lanes::{Lanes, each_isa};
use crate::{DType, Matrix, Pool};

/// The sixteen steps of IQ4_NL and IQ4_XS.
pub(crate) const IQ4_STEPS: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Decodes whole blocks: `src` holds `dst.len()` values.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn dequantize(dtype: DType, src: &[u8], dst: &mut [f32]) {
    dequantize_with(Isa::detect(), dtype, src, dst);
}

/// Whole blocks as f32: where they lie, if they are f32 at a multiple of 4 and the machine has
/// their order of bytes; else decoded into `room`.
///
/// # Panics
/// If `src` does not hold `room.len()` values.
pub fn decoded<'a>(dtype: DType, src: &'a [u8], room: &'a mut [f32]) -> &'a [f32] {
    if dtype == DType::F32 && cfg!(target_endian = "little") {
        // SAFETY: every pattern of 32 bits is a float.
        let (before, floats, after) = unsafe { src.align_to::<f32>() };
        if before.is_empty() && after.is_empty() {
            assert_eq!(floats.len(), room.len(), "values of {dtype}");
            return floats;
        }
    }
    dequantize(dtype, src, room);
    room
}

/// [`dequantize`] by the instructions that are named.
pub(crate) fn dequantize_with(isa: Isa, dtype: DType, src: &[u8], dst: &mut [f32]) {
    assert_eq!(Some(src.len()), dtype.row_bytes(dst.len()), "bytes of {} {dtype}", dst.len());
    decode_with(isa, dtype, src, dst);
}

/// Looks up rows: row `i` of `out`, (T, K), becomes row `ids[i]` of `table`, (N, K), in f32.
///
/// # Panics
/// If an id is not below N or `out` is not (T, K).
pub fn embed(pool: &Pool, table: &Matrix<'_>, ids: &[u32], out: &mut [f32]) {
    assert_eq!(out.len(), ids.len() * table.k, "embedded rows");
    if table.k == 0 {
        return;
    }
    pool.for_chunks(out, table.k * 8, |chunk, rows| {
        let ids = ids[chunk * 8..].iter();
        for (&id, row) in ids.zip(rows.chunks_exact_mut(table.k)) {
            dequantize_with(pool.isa(), table.dtype, table.row(id as usize), row);
        }
    });
}

each_isa! {
    fn decode_with(dtype: DType, src: &[u8], dst: &mut [f32]) = decode;
}

#[inline(always)]
fn decode<V: Lanes>(dtype: DType, src: &[u8], dst: &mut [f32]) {
    match dtype {
        DType::F32 => blocks::<4, 1>(src, dst, |b, out| out[0] = f32::from_le_bytes(*b)),
        DType::F16 => decode_f16::<V>(src, dst),
        DType::BF16 => {
            blocks::<2, 1>(src, dst, |b, out| out[0] = bf16_to_f32(u16::from_le_bytes(*b)));
        }
        DType::Q4_0 => blocks::<18, 32>(src, dst, q4_0),
        DType::Q4_1 => blocks::<20, 32>(src, dst, q4_1),
        DType::Q5_0 => blocks::<22, 32>(src, dst, q5_0),
        DType::Q5_1 => blocks::<24, 32>(src, dst, q5_1),
        DType::Q8_0 => blocks::<34, 32>(src, dst, q8_0),
        DType::Q2K => blocks::<84, 256>(src, dst, k_blocks::q2_k),
        DType::Q3K => blocks::<110, 256>(src, dst, k_blocks::q3_k),
        DType::Q4K => blocks::<144, 256>(src, dst, k_blocks::q4_k),
        DType::Q5K => blocks::<176, 256>(src, dst, k_blocks::q5_k),
        DType::Q6K => blocks::<210, 256>(src, dst, k_blocks::q6_k),
        DType::IQ4NL => blocks::<18, 32>(src, dst, iq4_nl),
        DType::IQ4XS => blocks::<136, 256>(src, dst, k_blocks::iq4_xs),
        coded => {
            let dst = dst.chunks_exact_mut(coded.block_len());
            for (block, out) in src.chunks_exact(coded.block_bytes()).zip(dst) {
                coded::decode(coded, block, out);
            }
        }
    }
}

/// Calls `f` for each block of `BYTES` bytes and `LEN` values.
#[inline(always)]
fn blocks<const BYTES: usize, const LEN: usize>(
    src: &[u8],
    dst: &mut [f32],
    f: impl Fn(&[u8; BYTES], &mut [f32; LEN]),
) {
    let (src, _) = src.as_chunks::<BYTES>();
    let (dst, _) = dst.as_chunks_mut::<LEN>();
    for (block, out) in src.iter().zip(dst) {
        f(block, out);
    }
}

#[inline(always)]
fn decode_f16<V: Lanes>(src: &[u8], dst: &mut [f32]) {
    let (wide, narrow) = src.as_chunks::<32>();
    for (halves, out) in wide.iter().zip(dst.chunks_exact_mut(16)) {
        // SAFETY: 32 bytes are 16 halves; every target whose lanes are used is little-endian.
        unsafe { V::load_f16_at(halves.as_ptr().cast()) }.store(out);
    }
    let done = wide.len() * 16;
    let (narrow, _) = narrow.as_chunks::<2>();
    for (half, out) in narrow.iter().zip(&mut dst[done..]) {
        *out = f16_to_f32(u16::from_le_bytes(*half));
    }
}

/// The half-precision number at byte `at`.
#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// (scale d: 2, nibbles: 16); d (q - 8)
#[inline(always)]
fn q4_0(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for i in 0..16 {
        let byte = block[2 + i];
        out[i] = d * (i32::from(byte & 15) - 8) as f32;
        out[i + 16] = d * (i32::from(byte >> 4) - 8) as f32;
    }
}

/// (scale d: 2, minimum m: 2, nibbles: 16); d q + m
#[inline(always)]
fn q4_1(block: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for i in 0..16 {
        let byte = block[4 + i];
        out[i] = d * f32::from(byte & 15) + m;
        out[i + 16] = d * f32::from(byte >> 4) + m;
    }
}

/// (scale d: 2, fifth bits: 4, nibbles: 16); d (q - 16)
#[inline(always)]
fn q5_0(block: &[u8; 22], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    for i in 0..16 {
        let byte = u32::from(block[6 + i]);
        let low = byte & 15 | (high >> i & 1) << 4;
        let up = byte >> 4 | (high >> (i + 16) & 1) << 4;
        out[i] = d * (low as i32 - 16) as f32;
        out[i + 16] = d * (up as i32 - 16) as f32;
    }
}

/// (scale d: 2, minimum m: 2, fifth bits: 4, nibbles: 16); d q + m
#[inline(always)]
fn q5_1(block: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    for i in 0..16 {
        let byte = u32::from(block[8 + i]);
        let low = byte & 15 | (high >> i & 1) << 4;
        let up = byte >> 4 | (high >> (i + 16) & 1) << 4;
        out[i] = d * low as i32 as f32 + m;
        out[i + 16] = d * up as i32 as f32 + m;
    }
}

/// (scale d: 2, values: 32); d q
#[inline(always)]
fn q8_0(block: &[u8; 34], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for i in 0..32 {
        out[i] = d * f32::from(block[2 + i] as i8);
    }
}

/// (scale d: 2, nibbles: 16); d step\[q\]
#[inline(always)]
fn iq4_nl(block: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for i in 0..16 {
        let byte = block[2 + i];
        out[i] = d * f32::from(IQ4_STEPS[usize::from(byte & 15)]);
        out[i + 16] = d * f32::from(IQ4_STEPS[usize::from(byte >> 4)]);
    }
}

#[cfg(test)]
mod tests;
