//! Sets of characters: a bitmap for ASCII, general categories and ranges for the rest.

use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};

/// A set of characters, possibly negated.
#[derive(Debug, Clone, Default)]
pub(crate) struct CharSet {
    /// Bit c: the ASCII character c is in the set (negation already applied).
    ascii: u128,
    /// Bit of each general category (before negation).
    categories: u32,
    /// First and last character of each range (before negation).
    ranges: Vec<(char, char)>,
    /// All white space (before negation).
    space: bool,
    /// All but white space (before negation).
    not_space: bool,
    /// Only what is in this set, too (before negation).
    within: Option<Box<CharSet>>,
    negated: bool,
}

impl CharSet {
    pub fn contains(&self, c: char) -> bool {
        if c.is_ascii() {
            return self.ascii >> (c as u32) & 1 == 1;
        }
        self.contains_plain(c) != self.negated
    }

    fn contains_plain(&self, c: char) -> bool {
        self.within.as_ref().is_none_or(|within| within.contains(c)) && self.contains_any(c)
    }

    fn contains_any(&self, c: char) -> bool {
        self.categories != 0 && self.categories >> (c.general_category() as u32) & 1 == 1
            || self.ranges.iter().any(|&(first, last)| (first..=last).contains(&c))
            || self.space && c.is_whitespace()
            || self.not_space && !c.is_whitespace()
    }

    pub fn add_range(&mut self, first: char, last: char) {
        self.ranges.push((first, last));
    }

    /// Adds a letter in both cases, with the non-ASCII characters that fold to it.
    pub fn add_folded(&mut self, c: char) {
        for c in [c.to_ascii_lowercase(), c.to_ascii_uppercase()] {
            self.add_range(c, c);
        }
        match c.to_ascii_lowercase() {
            's' => self.add_range('ſ', 'ſ'),
            'k' => self.add_range('\u{212a}', '\u{212a}'),
            _ => {}
        }
    }

    /// Leaves out what is not in `within`, whatever is added before or after.
    pub fn intersect(&mut self, within: CharSet) {
        self.within = Some(Box::new(within));
    }

    pub fn add_space(&mut self) {
        self.space = true;
    }

    pub fn add_not_space(&mut self) {
        self.not_space = true;
    }

    /// Adds what `\p{name}` stands for; false if the name is not known.
    pub fn add_property(&mut self, name: &str) -> bool {
        if name == "Han" {
            self.ranges.extend_from_slice(HAN);
            return true;
        }
        let categories: &[Category] = match name {
            "L" => &[
                Category::UppercaseLetter,
                Category::LowercaseLetter,
                Category::TitlecaseLetter,
                Category::ModifierLetter,
                Category::OtherLetter,
            ],
            "Lu" => &[Category::UppercaseLetter],
            "Ll" => &[Category::LowercaseLetter],
            "Lt" => &[Category::TitlecaseLetter],
            "Lm" => &[Category::ModifierLetter],
            "Lo" => &[Category::OtherLetter],
            "M" => &[Category::NonspacingMark, Category::SpacingMark, Category::EnclosingMark],
            "N" => &[Category::DecimalNumber, Category::LetterNumber, Category::OtherNumber],
            "Nd" => &[Category::DecimalNumber],
            "P" => &[
                Category::ConnectorPunctuation,
                Category::DashPunctuation,
                Category::OpenPunctuation,
                Category::ClosePunctuation,
                Category::InitialPunctuation,
                Category::FinalPunctuation,
                Category::OtherPunctuation,
            ],
            "S" => &[
                Category::MathSymbol,
                Category::CurrencySymbol,
                Category::ModifierSymbol,
                Category::OtherSymbol,
            ],
            _ => return false,
        };
        for &category in categories {
            self.categories |= 1 << category as u32;
        }
        true
    }

    /// Ends the making of the set: applies `negated` and fills the bitmap.
    pub fn finish(mut self, negated: bool) -> Self {
        self.negated = negated;
        for c in 0..128u8 {
            if self.contains_plain(char::from(c)) != negated {
                self.ascii |= 1 << c;
            }
        }
        self
    }
}

/// Characters of the script Han (Unicode's Scripts.txt, version 17).
const HAN: &[(char, char)] = &[
    ('\u{2e80}', '\u{2e99}'),
    ('\u{2e9b}', '\u{2ef3}'),
    ('\u{2f00}', '\u{2fd5}'),
    ('\u{3005}', '\u{3005}'),
    ('\u{3007}', '\u{3007}'),
    ('\u{3021}', '\u{3029}'),
    ('\u{3038}', '\u{303b}'),
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{f900}', '\u{fa6d}'),
    ('\u{fa70}', '\u{fad9}'),
    ('\u{16fe2}', '\u{16fe3}'),
    ('\u{16ff0}', '\u{16ff6}'),
    ('\u{20000}', '\u{2a6df}'),
    ('\u{2a700}', '\u{2ebe0}'),
    ('\u{2ebf0}', '\u{2ee5d}'),
    ('\u{2f800}', '\u{2fa1d}'),
    ('\u{30000}', '\u{3134a}'),
    ('\u{31350}', '\u{33479}'),
];
