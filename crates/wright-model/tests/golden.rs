//! Logits of tiny models against those that transformers computed in float64 (golden/make.py).

use std::path::PathBuf;
use std::sync::Arc;
use wright_model::{Batch, Model, Precision, Segment, SeqId, Session, SessionOptions, Want};

/// A prompt and the logits of all of its tokens.
struct Golden {
    ids: Vec<u32>,
    n_vocab: usize,
    /// (T, V)
    logits: Vec<f32>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn model(name: &str) -> Arc<Model> {
    let bytes = std::fs::read(folder().join(format!("{name}.gguf"))).unwrap();
    Arc::new(Model::from_gguf(Arc::new(bytes)).unwrap())
}

fn goldens(name: &str) -> Vec<Golden> {
    let bytes = std::fs::read(folder().join(format!("{name}.logits"))).unwrap();
    let mut words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()));
    let n = words.next().unwrap();
    let goldens: Vec<Golden> = (0..n)
        .map(|_| {
            let (t, n_vocab) = (words.next().unwrap() as usize, words.next().unwrap() as usize);
            let ids = words.by_ref().take(t).collect();
            let logits = words.by_ref().take(t * n_vocab).map(f32::from_bits).collect();
            Golden { ids, n_vocab, logits }
        })
        .collect();
    assert!(words.next().is_none());
    goldens
}

/// The largest difference from the golden logits, as a part of the largest logit.
fn worst(name: &str, precision: Precision) -> f64 {
    let options = SessionOptions { precision, n_ctx: 64, ..SessionOptions::default() };
    let mut session = Session::new(model(name), options).unwrap();
    let mut worst = 0f64;
    for golden in goldens(name) {
        session.clear(SeqId(0)).unwrap();
        let segment = Segment { seq: SeqId(0), pos: 0, ids: &golden.ids, want: Want::All };
        let logits = session.forward(&Batch { segments: &[segment] }).unwrap();
        assert_eq!((logits.n_rows(), logits.n_vocab()), (golden.ids.len(), golden.n_vocab));
        let max = golden.logits.iter().fold(0f64, |m, &x| m.max(f64::from(x.abs())));
        for (got, want) in logits.rows().flatten().zip(&golden.logits) {
            worst = worst.max(f64::from((got - want).abs()) / max);
        }
    }
    worst
}

const NAMES: [&str; 13] = [
    "llama",
    "llama_tied",
    "gemma3",
    "qwen2",
    "qwen3",
    "olmo2",
    "smollm3",
    "gemma",
    "gemma2",
    "starcoder2",
    "phi2",
    "gpt2",
    "gptneox",
];

#[test]
fn the_exact_executor_is_within_a_ten_thousandth() {
    for name in NAMES {
        for precision in [Precision::Exact, Precision::Scalar] {
            let worst = worst(name, precision);
            assert!(worst < 1e-4, "{name} {precision:?}: {worst:e}");
        }
    }
}

/// Their weights are floats, so only the cache in f16 differs from the exact mode.
#[test]
fn the_fast_executor_is_off_by_no_more_than_a_cache_in_f16_explains() {
    for name in NAMES {
        let worst = worst(name, Precision::Fast);
        assert!(worst < 1e-2, "{name}: {worst:e}");
    }
}

#[test]
fn the_oracle_in_f64_is_as_close_as_the_goldens_are_written() {
    for name in NAMES {
        let worst = worst(name, Precision::Double);
        assert!(worst < 1e-6, "{name}: {worst:e}");
    }
}
