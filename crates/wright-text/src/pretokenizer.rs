//! How byte-level vocabularies cut text to words before merging.
//!
//! A rule is a name and a list of expressions, each cutting the pieces that the one before left:
//! both the matches and what lies between them are pieces. The expressions are those that the
//! models' own `tokenizer.json` files carry; where llama.cpp approximates one, the original stands
//! here. A new family is a new line in [`RULES`].

use crate::Error;
use crate::pattern::{Matcher, Pattern};
use serde_json::{Value, json};

mod threes;

use threes::Threes;

/// One way to cut, under the names that `tokenizer.ggml.pre` gives it.
struct Rule {
    names: &'static [&'static str],
    stages: &'static [Stage],
    /// A word that is a token is that token, whatever the merges say.
    ignore_merges: bool,
    /// Texts begin with the beginning-of-text token unless the metadata say otherwise.
    add_bos: bool,
    /// A word may go on after a space between letters.
    joins_words: bool,
}

/// One cut.
enum Stage {
    /// At the matches of an expression.
    Split(&'static str),
    /// At the matches of an expression, the first; those of white space within a line in halves of
    /// 512, 256 and so on to 1, which the second says. As it stands that one would look ahead over
    /// all the white space that is left at every match.
    Halving(&'static str, &'static str),
    /// At white space that ends the piece (`\s+$`, which would be quadratic as an expression).
    TrailingSpace,
    /// Digits in threes, counted from the right.
    ByThrees(Threes),
}

use Stage::{ByThrees, Halving, Split, TrailingSpace};

const fn rule(names: &'static [&'static str], stages: &'static [Stage]) -> Rule {
    Rule { names, stages, ignore_merges: false, add_bos: false, joins_words: false }
}

impl Rule {
    const fn ignoring_merges(self) -> Self {
        Rule { ignore_merges: true, ..self }
    }

    const fn adding_bos(self) -> Self {
        Rule { add_bos: true, ..self }
    }

    const fn joining_words(self) -> Self {
        Rule { joins_words: true, ..self }
    }
}

const GPT2: Stage =
    Split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");
const LLAMA3: Stage = Split(LLAMA3_TEXT);
const LLAMA3_TEXT: &str =
    // tidy: wide: the expression as it is published
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: Stage = Split(
    // tidy: wide: the expression as it is published
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const DEEPSEEK3: Stage = Split(
    // tidy: wide: the expression as it is published
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
);
const O200K: Stage = Split(
    // tidy: wide: the expression as it is published
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const TEKKEN: Stage = Split(
    // tidy: wide: the expression as it is published
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const DIGIT: Stage = Split(r"\p{N}");
const DIGITS: Stage = Split(r"\p{N}+");
const THREE_DIGITS: Stage = Split(r"\p{N}{1,3}");
const ASCII_THREE_DIGITS: Stage = Split("[0-9][0-9][0-9]");
const CJK: Stage = Split("[一-龥぀-ゟ゠-ヿ]+");
const CJK_HANGUL: Stage = Split("[一-龥ࠀ-一가-퟿]+");
const NEWLINE: Stage = Split(r"[\r\n]");
const SENTENCE_MARKS: Stage = Split(" ?[^(\\s|.,!?…。，、।۔،)]+");
/// Letters with case, written out as the DeepSeek LLM tokenizer does.
const CASED_LETTERS: Stage = Split(
    // tidy: wide: the expression as it is published
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
);

/// Every rule. (A table: longer lines than elsewhere.)
const RULES: &[Rule] = &[
    rule(&["", "default"], &[Split(r"[\p{P}\$\+<=>\^~\|]+"), GPT2, DIGITS, ASCII_THREE_DIGITS]),
    rule(
        &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "roberta-bpe",
            "jina-v1-en",
            "jina-v2-code",
        ],
        &[GPT2],
    ),
    rule(
        &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        &[DIGIT, GPT2],
    ),
    rule(
        &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        &[LLAMA3],
    )
    .ignoring_merges()
    .adding_bos(),
    rule(&["dbrx", "smaug-bpe", "chatglm-bpe"], &[LLAMA3]),
    rule(
        &["jais-2"],
        &[Halving(
            LLAMA3_TEXT,
            // tidy: wide: the expression as it is published
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}",
        )],
    ),
    rule(&["glm4", "glm5"], &[LLAMA3]).ignoring_merges(),
    rule(
        &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        &[QWEN2],
    ),
    rule(
        &["qwen35"],
        &[Split(
            // tidy: wide: the expression as it is published
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        )],
    ),
    rule(&["minicpm5"], &[THREE_DIGITS, LLAMA3]).ignoring_merges(),
    rule(&["laguna"], &[Split(r"[^\n]+|[\n]+"), QWEN2]),
    rule(
        &["ufakzeka"],
        &[Split(
            r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        )],
    ),
    rule(
        &["bailingmoe", "bailingmoe2", "llada-moe"],
        &[Split(
            // tidy: wide: the expression as it is published
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
        )],
    ),
    rule(
        &["seed-coder"],
        &[Split(
            // tidy: wide: the expression as it is published
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
        )],
    ),
    rule(
        &["deepseek-llm"],
        &[
            NEWLINE,
            CASED_LETTERS,
            Split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
            TrailingSpace,
            CJK_HANGUL,
            DIGITS,
        ],
    ),
    rule(
        &["deepseek-coder"],
        &[NEWLINE, Split(r"\s?\p{L}+"), Split(r"\s?\p{P}+"), CJK_HANGUL, DIGIT],
    ),
    rule(&["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"], &[THREE_DIGITS, CJK, DEEPSEEK3]),
    rule(&["falcon"], &[Split(r"[\p{P}\$\+<=>\^~\|`]+"), GPT2, ASCII_THREE_DIGITS]),
    rule(&["tekken"], &[TEKKEN]).ignoring_merges().adding_bos(),
    rule(&["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], &[O200K]),
    rule(&["granite-embed-multi-97m"], &[O200K]).ignoring_merges(),
    rule(
        &["kimi-k2"],
        &[Split(
            // tidy: wide: the expression as it is published
            r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        )],
    ),
    rule(
        &["youtu"],
        &[
            Split("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"),
            Split(
                // tidy: wide: the expression as it is published
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            ),
        ],
    )
    .ignoring_merges(),
    rule(
        &["spark2_5"],
        &[
            THREE_DIGITS,
            CJK,
            Split(
                // tidy: wide: the expression as it is published
                r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##,
            ),
            DIGIT,
        ],
    ),
    rule(
        &["exaone-moe"],
        &[Split(
            // tidy: wide: the expression as it is published
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        )],
    )
    .joining_words(),
    rule(&["tiny_aya", "cohere2moe"], &[ByThrees(Threes::AtWordEnd), O200K]),
    rule(&["superbpe"], &[DIGITS, ByThrees(Threes::Between)]).joining_words(),
    rule(
        &["afmoe"],
        &[
            ByThrees(Threes::Numbers),
            Split("[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"),
            DEEPSEEK3,
        ],
    ),
    rule(
        &["chameleon"],
        &[
            Split("<sentinel:[0-9]+>"),
            Split("IMGIMG[A-I]{1,4}Z"),
            Split(r"[\t\n]|    |  "),
            DIGIT,
            Split(r"[\p{P}!-/:-@\[-`{-~]"),
            GPT2,
        ],
    )
    .adding_bos(),
    rule(&["poro-chat", "bloom", "gpt3-finnish"], &[SENTENCE_MARKS]),
    rule(&["viking"], &[SENTENCE_MARKS, DIGIT]),
];

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Pretokenizer {
    stages: Vec<Cut>,
    pub ignore_merges: bool,
    pub add_bos: bool,
    /// A word may go on after a space between letters.
    pub joins_words: bool,
}

#[derive(Debug)]
enum Cut {
    At(Pattern),
    Halving(Pattern),
    TrailingSpace,
    ByThrees(Threes),
}

impl Pretokenizer {
    /// The rule of that name.
    ///
    /// # Errors
    /// [`Error::UnknownPretokenizer`]: a guess would give wrong tokens without a word.
    pub fn named(name: &str) -> Result<Self, Error> {
        let rule = RULES
            .iter()
            .find(|rule| rule.names.contains(&name))
            .ok_or_else(|| Error::UnknownPretokenizer(name.to_owned()))?;
        let stages = rule.stages.iter().map(|stage| match stage {
            Split(expression) => Cut::At(Pattern::new(expression)),
            Halving(expression, _) => Cut::Halving(Pattern::new(expression)),
            TrailingSpace => Cut::TrailingSpace,
            ByThrees(threes) => Cut::ByThrees(*threes),
        });
        Ok(Pretokenizer {
            stages: stages.collect(),
            ignore_merges: rule.ignore_merges,
            add_bos: rule.add_bos,
            joins_words: rule.joins_words,
        })
    }

    /// Hands every word of `text` to `each`, in order; together they are the text. Returns the
    /// steps that the matching took.
    pub fn split<'t>(&self, text: &'t str, each: &mut dyn FnMut(&'t str)) -> u64 {
        cut(&self.stages, text, each)
    }
}

fn cut<'t>(stages: &[Cut], text: &'t str, each: &mut dyn FnMut(&'t str)) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let Some((stage, rest)) = stages.split_first() else {
        each(text);
        return 0;
    };
    match stage {
        Cut::TrailingSpace => {
            let (body, space) = text.split_at(text.trim_end().len());
            cut(rest, body, each) + cut(rest, space, each)
        }
        Cut::ByThrees(threes) => {
            let mut steps = text.len() as u64;
            threes.cut(text, &mut |piece| steps += cut(rest, piece, each));
            steps
        }
        Cut::At(pattern) | Cut::Halving(pattern) => {
            let halves = matches!(stage, Cut::Halving(_));
            let mut matcher = Matcher::new(text);
            let (mut at, mut gap, mut steps) = (0, 0, 0);
            while at < text.len() {
                match matcher.match_at(pattern, at) {
                    Some(end) => {
                        steps += cut(rest, &text[gap..at], each);
                        let mut part = |part| steps += cut(rest, part, each);
                        match halves {
                            true => halve(&text[at..end], &mut part),
                            false => part(&text[at..end]),
                        }
                        (at, gap) = (end, end);
                    }
                    None => at += text[at..].chars().next().map_or(1, char::len_utf8),
                }
            }
            steps + cut(rest, &text[gap..], each) + matcher.steps
        }
    }
}

/// White space within a line in parts of 512 characters, then the halves of that; all else whole.
fn halve<'t>(found: &'t str, each: &mut dyn FnMut(&'t str)) {
    let is_space = |c: char| c.is_whitespace() && !['\r', '\n'].contains(&c);
    let mut n_left = if found.chars().all(is_space) { found.chars().count() } else { 0 };
    let mut rest = found;
    let mut len = 512;
    while n_left > 1 && n_left != len {
        if n_left < len {
            len /= 2;
            continue;
        }
        let end = rest.char_indices().nth(len).map_or(rest.len(), |(end, _)| end);
        each(&rest[..end]);
        rest = &rest[end..];
        n_left -= len;
    }
    each(rest);
}

/// How `tokenizer.json` writes white space at the end of a piece.
const TRAILING_SPACE: &str = r"\s+$";

/// The name of the rule that cuts by these patterns, one after the other. `GPT2` and `DIGIT` stand
/// for those of GPT-2 and for a single digit. Of several such rules the one that also ignores
/// merges, or not, is meant.
pub(crate) fn name_of(patterns: &[&str], ignore_merges: bool) -> Option<&'static str> {
    let is = |stage: &Stage, pattern: &str| match (stage, pattern) {
        (Split(own), "GPT2") => matches!(&GPT2, Split(gpt2) if own == gpt2),
        (Split(own), "DIGIT") => matches!(&DIGIT, Split(digit) if own == digit),
        (Split(own) | Halving(_, own), pattern) => *own == pattern,
        (TrailingSpace, pattern) => pattern == TRAILING_SPACE,
        (ByThrees(threes), pattern) => pattern == threes.expression(),
    };
    let fits = |rule: &&Rule| {
        rule.stages.len() == patterns.len()
            && rule.stages.iter().zip(patterns).all(|(stage, pattern)| is(stage, pattern))
    };
    let mut fitting = RULES.iter().filter(fits);
    let first = fitting.clone().next();
    let rule = fitting.find(|rule| rule.ignore_merges == ignore_merges).or(first)?;
    rule.names.iter().copied().find(|name| !name.is_empty())
}

/// The step `pre_tokenizer` of a tokenizer.json for the rule of that name.
pub(crate) fn json(name: &str) -> Option<Value> {
    let rule = RULES.iter().find(|rule| rule.names.contains(&name))?;
    let mut steps = Vec::new();
    for stage in rule.stages {
        steps.push(match stage {
            Split(own) if matches!(&GPT2, Split(gpt2) if own == gpt2) => byte_level(true),
            Split(own) if matches!(&DIGIT, Split(digit) if own == digit) => {
                json!({ "type": "Digits", "individual_digits": true })
            }
            Split(pattern) | Halving(_, pattern) => split(pattern),
            TrailingSpace => split(TRAILING_SPACE),
            ByThrees(threes) => split(threes.expression()),
        });
    }
    // Whatever has cut the text, its bytes become letters.
    if steps.iter().all(|step| step["type"] != "ByteLevel") {
        steps.push(byte_level(false));
    }
    Some(match steps.len() {
        1 => steps.remove(0),
        _ => json!({ "type": "Sequence", "pretokenizers": steps }),
    })
}

fn split(pattern: &str) -> Value {
    json!({
        "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false,
    })
}

/// GPT-2's step: cuts by its pattern if `use_regex`, and writes bytes as letters.
pub(crate) fn byte_level(use_regex: bool) -> Value {
    json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
        "use_regex": use_regex,
    })
}

/// The first name of each rule, for messages.
pub(crate) fn names() -> Vec<&'static str> {
    RULES.iter().flat_map(|rule| rule.names.iter().copied().find(|n| !n.is_empty())).collect()
}

#[cfg(test)]
mod tests;
