//! `wright convert` beside llama.cpp's converter, on tiny random models that transformers saved:
//! every tensor bit for bit, and every key of the metadata but those that are listed here.

use super::{Check, Setting};
use crate::{Failure, wright};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use wright_model::{Bytes, Gguf, Metadata, TensorInfo, Value};

/// What is not converted here yet, and says so.
const NOT_YET: &[&str] = &["llama4", "glm4moe", "phimoe"];

/// Ends of keys that may differ, or that one of both writes alone, and why; where it is so for one
/// model, with its name before the key.
const MAY_DIFFER: &[(&str, &str)] = &[
    ("general.name", "made of the folder's name by each in its own way"),
    ("general.size_label", "not written: it says nothing that the tensors do not"),
    ("tokenizer.ggml.pre", "overridden in the peer, which knows no tokenizer this small"),
    ("tokenizer.ggml.add_space_prefix", "the file's own word, which the peer has by family"),
    ("command-r.rope.scaling.type", "`none`, which no word says as well"),
    ("cohere2.rope.scaling.type", "the same"),
    ("nemotron.rope.scaling.type", "the same"),
    ("falcon.context_length", "config.json's, where the peer writes 2048"),
    ("falcon.tensor_data_layout", "read by no program"),
    ("bloom.context_length", "2048 as published, where the peer writes the width"),
    ("chatglm.context_length", "config.json's, where the peer writes the width"),
    ("gemma tokenizer.ggml.eot_token_id", "107 in the peer, whatever the vocabulary"),
    ("nemotron tokenizer.ggml.unknown_token_id", "1 in the peer, whatever the vocabulary"),
    ("nemotron.attention.layer_norm_rms_epsilon", "of a norm that is not there"),
    ("hunyuan_dense tokenizer.ggml.eos_token_id", "config.json's, where the peer takes its eod"),
    ("chatglm tokenizer.ggml.add_bos_token", "false, which is what readers take it for"),
    ("phi2 tokenizer.ggml.add_bos_token", "the same"),
];

/// Ends of keys that are written where the peer leaves them to the reader's defaults.
const MORE_IS_SAID: &[&str] = &[
    "general.file_type",
    ".vocab_size",
    ".feed_forward_length",
    ".attention.head_count_kv",
    ".attention.key_length",
    ".attention.value_length",
    ".attention.sliding_window",
    ".attention.sliding_window_pattern",
    ".rope.dimension_count",
    ".rope.freq_base",
    ".rope.freq_base_swa",
    ".rope.scaling.type",
    ".rope.scaling.factor",
    ".rope.scaling.attn_factor",
    ".rope.scaling.original_context_length",
    ".attn_logit_softcapping",
    ".final_logit_softcapping",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.normalizer.lowercase",
    "tokenizer.ggml.normalizer.strip_accents",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.cls_token_id",
];

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let program = wright::build(&setting.workspace)?;
    let folder = setting.peers.path("convert");
    make(setting, &folder)?;
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .flatten()
        .filter(|entry| entry.path().join("peer.gguf").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut checks: Vec<Check> = names
        .iter()
        .map(|name| {
            compare_model(&program, name, &folder.join(name))
                .unwrap_or_else(|failure| Check::new(label(name), false, failure.to_string()))
        })
        .collect();
    checks.extend(not_made(&folder)?);
    Ok(checks)
}

fn label(name: &str) -> String {
    format!("convert, {name}")
}

/// Runs `xtask/peers/convert_models.py`, which makes what is not there yet.
fn make(setting: &Setting, folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    let mut script = Command::new(setting.peers.python()?);
    script
        .arg(setting.workspace.join("xtask/peers/convert_models.py"))
        .arg(setting.workspace.join("crates/wright-model/tests/golden"))
        .arg(setting.peers.source("")?)
        .arg(folder);
    wright::said(&mut script).map(|_| ())
}

/// A failed check for each model that the peer's converter did not convert.
fn not_made(folder: &Path) -> Result<Vec<Check>, Failure> {
    let made: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("made.json"))?)?;
    let failed = made["failed"].as_array().into_iter().flatten();
    let check = |said: &serde_json::Value| {
        let (name, why) = said.as_str().and_then(|said| said.split_once(": ")).unwrap_or_default();
        Check::new(label(name), false, format!("the peer made nothing: {why}"))
    };
    Ok(failed.map(check).collect())
}

fn compare_model(program: &Path, name: &str, folder: &Path) -> Result<Check, Failure> {
    let (peer_file, ours_file) = (folder.join("peer.gguf"), folder.join("ours.gguf"));
    let (peer_bytes, peer) = parsed(&peer_file)?;
    let float = match peer.metadata.u32("general.file_type") {
        Some(0) => "F32",
        _ => "F16",
    };
    let mut convert = Command::new(program);
    convert.arg("convert").arg(folder.join("hf")).args(["--type", float, "--force", "-o"]);
    let said = wright::said(convert.arg(&ours_file));
    if NOT_YET.contains(&name) {
        let refused = said.is_err_and(|failure| failure.to_string().contains("is not known here"));
        return Ok(Check::new(label(name), refused, "refused: not known here yet".to_owned()));
    }
    said?;
    let (ours_bytes, ours) = parsed(&ours_file)?;
    let mut wrong = tensors_that_differ((&ours, &ours_bytes), (&peer, &peer_bytes));
    wrong.extend(keys_that_differ(name, &ours.metadata, &peer.metadata));
    let detail = match wrong.is_empty() {
        true => format!("{} tensors bit for bit, {} keys", ours.tensors.len(), ours.metadata.len()),
        false => wrong.join("\n"),
    };
    Ok(Check::new(label(name), wrong.is_empty(), detail))
}

fn parsed(path: &Path) -> Result<(Vec<u8>, Gguf), Failure> {
    let bytes = fs::read(path)?;
    let shared: Arc<dyn Bytes> = Arc::new(bytes.clone());
    let gguf = Gguf::parse(&shared).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((bytes, gguf))
}

fn tensors_that_differ(ours: (&Gguf, &[u8]), peer: (&Gguf, &[u8])) -> Vec<String> {
    let names = |gguf: &Gguf| -> BTreeSet<String> {
        gguf.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    };
    let all: BTreeSet<String> = names(ours.0).union(&names(peer.0)).cloned().collect();
    let find = |gguf: &Gguf, name: &str| -> Option<TensorInfo> {
        gguf.tensors.iter().find(|tensor| tensor.name == name).cloned()
    };
    let differs = |name: &String| match (find(ours.0, name), find(peer.0, name)) {
        (Some(_), None) => Some(format!("{name} is ours alone")),
        (None, _) => Some(format!("{name} is missing")),
        (Some(a), Some(b)) if (&a.dims, a.dtype) != (&b.dims, b.dtype) => {
            let (ours, theirs) = (a.shape(), b.shape());
            Some(format!("{name} is {ours} {}, not {theirs} {}", a.dtype, b.dtype))
        }
        (Some(a), Some(b)) if ours.1[a.at.clone()] != peer.1[b.at.clone()] => {
            Some(format!("{name} has other bytes"))
        }
        _ => None,
    };
    all.iter().filter_map(differs).collect()
}

fn keys_that_differ(model: &str, ours: &Metadata, peer: &Metadata) -> Vec<String> {
    let may_differ = |key: &str| {
        let key = format!("{model} {key}");
        MAY_DIFFER.iter().any(|(end, _)| key.ends_with(end))
    };
    let of_peer = peer.iter().filter(|(key, _)| !may_differ(key));
    let mut wrong: Vec<String> = of_peer
        .filter_map(|(key, theirs)| match ours.get(key) {
            None => Some(format!("{key} is missing: {theirs}")),
            Some(value) if !same(value, theirs) => Some(format!("{key} is {value}, not {theirs}")),
            Some(_) => None,
        })
        .collect();
    let is_more = |key: &str| MORE_IS_SAID.iter().any(|end| key.ends_with(end));
    wrong.extend(
        ours.iter()
            .filter(|(key, _)| peer.get(key).is_none() && !may_differ(key) && !is_more(key))
            .map(|(key, value)| format!("{key} is ours alone: {value}")),
    );
    wrong
}

/// Whether two values say the same, in whatever width.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    let number = |value: Value<'_>| match value {
        Value::Unsigned(n) => Some(n as f64),
        Value::Signed(n) => Some(n as f64),
        Value::Float(n) => Some(n),
        _ => None,
    };
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_model::DType;
    use wright_model::gguf_writer::{Field, GgufHeader, TensorHeader};

    fn file(keys: &[(&str, Field)], values: [f32; 2]) -> (Vec<u8>, Gguf) {
        let mut plan = GgufHeader::new();
        keys.iter().for_each(|(key, field)| plan.set(key, field));
        let (name, dims) = ("w".to_owned(), vec![2]);
        plan.tensors.push(TensorHeader { name, dims, dtype: DType::F32 });
        let mut file = plan.encode().unwrap();
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.extend(&data);
        file.extend(vec![0; plan.padding(data.len())]);
        let shared: Arc<dyn Bytes> = Arc::new(file.clone());
        (file, Gguf::parse(&shared).unwrap())
    }

    #[test]
    fn a_bit_and_a_key_are_noticed_and_what_is_listed_is_not() {
        let key = |key: &'static str, n: u32| (key, Field::U32(n));
        let (a, ours) = file(&[key("x.n", 1), key("x.vocab_size", 3)], [1.0, 2.0]);
        let (b, peer) = file(&[key("x.n", 2), key("general.size_label", 3)], [1.0, -2.0]);
        assert_eq!(tensors_that_differ((&ours, &a), (&peer, &b)), ["w has other bytes"]);
        assert!(tensors_that_differ((&ours, &a), (&ours, &a)).is_empty());
        assert_eq!(keys_that_differ("m", &ours.metadata, &peer.metadata), ["x.n is 1, not 2"]);
        let (_, more) = file(&[key("x.n", 2), key("x.odd", 0)], [0.0; 2]);
        assert_eq!(
            keys_that_differ("m", &more.metadata, &peer.metadata),
            ["x.odd is ours alone: 0"]
        );
        assert_eq!(keys_that_differ("m", &peer.metadata, &more.metadata), ["x.odd is missing: 0"]);
    }
}
