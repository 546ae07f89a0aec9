//! How likely a model finds a text, given as token ids: the log-probability of each id after the
//! ones before it, and bits a token over all of them.
//!
//! ```sh
//! cargo run --release -p wright-model --example score -- model.gguf 504 1789 282 4649
//! ```
//!
//! Without arguments it scores a few ids with the tiny model that this crate's tests use. Ids come
//! from a tokenizer (`wright tokenize`): `wright-model` knows no text.

use std::error::Error;
use std::sync::Arc;
use wright_model::{Batch, Model, Segment, SeqId, Session, SessionOptions, Want};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/qwen3.gguf");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().unwrap_or_else(|| TINY.to_owned());
    let mut ids = args.map(|id| id.parse()).collect::<Result<Vec<u32>, _>>()?;
    if ids.is_empty() {
        ids = vec![1, 5, 9, 2, 7];
    }
    // Large files are better mapped than read: anything that is `AsRef<[u8]>` will do.
    let model = Arc::new(Model::from_gguf(Arc::new(std::fs::read(path)?))?);
    let options = SessionOptions { n_ctx: ids.len(), ..SessionOptions::default() };
    let mut session = Session::new(model, options)?;

    // Row i of the logits, (T, V), predicts id i + 1.
    let segment = Segment { seq: SeqId(0), pos: 0, ids: &ids, want: Want::All };
    let logits = session.forward(&Batch { segments: &[segment] })?;
    let mut nats = 0.0;
    for (row, &id) in logits.rows().zip(&ids[1..]) {
        let logprob = log_softmax(row, id);
        println!("{id:>8}  {logprob:8.4}");
        nats -= logprob;
    }
    let n_scored = (ids.len() - 1).max(1) as f64;
    println!("{:.4} bits a token", nats / n_scored / std::f64::consts::LN_2);
    Ok(())
}

/// ln(softmax(logits)[id]), in f64.
fn log_softmax(logits: &[f32], id: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - max).exp()).sum();
    f64::from(logits[id as usize] - max) - sum.ln()
}
