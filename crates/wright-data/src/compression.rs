//! Compressed streams, unpacked layer by layer within a budget: the output is at most a fixed
//! multiple of the input, which stops decompression bombs.

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

/// Text of a person is rarely compressed to a twentieth.
const TIMES_MAX: u64 = 200;
/// Allowed in any case.
const SPARE_BYTES: u64 = 16 << 20;

/// Bytes that went in and came out, over all layers of one file.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    raw: Cell<u64>,
    unpacked: Cell<u64>,
}

impl Budget {
    /// `from`, counted as bytes of the file.
    pub fn raw<R: Read>(&self, from: R) -> Raw<'_, R> {
        Raw { from, budget: self }
    }

    /// Counts bytes of the file that are read by other ways.
    pub fn add_raw(&self, n: u64) {
        self.raw.set(self.raw.get().saturating_add(n));
    }

    /// Counts `n` bytes that were unpacked.
    ///
    /// # Errors
    /// `QuotaExceeded` beyond the budget.
    pub fn spend(&self, n: u64) -> io::Result<()> {
        self.unpacked.set(self.unpacked.get().saturating_add(n));
        let most = self.raw.get().saturating_mul(TIMES_MAX).saturating_add(SPARE_BYTES);
        if self.unpacked.get() > most {
            let why = format!("it unpacks to more than {TIMES_MAX} times its size");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
        }
        Ok(())
    }

    /// `from`, counted as bytes that were unpacked: fails with `QuotaExceeded` beyond the budget.
    pub fn unpacked<R: Read>(&self, from: R) -> Unpacked<'_, R> {
        Unpacked { from, budget: self }
    }
}

pub(crate) struct Raw<'b, R> {
    from: R,
    budget: &'b Budget,
}

impl<R: Read> Read for Raw<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.budget.add_raw(n as u64);
        Ok(n)
    }
}

pub(crate) struct Unpacked<'b, R> {
    from: R,
    budget: &'b Budget,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.budget.spend(n as u64)?;
        Ok(n)
    }
}

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By the first bytes of a stream.
    pub fn of(head: &[u8]) -> Option<Compression> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// What the stream holds. `window_bytes` bounds the memory that the stream may ask for.
    pub fn open<'r>(self, from: impl Read + 'r, window_bytes: u64) -> Box<dyn Read + 'r> {
        let from = BufReader::with_capacity(1 << 16, from);
        match self {
            Compression::Gzip => Box::new(MultiGzDecoder::new(from)),
            Compression::Xz => {
                let most_kib = u32::try_from(window_bytes >> 10).unwrap_or(u32::MAX - 1);
                Box::new(XzReader::new_mem_limit(from, true, most_kib))
            }
            Compression::Zstd => Box::new(Zstd::Between(from, window_bytes)),
        }
    }

    /// A file's name without the ending that says how it is compressed.
    pub fn inner_name(self, name: &str) -> String {
        let lower = name.to_ascii_lowercase();
        for (ending, inner) in [(".tgz", ".tar"), (".txz", ".tar"), (".tzst", ".tar")] {
            if lower.ends_with(ending) {
                return format!("{}{inner}", &name[..name.len() - ending.len()]);
            }
        }
        for ending in [".gz", ".xz", ".zst", ".zstd"] {
            if lower.ends_with(ending) {
                return name[..name.len() - ending.len()].to_owned();
            }
        }
        name.to_owned()
    }
}

/// Frames of Zstandard, one after the other.
enum Zstd<R: BufRead> {
    Between(R, u64),
    Within(Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>, u64),
    Done,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Zstd::Done) {
                Zstd::Done => return Ok(0),
                Zstd::Between(mut from, window) => {
                    if from.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let opened = StreamingDecoder::new_with_max_window_size(from, window);
                    let opened = opened.map_err(io::Error::other)?;
                    *self = Zstd::Within(Box::new(opened), window);
                }
                Zstd::Within(mut frame, window) => match frame.read(to)? {
                    0 if !to.is_empty() => *self = Zstd::Between(frame.into_inner(), window),
                    n => {
                        *self = Zstd::Within(frame, window);
                        return Ok(n);
                    }
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacking_stops_at_the_budget() {
        let budget = Budget::default();
        budget.add_raw(10);
        let mut endless = budget.unpacked(io::repeat(b'a'));
        let error = io::copy(&mut endless, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        assert!(budget.unpacked.get() < SPARE_BYTES + 100_000);
    }

    #[test]
    fn endings_are_taken_off() {
        assert_eq!(Compression::Gzip.inner_name("a.jsonl.gz"), "a.jsonl");
        assert_eq!(Compression::Gzip.inner_name("a.TGZ"), "a.tar");
        assert_eq!(Compression::Xz.inner_name("plain"), "plain");
    }
}
