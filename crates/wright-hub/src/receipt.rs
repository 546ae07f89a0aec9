//! What is remembered of each fetched file: what it was asked for as, from where, its licence.
//!
//! A small JSON file for each, in a hidden folder beside the models. Nothing depends on it but the
//! answer to "is this reference here already?": a lost one costs a download.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use wright_host::atomic_file;

/// One fetched file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// File in the folder of models.
    pub file: String,
    /// What it was asked for as, in its canonical spelling.
    pub reference: String,
    pub source: String,
    pub bytes: u64,
    /// Of the file as it was put in place.
    pub sha256: String,
    pub licence: String,
}

fn folder(models: &Path) -> PathBuf {
    models.join(".about")
}

fn path(models: &Path, file: &str) -> PathBuf {
    folder(models).join(format!("{file}.json"))
}

impl Receipt {
    /// # Errors
    /// As the file system says.
    pub fn write(&self, models: &Path) -> Result<(), Error> {
        let path = path(models, &self.file);
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        Ok(atomic_file::write(&path, text.as_bytes())?)
    }
}

/// What is remembered of a file in the folder of models.
pub fn of(models: &Path, file: &str) -> Option<Receipt> {
    let text = fs::read_to_string(path(models, file)).ok()?;
    serde_json::from_str(&text).ok()
}

pub fn forget(models: &Path, file: &str) {
    let _ = fs::remove_file(path(models, file));
}

/// The file that was fetched for `reference`, if it is here in its full length.
pub fn find(models: &Path, reference: &str) -> Option<(Receipt, PathBuf)> {
    let entries = fs::read_dir(folder(models)).into_iter().flatten().flatten();
    let receipts = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        serde_json::from_str::<Receipt>(&text).ok()
    });
    receipts.filter(|receipt| receipt.reference.eq_ignore_ascii_case(reference)).find_map(
        |receipt| {
            // The name stands in a file that anyone may have edited: it must be a plain one.
            let path = models.join(Path::new(&receipt.file).file_name()?);
            let is_whole =
                fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == receipt.bytes);
            is_whole.then_some((receipt, path))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_while_its_file_is_whole() {
        let models = tempfile::tempdir().unwrap();
        let receipt = Receipt {
            file: "x.gguf".into(),
            reference: "hf:o/r:Q8_0".into(),
            bytes: 4,
            ..Receipt::default()
        };
        receipt.write(models.path()).unwrap();
        assert_eq!(find(models.path(), "hf:o/r:Q8_0"), None, "its file is not there");
        fs::write(models.path().join("x.gguf"), "GGUF").unwrap();
        assert_eq!(find(models.path(), "hf:o/r:q8_0").unwrap().0, receipt);
        fs::write(models.path().join("x.gguf"), "GG").unwrap();
        assert_eq!(find(models.path(), "hf:o/r:Q8_0"), None);
        forget(models.path(), "x.gguf");
        assert_eq!(of(models.path(), "x.gguf"), None);
    }
}
