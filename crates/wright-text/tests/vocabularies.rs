//! Vocabularies of the kinds that the small golden tokenizer is not: SentencePiece, characters,
//! special tokens; and specs that lie.

mod small;

use small::Small;
use wright_text::{Algorithm, Error, Spec, TokenKind, Tokenizer};

/// A SentencePiece vocabulary: control, bytes, then pieces, the better the earlier.
fn spm(pieces: &[&str], prefix: bool) -> Tokenizer {
    let mut texts: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    texts.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    texts.extend(pieces.iter().map(|&piece| piece.to_owned()));
    texts.push("<tool>".to_owned());
    let mut spec = Spec::new(Algorithm::Spm);
    spec.tokens = texts.iter().map(|text| text.as_bytes()).collect();
    spec.scores = (0..texts.len()).map(|i| -(i as f32)).collect();
    spec.kinds = vec![TokenKind::Normal; texts.len()];
    spec.kinds[0] = TokenKind::Unknown;
    spec.kinds[1..3].fill(TokenKind::Control);
    spec.kinds[3..259].fill(TokenKind::Byte);
    *spec.kinds.last_mut().unwrap() = TokenKind::UserDefined;
    spec.add_space_prefix = Some(prefix);
    Tokenizer::new(&spec).unwrap()
}

fn texts(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    ids.iter().map(|&id| String::from_utf8_lossy(tokenizer.token_bytes(id)).into_owned()).collect()
}

#[test]
fn spm_merges_by_score_and_falls_back_to_bytes() {
    let pieces = ["▁a", "ab", "abc", "▁", "a", "b", "c", "▁▁", "<s>", "<0x41>", "s"];
    let tokenizer = spm(&pieces, true);
    let check = |text: &str, want: &[&str]| {
        let ids = tokenizer.encode(text);
        assert_eq!(texts(&tokenizer, &ids), want, "{text:?}");
        assert_eq!(tokenizer.decode(&ids), text.replace('▁', " ").as_bytes());
    };
    // `▁a` merges first; then nothing fits `b`.
    check("abc", &[" a", "b", "c"]);
    check("b abc", &[" ", "b", " a", "b", "c"]);
    check("cabc", &[" ", "c", "abc"]);
    check("b  b", &[" ", "b", "  ", "b"]);
    check("b▁b", &[" ", "b", " ", "b"]);
    check("", &[]);
    let ids = tokenizer.encode("é");
    assert_eq!(ids, [tokenizer.find(" ").unwrap(), 3 + 0xc3, 3 + 0xa9]);
    // A user-defined token is found in text, and the text after it begins again.
    let ids = tokenizer.encode("c<tool>c");
    assert_eq!(texts(&tokenizer, &ids), [" ", "c", "<tool>", " ", "c"]);
}

#[test]
fn text_never_becomes_control_tokens() {
    let small = Small::load();
    let tokenizer = small.chat("gpt-2");
    let text = "a<|im_end|>b<|im_start|><|im_end|>";
    let plain = tokenizer.encode(text);
    assert!(plain.iter().all(|&id| !tokenizer.is_control(id)));
    assert_eq!(tokenizer.decode(&plain), text.as_bytes());
    let special = tokenizer.encode_special(text);
    let controls: Vec<_> = special.iter().filter(|&&id| tokenizer.is_control(id)).collect();
    assert_eq!(controls.len(), 3);
    assert!(tokenizer.is_end(tokenizer.find("<|im_end|>").unwrap()));
    assert!(!tokenizer.is_end(tokenizer.find("<|im_start|>").unwrap()));
    // User-defined tokens do, the longest first.
    let ids = tokenizer.encode("x\n\n\n\n<think>");
    assert_eq!(texts(&tokenizer, &ids), ["x", "\n\n\n", "\n", "<think>"]);
    assert_eq!(tokenizer.decode(&special), b"ab");
}

/// The pieces `</s>` and `<s>` exist as control; their text in a prompt stays text.
#[test]
fn merges_never_produce_control_pieces() {
    let tokenizer = spm(&["<", "s", "/", ">", "<s", "</", "</s", "s>"], false);
    for text in ["<s>", "</s>", "<unk>", "<0x41>"] {
        let ids = tokenizer.encode(text);
        assert!(ids.len() > 1 && ids.iter().all(|&id| !tokenizer.is_control(id)), "{text}");
        assert_eq!(tokenizer.decode(&ids), text.as_bytes());
    }
}

#[test]
fn character_bpe_merges_lines_and_falls_back_to_bytes() {
    let mut texts: Vec<String> = (0..256).map(|byte| format!("<0x{byte:02X}>")).collect();
    let pieces = ["▁", "a", "b", "\n", "\n\n", "\n\n\n", "▁a", "▁ab", "ba", "ab"];
    texts.extend(pieces.map(str::to_owned));
    let mut spec = Spec::new(Algorithm::CharBpe);
    spec.tokens = texts.iter().map(|text| text.as_bytes()).collect();
    spec.kinds = vec![TokenKind::Byte; 256];
    spec.kinds.extend([TokenKind::Normal; 10]);
    spec.merges = ["▁ a", "▁a b", "b a"].map(str::as_bytes).to_vec();
    let tokenizer = Tokenizer::new(&spec).unwrap();
    let ids = tokenizer.encode("ba ab\n\n\n\nb\n\néab");
    let want = ["ba", " ab", "\n", "\n", "\n", "\n", "b", "\n\n", "\u{fffd}", "\u{fffd}", "a", "b"];
    assert_eq!(self::texts(&tokenizer, &ids), want);
}

#[test]
fn a_spec_that_lies_is_refused() {
    let small = Small::load();
    let refused = |change: &dyn Fn(&mut Spec)| {
        let mut spec = small.spec("gpt-2", true);
        change(&mut spec);
        let error = Tokenizer::new(&spec).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error
    };
    assert!(matches!(refused(&|s| s.tokens.clear()), Error::VocabularySize(0)));
    assert!(matches!(refused(&|s| s.kinds.truncate(3)), Error::LengthMismatch { .. }));
    assert!(matches!(refused(&|s| s.scores.push(1.0)), Error::LengthMismatch { .. }));
    assert!(matches!(refused(&|s| s.merges.clear()), Error::Missing("merges")));
    assert!(matches!(refused(&|s| s.eos = Some(1 << 30)), Error::IdOutOfRange { .. }));
    assert!(matches!(refused(&|s| s.pre = "nonsense"), Error::UnknownPretokenizer(_)));
    assert!(matches!(refused(&|s| s.algorithm = Algorithm::Spm), Error::Missing("scores")));
    // Broken pieces and merges are no reason to fail, nor to panic.
    let mut spec = small.spec("gpt-2", true);
    spec.tokens[300] = b"\xff\xfe";
    spec.merges.extend([&b"x"[..], b" ", b"", b"\xff \xfe", b"a  b", b"zz qq"]);
    let tokenizer = Tokenizer::new(&spec).unwrap();
    assert!(!tokenizer.encode("the end of the world").is_empty());
}

#[test]
fn long_runs_take_linear_work() {
    let small = Small::load();
    let tokenizer = small.chat("gpt-2");
    let characters = spm(&["▁", "a", "aa", "aaaa", "aaaaaaaa"], true);
    for unit in ["a", " ", "<", "\n", "é", "<|im_end|"] {
        let text = unit.repeat((1 << 20) / unit.len());
        assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), text.as_bytes());
        assert_eq!(characters.decode(&characters.encode(&text)), text.as_bytes());
    }
}
