//! Regular expressions of schemas, which ECMA-262 defines, in the syntax of the `regex` crate.
//!
//! That crate matches in linear time, whatever the pattern and the text. What it cannot do
//! (look-around, back-references) is refused by name.

use regex::Regex;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// Bytes of a pattern's source at most.
const SOURCE_MAX: usize = 16 << 10;
/// Bytes of a compiled pattern at most.
const COMPILED_MAX: usize = 4 << 20;
/// Groups within groups at most.
const NESTING_MAX: u32 = 64;

/// White space of ECMA-262, as members of a class.
const SPACE: &str = concat!(
    r"\t\n\x0B\x0C\r\x{20}\x{A0}\x{1680}\x{2000}-\x{200A}",
    r"\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}",
);

/// A compiled pattern. It matches anywhere in a text unless it is anchored.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    translated: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern as a schema writes it.
    ///
    /// # Errors
    /// Says what the pattern uses that is not supported, or what is wrong with it.
    pub fn new(source: &str) -> Result<Pattern, String> {
        if source.len() > SOURCE_MAX {
            return Err(format!("it is longer than {SOURCE_MAX} bytes"));
        }
        let translated = Translator::new(source).translate()?;
        let regex = regex::RegexBuilder::new(&translated)
            .size_limit(COMPILED_MAX)
            .dfa_size_limit(COMPILED_MAX)
            .nest_limit(NESTING_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too large once compiled".to_owned(),
                error => last_line(&error.to_string()),
            })?;
        Ok(Pattern { source: source.to_owned(), translated, regex })
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The pattern as the schema has it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The same pattern in the syntax of the `regex` crate.
    pub fn translated(&self) -> &str {
        &self.translated
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The regex crate draws the pattern above what is wrong with it.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

struct Translator<'s> {
    rest: Peekable<Chars<'s>>,
    out: String,
}

impl<'s> Translator<'s> {
    fn new(source: &'s str) -> Self {
        Translator { rest: source.chars().peekable(), out: String::new() }
    }

    fn translate(mut self) -> Result<String, String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '.' => self.out.push_str(r"[^\n\r\x{2028}\x{2029}]"),
                '{' if !self.is_repetition() => self.out.push_str(r"\{"),
                '}' | ']' => self.literal(c),
                // Counted repetitions are copied as they are, their brace included.
                '{' => {
                    self.out.push(c);
                    for c in self.rest.by_ref() {
                        self.out.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                _ => self.out.push(c),
            }
        }
        Ok(self.out)
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// Whether a count follows the brace: elsewhere a brace is a character like others.
    fn is_repetition(&self) -> bool {
        let body: String = self.rest.clone().take_while(|&c| c != '}').collect();
        let is_closed = self.rest.clone().any(|c| c == '}');
        let (from, to) = body.split_once(',').unwrap_or((&body, ""));
        let is_count = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        is_closed && !from.is_empty() && is_count(from) && is_count(to)
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        let ahead: String = self.rest.clone().take(2).collect();
        match ahead.as_bytes() {
            [b':', ..] => {
                self.rest.next();
                self.out.push_str("?:");
                Ok(())
            }
            [b'=' | b'!', ..] => Err("it uses look-ahead, which is not supported".into()),
            [b'<', b'=' | b'!'] => Err("it uses look-behind, which is not supported".into()),
            [b'<', _] => {
                self.out.push_str("?P");
                Ok(())
            }
            _ => Err("it uses a kind of group that ECMA-262 does not have".into()),
        }
    }

    /// What follows a backslash outside of classes.
    fn escape(&mut self) -> Result<(), String> {
        let Some(&c) = self.rest.peek() else { return Err("it ends in a backslash".into()) };
        match c {
            '1'..='9' => return Err("it uses a back-reference, which is not supported".into()),
            'k' => return Err("it uses a named back-reference, which is not supported".into()),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => {
                // The ASCII form of \B can split characters; so this is the Unicode one.
                self.out.push_str(r"\B");
            }
            _ => {
                self.rest.next();
                return self.character_class(c, false);
            }
        }
        self.rest.next();
        Ok(())
    }

    /// An escape that stands for a character or for a class of them.
    fn character_class(&mut self, c: char, in_class: bool) -> Result<(), String> {
        let wrap = |members: &str| match in_class {
            true => members.to_owned(),
            false => format!("[{members}]"),
        };
        match c {
            'd' => self.out.push_str(&wrap("0-9")),
            'D' => self.out.push_str("[^0-9]"),
            'w' => self.out.push_str(&wrap("A-Za-z0-9_")),
            'W' => self.out.push_str("[^A-Za-z0-9_]"),
            's' => self.out.push_str(&wrap(SPACE)),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            'p' | 'P' => self.property(c)?,
            _ => {
                let character = self.character(c)?;
                self.push_character(character);
            }
        }
        Ok(())
    }

    fn push_character(&mut self, c: char) {
        if c.is_control() {
            self.out.push_str(&format!(r"\x{{{:X}}}", u32::from(c)));
        } else {
            self.literal(c);
        }
    }

    /// `\p{…}`, whose names the two syntaxes share.
    fn property(&mut self, c: char) -> Result<(), String> {
        if self.rest.next_if_eq(&'{').is_none() {
            self.out.push(c);
            return Ok(());
        }
        let name: String = self.rest.by_ref().take_while(|&c| c != '}').collect();
        self.out.push_str(&format!(r"\{c}{{{name}}}"));
        Ok(())
    }

    /// The character that an escape stands for.
    fn character(&mut self, c: char) -> Result<char, String> {
        Ok(match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\x0B',
            'f' => '\x0C',
            '0' => '\0',
            'c' => {
                let letter = self.rest.next().filter(char::is_ascii_alphabetic);
                let letter = letter.ok_or("`\\c` needs a letter")?;
                char::from(letter as u8 % 32)
            }
            'x' => self.hex(2)?,
            'u' if self.rest.next_if_eq(&'{').is_some() => {
                let digits: String = self.rest.by_ref().take_while(|&c| c != '}').collect();
                scalar(u32::from_str_radix(&digits, 16).unwrap_or(u32::MAX))?
            }
            'u' => self.unicode()?,
            _ => c,
        })
    }

    fn hex(&mut self, n: usize) -> Result<char, String> {
        scalar(self.hex_number(n)?)
    }

    fn hex_number(&mut self, n: usize) -> Result<u32, String> {
        let digits: String = self.rest.by_ref().take(n).collect();
        if digits.len() != n {
            return Err("an escape in it has too few digits".into());
        }
        u32::from_str_radix(&digits, 16)
            .map_err(|_| format!("an escape in it has the digits {digits:?}, which are not hex"))
    }

    /// `\uXXXX`, alone or as a pair of surrogates.
    fn unicode(&mut self) -> Result<char, String> {
        let high = self.hex_number(4)?;
        if !(0xD800..0xDC00).contains(&high) {
            return scalar(high);
        }
        if self.rest.next() != Some('\\') || self.rest.next() != Some('u') {
            return scalar(high);
        }
        let low = self.hex_number(4)?;
        scalar(0x10000 + ((high - 0xD800) << 10) + low.wrapping_sub(0xDC00))
    }

    fn class(&mut self) -> Result<(), String> {
        let is_negated = self.rest.next_if_eq(&'^').is_some();
        if self.rest.next_if_eq(&']').is_some() {
            // `[]` matches nothing, `[^]` any character.
            self.out.push_str(if is_negated { r"[\s\S]" } else { r"[^\s\S]" });
            return Ok(());
        }
        self.out.push_str(if is_negated { "[^" } else { "[" });
        while let Some(c) = self.rest.next() {
            match c {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => {
                    let Some(c) = self.rest.next() else { break };
                    match c {
                        'b' => self.out.push_str(r"\x08"),
                        '-' => self.out.push_str(r"\-"),
                        _ => self.character_class(c, true)?,
                    }
                }
                // A hyphen keeps its meaning; beside a class such as `\w` it is a character.
                '-' => self.hyphen(),
                _ => self.push_character(c),
            }
        }
        Err("a class in it is not closed".into())
    }

    fn hyphen(&mut self) {
        let after = self.rest.clone().take(2).collect::<String>();
        let is_set = |text: &str| {
            text.starts_with('\\')
                && text[1..].starts_with(['d', 'D', 'w', 'W', 's', 'S', 'p', 'P'])
        };
        let opens = self.out.ends_with('[') || self.out.ends_with("[^");
        let before_set = ["0-9", "A-Za-z0-9_", SPACE].iter().any(|set| self.out.ends_with(set))
            || self.out.ends_with(']')
            || self.out.ends_with('}') && !self.out.ends_with("\\}");
        if opens || before_set || after.starts_with(']') || is_set(&after) {
            self.out.push_str(r"\-");
        } else {
            self.out.push('-');
        }
    }
}

fn scalar(code: u32) -> Result<char, String> {
    char::from_u32(code).ok_or_else(|| format!("an escape in it names no character: {code:X}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).is_match(text)
    }

    #[test]
    fn classes_mean_what_ecma_says() {
        assert!(matches(r"^\d$", "7") && !matches(r"^\d$", "\u{0967}"));
        assert!(matches(r"^\w$", "_") && !matches(r"^\w$", "é"));
        assert!(matches(r"^\s$", "\u{FEFF}") && !matches(r"^\S$", "\u{A0}"));
        assert!(matches(r"^[\w-]+$", "a-b") && !matches(r"^[\w-]+$", "a.b"));
        assert!(matches(r"^[\w.-]+$", "a-b.c") && matches(r"^[^\W_]$", "a"));
        assert!(matches(r"^[a&&b]+$", "a&b") && matches(r"^[[a]$", "["));
        assert!(matches(r"^[\]\\-]+$", r"]\-"));
        assert!(!matches(r"a.b", "a\u{2028}b") && matches(r"a[^]b", "a\nb"));
        assert!(matches(r"^\p{Letter}cole$", "école") && matches(r"^[\x41-\x43]$", "B"));
    }

    #[test]
    fn escapes_and_braces_are_read_as_ecma_does() {
        assert!(matches(r"^\u00e9\/\-$", "é/-"));
        assert!(matches(r"^\ud83d\ude00$", "😀") && matches(r"^\u{1F600}$", "😀"));
        assert!(matches(r"^\cA\t$", "\u{1}\t"));
        assert!(
            matches(r"^{a}$", "{a}") && matches(r"^a{2,3}$", "aa") && matches("^a{,2}$", "a{,2}")
        );
        assert!(matches(r"^(?<year>\d{4})$", "2024"));
        assert!(matches(r"^a$", "a") && !matches(r"^a$", "a\n"));
    }

    #[test]
    fn what_cannot_be_matched_in_linear_time_is_named() {
        for (pattern, reason) in [
            ("(?=a)", "look-ahead"),
            ("(?!a)", "look-ahead"),
            ("(?<=a)b", "look-behind"),
            (r"(a)\1", "back-reference"),
            (r"(?<n>a)\k<n>", "back-reference"),
            ("a{1000}{1000}{1000}", "too large"),
            ("[a", "not closed"),
            ("(a", "unclosed"),
        ] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_pattern_that_explodes_elsewhere_is_matched_at_once() {
        assert!(!matches("^(a+)+$", &format!("{}b", "a".repeat(50_000))));
    }
}
