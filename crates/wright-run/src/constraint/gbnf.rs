//! Grammars of llama.cpp (GBNF) in the syntax of Lark.
//!
//! GBNF works on characters: each of them becomes a lexeme of its own, so that no longer lexeme can
//! hide a shorter one and the grammar means what it says.

use std::fmt::Write;

/// Nesting of groups at most.
const DEPTH_MAX: usize = 64;

/// `source` as a Lark grammar.
///
/// # Errors
/// What is wrong with it, with its line.
pub(super) fn to_lark(source: &str) -> Result<String, String> {
    let mut parser = Parser { rest: source, line: 1, names: Vec::new() };
    let mut lark = String::from("start: ");
    let root = parser.rule_name("root");
    let _ = writeln!(lark, "{root}");
    let mut defined = Vec::new();
    parser.blank(true);
    while !parser.rest.is_empty() {
        let name = parser.name().ok_or_else(|| parser.error("a rule needs a name"))?;
        parser.blank(false);
        if !parser.take("::=") {
            return Err(parser.error("`::=` is expected after the name of a rule"));
        }
        parser.blank(true);
        let rule = parser.rule_name(&name);
        if defined.contains(&rule) {
            return Err(parser.error(&format!("the rule {name} is defined twice")));
        }
        let body = parser.alternatives(0)?;
        let _ = writeln!(lark, "{rule}: {body}");
        defined.push(rule);
        parser.blank(true);
    }
    for (number, name) in parser.names.iter().enumerate() {
        if !defined.contains(&format!("g{number}")) {
            return Err(format!("the rule {name} is not defined"));
        }
    }
    Ok(lark)
}

struct Parser<'s> {
    rest: &'s str,
    line: usize,
    /// Names of rules, in the order in which they were met.
    names: Vec<String>,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> String {
        format!("line {}: {what}", self.line)
    }

    fn rule_name(&mut self, name: &str) -> String {
        let known = self.names.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("g{number}")
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Passes white space and comments; line ends only where a rule may go on after them.
    fn blank(&mut self, lines: bool) {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\n' if lines => self.line += 1,
                '#' => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                    continue;
                }
                ' ' | '\t' | '\r' => {}
                _ => return,
            }
            self.rest = &self.rest[c.len_utf8()..];
        }
    }

    fn name(&mut self) -> Option<String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn alternatives(&mut self, depth: usize) -> Result<String, String> {
        if depth > DEPTH_MAX {
            return Err(self.error("groups are nested too deeply"));
        }
        let mut all = vec![self.sequence(depth)?];
        while self.take("|") {
            self.blank(true);
            all.push(self.sequence(depth)?);
        }
        Ok(all.join(" | "))
    }

    fn sequence(&mut self, depth: usize) -> Result<String, String> {
        let mut all: Vec<String> = Vec::new();
        while let Some(c) = self.rest.chars().next() {
            let item = match c {
                '"' => self.literal()?,
                '[' => self.class()?,
                '.' => {
                    self.take(".");
                    r"/[\s\S]/".to_owned()
                }
                '(' => {
                    self.take("(");
                    self.blank(true);
                    let inner = self.alternatives(depth + 1)?;
                    if !self.take(")") {
                        return Err(self.error("a group is not closed"));
                    }
                    format!("({inner})")
                }
                _ if c.is_ascii_alphanumeric() => {
                    let name = self.name().unwrap_or_default();
                    self.rule_name(&name)
                }
                _ => break,
            };
            let count = self.repetition()?;
            all.push(format!("{item}{count}"));
            self.blank(depth > 0);
        }
        Ok(if all.is_empty() { "\"\"".into() } else { all.join(" ") })
    }

    fn repetition(&mut self) -> Result<String, String> {
        for sign in ["*", "+", "?"] {
            if self.take(sign) {
                return Ok(sign.to_owned());
            }
        }
        if !self.take("{") {
            return Ok(String::new());
        }
        let Some((count, rest)) = self.rest.split_once('}') else {
            return Err(self.error("a repetition is not closed"));
        };
        self.rest = rest;
        let (min, max) = count.split_once(',').map_or((count, None), |(a, b)| (a, Some(b)));
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|&n| n <= 10_000);
        let wrong = || self.error("a repetition must be {m}, {m,} or {m,n} of at most 10000");
        let min = if min.trim().is_empty() { 0 } else { number(min).ok_or_else(wrong)? };
        match max {
            None if min == 0 => Err(wrong()),
            None => Ok(format!("{{{min},{min}}}")),
            Some(max) if max.trim().is_empty() => Ok(format!("{{{min},}}")),
            Some(max) => {
                let max = number(max).filter(|&max| max >= min.max(1)).ok_or_else(wrong)?;
                Ok(format!("{{{min},{max}}}"))
            }
        }
    }

    fn literal(&mut self) -> Result<String, String> {
        self.take("\"");
        let mut characters = Vec::new();
        loop {
            if self.take("\"") {
                break;
            }
            let c = self.character("a text is not closed")?;
            characters.push(regex(&character(c)));
        }
        Ok(match characters.len() {
            0 => "\"\"".into(),
            _ => format!("({})", characters.join(" ")),
        })
    }

    fn class(&mut self) -> Result<String, String> {
        self.take("[");
        let mut class = String::from(if self.take("^") { "[^" } else { "[" });
        let mut is_empty = true;
        while !self.take("]") {
            let from = self.character("a class is not closed")?;
            class.push_str(&character(from));
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.take("-");
                let to = self.character("a class is not closed")?;
                if to < from {
                    return Err(self.error("a range in a class is reversed"));
                }
                let _ = write!(class, "-{}", character(to));
            }
            is_empty = false;
        }
        if is_empty {
            return Err(self.error("a class is empty"));
        }
        class.push(']');
        Ok(regex(&class))
    }

    /// The next character of a text or class, escapes read.
    fn character(&mut self, unclosed: &str) -> Result<char, String> {
        let mut chars = self.rest.chars();
        let c = chars.next().filter(|&c| c != '\n').ok_or_else(|| self.error(unclosed))?;
        if c != '\\' {
            self.rest = chars.as_str();
            return Ok(c);
        }
        let escape = chars.next().ok_or_else(|| self.error(unclosed))?;
        self.rest = chars.as_str();
        let n_digits = match escape {
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '"' | '\\' | '[' | ']' | '-' | '^' | '/' => return Ok(escape),
            _ => return Err(self.error(&format!("the escape \\{escape} is not known"))),
        };
        let digits =
            self.rest.get(..n_digits).ok_or_else(|| self.error("an escape is too short"))?;
        self.rest = &self.rest[n_digits..];
        let code = u32::from_str_radix(digits, 16).ok();
        code.and_then(char::from_u32).ok_or_else(|| self.error("an escape names no character"))
    }
}

/// One character in a regular expression.
fn character(c: char) -> String {
    format!(r"\x{{{:X}}}", u32::from(c))
}

fn regex(source: &str) -> String {
    format!("/{source}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_classes_and_repetitions_are_translated() {
        let source = "# yes or no\nroot ::= answer (\", \" [^a-z\\n])* # end\n\
                      answer ::= \"y\" |\n  \"n\"{2} | ws-1?\nws-1 ::= [ \\t]+";
        let lark = to_lark(source).unwrap();
        assert_eq!(
            lark,
            "start: g0\n\
             g0: g1 ((/\\x{2C}/ /\\x{20}/) /[^\\x{61}-\\x{7A}\\x{A}]/)*\n\
             g1: (/\\x{79}/) | (/\\x{6E}/){2,2} | g2?\n\
             g2: /[\\x{20}\\x{9}]/+\n"
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (source, message) in [
            ("root ::= a", "the rule a is not defined"),
            ("x ::= \"a\"", "the rule root is not defined"),
            ("root ::= \"a\"\nroot ::= \"b\"", "line 2: the rule root is defined twice"),
            ("root ::= (\"a\"", "line 1: a group is not closed"),
            ("root ::= \"a", "line 1: a text is not closed"),
            ("root ::= [b-a]", "line 1: a range in a class is reversed"),
            ("root ::= \"a\"{x}", "line 1: a repetition must be"),
            ("root = \"a\"", "line 1: `::=` is expected"),
        ] {
            let error = to_lark(source).unwrap_err();
            assert!(error.contains(message), "{source}: {error}");
        }
    }
}
