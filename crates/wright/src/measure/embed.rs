//! `wright embed`: texts to vectors, or their similarity to a query.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::flags::ModelFlags;
use crate::open::context::Context;
use crate::open::load;
use crate::terminal::{self, stdin};
use serde_json::json;
use std::fmt::Write;
use wright_chat::{Origin, Text};

/// Turn texts into vectors, or rank them by similarity to a query
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The texts [default: each line of standard input]
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    #[command(flatten)]
    model: ModelFlags,
    /// Rank the texts by similarity to this one, most similar first
    #[arg(short, long, value_name = "TEXT")]
    query: Option<String>,
    /// Print one JSON object per line: the text with its vector or score
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let texts = match args.texts.is_empty() {
        false => args.texts.clone(),
        true => {
            let piped = stdin::piped()?.ok_or_else(|| {
                Failure::usage("no text given")
                    .hint("give it as an argument, wright embed \"some text\", or through a pipe")
            })?;
            piped.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
        }
    };
    let loaded = load::model(&args.model, context)?;
    let as_text = |text: &String| Text::new(Origin::User, text.clone());
    let inputs: Vec<Text> = texts.iter().map(as_text).collect();
    let mut out = String::new();
    match &args.query {
        Some(query) => {
            let scores = scores(&*loaded.chat, &as_text(query), &inputs)?;
            let mut order: Vec<usize> = (0..texts.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            for index in order {
                let (score, text) = (scores[index], &texts[index]);
                let _ = match args.json {
                    true => writeln!(out, "{}", json!({ "score": score, "text": text })),
                    false => writeln!(out, "{score:>9.4}  {text}"),
                };
            }
        }
        None => {
            let vectors = loaded.chat.embed(&inputs)?;
            for (text, vector) in texts.iter().zip(vectors) {
                if args.json {
                    let _ = writeln!(out, "{}", json!({ "text": text, "vector": vector }));
                    continue;
                }
                let numbers: Vec<String> = vector.iter().map(f32::to_string).collect();
                let _ = writeln!(out, "{}", numbers.join(" "));
            }
        }
    }
    terminal::print(&out)?;
    loaded.check_unchanged()?;
    Ok(Exit::Done)
}

/// The cosine between vectors.
fn scores(
    model: &dyn wright_chat::Model,
    query: &Text,
    texts: &[Text],
) -> Result<Vec<f32>, Failure> {
    let mut vectors = model.embed(std::slice::from_ref(query))?;
    let query = vectors.remove(0);
    let vectors = model.embed(texts)?;
    // Both have length 1.
    let cosine = |vector: &Vec<f32>| vector.iter().zip(&query).map(|(a, b)| a * b).sum();
    Ok(vectors.iter().map(cosine).collect())
}
