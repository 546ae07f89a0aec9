//! The settings that Wright keeps between runs, in one JSON file.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use wright_host::atomic_file;

/// What is remembered. Unknown fields of a newer version are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The model that answers when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    /// Names that the person gave to models: what each stands for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    #[serde(flatten)]
    pub others: serde_json::Map<String, serde_json::Value>,
}

impl Settings {
    /// Reads the file; nothing there means nothing is remembered.
    ///
    /// # Errors
    /// If the file cannot be read or is not JSON object.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::io("read", path, &error)),
        };
        serde_json::from_str(&text).map_err(|error| {
            Failure::new(Exit::BadInput, format!("{} is not valid: {error}", path.display()))
                .hint("fix it or delete it; `wright models default NAME` rewrites it")
        })
    }

    /// # Errors
    /// If the file cannot be written; what stood there before is then still whole.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::new(Exit::Defect, format!("settings: {error}")))?;
        text.push('\n');
        Ok(atomic_file::write(path, text.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_unknown_ones_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("settings.json");
        assert_eq!(Settings::read(&path).unwrap(), Settings::default());
        atomic_file::write(&path, br#"{"later": [1], "default_model": "a"}"#).unwrap();
        let mut settings = Settings::read(&path).unwrap();
        assert_eq!(settings.default_model.as_deref(), Some("a"));
        settings.default_model = Some("b".into());
        settings.write(&path).unwrap();
        let again = Settings::read(&path).unwrap();
        assert_eq!(again.default_model.as_deref(), Some("b"));
        assert_eq!(again.others["later"][0], 1);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing left over");
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "{").unwrap();
        let failure = Settings::read(&path).unwrap_err();
        assert_eq!(failure.exit, Exit::BadInput);
        assert!(failure.what.contains("settings.json"));
    }
}
