//! What can go wrong with the memory.

use std::path::PathBuf;
use thiserror::Error;

/// A failure of the store. It names what and why; advice on commands is the caller's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The file or its folder cannot be opened, created or written.
    #[error("cannot open {path}: {reason}")]
    Open { path: PathBuf, reason: String },
    /// A database of another program.
    #[error("{path} is a database of another program, not a Wright log")]
    Foreign { path: PathBuf },
    /// A log of the program `llm`, which can be imported but not opened.
    #[error("{path} is a log of `llm`, not a Wright log")]
    LlmLog { path: PathBuf },
    /// Written by a version of Wright that this one does not know.
    #[error("{path} has schema version {found}; this version of Wright reads up to {supported}")]
    Newer { path: PathBuf, found: i64, supported: i64 },
    /// Not a database, or a damaged one.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// Another process held the database for longer than the store waits.
    #[error("the database is locked by another process")]
    Busy,
    /// No space left on the disk.
    #[error("the disk is full")]
    Full,
    /// The file or the file system cannot be written.
    #[error("the database is read-only")]
    ReadOnly,
    /// No such conversation, turn, fragment, schema or attachment.
    #[error("no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    /// A search that is not a full-text query.
    #[error("invalid search `{query}`: {reason}")]
    BadQuery { query: String, reason: String },
    /// Something given to the store is outside its limits.
    #[error("{0}")]
    TooLarge(String),
    /// A stored value is not of the form that this version writes.
    #[error("stored value cannot be read: {0}")]
    Malformed(String),
    /// Reading or writing a file beside the database failed.
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: std::io::Error },
    /// Any other failure of the database.
    #[error("database error: {0}")]
    Database(String),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Error::Corrupt(text),
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Error::Busy,
            Some(Code::DiskFull) => Error::Full,
            Some(Code::ReadOnly) => Error::ReadOnly,
            Some(Code::TooBig) => Error::TooLarge("value too large for the database".to_owned()),
            _ => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..) => Error::Malformed(text),
                _ => Error::Database(text),
            },
        }
    }
}

impl Error {
    /// Something that was looked up and is not there.
    pub(crate) fn not_found(what: &'static str, id: impl Into<String>) -> Self {
        Error::NotFound { what, id: id.into() }
    }

    /// Whether waiting and trying again may help.
    pub fn is_busy(&self) -> bool {
        matches!(self, Error::Busy)
    }
}
