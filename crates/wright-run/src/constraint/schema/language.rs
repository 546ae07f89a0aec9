//! Sets of texts: what one lexeme of a grammar may be.
//!
//! Beside what regular expressions can say there are intersection and complement, which the matcher
//! supports. A set is written down as a terminal of a Lark grammar, and can be asked whether it is
//! empty: a lexeme that nothing matches would be a dead end for the model.

use llguidance::derivre::{RegexAst, RegexBuilder};

/// Work that the question whether a set is empty may take.
const FUEL: u64 = 200_000;

/// A set of texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Language {
    /// What a regular expression matches as a whole.
    Regex(String),
    Literal(String),
    Concat(Vec<Language>),
    Union(Vec<Language>),
    Intersection(Vec<Language>),
    Complement(Box<Language>),
}

impl Language {
    pub fn regex(source: impl Into<String>) -> Language {
        Language::Regex(source.into())
    }

    pub fn literal(text: impl Into<String>) -> Language {
        Language::Literal(text.into())
    }

    /// Nothing.
    pub fn none() -> Language {
        Language::Union(Vec::new())
    }

    pub fn complement(self) -> Language {
        Language::Complement(Box::new(self))
    }

    pub fn and(mut parts: Vec<Language>) -> Language {
        match parts.len() {
            1 => parts.remove(0),
            _ => Language::Intersection(parts),
        }
    }

    pub fn or(mut parts: Vec<Language>) -> Language {
        match parts.len() {
            1 => parts.remove(0),
            _ => Language::Union(parts),
        }
    }

    /// Whether no text is in the set. `None` if finding out takes too much work.
    pub fn is_empty(&self) -> Option<bool> {
        let mut builder = RegexBuilder::new();
        let expression = builder.mk(&self.ast()).ok()?;
        let mut regex = builder.into_regex_limited(expression, FUEL).ok()?;
        Some(regex.always_empty())
    }

    fn ast(&self) -> RegexAst {
        let all = |parts: &[Language]| parts.iter().map(Language::ast).collect();
        match self {
            Language::Regex(source) => RegexAst::Regex(source.clone()),
            Language::Literal(text) => RegexAst::Literal(text.clone()),
            Language::Concat(parts) => RegexAst::Concat(all(parts)),
            Language::Union(parts) => RegexAst::Or(all(parts)),
            Language::Intersection(parts) => RegexAst::And(all(parts)),
            Language::Complement(part) => RegexAst::Not(Box::new(part.ast())),
        }
    }

    /// The set as the right-hand side of a terminal's definition.
    pub fn to_lark(&self) -> String {
        let all = |parts: &[Language], between: &str| {
            let parts: Vec<String> = parts.iter().map(Language::to_lark).collect();
            format!("({})", parts.join(between))
        };
        match self {
            Language::Regex(source) => lark_regex(source),
            Language::Literal(text) => lark_string(text),
            Language::Concat(parts) if parts.is_empty() => lark_string(""),
            Language::Concat(parts) => all(parts, " "),
            Language::Union(parts) if parts.is_empty() => r"/[^\s\S]/".into(),
            Language::Union(parts) => all(parts, " | "),
            Language::Intersection(parts) => all(parts, " & "),
            Language::Complement(part) => format!("~({})", part.to_lark()),
        }
    }
}

/// A string literal of Lark, which is one of JSON.
pub(super) fn lark_string(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// A regular expression of Lark: between slashes, on one line.
pub(in crate::constraint) fn lark_regex(source: &str) -> String {
    let mut out = String::from("/");
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
            }
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            _ => out.push(c),
        }
    }
    out.push('/');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emptiness_is_found_through_intersections() {
        let digits = Language::regex("[0-9]+");
        let letters = Language::regex("[a-z]+");
        assert_eq!(Language::and(vec![digits.clone(), letters.clone()]).is_empty(), Some(true));
        assert_eq!(Language::or(vec![digits.clone(), letters]).is_empty(), Some(false));
        let all_but = |text| {
            Language::and(vec![Language::regex("a|b"), Language::literal(text).complement()])
        };
        assert_eq!(all_but("a").is_empty(), Some(false));
        let neither = Language::and(vec![all_but("a"), all_but("b")]);
        assert_eq!(neither.is_empty(), Some(true));
        assert_eq!(Language::none().is_empty(), Some(true));
        assert_eq!(digits.complement().is_empty(), Some(false));
    }
}
