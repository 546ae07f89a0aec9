//! Blocks of 256 values whose groups have scales of their own.

use super::{IQ4_STEPS, half_at};

/// (scale and minimum of each 16: 16, two-bit values: 64, d: 2, dmin: 2)
#[inline(always)]
pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(block[group] & 15);
        let min = dmin * f32::from(block[group] >> 4);
        // 128 values lie in 32 bytes, 32 of them in each pair of bits.
        let at = 16 + group / 8 * 32 + group % 2 * 16;
        let shift = group / 2 % 4 * 2;
        for i in 0..16 {
            out[i] = scale * f32::from(block[at + i] >> shift & 3) - min;
        }
    }
}

/// (third bits: 32, low two bits: 64, 16 scales of 6 bits: 12, d: 2)
#[inline(always)]
pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; 256]) {
    let d = half_at(block, 108);
    let packed = &block[96..108];
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let low = packed[group % 8] >> (group / 8 * 4) & 15;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = d * (i32::from(low | high << 4) - 32) as f32;
        let at = group % 2 * 16;
        let shift = group / 2 % 4 * 2;
        for i in 0..16 {
            let q = i32::from(block[32 + group / 8 * 32 + at + i] >> shift & 3);
            // A third bit that is set means "not four less".
            let third = i32::from(block[at + i] >> (group / 2) & 1);
            out[i] = scale * (q - 4 * (1 - third)) as f32;
        }
    }
}

/// Scale and minimum, 6 bits each, of group `group` of 8, as Q4_K and Q5_K pack them in 12 bytes.
#[inline(always)]
fn scale_and_min(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        let (top_scale, top_min) = (packed[group - 4] >> 6, packed[group] >> 6);
        (packed[group + 4] & 15 | top_scale << 4, packed[group + 4] >> 4 | top_min << 4)
    };
    (f32::from(scale), f32::from(min))
}

/// (d: 2, dmin: 2, scales and minimums of each 32: 12, nibbles: 128)
#[inline(always)]
pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_and_min(&block[4..16], group);
        let (scale, min) = (d * scale, dmin * min);
        let at = 16 + group / 2 * 32;
        let shift = group % 2 * 4;
        for i in 0..32 {
            out[i] = scale * f32::from(block[at + i] >> shift & 15) - min;
        }
    }
}

/// (d: 2, dmin: 2, scales and minimums of each 32: 12, fifth bits: 32, nibbles: 128)
#[inline(always)]
pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, min) = scale_and_min(&block[4..16], group);
        let (scale, min) = (d * scale, dmin * min);
        let at = 48 + group / 2 * 32;
        let shift = group % 2 * 4;
        for i in 0..32 {
            let q = block[at + i] >> shift & 15 | (block[16 + i] >> group & 1) << 4;
            out[i] = scale * f32::from(q) - min;
        }
    }
}

/// (low nibbles: 128, upper two bits: 64, scales of each 16: 16, d: 2)
#[inline(always)]
pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; 256]) {
    let d = half_at(block, 208);
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let scale = d * f32::from(block[192 + group] as i8);
        // 128 values: 64 bytes of nibbles, 32 of bit pairs; quarters of 32 values.
        let (half, quarter, odd) = (group / 8, group / 2 % 4, group % 2 * 16);
        let low_at = half * 64 + quarter % 2 * 32 + odd;
        let high_at = 128 + half * 32 + odd;
        for i in 0..16 {
            let low = block[low_at + i] >> (quarter / 2 * 4) & 15;
            let high = block[high_at + i] >> (quarter * 2) & 3;
            out[i] = scale * (i32::from(low | high << 4) - 32) as f32;
        }
    }
}

/// (d: 2, upper scale bits: 2, lower scale bits: 4, nibbles: 128)
#[inline(always)]
pub(super) fn iq4_xs(block: &[u8; 136], out: &mut [f32; 256]) {
    let d = half_at(block, 0);
    let upper = u16::from_le_bytes([block[2], block[3]]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
        let high = (upper >> (2 * group) & 3) as u8;
        let scale = d * (i32::from(low | high << 4) - 32) as f32;
        for i in 0..16 {
            let byte = block[8 + group * 16 + i];
            out[i] = scale * f32::from(IQ4_STEPS[usize::from(byte & 15)]);
            out[i + 16] = scale * f32::from(IQ4_STEPS[usize::from(byte >> 4)]);
        }
    }
}
