//! Writes the header of a GGUF v3 file: metadata, the table of tensors, padding.
//!
//! The data that follow are the caller's to write, tensor by tensor in the order of the table,
//! each padded to the alignment: [`GgufHeader::padding`] says by how much. Nothing is kept but the
//! header, so a file of any size is written in the memory of one tensor's piece.
//! [`GgufHeader::write`] does it for tensors that are at hand as floats.

use crate::Error;
use crate::metadata::Metadata;
use std::io::{self, Write};
use wright_kernels::{DType, Isa, quantize};

/// Where tensors begin, unless the metadata say otherwise.
const ALIGNMENT_DEFAULT: usize = 32;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Model(#[from] Error),
    #[error("{0}")]
    Write(#[from] io::Error),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    U16(u16),
    U32(u32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Str(String),
    U8s(Vec<u8>),
    U32s(Vec<u32>),
    I32s(Vec<i32>),
    F32s(Vec<f32>),
    Bools(Vec<bool>),
    Strs(Vec<String>),
}

impl Field {
    /// GGUF's number of the type, then the value, as they stand in a file.
    fn encode(&self) -> Vec<u8> {
        match self {
            Field::U16(x) => scalar(2, &x.to_le_bytes()),
            Field::U32(x) => scalar(4, &x.to_le_bytes()),
            Field::F32(x) => scalar(6, &x.to_le_bytes()),
            Field::Bool(x) => scalar(7, &[u8::from(*x)]),
            Field::U64(x) => scalar(10, &x.to_le_bytes()),
            Field::Str(x) => {
                let mut out = scalar(8, &[]);
                push_str(&mut out, x.as_bytes());
                out
            }
            Field::U8s(all) => array(0, all, |out, x| out.push(*x)),
            Field::U32s(all) => array(4, all, |out, x| out.extend(x.to_le_bytes())),
            Field::I32s(all) => array(5, all, |out, x| out.extend(x.to_le_bytes())),
            Field::F32s(all) => array(6, all, |out, x| out.extend(x.to_le_bytes())),
            Field::Bools(all) => array(7, all, |out, x| out.push(u8::from(*x))),
            Field::Strs(all) => array(8, all, |out, x| push_str(out, x.as_bytes())),
        }
    }
}

fn scalar(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut out = kind.to_le_bytes().to_vec();
    out.extend(value);
    out
}

fn array<T>(kind: u32, all: &[T], push: impl Fn(&mut Vec<u8>, &T)) -> Vec<u8> {
    let mut out = scalar(9, &kind.to_le_bytes());
    out.extend((all.len() as u64).to_le_bytes());
    all.iter().for_each(|x| push(&mut out, x));
    out
}

fn push_str(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}

/// A tensor of the file, as its table lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHeader {
    pub name: String,
    /// Fastest-varying first.
    pub dims: Vec<usize>,
    pub dtype: DType,
}

impl TensorHeader {
    /// Bytes of its data, without padding. None if rows are not whole blocks, or it is too large.
    pub fn n_bytes(&self) -> Option<usize> {
        let row = self.dtype.row_bytes(*self.dims.first()?)?;
        self.dims[1..].iter().try_fold(row, |n, &d| n.checked_mul(d))
    }

    /// Values as they are stored in its type. Part of the values may be given, in whole rows; of
    /// F32, any part.
    ///
    /// # Errors
    /// If rows are not whole blocks of the type, or a value is not finite.
    pub(crate) fn encode_values(&self, values: &[f32]) -> Result<Vec<u8>, Error> {
        let failure = |why: String| Error::malformed(format!("tensor {}", self.name), why);
        let k = if self.dtype == DType::F32 { values.len() } else { self.dims[0] };
        let row_bytes = self.dtype.row_bytes(k);
        let row_bytes =
            row_bytes.ok_or_else(|| failure("is not a multiple of the block length".into()))?;
        let mut out = vec![0; values.len() / k.max(1) * row_bytes];
        quantize(Isa::detect(), self.dtype, k, values, None, &mut out)
            .map_err(|error| failure(error.to_string()))?;
        Ok(out)
    }
}

/// Header of a file: its metadata and its table of tensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GgufHeader {
    /// (key, type and value as they stand in a file)
    entries: Vec<(String, Vec<u8>)>,
    alignment: usize,
    pub tensors: Vec<TensorHeader>,
}

impl GgufHeader {
    /// Nothing but what will be added.
    pub fn new() -> GgufHeader {
        GgufHeader { entries: Vec::new(), alignment: ALIGNMENT_DEFAULT, tensors: Vec::new() }
    }

    /// The metadata of a file, to be changed; no tensors.
    pub fn like(metadata: &Metadata, alignment: usize) -> GgufHeader {
        GgufHeader { entries: metadata.encoded().collect(), alignment, tensors: Vec::new() }
    }

    /// Sets a value, in place of one of this name if there is one.
    pub fn set(&mut self, key: &str, field: &Field) {
        let value = field.encode();
        match self.entries.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(k, _)| k != key);
    }

    /// Zeros that follow `len` bytes of data.
    pub fn padding(&self, len: usize) -> usize {
        len.next_multiple_of(self.alignment) - len
    }

    /// The header as it stands in the file, padded: data may follow at once.
    ///
    /// # Errors
    /// For a tensor whose rows are not whole blocks of its type.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            push_str(&mut out, key.as_bytes());
            out.extend(value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            push_str(&mut out, tensor.name.as_bytes());
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            tensor.dims.iter().for_each(|&d| out.extend((d as u64).to_le_bytes()));
            out.extend(tensor.dtype.ggml_id().to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            let size = self.size(tensor)?;
            offset += size + self.padding(size);
        }
        out.resize(out.len() + self.padding(out.len()), 0);
        Ok(out)
    }

    /// Bytes of all data with their padding.
    ///
    /// # Errors
    /// As [`GgufHeader::encode`].
    pub fn data_bytes(&self) -> Result<u64, Error> {
        let sizes = self.tensors.iter().map(|t| self.size(t));
        sizes.map(|size| size.map(|n| (n + self.padding(n)) as u64)).sum()
    }

    /// Writes the whole file. `values` gives each tensor's values, by its index; they are stored
    /// in the tensor's type.
    ///
    /// # Errors
    /// As [`GgufHeader::encode`], if a value cannot be stored in its tensor's type, or if writing
    /// fails.
    pub fn write(
        &self,
        out: &mut dyn Write,
        values: &dyn Fn(usize) -> Vec<f32>,
    ) -> Result<(), WriteError> {
        out.write_all(&self.encode()?)?;
        for (index, tensor) in self.tensors.iter().enumerate() {
            let bytes = tensor.encode_values(&values(index))?;
            out.write_all(&bytes)?;
            out.write_all(&vec![0; self.padding(bytes.len())])?;
        }
        Ok(())
    }

    fn size(&self, tensor: &TensorHeader) -> Result<usize, Error> {
        tensor.n_bytes().ok_or_else(|| {
            let why =
                format!("rows of {:?} values cannot be stored as {}", tensor.dims, tensor.dtype);
            Error::malformed(format!("tensor {}", tensor.name), why)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Gguf, Value};
    use std::sync::Arc;

    #[test]
    fn what_was_written_is_read() {
        let mut header = GgufHeader::new();
        header.set("general.architecture", &Field::Str("x".into()));
        header.set("a", &Field::U32(1));
        header.set("a", &Field::U32s(vec![3, 4]));
        header.set("gone", &Field::Bool(true));
        header.set("s", &Field::Strs(vec!["é".into(), String::new()]));
        header.set("f", &Field::F32s(vec![0.5]));
        header.remove("gone");
        for (name, dims) in [("w", vec![32, 3]), ("v", vec![5])] {
            let dtype = if dims.len() > 1 { DType::Q8_0 } else { DType::F32 };
            header.tensors.push(TensorHeader { name: name.into(), dims, dtype });
        }
        let mut file = header.encode().unwrap();
        let start = file.len();
        let data_bytes = header.data_bytes().unwrap() as usize;
        file.resize(start + data_bytes, 7);
        let bytes: Arc<dyn Bytes> = Arc::new(file);
        let gguf = Gguf::parse(&bytes).unwrap();
        assert_eq!(gguf.metadata.get("gone"), None);
        assert_eq!(gguf.metadata.u32s("a"), Some(vec![3, 4]));
        let strings: Vec<&[u8]> = gguf.metadata.strings("s").unwrap().collect();
        assert_eq!(strings, ["é".as_bytes(), b""]);
        assert_eq!(gguf.tensors[0].at, start..start + 102);
        assert_eq!(gguf.tensors[1].at, start + 128..start + 148);
        // A second generation is the same file.
        let mut again = GgufHeader::like(&gguf.metadata, gguf.alignment);
        again.tensors = header.tensors.clone();
        assert_eq!(again.encode().unwrap(), header.encode().unwrap());
        assert!(matches!(gguf.metadata.get("general.architecture"), Some(Value::Str("x"))));
    }

    #[test]
    fn rows_that_are_no_blocks_are_refused() {
        let mut header = GgufHeader::new();
        let dims = vec![33, 2];
        header.tensors.push(TensorHeader { name: "w".into(), dims, dtype: DType::Q8_0 });
        assert!(header.encode().is_err() && header.data_bytes().is_err());
    }
}
