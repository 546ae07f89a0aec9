//! The vocabulary of a folder of Hugging Face's: tokens, ids with a meaning, the chat template.

use super::{JSON_BYTES_MAX, json, text};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use wright_model::gguf_writer::{Field, GgufHeader};
use wright_text::{Frame, Pieces, TokenizerJsonError};

/// More than any tokenizer.json or tokenizer.model has.
const TOKENIZER_BYTES_MAX: u64 = 128 << 20;

/// Adds what tokenizer.json (or SentencePiece's tokenizer.model), tokenizer_config.json and the
/// template say.
///
/// # Errors
/// If one of them cannot be read, or says what GGUF has no words for.
pub fn add(
    folder: &Path,
    config: &Value,
    n_vocab: usize,
    plan: &mut GgufHeader,
) -> Result<(), Failure> {
    let about = json(&folder.join("tokenizer_config.json")).unwrap_or_default();
    let json_file = folder.join("tokenizer.json");
    let model_file = folder.join("tokenizer.model");
    let pieces = if json_file.is_file() {
        let text = text(&json_file, TOKENIZER_BYTES_MAX)?;
        Pieces::read(&text, n_vocab).map_err(|error| failure(&error))?
    } else if model_file.is_file() {
        sentencepiece(&model_file, folder, &about, n_vocab)?
    } else {
        terminal::note("there is no tokenizer.json: the model will accept token IDs only, no text");
        return Ok(());
    };
    specials(folder, config, &about, &pieces, plan);
    write(pieces, plan);
    Ok(())
}

fn failure(error: &TokenizerJsonError) -> Failure {
    Failure::new(Exit::Unsupported, error).hint("llama.cpp's convert_hf_to_gguf.py may support it")
}

/// SentencePiece's own file, and the tokens that were added to it since.
fn sentencepiece(
    path: &Path,
    folder: &Path,
    about: &Value,
    n_vocab: usize,
) -> Result<Pieces, Failure> {
    let metadata = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    if metadata.len() > TOKENIZER_BYTES_MAX {
        let what = format!("{} is too large for a vocabulary", path.display());
        return Err(Failure::new(Exit::BadInput, what).hint("check that it is the right file"));
    }
    let bytes = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let mut pieces = Pieces::read_sentencepiece(&bytes, n_vocab).map_err(|e| failure(&e))?;
    let mut put = |id: Option<u64>, text: Option<&str>, special: bool| {
        let id = id.and_then(|id| u32::try_from(id).ok());
        let (Some(id), Some(text)) = (id, text) else { return Ok(()) };
        // Some files add tokens beyond the embedding, which the model cannot know.
        match (id as usize) < n_vocab {
            true => pieces.add(id, text, special).map_err(|error| failure(&error)),
            false => Ok(()),
        }
    };
    let added = json(&folder.join("added_tokens.json")).unwrap_or_default();
    for (text, id) in added.as_object().into_iter().flatten() {
        put(id.as_u64(), Some(text), false)?;
    }
    for (id, token) in about["added_tokens_decoder"].as_object().into_iter().flatten() {
        let special = token["special"].as_bool().unwrap_or(false);
        put(id.parse().ok(), token["content"].as_str(), special)?;
    }
    Ok(pieces)
}

fn write(pieces: Pieces, plan: &mut GgufHeader) {
    let mut set = |name: &str, field: Field| plan.set(&format!("tokenizer.ggml.{name}"), &field);
    set("model", Field::Str(pieces.model.into()));
    let pre = if pieces.pre.is_empty() { "default" } else { pieces.pre };
    set("pre", Field::Str(pre.into()));
    match pieces.model {
        "llama" => set("add_space_prefix", Field::Bool(pieces.add_space_prefix)),
        "t5" => {
            set("add_space_prefix", Field::Bool(pieces.add_space_prefix));
            let merges = pieces.remove_extra_whitespaces;
            set("remove_extra_whitespaces", Field::Bool(merges));
            // XLM-RoBERTa's pairs have two separators between them.
            let is_framed = [&pieces.begins, &pieces.ends]
                .into_iter()
                .all(|frame| frame.as_ref().is_some_and(|frame| *frame != Frame::Nothing));
            set("add_sep_token", Field::Bool(is_framed));
            if !pieces.charsmap.is_empty() {
                set("precompiled_charsmap", Field::U8s(pieces.charsmap));
            }
        }
        "bert" => {
            set("normalizer.lowercase", Field::Bool(pieces.lowercase));
            set("normalizer.strip_accents", Field::Bool(pieces.strip_accents));
        }
        _ => {}
    }
    if !pieces.scores.is_empty() {
        set("scores", Field::F32s(pieces.scores));
    }
    if !pieces.merges.is_empty() {
        set("merges", Field::Strs(pieces.merges));
    }
    set("token_type", Field::I32s(pieces.token_type));
    set("tokens", Field::Strs(pieces.tokens));
}

/// Ids with a meaning, whether text begins and ends with one, and the chat template.
fn specials(folder: &Path, config: &Value, about: &Value, pieces: &Pieces, plan: &mut GgufHeader) {
    let place = |text: &str| pieces.tokens.iter().position(|token| token == text);
    let id = |name: &str| -> Option<u32> {
        let said = &about[format!("{name}_token")];
        let text = said.as_str().or_else(|| said["content"].as_str());
        let in_config = &config[format!("{name}_token_id")];
        let number = in_config.as_u64().or_else(|| in_config[0].as_u64());
        let found = text.and_then(place).map(|id| id as u64);
        found.or(number).and_then(|id| u32::try_from(id).ok())
    };
    // BERT's texts stand between two that readers look for under the usual names.
    let is_bert = pieces.model == "bert";
    for (name, or, to) in [
        ("bos", is_bert.then_some("cls"), "bos_token_id"),
        ("eos", is_bert.then_some("sep"), "eos_token_id"),
        ("unk", None, "unknown_token_id"),
        ("pad", None, "padding_token_id"),
        ("sep", None, "seperator_token_id"),
        ("cls", None, "cls_token_id"),
        ("mask", None, "mask_token_id"),
    ] {
        if let Some(id) = id(name).or_else(|| or.and_then(id)) {
            plan.set(&format!("tokenizer.ggml.{to}"), &Field::U32(id));
        }
    }
    for (name, frame) in [("add_bos_token", &pieces.begins), ("add_eos_token", &pieces.ends)] {
        // What is done to text counts for more than a flag about it.
        let done = frame.as_ref().map(|frame| *frame != Frame::Nothing);
        if let Some(flag) = done.or_else(|| about[name].as_bool()) {
            plan.set(&format!("tokenizer.ggml.{name}"), &Field::Bool(flag));
        }
    }
    if let Some(template) = template(folder, about) {
        plan.set("tokenizer.chat_template", &Field::Str(template));
    }
}

/// The chat template: a file of its own, or in tokenizer_config.json, alone or as one of several.
fn template(folder: &Path, about: &Value) -> Option<String> {
    let of_file = text(&folder.join("chat_template.jinja"), JSON_BYTES_MAX).ok();
    let of_json = || json(&folder.join("chat_template.json")).ok();
    let told = |said: &Value| {
        let named = said.as_array().into_iter().flatten().find(|one| one["name"] == "default");
        let text = said.as_str().or_else(|| named?["template"].as_str());
        text.map(str::to_owned)
    };
    of_file.or_else(|| told(&about["chat_template"])).or_else(|| told(&of_json()?["chat_template"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_template_is_found_in_each_of_its_places() {
        let folder = tempfile::tempdir().unwrap();
        let at = |about: Value| template(folder.path(), &about);
        assert_eq!(at(json!({})), None);
        let several = json!([{ "name": "tool_use", "template": "t" },
            { "name": "default", "template": "d" }]);
        assert_eq!(at(json!({ "chat_template": several })).as_deref(), Some("d"));
        fs::write(folder.path().join("chat_template.json"), r#"{"chat_template":"j"}"#).unwrap();
        assert_eq!(at(json!({})).as_deref(), Some("j"));
        assert_eq!(at(json!({ "chat_template": "c" })).as_deref(), Some("c"));
        fs::write(folder.path().join("chat_template.jinja"), "f").unwrap();
        assert_eq!(at(json!({ "chat_template": "c" })).as_deref(), Some("f"));
    }

    #[test]
    fn sentencepieces_own_file_serves_where_there_is_no_other() {
        let folder = tempfile::tempdir().unwrap();
        // Two pieces, <unk> and a; BPE; no normalizer.
        let file = [
            &[10, 14, 10, 5, b'<', b'u', b'n', b'k', b'>', 21, 0, 0, 0, 0, 24, 2][..],
            &[10, 8, 10, 1, b'a', 21, 0, 0, 128, 191],
            &[18, 2, 24, 2],
        ]
        .concat();
        fs::write(folder.path().join("tokenizer.model"), file).unwrap();
        let about = json!({ "bos_token": "<s>", "added_tokens_decoder": {
            "2": { "content": "<s>", "special": true }, "9": { "content": "<far>" } } });
        fs::write(folder.path().join("tokenizer_config.json"), about.to_string()).unwrap();
        let mut plan = GgufHeader::new();
        add(folder.path(), &json!({}), 4, &mut plan).unwrap();
        let head = plan.encode().unwrap();
        let gguf = wright_model::Gguf::parse(&(std::sync::Arc::new(head) as _)).unwrap();
        let metadata = &gguf.metadata;
        assert_eq!(metadata.str("tokenizer.ggml.model"), Some("llama"));
        let tokens: Vec<_> = metadata.strings("tokenizer.ggml.tokens").unwrap().collect();
        assert_eq!(tokens, [&b"<unk>"[..], b"a", b"<s>", b"[PAD3]"]);
        assert_eq!(metadata.u32("tokenizer.ggml.bos_token_id"), Some(2));
    }
}
