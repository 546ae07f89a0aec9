//! The description of a packed folder: a manifest with one line per document, and a report.
//!
//! Other programs read both, so fields are only ever added.

use crate::document::SkipReason;
use crate::quality::Reason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The `format` and `version` of a report.
pub const FORMAT: &str = "wright-data";
pub const VERSION: u32 = 1;

/// The half of the data that a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Validation,
}

/// A line of the manifest: a document as it was packed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 0, in the order of the input.
    pub id: u64,
    /// The file, and the member of the archive.
    pub source: String,
    /// Which document of that file, from 0.
    pub number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the document said of where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// An SPDX expression or the words of the source; `unknown` if nobody said.
    pub licence: String,
    /// Where the licence was stated.
    pub licence_from: LicenceFrom,
    /// Bytes of its text in UTF-8.
    pub bytes: u64,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Where it is a part of a larger document: its first byte there, and that document's hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<PartOf>,
    /// Bytes of paragraphs that the document lost, since earlier ones have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boilerplate_bytes: Option<u64>,
    pub split: Split,
    /// The shard's file, and the document's number there.
    pub shard: String,
    pub index: u64,
    /// With the one that ends it.
    pub tokens: u64,
}

/// A part's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    pub sha256: String,
    pub from_byte: u64,
}

/// Who stated a licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LicenceFrom {
    /// The document: a field, front matter, an SPDX line, a link.
    Document,
    /// A licence file in its folder or above.
    Folder,
    /// The command line.
    Option,
    Nobody,
}

/// Documents, and what they come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub documents: u64,
    pub bytes: u64,
    #[serde(default)]
    pub tokens: u64,
}

impl Amount {
    pub fn add(&mut self, bytes: u64, tokens: u64) {
        self.documents += 1;
        self.bytes += bytes;
        self.tokens += tokens;
    }
}

/// Documents that were dropped for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    pub reason: Reason,
    pub meaning: String,
    pub documents: u64,
    pub bytes: u64,
    pub examples: Vec<Example>,
}

/// A dropped document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub source: String,
    pub number: u64,
    pub bytes: u64,
    /// How it begins.
    pub text: String,
    /// The document that it repeats, and how much of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<String>,
}

/// Paragraphs that many documents have, which stay in the first of them and go from the others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Boilerplate {
    /// How many different ones went.
    pub paragraphs: u64,
    /// Documents that lost one or more, and bytes that they lost.
    pub documents: u64,
    pub bytes: u64,
    /// Those that took the most bytes.
    pub examples: Vec<Repeat>,
}

/// A paragraph that went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// The document that keeps it.
    pub source: String,
    pub number: u64,
    /// Times that it went, and bytes of them together.
    pub times: u64,
    pub bytes: u64,
    /// How it begins.
    pub text: String,
}

/// Files, members and lines that were passed over for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    pub reason: SkipReason,
    pub files: u64,
    /// The first of them, with what is known.
    pub examples: Vec<String>,
}

/// One half of the data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    #[serde(flatten)]
    pub amount: Amount,
    /// Files, in order.
    pub shards: Vec<String>,
}

/// How the data was divided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Divided {
    /// The part that was to be held out.
    pub holdout: f64,
    /// In words.
    pub how: String,
    /// Sections of larger documents among what is held out.
    pub sections: u64,
    /// Units that were not held out since they also stand elsewhere.
    pub passed_over: u64,
}

/// What text was turned into ids by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokenizer {
    pub n_vocab: usize,
    /// What shards know it by, in hexadecimal digits.
    pub hash: String,
    /// `trained`, `bytes`, or the file that was given.
    pub from: String,
    /// Bytes of text that it was trained on; 0 if it was not trained here.
    pub trained_on_bytes: u64,
}

/// The options that affect the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub paths: Vec<String>,
    pub tokenizer: Option<String>,
    #[serde(default)]
    pub vocab: Option<usize>,
    pub holdout: f64,
    pub licence: Option<String>,
    pub split: Option<String>,
    pub fields: Vec<String>,
    pub filters: bool,
    pub keep_duplicates: bool,
    #[serde(default)]
    pub keep_boilerplate: bool,
}

/// `report.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub format: String,
    pub version: u32,
    /// The program that wrote it.
    pub program: String,
    pub settings: Settings,
    /// Files that were looked at, and their bytes as they are on disk.
    pub files: u64,
    pub file_bytes: u64,
    /// Documents that were found, before anything was dropped.
    pub found: Amount,
    pub dropped: Vec<Dropped>,
    #[serde(default)]
    pub boilerplate: Boilerplate,
    pub skipped: Vec<Skipped>,
    /// How documents were encoded.
    pub encodings: BTreeMap<String, u64>,
    /// How files were taken, where that was a choice.
    pub notes: Vec<String>,
    pub split: Divided,
    pub train: Half,
    pub validation: Half,
    pub tokenizer: Tokenizer,
    /// By licence and by file; beyond a hundred files, the smaller ones together as `others`.
    pub licences: BTreeMap<String, Amount>,
    pub sources: BTreeMap<String, Amount>,
}

/// Why a file cannot be read as a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportError {
    /// It is not JSON, or not of the form.
    Damaged(String),
    /// It is something else.
    Foreign,
    /// It is of another version, whose number this is as it stands there.
    Version(String),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Damaged(why) => f.write_str(why),
            ReportError::Foreign => f.write_str("it is not a report of packed data"),
            ReportError::Version(theirs) => {
                write!(f, "it has version {theirs}; this program reads version {VERSION}")
            }
        }
    }
}

impl std::error::Error for ReportError {}

impl Report {
    /// Reads `report.json`.
    ///
    /// # Errors
    /// If it is not a report, of another version, or damaged.
    pub fn parse(text: &str) -> Result<Report, ReportError> {
        let damaged = |error: serde_json::Error| ReportError::Damaged(error.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
        if value["format"] != FORMAT {
            return Err(ReportError::Foreign);
        }
        if value["version"] != VERSION {
            return Err(ReportError::Version(value["version"].to_string()));
        }
        serde_json::from_value(value).map_err(damaged)
    }
}

/// What a table of a report says by name, that of the most text first.
pub fn largest_first(table: &BTreeMap<String, Amount>) -> Vec<(&str, Amount)> {
    let mut rows: Vec<(&str, Amount)> = table.iter().map(|(name, n)| (&**name, *n)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.1.bytes));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_another_version_or_another_program_says_so() {
        assert_eq!(Report::parse("{}"), Err(ReportError::Foreign));
        let later = r#"{"format":"wright-data","version":2,"new":[]}"#;
        let error = Report::parse(later).unwrap_err();
        assert_eq!(error, ReportError::Version("2".into()));
        assert!(error.to_string().contains("version 2; this program reads version 1"));
        let lacking = Report::parse(r#"{"format":"wright-data","version":1}"#).unwrap_err();
        assert!(lacking.to_string().contains("missing field"), "{lacking}");
        assert!(matches!(Report::parse("{\"format"), Err(ReportError::Damaged(_))));
    }

    #[test]
    fn a_report_from_before_boilerplate_was_taken_out_is_read() {
        let old = r#"{"format":"wright-data","version":1,"program":"wright 0.1.0","settings":{
            "paths":["in"],"tokenizer":null,"holdout":0.1,"licence":null,"split":null,"fields":[],
            "filters":true,"keep_duplicates":false},"files":1,"file_bytes":2,
            "found":{"documents":1,"bytes":2},"dropped":[],"skipped":[],"encodings":{},"notes":[],
            "split":{"holdout":0.1,"how":"x","sections":0,"passed_over":0},
            "train":{"documents":1,"bytes":2,"tokens":3,"shards":["a"]},
            "validation":{"documents":0,"bytes":0,"tokens":0,"shards":[]},
            "tokenizer":{"n_vocab":257,"hash":"0","from":"bytes","trained_on_bytes":0},
            "licences":{"MIT":{"documents":1,"bytes":2,"tokens":3}},"sources":{}}"#;
        let report = Report::parse(old).unwrap();
        assert_eq!(
            (report.boilerplate.clone(), report.train.amount.tokens),
            (Boilerplate::default(), 3)
        );
        let again = serde_json::to_string(&report).unwrap();
        assert_eq!(Report::parse(&again), Ok(report));
    }
}
