//! Models with random weights: one of the shape of Llama 2 7B in the types of Q4_K_M, and small
//! ones of a single type.
//!
//! What they say is nonsense; how fast they say it is what a real one of this shape and these types
//! takes, since no kernel looks at the values. Made block by block, without the floats.

use crate::Failure;
use crate::peers::Peers;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use wright_model::DType;
use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader};

/// The numbers of a llama.
struct Shape {
    n_layer: usize,
    n_embd: usize,
    n_ff: usize,
    n_head: u32,
    n_vocab: usize,
}

const SEVEN: Shape = Shape { n_layer: 32, n_embd: 4096, n_ff: 11008, n_head: 32, n_vocab: 32000 };
/// 110 M weights, nearly all of them in layers, in rows of whole blocks of 256.
const SMALL: Shape = Shape { n_layer: 2, n_embd: 2048, n_ff: 5632, n_head: 32, n_vocab: 2048 };

/// Types that SmolLM2's rows of 576 have no room for, or that llama-quantize wants more than
/// weights for.
pub const TYPES: [DType; 15] = [
    DType::Q2K,
    DType::Q3K,
    DType::Q5_1,
    DType::IQ4NL,
    DType::IQ4XS,
    DType::IQ3S,
    DType::IQ3XXS,
    DType::IQ2S,
    DType::IQ2XS,
    DType::IQ2XXS,
    DType::IQ1M,
    DType::IQ1S,
    DType::TQ2_0,
    DType::TQ1_0,
    DType::MXFP4,
];

/// Scales of blocks: small enough that activations stay finite through all layers.
const SCALE: f32 = 2e-5;

/// The file of 7B, made on first use (4 GB).
///
/// # Errors
/// If the peers are not set up or the disk is full.
pub fn seven(peers: &Peers) -> Result<PathBuf, Failure> {
    // llama.cpp gives the first and last eighths and every third between more bits.
    let eighth = SEVEN.n_layer / 8;
    let has_more = |layer| layer < eighth || layer >= 7 * eighth || (layer - eighth) % 3 == 2;
    let types = |layer: usize, part: &str| match part {
        "attn_v" | "ffn_down" if has_more(layer) => DType::Q6K,
        _ => DType::Q4K,
    };
    let plan = plan(&SEVEN, [DType::Q4K, DType::Q6K], &types);
    made(peers, "random-7B-Q4_K_M.gguf", &plan)
}

/// The small one of a type, made on first use.
///
/// # Errors
/// As [`seven`].
pub fn of_type(peers: &Peers, dtype: DType) -> Result<PathBuf, Failure> {
    let plan = plan(&SMALL, [DType::Q8_0; 2], &|_, _| dtype);
    made(peers, &format!("random-110M-{}.gguf", dtype.name()), &plan)
}

fn made(peers: &Peers, name: &str, plan: &GgufHeader) -> Result<PathBuf, Failure> {
    let path = peers.path("models").join(name);
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("bench-peers: making {} …", path.display());
    let partial = path.with_extension("partial");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
    out.write_all(&plan.encode()?)?;
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

/// `ends`: types of the embedding and of the head; `types`: of a layer's matrix.
fn plan(shape: &Shape, ends: [DType; 2], types: &dyn Fn(usize, &str) -> DType) -> GgufHeader {
    let mut plan = GgufHeader::new();
    let mut set = |key: &str, field: Field| plan.set(key, &field);
    set("general.architecture", Field::Str("llama".into()));
    set("llama.block_count", Field::U32(shape.n_layer as u32));
    set("llama.context_length", Field::U32(4096));
    set("llama.embedding_length", Field::U32(shape.n_embd as u32));
    set("llama.feed_forward_length", Field::U32(shape.n_ff as u32));
    set("llama.attention.head_count", Field::U32(shape.n_head));
    set("llama.attention.head_count_kv", Field::U32(shape.n_head));
    set("llama.attention.layer_norm_rms_epsilon", Field::F32(1e-5));
    set("llama.rope.dimension_count", Field::U32(shape.n_embd as u32 / shape.n_head));
    set("llama.vocab_size", Field::U32(shape.n_vocab as u32));
    set("tokenizer.ggml.model", Field::Str("no_vocab".into()));
    let mut add = |name: String, dims: &[usize], dtype: DType| {
        plan.tensors.push(TensorHeader { name, dims: dims.to_vec(), dtype });
    };
    let (c, ff) = (shape.n_embd, shape.n_ff);
    add("token_embd.weight".into(), &[c, shape.n_vocab], ends[0]);
    add("output_norm.weight".into(), &[c], DType::F32);
    add("output.weight".into(), &[c, shape.n_vocab], ends[1]);
    let square = ["attn_q", "attn_k", "attn_output", "attn_v"].map(|part| (part, [c, c]));
    let mlp = [("ffn_gate", [c, ff]), ("ffn_up", [c, ff]), ("ffn_down", [ff, c])];
    for layer in 0..shape.n_layer {
        for norm in ["attn_norm", "ffn_norm"] {
            add(format!("blk.{layer}.{norm}.weight"), &[c], DType::F32);
        }
        for (part, dims) in square.iter().chain(&mlp) {
            add(format!("blk.{layer}.{part}.weight"), dims, types(layer, part));
        }
    }
    plan
}

/// Data of one tensor: norms of 1, or random bits with small scales.
fn random(tensor: &TensorHeader, dice: &mut u64) -> Result<Vec<u8>, Failure> {
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
    for block in bytes.chunks_exact_mut(tensor.dtype.block_bytes()) {
        scale_block(tensor.dtype, block);
    }
    Ok(bytes)
}

/// Gives a block small scales, which floats of random bits are not.
fn scale_block(dtype: DType, block: &mut [u8]) {
    let scale = f16_of_small(SCALE);
    let at: &[usize] = match dtype {
        DType::Q4_1 | DType::Q5_1 | DType::Q4K | DType::Q5K => &[0, 2],
        DType::Q2K => &[80, 82],
        DType::Q3K => &[108],
        DType::Q6K => &[208],
        DType::TQ1_0 => &[52],
        DType::TQ2_0 => &[64],
        DType::IQ1M => {
            // Four bits of it in the highest four of each of four numbers.
            for (i, byte) in [49, 51, 53, 55].into_iter().enumerate() {
                block[byte] = block[byte] & 15 | ((scale >> (4 * i)) as u8 & 15) << 4;
            }
            &[]
        }
        DType::MXFP4 => {
            // 2^-17.
            block[0] = 110;
            &[]
        }
        _ => &[0],
    };
    at.iter().for_each(|&at| block[at..at + 2].copy_from_slice(&scale.to_le_bytes()));
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
        let types = |_: usize, part: &str| if part == "attn_v" { DType::Q6K } else { DType::Q4K };
        let plan = plan(&SEVEN, [DType::Q4K, DType::Q6K], &types);
        let n: usize = plan.tensors.iter().map(|t| t.dims.iter().product::<usize>()).sum();
        assert_eq!(n, 6_738_415_616, "parameters of Llama 2 7B");
        let six = plan.tensors.iter().filter(|t| t.dtype == DType::Q6K).count();
        assert_eq!(six, 1 + 32);
        assert!(plan.encode().is_ok());
    }

    #[test]
    fn scales_are_where_the_formats_have_them() {
        let q4 = TensorHeader { name: "a".into(), dims: vec![256, 2], dtype: DType::Q4K };
        let bytes = random(&q4, &mut 7).unwrap();
        assert_eq!(bytes.len(), 288);
        assert_eq!(bytes[144..148], [80, 1, 80, 1], "336 units of 2^-24");
        for dtype in TYPES {
            let mut block = vec![0xff; dtype.block_bytes()];
            scale_block(dtype, &mut block);
            assert!(block.iter().any(|&byte| byte != 0xff), "{dtype:?}");
        }
    }
}
