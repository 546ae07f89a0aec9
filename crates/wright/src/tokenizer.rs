//! `wright tokenizer train`: a vocabulary of one's own, learnt from one's own text.
//!
//! The result is a tokenizer.json that Hugging Face's libraries and `wright shard` read, and on
//! wish the same as a GGUF file without weights. Nothing has its name before it is whole.

mod texts;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::{Count, Progress};
use crate::{disk, terminal, train, units};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use texts::Texts;
use wright_text::Error;
use wright_text::bpe_trainer::{BpeTrainer, DEFAULT_PRE, TrainedBpe};
use wright_train::Vocabulary;

/// Ends every document.
const END: &str = "<|endoftext|>";

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
struct TrainArgs {
    /// Files or folders of text; `-` is standard input
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
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let n_threads = args.threads.map_or_else(all, usize::from);
    let trainer = BpeTrainer::new(&args.pre, n_threads).map_err(failure)?;
    let mut trainer = trainer.min_frequency(args.min_frequency.into());
    let texts = Texts::find(&args.paths)?;
    read(&texts, &mut trainer, context)?;
    if trainer.n_bytes() == 0 {
        return Err(Failure::new(Exit::BadInput, "there is no text to learn from")
            .hint("the files are empty, or none of them is text"));
    }
    let trained = merge(args, trainer, context)?;
    check_size(args, &trained)?;
    write(args, &trained)?;
    let seconds = started.elapsed().as_secs_f64();
    let said = match args.json {
        true => format!("{}\n", as_json(args, &trained, &texts, seconds)),
        false => summary(args, &trained, seconds),
    };
    terminal::print(&said)?;
    Ok(Exit::Done)
}

fn check_free(paths: &[&Path], force: bool) -> Result<(), Failure> {
    match paths.iter().find(|path| path.exists() && !force) {
        Some(path) => Err(Failure::usage(format!("{} is there already", path.display()))
            .hint("--force replaces it, -o FILE names another")),
        None => Ok(()),
    }
}

fn read(texts: &Texts, trainer: &mut BpeTrainer, context: &Context) -> Result<(), Failure> {
    let mut progress = Progress::start("reading", texts.n_bytes(), Count::Bytes);
    let read = texts.each(&mut |text| {
        trainer.feed(text);
        progress.set(trainer.n_bytes());
        match context.interrupt.is_set() {
            true => Err(Failure::interrupted()),
            false => Ok(()),
        }
    });
    progress.finish();
    let skipped = read?;
    if skipped > 0 {
        terminal::note(&format!("{skipped} files are no UTF-8 text and were left out"));
    }
    Ok(())
}

fn merge(args: &TrainArgs, trainer: BpeTrainer, context: &Context) -> Result<TrainedBpe, Failure> {
    let mut progress = Progress::start("merging", args.vocab.into(), Count::Things("tokens"));
    let trained = trainer.train_watched(args.vocab as usize, &[END], &mut |n_vocab| {
        progress.set(n_vocab as u64);
        !context.interrupt.is_set()
    });
    progress.finish();
    trained.map_err(failure)
}

/// A vocabulary smaller than what was asked for is refused: a model's shape hangs on its size.
fn check_size(args: &TrainArgs, trained: &TrainedBpe) -> Result<(), Failure> {
    let n = trained.n_vocab();
    if n == args.vocab as usize {
        return Ok(());
    }
    let what = format!(
        "the text is too small for {} tokens: no pair comes {} times after {n}",
        args.vocab, args.min_frequency
    );
    Err(Failure::new(Exit::BadInput, what)
        .hint(format!("--vocab {n}, more text, or a smaller --min-frequency")))
}

fn write(args: &TrainArgs, trained: &TrainedBpe) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(&trained.json())
        .map_err(|error| Failure::new(Exit::Defect, format!("the tokenizer: {error}")))?;
    // What Wright itself could not read is not written.
    let vocabulary = Vocabulary::from_json(&json, trained.n_vocab()).map_err(train::failure)?;
    disk::replace(&args.out, |to| to.write_all(json.as_bytes()))
        .map_err(|error| Failure::io("write", &args.out, &error))?;
    let Some(path) = &args.gguf else { return Ok(()) };
    let bytes = vocabulary.gguf();
    disk::replace(path, |to| to.write_all(&bytes))
        .map_err(|error| Failure::io("write", path, &error))
}

fn failure(error: Error) -> Failure {
    let hint = error.hint();
    let failure = match error {
        Error::Stopped => return Failure::interrupted(),
        Error::UnknownPretokenizer(_) | Error::VocabularyTooSmall { .. } => Failure::usage(error),
        _ => Failure::new(Exit::BadInput, error),
    };
    Failure { hint, ..failure }
}

fn bytes_a_token(trained: &TrainedBpe) -> f64 {
    trained.n_bytes() as f64 / trained.n_tokens().max(1) as f64
}

fn summary(args: &TrainArgs, trained: &TrainedBpe, seconds: f64) -> String {
    format!(
        "{}: {} tokens, {:.2} bytes of text each, from {} and {} distinct words, in {}\n",
        args.out.display(),
        trained.n_vocab(),
        bytes_a_token(trained),
        units::bytes(trained.n_bytes()),
        units::count(trained.n_distinct() as u64),
        units::seconds(seconds)
    )
}

fn as_json(
    args: &TrainArgs,
    trained: &TrainedBpe,
    texts: &Texts,
    seconds: f64,
) -> serde_json::Value {
    json!({
        "file": args.out, "gguf": args.gguf, "n_vocab": trained.n_vocab(),
        "merges": trained.n_merges(), "pre": trained.pre(), "files": texts.len(),
        "text_bytes": trained.n_bytes(), "words": trained.n_words(),
        "distinct_words": trained.n_distinct(), "tokens": trained.n_tokens(),
        "bytes_per_token": bytes_a_token(trained), "seconds": seconds,
    })
}
