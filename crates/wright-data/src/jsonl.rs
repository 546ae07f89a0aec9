//! JSON: lines of objects, or a list of objects, each with a text and perhaps more about it.

use crate::document::{Document, Encoding, Item, Sink, SkipReason};
use crate::encoding;
use crate::input::ReadOptions;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// Where a text is looked for when nobody says.
pub(crate) const FIELDS: [&str; 4] = ["text", "content", "body", "document"];
/// What else is told of a text, in these fields of its object or of one that is called so.
const TITLES: [&str; 1] = ["title"];
const LICENCES: [&str; 2] = ["license", "licence"];
const SOURCES: [&str; 3] = ["source", "url", "id"];
pub(crate) const PLACES: [&str; 2] = ["meta", "metadata"];

/// Whether a field of this name tells something of a text.
pub(crate) fn is_about(name: &str) -> bool {
    [&TITLES[..], &LICENCES, &SOURCES].concat().contains(&name)
}

/// Whether a stream without a name is JSONL: its first line is an object.
pub(crate) fn begins(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|&b| b == b'\n').next().unwrap_or_default();
    line.starts_with(b"{") && serde_json::from_slice::<Value>(line).is_ok()
}

/// Lines, or rows, that were of no use: how many, and what is wrong with the first.
pub(crate) struct Bad {
    what: &'static str,
    number: u64,
    first: Option<String>,
}

impl Bad {
    /// `what` is the word for one of them.
    pub fn new(what: &'static str) -> Bad {
        Bad { what, number: 0, first: None }
    }

    /// The one at `at`, from 1.
    pub fn add(&mut self, at: u64, why: String) {
        self.number += 1;
        self.first.get_or_insert_with(|| format!("{} {at}: {why}", self.what));
    }

    /// Says so. False if the sink wants no more.
    pub fn report(self, path: &Arc<str>, sink: &mut Sink<'_>) -> bool {
        let Some(first) = self.first else { return true };
        let detail = match (self.number, self.what) {
            (1, _) => first,
            (n, "entry") => format!("{n} entries; the first is {first}"),
            (n, what) => format!("{n} {what}s; the first is {first}"),
        };
        sink(Item::Skipped { path: Arc::clone(path), reason: SkipReason::BadLine, detail })
    }
}

/// Reads lines of objects. False if the sink wants no more.
pub(crate) fn read(
    path: &Arc<str>,
    from: &mut dyn Read,
    options: &ReadOptions,
    sink: &mut Sink<'_>,
) -> bool {
    let mut from = BufReader::with_capacity(1 << 16, from);
    let mut line = Vec::new();
    let (mut at, mut number, mut bad) = (0, 0, Bad::new("line"));
    // Escapes make a text longer than its document: 6 bytes for one at worst.
    let most = options.document_bytes.saturating_mul(6) as u64;
    loop {
        line.clear();
        let read = from.by_ref().take(most).read_until(b'\n', &mut line);
        at += 1;
        let bare = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if !bare.is_empty() {
            match object(bare)
                .and_then(|(value, encoding)| document(path, number, &value, encoding, options))
            {
                Ok(document) => {
                    number += 1;
                    if !sink(Item::Document(document)) {
                        return false;
                    }
                }
                Err(why) => bad.add(at, why),
            }
        }
        match read {
            Ok(0) => return bad.report(path, sink),
            Ok(_) => {}
            Err(error) => {
                return bad.report(path, sink) && sink(Item::unreadable(path, &error, number > 0));
            }
        }
    }
}

fn object(line: &[u8]) -> Result<(Value, Encoding), String> {
    let (text, encoding) = encoding::decode(line);
    let value = serde_json::from_str(&text).map_err(|error| format!("not valid JSON: {error}"))?;
    Ok((value, encoding))
}

/// Reads a file that is one JSON value: a list of objects, or an object; or lines of them, which
/// files of this ending hold, too.
pub(crate) fn read_json(
    path: &Arc<str>,
    bytes: &[u8],
    options: &ReadOptions,
    sink: &mut Sink<'_>,
) -> bool {
    let (source, encoding) = encoding::decode(bytes);
    let Ok(value) = serde_json::from_str::<Value>(&source) else {
        return read(path, &mut &*bytes, options, sink);
    };
    let all = match value {
        Value::Array(all) => all,
        one => vec![one],
    };
    let (mut number, mut bad) = (0, Bad::new("entry"));
    for (at, value) in all.iter().enumerate() {
        match document(path, number, value, encoding, options) {
            Ok(document) => {
                number += 1;
                if !sink(Item::Document(document)) {
                    return false;
                }
            }
            Err(why) => bad.add(at as u64 + 1, why),
        }
    }
    bad.report(path, sink)
}

/// A text field, or one in the object of metadata that many sets have.
fn field<'v>(value: &'v Value, names: &[&str]) -> Option<&'v str> {
    let places = PLACES.iter().filter_map(|place| value.get(place));
    let within = |place: &'v Value| names.iter().find_map(|name| place.get(*name)?.as_str());
    std::iter::once(value).chain(places).find_map(within).filter(|text| !text.trim().is_empty())
}

/// Where a text was looked for, and where there is one.
pub(crate) fn no_text(options: &ReadOptions, has: &[impl AsRef<str>]) -> String {
    let wanted = match options.fields.as_slice() {
        [] => FIELDS.join("`, `"),
        fields => fields.join("`, `"),
    };
    let has: Vec<&str> = has.iter().map(AsRef::as_ref).collect();
    match has.is_empty() {
        true => format!("no text in `{wanted}`"),
        false => {
            let has = has.join("`, `");
            format!("no text in `{wanted}`; it has text in `{has}`")
        }
    }
}

/// An object as a document, the `number`th of its file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn document(
    path: &Arc<str>,
    number: u64,
    value: &Value,
    encoding: Encoding,
    options: &ReadOptions,
) -> Result<Document, String> {
    let Some(object) = value.as_object() else { return Err("not an object".into()) };
    let strings = |name: &str| object.get(name).and_then(Value::as_str);
    let text = match options.fields.as_slice() {
        [] => FIELDS.iter().find_map(|name| strings(name)).map(str::to_owned),
        fields => {
            let parts: Option<Vec<&str>> = fields.iter().map(|name| strings(name)).collect();
            parts.map(|parts| parts.join("\n\n"))
        }
    };
    let Some(text) = text else {
        let has: Vec<&str> =
            object.iter().filter(|(_, v)| v.is_string()).map(|(name, _)| name.as_str()).collect();
        return Err(no_text(options, &has));
    };
    let text = text.replace("\r\n", "\n").trim().to_owned();
    if text.len() > options.document_bytes {
        return Err(format!("a text longer than {} bytes", options.document_bytes));
    }
    let licence = field(value, &LICENCES);
    Ok(Document {
        path: Arc::clone(path),
        number,
        title: field(value, &TITLES).map(str::to_owned),
        licence: licence.and_then(crate::licence::of_field),
        source: field(value, &SOURCES).map(str::to_owned),
        text,
        encoding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str, options: &ReadOptions) -> Vec<Item> {
        let mut items = Vec::new();
        let path: Arc<str> = "x.jsonl".into();
        read(&path, &mut text.as_bytes(), options, &mut |item| {
            items.push(item);
            true
        });
        items
    }

    #[test]
    fn fields_are_found_and_bad_lines_are_counted() {
        let text = "{\"text\":\"one\",\"license\":\"MIT\",\"meta\":{\"url\":\"u\"}}\n\nno\n\
                    {\"content\":\"two\"}\n{\"q\":\"three\"}";
        let items = read_all(text, &ReadOptions::default());
        let [Item::Document(one), Item::Document(two), Item::Skipped { detail, reason, .. }] =
            &items[..]
        else {
            panic!("{items:?}")
        };
        assert_eq!((one.text.as_str(), one.licence.as_deref()), ("one", Some("MIT")));
        assert_eq!((one.source.as_deref(), two.text.as_str()), (Some("u"), "two"));
        assert_eq!(*reason, SkipReason::BadLine);
        assert!(detail.starts_with("2 lines; the first is line 3"), "{detail}");
    }

    #[test]
    fn chosen_fields_are_joined() {
        let options =
            ReadOptions { fields: vec!["q".into(), "a".into()], ..ReadOptions::default() };
        let items = read_all("{\"q\":\"1+1?\",\"a\":\"2\"}\n{\"q\":\"x\"}", &options);
        assert!(matches!(&items[0], Item::Document(d) if d.text == "1+1?\n\n2"), "{items:?}");
        assert!(format!("{:?}", items[1]).contains("it has text in `q`"), "{items:?}");
    }

    #[test]
    fn a_list_of_objects_is_read() {
        let path: Arc<str> = "x.json".into();
        let mut n = 0;
        let list = b"[{\"text\":\"a\"},{\"text\":\"b\"}]";
        read_json(&path, list, &ReadOptions::default(), &mut |item| {
            n += usize::from(matches!(item, Item::Document(_)));
            true
        });
        assert_eq!(n, 2);
        assert!(begins(b"{\"a\":1}\n{") && !begins(b"{ text"));
    }
}
