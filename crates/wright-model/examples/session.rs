//! Two continuations of one prompt, computed together: a session holds a cache for several
//! sequences, a prefix is shared between them, and one batch advances them all.
//!
//! ```sh
//! cargo run --release -p wright-model --example session -- model.gguf
//! ```
//!
//! Without an argument it runs the tiny model that this crate's tests use.

use std::error::Error;
use std::sync::Arc;
use wright_model::{Batch, Model, Segment, SeqId, Session, SessionOptions, Want};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/qwen3.gguf");
const N_NEW: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| TINY.to_owned());
    let model = Arc::new(Model::from_gguf(Arc::new(std::fs::read(path)?))?);
    let options = SessionOptions { n_ctx: 64, n_seq: 2, threads: 2, ..SessionOptions::default() };
    let mut session = Session::new(model, options)?;
    let seqs = [SeqId(0), SeqId(1)];

    // The prompt is computed once; the second sequence begins with the same cache.
    let prompt = [3, 1, 4, 1, 5];
    let segment = Segment { seq: seqs[0], pos: 0, ids: &prompt, want: Want::Last };
    let logits = session.forward(&Batch { segments: &[segment] })?;
    session.copy_prefix(seqs[0], seqs[1], prompt.len())?;

    // One continues with the most likely id, the other with the second most likely; both greedily.
    let [first, second] = two_likeliest(logits.row(0));
    let mut texts = [vec![first], vec![second]];
    for _ in 1..N_NEW {
        let segments: Vec<Segment<'_>> = seqs
            .iter()
            .zip(&texts)
            .map(|(&seq, text)| {
                let pos = session.len(seq) as u32;
                Segment { seq, pos, ids: &text[text.len() - 1..], want: Want::Last }
            })
            .collect();
        let logits = session.forward(&Batch { segments: &segments })?; // (2, V)
        for (text, row) in texts.iter_mut().zip(logits.rows()) {
            text.push(two_likeliest(row)[0]);
        }
    }
    println!("prompt     {prompt:?}");
    for text in &texts {
        println!("continued  {text:?}");
    }
    Ok(())
}

/// The ids of the two largest logits, the largest first.
fn two_likeliest(logits: &[f32]) -> [u32; 2] {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
    [order[0], order[1]]
}
