//! Values written as Python literals and in similar notations: those in `[f(a='x', b=[1, None])]`
//! (LFM 2, Llama 4) and in Gemma 4's `call:f{a:<|"|>x<|"|>,b:[1,null]}`.
//!
//! One reader accepts them all: the keywords of JSON and Python, three kinds of quotes, keys with
//! quotes or without. Nesting is bounded, so that no answer can overflow the stack.

use serde_json::{Map, Number, Value};
use std::str::Chars;

const DEPTH_MAX: usize = 64;
/// Gemma 4's quote, a control token: nothing between two of them is escaped.
const QUOTE: &str = "<|\"|>";

/// Reads values from the start of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Self {
        Reader { rest: text }
    }

    /// What has not been read, without leading white space.
    pub fn rest(&self) -> &'t str {
        self.rest.trim_start()
    }

    /// Takes `sign` if it comes next, after any white space.
    pub fn take(&mut self, sign: &str) -> bool {
        match self.rest().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A name: letters, digits, and `_`, `.`, `-` between them.
    pub fn name(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || "_.-".contains(c);
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(len);
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    /// The next value.
    pub fn value(&mut self) -> Option<Value> {
        self.nested(DEPTH_MAX)
    }

    fn nested(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if let Some(text) = self.string() {
            return text.map(Value::String);
        }
        if self.take("[") {
            return self.items("]", depth).map(Value::Array);
        }
        if self.take("(") {
            return self.items(")", depth).map(Value::Array);
        }
        if self.take("{") {
            return self.fields(depth).map(Value::Object);
        }
        self.word()
    }

    fn items(&mut self, close: &str, depth: usize) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.nested(depth)?);
            if !self.take(",") && !self.rest().starts_with(close) {
                return None;
            }
        }
        Some(items)
    }

    fn fields(&mut self, depth: usize) -> Option<Map<String, Value>> {
        let mut fields = Map::new();
        while !self.take("}") {
            let key = match self.string() {
                Some(key) => key?,
                None => self.name()?.to_owned(),
            };
            if !self.take(":") {
                return None;
            }
            fields.insert(key, self.nested(depth)?);
            if !self.take(",") && !self.rest().starts_with('}') {
                return None;
            }
        }
        Some(fields)
    }

    /// A keyword that is a value, or a number.
    fn word(&mut self) -> Option<Value> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(len);
        let value = match word {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            number => Value::Number(serde_json::from_str::<Number>(number).ok()?),
        };
        self.rest = rest;
        Some(value)
    }

    /// A string, if a quote comes next; `Some(None)` if it does not end.
    fn string(&mut self) -> Option<Option<String>> {
        if self.take(QUOTE) {
            let Some((text, rest)) = self.rest.split_once(QUOTE) else { return Some(None) };
            self.rest = rest;
            return Some(Some(text.to_owned()));
        }
        let quote = self.rest().chars().next().filter(|c| ['"', '\''].contains(c))?;
        self.take(quote.encode_utf8(&mut [0; 4]));
        Some(self.quoted(quote))
    }

    /// The rest of a string that began with `quote`, unescaped.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '\\' => text.push(escaped(&mut chars)?),
                c if c == quote => break,
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }
}

/// What an escape stands for, after its backslash.
fn escaped(chars: &mut Chars) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'x' => char::from_u32(hex(chars, 2)?)?,
        'u' => match hex(chars, 4)? {
            high @ 0xd800..0xdc00 => {
                *chars = chars.as_str().strip_prefix("\\u")?.chars();
                let low = hex(chars, 4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
            }
            unit => char::from_u32(unit)?,
        },
        c => c,
    })
}

/// The number that the next `n` digits write.
fn hex(chars: &mut Chars, n: usize) -> Option<u32> {
    let digits = chars.as_str().get(..n)?;
    let value = u32::from_str_radix(digits, 16).ok()?;
    *chars = chars.as_str()[n..].chars();
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_json_python_and_gemma_are_read() {
        let read = |text: &str| Reader::new(text).value();
        let want = json!({ "a": [1, true, null, -2.5], "b": "x\"y'" });
        for text in [
            r#"{"a": [1, true, null, -2.5], "b": "x\"y'"}"#,
            r#"{'a': [1, True, None, -2.5,], 'b': 'x"y\''}"#,
            "{a:[1,true,None,-2.5],b:<|\"|>x\"y'<|\"|>}",
        ] {
            assert_eq!(read(text), Some(want.clone()), "{text}");
        }
        assert_eq!(read(r#""\u00e9\x41\ud83e\udd80\n\\""#), Some(json!("éA🦀\n\\")));
        assert_eq!(read("(1, (2,))"), Some(json!([1, [2]])));
        assert_eq!(read("12345678901234567890"), Some(json!(12345678901234567890u64)));
    }

    #[test]
    fn anything_else_is_rejected() {
        let deep = "[".repeat(100_000);
        for text in ["", "f", "[1 2]", "{a}", "'a", "\"\\ud83e\"", "1.2.3", &deep, "<|\"|>a"] {
            assert_eq!(Reader::new(text).value(), None, "{}", &text[..text.len().min(20)]);
        }
    }
}
