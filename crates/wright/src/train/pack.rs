//! `wright pack`: turns text files into a folder of training data, with a report of what was kept
//! and dropped.
//!
//! The folder is a function of the input and the options: the number of threads changes no byte.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use crate::train::summary;
use std::path::PathBuf;
use wright_corpus::PackOptions;

/// Turn text files into training data
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPLANATION)]
pub struct Args {
    /// Files, folders (read recursively), or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The folder to create
    #[arg(short, long, value_name = "FOLDER")]
    out: PathBuf,
    /// A tokenizer.json with byte-level BPE, or `bytes` for one token per byte
    #[arg(short, long, value_name = "FILE|bytes", conflicts_with = "vocab")]
    tokenizer: Option<String>,
    /// Train a tokenizer with N tokens on the text [default: depends on the amount of text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(257..=1_000_000))]
    vocab: Option<u32>,
    /// Percentage of the text to hold out for evaluation
    #[arg(long, value_name = "PERCENT", default_value_t = 1.5)]
    holdout: f64,
    /// Licence of documents that do not state one
    #[arg(long, value_name = "SPDX-ID")]
    licence: Option<String>,
    /// Line that separates documents within a file [default: <|endoftext|>]
    #[arg(long, value_name = "LINE")]
    split: Option<String>,
    /// Field of JSONL or Parquet that contains the text; repeat to join several [default: text,
    /// content, body or document]
    #[arg(long, value_name = "NAME")]
    field: Vec<String>,
    /// Keep documents that are short, garbled or repetitive
    #[arg(long)]
    no_filters: bool,
    /// Keep duplicates and near duplicates
    #[arg(long)]
    keep_duplicates: bool,
    /// Keep every copy of paragraphs that several documents share
    #[arg(long)]
    keep_boilerplate: bool,
    /// Replace an existing folder that `wright pack` created
    #[arg(long)]
    force: bool,
    /// Number of threads; does not affect the output [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

const EXPLANATION: &str = "\
Input: text in UTF-8, UTF-16 or Windows-1252, Markdown, HTML, PDF, JSONL and Parquet; plain, as
.gz, .xz or .zst, or in tar and zip archives. A file is one document, unless it contains lines
<|endoftext|> (or --split), or its first line starts with `# Title: `; then each such line starts
a document.

Dropped: exact and near duplicates, and documents that are too short, contain no letters, consist
mostly of digits or symbols, are garbled, or repeat themselves. Each is counted, with examples.

Removed: a paragraph of at least 150 letters that three or more documents share, such as a licence
header, a notice or a footer, is kept in the first of them only, together with equally frequent
text between two such paragraphs. Shorter ones (headings, dialogue, refrains) and repetition
within a document are kept. --keep-boilerplate keeps everything.

Output: shards of token IDs, the tokenizer, manifest.jsonl with the source, licence and SHA-256 of
each document, and report.json.";

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if !(0.01..=50.0).contains(&args.holdout) {
        return Err(Failure::usage(format!("--holdout {} is out of range", args.holdout))
            .hint("it must be between 0.01 and 50 percent"));
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
