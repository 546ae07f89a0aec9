//! `wright rerank`: ranks documents by relevance to a query with a reranking model: a cross-encoder
//! such as bge-reranker, or Qwen3-Reranker.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::ModelFlags;
use crate::open::context::Context;
use crate::open::load;
use crate::terminal::{self, stdin};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use wright_chat::{Capabilities, Origin, Text};

/// Rank documents by relevance to a query, with a reranking model
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The query
    #[arg(value_name = "QUERY")]
    query: String,
    /// The documents [default: those of --file, or each line of standard input]
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<String>,
    #[command(flatten)]
    model: ModelFlags,
    /// Read a document from this file; repeatable
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Print only the N most relevant documents
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Print one JSON object per line: index (input order, from 0), score, and text or file
    #[arg(long)]
    json: bool,
}

/// A document and what to call it.
struct Document {
    text: Text,
    /// The file that it came from.
    file: Option<String>,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let documents = documents(args)?;
    let loaded = load::model(&args.model, context)?;
    check_able(&loaded.id, &loaded.chat.describe().capabilities)?;
    let texts: Vec<Text> = documents.iter().map(|document| document.text.clone()).collect();
    let scores = loaded.chat.rank(&Text::new(Origin::User, args.query.clone()), &texts)?;
    let mut order: Vec<usize> = (0..documents.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(args.top.map_or(usize::MAX, |top| top as usize));
    let mut out = String::new();
    for index in order {
        let (document, score) = (&documents[index], scores[index]);
        let _ = match (args.json, &document.file) {
            (true, Some(file)) => {
                writeln!(out, "{}", json!({ "index": index, "score": score, "file": file }))
            }
            (true, None) => {
                let object = json!({ "index": index, "score": score, "text": document.text.text });
                writeln!(out, "{object}")
            }
            (false, _) => writeln!(out, "{score:>9.4}  {}", terminal::shown(&document.line())),
        };
    }
    terminal::print(&out)?;
    loaded.check_unchanged()?;
    Ok(Exit::Done)
}

impl Document {
    /// What stands for it in a list: its file, or its text in one line.
    fn line(&self) -> String {
        let line = self.text.text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.file.clone().unwrap_or(line)
    }
}

/// Arguments and files, or else the lines of a pipe.
fn documents(args: &Args) -> Result<Vec<Document>, Failure> {
    let said = |origin, text: &str| Document { text: Text::new(origin, text), file: None };
    let mut documents: Vec<Document> =
        args.documents.iter().map(|text| said(Origin::User, text)).collect();
    for path in &args.file {
        let file = Some(path.display().to_string());
        documents.push(Document {
            text: Text::new(Origin::File(path.display().to_string().into()), stdin::file(path)?),
            file,
        });
    }
    if documents.is_empty() {
        let piped = stdin::piped()?.unwrap_or_default();
        let lines = piped.lines().filter(|line| !line.trim().is_empty());
        documents.extend(lines.map(|line| said(Origin::stdin(), line)));
    }
    if documents.is_empty() {
        return Err(Failure::usage("no documents to rank")
            .hint("give them as arguments, with --file FILE, or one per line through a pipe"));
    }
    Ok(documents)
}

/// # Errors
/// If the model is none that ranks.
fn check_able(id: &str, able: &Capabilities) -> Result<(), Failure> {
    if able.rank {
        return Ok(());
    }
    let hint = match able.chat || !able.embed {
        true => "use -m with a reranking model, such as bge-reranker or Qwen3-Reranker",
        false => "it is an embedding model: `wright embed --query` ranks texts by similarity",
    };
    Err(Failure::new(Exit::Unsupported, format!("{id} is not a reranking model")).hint(hint))
}
