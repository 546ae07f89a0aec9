//! `wright shard`: text to token ids, in the form that `wright train` reads.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal::{self, stdin};
use serde_json::json;
use std::path::{Path, PathBuf};
use wright_host::{atomic_file, units};
use wright_train::Vocabulary;
use wright_train::shard::ShardBuilder;

/// Turn text files into one shard of token IDs, without filtering
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files with UTF-8 text; each is one document unless --split is given
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A tokenizer.json with byte-level BPE, or `bytes` for one token per byte
    #[arg(short, long, value_name = "FILE|bytes")]
    tokenizer: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Line that separates documents within a file, such as "<|endoftext|>"
    #[arg(long, value_name = "LINE")]
    split: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args) -> Result<Exit, Failure> {
    let vocabulary = match args.tokenizer.as_str() {
        "bytes" => Vocabulary::Bytes,
        path => wright_corpus::read_vocabulary(Path::new(path), None)?,
    };
    let encoder = vocabulary.encoder()?;
    let n_vocab = vocabulary.n_vocab();
    let mut builder = ShardBuilder::new(n_vocab, vocabulary.hash())?;
    let (mut n_docs, mut n_ids, mut n_bytes) = (0u64, 0u64, 0u64);
    for path in &args.files {
        let text = stdin::file(path)?;
        n_bytes += text.len() as u64;
        for document in documents(&text, args.split.as_deref()) {
            let ids = encoder.document(document);
            builder.push(&ids)?;
            n_docs += 1;
            n_ids += ids.len() as u64;
        }
    }
    if n_docs == 0 {
        return Err(Failure::new(Exit::BadInput, "no text to train on")
            .hint("the files are empty or contain only white space"));
    }
    let bytes = builder.finish();
    atomic_file::replace(&args.out, |to| to.write_all(&bytes))?;
    let said = match args.json {
        true => format!(
            "{}\n",
            json!({
                "file": args.out, "documents": n_docs, "tokens": n_ids, "n_vocab": n_vocab,
                "text_bytes": n_bytes,
            })
        ),
        false => format!(
            "{}: {}, {} tokens from a vocabulary of {n_vocab}, {:.2} bytes per token\n",
            args.out.display(),
            units::number_of(n_docs, "document"),
            units::count(n_ids),
            n_bytes as f64 / n_ids as f64
        ),
    };
    terminal::print(&said)?;
    Ok(Exit::Done)
}

/// The pieces of `text` between lines that are `separator`; those of blanks are left out.
fn documents<'t>(text: &'t str, separator: Option<&str>) -> Vec<&'t str> {
    let mut all = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if separator.is_some_and(|separator| line.trim() == separator.trim()) {
            all.push(&text[start..at]);
            start = at + line.len();
        }
        at += line.len();
    }
    all.push(&text[start..]);
    all.retain(|document| !document.trim().is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_what_stands_between_separators() {
        let text = "one\nmore\n--\n\n--\ntwo";
        assert_eq!(documents(text, Some("--")), ["one\nmore\n", "two"]);
        assert_eq!(documents(text, None), [text]);
        assert!(documents(" \n", None).is_empty());
    }
}
