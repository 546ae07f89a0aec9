//! `wright pack`: texts of all kinds to the folder that a model is trained on, with a report of
//! what went in and what was dropped.
//!
//! The folder is a function of the input and the options: the number of threads changes no byte.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use crate::train::summary;
use std::path::PathBuf;
use wright_corpus::PackOptions;

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

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if !(0.01..=50.0).contains(&args.holdout) {
        return Err(Failure::usage(format!("--holdout {} is no part to hold out", args.holdout))
            .hint("between 0.01 and 50 per cent of the text can be held out"));
    }
    let mut options = PackOptions::new(args.paths.clone(), args.out.clone());
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
    let data = wright_corpus::pack(&options, &context.work(args.threads))?;
    let said = match args.json {
        true => format!("{}\n", serde_json::to_string(&data.report).unwrap_or_default()),
        false => terminal::shown(&summary::text(&data)).into_owned(),
    };
    terminal::print(&said)?;
    Ok(Exit::Done)
}
