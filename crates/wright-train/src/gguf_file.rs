//! Writes GGUF v3: metadata, a table of tensors, and their values in F32 or F16.

use crate::Error;
use crate::shape::TensorSpec;
use std::io::Write;
use wright_kernels::f32_to_f16;

const ALIGNMENT: usize = 32;

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    U32(u32),
    I32s(Vec<i32>),
    F32(f32),
    F32s(Vec<f32>),
    Bool(bool),
    Str(String),
    Strs(Vec<String>),
}

/// How matrices are stored; vectors are always F32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    F32,
    F16,
}

impl FloatType {
    /// ggml's number and bytes a value, for a tensor of so many dimensions.
    fn of(self, n_dims: usize) -> (u32, usize) {
        if self == FloatType::F16 && n_dims > 1 { (1, 2) } else { (0, 4) }
    }
}

/// Header of a file of F32 tensors, padded, and the bytes of data that follow it.
pub(crate) fn header(metadata: &[(String, Entry)], tensors: &[TensorSpec]) -> (Vec<u8>, usize) {
    header_of(metadata, tensors, FloatType::F32)
}

fn header_of(
    metadata: &[(String, Entry)],
    tensors: &[TensorSpec],
    float: FloatType,
) -> (Vec<u8>, usize) {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        push_str(&mut out, key);
        push_entry(&mut out, value);
    }
    let mut offset = 0usize;
    for tensor in tensors {
        push_str(&mut out, &tensor.name);
        out.extend((tensor.dims.len() as u32).to_le_bytes());
        tensor.dims.iter().for_each(|&d| out.extend((d as u64).to_le_bytes()));
        let (kind, bytes) = float.of(tensor.dims.len());
        out.extend(kind.to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        let size = tensor.dims.iter().product::<usize>() * bytes;
        offset = (offset + size).next_multiple_of(ALIGNMENT);
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    (out, offset)
}

/// Writes a whole file; `values` gives each tensor's values in turn.
///
/// # Errors
/// If the writer fails.
pub fn write(
    writer: &mut dyn Write,
    metadata: &[(String, Entry)],
    tensors: &[TensorSpec],
    float: FloatType,
    values: &dyn Fn(usize) -> Vec<f32>,
) -> Result<(), Error> {
    let (head, _) = header_of(metadata, tensors, float);
    writer.write_all(&head)?;
    for (index, tensor) in tensors.iter().enumerate() {
        let values = values(index);
        let mut bytes: Vec<u8> = match float.of(tensor.dims.len()).1 {
            2 => values.iter().flat_map(|&x| f32_to_f16(x).to_le_bytes()).collect(),
            _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        writer.write_all(&bytes)?;
    }
    Ok(())
}

fn push_str(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn push_entry(out: &mut Vec<u8>, value: &Entry) {
    let mut array = |kind: u32, len: usize| {
        out.extend(9u32.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    };
    match value {
        Entry::I32s(all) => {
            array(5, all.len());
            all.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        Entry::F32s(all) => {
            array(6, all.len());
            all.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        Entry::Strs(all) => {
            array(8, all.len());
            all.iter().for_each(|x| push_str(out, x));
        }
        Entry::U32(x) => {
            out.extend(4u32.to_le_bytes());
            out.extend(x.to_le_bytes());
        }
        Entry::F32(x) => {
            out.extend(6u32.to_le_bytes());
            out.extend(x.to_le_bytes());
        }
        Entry::Bool(x) => {
            out.extend(7u32.to_le_bytes());
            out.push(u8::from(*x));
        }
        Entry::Str(x) => {
            out.extend(8u32.to_le_bytes());
            push_str(out, x);
        }
    }
}
