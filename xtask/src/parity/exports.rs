//! What training exports, loaded unmodified by others: logits of `transformers` on the Hugging
//! Face folder and of llama.cpp on the GGUF, beside Wright's own, in f32.
//!
//! Each family is trained for some steps by the real program, so that its weights are far from
//! their start. The tokenizer goes the same way: `transformers` must read the text to the ids that
//! Wright reads it to.

use super::llama::Logits;
use super::{Check, Setting};
use crate::{Failure, wright};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use wright_model::{Batch, Model, Precision, Segment, SeqId, Session, SessionOptions, Want};

/// (name, what stands in `[model]` beside the numbers below)
const MODELS: [(&str, &str); 5] = [
    ("llama", "family = \"llama\"\nn_kv_head = 2\nhead_dim = 24"),
    ("llama, untied", "family = \"llama\"\nn_kv_head = 4\ntied = false"),
    ("qwen3", "family = \"qwen3\"\nn_kv_head = 2"),
    ("gemma3", "family = \"gemma3\"\nn_layer = 7\nn_kv_head = 1\nrope_base = 1000000.0"),
    ("gpt2", "family = \"gpt2\""),
];
const NUMBERS: &str = "n_embd = 64\nn_head = 4\nn_ff = 160\nn_ctx = 128";
/// Bytes of text whose logits are compared.
const WINDOW: usize = 120;
/// Of logits, in f32.
const DIFFERENCE_MAX: f32 = 1e-3;

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let program = wright::build(&setting.workspace)?;
    let root = setting.peers.path("exports");
    let mut checks = Vec::new();
    for (name, model) in MODELS {
        let folder = root.join(name.replace(", ", "-"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        train(&program, &folder, model, &setting.corpus)?;
        checks.extend(compare_model(setting, name, &folder)?);
    }
    Ok(checks)
}

/// Some steps from nothing, by `wright train`.
fn train(program: &Path, folder: &Path, model: &str, corpus: &Path) -> Result<(), Failure> {
    let layers = if model.contains("n_layer") { "" } else { "n_layer = 3\n" };
    let config = format!(
        "[model]\n{model}\n{layers}{NUMBERS}\n[data]\ntrain = [\"text.shard\"]\n\
         tokenizer = \"bytes\"\n[train]\nsteps = 60\nbatch = 8\nlearning_rate = 0.01\nwarmup = 5\n"
    );
    fs::write(folder.join("run.toml"), config)?;
    let shard = folder.join("text.shard");
    let mut made = Command::new(program);
    made.arg("shard").arg(corpus).args(["-t", "bytes", "-o"]).arg(&shard);
    wright::said(&mut made)?;
    wright::said(Command::new(program).arg("train").arg(folder.join("run.toml")))?;
    Ok(())
}

fn compare_model(setting: &Setting, name: &str, folder: &Path) -> Result<Vec<Check>, Failure> {
    let text: String = fs::read_to_string(&setting.corpus)?.chars().take(WINDOW).collect();
    let ids: Vec<u32> = text.bytes().take(WINDOW).map(u32::from).collect();
    let gguf = folder.join("run/model.gguf");
    let ours = ours(&gguf, &ids)?;
    let mut peer = Logits::start_in_f32(setting, &gguf, ids.len())?;
    peer.window(&ids, 0)?;
    let (mut llama, mut row) = (Vec::new(), Vec::new());
    for _ in 0..ids.len() {
        peer.next_row(&mut row)?;
        llama.extend_from_slice(&row);
    }
    let text = String::from_utf8_lossy(&text.as_bytes()[..ids.len()]).into_owned();
    let theirs = transformers(setting, &folder.join("run/model"), &text, &ids)?;
    let check = |peer: &str, logits: &[f32]| {
        let most = difference(&ours, logits);
        let detail = format!(
            "{} logits up to {:.1}: largest difference {most:.1e} (at most {DIFFERENCE_MAX:.0e})",
            ours.len(),
            ours.iter().fold(0.0f32, |most, x| most.max(x.abs()))
        );
        Check::new(format!("export, {name}, {peer}"), most <= DIFFERENCE_MAX, detail)
    };
    Ok(vec![check("llama.cpp", &llama), check("transformers", &theirs)])
}

/// The largest difference; infinite where lengths differ or anything is not finite.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() || a.iter().chain(b).any(|x| !x.is_finite()) {
        return f32::INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn ours(gguf: &Path, ids: &[u32]) -> Result<Vec<f32>, Failure> {
    let model = Arc::new(Model::from_gguf(Arc::new(fs::read(gguf)?))?);
    let options = SessionOptions {
        precision: Precision::Exact,
        threads: 1,
        n_ctx: ids.len(),
        ..SessionOptions::default()
    };
    let mut session = Session::new(model, options)?;
    let segment = Segment { seq: SeqId(0), pos: 0, ids, want: Want::From(0) };
    let mut all = Vec::new();
    session.forward_each(&Batch { segments: &[segment] }, |row| all.extend_from_slice(row))?;
    Ok(all)
}

/// Logits of `xtask/peers/transformers_logits.py`, which also holds the tokenizer to `ids`.
fn transformers(
    setting: &Setting,
    folder: &Path,
    text: &str,
    ids: &[u32],
) -> Result<Vec<f32>, Failure> {
    let script = setting.workspace.join("xtask/peers/transformers_logits.py");
    let mut child = Command::new(setting.peers.python()?)
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let asked = serde_json::json!({ "text": text, "ids": ids }).to_string();
    child.stdin.take().ok_or("no pipe to transformers")?.write_all(asked.as_bytes())?;
    let done = child.wait_with_output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("transformers: {last}").into());
    }
    let each = done.stdout.chunks_exact(4);
    Ok(each.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_the_largest_and_nothing_odd_passes() {
        assert_eq!(difference(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
        assert_eq!(difference(&[1.0], &[1.0, 2.0]), f32::INFINITY);
        assert_eq!(difference(&[f32::NAN], &[f32::NAN]), f32::INFINITY);
    }
}
