//! The results of reading: documents, and skipped input with the reason. Nothing is dropped
//! silently.

use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

/// A document: text that belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file that it came from, as the caller named it, and the member if that is an archive.
    pub path: Arc<str>,
    /// Which document of that file, from 0.
    pub number: u64,
    pub text: String,
    pub title: Option<String>,
    /// The licence that the document itself declares.
    pub licence: Option<String>,
    /// The source that the document itself declares.
    pub source: Option<String>,
    pub encoding: Encoding,
}

/// How the bytes of a document were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "utf-16")]
    Utf16,
    /// Not UTF-8, and taken for Windows-1252, of which Latin-1 is nearly a part.
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// Some lines in UTF-8, others not.
    #[serde(rename = "mixed")]
    Mixed,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Utf16 => "utf-16",
            Encoding::Windows1252 => "windows-1252",
            Encoding::Mixed => "mixed",
        }
    }
}

/// Why a file, a member or a line was skipped, entirely or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    Empty,
    Binary,
    /// A known file format that is not supported.
    Unsupported,
    /// Truncated or damaged; what precedes the damage is kept.
    Damaged,
    /// Compressed data that unpacks to an unreasonable size.
    Bomb,
    TooLarge,
    /// A PDF without text, such as a scan, or an encrypted one.
    NoText,
    /// A line of JSONL that is not an object, or lacks the field.
    BadLine,
    Unreadable,
    Hidden,
    /// A link, or a device, a socket, a pipe.
    NoFile,
}

impl SkipReason {
    pub fn name(self) -> &'static str {
        match self {
            SkipReason::Empty => "empty",
            SkipReason::Binary => "binary",
            SkipReason::Unsupported => "unsupported",
            SkipReason::Damaged => "damaged",
            SkipReason::Bomb => "bomb",
            SkipReason::TooLarge => "too-large",
            SkipReason::NoText => "no-text",
            SkipReason::BadLine => "bad-line",
            SkipReason::Unreadable => "unreadable",
            SkipReason::Hidden => "hidden",
            SkipReason::NoFile => "no-file",
        }
    }
}

/// A result of reading a file, in the order of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Document(Document),
    Skipped {
        path: Arc<str>,
        reason: SkipReason,
        /// More about it, for people.
        detail: String,
    },
    /// A file that states the licence of its folder and everything below.
    Licence {
        folder: String,
        licence: String,
    },
    /// How a file was interpreted, if there was a choice.
    Note {
        path: Arc<str>,
        text: String,
    },
}

impl Item {
    /// What a failed read of `path` means; `some` says whether documents came before the failure.
    pub(crate) fn unreadable(path: &Arc<str>, error: &io::Error, some: bool) -> Item {
        let reason = match error.kind() {
            io::ErrorKind::QuotaExceeded => SkipReason::Bomb,
            io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound => SkipReason::Unreadable,
            io::ErrorKind::Unsupported => SkipReason::Unsupported,
            io::ErrorKind::FileTooLarge => SkipReason::TooLarge,
            _ => SkipReason::Damaged,
        };
        let kept = if some { "; the documents before it are kept" } else { "" };
        Item::Skipped { path: Arc::clone(path), reason, detail: format!("{error}{kept}") }
    }
}

/// Receives items; returning false stops reading.
pub type Sink<'a> = dyn FnMut(Item) -> bool + 'a;
