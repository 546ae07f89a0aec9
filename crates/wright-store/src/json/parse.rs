//! Reading JSON from outside: what Python's `json.loads` accepts, within bounds.

use super::{Json, Object};
use std::collections::HashMap;
use thiserror::Error;

/// Arrays and objects may stand in each other this deep. Python's own limit is about 1000.
const DEPTH_MAX: usize = 128;

/// Integers may have this many digits, which is Python's own limit.
const DIGITS_MAX: usize = 4300;

/// Objects with more keys than this look them up by hash while they are read.
const KEYS_SCANNED_MAX: usize = 16;

/// Text that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid JSON at byte {at}: {what}")]
pub struct JsonError {
    /// Offset of the first byte that does not fit.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Json {
    /// Reads one JSON value, with nothing but white space around it.
    ///
    /// `NaN`, `Infinity` and `-Infinity` are numbers; of a key that stands twice the last value
    /// counts, in the place of the first.
    ///
    /// # Errors
    /// For text that is not JSON, nests too deeply, or holds half of a surrogate pair.
    ///
    /// ```
    /// use wright_store::Json;
    /// let value = Json::parse(r#"{"big": 123456789012345678901234567890, "one": 1.0}"#)?;
    /// assert_eq!(value.canonical(), r#"{"big":123456789012345678901234567890,"one":1.0}"#);
    /// # Ok::<(), wright_store::JsonError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Json, JsonError> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0)?;
        parser.skip_space();
        match parser.peek() {
            None => Ok(value),
            Some(_) => Err(parser.error("text after the value")),
        }
    }
}

impl Parser<'_> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("no value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::Str),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'N') => self.word("NaN", Json::Float(f64::NAN)),
            Some(b'I') => self.word("Infinity", Json::Float(f64::INFINITY)),
            Some(b'-') if self.text[self.at..].starts_with("-I") => {
                self.word("-Infinity", Json::Float(f64::NEG_INFINITY))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error("no value")),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.error("no `,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Json::Object(Object::new()));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("no key"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error("no `:`"));
            }
            let value = self.value(depth + 1)?;
            let known = match entries.len() {
                0..=KEYS_SCANNED_MAX => entries.iter().position(|(known, _)| *known == key),
                _ => places.get(&key).copied(),
            };
            match known {
                Some(at) => entries[at].1 = value,
                None => {
                    entries.push((key, value));
                    index_keys(&entries, &mut places);
                }
            }
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Json::Object(Object::from_distinct(entries)));
            }
            if !self.eat(b',') {
                return Err(self.error("no `,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.eat(b'-');
        let whole = self.digits();
        let has_leading_zero = whole > 1 && self.text.as_bytes()[self.at - whole] == b'0';
        if whole == 0 || has_leading_zero {
            return Err(self.error("malformed number"));
        }
        let mut is_float = false;
        if self.eat(b'.') {
            is_float = true;
            if self.digits() == 0 {
                return Err(self.error("malformed number"));
            }
        }
        if self.eat(b'e') || self.eat(b'E') {
            is_float = true;
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.error("malformed number"));
            }
        }
        let spelled = &self.text[start..self.at];
        if is_float {
            let value = spelled.parse().map_err(|_| self.error("malformed number"))?;
            return Ok(Json::Float(value));
        }
        if whole > DIGITS_MAX {
            return Err(self.error("integer with too many digits"));
        }
        Ok(Json::Int(if spelled == "-0" { "0".to_owned() } else { spelled.to_owned() }))
    }

    /// Passes over digits and counts them.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            text.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return Err(self.error("control character in a string")),
                None => return Err(self.error("string without an end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek() else { return Err(self.error("string without an end")) };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.error("unknown escape")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.four_hex()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.error("unknown escape"));
        }
        if first < 0xdc00 && self.eat(b'\\') && self.eat(b'u') {
            let second = self.four_hex()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).ok_or_else(|| self.error("unknown escape"));
            }
        }
        Err(self.error("half of a surrogate pair"))
    }

    fn four_hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return Err(self.error("unknown escape")) };
        self.at += 4;
        let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
        Ok(digits.iter().fold(0, |code, byte| code * 16 + digit(byte)))
    }
}

/// Keeps `places` up to date once an object has too many keys to scan.
fn index_keys(entries: &[(String, Json)], places: &mut HashMap<String, usize>) {
    if entries.len() <= KEYS_SCANNED_MAX {
        return;
    }
    for (at, (key, _)) in entries.iter().enumerate().skip(places.len()) {
        places.insert(key.clone(), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        let cases = [
            ("", 0),
            ("nul", 0),
            ("[1,]", 3),
            ("{\"a\" 1}", 5),
            ("01", 2),
            ("1.", 2),
            ("1e", 2),
            ("\"\\ud800\"", 7),
            ("\"\\q\"", 3),
            ("\"a", 2),
            ("1 2", 2),
            ("\"\u{1}\"", 1),
            ("-", 1),
            ("[1 2]", 3),
            ("{,}", 1),
            ("\"\\u12", 3),
            ("--1", 1),
            ("\"\\", 2),
        ];
        for (text, at) in cases {
            let error = Json::parse(text).expect_err(text);
            assert_eq!(error.at, at, "{text}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Json::parse(&deep).unwrap_err().what, "nested too deeply");
        assert!(Json::parse(&"9".repeat(5000)).is_err());
    }

    #[test]
    fn the_last_value_of_a_key_counts_in_the_place_of_the_first() {
        let value = Json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(value.spaced(), r#"{"a": 3, "b": 2}"#);
        let many: Vec<String> = (0..200).map(|n| format!("\"k{}\":{n}", n % 100)).collect();
        let value = Json::parse(&format!("{{{}}}", many.join(","))).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.iter().count(), 100);
        assert_eq!(object.get("k7").unwrap().as_i64(), Some(107));
        assert_eq!(object.iter().next().unwrap().0, "k0");
    }
}
