//! Decoding of the plain float formats, until the kernels decode every format.

use wright_kernels::{DType, bf16_to_f32, f16_to_f32};

/// Fills `dst` from `src`; formats with blocks give zeros.
pub(crate) fn dequantize(dtype: DType, src: &[u8], dst: &mut [f32]) {
    let pairs = src.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match dtype {
        DType::F32 => {
            let values = src.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            dst.iter_mut().zip(values).for_each(|(d, v)| *d = v);
        }
        DType::F16 => dst.iter_mut().zip(pairs).for_each(|(d, v)| *d = f16_to_f32(v)),
        DType::BF16 => dst.iter_mut().zip(pairs).for_each(|(d, v)| *d = bf16_to_f32(v)),
        _ => dst.fill(0.0),
    }
}
