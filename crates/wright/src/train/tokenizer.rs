//! `wright tokenizer train`: a vocabulary of one's own, learnt from one's own text.
//!
//! The result is a tokenizer.json that Hugging Face's libraries and `wright shard` read, and on
//! wish the same as a GGUF file without weights. Nothing has its name before it is whole.

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

/// Make a tokenizer
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Learn a vocabulary from text: byte-level BPE, as GPT-2 and Llama 3 have it
    Train(TrainArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPLANATION)]
struct TrainArgs {
    /// Files, folders with all that is below them, or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Tokens that the vocabulary shall have, <|endoftext|> and the 256 bytes included
    #[arg(long, value_name = "N", default_value_t = 4096)]
    vocab: u32,
    /// The tokenizer to write
    #[arg(short, long, value_name = "FILE", default_value = "tokenizer.json")]
    out: PathBuf,
    /// Write it as a GGUF file without weights, too
    #[arg(long, value_name = "FILE")]
    gguf: Option<PathBuf>,
    /// The field of JSONL or Parquet that holds the text; several are joined [default: text,
    /// content, body, document]
    #[arg(long, value_name = "NAME")]
    field: Vec<String>,
    /// How text is cut to words: gpt-2, llama-bpe, qwen2, … (names of GGUF)
    #[arg(long, value_name = "NAME", default_value = DEFAULT_PRE)]
    pre: String,
    /// Merge pairs that came at least so often
    #[arg(long, value_name = "N", default_value_t = 2)]
    min_frequency: u32,
    /// Threads to count with [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXPLANATION: &str = "\
It reads what `wright pack` reads: text, Markdown, HTML, PDF, JSONL and Parquet; plain, compressed
or in archives. It learns from all of it. `wright pack` without --tokenizer trains one on what it
keeps: without copies, text that teaches nothing and what is held out.";

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
                .hint("--force replaces it, -o FILE names another"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::new(Exit::NotFound, format!("no folder {}", folder.display()))
                .hint(format!("make it first: mkdir -p {}", folder.display())));
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
        "tokenizer  {}: {} tokens, {:.2} bytes of text each, {} distinct words, in {}\n",
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
