//! What to pack, and how.

use std::path::PathBuf;
use wright_data::ReadOptions;

/// What [`pack`](crate::pack()) makes of which input.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Files and folders; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// The folder to make.
    pub out: PathBuf,
    /// A tokenizer.json of byte-level BPE, or `bytes`; if none, one is trained.
    pub tokenizer: Option<String>,
    /// Tokens of the one that is trained; if none, as suits the amount of text.
    pub vocab: Option<usize>,
    /// The part of the text that is held out, 0 to 1.
    pub holdout: f64,
    /// The license of documents that neither state one themselves nor lie beside one.
    pub licence: Option<String>,
    pub reading: ReadOptions,
    /// Drops documents that are short, garbled or full of repetition.
    pub filters: bool,
    pub keep_duplicates: bool,
    pub keep_boilerplate: bool,
    /// Whether a folder of packed data may be replaced.
    pub replace: bool,
}

impl PackOptions {
    /// What is packed where nobody says otherwise.
    pub fn new(paths: Vec<PathBuf>, out: PathBuf) -> PackOptions {
        PackOptions {
            paths,
            out,
            tokenizer: None,
            vocab: None,
            holdout: 0.015,
            licence: None,
            reading: ReadOptions::default(),
            filters: true,
            keep_duplicates: false,
            keep_boilerplate: false,
            replace: false,
        }
    }
}
