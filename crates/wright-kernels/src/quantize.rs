//! Values to blocks: F32 rows written in any stored format.
//!
//! Each block is fitted by weighted least squares: a handful of candidate grids is tried, the
//! scale (and the minimum, where the format has one) is solved for each, and the one with the
//! least weighted error is kept. The weight of a value is its column's importance where an
//! importance matrix is given, times a term that grows with the value, since large weights matter
//! more to a sum of products. What comes out is rounded once more against the scale as it is
//! stored, so the choice of integers always fits the bytes that a reader will see.
//!
//! Rows are independent, so callers split work by rows. NaN and infinities are refused by
//! [`quantize`]; reading blocks back is `dequantize`.
//!
//! Loops here go over indices of short arrays and pass no closures: iterators were not always
//! inlined into the functions of each instruction set, and then ran without its instructions.
#![allow(clippy::needless_range_loop)]

mod fit;
mod k_min;
mod k_signed;
mod legacy;
mod nonlinear;

#[cfg(test)]
mod tests;

use crate::DType;
use crate::isa::Isa;
use crate::lanes::{Lanes, each_isa};
use crate::{f32_to_bf16, f32_to_f16};

/// Why a row could not be quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantizeError {
    /// The row's length is not a whole number of blocks, or a buffer has the wrong length.
    Shape { row_len: usize, block_len: usize },
    /// A value is NaN or infinite; the index counts from the start of the source.
    NotFinite { index: usize },
    /// A format that is read and not written here.
    ReadOnly { dtype: DType },
}

impl std::fmt::Display for QuantizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            QuantizeError::Shape { row_len, block_len } => {
                write!(
                    f,
                    "a row of {row_len} values is not a multiple of the block length {block_len}"
                )
            }
            QuantizeError::NotFinite { index } => write!(f, "value {index} is not finite"),
            QuantizeError::ReadOnly { dtype } => write!(f, "{dtype} can be read but not written"),
        }
    }
}

impl std::error::Error for QuantizeError {}

/// Writes rows of `row_len` values as blocks of `dtype`.
///
/// # Shapes
/// `src` (rows, row_len), `importance` (row_len) or none, `dst` rows × `dtype.row_bytes(row_len)`.
///
/// # Errors
/// For shapes that do not fit and for values that are not finite; `dst` is then unspecified.
pub fn quantize(
    isa: Isa,
    dtype: DType,
    row_len: usize,
    src: &[f32],
    importance: Option<&[f32]>,
    dst: &mut [u8],
) -> Result<(), QuantizeError> {
    let shape = QuantizeError::Shape { row_len, block_len: dtype.block_len() };
    let row_bytes = dtype.row_bytes(row_len).filter(|&bytes| bytes > 0).ok_or(shape)?;
    let n_rows = src.len() / row_len;
    let fits = src.len() == n_rows * row_len && dst.len() == n_rows * row_bytes;
    if !fits || importance.is_some_and(|i| i.len() != row_len) {
        return Err(shape);
    }
    if dtype.is_coded() {
        return Err(QuantizeError::ReadOnly { dtype });
    }
    for (index, (row, out)) in
        src.chunks_exact(row_len).zip(dst.chunks_exact_mut(row_bytes)).enumerate()
    {
        if !write_row(isa, dtype, row, importance, out) {
            let at = row.iter().position(|x| !x.is_finite()).unwrap_or(0);
            return Err(QuantizeError::NotFinite { index: index * row_len + at });
        }
    }
    Ok(())
}

each_isa! {
    fn write_row(dtype: DType, row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) -> bool
        = row_in;
}

/// One row, block by block; false if a value is not finite.
#[inline(always)]
fn row_in<V: Lanes>(dtype: DType, row: &[f32], importance: Option<&[f32]>, out: &mut [u8]) -> bool {
    if !is_finite::<V>(row) {
        return false;
    }
    match dtype {
        DType::F32 => return floats_in(row, out, |x| x.to_le_bytes()),
        DType::BF16 => return floats_in(row, out, |x| f32_to_bf16(x).to_le_bytes()),
        DType::F16 => return halves_in::<V>(row, out),
        _ => {}
    }
    // Small blocks some at a time.
    let together = if dtype.block_len() == 32 { legacy::TOGETHER } else { 1 };
    let (len, bytes) = (together * dtype.block_len(), together * dtype.block_bytes());
    for (index, out) in out.chunks_mut(bytes).enumerate() {
        let at = index * len..row.len().min((index + 1) * len);
        let importance = importance.map(|i| &i[at.clone()]);
        blocks::<V>(dtype, &row[at], importance, out);
    }
    true
}

#[inline(always)]
fn floats_in<const N: usize>(row: &[f32], out: &mut [u8], bytes: impl Fn(f32) -> [u8; N]) -> bool {
    for (out, &x) in out.as_chunks_mut().0.iter_mut().zip(row) {
        *out = bytes(x);
    }
    true
}

#[inline(always)]
fn halves_in<V: Lanes>(row: &[f32], out: &mut [u8]) -> bool {
    let whole = row.len() & !15;
    for start in (0..whole).step_by(16) {
        let halves = V::load(&row[start..]).to_f16();
        let out = &mut out[2 * start..2 * start + 32];
        for i in 0..16 {
            out[2 * i..2 * i + 2].copy_from_slice(&halves[i].to_le_bytes());
        }
    }
    floats_in(&row[whole..], &mut out[2 * whole..], |x| f32_to_f16(x).to_le_bytes())
}

/// Whether all values are: times zero they add up to zero, and to no number if one is not.
#[inline(always)]
fn is_finite<V: Lanes>(row: &[f32]) -> bool {
    let (zero, whole) = (V::splat(0.0), row.len() & !15);
    let mut sum = zero;
    for start in (0..whole).step_by(16) {
        sum = V::load(&row[start..]).mul_add(zero, sum);
    }
    let mut rest = 0.0f32;
    for &x in &row[whole..] {
        rest += x * 0.0;
    }
    sum.sum() + rest == 0.0
}

#[inline(always)]
fn blocks<V: Lanes>(dtype: DType, x: &[f32], importance: Option<&[f32]>, out: &mut [u8]) {
    match dtype {
        DType::Q4_0 => legacy::q4_0::<V>(x, importance, out),
        DType::Q4_1 => legacy::q4_1::<V>(x, importance, out),
        DType::Q5_0 => legacy::q5_0::<V>(x, importance, out),
        DType::Q5_1 => legacy::q5_1::<V>(x, importance, out),
        DType::Q8_0 => legacy::q8_0::<V>(x, out),
        DType::Q2K => k_min::q2_k::<V>(x, importance, out),
        DType::Q4K => k_min::q4_k::<V>(x, importance, out),
        DType::Q5K => k_min::q5_k::<V>(x, importance, out),
        DType::Q3K => k_signed::q3_k::<V>(x, importance, out),
        DType::Q6K => k_signed::q6_k::<V>(x, importance, out),
        DType::IQ4NL => nonlinear::iq4_nl::<V>(x, importance, out),
        DType::IQ4XS => nonlinear::iq4_xs::<V>(x, importance, out),
        _ => unreachable!("formats that are only read were refused"),
    }
}
