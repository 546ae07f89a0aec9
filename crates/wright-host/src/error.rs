//! What can go wrong between a program and its machine.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the file system or of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `action` is a verb such as "read".
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// The file was written to while it was mapped.
    #[error("{} changed while in use", .0.display())]
    Changed(PathBuf),
    /// The file is there and was not to be replaced.
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    #[error(
        "the disk of {} has {} free; {} are needed",
        folder.display(),
        crate::units::bytes(*free_bytes),
        crate::units::bytes(*needed_bytes)
    )]
    NoSpace { folder: PathBuf, free_bytes: u64, needed_bytes: u64 },
}

impl Error {
    /// `action` (a verb such as "read") failed on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        Error::Io { action, path: path.to_owned(), source }
    }

    /// Whether the file or folder does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
