//! Readers of the files that a folder of Hugging Face's holds: weights, numbers, vocabularies.

use super::Try;
use serde_json::{Value, json};
use wright_model::convert;
use wright_model::safetensors::Safetensors;
use wright_text::Pieces;

pub const SAFETENSORS_WORDS: &[&str] = &[
    "\"__metadata__\":{}",
    "\"dtype\":\"I64\"",
    "\"shape\":[18446744073709551615]",
    "\"data_offsets\":[0,18446744073709551615]",
    "[[[[[[",
    "1e999",
    "\"\\u0000\"",
    "model.layers.0.self_attn.q_proj.bias",
];

pub fn safetensors_seeds() -> Vec<Vec<u8>> {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in [
        ("model.embed_tokens.weight", vec![8, 16]),
        ("model.norm.weight", vec![16]),
        ("model.layers.0.input_layernorm.weight", vec![16]),
        ("model.layers.0.self_attn.q_proj.weight", vec![16, 16]),
        ("model.layers.0.mlp.up_proj.weight", vec![32, 16]),
    ] {
        let end = at + shape.iter().product::<usize>() * 2;
        let about = json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] });
        header.insert(name.to_owned(), about);
        at = end;
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend((0..at).map(|i| (i % 61) as u8));
    vec![file]
}

pub fn try_safetensors(input: &[u8]) -> bool {
    let Ok(parsed) = Safetensors::parse(input) else { return false };
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "num_attention_heads": 2,
        "num_hidden_layers": 1, "max_position_embeddings": 64, "intermediate_size": 32,
    });
    if let Ok(conversion) = convert::plan(&config, "x", &[parsed], None) {
        let _ = convert::write(&conversion, &[input], &mut std::io::sink(), &mut |_| true);
    }
    true
}

pub const TOKENIZER_WORDS: &[&str] = &[
    "\"byte_fallback\":true,",
    "\"type\":\"Unigram\"",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}\"}}",
    "\"Digits\"",
    "\"merges\":[\"a b\",[\"a\",\"b\"]]",
    "4294967295",
    "1e9",
    "[[[[[[[[[[",
    "\"\\ud800\"",
    "\"<0x00>\":1,",
];

pub fn tokenizer_seeds() -> Vec<Vec<u8>> {
    let byte_level = json!({
        "model": { "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": ["a b"] },
        "added_tokens": [{ "id": 3, "content": "<|end|>", "special": true }],
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Digits", "individual_digits": true }, { "type": "ByteLevel" }] },
    });
    let pieces = json!({
        "model": { "type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
            "vocab": { "<unk>": 0, "<0x41>": 1, "▁": 2, "a": 3, "▁a": 4 },
            "merges": [["▁", "a"]] },
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }] },
    });
    let words = json!({
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "vocab": { "[UNK]": 0, "a": 1, "##b": 2 } },
        "normalizer": { "type": "BertNormalizer", "lowercase": true, "strip_accents": null },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "TemplateProcessing", "single": [
            { "SpecialToken": { "id": "[UNK]" } }, { "Sequence": { "id": "A" } }] },
    });
    let unigram = json!({
        "model": { "type": "Unigram", "unk_id": 0,
            "vocab": [["<unk>", 0.0], ["▁a", -1.5], ["b", -2.5]] },
        "normalizer": { "type": "Precompiled", "precompiled_charsmap": "BAAAAAEAAAA=" },
        "pre_tokenizer": { "type": "Metaspace", "prepend_scheme": "always" },
    });
    [byte_level, pieces, words, unigram].iter().map(|json| json.to_string().into_bytes()).collect()
}

pub fn try_tokenizer(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let all = [Pieces::read(text, 8), Pieces::read_all(text)];
    all.iter().flatten().for_each(use_pieces);
    all[0].is_ok()
}

/// Makes a tokenizer of a vocabulary, and cuts a text.
fn use_pieces(pieces: &Pieces) {
    if let Ok(tokenizer) = pieces.tokenizer() {
        let _ = tokenizer.encode_document("ab 12 <|end|> \u{1f980}");
    }
}

/// Two pieces, a kind, and a normalizer, as Protocol Buffers.
pub fn sentencepiece_seeds() -> Vec<Vec<u8>> {
    let pieces: &[&[u8]] = &[
        &[10, 14, 10, 5, b'<', b'u', b'n', b'k', b'>', 21, 0, 0, 0, 0, 24, 2],
        &[10, 8, 10, 1, b'a', 21, 0, 0, 128, 191],
    ];
    let end = |kind: u8| [&[18, 2, 24, kind][..], &[26, 4, 24, 0, 32, 1]].concat();
    [1, 2].map(|kind| [pieces.concat(), end(kind)].concat()).to_vec()
}

pub fn try_sentencepiece(input: &[u8]) -> bool {
    let Ok(mut pieces) = Pieces::read_sentencepiece(input, 8) else { return false };
    let _ = pieces.add(7, "<x>", true);
    use_pieces(&pieces);
    true
}

pub const CONFIG_WORDS: &[&str] = &[
    "\"LlamaForCausalLM\"",
    "\"FalconForCausalLM\"",
    "\"GPT2LMHeadModel\"",
    "\"GptOssForCausalLM\"",
    "\"DeepseekV2ForCausalLM\"",
    "\"XLMRobertaModel\"",
    "\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1,2]},",
    "\"rope_type\":\"yarn\",",
    "\"num_local_experts\":4,",
    "\"layer_types\":[\"sliding_attention\"],",
    "\"head_dim\":",
    "18446744073709551615",
    "4294967295",
    "-1",
    "1e308",
    "null",
];

pub fn config_seeds() -> Vec<Vec<u8>> {
    let config = |arch: &str| {
        json!({
            "architectures": [arch], "hidden_size": 16, "num_attention_heads": 2,
            "num_key_value_heads": 1, "num_hidden_layers": 1, "max_position_embeddings": 64,
            "intermediate_size": 32, "rms_norm_eps": 1e-5, "layer_norm_eps": 1e-5,
            "kv_lora_rank": 4, "qk_nope_head_dim": 4, "qk_rope_head_dim": 4, "v_head_dim": 4,
            "sliding_window": 8, "rope_parameters": { "rope_type": "llama3", "factor": 8.0 },
        })
        .to_string()
        .into_bytes()
    };
    let known = convert::known().map(|(name, _)| name);
    known.map(config).collect()
}

/// Plans a conversion of weights that several families have names for.
pub fn make_config() -> Try {
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in [
        ("model.embed_tokens.weight", vec![8, 16]),
        ("model.layers.0.self_attn.q_proj.weight", vec![16, 16]),
        ("model.layers.0.self_attn.kv_b_proj.weight", vec![16, 4]),
        ("h.0.self_attention.query_key_value.weight", vec![32, 16]),
        ("h.0.attn.c_attn.bias", vec![48]),
        ("h.0.mlp.c_fc.weight", vec![16, 64]),
        ("embeddings.position_embeddings.weight", vec![8, 16]),
        ("model.layers.0.mlp.experts.gate_up_proj", vec![2, 16, 8]),
        ("model.layers.0.mlp.experts.gate_up_proj_bias", vec![2, 8]),
    ] {
        let end = at + shape.iter().product::<usize>() * 4;
        let about = json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, end] });
        header.insert(name.to_owned(), about);
        at = end;
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend((0..at).map(|_| 0));
    let parsed = Safetensors::parse(&file).expect("a sound file");
    Box::new(move |input| {
        let Ok(config) = serde_json::from_slice::<Value>(input) else { return false };
        let files = std::slice::from_ref(&parsed);
        if let Ok(conversion) = convert::plan(&config, "x", files, None) {
            let mut out = std::io::sink();
            let _ = convert::write(&conversion, &[&file], &mut out, &mut |_| true);
        }
        true
    })
}
