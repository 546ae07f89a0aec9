//! Why a corpus could not be made or opened.

use std::io;
use std::path::{Path, PathBuf};
use wright_data::report::{Dropped, ReportError, Skipped};
use wright_host::units;

/// A failure of reading, packing or training a tokenizer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read, made or written.
    #[error(transparent)]
    Host(#[from] wright_host::Error),
    /// Token ids do not make a shard.
    #[error(transparent)]
    Shard(#[from] wright_train::Error),
    /// A tokenizer cannot be trained as it was asked for.
    #[error(transparent)]
    Tokenizer(#[from] wright_text::Error),
    /// A file is not a tokenizer that can be used.
    #[error("{}: {source}", path.display())]
    BadTokenizer { path: PathBuf, source: wright_train::Error },
    /// The text gives fewer pairs that come often enough than there were to be merged.
    #[error(
        "the text is too short for {wanted} tokens: no pair occurs {min_frequency} times after \
         {n_vocab}"
    )]
    TooFewPairs { wanted: usize, n_vocab: usize, min_frequency: u64 },
    /// What was found holds no text to learn from.
    #[error("there is no text to learn from{}", in_words(skipped))]
    NoText { skipped: Vec<Skipped> },
    /// What is left is too little to train on and to hold some of it out.
    #[error("{}{}{}", amount(*bytes), dropped_in_words(dropped), in_words(skipped))]
    TooLittleText { bytes: u64, dropped: Vec<Dropped>, skipped: Vec<Skipped> },
    /// A text file is not UTF-8.
    #[error("{} is not UTF-8 text: byte {byte} cannot be", path.display())]
    NotUtf8 { path: PathBuf, byte: usize },
    /// A file is larger than any of its kind is.
    #[error("{} is longer than {} MiB", path.display(), bytes_max >> 20)]
    TooLarge { path: PathBuf, bytes_max: u64 },
    /// The path that is to be made has no last part.
    #[error("{} is not a valid folder name", .0.display())]
    NoFolderName(PathBuf),
    /// The folder is there; `is_packed` says whether it is one of packed data.
    #[error("{} already exists", path.display())]
    Exists { path: PathBuf, is_packed: bool },
    /// The folder in which data is packed before it has its name belongs to something else.
    #[error("{} is not a folder", .0.display())]
    InTheWay(PathBuf),
    #[error("another process is packing into {}", .0.display())]
    Busy(PathBuf),
    #[error("{} is not a folder of packed data", .0.display())]
    NotPacked(PathBuf),
    #[error("{} holds no report.json", .0.display())]
    NoReport(PathBuf),
    #[error("{}: {source}", path.display())]
    BadReport { path: PathBuf, source: ReportError },
    /// The report names a file that is not there, or not in the folder.
    #[error("{} is missing its file `{name}`", folder.display())]
    MissingFile { folder: PathBuf, name: String },
    #[error("interrupted")]
    Interrupted,
    /// The thread that reads ended with a panic, which has been reported.
    #[error("reading ended with a defect")]
    ReaderPanicked,
}

impl Error {
    /// `action` (a verb such as "read") failed on `path`.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        wright_host::Error::io(action, path, source).into()
    }
}

fn amount(bytes: u64) -> String {
    match bytes {
        0 => "no text to train on".to_owned(),
        n => format!("{n} bytes of text are not enough for training and held-out documents"),
    }
}

fn dropped_in_words(all: &[Dropped]) -> String {
    let documents: u64 = all.iter().map(|dropped| dropped.documents).sum();
    let reasons: Vec<&str> = all.iter().map(|dropped| dropped.reason.name()).collect();
    match documents {
        0 => String::new(),
        n => format!("; {} dropped ({})", units::number_of(n, "document"), reasons.join(", ")),
    }
}

/// What was passed over, with an example of each reason.
fn in_words(all: &[Skipped]) -> String {
    let one = |skipped: &Skipped| {
        let example = skipped.examples.first().map(String::as_str).unwrap_or_default();
        format!("{} {} ({example})", skipped.files, skipped.reason.name())
    };
    let all: Vec<String> = all.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!("; skipped: {}", all.join(", ")) }
}
