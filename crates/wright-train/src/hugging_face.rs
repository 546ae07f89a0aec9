//! A model in the layout of Hugging Face: config.json, model.safetensors and what goes with them.
//!
//! Values differ from GGUF in three ways beside the names: llama's query and key rows are
//! interleaved there (pairs that turn together are neighbours), gemma's norms are stored less one
//! here, and gpt2's matrices are transposed here.

use crate::Error;
use crate::Vocabulary;
use crate::parameters::Parameters;
use crate::shape::{Family, ModelShape, TensorSpec};
use serde_json::{Map, Value, json};
use std::io::Write;

/// config.json
pub fn config(shape: &ModelShape, bos: Option<u32>, eos: Option<u32>) -> Value {
    if shape.family == Family::Gpt2 {
        return gpt2_config(shape, bos, eos);
    }
    let (architecture, model_type, act) = match shape.family {
        Family::Llama => ("LlamaForCausalLM", "llama", "silu"),
        Family::Qwen3 => ("Qwen3ForCausalLM", "qwen3", "silu"),
        _ => ("Gemma3ForCausalLM", "gemma3_text", "gelu_pytorch_tanh"),
    };
    let mut all = json!({
        "architectures": [architecture],
        "model_type": model_type,
        "hidden_size": shape.n_embd,
        "intermediate_size": shape.n_ff,
        "num_hidden_layers": shape.n_layer,
        "num_attention_heads": shape.n_head,
        "num_key_value_heads": shape.n_kv_head,
        "head_dim": shape.head_dim,
        "vocab_size": shape.n_vocab,
        "max_position_embeddings": shape.n_ctx,
        "rms_norm_eps": decimal(shape.norm_eps),
        "rope_theta": decimal(shape.rope_base),
        "tie_word_embeddings": shape.tied,
        "attention_bias": false,
        "bos_token_id": bos,
        "eos_token_id": eos,
        // gemma3's default is 0, and a padding token's embedding is never trained.
        "pad_token_id": null,
        "dtype": "float32",
    });
    let act_name = if shape.family == Family::Gemma3 { "hidden_activation" } else { "hidden_act" };
    all[act_name] = json!(act);
    if shape.family == Family::Gemma3 {
        all["sliding_window"] = json!(512);
        all["sliding_window_pattern"] = json!(6);
        all["rope_local_base_freq"] = json!(10_000.0);
        all["query_pre_attn_scalar"] = json!(shape.head_dim);
    }
    all
}

fn gpt2_config(shape: &ModelShape, bos: Option<u32>, eos: Option<u32>) -> Value {
    json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": shape.n_embd,
        "n_inner": shape.n_ff,
        "n_layer": shape.n_layer,
        "n_head": shape.n_head,
        "n_positions": shape.n_ctx,
        "vocab_size": shape.n_vocab,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": decimal(shape.norm_eps),
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": true,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "dtype": "float32",
    })
}

/// The shortest decimal that reads back as `x`: 1e-6 and not 9.999999974752427e-7.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// generation_config.json
pub fn generation_config(bos: Option<u32>, eos: Option<u32>) -> Value {
    json!({ "bos_token_id": bos, "eos_token_id": eos, "do_sample": true })
}

/// tokenizer_config.json
pub fn tokenizer_config(vocabulary: &Vocabulary, n_ctx: usize) -> Value {
    let end = vocabulary.end_text();
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": n_ctx,
        "bos_token": end,
        "eos_token": end,
        "clean_up_tokenization_spaces": false,
    })
}

/// The name that transformers gives a tensor of gpt2.
fn gpt2_name(gguf: &str) -> String {
    let part = |part: &str| match part {
        "attn_norm" => "ln_1",
        "attn_qkv" => "attn.c_attn",
        "attn_output" => "attn.c_proj",
        "ffn_norm" => "ln_2",
        "ffn_up" => "mlp.c_fc",
        _ => "mlp.c_proj",
    };
    match gguf.split('.').collect::<Vec<_>>()[..] {
        ["blk", layer, p, kind] => format!("transformer.h.{layer}.{}.{kind}", part(p)),
        ["token_embd", _] => "transformer.wte.weight".into(),
        ["position_embd", _] => "transformer.wpe.weight".into(),
        [_, kind] => format!("transformer.ln_f.{kind}"),
        _ => gguf.to_owned(),
    }
}

/// The name that transformers gives a tensor.
fn name(gguf: &str, family: Family) -> String {
    if family == Family::Gpt2 {
        return gpt2_name(gguf);
    }
    let part = |part: &str| match part {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "attn_output" => "self_attn.o_proj",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        "post_ffw_norm" => "post_feedforward_layernorm",
        "ffn_norm" if family == Family::Gemma3 => "pre_feedforward_layernorm",
        _ => "post_attention_layernorm",
    };
    match gguf.split('.').collect::<Vec<_>>()[..] {
        ["blk", layer, p, _] => format!("model.layers.{layer}.{}.weight", part(p)),
        ["token_embd", _] => "model.embed_tokens.weight".into(),
        ["output_norm", _] => "model.norm.weight".into(),
        _ => "lm_head.weight".into(),
    }
}

/// Row of GGUF's llama that holds row `row` of a matrix with heads of `head_dim`.
fn interleaved(row: usize, head_dim: usize) -> usize {
    let (head, at) = (row / head_dim, row % head_dim);
    let half = head_dim / 2;
    head * head_dim + 2 * (at % half) + at / half
}

/// Writes model.safetensors in f32.
///
/// # Errors
/// If the writer fails.
pub fn write_safetensors(
    to: &mut dyn Write,
    shape: &ModelShape,
    weights: &Parameters,
) -> Result<(), Error> {
    let specs = shape.tensors();
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut offset = 0;
    for spec in &specs {
        let end = offset + spec.dims.iter().product::<usize>() * 4;
        let mut dims = spec.dims.clone();
        if !is_transposed(shape, spec) {
            dims.reverse();
        }
        let about = json!({ "dtype": "F32", "shape": dims, "data_offsets": [offset, end] });
        header.insert(name(&spec.name, shape.family), about);
        offset = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    to.write_all(&(text.len() as u64).to_le_bytes())?;
    to.write_all(&text)?;
    for (index, spec) in specs.iter().enumerate() {
        write_values(to, shape, spec, &weights.values[weights.range(index)])?;
    }
    Ok(())
}

/// Whether transformers keeps the transpose of a tensor: gpt2's matrices inside layers.
fn is_transposed(shape: &ModelShape, spec: &TensorSpec) -> bool {
    shape.family == Family::Gpt2 && spec.dims.len() == 2 && spec.name.starts_with("blk.")
}

fn write_values(
    to: &mut dyn Write,
    shape: &ModelShape,
    spec: &TensorSpec,
    values: &[f32],
) -> Result<(), Error> {
    let cols = spec.dims[0];
    if is_transposed(shape, spec) {
        for col in 0..cols {
            let column = values[col..].iter().step_by(cols);
            to.write_all(&column.flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
        }
        return Ok(());
    }
    let turned = spec.name.contains("attn_q.") || spec.name.contains("attn_k.");
    let turned = turned && shape.family == Family::Llama;
    let less_one = shape.family == Family::Gemma3 && spec.dims.len() == 1;
    let shift = if less_one { 1.0 } else { 0.0 };
    for row in 0..values.len() / cols {
        let from = if turned { interleaved(row, shape.head_dim) } else { row };
        let row = &values[from * cols..(from + 1) * cols];
        let bytes: Vec<u8> = row.iter().flat_map(|x| (x - shift).to_le_bytes()).collect();
        to.write_all(&bytes)?;
    }
    Ok(())
}
