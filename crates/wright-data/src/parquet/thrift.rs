//! Thrift's compact protocol, in which Parquet writes its footer and the heads of its pages.
//!
//! Source: the Thrift compact protocol specification (apache/thrift, doc/specs).

use super::damaged;
use std::io;

/// Structs within structs, lists within lists, at most.
const DEPTH_MAX: usize = 32;

/// The type of a field or of a list's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    True,
    False,
    Byte,
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

impl Type {
    fn of(code: u8) -> io::Result<Type> {
        Ok(match code {
            1 => Type::True,
            2 => Type::False,
            3 => Type::Byte,
            4..=6 => Type::Int,
            7 => Type::Double,
            8 => Type::Binary,
            9 | 10 => Type::List,
            11 => Type::Map,
            12 => Type::Struct,
            13 => Type::Uuid,
            _ => return Err(damaged("an unknown Thrift type")),
        })
    }
}

/// Bytes, and how far they are read.
#[derive(Debug, Clone)]
pub(super) struct Compact<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Compact<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Compact { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, n: usize) -> io::Result<&'b [u8]> {
        let taken = self.bytes[self.at..].get(..n).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at += n;
        Ok(taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> io::Result<u64> {
        let (value, read) = super::bits::varint(&self.bytes[self.at..])?;
        self.at += read;
        Ok(value)
    }

    /// An integer of any width.
    pub fn int(&mut self) -> io::Result<i64> {
        Ok(super::bits::zigzag(self.varint()?))
    }

    /// An integer that counts something.
    pub fn count(&mut self) -> io::Result<u64> {
        u64::try_from(self.int()?).map_err(|_| damaged("a negative size"))
    }

    pub fn binary(&mut self) -> io::Result<&'b [u8]> {
        let n = usize::try_from(self.varint()?).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        self.take(n)
    }

    /// Calls `field` with the number of each field of a struct. It reads the value, or returns
    /// false without reading, and the value is skipped.
    pub fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, i64, Type) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut number = 0i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            number = match i64::from(head >> 4) {
                0 => self.int()?,
                more => number.saturating_add(more),
            };
            let kind = Type::of(head & 15)?;
            if !field(self, number, kind)? {
                self.skip(kind, 0)?;
            }
        }
    }

    /// The number of elements of a list and their type. Each takes a byte or more, so that a list
    /// cannot be longer than its bytes.
    pub fn list(&mut self) -> io::Result<(u64, Type)> {
        let head = self.byte()?;
        let n = match head >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        if n > (self.bytes.len() - self.at) as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let kind = if n == 0 { Type::Byte } else { Type::of(head & 15)? };
        Ok((n, kind))
    }

    /// A list of structs: `each` reads one. False if the field is no such list.
    pub fn structs(
        &mut self,
        kind: Type,
        mut each: impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<bool> {
        if kind != Type::List {
            return Err(damaged("a list was expected"));
        }
        let (n, kind) = self.list()?;
        if n > 0 && kind != Type::Struct {
            return Err(damaged("a list of structs was expected"));
        }
        for _ in 0..n {
            each(self)?;
        }
        Ok(true)
    }

    fn skip(&mut self, kind: Type, depth: usize) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(damaged("values nested too deeply"));
        }
        match kind {
            Type::True | Type::False => {}
            Type::Byte => drop(self.byte()?),
            Type::Int => drop(self.varint()?),
            Type::Double => drop(self.take(8)?),
            Type::Uuid => drop(self.take(16)?),
            Type::Binary => drop(self.binary()?),
            Type::List => {
                let (n, kind) = self.list()?;
                for _ in 0..n {
                    self.skip_element(kind, depth)?;
                }
            }
            Type::Map => self.skip_map(depth)?,
            Type::Struct => loop {
                let head = self.byte()?;
                if head == 0 {
                    break;
                }
                if head >> 4 == 0 {
                    self.varint()?;
                }
                self.skip(Type::of(head & 15)?, depth + 1)?;
            },
        }
        Ok(())
    }

    fn skip_map(&mut self, depth: usize) -> io::Result<()> {
        let n = self.varint()?;
        if n == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        let (key, value) = (Type::of(kinds >> 4)?, Type::of(kinds & 15)?);
        for _ in 0..n {
            self.skip_element(key, depth)?;
            self.skip_element(value, depth)?;
        }
        Ok(())
    }

    /// Truth values are a byte within lists and maps, and none in a field.
    fn skip_element(&mut self, kind: Type, depth: usize) -> io::Result<()> {
        match kind {
            Type::True | Type::False => drop(self.byte()?),
            other => self.skip(other, depth + 1)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_others_skipped() {
        // 1: 150, 3: "ab", 4: a list of two integers, 5: true, 16 (in the long form): { 1: -1 }.
        let bytes = [
            0x15, 0xac, 0x02, 0x28, 2, b'a', b'b', 0x19, 0x25, 2, 4, 0x11, 0x0c, 32, 0x15, 1, 0, 0,
        ];
        let (mut first, mut name, mut last) = (0, Vec::new(), 0);
        let mut reader = Compact::new(&bytes);
        let read = reader.fields(|r, number, kind| {
            match (number, kind) {
                (1, Type::Int) => first = r.int()?,
                (3, Type::Binary) => name = r.binary()?.to_vec(),
                (16, Type::Struct) => r.fields(|r, _, _| {
                    last = r.int()?;
                    Ok(true)
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        });
        read.unwrap();
        assert_eq!((first, name.as_slice(), last), (150, &b"ab"[..], -1));
        assert_eq!(reader.position(), bytes.len());
    }

    #[test]
    fn lists_longer_than_the_bytes_and_deep_structs_are_refused() {
        assert!(Compact::new(&[0xf5, 0xff, 0xff, 0x7f]).list().is_err());
        let deep = [0x1c; 1000];
        let error = Compact::new(&deep).fields(|_, _, _| Ok(false)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
