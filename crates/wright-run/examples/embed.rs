//! Finds the text that is closest in meaning to a query, with an embedding model from a GGUF file.
//!
//! ```text
//! cargo run --release -p wright-run --example embed -- model.gguf "a pet" "The dog" "It rains"
//! ```

use std::error::Error;
use std::sync::Arc;
use wright_chat::{Model as _, Origin, Text};
use wright_model::Model;
use wright_run::{LoadOptions, LocalModel};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: embed MODEL.gguf QUERY TEXT...")?;
    let texts: Vec<Text> = args.map(|text| Text::new(Origin::User, text)).collect();

    let threads = std::thread::available_parallelism()?.get();
    let model = Arc::new(Model::from_gguf(Arc::new(std::fs::read(&path)?))?);
    let n_ctx = (model.n_ctx_train() as usize).min(2048);
    let model = LocalModel::new(model, LoadOptions::new(path, n_ctx, threads))?;

    // One vector of length 1 for each text, so the dot product is the cosine similarity.
    let vectors = model.embed(&texts)?;
    let (query, rest) = vectors.split_first().ok_or("give a query and some texts")?;
    let mut scored: Vec<(f32, &Text)> =
        rest.iter().map(|v| dot(query, v)).zip(&texts[1..]).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (score, text) in scored {
        println!("{score:.4}  {}", text.text);
    }
    Ok(())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
