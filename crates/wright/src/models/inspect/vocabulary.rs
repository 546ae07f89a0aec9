//! A file that holds a vocabulary and nothing else: a GGUF without weights, or a tokenizer.json.

use super::{list, metadata_object, splitting};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::vocabulary::FileVocabulary;
use crate::terminal;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use wright_host::units;

/// The vocabulary of a file that holds nothing else.
///
/// # Errors
/// If the file cannot be read, or is neither GGUF nor a tokenizer.json.
pub fn alone(path: &Path) -> Result<Option<FileVocabulary>, Failure> {
    Ok(Some(FileVocabulary::open(path)?).filter(FileVocabulary::is_bare))
}

/// Tells what it is.
///
/// # Errors
/// If it cannot be used, or nothing can be printed.
pub fn show(vocabulary: &FileVocabulary, path: &Path, as_json: bool) -> Result<Exit, Failure> {
    let tokenizer = vocabulary.tokenizer()?;
    let n_vocab = tokenizer.n_vocab();
    let n_control = (0..n_vocab as u32).filter(|&id| tokenizer.is_control(id)).count();
    let (kind, pre) = vocabulary.kind();
    if as_json {
        let object = json!({
            "vocabulary_only": true, "n_vocab": n_vocab, "n_control": n_control,
            "merges": vocabulary.n_merges(), "tokenizer": kind, "pre": pre,
            "metadata": vocabulary.metadata().map(metadata_object),
        });
        terminal::print(&format!("{object}\n"))?;
        return Ok(Exit::Done);
    }
    let form = if vocabulary.metadata().is_some() { "GGUF" } else { "tokenizer.json" };
    let mut text = String::new();
    let mut row = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:14} {value}");
    };
    row("file", format!("a vocabulary without weights ({form}), for tokenizing only"));
    row("tokenizer", splitting(kind, pre));
    row(
        "tokens",
        format!("{n_vocab}, including {}", units::number_of(n_control as u64, "control token")),
    );
    row("merges", vocabulary.n_merges().to_string());
    row("try", format!("wright tokenize -m {} \"some text\"", path.display()));
    if let Some(metadata) = vocabulary.metadata() {
        list(&mut text, metadata);
    }
    terminal::print(&terminal::shown(&text))?;
    Ok(Exit::Done)
}
