//! Logits of tiny models against those that transformers computed in float64 (golden/make.py).

use std::path::PathBuf;
use std::sync::Arc;
use wright_model::config::FAMILIES;
use wright_model::{Batch, Model, Precision, Segment, SeqId, Session, SessionOptions, Want};

/// A prompt and the logits of its last tokens.
struct Golden {
    ids: Vec<u32>,
    n_vocab: usize,
    n_rows: usize,
    /// (n_rows, V)
    logits: Vec<f32>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn model(name: &str) -> Arc<Model> {
    let bytes = std::fs::read(folder().join(format!("{name}.gguf"))).unwrap();
    let model = Model::from_gguf(Arc::new(bytes));
    Arc::new(model.unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn goldens(name: &str) -> Vec<Golden> {
    let bytes = std::fs::read(folder().join(format!("{name}.logits"))).unwrap();
    let mut words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()));
    let n = words.next().unwrap();
    let goldens: Vec<Golden> = (0..n)
        .map(|_| {
            let mut size = || words.next().unwrap() as usize;
            let (t, n_vocab, n_rows) = (size(), size(), size());
            let ids = words.by_ref().take(t).collect();
            let logits = words.by_ref().take(n_rows * n_vocab).map(f32::from_bits).collect();
            Golden { ids, n_vocab, n_rows, logits }
        })
        .collect();
    assert!(words.next().is_none());
    goldens
}

/// The largest difference from the golden numbers, as a part of the largest of them.
fn worst(name: &str, precision: Precision) -> f64 {
    let model = model(name);
    let mut worst = 0f64;
    for golden in goldens(name) {
        // Factors of RoPE for long texts are for contexts beyond 32 in the model that has some,
        // and a base that grows does so with the text.
        let n_ctx = golden.ids.len().max(32);
        let options = SessionOptions { precision, n_ctx, ..SessionOptions::default() };
        let mut session = Session::new(Arc::clone(&model), options).unwrap();
        let want = Want::From(golden.ids.len() - golden.n_rows);
        let segment = Segment { seq: SeqId(0), pos: 0, ids: &golden.ids, want };
        let batch = Batch { segments: &[segment] };
        let rows = match ENCODERS.contains(&name) {
            true => session.hidden(&batch),
            false => session.forward(&batch),
        };
        let rows = rows.unwrap();
        assert_eq!((rows.n_rows(), rows.n_vocab()), (golden.n_rows, golden.n_vocab));
        let max = golden.logits.iter().fold(0f64, |m, &x| m.max(f64::from(x.abs())));
        for (got, want) in rows.rows().flatten().zip(&golden.logits) {
            worst = worst.max(f64::from((got - want).abs()) / max);
        }
    }
    worst
}

/// One at least for each verified family; `models_of_each_verified_family` holds it to that.
const NAMES: &[&str] = &[
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
    "llama_yarn",
    "llama_dynamic",
    "mistral",
    "mixtral",
    "qwen2moe",
    "qwen3moe",
    "olmoe",
    "phi3",
    "phimoe",
    "stablelm",
    "stablelm2",
    "falcon",
    "falcon40",
    "mpt",
    "bloom",
    "granite",
    "granitemoe",
    "glm4",
    "chatglm",
    "deepseek2",
    "deepseek3",
    "gptoss",
    "llama4",
    "cohere",
    "cohere2",
    "olmo",
    "olmo3",
    "nemotron",
    "exaone4",
    "seed_oss",
    "ernie4_5",
    "arcee",
    "hunyuan_dense",
    "starcoder",
    "dots1",
    "glm4moe",
];

/// Encoders: their last hidden states.
const ENCODERS: &[&str] = &["bert", "nomicbert"];

/// Whether all are within `limit`; names all that are not.
fn check(precision: Precision, limit: f64) {
    let names = NAMES.iter().chain(ENCODERS);
    let worst: Vec<_> = names.map(|&name| (name, worst(name, precision))).collect();
    let bad: Vec<_> = worst.iter().filter(|(_, worst)| worst.is_nan() || *worst > limit).collect();
    assert!(bad.is_empty(), "{precision:?}: {bad:?}");
}

#[test]
fn models_of_each_verified_family() {
    let archs: Vec<_> =
        NAMES.iter().chain(ENCODERS).map(|name| model(name).config().arch).collect();
    for family in FAMILIES.iter().filter(|family| family.verified) {
        assert!(archs.contains(&family.name), "{} has no tiny model", family.name);
    }
}

#[test]
fn the_exact_executor_is_within_a_ten_thousandth() {
    check(Precision::Exact, 1e-4);
    check(Precision::Scalar, 1e-4);
}

/// Their weights are floats, so only the cache in f16 differs from the exact mode.
#[test]
fn the_fast_executor_is_off_by_no_more_than_a_cache_in_f16_explains() {
    check(Precision::Fast, 1e-2);
}

#[test]
fn the_oracle_in_f64_is_as_close_as_the_goldens_are_written() {
    check(Precision::Double, 1e-6);
}
