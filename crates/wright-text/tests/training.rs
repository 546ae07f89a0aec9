//! Trained vocabularies are those of the reference implementation: the same tokens and merges, in
//! the same order, and a tokenizer.json that it reads.
//!
//! `WRIGHT_FUZZ_LINES=100000 cargo test -p wright-text --test training` for the long form.

mod small;

use serde_json::Value;
use small::Random;
use tokenizers::models::bpe::{BPE, BpeTrainer as ReferenceTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerImpl,
};
use wright_text::bpe_trainer::{BpeTrainer, TrainedBpe};
use wright_text::{Algorithm, Pieces, Spec, TokenKind, Tokenizer};

const SPECIAL: &[&str] = &["<|endoftext|>", "<|im_end|>"];
const RULES: &[&str] = &["gpt-2", "smollm", "llama-bpe", "qwen2", "gpt-4o", "deepseek-v3"];

type Reference = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

fn ours(texts: &[String], pre: &str, n_vocab: usize, min_frequency: u64) -> TrainedBpe {
    let mut trainer = BpeTrainer::new(pre, 2).unwrap().min_frequency(min_frequency);
    texts.iter().for_each(|text| trainer.feed(text));
    trainer.train(n_vocab, SPECIAL).unwrap()
}

/// The part `model` of the reference's tokenizer.json.
fn theirs(texts: &[String], pre_tokenizer: &Value, n_vocab: usize, min_frequency: u64) -> Value {
    let mut reference = Reference::new(BPE::default());
    let cut: PreTokenizerWrapper = serde_json::from_value(pre_tokenizer.clone()).unwrap();
    reference.with_pre_tokenizer(Some(cut));
    let mut trainer = ReferenceTrainer::builder()
        .vocab_size(n_vocab)
        .min_frequency(min_frequency)
        .special_tokens(SPECIAL.iter().map(|&text| AddedToken::from(text, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    reference.train(&mut trainer, texts.iter()).unwrap();
    let json: Value = serde_json::from_str(&reference.to_string(false).unwrap()).unwrap();
    json["model"].clone()
}

fn check(texts: &[String], pre: &str, n_vocab: usize, min_frequency: u64) {
    let ours = ours(texts, pre, n_vocab, min_frequency).json();
    let theirs = theirs(texts, &ours["pre_tokenizer"], n_vocab, min_frequency);
    let what = format!("{pre}, {n_vocab} tokens, frequency {min_frequency}, of {texts:?}");
    let first = |model: &Value| {
        let merges = model["merges"].as_array().unwrap();
        let ours = ours["model"]["merges"].as_array().unwrap();
        (0..=merges.len()).find(|&i| merges.get(i) != ours.get(i)).map(|i| merges[i..].to_vec())
    };
    assert!(ours["model"]["merges"] == theirs["merges"], "{:?} in {what}", first(&theirs));
    assert!(ours["model"]["vocab"] == theirs["vocab"], "{what}");
}

/// Ties, other scripts, runs of one character, digits, blanks, contractions.
fn corpus() -> Vec<String> {
    let texts = [
        "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox doesn't.\n",
        "aaaa aaaaa aaaaaaa aaaaaaaaaaaaaaaa bababab abababa aabaabaab xxyxxyxxyx\n",
        "ab ba ab ba cd dc cd dc ef fe ef fe (ties of ties) ab ba cd dc ef fe\n",
        "1 22 333 4444 55555 666666 3.14159 2026-11-26 1e9 0x7fff 12,345,678\n",
        "Straße naïve café e\u{301} Ελληνικά привет привет мир 你好世界 你好 日本語 한국어 한국어\n",
        "🦀🦀🦀 👩‍👩‍👧 👩‍👩‍👧 \u{a0}\u{2003}\u{3000} \t\t\t    \n\n\n\r\n\r\n \n  \n",
        "I'm, you're, he's, I'LL, DON'T, we've 'twas \u{2019}s camelCase HTTPServer snake_case\n",
        "fn main() { println!(\"{}\", a != b && c == d); } // -----=====-----\n",
        "",
    ];
    let mut all: Vec<String> = texts.map(str::to_owned).to_vec();
    all.push(texts.concat().repeat(3));
    all
}

#[test]
fn merges_are_those_of_the_reference() {
    for pre in RULES {
        for (n_vocab, min_frequency) in [(258, 2), (300, 0), (420, 2), (2_000, 1), (2_000, 3)] {
            check(&corpus(), pre, n_vocab, min_frequency);
        }
    }
}

/// Characters that were assigned long ago: the two sides' tables of Unicode agree on them.
fn is_settled(c: char) -> bool {
    matches!(c as u32, 0..=0x24f | 0x300..=0x52f | 0x5d0..=0x5ea | 0x621..=0x64a | 0x660..=0x669
        | 0x905..=0x94d | 0xe01..=0xe3a | 0x2000..=0x206f | 0x2160..=0x2188 | 0x3000..=0x3096
        | 0x4e00..=0x9fa5 | 0xac00..=0xd7a3 | 0x1f300..=0x1f5ff)
}

#[test]
fn merges_of_random_texts_are_those_of_the_reference() {
    let lines = std::env::var("WRIGHT_FUZZ_LINES").ok().and_then(|n| n.parse().ok());
    let mut random = Random(20_261_126);
    for round in 0..lines.unwrap_or(1_500usize) / 20 {
        let mut texts: Vec<String> =
            (0..20).map(|_| random.line().chars().filter(|&c| is_settled(c)).collect()).collect();
        // Few letters make ties and overlaps of a kind that language has not.
        texts.extend((0..5).map(|_| {
            let n = random.below(60);
            (0..n).map(|_| random.pick(&["a", "a", "b", "ab", " ", "aaa"])).collect::<String>()
        }));
        check(&texts, RULES[round % RULES.len()], 260 + random.below(200), random.below(3) as u64);
    }
}

#[test]
fn the_reference_reads_what_is_written() {
    for pre in RULES {
        let json = ours(&corpus(), pre, 420, 2).json();
        let reference: tokenizers::Tokenizer = json.to_string().parse().unwrap();
        let pieces = Pieces::read(&json.to_string(), 420).unwrap();
        assert_eq!(pieces.pre, *pre);
        let mut spec = Spec::new(Algorithm::ByteBpe);
        spec.pre = pieces.pre;
        spec.tokens = pieces.tokens.iter().map(|token| token.as_bytes()).collect();
        spec.kinds = pieces.token_type.iter().map(|&t| TokenKind::from_ggml(t).unwrap()).collect();
        spec.merges = pieces.merges.iter().map(|merge| merge.as_bytes()).collect();
        let tokenizer = Tokenizer::new(&spec).unwrap();
        for text in corpus() {
            let want = reference.encode(text.as_str(), false).unwrap();
            let ids = tokenizer.encode(&text);
            assert_eq!(ids, want.get_ids(), "{pre}: {text:?}");
            assert_eq!(reference.decode(&ids, false).unwrap(), text);
        }
        let ids = reference.encode("<|endoftext|>", false).unwrap();
        assert_eq!(ids.get_ids(), [0]);
        assert!(!tokenizer.encode("<|endoftext|>").contains(&0), "text is only text");
    }
}
