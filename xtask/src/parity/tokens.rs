//! Token ids are llama.cpp's: on its own test vectors, and on 100 kB of text.

use super::{Check, Setting, llama};
use crate::Failure;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use wright_model::Gguf;
use wright_text::Tokenizer;

/// Vocabularies that must be known and right. Others that llama.cpp has vectors for are tried,
/// and may be refused by name, but never be wrong.
const PROMISED: &[&str] = &[
    "bert-bge",
    "command-r",
    "deepseek-coder",
    "deepseek-llm",
    "falcon",
    "gpt-2",
    "llama-bpe",
    "llama-spm",
    "mpt",
    "phi-3",
    "qwen2",
    "qwen35",
    "refact",
    "starcoder",
];
const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let folder = setting.peers.source("models")?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) =
            file.strip_prefix("ggml-vocab-").and_then(|f| f.strip_suffix(".gguf.inp"))
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    let mut checks = Vec::new();
    let mut refused = Vec::new();
    for name in &names {
        let stem = folder.join(format!("ggml-vocab-{name}.gguf"));
        match (tokenizer(&stem), PROMISED.contains(&name.as_str())) {
            (Ok(tokenizer), _) => checks.push(compare_vectors(name, &stem, &tokenizer)?),
            (Err(why), true) => {
                checks.push(Check::new(format!("tokens, {name}"), false, why.to_string()));
            }
            (Err(_), false) => refused.push(name.as_str()),
        }
    }
    let missing: Vec<&&str> = PROMISED.iter().filter(|p| !names.iter().any(|n| n == *p)).collect();
    if !missing.is_empty() {
        return Err(format!("llama.cpp has no vectors for {missing:?}").into());
    }
    for (name, path) in setting.models()? {
        checks.push(compare_text(setting, name, &path)?);
    }
    if !refused.is_empty() {
        let detail = format!("refused as not supported, not compared: {}", refused.join(", "));
        checks.push(Check::new("tokens, others", true, detail));
    }
    Ok(checks)
}

fn tokenizer(path: &Path) -> Result<Tokenizer, Failure> {
    let bytes: Arc<dyn wright_model::Bytes> = Arc::new(fs::read(path)?);
    let gguf = Gguf::parse(&bytes)?;
    Ok(Tokenizer::new(&wright_run::spec(&gguf.metadata)?)?)
}

fn compare_vectors(name: &str, stem: &Path, tokenizer: &Tokenizer) -> Result<Check, Failure> {
    let read = |suffix: &str| fs::read_to_string(stem.with_extension(format!("gguf.{suffix}")));
    let vectors = vectors(&read("inp")?, &read("out")?)?;
    let wrong = vectors.iter().find(|(text, ids)| tokenizer.encode(text) != *ids);
    let detail = match wrong {
        None => format!("{} vectors", vectors.len()),
        Some((text, ids)) => {
            format!("{text:?}: {:?}, not {ids:?}", tokenizer.encode(text))
        }
    };
    Ok(Check::new(format!("tokens, {name}"), wrong.is_none(), detail))
}

/// Pairs of a text and its ids.
fn vectors(texts: &str, ids: &str) -> Result<Vec<(String, Vec<u32>)>, Failure> {
    let mut texts: Vec<&str> = texts.split(SEPARATOR).collect();
    if texts.last() == Some(&"") {
        texts.pop();
    }
    let ids: Result<Vec<Vec<u32>>, _> =
        ids.lines().map(|line| line.split_whitespace().map(str::parse).collect()).collect();
    let ids = ids?;
    if texts.len() != ids.len() || texts.is_empty() {
        return Err(format!("{} texts and {} lines of ids", texts.len(), ids.len()).into());
    }
    Ok(texts.into_iter().map(str::to_owned).zip(ids).collect())
}

fn compare_text(setting: &Setting, name: &str, path: &Path) -> Result<Check, Failure> {
    let text = fs::read_to_string(&setting.corpus)?;
    let ours = tokenizer(path)?.encode(&text);
    let theirs = llama::tokenize(setting, path, &setting.corpus)?;
    let differ = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    let detail = match differ {
        Some(at) => format!("id {at} is {}, not {}", ours[at], theirs[at]),
        None => format!("{} ids, llama.cpp has {}", ours.len(), theirs.len()),
    };
    Ok(Check::new(format!("tokens of 100 kB, {name}"), ours == theirs, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_texts_with_their_ids() {
        let texts = format!("a{SEPARATOR}{SEPARATOR}\n{SEPARATOR}");
        let read = vectors(&texts, " 1 2\n\n 3\n").expect("three");
        let wanted = [("a", vec![1, 2]), ("", vec![]), ("\n", vec![3])];
        assert_eq!(read, wanted.map(|(text, ids)| (text.to_owned(), ids)));
        assert!(vectors(&texts, "1\n").is_err());
        assert!(vectors("a", "x\n").is_err());
    }
}
