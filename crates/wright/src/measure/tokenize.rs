//! `wright tokenize`: how a model splits text into tokens. Text never becomes a control token,
//! whatever it says.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::open::locate;
use crate::open::vocabulary::FileVocabulary;
use crate::terminal::{self, stdin};
use serde_json::json;
use std::fmt::Write;

/// Show how a model splits text into tokens
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The text [default: standard input]
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Model name from `wright models`, or path to a .gguf file (a vocabulary is enough) or
    /// tokenizer.json
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Print only the token IDs, on one line
    #[arg(long, conflicts_with = "json")]
    ids: bool,
    /// Print a JSON object with an array of tokens: id, text and bytes
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let text = match args.text.is_empty() {
        false => args.text.join(" "),
        true => stdin::piped()?.ok_or_else(|| {
            Failure::usage("no text given")
                .hint("give it as an argument, wright tokenize \"some text\", or through a pipe")
        })?,
    };
    let located = locate::model(args.model.as_deref(), context)?;
    let tokenizer = FileVocabulary::open(&located.path)?.tokenizer()?;
    let ids = tokenizer.encode(&text);
    let mut out = String::new();
    if args.json {
        let tokens = ids.iter().map(|&id| {
            let bytes = tokenizer.token_bytes(id);
            json!({ "id": id, "text": String::from_utf8_lossy(bytes), "bytes": bytes })
        });
        let object = json!({ "count": ids.len(), "tokens": tokens.collect::<Vec<_>>() });
        let _ = writeln!(out, "{object}");
    } else if args.ids {
        let words: Vec<String> = ids.iter().map(u32::to_string).collect();
        let _ = writeln!(out, "{}", words.join(" "));
    } else {
        for &id in &ids {
            let _ = writeln!(out, "{id:>8}  {}", quoted(tokenizer.token_bytes(id)));
        }
    }
    if terminal::print(&out)? && !args.json && !args.ids {
        terminal::note(&format!("{} tokens, {} bytes", ids.len(), text.len()));
    }
    Ok(Exit::Done)
}

/// A token between quotes: as text if it is whole characters, else as bytes.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shown_whole_or_as_bytes() {
        assert_eq!(quoted(" né".as_bytes()), "\" né\"");
        assert_eq!(quoted(b"\n"), "\"\\n\"");
        assert_eq!(quoted(b"\xc3"), "\"\\xc3\"");
    }
}
