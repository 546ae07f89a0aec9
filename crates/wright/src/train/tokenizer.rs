//! `wright tokenizer train`: trains a tokenizer on text.
//!
//! The result is a tokenizer.json that Hugging Face's libraries and `wright shard` read, and
//! optionally a GGUF file without weights. Files get their names only when they are complete.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use crate::train::tally;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wright_corpus::{LearnedTokenizer, Tally, TokenizerOptions};
use wright_host::{atomic_file, units};
use wright_text::bpe_trainer::{DEFAULT_PRE, TrainedBpe};
use wright_train::Vocabulary;

/// Train a tokenizer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Train a byte-level BPE tokenizer on text, as used by GPT-2 and Llama 3
    Train(TrainArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPLANATION)]
struct TrainArgs {
    /// Files, folders (read recursively), or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Vocabulary size, including <|endoftext|> and the 256 bytes
    #[arg(long, value_name = "N", default_value_t = 4096)]
    vocab: u32,
    /// The tokenizer file to write
    #[arg(short, long, value_name = "FILE", default_value = "tokenizer.json")]
    out: PathBuf,
    /// Also write a GGUF file with the vocabulary and no weights
    #[arg(long, value_name = "FILE")]
    gguf: Option<PathBuf>,
    /// Field of JSONL or Parquet that contains the text; repeat to join several [default: text,
    /// content, body or document]
    #[arg(long, value_name = "NAME")]
    field: Vec<String>,
    /// Pre-tokenizer, by its GGUF name: gpt-2, llama-bpe, qwen2, …
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PRE)]
    pre: String,
    /// Merge only pairs that occur at least N times
    #[arg(long, value_name = "N", default_value_t = 2)]
    min_frequency: u32,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Overwrite existing files
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXPLANATION: &str = "\
Input is what `wright pack` reads: text, Markdown, HTML, PDF, JSONL and Parquet, plain, compressed
or in archives. All of it is used. `wright pack` without --tokenizer trains a tokenizer on the text
that it keeps, without duplicates, low-quality text and held-out documents.";

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.action {
        Action::Train(args) => learn(args, context),
    }
}

fn learn(args: &TrainArgs, context: &Context) -> Result<Exit, Failure> {
    let outputs: Vec<&Path> =
        [Some(&args.out), args.gguf.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
    check_free(&outputs, args.force)?;
    let started = Instant::now();
    let options = TokenizerOptions {
        n_vocab: args.vocab as usize,
        pre: args.pre.clone(),
        min_frequency: args.min_frequency.into(),
        reading: wright_data::ReadOptions { fields: args.field.clone(), ..Default::default() },
    };
    let sources = wright_corpus::find(&args.paths, &outputs)?;
    let work = context.work(args.threads);
    let LearnedTokenizer { trained, tally } =
        wright_corpus::train_tokenizer(sources, &options, &work)?;
    write(args, &trained)?;
    let seconds = started.elapsed().as_secs_f64();
    let said = match args.json {
        true => format!("{}\n", as_json(args, &trained, &tally, seconds)),
        false => terminal::shown(&summary(args, &trained, &tally, seconds)).into_owned(),
    };
    terminal::print(&said)?;
    Ok(Exit::Done)
}

/// What could not be written at the end is refused at the beginning.
fn check_free(paths: &[&Path], force: bool) -> Result<(), Failure> {
    for path in paths {
        let at = path.display();
        if path.is_dir() {
            return Err(Failure::usage(format!("{at} is a folder"))
                .hint(format!("name a file: {at}/tokenizer.json")));
        }
        if path.exists() && !force {
            return Err(Failure::usage(format!("{at} is there already"))
                .hint("use --force to replace it, or -o FILE to write elsewhere"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::new(
                Exit::NotFound,
                format!("folder not found: {}", folder.display()),
            )
            .hint(format!("create it first: mkdir -p {}", folder.display())));
        }
    }
    Ok(())
}

fn write(args: &TrainArgs, trained: &TrainedBpe) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(&trained.json())
        .map_err(|error| Failure::new(Exit::Defect, format!("the tokenizer: {error}")))?;
    // What Wright itself could not read is not written.
    let vocabulary = Vocabulary::from_json(&json, trained.n_vocab())?;
    atomic_file::replace(&args.out, |to| to.write_all(json.as_bytes()))?;
    let Some(path) = &args.gguf else { return Ok(()) };
    let bytes = vocabulary.gguf();
    Ok(atomic_file::replace(path, |to| to.write_all(&bytes))?)
}

fn bytes_a_token(trained: &TrainedBpe) -> f64 {
    trained.n_bytes() as f64 / trained.n_tokens().max(1) as f64
}

fn summary(args: &TrainArgs, trained: &TrainedBpe, tally: &Tally, seconds: f64) -> String {
    let mut said = String::new();
    // Writing to a string does not fail.
    let _ = tally::write(tally, &mut said);
    said + &format!(
        "tokenizer  {}: {} tokens, {:.2} bytes per token, {} distinct words, in {}\n",
        args.out.display(),
        trained.n_vocab(),
        bytes_a_token(trained),
        units::count(trained.n_distinct() as u64),
        units::seconds(seconds)
    )
}

fn as_json(
    args: &TrainArgs,
    trained: &TrainedBpe,
    tally: &Tally,
    seconds: f64,
) -> serde_json::Value {
    json!({
        "file": args.out, "gguf": args.gguf, "n_vocab": trained.n_vocab(),
        "merges": trained.n_merges(), "pre": trained.pre(), "files": tally.files,
        "file_bytes": tally.file_bytes, "documents": tally.found.documents,
        "text_bytes": trained.n_bytes(), "words": trained.n_words(),
        "distinct_words": trained.n_distinct(), "tokens": trained.n_tokens(),
        "bytes_per_token": bytes_a_token(trained), "skipped": tally.skipped,
        "encodings": tally.encodings, "notes": tally.notes, "seconds": seconds,
    })
}
