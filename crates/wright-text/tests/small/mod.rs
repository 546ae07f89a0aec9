//! The small tokenizer of `golden/`, for tests.
#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::Value;
use wright_text::{Algorithm, Spec, TokenKind, Tokenizer};

pub const SPECIALS: [(&str, TokenKind); 6] = [
    ("<|endoftext|>", TokenKind::Control),
    ("<|im_start|>", TokenKind::Control),
    ("<|im_end|>", TokenKind::Control),
    ("<|x|>", TokenKind::Control),
    ("<think>", TokenKind::UserDefined),
    ("\n\n\n", TokenKind::UserDefined),
];

pub struct Small {
    pub tokens: Vec<String>,
    pub merges: Vec<String>,
}

pub fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().expect("a list").iter();
    items.map(|item| item.as_str().expect("a string").to_owned()).collect()
}

impl Small {
    pub fn load() -> Self {
        let json: Value = serde_json::from_str(include_str!("../golden/small.json")).unwrap();
        Small { tokens: strings(&json["tokens"]), merges: strings(&json["merges"]) }
    }

    /// Only what was trained.
    pub fn plain(&self, pre: &str) -> Tokenizer {
        Tokenizer::new(&self.spec(pre, false)).unwrap()
    }

    /// With [`SPECIALS`] after the trained tokens.
    pub fn chat(&self, pre: &str) -> Tokenizer {
        Tokenizer::new(&self.spec(pre, true)).unwrap()
    }

    pub fn spec<'a>(&'a self, pre: &'a str, specials: bool) -> Spec<'a> {
        let n = self.tokens.len();
        let mut spec = Spec::new(Algorithm::ByteBpe);
        spec.pre = pre;
        spec.tokens = self.tokens.iter().map(|token| token.as_bytes()).collect();
        spec.kinds = vec![TokenKind::Normal; n];
        spec.merges = self.merges.iter().map(|merge| merge.as_bytes()).collect();
        spec.add_bos = Some(false);
        if specials {
            spec.tokens.extend(SPECIALS.iter().map(|(text, _)| text.as_bytes()));
            spec.kinds.extend(SPECIALS.iter().map(|(_, kind)| *kind));
            spec.bos = Some(n as u32 + 1);
            spec.eos = Some(n as u32 + 2);
        }
        spec
    }
}

/// A small generator of random numbers, the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    pub fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// A line of words, digits, blanks, scripts and characters from all over Unicode.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        for _ in 0..self.below(24) {
            match self.below(16) {
                0 => line.push_str(self.pick(&["the", "Hello", "WORLD", "naïve", "don't", "I'LL"])),
                1 => line.push_str(self.pick(&["'s", "'S", "'ll", "'", "''t", "’s", "'ſ"])),
                2 => line.push_str(self.pick(&["  ", " ", "\t", "\u{a0}", "\u{2003}", "\u{3000}"])),
                3 => line.push_str(self.pick(&["\n", "\r\n", "\n\n", "\r", " \n ", "\u{2028}"])),
                4 => line.push_str(&self.below(1_000_000).to_string()),
                5 => {
                    line.push_str(self.pick(&["привет", "你好", "한국", "العربية", "हिन्दी", "ไทย"]))
                }
                6 => line.push_str(self.pick(&["🦀", "👩‍👩‍👧", "e\u{301}", "½²", "Ⅻ", "٣٤", "ǅ"])),
                7 => line.push_str(self.pick(&["=>", "//", "{}", "...", "$x", "#!", "…", "«»"])),
                8 => line.push(char::from(self.below(128) as u8)),
                9 | 10 => line.push(self.char_below(0x3000)),
                11 => line.push(self.char_below(0x11_0000)),
                12 => {
                    let blank = self.pick(&[" ", " ", "\t", "\u{a0}"]);
                    line.push_str(&blank.repeat(self.below(40)));
                }
                13 => line.push_str(self.pick(&["<sentinel:12>", "IMGIMGABZ", "IMGIMGZ"])),
                _ => line.push(' '),
            }
        }
        line
    }

    fn char_below(&mut self, n: usize) -> char {
        loop {
            if let Some(c) = char::from_u32(self.below(n) as u32) {
                return c;
            }
        }
    }
}
