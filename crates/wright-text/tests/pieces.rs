//! WordPiece and unigram ids are those of the crate `tokenizers` and of SentencePiece.

mod small;

use serde_json::Value;
use small::{Random, strings};
use wright_text::{Algorithm, Spec, TokenKind, Tokenizer};

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/pieces.json")).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn check(tokenizer: &Tokenizer, golden: &Value, name: &str) {
    let want = golden[name]["ids"].as_array().unwrap();
    for (line, want) in strings(&golden["lines"]).iter().zip(want) {
        assert_eq!(tokenizer.encode(line), ids(want), "{name}: {line:?}");
    }
}

/// The vocabulary in GGUF's form: `▁` before what begins a word.
fn word_piece(tokens: &[String]) -> Tokenizer {
    let is_special = |token: &str| token.starts_with('[') && token.len() > 1;
    let texts: Vec<String> = tokens
        .iter()
        .map(|token| match token.strip_prefix("##") {
            Some(rest) => rest.to_owned(),
            None if is_special(token) => token.clone(),
            None => format!("▁{token}"),
        })
        .collect();
    let mut spec = Spec::new(Algorithm::WordPiece);
    spec.tokens = texts.iter().map(String::as_bytes).collect();
    let kind = |token: &String| match is_special(token) {
        true => TokenKind::Control,
        false => TokenKind::Normal,
    };
    spec.kinds = tokens.iter().map(kind).collect();
    spec.unk = tokens.iter().position(|token| token == "[UNK]").map(|id| id as u32);
    Tokenizer::new(&spec).unwrap()
}

#[test]
fn word_piece_ids_are_the_reference_s() {
    let golden = golden();
    let tokenizer = word_piece(&strings(&golden["word_piece"]["tokens"]));
    check(&tokenizer, &golden, "word_piece");
    assert!(tokenizer.encode("[CLS]").iter().all(|&id| tokenizer.token_bytes(id) != b"[CLS]"));
}

#[test]
fn word_piece_fuzzed_lines_equal_the_reference() {
    let tokens = strings(&golden()["word_piece"]["tokens"]);
    let ours = word_piece(&tokens);
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().cloned().zip((0..).map(|id: u32| Value::from(id))).collect();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null, "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab,
        },
    });
    let reference: tokenizers::Tokenizer = json.to_string().parse().unwrap();
    let words =
        ["bridge", "Cable", " ", "  ", ".", "ü", "É", "橋", "\n", "'s", "-", "ß", "7", "ый"];
    let mut random = Random(11);
    let n = std::env::var("WRIGHT_FUZZ_LINES").map_or(2000, |n| n.parse().unwrap());
    for _ in 0..n {
        let len = random.below(20);
        let line: String = (0..len).map(|_| words[random.below(words.len())]).collect();
        let want = reference.encode(line.as_str(), false).unwrap();
        assert_eq!(ours.encode(&line), want.get_ids(), "{line:?}");
    }
}

fn unigram(golden: &Value, name: &str, merge_spaces: bool) -> Tokenizer {
    let pieces = golden[name]["pieces"].as_array().unwrap();
    let texts: Vec<&str> = pieces.iter().map(|piece| piece[0].as_str().unwrap()).collect();
    let mut spec = Spec::new(Algorithm::Unigram);
    spec.tokens = texts.iter().map(|text| text.as_bytes()).collect();
    spec.scores = pieces.iter().map(|piece| piece[1].as_f64().unwrap() as f32).collect();
    let kind = |piece: &Value| TokenKind::from_ggml(piece[2].as_i64().unwrap() as i32).unwrap();
    spec.kinds = pieces.iter().map(kind).collect();
    spec.unk = Some(2);
    spec.merge_spaces = Some(merge_spaces);
    spec.charsmap = base64(golden[name]["charsmap"].as_str().unwrap());
    Tokenizer::new(&spec).unwrap()
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |byte: &u8| DIGITS.iter().position(|d| d == byte).unwrap() as u32;
    let digits: Vec<u32> = text.trim_end_matches('=').as_bytes().iter().map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let word = four.iter().enumerate().fold(0, |word, (i, d)| word | d << (18 - 6 * i));
        word.to_be_bytes()[1..four.len()].to_vec()
    });
    bytes.collect()
}

#[test]
fn unigram_ids_are_sentencepiece_s() {
    let golden = golden();
    check(&unigram(&golden, "unigram", false), &golden, "unigram");
    check(&unigram(&golden, "unigram_merging", true), &golden, "unigram_merging");
}

#[test]
fn a_damaged_table_of_replacements_is_an_error_or_does_no_harm() {
    let golden = golden();
    let charsmap = base64(golden["unigram_merging"]["charsmap"].as_str().unwrap());
    let text = strings(&golden["lines"]).concat();
    for at in 0..charsmap.len().min(600) {
        for len in [at, charsmap.len()] {
            let mut spec = Spec::new(Algorithm::Unigram);
            spec.tokens = vec![b"<pad>", b"</s>", b"<unk>", "▁".as_bytes(), b"e"];
            spec.scores = vec![0.0, 0.0, 0.0, -2.0, -3.0];
            spec.charsmap = charsmap[..len].to_vec();
            if let Some(byte) = spec.charsmap.get_mut(at) {
                *byte ^= 0x55;
            }
            if let Ok(tokenizer) = Tokenizer::new(&spec) {
                tokenizer.encode(&text);
            }
        }
    }
}
