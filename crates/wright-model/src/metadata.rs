//! The typed key-value pairs of a GGUF file, read where they lie.
//!
//! Nothing long is copied: strings and arrays stay in the file, and a view is made when one is
//! asked for. Bounds were checked by the parser, so that views cannot fail.

use crate::{Bytes, Error};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The type of a value, with GGUF's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    Str = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        use ValueType::*;
        let all = [U8, I8, U16, I16, U32, I32, F32, Bool, Str, Array, U64, I64, F64];
        all.into_iter().find(|&t| t as u32 == id)
    }

    /// Bytes of a value of fixed size; None for strings and arrays.
    pub(crate) fn size(self) -> Option<usize> {
        use ValueType::*;
        match self {
            U8 | I8 | Bool => Some(1),
            U16 | I16 => Some(2),
            U32 | I32 | F32 => Some(4),
            U64 | I64 | F64 => Some(8),
            Str | Array => None,
        }
    }

    /// What inspection prints.
    pub fn name(self) -> &'static str {
        use ValueType::*;
        match self {
            U8 => "u8",
            I8 => "i8",
            U16 => "u16",
            I16 => "i16",
            U32 => "u32",
            I32 => "i32",
            F32 => "f32",
            Bool => "bool",
            Str => "str",
            Array => "array",
            U64 => "u64",
            I64 => "i64",
            F64 => "f64",
        }
    }
}

/// A value, borrowed from the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Str(&'a str),
    Array(Array<'a>),
}

impl Value<'_> {
    /// Any whole number that fits, whatever width the writer chose.
    fn as_u32(self) -> Option<u32> {
        match self {
            Value::Unsigned(v) => u32::try_from(v).ok(),
            Value::Signed(v) => u32::try_from(v).ok(),
            _ => None,
        }
    }

    fn as_f32(self) -> Option<f32> {
        match self {
            Value::Float(v) => Some(v as f32),
            Value::Unsigned(v) => Some(v as f32),
            Value::Signed(v) => Some(v as f32),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(v) => write!(f, "{v}"),
            Value::Signed(v) => write!(f, "{v}"),
            Value::Float(v) => write!(f, "{}", *v as f32),
            Value::Bool(v) => write!(f, "{v}"),
            Value::Str(v) => f.write_str(v),
            Value::Array(a) => write!(f, "{} x {}", a.len(), a.value_type().name()),
        }
    }
}

/// An array, borrowed from the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    of: ValueType,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn value_type(&self) -> ValueType {
        self.of
    }

    /// The elements of an array of numbers or bools; nothing for strings and nested arrays.
    pub fn numbers(self) -> impl ExactSizeIterator<Item = Value<'a>> {
        let size = self.of.size();
        let bytes = if size.is_some() { self.bytes } else { &[] };
        bytes.chunks_exact(size.unwrap_or(1)).map(move |b| fixed_value(self.of, b))
    }

    /// The elements of an array of strings, which need not be UTF-8; nothing for other types.
    pub fn strings(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = if self.of == ValueType::Str { self.bytes } else { &[] };
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<8>()?;
            let (string, tail) = tail.split_at_checked(u64::from_le_bytes(*len) as usize)?;
            rest = tail;
            Some(string)
        })
    }
}

/// Where a value lies in the file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub of: ValueType,
    /// For an array: the type of its elements and their number.
    pub array: Option<(ValueType, usize)>,
    /// The value itself, without length prefixes of the outermost level.
    pub at: Range<usize>,
}

/// All key-value pairs of a file, in its order.
#[derive(Clone)]
pub struct Metadata {
    bytes: Arc<dyn Bytes>,
    entries: Vec<(String, Entry)>,
    index: HashMap<String, usize>,
}

impl Metadata {
    pub(crate) fn new(bytes: Arc<dyn Bytes>) -> Self {
        Metadata { bytes, entries: Vec::new(), index: HashMap::new() }
    }

    /// False if the key is there already.
    pub(crate) fn insert(&mut self, key: String, entry: Entry) -> bool {
        if self.index.insert(key.clone(), self.entries.len()).is_some() {
            return false;
        }
        self.entries.push((key, entry));
        true
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), self.view(entry)))
    }

    /// Keys with type and value as they stand in a file, in the file's order.
    pub(crate) fn encoded(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.entries.iter().map(|(key, entry)| {
            let value = &(*self.bytes).as_ref()[entry.at.clone()];
            let mut out = (entry.of as u32).to_le_bytes().to_vec();
            match (entry.of, entry.array) {
                (ValueType::Str, _) => out.extend((value.len() as u64).to_le_bytes()),
                (_, Some((of, len))) => {
                    out.extend((of as u32).to_le_bytes());
                    out.extend((len as u64).to_le_bytes());
                }
                _ => {}
            }
            out.extend(value);
            (key.clone(), out)
        })
    }

    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        Some(self.view(&self.entries[*self.index.get(key)?].1))
    }

    /// None if there is no such key or its value is not a string.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// None if there is no such key or its value is not a whole number that fits.
    pub fn u32(&self, key: &str) -> Option<u32> {
        self.get(key)?.as_u32()
    }

    /// None if there is no such key or its value is not a number.
    pub fn f32(&self, key: &str) -> Option<f32> {
        self.get(key)?.as_f32()
    }

    /// None if there is no such key or its value is not a bool.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    pub fn array(&self, key: &str) -> Option<Array<'_>> {
        match self.get(key)? {
            Value::Array(a) => Some(a),
            _ => None,
        }
    }

    /// The elements of an array of strings (bytes: tokens need not be UTF-8). None if there is no
    /// such key or its value is not an array of strings.
    pub fn strings(&self, key: &str) -> Option<impl Iterator<Item = &[u8]>> {
        self.array(key).filter(|a| a.of == ValueType::Str).map(Array::strings)
    }

    /// The elements of an array of numbers as f32.
    pub fn f32s(&self, key: &str) -> Option<Vec<f32>> {
        self.array(key)?.numbers().map(Value::as_f32).collect()
    }

    /// The elements of an array of whole numbers, each of which fits.
    pub fn u32s(&self, key: &str) -> Option<Vec<u32>> {
        self.array(key)?.numbers().map(Value::as_u32).collect()
    }

    /// As [`Metadata::u32`], but a value of another type is an error.
    pub(crate) fn u32_checked(&self, key: &str) -> Result<Option<u32>, Error> {
        match self.get(key) {
            None => Ok(None),
            Some(v) => v.as_u32().map(Some).ok_or_else(|| wrong(key, "a whole number", v)),
        }
    }

    /// As [`Metadata::f32`], but a value of another type or not finite is an error.
    pub(crate) fn f32_checked(&self, key: &str) -> Result<Option<f32>, Error> {
        let Some(v) = self.get(key) else { return Ok(None) };
        match v.as_f32() {
            Some(x) if x.is_finite() => Ok(Some(x)),
            _ => Err(wrong(key, "a finite number", v)),
        }
    }

    fn view<'a>(&'a self, entry: &Entry) -> Value<'a> {
        let bytes = &(*self.bytes).as_ref()[entry.at.clone()];
        match (entry.of, entry.array) {
            (ValueType::Array, Some((of, len))) => Value::Array(Array { of, len, bytes }),
            // The parser checked that it is UTF-8.
            (ValueType::Str, _) => Value::Str(std::str::from_utf8(bytes).unwrap_or_default()),
            (of, _) => fixed_value(of, bytes),
        }
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn wrong(key: &str, want: &str, got: Value<'_>) -> Error {
    Error::metadata(key, format!("should be {want}, but is {got}"))
}

/// `bytes` has the size of `of`.
fn fixed_value<'a>(of: ValueType, bytes: &[u8]) -> Value<'a> {
    let mut wide = [0; 8];
    wide[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
    let raw = u64::from_le_bytes(wide);
    match of {
        ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64 => Value::Unsigned(raw),
        ValueType::I8 => Value::Signed(i64::from(raw as i8)),
        ValueType::I16 => Value::Signed(i64::from(raw as i16)),
        ValueType::I32 => Value::Signed(i64::from(raw as i32)),
        ValueType::I64 => Value::Signed(raw as i64),
        ValueType::F32 => Value::Float(f64::from(f32::from_bits(raw as u32))),
        ValueType::F64 => Value::Float(f64::from_bits(raw)),
        ValueType::Bool => Value::Bool(raw != 0),
        ValueType::Str => Value::Str(""),
        ValueType::Array => Value::Array(Array { of: ValueType::U8, len: 0, bytes: &[] }),
    }
}
