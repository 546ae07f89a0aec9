//! A page: its head, and its bytes, read from the file and unpacked within the budget.

use super::thrift::{Compact, Type};
use super::{damaged, unsupported};
use crate::compression::{Budget, Compression};
use crate::input::ReadSeek;
use std::io::{self, Read, SeekFrom};

/// A head is a few dozen bytes, unless it quotes the least and the greatest value.
const HEAD_BYTES: u64 = 256;
const HEAD_BYTES_MAX: u64 = 4 << 20;
/// What a byte may stand for at most in Snappy (64 bytes for 3) and in LZ4 (255 for one).
const SNAPPY_TIMES: usize = 32;
const LZ4_TIMES: usize = 256;

/// A file, and how much of it was read.
pub(super) struct Pages<'a> {
    pub file: &'a mut dyn ReadSeek,
    pub budget: &'a Budget,
    /// Of the file.
    pub bytes: u64,
    /// Pages and their heads.
    pub bytes_read: u64,
    /// A page may have.
    pub page_bytes: u64,
    pub window_bytes: u64,
}

/// What a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dictionary,
    /// Levels and values packed together, as the first version has them.
    Data,
    /// Levels before the packed values; how many bytes they take.
    Data2 {
        levels: u64,
    },
    /// An index, or what later versions may bring.
    Other,
}

/// The head of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Kind,
    pub values: u64,
    pub encoding: i64,
    pub level_encoding: i64,
    is_packed: bool,
    bytes: u64,
    bytes_in_file: u64,
    crc: Option<u32>,
}

impl Head {
    fn read(from: &mut Compact<'_>) -> io::Result<Head> {
        let mut head = Head {
            kind: Kind::Other,
            values: 0,
            encoding: -1,
            level_encoding: 3,
            is_packed: true,
            bytes: 0,
            bytes_in_file: 0,
            crc: None,
        };
        let (mut repeated, mut defined) = (0, 0);
        from.fields(|from, number, kind| {
            match (number, kind) {
                (2, Type::Int) => head.bytes = from.count()?,
                (3, Type::Int) => head.bytes_in_file = from.count()?,
                (4, Type::Int) => head.crc = Some(from.int()? as u32),
                (5, Type::Struct) => {
                    head.kind = Kind::Data;
                    head.counts(from, 2, Some(3))?;
                }
                (7, Type::Struct) => {
                    head.kind = Kind::Dictionary;
                    head.counts(from, 2, None)?;
                }
                (8, Type::Struct) => from.fields(|from, number, kind| {
                    match (number, kind) {
                        (1, Type::Int) => head.values = from.count()?,
                        (4, Type::Int) => head.encoding = from.int()?,
                        (5, Type::Int) => defined = from.count()?,
                        (6, Type::Int) => repeated = from.count()?,
                        (7, kind) => head.is_packed = kind != Type::False,
                        _ => return Ok(false),
                    }
                    head.kind = Kind::Data2 { levels: 0 };
                    Ok(true)
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if let Kind::Data2 { levels } = &mut head.kind {
            // Nothing that repeats is read, so that these have no levels.
            if repeated != 0 {
                return Err(damaged("list levels in a column without lists"));
            }
            *levels = defined;
        }
        Ok(head)
    }

    fn counts(
        &mut self,
        from: &mut Compact<'_>,
        encoding: i64,
        levels: Option<i64>,
    ) -> io::Result<()> {
        from.fields(|from, number, kind| {
            match (number, kind) {
                (1, Type::Int) => self.values = from.count()?,
                (n, Type::Int) if n == encoding => self.encoding = from.int()?,
                (n, Type::Int) if Some(n) == levels => self.level_encoding = from.int()?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

impl Pages<'_> {
    /// At most `n` bytes from `at` on, fewer at the file's end.
    pub fn bytes_at(&mut self, at: u64, n: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(at))?;
        Read::take(&mut *self.file, n).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The head of the page at `at`, and its length.
    fn head(&mut self, at: u64, to: u64) -> io::Result<(Head, u64)> {
        let most = HEAD_BYTES_MAX.min(to.saturating_sub(at));
        let mut n = HEAD_BYTES;
        loop {
            let bytes = self.bytes_at(at, n.min(most))?;
            let mut from = Compact::new(&bytes);
            match Head::read(&mut from) {
                Ok(head) => return Ok((head, from.position() as u64)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && n < most => n *= 8,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(damaged("a page beyond the end of the file"));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The page at `at`, unpacked, and where the next one begins, in a chunk that ends at `to`.
    pub fn next(&mut self, at: u64, to: u64, codec: i64) -> io::Result<(Head, Vec<u8>, u64)> {
        let (head, head_bytes) = self.head(at, to)?;
        let body = at + head_bytes;
        let next = body.checked_add(head.bytes_in_file).filter(|&next| next <= to);
        let next = next.ok_or_else(|| damaged("a page beyond the end of its column"))?;
        if head.bytes > self.page_bytes || head.bytes_in_file > self.page_bytes {
            let why = format!("a page larger than {} MB", self.page_bytes >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        // Columns that share pages would make a small file give much text.
        self.bytes_read += next - at;
        self.budget.add_raw(next - at);
        if self.bytes_read > self.bytes {
            return Err(damaged("columns that share pages"));
        }
        let packed = self.bytes_at(body, head.bytes_in_file)?;
        if packed.len() as u64 != head.bytes_in_file {
            return Err(damaged("a page beyond the end of the file"));
        }
        if head.crc.is_some_and(|crc| crc != crc32fast::hash(&packed)) {
            return Err(damaged("a page with a wrong checksum"));
        }
        Ok((head, self.unpack(&head, packed, codec)?, next))
    }

    fn unpack(&self, head: &Head, mut packed: Vec<u8>, codec: i64) -> io::Result<Vec<u8>> {
        let levels = match head.kind {
            Kind::Data2 { levels } => usize::try_from(levels).unwrap_or(usize::MAX),
            _ => 0,
        };
        let bytes = usize::try_from(head.bytes).map_err(|_| damaged("a page that is too large"))?;
        let (Some(values), Some(bytes)) = (packed.get(levels..), bytes.checked_sub(levels)) else {
            return Err(damaged("levels longer than the page"));
        };
        let unpacked = match codec {
            _ if !head.is_packed => return Ok(packed),
            0 => return Ok(packed),
            // A page of nulls has no values, and some writers pack nothing as nothing.
            _ if values.is_empty() => return Ok(packed),
            1 => self.snappy(values, bytes)?,
            2 => self.stream(Compression::Gzip, values, bytes)?,
            6 => self.stream(Compression::Zstd, values, bytes)?,
            7 => self.lz4(values, bytes)?,
            3 => return Err(unsupported("Parquet compressed with LZO")),
            4 => return Err(unsupported("Parquet compressed with Brotli")),
            5 => return Err(unsupported("Parquet compressed with the old LZ4 format")),
            _ => return Err(unsupported("Parquet with an unknown compression")),
        };
        if unpacked.len() != bytes {
            return Err(damaged("a page with a wrong length"));
        }
        if levels == 0 {
            return Ok(unpacked);
        }
        packed.truncate(levels);
        packed.extend_from_slice(&unpacked);
        Ok(packed)
    }

    fn snappy(&self, packed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        let says = snap::raw::decompress_len(packed).map_err(|_| damaged("invalid Snappy data"))?;
        if says != bytes || bytes > packed.len().saturating_mul(SNAPPY_TIMES) {
            return Err(damaged("a page with a wrong length"));
        }
        self.budget.spend(bytes as u64)?;
        snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| damaged("invalid Snappy data"))
    }

    fn lz4(&self, packed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        if bytes > packed.len().saturating_mul(LZ4_TIMES) {
            return Err(damaged("a page with a wrong length"));
        }
        self.budget.spend(bytes as u64)?;
        lz4_flex::block::decompress(packed, bytes).map_err(|_| damaged("invalid LZ4 data"))
    }

    fn stream(&self, compression: Compression, packed: &[u8], bytes: usize) -> io::Result<Vec<u8>> {
        let mut unpacked = Vec::new();
        let from = self.budget.unpacked(compression.open(packed, self.window_bytes));
        from.take(bytes as u64 + 1).read_to_end(&mut unpacked)?;
        Ok(unpacked)
    }
}
