//! The vocabulary of a tokenizer.json.

use crate::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wright_train::Vocabulary;

/// No tokenizer.json and no report is so long.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Reads a tokenizer.json of byte-level BPE for a model of `n_vocab` tokens, or of as many as it
/// has.
///
/// # Errors
/// If it cannot be read, or is no such tokenizer.
pub fn read_vocabulary(path: &Path, n_vocab: Option<usize>) -> Result<Vocabulary, Error> {
    let text = read_text(path)?;
    Vocabulary::from_json(&text, n_vocab.unwrap_or(usize::MAX))
        .map_err(|source| Error::BadTokenizer { path: path.to_owned(), source })
}

/// A text file of bounded size.
///
/// # Errors
/// If it is not there, not UTF-8, or too long.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let mut bytes = Vec::new();
    let read = file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::io("read", path, error))?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned(), bytes_max: TEXT_BYTES_MAX });
    }
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        Error::NotUtf8 { path: path.to_owned(), byte }
    })
}
