//! The vocabulary of a file: what turning text into ids needs of it, and no more.
//!
//! Any GGUF file that has one will do, with or without weights, of a family that can be run or not;
//! and so will a tokenizer.json.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal::stdin;
use std::path::Path;
use std::sync::Arc;
use wright_host::Mapped;
use wright_model::{Bytes, Gguf, Metadata};
use wright_text::{Pieces, Tokenizer};

/// Where a vocabulary was found.
pub enum FileVocabulary {
    Gguf(Gguf),
    Json(Pieces),
}

impl FileVocabulary {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is neither GGUF nor a tokenizer.json that can be used.
    pub fn open(path: &Path) -> Result<FileVocabulary, Failure> {
        let mapped = Arc::new(Mapped::open(path)?);
        let file: &[u8] = (*mapped).as_ref();
        if file.trim_ascii_start().starts_with(b"{") {
            let pieces = Pieces::read_all(&stdin::file(path)?);
            return pieces.map(FileVocabulary::Json).map_err(|error| {
                let what = format!("{}: {error}", path.display());
                Failure::new(Exit::BadInput, what)
                    .hint("use a .gguf file or a tokenizer.json with byte-level or character BPE")
            });
        }
        let gguf = Gguf::parse_part(&(mapped as Arc<dyn Bytes>));
        gguf.map(FileVocabulary::Gguf).map_err(|error| Failure::from(error).in_file(path))
    }

    /// The vocabulary of a GGUF file, if it is one.
    pub fn of(mapped: &Arc<Mapped>) -> Option<FileVocabulary> {
        let bytes: Arc<dyn Bytes> = Arc::clone(mapped) as Arc<dyn Bytes>;
        Gguf::parse_part(&bytes).ok().map(FileVocabulary::Gguf)
    }

    /// Whether there is a vocabulary, and there are no weights.
    pub fn is_bare(&self) -> bool {
        match self {
            FileVocabulary::Json(_) => true,
            FileVocabulary::Gguf(gguf) => {
                // The first file of a split model may have its weights in the others.
                let is_whole = gguf.metadata.u32("split.count").is_none_or(|n| n <= 1);
                let tokens = gguf.metadata.strings("tokenizer.ggml.tokens");
                is_whole
                    && gguf.tensors.is_empty()
                    && tokens.is_some_and(|mut t| t.next().is_some())
            }
        }
    }

    /// What turns text into its ids.
    ///
    /// # Errors
    /// If it has no vocabulary, one that is damaged, or one of a kind that is not known.
    pub fn tokenizer(&self) -> Result<Tokenizer, Failure> {
        Ok(match self {
            FileVocabulary::Gguf(gguf) => wright_run::tokenizer_of(&gguf.metadata)?,
            FileVocabulary::Json(pieces) => {
                pieces.tokenizer().map_err(wright_run::LoadError::from)?
            }
        })
    }

    /// The name of its algorithm, and of what cuts text into words, if there is one.
    pub fn kind(&self) -> (&str, Option<&str>) {
        match self {
            FileVocabulary::Gguf(gguf) => {
                let text = |key: &str| gguf.metadata.str(&format!("tokenizer.ggml.{key}"));
                (text("model").unwrap_or("none"), text("pre"))
            }
            FileVocabulary::Json(pieces) => {
                (pieces.model, Some(pieces.pre).filter(|pre| !pre.is_empty()))
            }
        }
    }

    pub fn n_merges(&self) -> usize {
        match self {
            FileVocabulary::Gguf(gguf) => {
                gguf.metadata.strings("tokenizer.ggml.merges").map_or(0, Iterator::count)
            }
            FileVocabulary::Json(pieces) => pieces.merges.len(),
        }
    }

    /// The metadata that stand beside it; a tokenizer.json has none.
    pub fn metadata(&self) -> Option<&Metadata> {
        match self {
            FileVocabulary::Gguf(gguf) => Some(&gguf.metadata),
            FileVocabulary::Json(_) => None,
        }
    }
}
