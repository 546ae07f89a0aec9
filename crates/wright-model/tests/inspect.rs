//! Numbers that inspection shows: parameters, formats, memory and cost.

mod tiny;

use tiny::Tiny;
use wright_kernels::DType;
use wright_model::{KvType, Model};

#[test]
fn parameters_and_formats_add_up() {
    let tiny = Tiny::llama(DType::Q8_0);
    let model = tiny.model();
    let (d, ff, q, kv) = (64, 96, 64, 32);
    let matrices = 72 * d + 2 * (2 * d * q + 2 * d * kv + 3 * d * ff);
    let vectors = d + 2 * 2 * d;
    assert_eq!(model.n_parameters(), (matrices + vectors) as u64);
    let formats = model.formats();
    assert_eq!(formats.len(), 2);
    assert_eq!((formats[0].dtype, formats[0].n_tensors), (DType::Q8_0, 15));
    assert_eq!(formats[0].n_bytes, matrices as u64 / 32 * 34);
    assert_eq!((formats[1].dtype, formats[1].n_values), (DType::F32, vectors as u64));
    assert_eq!(model.main_format(), DType::Q8_0);
}

#[test]
fn memory_is_weights_cache_and_a_pass() {
    let model = Tiny::llama(DType::F32).model();
    // Two layers of 32 + 32 values, 2 bytes each.
    assert_eq!(model.kv_bytes_per_position(KvType::F16), 2 * 64 * 2);
    let memory = model.memory(100, 3, 512, KvType::F16);
    assert_eq!(memory.kv, 3 * 128 * 256);
    assert_eq!(memory.weights, 4 * model.n_parameters());
    assert!(memory.activations > 4 * 512 * 96 && memory.total() > memory.kv);
    assert_eq!(model.memory(100, 3, 512, KvType::F32).kv, 2 * memory.kv);
}

/// Multiply-adds of the matrices, twice.
fn matrix_flops(model: &Model) -> u64 {
    2 * model
        .tensors()
        .iter()
        .filter(|t| t.dims.len() == 2)
        .map(|t| t.n_values() as u64)
        .sum::<u64>()
}

#[test]
fn a_token_reads_every_weight_and_its_past() {
    let model = Tiny::llama(DType::Q8_0).model();
    let first = model.cost_of_token(0, KvType::F16);
    // The tied head is the embedding, of which one row is read once more.
    let n_bytes: u64 = model.tensors().iter().map(|t| t.at.len() as u64).sum();
    assert_eq!(first.weights_bytes, n_bytes + 64 / 32 * 34);
    let flops = matrix_flops(&model);
    assert!(first.flops > flops && first.flops < flops + flops / 5, "{}", first.flops);
    let later = model.cost_of_token(100, KvType::F16);
    assert_eq!(later.weights_bytes, first.weights_bytes);
    assert_eq!(later.kv_bytes - first.kv_bytes, 100 * 256);
    // Scores and values of 100 positions, 4 heads of 16, softmax counted as 4.
    assert_eq!(later.flops - first.flops, 2 * 100 * (4 * 2 * 32 + 16));
}

#[test]
fn a_window_bounds_what_is_read() {
    let model = Tiny { n_layer: 1, ..Tiny::gemma3(DType::F32) }.model();
    let at = |n_past| model.cost_of_token(n_past, KvType::F16).kv_bytes;
    assert!(at(60) > at(50));
    assert_eq!(at(200), at(100), "a window of 70");
}

#[test]
fn a_prompt_is_its_tokens_but_for_the_unwanted_logits() {
    let model = Tiny::llama(DType::Q8_0).model();
    let token = model.cost_of_token(0, KvType::F16);
    let prompt = model.cost_of_prompt(10, KvType::F16);
    assert!(prompt.flops < 10 * token.flops && prompt.flops > 6 * token.flops);
    let rows = 9 * 64 / 32 * 34;
    assert_eq!(prompt.weights_bytes, token.weights_bytes + rows);
}
