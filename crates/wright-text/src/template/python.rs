//! Where Jinja in Python and MiniJinja print differently: values as Python's `str` and `repr`
//! write them, `json.dumps`, and methods of Python's strings that templates use.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, Output, State};
use std::fmt::Write;

/// Prints a value into the output as `str` would.
pub(super) fn print(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Undefined => minijinja::escape_formatter(out, state, value),
        _ => out.write_str(&str(value)?).map_err(Error::from),
    }
}

/// `str(value)`.
pub(super) fn str(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => {
            let mut out = String::new();
            repr(value, &mut out, 0)?;
            Ok(out)
        }
    }
}

const DEPTH_MAX: usize = 100;

fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the value is nested too deeply")
}

fn repr(value: &Value, out: &mut String, depth: usize) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    match value.kind() {
        ValueKind::None => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::String => repr_str(value.as_str().unwrap_or_default(), out),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            out.push(open);
            let mut n = 0;
            for item in value.try_iter()? {
                if n > 0 {
                    out.push_str(", ");
                }
                repr(&item, out, depth + 1)?;
                n += 1;
            }
            if n == 1 && value.is_tuple() {
                out.push(',');
            }
            out.push(close);
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                repr(&key, out, depth + 1)?;
                out.push_str(": ");
                repr(&value.get_item(&key)?, out, depth + 1)?;
            }
            out.push('}');
        }
        _ => {
            let _ = write!(out, "{value}");
        }
    }
    Ok(())
}

/// A string literal with the quotes that Python chooses.
fn repr_str(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_control() || ('\u{80}'..='\u{a0}').contains(&c) || c == '\u{ad}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// A number as Python prints it: floats with a point, and with an exponent from 1e16 on.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(x) = f64::try_from(value.clone()) else { return value.to_string() };
    if !x.is_finite() {
        return if x.is_nan() {
            "nan"
        } else if x > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    if x != 0.0 && !(1e-4..1e16).contains(&x.abs()) {
        let text = format!("{x:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{x:?}")
}

/// How `json.dumps` lays out.
struct Layout {
    indent: Option<String>,
    item: String,
    key: String,
    ascii: bool,
    sort: bool,
}

/// Bytes that [`indent`] may add.
const INDENTATION_MAX: usize = 1 << 20;

/// Jinja2's filter `indent(width=4, first=False, blank=False)`, which keeps a break at the end: the
/// text is cut as `(text + "\n").splitlines()` is.
pub(super) fn indent(text: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let argument = |at: usize, name: &str| -> Result<Option<Value>, Error> {
        Ok(kwargs.get::<Option<Value>>(name)?.or_else(|| args.get(at).cloned()))
    };
    let width = match argument(0, "width")? {
        None => "    ".to_owned(),
        Some(width) => match width.as_str() {
            Some(width) => width.to_owned(),
            None => " ".repeat(usize::try_from(width)?.min(INDENTATION_MAX)),
        },
    };
    let [first, blank] = [(1, "first"), (2, "blank")]
        .map(|(at, name)| argument(at, name).map(|flag| flag.is_some_and(|flag| flag.is_true())));
    let (first, blank) = (first?, blank?);
    kwargs.assert_all_used()?;
    let text = str(text)?;
    let mut lines: Vec<&str> =
        text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
    if lines.len().saturating_mul(width.len()) > INDENTATION_MAX {
        let what = format!("indent would add more than {INDENTATION_MAX} bytes");
        return Err(Error::new(ErrorKind::InvalidOperation, what));
    }
    let mut made = if first { width.clone() } else { String::new() };
    made.push_str(lines.remove(0));
    for line in lines {
        made.push('\n');
        if blank || !line.is_empty() {
            made.push_str(&width);
        }
        made.push_str(line);
    }
    Ok(made)
}

/// `json.dumps`, as the filter `tojson(indent, ensure_ascii, separators, sort_keys)`.
pub(super) fn tojson(
    state: &State,
    value: &Value,
    args: Rest<Value>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let flag = |name: &str| -> Result<bool, Error> {
        Ok(kwargs.get::<Option<bool>>(name)?.unwrap_or(false))
    };
    // Positional arguments are in the order of `transformers`: ensure_ascii, indent.
    let ascii = flag("ensure_ascii")? || args.first().is_some_and(|arg| arg.is_true());
    let indent = match kwargs.get::<Option<Value>>("indent")? {
        Some(indent) => Some(indent),
        None => args.get(1).cloned(),
    };
    let indent = match indent.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => match indent.as_str() {
            Some(text) => Some(text.to_owned()),
            None => Some(" ".repeat(usize::try_from(indent)?.min(32))),
        },
    };
    let (mut item, mut key) = (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".into());
    if let Some(separators) = kwargs.get::<Option<Value>>("separators")?
        && !separators.is_none()
    {
        let parts: Vec<Value> = separators.try_iter()?.take(2).collect();
        if let [first, second] = &parts[..] {
            (item, key) = (str(first)?, str(second)?);
        }
    }
    let layout = Layout { indent, item, key, ascii, sort: flag("sort_keys")? };
    kwargs.assert_all_used()?;
    let mut out = String::new();
    dump(value, &layout, 0, &mut out)?;
    state.consume_fuel(out.len() as u64 / 8)?;
    Ok(Value::from(out))
}

fn dump(value: &Value, layout: &Layout, depth: usize, out: &mut String) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&match number(value).as_str() {
            "nan" => "NaN".to_owned(),
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            number => number.to_owned(),
        }),
        ValueKind::String => dump_str(value.as_str().unwrap_or_default(), layout.ascii, out),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            let mut n = 0;
            for item in value.try_iter()? {
                line(layout, depth + 1, n > 0, out);
                dump(&item, layout, depth + 1, out)?;
                n += 1;
            }
            close(layout, depth, n > 0, ']', out);
        }
        ValueKind::Map => {
            let mut keys: Vec<Value> = value.try_iter()?.collect();
            if layout.sort {
                keys.sort();
            }
            out.push('{');
            for (i, key) in keys.iter().enumerate() {
                line(layout, depth + 1, i > 0, out);
                match key.kind() {
                    ValueKind::String | ValueKind::Number => {
                        dump_str(&str(key)?, layout.ascii, out)
                    }
                    _ => {
                        let mut text = String::new();
                        dump(key, layout, depth + 1, &mut text)?;
                        dump_str(&text, layout.ascii, out);
                    }
                }
                out.push_str(&layout.key);
                dump(&value.get_item(key)?, layout, depth + 1, out)?;
            }
            close(layout, depth, !keys.is_empty(), '}', out);
        }
        kind => {
            let what = format!("a value of type {kind} cannot be written as JSON");
            return Err(Error::new(ErrorKind::InvalidOperation, what));
        }
    }
    Ok(())
}

fn line(layout: &Layout, depth: usize, separated: bool, out: &mut String) {
    if separated {
        out.push_str(&layout.item);
    }
    if let Some(indent) = &layout.indent {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str(indent));
    }
}

fn close(layout: &Layout, depth: usize, filled: bool, bracket: char, out: &mut String) {
    if filled {
        line(layout, depth, false, out);
    }
    out.push(bracket);
}

fn dump_str(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            // Markers stay as they are: they are deleted later, in this form only.
            c if ascii && !c.is_ascii() && !('\u{fdd0}'..='\u{fdef}').contains(&c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Python's methods that templates call on strings, lists and dicts.
pub(super) fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        match name {
            "removeprefix" => {
                let (prefix,): (&str,) = from_args(args)?;
                return Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)));
            }
            "removesuffix" => {
                let (suffix,): (&str,) = from_args(args)?;
                return Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)));
            }
            "rsplit" => {
                let (separator, max): (&str, Option<i64>) = from_args(args)?;
                let max = usize::try_from(max.unwrap_or(-1)).map_or(usize::MAX, |n| n + 1);
                let mut parts: Vec<&str> = text.rsplitn(max, separator).collect();
                parts.reverse();
                return Ok(parts.into_iter().map(Value::from).collect());
            }
            "partition" => {
                let (separator,): (&str,) = from_args(args)?;
                let (before, after) = text.split_once(separator).unwrap_or((text, ""));
                let found = if text.contains(separator) { separator } else { "" };
                return Ok([before, found, after].into_iter().map(Value::from).collect());
            }
            _ => {}
        }
    }
    if name == "copy" && matches!(value.kind(), ValueKind::Map | ValueKind::Seq) {
        let () = from_args(args)?;
        return Ok(value.clone());
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}
