//! The folder that [`pack`](crate::pack()) makes and a training reads.
//!
//! ```text
//! tokenizer.json       what turned text into ids
//! train-00000.shard    ids by document, as many files as it takes
//! validation.shard     what is held out
//! manifest.jsonl       a line for each document: source, licence, hash, where it lies
//! report.json          what went in, what was dropped and why, how it was divided
//! ```
//!
//! A folder with this content is whole: it gets its name when all of it is written.

use crate::error::Error;
use crate::vocabulary::read_text;
use std::path::{Path, PathBuf};
use wright_data::report::Report;

pub const REPORT: &str = "report.json";
pub const MANIFEST: &str = "manifest.jsonl";
pub const TOKENIZER: &str = "tokenizer.json";

/// A packed folder that is whole, as far as names and the report tell. Shards are not opened.
#[derive(Debug, Clone)]
pub struct DataFolder {
    pub path: PathBuf,
    pub report: Report,
    pub tokenizer: PathBuf,
    pub manifest: PathBuf,
    /// Shards to learn from, in order.
    pub train: Vec<PathBuf>,
    /// Shards to measure by.
    pub validation: Vec<PathBuf>,
}

impl DataFolder {
    /// Whether a folder looks like one of packed data.
    pub fn is_one(path: &Path) -> bool {
        [REPORT, MANIFEST, TOKENIZER].iter().all(|name| path.join(name).is_file())
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// If it is not there, no packed data, of another version, or lacks a file.
    pub fn open(path: &Path) -> Result<DataFolder, Error> {
        if !path.is_dir() {
            return Err(Error::NotPacked(path.to_owned()));
        }
        let file = path.join(REPORT);
        if !file.is_file() {
            return Err(Error::NoReport(path.to_owned()));
        }
        let report = read_report(&file)?;
        let within = |names: &[String]| -> Result<Vec<PathBuf>, Error> {
            names.iter().map(|name| member(path, name)).collect()
        };
        Ok(DataFolder {
            tokenizer: member(path, TOKENIZER)?,
            manifest: member(path, MANIFEST)?,
            train: within(&report.train.shards)?,
            validation: within(&report.validation.shards)?,
            path: path.to_owned(),
            report,
        })
    }
}

/// Reads the report of packed data.
///
/// # Errors
/// If the file cannot be read, is something else, damaged, or of another version.
pub fn read_report(file: &Path) -> Result<Report, Error> {
    Report::parse(&read_text(file)?)
        .map_err(|source| Error::BadReport { path: file.to_owned(), source })
}

/// A file of the folder, which the report may not make another's.
fn member(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let is_plain = !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
    let path = folder.join(name);
    if is_plain && path.is_file() {
        return Ok(path);
    }
    Err(Error::MissingFile { folder: folder.to_owned(), name: name.to_owned() })
}
