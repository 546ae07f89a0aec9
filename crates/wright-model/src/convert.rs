//! A model in the layout of Hugging Face (config.json, safetensors) as GGUF.
//!
//! Names, metadata and changes of values are those of llama.cpp's converter: rows of llama's
//! queries and keys are interleaved (pairs that turn together become neighbours), gemma's norms are
//! stored plus one, experts are stacked, fused projections parted. Families are rows of a table.
//! A tensor that has no place in the family is an error: a model without it would be another one.
//! The caller adds the vocabulary to the header.

mod changes;
mod families;
mod metadata;
mod names;
mod numbers;
mod scaling;

use crate::Error;
use crate::gguf_writer::{Field, GgufHeader, TensorHeader, WriteError};
use crate::safetensors::{Safetensors, Tensor};
use changes::Map;
use families::{Change, FAMILIES, Family, Rows};
use names::{Place, place};
use numbers::Numbers;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use wright_kernels::DType;

/// Values that are converted at a time, but for a matrix that is transposed, which goes whole.
const PIECE_VALUES: usize = 1 << 20;
/// Pieces that one tensor is stacked of: more experts, or heads, than any model has.
const PIECES_MAX: usize = 4096;

/// Names of the architectures of config.json that can be converted, with GGUF's names for them.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAMILIES.iter().flat_map(|f| f.architectures.iter().map(|name| (*name, f.arch)))
}

/// A tensor of the file to be, and where it comes from.
#[derive(Debug, Clone)]
struct Move {
    /// Pieces that are stacked, in order: the number of the file, and the tensor in it.
    from: Vec<(usize, Tensor)>,
    map: Map,
}

/// A planned conversion of a model.
#[derive(Debug, Clone)]
pub struct Conversion {
    pub header: GgufHeader,
    /// Rows of the embedding: the vocabulary's size.
    pub n_vocab: usize,
    moves: Vec<Move>,
    /// Factors of RoPE's frequencies, where a scaling needs them; the last tensors of the file.
    rope_factors: Vec<Vec<f32>>,
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
    let numbers = Numbers { config, family };
    let mut moves = moves(&numbers, gathered(&numbers, files)?)?;
    moves.sort_by_cached_key(|(gguf, ..)| names::order(gguf));
    let embedding = moves.iter().find(|(gguf, ..)| gguf == "token_embd.weight");
    let (_, _, embedding) = embedding
        .ok_or_else(|| Error::MissingTensor { name: "model.embed_tokens.weight".to_owned() })?;
    let n_vocab = embedding.map.out_rows;
    let float = float.or(embedding.from[0].1.dtype).unwrap_or(DType::F16);
    let mut header = described(&numbers, name, n_vocab, float)?;
    for (gguf, dims, _) in &moves {
        let dtype = stored_as(gguf, dims, float);
        header.tensors.push(TensorHeader { name: gguf.clone(), dims: dims.clone(), dtype });
    }
    let mut rope_factors = Vec::new();
    for (name, factors) in scaling::tensors(&numbers)? {
        let dims = vec![factors.len()];
        header.tensors.push(TensorHeader { name: name.to_owned(), dims, dtype: DType::F32 });
        rope_factors.push(factors);
    }
    header.data_bytes()?;
    let moves = moves.into_iter().map(|(_, _, from)| from).collect();
    Ok(Conversion { header, n_vocab, moves, rope_factors })
}

/// The metadata of the file that [`plan`] makes of a model, and no tensors: what a program that
/// trains a model writes without a detour over files. `config` is config.json.
///
/// # Errors
/// If the family is not known here, or config.json lacks a number or names a feature that is not
/// converted.
pub fn metadata(
    config: &Value,
    name: &str,
    n_vocab: usize,
    float: DType,
) -> Result<GgufHeader, Error> {
    let family = family(config)?;
    described(&Numbers { config, family }, name, n_vocab, float)
}

fn described(
    numbers: &Numbers<'_>,
    name: &str,
    n_vocab: usize,
    float: DType,
) -> Result<GgufHeader, Error> {
    let mut header = GgufHeader::new();
    metadata::write(numbers, &mut header, name, n_vocab)?;
    labels(numbers.config, numbers.family.arch, &mut header);
    header.set("general.file_type", &Field::U32(file_type(float)));
    Ok(header)
}

/// What a classifier's numbers stand for.
fn labels(config: &Value, arch: &str, header: &mut GgufHeader) {
    let classifies = config["architectures"][0]
        .as_str()
        .is_some_and(|name| name.ends_with("ForSequenceClassification"));
    let names = config["id2label"].as_object().filter(|_| classifies);
    let mut labels: Vec<(u32, String)> = names
        .into_iter()
        .flatten()
        .filter_map(|(id, name)| Some((id.parse().ok()?, name.as_str()?.to_owned())))
        .collect();
    labels.sort_unstable();
    if !labels.is_empty() {
        let labels = labels.into_iter().map(|(_, name)| name).collect();
        header.set(&format!("{arch}.classifier.output_labels"), &Field::Strs(labels));
    }
}

fn file_type(float: DType) -> u32 {
    match float {
        DType::F32 => 0,
        DType::BF16 => 32,
        DType::Q8_0 => 7,
        _ => 1,
    }
}

/// Vectors, norms, routers and positions stay in F32.
fn stored_as(gguf: &str, dims: &[usize], float: DType) -> DType {
    const EXACT: &[&str] = &["_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight"];
    let is_exact = dims.len() < 2
        || !gguf.ends_with(".weight")
        || EXACT.iter().any(|end| gguf.ends_with(end))
        || ["position_embd.weight", "token_types.weight"].contains(&gguf);
    let fits = dims.first().is_some_and(|k| k.is_multiple_of(float.block_len()));
    match is_exact {
        true => DType::F32,
        false if fits => float,
        false => DType::F16,
    }
}

fn family(config: &Value) -> Result<&'static Family, Error> {
    let arch = config["architectures"][0].as_str().unwrap_or_default();
    FAMILIES.iter().find(|f| f.architectures.contains(&arch)).ok_or_else(|| Error::Architecture {
        arch: arch.chars().take(64).collect(),
        known: known().map(|(name, _)| name).collect::<Vec<_>>().join(", "),
        closest: None,
    })
}

/// A tensor of transformers, with all pieces of it where it is stacked here.
type Gathered = (Place, BTreeMap<usize, (usize, Tensor)>);

/// Every tensor that goes over, by GGUF's name of the part that it is.
fn gathered(numbers: &Numbers<'_>, files: &[Safetensors]) -> Result<Vec<Gathered>, Error> {
    let family = numbers.family;
    let is_tied = numbers.config["tie_word_embeddings"].as_bool().unwrap_or(false);
    let n_layer = numbers.n_layer()?;
    let mut all: BTreeMap<String, Gathered> = BTreeMap::new();
    let mut spare = Vec::new();
    for (file, parsed) in files.iter().enumerate() {
        for tensor in &parsed.tensors {
            if names::is_left_out(&tensor.name, family)
                || is_tied && tensor.name == "lm_head.weight"
            {
                continue;
            }
            let Some(place) = place(&tensor.name, family) else {
                spare.push(tensor.name.clone());
                continue;
            };
            // DeepSeek's layers that guess further tokens are not run.
            if family.arch == "deepseek2" && place.layer.is_some_and(|layer| layer >= n_layer) {
                continue;
            }
            let (name, piece) = (place.gguf(place.part), place.piece.unwrap_or(0));
            let (_, pieces) = all.entry(name.clone()).or_insert_with(|| (place, BTreeMap::new()));
            if piece >= PIECES_MAX || pieces.insert(piece, (file, tensor.clone())).is_some() {
                return Err(Error::malformed(format!("tensor {}", tensor.name), "occurs twice"));
            }
        }
    }
    if !spare.is_empty() {
        spare.truncate(5);
        let (arch, names) = (family.arch.to_owned(), spare.join(", "));
        return Err(Error::SpareTensors { arch, names });
    }
    Ok(all.into_values().collect())
}

/// What is written: GGUF's name, dimensions (fastest-varying first) and where values come from.
fn moves(
    numbers: &Numbers<'_>,
    all: Vec<Gathered>,
) -> Result<Vec<(String, Vec<usize>, Move)>, Error> {
    let family = numbers.family;
    let mut moves = Vec::new();
    for (place, pieces) in all {
        let is_whole = pieces.keys().copied().eq(0..pieces.len());
        let from: Vec<(usize, Tensor)> = pieces.into_values().collect();
        let first = &from[0].1;
        if !is_whole || from.iter().any(|(_, tensor)| tensor.shape != first.shape) {
            let what = format!("the pieces of {}", place.gguf(place.part));
            return Err(Error::malformed(what, "are incomplete or differ in shape"));
        }
        let split = family.splits.iter().find(|(part, _)| *part == place.part);
        let change = family.changes.iter().find(|(part, _)| *part == place.part);
        let one = [(place.part, change.map_or(Change::NONE, |(_, change)| *change))];
        for (part, change) in split.map_or(&one[..], |(_, parts)| parts) {
            let change = of_kind(*change, &place, part, family);
            let (map, dims) = shaped(numbers, change, &place, &from)?;
            moves.push((place.gguf(part), dims, Move { from: from.clone(), map }));
        }
    }
    Ok(moves)
}

/// The change of a part as its weight, norm or bias has it: nothing but matrices is transposed,
/// and what is chosen of a transposed matrix's rows is chosen of a bias's values.
fn of_kind(change: Change, place: &Place, part: &str, family: &Family) -> Change {
    let plus_one = family.norms_less_one && part.ends_with("norm") && place.kind == "weight";
    match place.kind {
        "bias" if change.transposed => Change { first: change.then, ..Change::NONE },
        _ => Change { plus_one, ..change },
    }
}

/// A change for tensors of one shape, and the dimensions of what comes out, fastest-varying first.
fn shaped(
    numbers: &Numbers<'_>,
    change: Change,
    place: &Place,
    from: &[(usize, Tensor)],
) -> Result<(Map, Vec<usize>), Error> {
    let shape = from[0].1.shape.as_slice();
    // A bias of several experts is as many vectors, any other of two dimensions is a matrix.
    let is_vectors = shape.len() < 2 || place.kind == "bias";
    let (outer, rows, cols) = match (shape, is_vectors) {
        ([], _) => (1, 1, 1),
        ([outer @ .., rows], true) => (outer.iter().product(), *rows, 1),
        ([outer @ .., rows, cols], false) => (outer.iter().product(), *rows, *cols),
        _ => (1, 1, 1),
    };
    if outer * rows * cols == 0 {
        return Err(Error::malformed(place.gguf(place.part), "is empty"));
    }
    let map = change.resolve(numbers, outer, rows, cols)?;
    let makes_heads = matches!(change.first, Rows::HeadKeys | Rows::HeadValues);
    let usual = if is_vectors { 1 } else { 2 };
    let is_stacked = place.piece.is_some() || makes_heads || shape.len() > usual;
    let mut dims = if is_vectors { vec![map.out_rows] } else { vec![map.out_cols, map.out_rows] };
    if is_stacked {
        dims.push(map.n * from.len());
    }
    Ok((map, dims))
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
) -> Result<(), WriteError> {
    let header = &conversion.header;
    out.write_all(&header.encode()?)?;
    let mut done = 0;
    for (from, to) in conversion.moves.iter().zip(&header.tensors) {
        let mut written = 0;
        for (source, tensor) in &from.from {
            for rows in from.map.pieces() {
                let values = from.map.values(tensor, files[*source], rows)?;
                let bytes = to.encode_values(&values)?;
                out.write_all(&bytes)?;
                written += bytes.len();
                done += values.len() as u64;
                if !watch(done) {
                    return Err(WriteError::Stopped);
                }
            }
        }
        out.write_all(&vec![0; header.padding(written)])?;
    }
    for factors in &conversion.rope_factors {
        let bytes: Vec<u8> = factors.iter().flat_map(|x| x.to_le_bytes()).collect();
        out.write_all(&bytes)?;
        out.write_all(&vec![0; header.padding(bytes.len())])?;
    }
    Ok(())
}

impl Map {
    /// Rows of all results that are made at a time.
    fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let n = self.n * self.out_rows;
        let len = match self.transposed {
            true => self.out_rows,
            false => (PIECE_VALUES / self.out_cols.max(1)).max(1),
        };
        (0..n.div_ceil(len.max(1))).map(move |i| i * len..((i + 1) * len).min(n))
    }

    /// Some rows of the results, out of the tensor as it lies in its file.
    fn values(&self, tensor: &Tensor, file: &[u8], rows: Range<usize>) -> Result<Vec<f32>, Error> {
        let mut values = match self.transposed {
            true => {
                let matrix = rows.start / self.out_rows;
                let rows = matrix * self.rows..(matrix + 1) * self.rows;
                self.matrix(&self.source(tensor, file, rows)?)
            }
            false => {
                let mut values = Vec::with_capacity(rows.len() * self.cols);
                for run in self.runs(rows) {
                    values.extend(self.source(tensor, file, run)?);
                }
                values
            }
        };
        if self.plus_one {
            values.iter_mut().for_each(|x| *x += 1.0);
        }
        Ok(values)
    }

    /// Rows of all source matrices; the last dimension of vectors counts as rows of one value.
    fn source(&self, tensor: &Tensor, file: &[u8], rows: Range<usize>) -> Result<Vec<f32>, Error> {
        if self.cols > 1 || tensor.shape.last() == Some(&1) {
            return tensor.values(file, rows);
        }
        let len = tensor.shape.last().copied().unwrap_or(1).max(1);
        let vectors = rows.start / len..rows.end.div_ceil(len);
        let skipped = rows.start - vectors.start * len;
        let values = tensor.values(file, vectors)?;
        Ok(values[skipped..skipped + rows.len()].to_vec())
    }

    /// The source rows of these rows of results, in runs that lie one behind the other.
    fn runs(&self, rows: Range<usize>) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for row in rows {
            let row = self.source_row(row);
            match runs.last_mut() {
                Some(run) if run.end == row => run.end += 1,
                _ => runs.push(row..row + 1),
            }
        }
        runs
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
    fn non_finite_weights_are_rejected_by_name() {
        let mut whole = file(&[("model.embed_tokens.weight", &[3, 8])]);
        let end = whole.len();
        whole[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let parsed = [Safetensors::parse(&whole).expect("a sound file")];
        for float in [DType::F32, DType::F16, DType::Q8_0] {
            let mut config = config("LlamaForCausalLM");
            config["hidden_size"] = json!(8);
            let conversion = plan(&config, "tiny", &parsed, Some(float)).expect("a plan");
            let error = write(&conversion, &[&whole], &mut std::io::sink(), &mut |_| true);
            let error = error.expect_err("a NaN").to_string();
            assert!(error.contains("token_embd.weight") && error.contains("finite"), "{error}");
        }
    }

    #[test]
    fn unknown_tensors_are_rejected() {
        let embed: (&str, &[usize]) = ("model.embed_tokens.weight", &[3, 8]);
        let odd = file(&[embed, ("model.layers.0.mlp.up_proj.lora_A", &[8, 8])]);
        assert!(matches!(converted("LlamaForCausalLM", &[odd]), Err(Error::SpareTensors { .. })));
        let none = file(&[("model.norm.weight", &[8])]);
        assert!(matches!(converted("LlamaForCausalLM", &[none]), Err(Error::MissingTensor { .. })));
        let unknown = converted("MambaForCausalLM", &[file(&[embed])]);
        assert!(matches!(unknown, Err(Error::Architecture { .. })));
    }
}
