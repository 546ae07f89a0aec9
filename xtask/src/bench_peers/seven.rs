//! A model of the shape of Llama 2 7B with random weights, in the types of Q4_K_M.
//!
//! What it says is nonsense; how fast it says it is what a real one of this shape and these types
//! takes, since no kernel looks at the values. Made block by block, without the floats.

use crate::Failure;
use crate::peers::Peers;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use wright_model::DType;
use wright_model::gguf_writer::{Field, Plan, Planned};

const N_LAYER: usize = 32;
const N_EMBD: usize = 4096;
const N_FF: usize = 11008;
const N_HEAD: u32 = 32;
const N_VOCAB: usize = 32000;
/// Scales of blocks: small enough that activations stay finite through all layers.
const SCALE: f32 = 2e-5;

/// The file, made on first use (4 GB).
///
/// # Errors
/// If the peers are not set up or the disk is full.
pub fn model(peers: &Peers) -> Result<PathBuf, Failure> {
    let path = peers.path("models").join("random-7B-Q4_K_M.gguf");
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("bench-peers: making {} …", path.display());
    let partial = path.with_extension("partial");
    let plan = plan();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
    out.write_all(&plan.head()?)?;
    let mut dice = 0x9e37_79b9_7f4a_7c15;
    for tensor in &plan.tensors {
        let bytes = random(tensor, &mut dice)?;
        out.write_all(&bytes)?;
        out.write_all(&vec![0; plan.padding(bytes.len())])?;
    }
    out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    fs::rename(&partial, &path)?;
    Ok(path)
}

fn plan() -> Plan {
    let mut plan = Plan::new();
    let mut set = |key: &str, field: Field| plan.set(key, &field);
    set("general.architecture", Field::Str("llama".into()));
    set("llama.block_count", Field::U32(N_LAYER as u32));
    set("llama.context_length", Field::U32(4096));
    set("llama.embedding_length", Field::U32(N_EMBD as u32));
    set("llama.feed_forward_length", Field::U32(N_FF as u32));
    set("llama.attention.head_count", Field::U32(N_HEAD));
    set("llama.attention.head_count_kv", Field::U32(N_HEAD));
    set("llama.attention.layer_norm_rms_epsilon", Field::F32(1e-5));
    set("llama.rope.dimension_count", Field::U32(N_EMBD as u32 / N_HEAD));
    set("llama.vocab_size", Field::U32(N_VOCAB as u32));
    set("tokenizer.ggml.model", Field::Str("no_vocab".into()));
    let mut add = |name: String, dims: &[usize], dtype: DType| {
        plan.tensors.push(Planned { name, dims: dims.to_vec(), dtype });
    };
    add("token_embd.weight".into(), &[N_EMBD, N_VOCAB], DType::Q4K);
    add("output_norm.weight".into(), &[N_EMBD], DType::F32);
    add("output.weight".into(), &[N_EMBD, N_VOCAB], DType::Q6K);
    for layer in 0..N_LAYER {
        // llama.cpp gives the first and last eighths and every third between more bits.
        let eighth = N_LAYER / 8;
        let more = layer < eighth || layer >= 7 * eighth || (layer - eighth) % 3 == 2;
        let better = if more { DType::Q6K } else { DType::Q4K };
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        add(name("attn_norm"), &[N_EMBD], DType::F32);
        add(name("ffn_norm"), &[N_EMBD], DType::F32);
        for part in ["attn_q", "attn_k", "attn_output"] {
            add(name(part), &[N_EMBD, N_EMBD], DType::Q4K);
        }
        add(name("attn_v"), &[N_EMBD, N_EMBD], better);
        for part in ["ffn_gate", "ffn_up"] {
            add(name(part), &[N_EMBD, N_FF], DType::Q4K);
        }
        add(name("ffn_down"), &[N_FF, N_EMBD], better);
    }
    plan
}

/// Data of one tensor: norms of 1, or random bits with small scales.
fn random(tensor: &Planned, dice: &mut u64) -> Result<Vec<u8>, Failure> {
    let n = tensor.n_bytes().ok_or("a tensor of whole blocks")?;
    if tensor.dtype == DType::F32 {
        return Ok(1f32.to_le_bytes().repeat(n / 4));
    }
    let mut bytes = vec![0; n];
    for word in bytes.chunks_mut(8) {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        let len = word.len();
        word.copy_from_slice(&dice.to_le_bytes()[..len]);
    }
    // Where the f16 scales of a block are: d, and dmin of Q4_K.
    let at: &[usize] = if tensor.dtype == DType::Q4K { &[0, 2] } else { &[208] };
    let scale = f16_of_small(SCALE).to_le_bytes();
    for block in bytes.chunks_exact_mut(tensor.dtype.block_bytes()) {
        at.iter().for_each(|&at| block[at..at + 2].copy_from_slice(&scale));
    }
    Ok(bytes)
}

/// A positive number below the smallest normal f16, in units of 2^-24.
fn f16_of_small(x: f32) -> u16 {
    (x * (1u32 << 24) as f32).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_that_of_seven_billion() {
        let plan = plan();
        let n: usize = plan.tensors.iter().map(|t| t.dims.iter().product::<usize>()).sum();
        assert_eq!(n, 6_738_415_616, "parameters of Llama 2 7B");
        let six = plan.tensors.iter().filter(|t| t.dtype == DType::Q6K).count();
        assert_eq!(six, 1 + 2 * 16);
        assert!(plan.head().is_ok());
    }

    #[test]
    fn scales_are_where_the_formats_have_them() {
        let q4 = Planned { name: "a".into(), dims: vec![256, 2], dtype: DType::Q4K };
        let bytes = random(&q4, &mut 7).unwrap();
        assert_eq!(bytes.len(), 288);
        assert_eq!(bytes[144..148], [80, 1, 80, 1], "336 units of 2^-24");
    }
}
