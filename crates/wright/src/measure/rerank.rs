//! `wright rerank`: documents in the order in which they answer a query, by a model made to judge
//! that: a cross-encoder such as bge-reranker, or Qwen3-Reranker.

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

/// Order documents by how well they answer a query, with a model made for that
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is sought
    #[arg(value_name = "QUERY")]
    query: String,
    /// The documents; without them and --file, each line that comes through a pipe
    #[arg(value_name = "DOCUMENT")]
    documents: Vec<String>,
    #[command(flatten)]
    model: ModelFlags,
    /// A file that is a document; may be given more than once
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Print only the best N
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Print one JSON object a line: index (from 0, as given), score, and text or file
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
        return Err(Failure::usage("there are no documents to order")
            .hint("wright rerank QUERY DOCUMENT…, --file FILE, or a pipe with one on each line"));
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
        true => "-m names one that was made for it, such as bge-reranker or Qwen3-Reranker",
        false => "`wright embed --query` orders texts by the nearness of its vectors",
    };
    Err(Failure::new(Exit::Unsupported, format!("{id} was not made to judge documents")).hint(hint))
}
