//! Writing JSON in the three spellings of Python that hashes and columns depend on.

use super::Json;
use std::fmt::Write;

/// How to write: what stands between items and after keys, and whether text stays as it is.
struct Style {
    comma: &'static str,
    colon: &'static str,
    is_ascii: bool,
    is_sorted: bool,
}

impl Json {
    /// The form over which messages are hashed: keys in order of code points, no spaces, text
    /// outside ASCII as it is.
    pub fn canonical(&self) -> String {
        self.write(&Style { comma: ",", colon: ":", is_ascii: false, is_sorted: true })
    }

    /// The form of columns: keys as given, a space after `,` and `:`, ASCII only.
    pub fn spaced(&self) -> String {
        self.write(&Style { comma: ", ", colon: ": ", is_ascii: true, is_sorted: false })
    }

    /// The form of schemas: keys as given, no spaces, ASCII only.
    pub fn compact(&self) -> String {
        self.write(&Style { comma: ",", colon: ":", is_ascii: true, is_sorted: false })
    }

    fn write(&self, style: &Style) -> String {
        let mut out = String::new();
        write_value(&mut out, self, style);
        out
    }
}

fn write_value(out: &mut String, value: &Json, style: &Style) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Int(digits) => out.push_str(digits),
        Json::Float(value) => write_float(out, *value),
        Json::Str(text) => write_string(out, text, style.is_ascii),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { style.comma });
                write_value(out, item, style);
            }
            out.push(']');
        }
        Json::Object(object) => {
            let mut entries: Vec<(&str, &Json)> = object.iter().collect();
            if style.is_sorted {
                // UTF-8 sorts as code points do.
                entries.sort_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { style.comma });
                write_string(out, key, style.is_ascii);
                out.push_str(style.colon);
                write_value(out, value, style);
            }
            out.push('}');
        }
    }
}

/// The shortest digits that read back as the same float, laid out as Python's `repr` does:
/// positional between 1e-4 and 1e16, otherwise with an exponent of two digits or more.
fn write_float(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let spelled = format!("{value:e}");
    let (mantissa, exponent) = spelled.split_once('e').unwrap_or((&spelled, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        let positional = format!("{value}");
        out.push_str(&positional);
        if !positional.contains('.') {
            out.push_str(".0");
        }
        return;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
}

fn write_string(out: &mut String, text: &str, is_ascii: bool) {
    out.push('"');
    let mut rest = text;
    // Runs that need no escape are copied whole.
    while let Some(at) = rest.find(|char| needs_escape(char, is_ascii)) {
        out.push_str(&rest[..at]);
        let Some(char) = rest[at..].chars().next() else { break };
        write_escape(out, char);
        rest = &rest[at + char.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

fn needs_escape(char: char, is_ascii: bool) -> bool {
    matches!(char, '"' | '\\' | '\0'..='\x1f') || (is_ascii && char > '~')
}

fn write_escape(out: &mut String, char: char) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        _ => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_as_in_python() {
        let cases = [
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (2.0, "2.0"),
            (1e22, "1e+22"),
            (f64::NEG_INFINITY, "-Infinity"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
        ];
        for (value, expected) in cases {
            assert_eq!(Json::Float(value).canonical(), expected);
        }
    }

    #[test]
    fn text_is_escaped_as_in_python() {
        let text = Json::from("\x7f/\u{2028}\u{1F600}é\0\x1f\u{8}\u{c}\"\\");
        let canonical = "\"\x7f/\u{2028}\u{1F600}é\\u0000\\u001f\\b\\f\\\"\\\\\"";
        assert_eq!(text.canonical(), canonical);
        let ascii = "\"\\u007f/\\u2028\\ud83d\\ude00\\u00e9\\u0000\\u001f\\b\\f\\\"\\\\\"";
        assert_eq!(text.compact(), ascii);
        assert_eq!(Json::parse(&text.spaced()).unwrap(), text);
    }

    #[test]
    fn keys_are_sorted_for_hashes_alone() {
        let value = Json::parse("{\"b\": [1, 1.0], \"\u{ffff}\": 1, \"\u{10000}\": 2, \"a\": {}}");
        let value = value.unwrap();
        let sorted = "{\"a\":{},\"b\":[1,1.0],\"\u{ffff}\":1,\"\u{10000}\":2}";
        assert_eq!(value.canonical(), sorted);
        assert!(value.spaced().starts_with("{\"b\": [1, 1.0], \"\\uffff\": 1, \"\\ud800\\udc00\""));
    }
}
