//! Tokens are those of the reference implementation: golden ids, and fuzzed lines that the crate
//! `tokenizers` decides on.
//!
//! `WRIGHT_FUZZ_LINES=100000 cargo test -p wright-text --test tokens` for the long form.

mod small;

use small::{Random, Small};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};
use wright_text::{Algorithm, Spec, TokenKind, Tokenizer};

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
// tidy: wide: the expression as it is published
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
// tidy: wide: the expression as it is published
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
// tidy: wide: the expression as it is published
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
// tidy: wide: the expression as it is published
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

// tidy: wide: the expression as it is published
const KIMI: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const YOUTU_CJK: &str = "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+";
// tidy: wide: the expression as it is published
const YOUTU: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
// tidy: wide: the expression as it is published
const SPARK: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##;
// tidy: wide: the expression as it is published
const EXAONE_MOE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+";
const AFMOE_ASIA: &str = "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+";

// tidy: wide: the expression as it is published
const JAIS2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}";
/// Steps of the reference that are not expressions.
const SINGLE_DIGITS: &str = "Digits";
const PUNCTUATION: &str = "Punctuation";

const RULES: &[(&str, &[&str])] = &[
    ("gpt-2", &[GPT2]),
    ("smollm", &[r"\p{N}", GPT2]),
    ("llama-bpe", &[LLAMA3]),
    ("qwen2", &[QWEN2]),
    ("jais-2", &[JAIS2]),
    (
        "chameleon",
        &[
            "<sentinel:[0-9]+>",
            "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            "([\\t\\n]|    |  )",
            SINGLE_DIGITS,
            PUNCTUATION,
            GPT2,
        ],
    ),
    ("gpt-4o", &[O200K]),
    ("deepseek-v3", &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3]),
    ("kimi-k2", &[KIMI]),
    ("youtu", &[YOUTU_CJK, YOUTU]),
    ("spark2_5", &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", SPARK, r"\p{N}"]),
    ("exaone-moe", &[EXAONE_MOE]),
    ("tiny_aya", &[r"\d{1,3}(?=(?:\d{3})*\b)", O200K]),
    ("superbpe", &[r"\p{N}+", r"(?=(\d{3})+(?!\d))"]),
    ("afmoe", &[r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", AFMOE_ASIA, DEEPSEEK3]),
    ("deepseek-coder", &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
];

#[test]
fn golden_ids() {
    let small = Small::load();
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("golden/expected.json")).unwrap();
    let lines = small::strings(&golden["lines"]);
    for (pre, ids) in golden["ids"].as_object().unwrap() {
        let tokenizer = small.plain(pre);
        for (line, want) in lines.iter().zip(ids.as_array().unwrap()) {
            let ids = tokenizer.encode(line);
            assert_eq!(serde_json::json!(ids), *want, "{pre}: {line:?}");
            assert_eq!(tokenizer.decode(&ids), line.as_bytes());
        }
    }
}

/// The same vocabulary in the reference implementation.
fn reference(small: &Small, pre: &str, expressions: &[&str]) -> tokenizers::Tokenizer {
    let vocab: serde_json::Map<String, serde_json::Value> =
        small.tokens.iter().enumerate().map(|(i, t)| (t.clone(), i.into())).collect();
    let ignore_merges = ["llama-bpe", "youtu"].contains(&pre);
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "byte_fallback": false, "ignore_merges": ignore_merges,
            "vocab": vocab, "merges": small.merges,
        },
    });
    let mut tokenizer: tokenizers::Tokenizer = json.to_string().parse().unwrap();
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for expression in expressions {
        let isolated = SplitDelimiterBehavior::Isolated;
        steps.push(match *expression {
            SINGLE_DIGITS => Digits::new(true).into(),
            PUNCTUATION => Punctuation::new(isolated).into(),
            expression => {
                let pattern = SplitPattern::Regex(expression.to_owned());
                Split::new(pattern, isolated, false).unwrap().into()
            }
        });
    }
    steps.push(ByteLevel::new(false, false, false).into());
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    tokenizer
}

/// Characters that the Unicode of the two sides classes differently are the only exceptions: a line
/// may differ if it differs no more once they are gone.
fn check(ours: &Tokenizer, theirs: &tokenizers::Tokenizer, line: &str) -> Result<(), String> {
    let ids = ours.encode(line);
    let want = theirs.encode_fast(line, false).unwrap();
    if ids == want.get_ids() {
        return Ok(());
    }
    Err(format!("{line:?}\n ours   {ids:?}\n theirs {:?}", want.get_ids()))
}

#[test]
fn fuzzed_lines_equal_the_reference() {
    let n_lines = std::env::var("WRIGHT_FUZZ_LINES").ok().and_then(|n| n.parse().ok());
    let n_lines: usize = n_lines.unwrap_or(3_000);
    let small = Small::load();
    let mut random = Random(0x5eed);
    let pairs: Vec<_> = RULES
        .iter()
        .map(|(pre, expressions)| (pre, small.plain(pre), reference(&small, pre, expressions)))
        .collect();
    let mut newer = std::collections::BTreeSet::new();
    for _ in 0..n_lines {
        let line = random.line();
        for (pre, ours, theirs) in &pairs {
            let Err(difference) = check(ours, theirs, &line) else { continue };
            let odd: Vec<char> = line.chars().filter(|c| !c.is_ascii()).collect();
            let culprit = odd.into_iter().find(|&c| {
                check(ours, theirs, &line.replace(c, "")).is_ok() && is_newer(theirs, ours, c)
            });
            match culprit {
                Some(c) => newer.insert(c),
                None => panic!("{pre}: {difference}"),
            };
        }
    }
    let listed: Vec<String> = newer.iter().map(|&c| format!("U+{:04X}", c as u32)).collect();
    println!("exceptions: {} characters {}", newer.len(), listed.join(" "));
    // Of all that Unicode has, few are younger than the reference's tables.
    assert!(newer.len() <= n_lines / 100 + 5, "{newer:?}");
}

/// Whether a character alone, among letters, digits, signs and blanks, is cut differently.
fn is_newer(theirs: &tokenizers::Tokenizer, ours: &Tokenizer, c: char) -> bool {
    let around = ["th_e", "1_", "!_!", " _ the", "__'s", "  _", "_  ", "..._...", "_the", "ing_'s"];
    around.iter().any(|line| check(ours, theirs, &line.replace('_', &c.to_string())).is_err())
}

/// A vocabulary of characters: bytes, then what of the small one is ASCII, and some letters more.
fn characters(small: &Small) -> (Vec<String>, Vec<String>) {
    let is_ascii = |text: &String| text.chars().all(|c| c.is_ascii() || c == 'Ġ');
    let spaced = |text: &String| text.replace('Ġ', "▁");
    let mut tokens = vec!["<unk>".to_owned()];
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(small.tokens.iter().filter(|token| is_ascii(token)).map(spaced));
    // No text may have two ids, and no pair two ranks: which one counts is not a question here.
    let more = ["é", "п", "你", "\n", "▁▁"].map(str::to_owned);
    let more: Vec<String> = more.into_iter().filter(|text| !tokens.contains(text)).collect();
    tokens.extend(more);
    let mut merges: Vec<String> =
        small.merges.iter().filter(|merge| is_ascii(merge)).map(spaced).collect();
    let blanks = "▁ ▁".to_owned();
    if !merges.contains(&blanks) {
        merges.push(blanks);
    }
    (tokens, merges)
}

/// Gemma 4's way, Sarvam's, and that of white space, with the parts of the reference's pipeline.
#[test]
fn fuzzed_lines_of_characters_equal_the_reference() {
    use serde_json::{Value, json};
    let (tokens, merges) = characters(&Small::load());
    let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let lines = json!({
        "type": "Split", "pattern": { "Regex": "[^\n]+|[\n]+" }, "behavior": "Isolated",
        "invert": false,
    });
    let families = [
        ("gemma4", spaces.clone(), lines.clone()),
        ("granite-embed-multi-311m", spaces.clone(), lines.clone()),
        ("sarvam-moe", spaces, lines),
        ("whitespace", json!({ "type": "Lowercase" }), json!({ "type": "WhitespaceSplit" })),
    ];
    for (pre, normalizer, pre_tokenizer) in families {
        let vocab: serde_json::Map<String, Value> =
            tokens.iter().cloned().zip((0..).map(|id: u32| Value::from(id))).collect();
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
            "decoder": null,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true,
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "byte_fallback": true, "ignore_merges": false, "vocab": vocab, "merges": merges,
            },
        });
        let theirs: tokenizers::Tokenizer = json.to_string().parse().unwrap();
        let mut spec = Spec::new(Algorithm::named("gpt2", pre).unwrap());
        assert_eq!(spec.algorithm, Algorithm::CharBpe);
        spec.pre = pre;
        spec.tokens = tokens.iter().map(String::as_bytes).collect();
        spec.merges = merges.iter().map(String::as_bytes).collect();
        spec.kinds = vec![TokenKind::Normal; tokens.len()];
        spec.kinds[0] = TokenKind::Unknown;
        spec.kinds[1..257].fill(TokenKind::Byte);
        spec.lowercase = Some(true);
        let ours = Tokenizer::new(&spec).unwrap();
        let mut random = Random(0xc4a2);
        for _ in 0..2_000 {
            let line = random.line();
            if let Err(difference) = check(&ours, &theirs, &line) {
                panic!("{pre}: {difference}");
            }
        }
    }
}

#[test]
fn a_long_run_of_blanks_takes_time_by_its_length() {
    let tokenizer = Small::load().plain("jais-2");
    let blanks = format!("{}x", " ".repeat(1 << 20));
    // Were it quadratic this would take hours.
    assert_eq!(tokenizer.decode(&tokenizer.encode(&blanks)), blanks.as_bytes());
}
