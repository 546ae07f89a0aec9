//! `wright pack`: texts of all kinds to the folder that a model is trained on, with a report of
//! what went in and what was dropped.
//!
//! The folder is a function of the input and the options: the number of threads changes no byte.

mod boilerplate;
mod divide;
mod gather;
mod spool;
mod staging;
pub mod summary;
mod vocabulary;
mod write;

use crate::context::Context;
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reading::walk;
use crate::terminal;
use gather::Gathered;
use spool::Spool;
use staging::Staging;
use std::path::PathBuf;
use wright_data::holdout::TEXT_BYTES_MIN;
use wright_host::{Interrupt, machine};
use write::Packing;

/// Turn files of text into data to train on
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPLANATION)]
pub struct Args {
    /// Files, folders with all that is below them, or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The folder to make
    #[arg(short, long, value_name = "FOLDER")]
    out: PathBuf,
    /// A tokenizer.json of byte-level BPE, or `bytes`: then each byte is a token
    #[arg(short, long, value_name = "FILE|bytes", conflicts_with = "vocab")]
    tokenizer: Option<String>,
    /// Train a tokenizer of N tokens on the text [default: by the amount of text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(257..=1_000_000))]
    vocab: Option<u32>,
    /// The part of the text that is held out to measure by
    #[arg(long, value_name = "PERCENT", default_value_t = 1.5)]
    holdout: f64,
    /// The licence of what does not state one itself
    #[arg(long, value_name = "SPDX-ID")]
    licence: Option<String>,
    /// A line that stands between documents of a text [default: <|endoftext|>]
    #[arg(long, value_name = "LINE")]
    split: Option<String>,
    /// The field of JSONL or Parquet that holds the text; several are joined [default: text,
    /// content, body, document]
    #[arg(long, value_name = "NAME")]
    field: Vec<String>,
    /// Keep documents that are short, garbled or full of repetition
    #[arg(long)]
    no_filters: bool,
    /// Keep documents that say the same as an earlier one
    #[arg(long)]
    keep_duplicates: bool,
    /// Keep paragraphs that many documents have in all of them
    #[arg(long)]
    keep_boilerplate: bool,
    /// Replace a folder that `wright pack` made
    #[arg(long)]
    force: bool,
    /// Threads to work with; they change no byte [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

const EXPLANATION: &str = "\
What is read: text in UTF-8, UTF-16 or Windows-1252, Markdown, HTML, PDF, JSONL, Parquet; plain, in
.gz, .xz and .zst, in tar and zip. A file is a document, unless a line <|endoftext|> (or --split)
stands in it, or its first line begins `# Title: `, which then begins each document.

What is left out: the same text again, texts much like an earlier one, and texts that are too
short, have no letters, are mostly digits or symbols, are garbled, or repeat themselves. Each is
counted, with examples.

What is taken out: a paragraph of 150 letters or more that three documents or more have, such as
a licence header, a notice or a footer, stays in the first of them and goes from the others, with
what is repeated as often between two of that kind. Shorter ones (headings, dialogue, refrains)
stay, and so do repeats within a document. --keep-boilerplate keeps all.

What is written: shards of token ids, the tokenizer, manifest.jsonl with source, licence and
SHA-256 of each document, and report.json.";

/// What to pack, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files and folders; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// The folder to make.
    pub out: PathBuf,
    /// A tokenizer.json, or `bytes`; if none, one is trained.
    pub tokenizer: Option<String>,
    /// Tokens of the one that is trained; if none, as suits the text.
    pub vocab: Option<usize>,
    /// The part that is held out, 0 to 1.
    pub holdout: f64,
    pub licence: Option<String>,
    pub reading: wright_data::ReadOptions,
    pub filters: bool,
    pub keep_duplicates: bool,
    pub keep_boilerplate: bool,
    /// Whether a folder of packed data may be replaced.
    pub replace: bool,
    pub threads: usize,
}

impl Options {
    /// The defaults of the command line.
    pub fn new(paths: Vec<PathBuf>, out: PathBuf) -> Options {
        Options {
            paths,
            out,
            tokenizer: None,
            vocab: None,
            holdout: 0.015,
            licence: None,
            reading: wright_data::ReadOptions::default(),
            filters: true,
            keep_duplicates: false,
            keep_boilerplate: false,
            replace: false,
            threads: machine::usable_processors(),
        }
    }
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if !(0.01..=50.0).contains(&args.holdout) {
        return Err(Failure::usage(format!("--holdout {} is no part to hold out", args.holdout))
            .hint("between 0.01 and 50 per cent of the text can be held out"));
    }
    let mut options = Options::new(args.paths.clone(), args.out.clone());
    options.tokenizer.clone_from(&args.tokenizer);
    options.vocab = args.vocab.map(|n| n as usize);
    options.holdout = args.holdout / 100.0;
    options.licence.clone_from(&args.licence);
    options.reading.separator.clone_from(&args.split);
    options.reading.fields.clone_from(&args.field);
    options.filters = !args.no_filters;
    options.keep_duplicates = args.keep_duplicates;
    options.keep_boilerplate = args.keep_boilerplate;
    options.replace = args.force;
    options.threads = args.threads.map_or(options.threads, usize::from);
    let data = pack(&options, &context.interrupt)?;
    let said = match args.json {
        true => format!("{}\n", serde_json::to_string(&data.report).unwrap_or_default()),
        false => terminal::shown(&summary::text(&data)).into_owned(),
    };
    terminal::print(&said)?;
    Ok(Exit::Done)
}

/// Packs texts into a folder.
///
/// # Errors
/// If there is too little text, an option contradicts it, the folder cannot be made, or the person
/// stopped it; then there is no folder, and what was there before is whole.
pub fn pack(options: &Options, interrupt: &Interrupt) -> Result<DataFolder, Failure> {
    let named = vocabulary::named(options)?;
    let sources = walk::files(&options.paths, &[&options.out])?;
    let staging = Staging::begin(&options.out, options.replace)?;
    let mut spool = Spool::create(&staging.file("texts"))?;
    let mut gathered = gather::gather(sources, options, interrupt, &mut spool)?;
    check_amount(&gathered, options)?;
    let mut texts = spool.finish()?;
    let threads = options.threads;
    if !options.keep_boilerplate {
        let anew = || Spool::create(&staging.file("texts-stripped"));
        texts = boilerplate::strip(&mut gathered, texts, threads, interrupt, anew)?;
        check_amount(&gathered, options)?;
    }
    let records = &gathered.records;
    let (held, split) = divide::divide(records, &texts, options.holdout, threads, interrupt)?;
    let chosen = match named {
        Some(named) => named,
        None => vocabulary::trained(options, &mut gathered, &texts, &held, interrupt)?,
    };
    let packing = Packing {
        options,
        gathered: &gathered,
        texts: &texts,
        held: &held,
        vocabulary: &chosen.vocabulary,
        staging: &staging,
    };
    let written = packing.write(interrupt)?;
    packing.finish(written, split, chosen.about)?;
    drop(texts);
    staging.finish()?;
    DataFolder::open(&options.out)
}

/// # Errors
/// If what is left is nothing to learn from.
fn check_amount(gathered: &Gathered, options: &Options) -> Result<(), Failure> {
    if gathered.kept_bytes >= TEXT_BYTES_MIN {
        return Ok(());
    }
    let dropped: u64 = gathered.dropped.iter().map(|dropped| dropped.documents).sum();
    let mut what = match gathered.kept_bytes {
        0 => "there is no text to train on".to_owned(),
        n => format!("{n} bytes of text are too few to train on and to hold some out"),
    };
    if dropped > 0 {
        let reasons: Vec<&str> = gathered.dropped.iter().map(|d| d.reason.name()).collect();
        what.push_str(&format!("; {dropped} documents were dropped ({})", reasons.join(", ")));
    }
    if let Some(skipped) = gathered.tally.skipped_in_words() {
        what.push_str(&format!("; {skipped}"));
    }
    let failure = Failure::new(Exit::BadInput, what);
    Err(match dropped > 0 && (options.filters || !options.keep_duplicates) {
        true => failure.hint(
            "--no-filters, --keep-duplicates and --keep-boilerplate keep what would be dropped",
        ),
        false => failure.hint("name files or folders with a kilobyte of text or more"),
    })
}
