//! Numbers cut to groups of three digits, counted from the right: 1,234,567.
//!
//! As expressions these look ahead over all digits that are left, at every digit; here they are one
//! pass over each run of digits.

use unicode_properties::{
    GeneralCategory as Category, GeneralCategoryGroup, UnicodeGeneralCategory,
};

/// Which runs are cut, and whether they part from what stands around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threes {
    /// Runs of all kinds of numbers, which part from their neighbours.
    Numbers,
    /// Runs of decimal digits at whose end a word ends, which part from their neighbours.
    AtWordEnd,
    /// Cuts inside runs of decimal digits, and before one whose length is a multiple of three.
    Between,
}

impl Threes {
    /// The same as an expression of tokenizer.json.
    pub fn expression(self) -> &'static str {
        match self {
            Threes::Numbers => r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
            Threes::AtWordEnd => r"\d{1,3}(?=(?:\d{3})*\b)",
            Threes::Between => r"(?=(\d{3})+(?!\d))",
        }
    }

    fn is_digit(self, c: char) -> bool {
        match self {
            Threes::Numbers => c.general_category_group() == GeneralCategoryGroup::Number,
            _ => c.general_category() == Category::DecimalNumber,
        }
    }

    /// Hands the pieces of `text` to `each`, in order; none is empty.
    pub fn cut<'t>(self, text: &'t str, each: &mut dyn FnMut(&'t str)) {
        // What is before `from` has been handed out; the search goes on at `at`.
        let (mut from, mut at) = (0, 0);
        while let Some(start) = text[at..].find(|c| self.is_digit(c)).map(|n| at + n) {
            let run = &text[start..];
            let end = start + run.find(|c| !self.is_digit(c)).unwrap_or(run.len());
            at = end;
            if self == Threes::AtWordEnd && text[end..].chars().next().is_some_and(is_of_word) {
                continue;
            }
            let n = text[start..end].chars().count();
            let parts = self != Threes::Between;
            for (i, (offset, _)) in text[start..end].char_indices().enumerate() {
                let is_cut = (n - i).is_multiple_of(3) || i == 0 && parts;
                if is_cut && from < start + offset {
                    each(&text[from..start + offset]);
                    from = start + offset;
                }
            }
            if parts {
                each(&text[from..end]);
                from = end;
            }
        }
        if from < text.len() {
            each(&text[from..]);
        }
    }
}

/// What `\w` matches: letters, marks, decimal digits, connecting punctuation.
fn is_of_word(c: char) -> bool {
    c.is_alphabetic()
        || c.general_category_group() == GeneralCategoryGroup::Mark
        || matches!(c.general_category(), Category::DecimalNumber | Category::ConnectorPunctuation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(threes: Threes, text: &str) -> Vec<&str> {
        let mut all = Vec::new();
        threes.cut(text, &mut |piece| all.push(piece));
        all
    }

    #[test]
    fn digits_are_counted_from_the_right() {
        let text = "a1234567 12x123456";
        let parted = ["a", "1", "234", "567", " ", "12", "x", "123", "456"];
        assert_eq!(pieces(Threes::Numbers, text), parted);
        assert_eq!(pieces(Threes::Numbers, "½12345"), ["½12", "345"]);
        // "12" goes on as a word, so it is left to the next expression.
        let at_end = ["a", "1", "234", "567", " 12x", "123", "456"];
        assert_eq!(pieces(Threes::AtWordEnd, text), at_end);
        let between = ["a1", "234", "567 12x", "123", "456"];
        assert_eq!(pieces(Threes::Between, text), between);
        assert!(pieces(Threes::Numbers, "").is_empty());
        assert_eq!(pieces(Threes::Between, "no digits"), ["no digits"]);
    }
}
