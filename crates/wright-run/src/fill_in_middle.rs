//! FillInMiddle-in-the-middle: the tokens that stand around a gap, and their order.

use wright_model::Metadata;
use wright_text::Tokenizer;

/// Tokens around a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FillInMiddle {
    prefix: u32,
    suffix: u32,
    middle: Option<u32>,
}

/// The families' names for prefix, suffix and middle. Files that give no ids have these. The last
/// family puts the suffix first, has no middle, and writes on after the prefix.
const NAMES: &[[&str; 3]] = &[
    ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
    ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
    ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
    ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
    ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
    [" <PRE>", " <SUF>", " <MID>"],
    ["<PRE>", "<SUF>", "<MID>"],
    ["[PREFIX]", "[SUFFIX]", ""],
];

impl FillInMiddle {
    /// What the metadata say, or else the names that are known.
    pub fn find(metadata: &Metadata, tokenizer: &Tokenizer) -> Option<FillInMiddle> {
        let id = |names: [&str; 2]| {
            let found = names
                .iter()
                .find_map(|name| metadata.u32(&format!("tokenizer.ggml.{name}_token_id")));
            found.filter(|&id| (id as usize) < tokenizer.n_vocab())
        };
        let prefix = id(["fim_pre", "prefix"]);
        let suffix = id(["fim_suf", "suffix"]);
        if let (Some(prefix), Some(suffix)) = (prefix, suffix) {
            return Some(FillInMiddle { prefix, suffix, middle: id(["fim_mid", "middle"]) });
        }
        NAMES.iter().find_map(|[prefix, suffix, middle]| {
            let find = |name: &str| tokenizer.find(name);
            let middle = match *middle {
                "" => None,
                name => Some(find(name)?),
            };
            Some(FillInMiddle { prefix: find(prefix)?, suffix: find(suffix)?, middle })
        })
    }

    /// The prompt that asks for what stands between two texts.
    pub fn ids(&self, before: Vec<u32>, after: Vec<u32>) -> Vec<u32> {
        let mut ids = Vec::with_capacity(before.len() + after.len() + 3);
        match self.middle {
            Some(middle) => {
                ids.push(self.prefix);
                ids.extend(before);
                ids.push(self.suffix);
                ids.extend(after);
                ids.push(middle);
            }
            None => {
                ids.push(self.suffix);
                ids.extend(after);
                ids.push(self.prefix);
                ids.extend(before);
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_comes_last() {
        let fill = FillInMiddle { prefix: 1, suffix: 2, middle: Some(3) };
        assert_eq!(fill.ids(vec![10, 11], vec![20]), [1, 10, 11, 2, 20, 3]);
        let fill = FillInMiddle { middle: None, ..fill };
        assert_eq!(fill.ids(vec![10, 11], vec![20]), [2, 20, 1, 10, 11]);
    }
}
