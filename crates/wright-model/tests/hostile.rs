//! Files that are cut short, lie or are something else: an error that says so, never a panic.

mod tiny;

use std::sync::Arc;
use tiny::{Random, Tiny, Writer};
use wright_kernels::DType;
use wright_model::{
    Batch, Error, ErrorKind, KvType, Model, Precision, Segment, SeqId, Session, SessionOptions,
    Want,
};

fn small() -> Vec<u8> {
    let tiny = Tiny { n_layer: 1, n_embd: 32, n_ff: 32, n_vocab: 8, ..Tiny::llama(DType::Q4_0) };
    tiny.bytes()
}

fn load(bytes: Vec<u8>) -> Result<Model, Error> {
    Model::from_gguf(Arc::new(bytes))
}

/// Runs a token through whatever was accepted. NaN is an error; a panic is not.
fn try_out(model: Model) {
    let options = SessionOptions {
        precision: Precision::Fast,
        threads: 1,
        n_ctx: 4,
        n_seq: 1,
        kv: KvType::F16,
        n_batch: 4,
        unverified: true,
    };
    let Ok(mut session) = Session::new(Arc::new(model), options) else { return };
    let segment = Segment { seq: SeqId(0), pos: 0, ids: &[1, 2], want: Want::All };
    if let Err(error) = session.classify(segment, Some(1)) {
        assert!(!error.hint().is_empty(), "{error}");
    }
    session.clear(SeqId(0)).unwrap();
    if let Err(error) = session.forward(&Batch { segments: &[segment] }) {
        assert!(!error.to_string().is_empty() && !error.hint().is_empty());
        let kinds = [
            ErrorKind::NotFinite,
            ErrorKind::BadBatch,
            ErrorKind::ContextFull,
            ErrorKind::Unsupported,
        ];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
}

#[test]
fn a_file_truncated_anywhere_is_an_error() {
    let whole = small();
    assert!(load(whole.clone()).is_ok());
    for len in 0..whole.len() {
        let error = load(whole[..len].to_vec()).expect_err("part of a file");
        assert!(!error.hint().is_empty());
        assert_eq!(error.kind(), ErrorKind::BadFile, "{len} bytes: {error}");
    }
}

#[test]
fn a_file_with_any_byte_changed_is_rejected_or_runs() {
    let whole = small();
    let mut n_accepted = 0;
    for at in 0..whole.len() {
        for change in [0xFF, 0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            match load(bytes) {
                Ok(model) => {
                    n_accepted += 1;
                    try_out(model);
                }
                Err(error) => assert!(!error.hint().is_empty(), "{error}"),
            }
        }
    }
    assert!(n_accepted > whole.len(), "most bytes are weights: {n_accepted}");
}

/// The same for headers with experts, compressed keys, sinks, chunks and encoders: each number of
/// theirs, changed.
#[test]
fn headers_of_every_shape_with_a_byte_changed_are_refused_or_run() {
    for name in ["deepseek3", "gptoss", "llama4", "phi3", "bert"] {
        let path = format!("{}/tests/golden/{name}.gguf", env!("CARGO_MANIFEST_DIR"));
        let whole = std::fs::read(path).unwrap();
        let at = |key: &[u8]| whole.windows(key.len()).position(|w| w == key).unwrap();
        let numbers = at(b".block_count")..at(b"tokenizer.ggml.model");
        let table = at(b"blk.1.")..at(b"blk.1.") + 1500;
        for at in numbers.chain(table) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x03;
            match load(bytes) {
                Ok(model) => try_out(model),
                Err(error) => assert!(!error.hint().is_empty(), "{error}"),
            }
        }
    }
}

/// Nothing is allocated for a number that the file's length belies.
#[test]
fn counts_larger_than_the_file_are_rejected() {
    for at in [8, 16] {
        for count in [u64::MAX, 1 << 40, 1000] {
            let mut bytes = small();
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            refused(bytes, ErrorKind::BadFile, &["number of", "do not fit"]);
        }
    }
    let mut long = Writer::new("llama");
    let array = [8u32.to_le_bytes().as_slice(), &(1u64 << 50).to_le_bytes()].concat();
    long.pair("tokens", 9, &array);
    refused(long.finish(), ErrorKind::BadFile, &["tokens", "do not fit"]);
    let mut layers = Writer::new("llama");
    layers.u32("llama.block_count", u32::MAX);
    refused(layers.finish(), ErrorKind::BadModel, &["block_count", "0 tensors"]);
}

#[test]
fn random_headers_are_refused() {
    let mut random = Random(11);
    for _ in 0..2000 {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((0..random.below(400)).map(|_| {
            let small = random.below(3) > 0;
            if small { random.below(12) as u8 } else { random.next() as u8 }
        }));
        assert!(load(bytes).is_err());
    }
}

#[track_caller]
fn refused(bytes: Vec<u8>, kind: ErrorKind, words: &[&str]) {
    let error = load(bytes).expect_err("should be refused");
    let text = format!("{error} hint: {}", error.hint());
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn other_files_are_named() {
    refused(Vec::new(), ErrorKind::BadFile, &["empty"]);
    refused(b"<!doctype html>".to_vec(), ErrorKind::BadFile, &["web page"]);
    refused(b"version https://git-lfs".to_vec(), ErrorKind::BadFile, &["LFS"]);
    refused(b"PK\x03\x04....".to_vec(), ErrorKind::BadFile, &["zip"]);
    refused(b"tjgg\x01\0\0\0".to_vec(), ErrorKind::BadFile, &["before GGUF"]);
    let mut safetensors = 200u64.to_le_bytes().to_vec();
    safetensors.extend(b"{\"a\":{}}");
    refused(safetensors, ErrorKind::BadFile, &["safetensors"]);
}

#[test]
fn versions_byte_orders_and_parts_are_named() {
    let with_version = |version: u32| {
        let mut bytes = small();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        bytes
    };
    assert!(load(with_version(2)).is_ok());
    refused(with_version(1), ErrorKind::Unsupported, &["version 1"]);
    refused(with_version(9), ErrorKind::Unsupported, &["version 9"]);
    refused(with_version(3u32.swap_bytes()), ErrorKind::Unsupported, &["version 3", "big-endian"]);
    let mut split = Writer::new("llama");
    split.u32("split.no", 1).u32("split.count", 3);
    refused(split.finish(), ErrorKind::Unsupported, &["part 2 of 3", "first part"]);
}

#[test]
fn duplicate_and_impossible_entries_are_named() {
    let mut twice = Writer::new("llama");
    twice.u32("a.b", 1).u32("a.b", 2);
    refused(twice.finish(), ErrorKind::BadModel, &["a.b", "twice"]);
    let mut twice = Writer::new("llama");
    twice.raw("x", &[1], 0, &[0; 4]).raw("x", &[1], 0, &[0; 4]);
    refused(twice.finish(), ErrorKind::BadFile, &["tensor x", "twice"]);
    let mut aligned = Writer::new("llama");
    aligned.u32("general.alignment", 48);
    refused(aligned.finish(), ErrorKind::BadModel, &["general.alignment", "power of two"]);
    let mut typed = Writer::new("llama");
    typed.pair("k", 77, &[0]);
    refused(typed.finish(), ErrorKind::BadFile, &["metadata k", "type 77"]);
    let huge = u64::MAX / 4;
    let mut overflow = Writer::new("llama");
    overflow.raw("big", &[32, huge, 16], 2, &[]);
    refused(overflow.finish(), ErrorKind::BadFile, &["big", "too large"]);
    let mut odd = Writer::new("llama");
    odd.raw("odd", &[33], 2, &[0; 36]);
    refused(odd.finish(), ErrorKind::BadFile, &["odd", "33", "Q4_0", "32"]);
    let mut none = Writer::new("llama");
    none.raw("none", &[0, 4], 0, &[]);
    refused(none.finish(), ErrorKind::BadFile, &["none", "0 x 4"]);
    let mut overlapping = Writer::new("llama");
    overlapping.raw("below", &[8], 0, &[]).raw("above", &[8], 0, &[0; 64]);
    refused(overlapping.finish(), ErrorKind::BadFile, &["below", "above", "overlaps"]);
    let mut deep = Writer::new("llama");
    let nested: Vec<u8> = (0..9)
        .flat_map(|_| [9u32.to_le_bytes().as_slice(), &1u64.to_le_bytes()].concat())
        .collect();
    deep.pair("deep", 9, &nested);
    refused(deep.finish(), ErrorKind::BadFile, &["deep", "nested"]);
}

#[test]
fn types_that_cannot_be_read_are_named() {
    for (id, words) in [
        (4, ["Q4_2", "removed"]),
        (31, ["Q4_0_4_4", "removed"]),
        (36, ["IQ4_NL_4_4", "removed"]),
        (28, ["F64", "does not read"]),
        (24, ["I8", "not a type for weights"]),
        (999, ["type 999", "does not know"]),
    ] {
        let mut writer = Writer::new("llama");
        writer.raw("w", &[256], id, &[0; 1024]);
        refused(writer.finish(), ErrorKind::Unsupported, &words);
    }
}

#[test]
fn wrong_models_are_named() {
    refused(Writer::new("lama").finish(), ErrorKind::Unsupported, &["\"lama\"", "\"llama\""]);
    refused(Writer::new("rwkv7").finish(), ErrorKind::Unsupported, &["rwkv7", "gemma3"]);
    let count = Writer::new("llama").finish();
    refused(count, ErrorKind::BadModel, &["llama.block_count", "missing"]);
    // A name changed by one letter leaves one tensor missing.
    let rename = |from: &str, to: &str| {
        let mut bytes = small();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let bytes = rename("blk.0.attn_k.weight", "blk.0.attn_z.weight");
    refused(bytes, ErrorKind::BadModel, &["blk.0.attn_k.weight", "missing"]);
    let mut wide = Tiny { n_layer: 1, ..Tiny::llama(DType::F32) };
    let mut bytes = wide.bytes();
    wide.n_ff += 32;
    let other = wide.bytes();
    // The metadata of one and the tensors of the other.
    let key = b"feed_forward_length";
    let at = other.windows(key.len()).position(|w| w == key).unwrap() + key.len() + 4;
    bytes[at..at + 4].copy_from_slice(&other[at..at + 4]);
    refused(bytes, ErrorKind::BadModel, &["blk.0.ffn_up.weight", "64 x 96", "64 x 128"]);
    let spare = Tiny { arch: "llama", ..Tiny::gemma3(DType::F32) };
    let mut bytes = Tiny { arch: "gemma3", ..spare }.bytes();
    for at in 0..bytes.len() - 6 {
        if &bytes[at..at + 6] == b"gemma3" {
            // As long: a llama that still has gemma's norms and no key of its own.
            bytes[at..at + 6].copy_from_slice(b"llamaX");
        }
    }
    refused(bytes, ErrorKind::Unsupported, &["llamaX", "\"llama\""]);
}

#[test]
fn tensors_without_a_place_are_named() {
    let mut writer = Writer::new("llama");
    for key in ["block_count", "embedding_length", "feed_forward_length", "attention.head_count"] {
        writer.u32(&format!("llama.{key}"), if key == "block_count" { 1 } else { 2 });
    }
    writer.f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    writer.u32("llama.attention.head_count", 1);
    let bytes = writer.finish();
    refused(bytes, ErrorKind::BadModel, &["twice"]);
    let tiny = Tiny { n_layer: 2, ..Tiny::llama(DType::F32) };
    let mut bytes = tiny.bytes();
    let key = b"llama.block_count";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len() + 4;
    bytes[at] = 1;
    refused(bytes, ErrorKind::BadModel, &["does not use", "blk.1."]);
}

#[test]
fn rejected_batches_leave_the_session_unchanged() {
    let model = Tiny::llama(DType::F32).model();
    let mut session = tiny::session(&model, Precision::Fast, 1);
    let ids = Random(1).ids(250, model.n_vocab());
    tiny::run(&mut session, 0, &ids, 250);
    let mut check = |segments: &[Segment<'_>], kind, word: &str| {
        let error = session.forward(&Batch { segments }).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!((session.len(SeqId(0)), session.len(SeqId(1))), (250, 0));
    };
    let segment = |seq, pos, ids| Segment { seq: SeqId(seq), pos, ids, want: Want::Last };
    check(&[segment(0, 249, &[1])], ErrorKind::BadBatch, "holds 250");
    check(&[segment(9, 0, &[1])], ErrorKind::BadBatch, "sequence 9 does not exist");
    check(&[segment(1, 0, &[72])], ErrorKind::BadBatch, "token 72");
    check(&[segment(1, 0, &[1]), segment(1, 0, &[1])], ErrorKind::BadBatch, "twice");
    check(&[segment(1, 0, &[1]), segment(0, 250, &ids[..7])], ErrorKind::ContextFull, "256");
}

#[test]
fn non_finite_logits_are_an_error_without_side_effects() {
    let mut bytes = Tiny::llama(DType::F32).bytes();
    // The last tensor's last value is a weight of the last layer's norm.
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let model = Arc::new(load(bytes).unwrap());
    let mut session = tiny::session(&model, Precision::Exact, 1);
    let segment = Segment { seq: SeqId(0), pos: 0, ids: &[1, 2, 3], want: Want::Last };
    let error = session.forward(&Batch { segments: &[segment] }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFinite);
    assert!(error.to_string().contains("position 2"), "{error}");
    assert_eq!(session.len(SeqId(0)), 0);
    let options = SessionOptions { n_ctx: usize::MAX / 2, ..SessionOptions::default() };
    assert_eq!(Session::new(model, options).unwrap_err().kind(), ErrorKind::Memory);
}
