//! The safetensors container: a JSON header, then the tensors' bytes.
//!
//! The header is read into a bounded form: a name, a type, at most eight dimensions and a range
//! for each tensor, all checked against the length of the file. What stands beside is passed over
//! without being kept.

use crate::Error;
use crate::overlap;
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::ops::Range;
use wright_kernels::{DType, dequantize};

/// The format's own bound.
const HEADER_BYTES_MAX: usize = 100 << 20;
const DIMS_MAX: usize = 8;
/// No model has more.
const TENSORS_MAX: usize = 1 << 18;

/// A tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    /// F32, F16 or BF16; None for types that hold no weights here.
    pub dtype: Option<DType>,
    /// As the header names it.
    pub dtype_name: String,
    /// Slowest-varying first, as PyTorch has it.
    pub shape: Vec<usize>,
    /// Where its bytes lie in the file.
    pub at: Range<usize>,
}

/// A parsed GGUF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safetensors {
    /// In the order of the header.
    pub tensors: Vec<Tensor>,
}

impl Safetensors {
    /// Reads the header.
    ///
    /// # Errors
    /// If it is truncated, not JSON of the right form, or contradicts itself or the file.
    pub fn parse(file: &[u8]) -> Result<Safetensors, Error> {
        let wrong = |why: String| Error::malformed("the safetensors header", why);
        let Some((len, rest)) = file.split_first_chunk::<8>() else {
            return Err(Error::Truncated {
                what: "the safetensors header".into(),
                len: file.len(),
            });
        };
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        if len > HEADER_BYTES_MAX {
            return Err(wrong(format!(
                "would be {len} bytes long; this may not be a safetensors file"
            )));
        }
        let Some(header) = rest.get(..len) else {
            return Err(Error::Truncated {
                what: "the safetensors header".into(),
                len: file.len(),
            });
        };
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let start = 8 + len;
        let data = file.len() - start;
        let mut tensors = Vec::with_capacity(header.0.len());
        for (name, info) in header.0 {
            tensors.push(placed(name, info, start, data)?);
        }
        overlap::check(tensors.iter().map(|tensor| (tensor.name.as_str(), &tensor.at)))?;
        Ok(Safetensors { tensors })
    }

    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

fn placed(name: String, info: Info, start: usize, data: usize) -> Result<Tensor, Error> {
    let what = format!("tensor {}", name.chars().take(200).collect::<String>());
    let [from, to] = info.data_offsets;
    if from > to || to > data {
        let why = format!("lies at {from}..{to} of {data} bytes of data");
        return Err(Error::malformed(what, why));
    }
    let shape = info.shape.0;
    let n_values = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let (dtype, size) = match info.dtype.as_str() {
        "F32" => (Some(DType::F32), 4),
        "F16" => (Some(DType::F16), 2),
        "BF16" => (Some(DType::BF16), 2),
        "I64" | "U64" | "F64" => (None, 8),
        "I32" | "U32" => (None, 4),
        "I16" | "U16" => (None, 2),
        _ => (None, 1),
    };
    if n_values.and_then(|n| n.checked_mul(size)) != Some(to - from) && dtype.is_some() {
        let why = format!("has shape {shape:?} of {} and {} bytes", info.dtype, to - from);
        return Err(Error::malformed(what, why));
    }
    Ok(Tensor { name, dtype, dtype_name: info.dtype, shape, at: start + from..start + to })
}

impl Tensor {
    /// Its values, from the file that it was parsed from.
    ///
    /// # Errors
    /// If its type holds no weights here.
    pub fn values(&self, file: &[u8], rows: Range<usize>) -> Result<Vec<f32>, Error> {
        let dtype = self.dtype.ok_or_else(|| Error::TensorType {
            tensor: self.name.clone(),
            dtype: self.dtype_name.clone(),
            why: "cannot be converted; F32, F16 and BF16 can",
        })?;
        let k = self.shape.last().copied().unwrap_or(1);
        let row_bytes = dtype.row_bytes(k).unwrap_or(0);
        let bytes = &file[self.at.clone()][rows.start * row_bytes..rows.end * row_bytes];
        let mut values = vec![0.0; rows.len() * k];
        dequantize(dtype, bytes, &mut values);
        Ok(values)
    }
}

/// Names and places, in order, without `__metadata__`.
struct Header(Vec<(String, Info)>);

#[derive(Deserialize)]
struct Info {
    dtype: String,
    shape: Shape,
    data_offsets: [usize; 2],
}

struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<serde::de::IgnoredAny>()?;
                        continue;
                    }
                    if all.len() == TENSORS_MAX {
                        return Err(A::Error::custom("there are too many tensors"));
                    }
                    all.push((name, map.next_value()?));
                }
                Ok(Header(all))
            }
        }
        from.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Dims;
        impl<'de> Visitor<'de> for Dims {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of a few dimensions")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut dims = Vec::new();
                while let Some(dim) = seq.next_element()? {
                    if dims.len() == DIMS_MAX {
                        return Err(A::Error::custom("there are too many dimensions"));
                    }
                    dims.push(dim);
                }
                Ok(Shape(dims))
            }
        }
        from.deserialize_seq(Dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn tensors_are_found_with_their_values() {
        let header = r#"{"__metadata__":{"format":"pt"},
            "b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},
            "a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;
        let mut data = vec![0x80, 0x3f, 0, 0x40];
        data.extend([1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()));
        let file = file(header, &data);
        let parsed = Safetensors::parse(&file).unwrap();
        let names: Vec<&str> = parsed.tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(parsed.find("b").unwrap().values(&file, 1..2).unwrap(), [-2.0]);
        assert_eq!(parsed.find("a").unwrap().values(&file, 0..1).unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn false_declarations_are_errors() {
        let tensor = |dtype: &str, shape: &str, at: &str| {
            format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{at}}}}}"#)
        };
        for header in [
            tensor("F32", "[2]", "[0,4]"),
            tensor("F32", "[1]", "[4,8]"),
            tensor("F32", "[1]", "[4,0]"),
            tensor("F32", "[18446744073709551615,2]", "[0,4]"),
            tensor("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"),
            tensor("F32", "[-1]", "[0,4]"),
            r#"{"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},
                "b":{"dtype":"I8","shape":[2],"data_offsets":[2,4]}}"#
                .to_owned(),
            "[]".to_owned(),
            "{".to_owned(),
        ] {
            assert!(Safetensors::parse(&file(&header, &[0; 4])).is_err(), "{header}");
        }
        assert!(Safetensors::parse(b"1234567").is_err());
        assert!(Safetensors::parse(&u64::MAX.to_le_bytes()).is_err());
        assert!(Safetensors::parse(&100u64.to_le_bytes()).is_err());
        let odd = file(&tensor("I64", "[1]", "[0,4]"), &[0; 4]);
        let parsed = Safetensors::parse(&odd).unwrap();
        assert!(parsed.tensors[0].values(&odd, 0..1).is_err());
    }
}
