//! The texts that were kept, one after the other in a file, so that memory need not hold them.

use crate::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use wright_host::Mapped;

/// The file while it grows. Earlier texts can be read again.
pub struct Spool {
    to: BufWriter<File>,
    from: File,
    path: PathBuf,
    len: u64,
    flushed: u64,
}

impl Spool {
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Spool, Error> {
        let failed = |error: io::Error| Error::io("make", path, error);
        let to = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
        let from = File::open(path).map_err(failed)?;
        Ok(Spool { to, from, path: path.to_owned(), len: 0, flushed: 0 })
    }

    /// Adds a text. Returns where it begins.
    ///
    /// # Errors
    /// If the disk is full, or writing fails otherwise.
    pub fn push(&mut self, text: &str) -> Result<u64, Error> {
        let at = self.len;
        self.to.write_all(text.as_bytes()).map_err(|e| Error::io("write", &self.path, e))?;
        self.len += text.len() as u64;
        Ok(at)
    }

    /// A text that was added before.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, at: u64, len: usize) -> Result<String, Error> {
        let path = self.path.clone();
        let failed = |error: io::Error| Error::io("read", &path, error);
        if at + len as u64 > self.flushed {
            self.to.flush().map_err(failed)?;
            self.flushed = self.len;
        }
        self.from.seek(SeekFrom::Start(at)).map_err(failed)?;
        let mut bytes = vec![0; len];
        self.from.read_exact(&mut bytes).map_err(failed)?;
        String::from_utf8(bytes).map_err(|error| failed(io::Error::other(error)))
    }

    /// The texts, to be read by many at once.
    ///
    /// # Errors
    /// If what is left cannot be written, or the file cannot be mapped.
    pub fn finish(mut self) -> Result<Texts, Error> {
        self.to.flush().map_err(|error| Error::io("write", &self.path, error))?;
        drop(self.to);
        Ok(Texts { map: Mapped::open(&self.path)?, path: self.path })
    }
}

/// All texts; the file goes when this does.
pub struct Texts {
    map: Mapped,
    path: PathBuf,
}

impl Texts {
    /// The text at a place.
    ///
    /// # Errors
    /// If the file changed behind our back.
    pub fn get(&self, range: Range<u64>) -> Result<&str, Error> {
        let all: &[u8] = self.map.as_ref();
        let bytes = all.get(range.start as usize..range.end as usize);
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.ok_or_else(|| {
            let error = io::Error::other("it changed while in use");
            Error::io("read", &self.path, error)
        })
    }

    /// What was read so far need not stay in memory.
    pub fn forget(&self, range: Range<u64>) {
        self.map.forget(range.start as usize..range.end as usize);
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
