//! The parts of a split model as one file.
//!
//! Split files (`NAME-00001-of-00003.gguf`) carry the metadata in the first part and tensors in
//! each. Joining copies bytes; nothing is decoded.

use crate::gguf::Gguf;
use crate::gguf_writer::{GgufHeader, TensorHeader};
use crate::{Bytes, Error};
use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

/// Why parts were not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Model(#[from] Error),
    #[error("{0}")]
    Write(#[from] io::Error),
}

/// Writes all `parts`, in order, as one file.
///
/// # Errors
/// If one is damaged, missing, out of order or of another model, or writing fails.
pub fn join(parts: &[Arc<dyn Bytes>], out: &mut dyn Write) -> Result<(), JoinError> {
    let parsed: Vec<Gguf> = parts.iter().map(Gguf::parse_part).collect::<Result<_, _>>()?;
    let first =
        parsed.first().ok_or_else(|| Error::malformed("the split model", "is missing part"))?;
    for (index, part) in parsed.iter().enumerate() {
        let number = |key: &str| part.metadata.u32(key).map(|n| n as usize);
        let (no, count) = (number("split.no"), number("split.count"));
        if no != Some(index) || count != Some(parts.len()) {
            let why = format!("declares itself {no:?} of {count:?}, counted from 0");
            let what = format!("part {} of {}", index + 1, parts.len());
            return Err(Error::malformed(what, why).into());
        }
    }
    let mut header = GgufHeader::like(&first.metadata, first.alignment);
    ["split.no", "split.count", "split.tensors.count"].iter().for_each(|key| header.remove(key));
    let mut names = HashSet::new();
    for tensor in parsed.iter().flat_map(|part| &part.tensors) {
        if !names.insert(&tensor.name) {
            let what = format!("tensor {}", tensor.name);
            return Err(Error::malformed(what, "occurs in two parts").into());
        }
        let (name, dims) = (tensor.name.clone(), tensor.dims.clone());
        header.tensors.push(TensorHeader { name, dims, dtype: tensor.dtype });
    }
    if let Some(n) =
        first.metadata.u32("split.tensors.count").filter(|&n| n as usize != names.len())
    {
        let why = format!("has {} tensors, expected {n}", names.len());
        return Err(Error::malformed("the split model", why).into());
    }
    out.write_all(&header.encode()?)?;
    for (part, bytes) in parsed.iter().zip(parts) {
        let file: &[u8] = (**bytes).as_ref();
        for tensor in &part.tensors {
            out.write_all(&file[tensor.at.clone()])?;
            out.write_all(&vec![0; header.padding(tensor.at.len())])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf_writer::Field;
    use wright_kernels::DType;

    fn part(no: u16, count: u16, tensors: &[&str]) -> Arc<dyn Bytes> {
        let mut header = GgufHeader::new();
        if no == 0 {
            header.set("general.architecture", &Field::Str("llama".into()));
        }
        header.set("split.no", &Field::U16(no));
        header.set("split.count", &Field::U16(count));
        header.set("split.tensors.count", &Field::U32(3));
        for name in tensors {
            header.tensors.push(TensorHeader {
                name: (*name).into(),
                dims: vec![5],
                dtype: DType::F32,
            });
        }
        let mut file = header.encode().unwrap();
        for name in tensors {
            file.extend([name.as_bytes()[0]; 20]);
            file.extend([0; 12]);
        }
        Arc::new(file)
    }

    fn joined(parts: &[Arc<dyn Bytes>]) -> Result<Vec<u8>, JoinError> {
        let mut out = Vec::new();
        join(parts, &mut out).map(|()| out)
    }

    #[test]
    fn parts_become_one_file_that_is_no_part() {
        let file = joined(&[part(0, 2, &["a", "b"]), part(1, 2, &["c"])]).unwrap();
        let bytes: Arc<dyn Bytes> = Arc::new(file.clone());
        let gguf = Gguf::parse(&bytes).unwrap();
        assert_eq!(gguf.metadata.len(), 1);
        let first: Vec<u8> = gguf.tensors.iter().map(|t| file[t.at.start]).collect();
        assert_eq!(first, *b"abc");
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let (a, b) = (part(0, 2, &["a", "b"]), part(1, 2, &["c"]));
        for parts in [
            vec![],
            vec![a.clone()],
            vec![b.clone(), a.clone()],
            vec![a.clone(), part(1, 2, &["a"])],
            vec![a, part(1, 2, &["c", "d"])],
        ] {
            assert!(matches!(joined(&parts), Err(JoinError::Model(_))));
        }
    }
}
