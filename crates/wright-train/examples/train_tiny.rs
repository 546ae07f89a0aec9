//! Trains a tiny model on the bytes of a text, and writes it as a GGUF file that runs:
//!
//! ```sh
//! cargo run --release -p wright-train --example train_tiny -- text.txt tiny.gguf
//! wright run --raw -m tiny.gguf "Once"
//! ```
//!
//! Without arguments it trains on this very file and writes nothing.

use std::error::Error;
use std::sync::Arc;
use wright_train::shard::ShardBuilder;
use wright_train::{Run, RunConfig, Shard, Vocabulary, gguf};

const CONFIG: &str = r#"
[model]
family = "qwen3"
n_layer = 2
n_embd = 64
n_head = 4
n_kv_head = 2
n_ff = 192
n_vocab = 257
n_ctx = 64
[data]
train = ["memory"]
[train]
steps = 60
batch = 8
warmup = 6
learning_rate = 0.01
optimizer = "muon"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let text = match args.next() {
        Some(path) => std::fs::read_to_string(path)?,
        None => include_str!("train_tiny.rs").to_owned(),
    };

    // Text to ids, ids to a shard: one document for each paragraph.
    let vocabulary = Vocabulary::Bytes;
    let encoder = vocabulary.encoder()?;
    let mut builder = ShardBuilder::new(vocabulary.n_vocab(), vocabulary.hash())?;
    for paragraph in text.split("\n\n") {
        builder.push(&encoder.document(paragraph))?;
    }
    let shard = Shard::open(Arc::new(builder.finish()))?;

    // The same bytes come out on any number of threads.
    let config = RunConfig::parse(CONFIG)?;
    let shape = config.shape()?;
    let mut run = Run::new(&config, &shape, vec![shard], Vec::new(), 2)?;
    while !run.is_done() {
        let Some(report) = run.step(&|| false)? else { break };
        if report.step % 20 == 0 {
            println!("step {:>3}  loss {:.3} nats per token", report.step, report.loss);
        }
    }

    if let Some(path) = args.next() {
        let mut header = gguf::header(&shape, "tiny")?;
        vocabulary.write_metadata(&mut header, shape.n_vocab);
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        gguf::write(&mut file, &header, &run.trainer.parameters)?;
    }
    Ok(())
}
