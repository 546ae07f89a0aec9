//! A model in the layout of Hugging Face (config.json, safetensors) as GGUF.
//!
//! Names, metadata and the few changes of values are those of llama.cpp's converter: rows of
//! llama's queries and keys are interleaved (pairs that turn together become neighbours), gemma's
//! norms are stored plus one. Families are rows of a table. A tensor that has no place in the
//! family is an error: a model without it would be another one. What the vocabulary is, the caller
//! adds to the plan.

mod names;

use crate::Error;
use crate::gguf_writer::{Field, Plan, Planned};
use crate::requantize::RewriteError;
use crate::safetensors::{Safetensors, Tensor};
use names::place;
use serde_json::Value;
use std::io::Write;
use std::ops::Range;
use wright_kernels::{DType, Isa, quantize};

/// Values that are converted at a time.
const PIECE_VALUES: usize = 1 << 20;

/// A family that can be converted.
#[derive(Debug, Clone, Copy)]
struct Family {
    /// Of config.json, `architectures`.
    architectures: &'static [&'static str],
    arch: &'static str,
    /// Rows of queries and keys are interleaved.
    interleaves: bool,
    /// Norms are stored less one.
    norms_less_one: bool,
    /// Norms stand after attention and MLP: `post_attention_layernorm` is not the MLP's own.
    post_norms: bool,
}

const LLAMA: Family = Family {
    architectures: &["LlamaForCausalLM", "MistralForCausalLM"],
    arch: "llama",
    interleaves: true,
    norms_less_one: false,
    post_norms: false,
};
const QWEN2: Family =
    Family { architectures: &["Qwen2ForCausalLM"], arch: "qwen2", interleaves: false, ..LLAMA };
const GEMMA: Family =
    Family { architectures: &["GemmaForCausalLM"], arch: "gemma", norms_less_one: true, ..QWEN2 };

const FAMILIES: &[Family] = &[
    LLAMA,
    QWEN2,
    Family { architectures: &["Qwen3ForCausalLM"], arch: "qwen3", ..QWEN2 },
    Family { architectures: &["SmolLM3ForCausalLM"], arch: "smollm3", ..LLAMA },
    Family { architectures: &["Olmo2ForCausalLM"], arch: "olmo2", post_norms: true, ..QWEN2 },
    GEMMA,
    Family { architectures: &["Gemma2ForCausalLM"], arch: "gemma2", post_norms: true, ..GEMMA },
    Family { architectures: &["Gemma3ForCausalLM"], arch: "gemma3", post_norms: true, ..GEMMA },
];

/// How a tensor's values are changed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    /// Rows of heads of this many, pairs made neighbours.
    Interleave(usize),
    PlusOne,
}

/// A tensor of the file to be, and where it comes from.
#[derive(Debug, Clone)]
struct Move {
    file: usize,
    tensor: Tensor,
    turn: Turn,
}

/// What converting a model does.
#[derive(Debug, Clone)]
pub struct Conversion {
    pub plan: Plan,
    /// Rows of the embedding: the vocabulary's size.
    pub n_vocab: usize,
    moves: Vec<Move>,
    /// `rope_freqs.weight`, where a scaling of RoPE needs it; the last tensor of the plan.
    rope_factors: Vec<f32>,
}

/// Plans the conversion of `files`, with matrices as `float` (F32, F16, BF16 or Q8_0); None takes
/// the type that the embedding has.
///
/// # Errors
/// If the family is not known here, config.json lacks a number, a tensor has no place or a type
/// that holds no weights, or there is a feature that is not converted.
pub fn plan(
    config: &Value,
    name: &str,
    files: &[Safetensors],
    float: Option<DType>,
) -> Result<Conversion, Error> {
    let family = family(config)?;
    let numbers = Numbers { config, arch: family.arch };
    let mut moves = moves(&family, &numbers, files)?;
    moves.sort_by_cached_key(|(gguf, _)| names::order(gguf));
    let embedding = moves.iter().find(|(gguf, _)| gguf == "token_embd.weight");
    let (_, embedding) = embedding
        .ok_or_else(|| Error::MissingTensor { name: "model.embed_tokens.weight".to_owned() })?;
    let n_vocab = embedding.tensor.shape.first().copied().unwrap_or(0);
    let float = float.or(embedding.tensor.dtype).unwrap_or(DType::F16);
    let mut plan = Plan::new();
    numbers.write(&mut plan, name, n_vocab)?;
    plan.set("general.file_type", &Field::U32(file_type(float)));
    for (gguf, from) in &moves {
        let dims: Vec<usize> = from.tensor.shape.iter().rev().copied().collect();
        let fits = dims.first().is_some_and(|k| k.is_multiple_of(float.block_len()));
        let dtype = match dims.len() {
            0 | 1 => DType::F32,
            _ if !fits => DType::F16,
            _ => float,
        };
        plan.tensors.push(Planned { name: gguf.clone(), dims, dtype });
    }
    let rope_factors = numbers.rope_factors()?;
    if !rope_factors.is_empty() {
        let dims = vec![rope_factors.len()];
        let name = "rope_freqs.weight".to_owned();
        plan.tensors.push(Planned { name, dims, dtype: DType::F32 });
    }
    plan.data_bytes()?;
    let moves = moves.into_iter().map(|(_, from)| from).collect();
    Ok(Conversion { plan, n_vocab, moves, rope_factors })
}

fn file_type(float: DType) -> u32 {
    match float {
        DType::F32 => 0,
        DType::BF16 => 32,
        DType::Q8_0 => 7,
        _ => 1,
    }
}

fn family(config: &Value) -> Result<Family, Error> {
    let arch = config["architectures"][0].as_str().unwrap_or_default();
    FAMILIES.iter().find(|f| f.architectures.contains(&arch)).copied().ok_or_else(|| {
        let known = FAMILIES.iter().flat_map(|f| f.architectures).copied();
        Error::Architecture {
            arch: arch.chars().take(64).collect(),
            known: known.collect::<Vec<_>>().join(", "),
            closest: None,
        }
    })
}

/// Every tensor that goes over, with its name in GGUF.
fn moves(
    family: &Family,
    numbers: &Numbers<'_>,
    files: &[Safetensors],
) -> Result<Vec<(String, Move)>, Error> {
    let is_tied = numbers.config["tie_word_embeddings"].as_bool().unwrap_or(false);
    let head_dim = numbers.head_dim()?;
    let mut all = Vec::new();
    let mut spare = Vec::new();
    for (file, parsed) in files.iter().enumerate() {
        for tensor in &parsed.tensors {
            if names::is_computed(&tensor.name) || is_tied && tensor.name == "lm_head.weight" {
                continue;
            }
            let Some(gguf) = place(&tensor.name, family.post_norms) else {
                spare.push(tensor.name.clone());
                continue;
            };
            let is_rotated = gguf.contains("attn_q.") || gguf.contains("attn_k.");
            let turn = match () {
                () if family.interleaves && is_rotated => Turn::Interleave(head_dim),
                () if family.norms_less_one && gguf.ends_with("norm.weight") => Turn::PlusOne,
                () => Turn::None,
            };
            all.push((gguf, Move { file, tensor: tensor.clone(), turn }));
        }
    }
    if !spare.is_empty() {
        spare.truncate(5);
        let (arch, names) = (family.arch.to_owned(), spare.join(", "));
        return Err(Error::SpareTensors { arch, names });
    }
    Ok(all)
}

/// Writes the planned file with the values of `files`, which were parsed in this order.
///
/// # Errors
/// If a value is not finite, writing fails, or `watch`, given the values written, returns false.
pub fn write(
    conversion: &Conversion,
    files: &[&[u8]],
    out: &mut dyn Write,
    watch: &mut dyn FnMut(u64) -> bool,
) -> Result<(), RewriteError> {
    let plan = &conversion.plan;
    out.write_all(&plan.head()?)?;
    let mut done = 0;
    for (from, to) in conversion.moves.iter().zip(&plan.tensors) {
        let mut written = 0;
        for rows in pieces(&from.tensor) {
            let bytes = from.piece(files[from.file], rows.clone(), to)?;
            out.write_all(&bytes)?;
            written += bytes.len();
            done += (rows.len() * to.dims[0]) as u64;
            if !watch(done) {
                return Err(RewriteError::Stopped);
            }
        }
        out.write_all(&vec![0; plan.padding(written)])?;
    }
    if !conversion.rope_factors.is_empty() {
        let bytes: Vec<u8> = conversion.rope_factors.iter().flat_map(|x| x.to_le_bytes()).collect();
        out.write_all(&bytes)?;
        out.write_all(&vec![0; plan.padding(bytes.len())])?;
    }
    Ok(())
}

/// Rows that are converted at a time.
fn pieces(tensor: &Tensor) -> impl Iterator<Item = Range<usize>> {
    let k = tensor.shape.last().copied().unwrap_or(1).max(1);
    let n: usize = tensor.shape.iter().rev().skip(1).product();
    let len = (PIECE_VALUES / k).max(1);
    (0..n.div_ceil(len)).map(move |i| i * len..((i + 1) * len).min(n))
}

impl Move {
    /// Rows of the tensor as it shall be, as bytes of its type.
    fn piece(&self, file: &[u8], rows: Range<usize>, to: &Planned) -> Result<Vec<u8>, Error> {
        let failure = |why: String| Error::malformed(format!("tensor {}", self.tensor.name), why);
        let k = to.dims[0];
        let n_bytes = to.dtype.row_bytes(k).ok_or_else(|| failure("has no whole blocks".into()))?;
        let mut values = match self.turn {
            // A vector counts as one row here, and its values as rows of one.
            Turn::Interleave(head_dim) if self.tensor.shape.len() == 1 => {
                let all = self.tensor.values(file, 0..1)?;
                (0..all.len()).map(|row| all[neighbour(row, head_dim)]).collect()
            }
            Turn::Interleave(head_dim) => {
                let mut values = Vec::with_capacity(rows.len() * k);
                for row in rows.clone() {
                    let from = neighbour(row, head_dim);
                    values.extend(self.tensor.values(file, from..from + 1)?);
                }
                values
            }
            Turn::None | Turn::PlusOne => self.tensor.values(file, rows.clone())?,
        };
        if self.turn == Turn::PlusOne {
            values.iter_mut().for_each(|x| *x += 1.0);
        }
        let mut out = vec![0; rows.len() * n_bytes];
        quantize(Isa::detect(), to.dtype, k, &values, None, &mut out)
            .map_err(|error| failure(error.to_string()))?;
        Ok(out)
    }
}

/// The row that comes to stand at `row` when pairs half a head apart become neighbours.
fn neighbour(row: usize, head_dim: usize) -> usize {
    let (head, at) = (row / head_dim, row % head_dim);
    head * head_dim + at % 2 * (head_dim / 2) + at / 2
}

/// config.json as metadata.
struct Numbers<'a> {
    config: &'a Value,
    arch: &'static str,
}

impl Numbers<'_> {
    fn u32(&self, key: &str) -> Option<u32> {
        self.config[key].as_u64().and_then(|n| u32::try_from(n).ok())
    }

    fn needed(&self, key: &str) -> Result<u32, Error> {
        let wrong = || Error::metadata(format!("{key} of config.json"), "is missing or no number");
        self.u32(key).filter(|&n| n > 0).ok_or_else(wrong)
    }

    fn f32(&self, key: &str) -> Option<f32> {
        self.config[key].as_f64().map(|x| x as f32).filter(|x| x.is_finite())
    }

    fn head_dim(&self) -> Result<usize, Error> {
        let usual = self.needed("hidden_size")? / self.needed("num_attention_heads")?;
        match self.u32("head_dim").unwrap_or(usual) {
            0 => Err(Error::metadata("head_dim of config.json", "is 0")),
            n if n % 2 == 1 => Err(Error::metadata("head_dim of config.json", "is odd")),
            n => Ok(n as usize),
        }
    }

    /// What is said of RoPE, in the old place or the new one.
    fn rope(&self, key: &str) -> &Value {
        let new = &self.config["rope_parameters"];
        let of_full = &new["full_attention"];
        let places = [of_full, new, &self.config["rope_scaling"], self.config];
        places.into_iter().map(|place| &place[key]).find(|v| !v.is_null()).unwrap_or(&Value::Null)
    }

    fn write(&self, plan: &mut Plan, name: &str, n_vocab: usize) -> Result<(), Error> {
        let key = |key: &str| format!("{}.{key}", self.arch);
        plan.set("general.architecture", &Field::Str(self.arch.into()));
        plan.set("general.type", &Field::Str("model".into()));
        plan.set("general.name", &Field::Str(name.into()));
        plan.set("general.quantization_version", &Field::U32(2));
        let n_head = self.needed("num_attention_heads")?;
        let n_kv_head = self.u32("num_key_value_heads").unwrap_or(n_head);
        for (to, value) in [
            ("block_count", self.needed("num_hidden_layers")?),
            ("context_length", self.needed("max_position_embeddings")?),
            ("embedding_length", self.needed("hidden_size")?),
            ("feed_forward_length", self.needed("intermediate_size")?),
            ("attention.head_count", n_head),
            ("attention.head_count_kv", n_kv_head),
            ("vocab_size", n_vocab as u32),
        ] {
            plan.set(&key(to), &Field::U32(value));
        }
        let head_dim = self.head_dim()? as u32;
        let lengths = ["attention.key_length", "attention.value_length", "rope.dimension_count"];
        lengths.iter().for_each(|to| plan.set(&key(to), &Field::U32(head_dim)));
        let eps = self.f32("rms_norm_eps").unwrap_or(1e-6);
        plan.set(&key("attention.layer_norm_rms_epsilon"), &Field::F32(eps));
        let base = self.rope("rope_theta").as_f64().unwrap_or(10_000.0) as f32;
        plan.set(&key("rope.freq_base"), &Field::F32(base));
        self.write_window(plan)?;
        self.write_scaling(plan)
    }

    /// Sliding windows and soft caps, of the families that have them.
    fn write_window(&self, plan: &mut Plan) -> Result<(), Error> {
        let is_used = self.config["use_sliding_window"].as_bool().unwrap_or(true);
        let window = self.u32("sliding_window").filter(|_| is_used);
        let has_windows = self.arch.starts_with("gemma");
        if window.is_some() && !has_windows {
            return Err(Error::Feature { what: format!("{} with a sliding window", self.arch) });
        }
        if !has_windows || self.arch == "gemma" {
            return Ok(());
        }
        let key = |key: &str| format!("{}.{key}", self.arch);
        if let Some(window) = window {
            plan.set(&key("attention.sliding_window"), &Field::U32(window));
        }
        for (from, to) in [
            ("attn_logit_softcapping", "attn_logit_softcapping"),
            ("final_logit_softcapping", "final_logit_softcapping"),
        ] {
            if let Some(cap) = self.f32(from) {
                plan.set(&key(to), &Field::F32(cap));
            }
        }
        // The scale of scores is the family's own; another one could not be said.
        let usual = self.head_dim()? as u32;
        match self.u32("query_pre_attn_scalar") {
            Some(scalar) if scalar != usual && !self.has_odd_scale() => {
                Err(Error::Feature { what: format!("query_pre_attn_scalar of {scalar}") })
            }
            _ => Ok(()),
        }
    }

    /// The sizes of gemma 2 and 3 whose scale is known by their number of layers.
    fn has_odd_scale(&self) -> bool {
        matches!(
            (self.arch, self.u32("num_hidden_layers")),
            ("gemma2", Some(46)) | ("gemma3", Some(62))
        )
    }

    fn write_scaling(&self, plan: &mut Plan) -> Result<(), Error> {
        let key = |key: &str| format!("{}.rope.scaling.{key}", self.arch);
        let kind = match (self.rope("rope_type").as_str(), self.rope("type").as_str()) {
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => "default",
        };
        let factor = self.rope("factor").as_f64().unwrap_or(1.0) as f32;
        match kind {
            // The factors of llama 3 are a tensor.
            "default" | "llama3" => return Ok(()),
            "linear" | "yarn" => {}
            other => return Err(Error::Feature { what: format!("RoPE scaled by {other}") }),
        }
        plan.set(&key("type"), &Field::Str(kind.into()));
        plan.set(&key("factor"), &Field::F32(factor));
        if let Some(n) = self.rope("original_max_position_embeddings").as_u64() {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            plan.set(&key("original_context_length"), &Field::U32(n));
        }
        Ok(())
    }

    /// Llama 3's factors on the frequencies of RoPE, one for each pair (Meta 2024).
    fn rope_factors(&self) -> Result<Vec<f32>, Error> {
        if self.rope("rope_type").as_str() != Some("llama3") {
            return Ok(Vec::new());
        }
        let number = |key: &str, usual: f64| self.rope(key).as_f64().unwrap_or(usual);
        let base = number("rope_theta", 10_000.0);
        let (factor, low, high) = (
            number("factor", 8.0),
            number("low_freq_factor", 1.0),
            number("high_freq_factor", 4.0),
        );
        let original = number("original_max_position_embeddings", 8192.0);
        let dim = self.head_dim()?;
        Ok((0..dim / 2)
            .map(|pair| {
                let wavelength =
                    2.0 * std::f64::consts::PI * base.powf(2.0 * pair as f64 / dim as f64);
                if wavelength < original / high {
                    return 1.0;
                }
                if wavelength > original / low {
                    return factor as f32;
                }
                let smooth = (original / wavelength - low) / (high - low);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Gguf};
    use serde_json::json;
    use std::sync::Arc;

    /// A file of F32 tensors whose values count from 0 on in each.
    fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, shape) in tensors {
            let n: usize = shape.iter().product();
            let from = data.len();
            data.extend((0..n).flat_map(|i| (i as f32).to_le_bytes()));
            let about =
                json!({ "dtype": "F32", "shape": shape, "data_offsets": [from, data.len()] });
            header.insert((*name).to_owned(), about);
        }
        let header = Value::Object(header).to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.bytes());
        file.extend(data);
        file
    }

    fn config(arch: &str) -> Value {
        json!({
            "architectures": [arch], "hidden_size": 8, "num_attention_heads": 1,
            "num_hidden_layers": 1, "max_position_embeddings": 64, "intermediate_size": 8,
            "rope_theta": 5000.0, "tie_word_embeddings": true,
        })
    }

    fn converted(arch: &str, files: &[Vec<u8>]) -> Result<(Gguf, Vec<u8>), Error> {
        let parsed: Vec<Safetensors> =
            files.iter().map(|f| Safetensors::parse(f)).collect::<Result<_, _>>()?;
        let conversion = plan(&config(arch), "tiny", &parsed, None)?;
        let bytes: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        write(&conversion, &bytes, &mut out, &mut |_| true).expect("finite values");
        let shared: Arc<dyn Bytes> = Arc::new(out.clone());
        Ok((Gguf::parse(&shared)?, out))
    }

    fn values(gguf: &Gguf, file: &[u8], name: &str) -> Vec<f32> {
        let tensor = gguf.tensors.iter().find(|t| t.name == name).expect("it is there");
        let bytes = file[tensor.at.clone()].as_chunks::<4>().0;
        bytes.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    #[test]
    fn pairs_of_llamas_heads_become_neighbours_over_two_files() {
        let first = file(&[("model.embed_tokens.weight", &[3, 8]), ("lm_head.weight", &[3, 8])]);
        let second = file(&[
            ("model.layers.0.self_attn.q_proj.weight", &[8, 8]),
            ("model.layers.0.self_attn.rotary_emb.inv_freq", &[4]),
        ]);
        let (gguf, out) = converted("LlamaForCausalLM", &[first, second]).unwrap();
        let names: Vec<&str> = gguf.tensors.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["token_embd.weight", "blk.0.attn_q.weight"], "tied, so no head");
        let firsts: Vec<f32> =
            values(&gguf, &out, names[1]).chunks(8).map(|row| row[0] / 8.0).collect();
        assert_eq!(firsts, [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
        assert_eq!(gguf.metadata.f32("llama.rope.freq_base"), Some(5000.0));
    }

    #[test]
    fn gemmas_norms_are_stored_plus_one_and_others_are_not() {
        let tensors: [(&str, &[usize]); 2] =
            [("model.embed_tokens.weight", &[3, 8]), ("model.norm.weight", &[8])];
        let (gguf, out) = converted("GemmaForCausalLM", &[file(&tensors)]).unwrap();
        assert_eq!(values(&gguf, &out, "output_norm.weight")[..3], [1.0, 2.0, 3.0]);
        let (gguf, out) = converted("Qwen2ForCausalLM", &[file(&tensors)]).unwrap();
        assert_eq!(values(&gguf, &out, "output_norm.weight")[..3], [0.0, 1.0, 2.0]);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let embed: (&str, &[usize]) = ("model.embed_tokens.weight", &[3, 8]);
        let odd = file(&[embed, ("model.layers.0.mlp.up_proj.lora_A", &[8, 8])]);
        assert!(matches!(converted("LlamaForCausalLM", &[odd]), Err(Error::SpareTensors { .. })));
        let none = file(&[("model.norm.weight", &[8])]);
        assert!(matches!(converted("LlamaForCausalLM", &[none]), Err(Error::MissingTensor { .. })));
        let unknown = converted("MambaForCausalLM", &[file(&[embed])]);
        assert!(matches!(unknown, Err(Error::Architecture { .. })));
    }
}
