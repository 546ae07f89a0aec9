//! The GGUF container: header, typed metadata and the table of tensors.
//!
//! Reads version 2 and 3, little-endian, in one file. Every count, length and offset is checked
//! against the length of the file before anything is allocated or looked at, so that bytes from
//! anywhere give an error and never a panic. What the tensors mean is not known here.

use crate::metadata::{Entry, Metadata, ValueType};
use crate::overlap;
use crate::{Bytes, Error};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use wright_kernels::DType;

/// Nested arrays deeper than this are refused.
const DEPTH_MAX: usize = 4;
/// ggml's own limit.
const DIMS_MAX: usize = 4;

/// A tensor as the file's table gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    pub name: String,
    /// Fastest-varying first, as GGUF has it: a matrix is `[k, n]`.
    pub dims: Vec<usize>,
    pub dtype: DType,
    /// Where its bytes lie in the file; inside it, and of exactly the right length.
    pub at: Range<usize>,
    /// Which part of a split model that file is; 0 for all others.
    pub part: usize,
}

impl TensorInfo {
    /// Length of a row: inputs of a linear map.
    pub fn k(&self) -> usize {
        self.dims[0]
    }

    /// Number of rows, over all outer dimensions.
    pub fn n(&self) -> usize {
        self.dims[1..].iter().product()
    }

    pub fn n_values(&self) -> usize {
        self.dims.iter().product()
    }

    /// Such as `576 x 49152`.
    pub fn shape(&self) -> String {
        shape(&self.dims)
    }
}

pub(crate) fn shape(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

/// A parsed GGUF file.
///
/// ```
/// use std::sync::Arc;
/// use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader};
/// use wright_model::{Bytes, DType, Gguf};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut header = GgufHeader::new();
/// header.set("general.architecture", &Field::Str("llama".into()));
/// let (name, dims) = ("output.weight".into(), vec![4, 2]);
/// header.tensors.push(TensorHeader { name, dims, dtype: DType::F16 });
/// let mut file = Vec::new();
/// header.write(&mut file, &|_| vec![0.5; 8])?;
///
/// let bytes: Arc<dyn Bytes> = Arc::new(file);
/// let gguf = Gguf::parse(&bytes)?;
/// assert_eq!(gguf.metadata.str("general.architecture"), Some("llama"));
/// assert_eq!(gguf.tensors[0].shape(), "4 x 2");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gguf {
    pub version: u32,
    pub alignment: usize,
    pub metadata: Metadata,
    /// In the file's order.
    pub tensors: Vec<TensorInfo>,
}

impl Gguf {
    /// Reads the header of `bytes`. Allocates at most a small multiple of their length.
    ///
    /// # Errors
    /// If the bytes are not GGUF, are truncated or inconsistent, or contain an unsupported tensor
    /// type.
    pub fn parse(bytes: &Arc<dyn Bytes>) -> Result<Gguf, Error> {
        let gguf = Gguf::parse_part(bytes)?;
        check_split(&gguf.metadata)?;
        Ok(gguf)
    }

    /// As [`Gguf::parse`]; the file may be a part of a split model.
    ///
    /// # Errors
    /// As [`Gguf::parse`].
    pub fn parse_part(bytes: &Arc<dyn Bytes>) -> Result<Gguf, Error> {
        let mut reader = Reader { bytes: (**bytes).as_ref(), at: 0 };
        let version = read_version(&mut reader)?;
        let n_tensors = reader.u64("the header")?;
        let n_entries = reader.u64("the header")?;
        // The least that one can take: a key of no bytes, a type and one byte of value.
        reader.check_count("the number of metadata entries", n_entries, 8 + 4 + 1)?;
        // Name, dimensions, type, offset.
        reader.check_count("the number of tensors", n_tensors, 8 + 4 + 8 + 4 + 8)?;
        let mut metadata = Metadata::new(Arc::clone(bytes));
        for index in 0..n_entries {
            let (key, entry) = reader.entry(index)?;
            if !metadata.insert(key.clone(), entry) {
                return Err(Error::metadata(key, "occurs twice"));
            }
        }
        let alignment = read_alignment(&metadata)?;
        let mut tensors = Vec::new();
        let mut offsets = Vec::new();
        let mut names = HashSet::new();
        for index in 0..n_tensors {
            let (tensor, offset) = reader.tensor(index)?;
            if !names.insert(tensor.name.clone()) {
                return Err(Error::malformed(format!("tensor {}", tensor.name), "it occurs twice"));
            }
            tensors.push(tensor);
            offsets.push(offset);
        }
        let start = reader.at.checked_next_multiple_of(alignment).unwrap_or(usize::MAX);
        for (tensor, offset) in tensors.iter_mut().zip(offsets) {
            if !offset.is_multiple_of(alignment) {
                let why = format!("its offset {offset} is not a multiple of {alignment}");
                return Err(Error::malformed(format!("tensor {}", tensor.name), why));
            }
            place(tensor, start, offset, reader.bytes.len())?;
        }
        overlap::check(tensors.iter().map(|tensor| (tensor.name.as_str(), &tensor.at)))?;
        Ok(Gguf { version, alignment, metadata, tensors })
    }
}

impl Gguf {
    /// Reads the parts of a split model, in order, as if they were one file: the metadata of the
    /// first, and the tensors of all.
    ///
    /// # Errors
    /// As [`Gguf::parse`], and if a part is missing, out of order or of another model.
    pub fn parse_parts(parts: &[Arc<dyn Bytes>]) -> Result<Gguf, Error> {
        if let [whole] = parts {
            return Gguf::parse(whole);
        }
        let mut parsed = parts.iter().map(Gguf::parse_part).enumerate();
        let Some((_, first)) = parsed.next() else {
            return Err(Error::malformed("the split model", "a part is missing"));
        };
        let mut all = first?;
        check_part(&all.metadata, 0, parts.len())?;
        for (index, part) in parsed {
            let part = part?;
            check_part(&part.metadata, index, parts.len())?;
            all.tensors.extend(part.tensors.into_iter().map(|t| TensorInfo { part: index, ..t }));
        }
        let mut names = HashSet::new();
        if let Some(twice) = all.tensors.iter().find(|t| !names.insert(t.name.as_str())) {
            let what = format!("tensor {}", twice.name);
            return Err(Error::malformed(what, "it occurs in two parts"));
        }
        let said = all.metadata.u32("split.tensors.count").map(|n| n as usize);
        if let Some(n) = said.filter(|&n| n != all.tensors.len()) {
            let why = format!("it has {} tensors, expected {n}", all.tensors.len());
            return Err(Error::malformed("the split model", why));
        }
        Ok(all)
    }
}

/// Whether a file is part `index` of `count`.
fn check_part(metadata: &Metadata, index: usize, count: usize) -> Result<(), Error> {
    let number = |key: &str| metadata.u32(key).map(|n| n as usize);
    let (no, of) = (number("split.no"), number("split.count"));
    if no == Some(index) && of == Some(count) {
        return Ok(());
    }
    let why = format!("it declares itself {no:?} of {of:?}, counted from 0");
    Err(Error::malformed(format!("part {} of {count}", index + 1), why))
}

fn read_version(reader: &mut Reader<'_>) -> Result<u32, Error> {
    let magic = reader.bytes.get(..4).unwrap_or(reader.bytes);
    if magic != b"GGUF" {
        return Err(not_gguf(reader.bytes));
    }
    reader.at = 4;
    let version = reader.u32("the header")?;
    match version {
        2 | 3 => Ok(version),
        1 => Err(Error::Version { version, why: "its header has another layout" }),
        v if v.swap_bytes() <= 0xFFFF && v > 0xFFFF => {
            Err(Error::Version { version: v.swap_bytes(), why: "the file is big-endian" })
        }
        _ => Err(Error::Version { version, why: "only versions 2 and 3 are supported" }),
    }
}

/// Says what the file is instead, where its first bytes tell.
fn not_gguf(bytes: &[u8]) -> Error {
    let begin = &bytes[..bytes.len().min(16)];
    let hint = if bytes.is_empty() {
        "the file is empty: download it again"
    } else if [b"ggjt", b"tjgg", b"ggmf", b"fmgg", b"lmgg", b"ggml"]
        .iter()
        .any(|m| begin.starts_with(*m))
    {
        "it is a GGML file from before GGUF: get the model as GGUF"
    } else if begin.starts_with(b"version https://") || begin.starts_with(b"version ") {
        "it is a Git LFS pointer, not the file itself: fetch it with git lfs pull"
    } else if begin.starts_with(b"<") {
        "it is a web page: the URL does not serve the file itself"
    } else if begin.starts_with(b"PK") {
        "it is a zip archive (a PyTorch checkpoint, perhaps): get the model as GGUF"
    } else if begin.get(8) == Some(&b'{') {
        "it looks like a safetensors file: convert it to GGUF first"
    } else {
        "use a model in GGUF format"
    };
    Error::NotGguf { begins: format!("\"{}\"", begin.escape_ascii()), hint }
}

fn check_split(metadata: &Metadata) -> Result<(), Error> {
    let count = metadata.u32("split.count").unwrap_or(0);
    if count > 1 {
        let no = metadata.u32("split.no").unwrap_or(0).saturating_add(1);
        return Err(Error::Split { no, count });
    }
    Ok(())
}

fn read_alignment(metadata: &Metadata) -> Result<usize, Error> {
    let alignment = metadata.u32_checked("general.alignment")?.unwrap_or(32);
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        let why = format!("is {alignment}, but must be a power of two of at most 2^20");
        return Err(Error::metadata("general.alignment", why));
    }
    Ok(alignment as usize)
}

/// Moves the tensor's range to its place in the file, `offset` after `start`.
fn place(tensor: &mut TensorInfo, start: usize, offset: usize, len: usize) -> Result<(), Error> {
    let size = tensor.at.len();
    let end = start.checked_add(offset).and_then(|from| from.checked_add(size));
    match end {
        Some(end) if end <= len => tensor.at = end - size..end,
        _ => {
            let what = format!("the data of tensor {}", tensor.name);
            return Err(Error::Truncated { what, len });
        }
    }
    Ok(())
}

/// A place in the bytes; every step is checked.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else {
            return Err(Error::Truncated { what: what.into(), len: self.bytes.len() });
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Error> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn u64(&mut self, what: &str) -> Result<u64, Error> {
        let low = u64::from(self.u32(what)?);
        Ok(low | u64::from(self.u32(what)?) << 32)
    }

    fn len(&mut self, what: &str) -> Result<usize, Error> {
        let len = self.u64(what)?;
        usize::try_from(len)
            .map_err(|_| Error::malformed(what, format!("the length {len} is impossible")))
    }

    /// Whether `count` things of at least `least` bytes can follow.
    fn check_count(&self, what: &str, count: u64, least: u64) -> Result<(), Error> {
        let left = (self.bytes.len() - self.at) as u64;
        if count > left / least {
            let why = format!("{count} do not fit into the remaining {left} bytes");
            return Err(Error::malformed(what, why));
        }
        Ok(())
    }

    fn string(&mut self, what: &str) -> Result<(&'a str, Range<usize>), Error> {
        let len = self.len(what)?;
        let bytes = self.take(len, what)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::malformed(what, "it is not valid UTF-8"))?;
        Ok((text, self.at - len..self.at))
    }

    fn entry(&mut self, index: u64) -> Result<(String, Entry), Error> {
        let (key, _) = self.string(&format!("the key of metadata entry {index}"))?;
        let what = format!("metadata {key}");
        let of = self.value_type(&what)?;
        let (array, at) = match of {
            ValueType::Str => (None, self.string(&what)?.1),
            ValueType::Array => {
                let of = self.value_type(&what)?;
                let len = self.len(&what)?;
                let from = self.at;
                self.skip_elements(of, len, DEPTH_MAX, &what)?;
                (Some((of, len)), from..self.at)
            }
            fixed => {
                let size = fixed.size().unwrap_or(0);
                self.take(size, &what)?;
                (None, self.at - size..self.at)
            }
        };
        Ok((key.to_owned(), Entry { of, array, at }))
    }

    fn value_type(&mut self, what: &str) -> Result<ValueType, Error> {
        let id = self.u32(what)?;
        ValueType::from_id(id)
            .ok_or_else(|| Error::malformed(what, format!("there is no value type {id}")))
    }

    fn skip_elements(
        &mut self,
        of: ValueType,
        len: usize,
        depth: usize,
        what: &str,
    ) -> Result<(), Error> {
        if let Some(size) = of.size() {
            let n_bytes = len.saturating_mul(size);
            self.take(n_bytes, what)?;
            return Ok(());
        }
        self.check_count(what, len as u64, 8)?;
        for _ in 0..len {
            if of == ValueType::Str {
                let n_bytes = self.len(what)?;
                self.take(n_bytes, what)?;
                continue;
            }
            if depth == 0 {
                return Err(Error::malformed(what, "arrays are nested too deeply"));
            }
            let inner = self.value_type(what)?;
            let n = self.len(what)?;
            self.skip_elements(inner, n, depth - 1, what)?;
        }
        Ok(())
    }

    /// Reads one row of the tensor table: a tensor that lies at 0 until [`place`], and its offset.
    fn tensor(&mut self, index: u64) -> Result<(TensorInfo, usize), Error> {
        let (name, _) = self.string(&format!("the name of tensor {index}"))?;
        let what = format!("tensor {name}");
        let n_dims = self.u32(&what)? as usize;
        if n_dims == 0 || n_dims > DIMS_MAX {
            let why = format!("it has {n_dims} dimensions; 1 to {DIMS_MAX} are allowed");
            return Err(Error::malformed(what, why));
        }
        let mut dims = Vec::with_capacity(n_dims);
        for _ in 0..n_dims {
            dims.push(self.len(&what)?);
        }
        let id = self.u32(&what)?;
        let offset = self.len(&what)?;
        let dtype = DType::from_ggml(id).ok_or_else(|| unknown_type(name, id))?;
        // Outer dimensions of 1 mean nothing.
        while dims.len() > 1 && dims.last() == Some(&1) {
            dims.pop();
        }
        if dims.contains(&0) {
            return Err(Error::malformed(what, format!("its shape is {}", shape(&dims))));
        }
        let n_rows = dims[1..].iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let n_values = n_rows.and_then(|n| n.checked_mul(dims[0]));
        let Some(row) = dtype.row_bytes(dims[0]) else {
            let why = format!(
                "rows of {} values cannot be stored as {dtype}, whose blocks have {}",
                dims[0],
                dtype.block_len()
            );
            return Err(Error::malformed(what, why));
        };
        let size = n_values.and(n_rows).and_then(|n| n.checked_mul(row));
        let Some(size) = size else {
            return Err(Error::malformed(what, format!("{} is too large", shape(&dims))));
        };
        Ok((TensorInfo { name: name.to_owned(), dims, dtype, at: 0..size, part: 0 }, offset))
    }
}

/// Names of ggml types that are not (or no longer) read here.
fn unknown_type(tensor: &str, id: u32) -> Error {
    const NOT_YET: &str = "this version does not read";
    const REMOVED: &str = "was removed from GGUF";
    const NOT_STORED: &str = "is not a type for weights";
    let (name, why) = match id {
        4 => ("Q4_2", REMOVED),
        5 => ("Q4_3", REMOVED),
        9 => ("Q8_1", NOT_STORED),
        15 => ("Q8_K", NOT_STORED),
        24 => ("I8", NOT_STORED),
        25 => ("I16", NOT_STORED),
        26 => ("I32", NOT_STORED),
        27 => ("I64", NOT_STORED),
        28 => ("F64", NOT_YET),
        31 => ("Q4_0_4_4", REMOVED),
        32 => ("Q4_0_4_8", REMOVED),
        33 => ("Q4_0_8_8", REMOVED),
        36 => ("IQ4_NL_4_4", REMOVED),
        37 => ("IQ4_NL_4_8", REMOVED),
        38 => ("IQ4_NL_8_8", REMOVED),
        _ => ("", "this version does not know"),
    };
    let dtype = if name.is_empty() { format!("type {id}") } else { format!("{name} (type {id})") };
    Error::TensorType { tensor: tensor.into(), dtype, why }
}
