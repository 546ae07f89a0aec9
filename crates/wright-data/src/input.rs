//! What the reader of every format takes: the bytes, and how they are to be read.

use crate::document::{Item, SkipReason};
use std::io::{Read, Seek};
use std::sync::Arc;

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The line that stands between documents of a text; `<|endoftext|>` if there is none.
    pub separator: Option<String>,
    /// Fields of JSONL that hold the text, joined by blank lines; if none, the first of `text`,
    /// `content`, `body` and `document`.
    pub fields: Vec<String>,
    /// Longer documents are cut.
    pub document_bytes: usize,
    /// HTML, PDF and JSON files, a page of Parquet, and archives and tables within others, are held
    /// in memory up to this size.
    pub file_bytes: u64,
    /// Memory that a compressed stream may ask for.
    pub window_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            separator: None,
            fields: Vec::new(),
            document_bytes: 16 << 20,
            file_bytes: 256 << 20,
            window_bytes: 256 << 20,
        }
    }
}

/// A file that can be read from any offset.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Where bytes come from.
pub enum Input<'a> {
    /// Bytes that come once, such as a pipe.
    Stream(&'a mut dyn Read),
    /// Bytes with an end that can be reached at once: formats with a directory at the end need it.
    File(&'a mut dyn ReadSeek),
}

/// All bytes of a stream, if there are at most `bytes_max`.
///
/// # Errors
/// The item that says why `path` is skipped: it is longer, or cannot be read.
pub(crate) fn read_whole(
    path: &Arc<str>,
    from: &mut dyn Read,
    bytes_max: u64,
) -> Result<Vec<u8>, Box<Item>> {
    let mut bytes = Vec::new();
    match from.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes) {
        Err(error) => Err(Box::new(Item::unreadable(path, &error, false))),
        Ok(n) if n as u64 > bytes_max => {
            let detail = format!("larger than the limit of {} MB for such a file", bytes_max >> 20);
            let path = Arc::clone(path);
            Err(Box::new(Item::Skipped { path, reason: SkipReason::TooLarge, detail }))
        }
        Ok(_) => Ok(bytes),
    }
}
