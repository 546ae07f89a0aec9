//! Parquet: tables, column by column, in groups of rows. The columns of text become documents, as
//! the fields of JSONL do; all others are passed over unread.
//!
//! A page of each column is in memory at a time, whatever the size of the file. Sizes that a file
//! declares are not trusted: pages grow as they are unpacked, within the file's budget.
//!
//! Source: the Parquet format specification (apache/parquet-format). Read are the encodings and
//! compressions that writers of text use; the others are named and the file is skipped.

mod bits;
mod column;
mod footer;
mod page;
mod thrift;

use crate::compression::Budget;
use crate::document::{Encoding, Item, Sink, SkipReason};
use crate::encoding;
use crate::input::{ReadOptions, ReadSeek};
use crate::jsonl::{self, Bad};
use column::Column;
use footer::{Footer, Leaf};
use page::Pages;
use serde_json::{Map, Value};
use std::io::{self, SeekFrom};
use std::sync::Arc;

/// Four bytes at the beginning and at the end.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED: &[u8; 4] = b"PARE";

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// Reads the rows of a table. False if the sink wants no more.
pub(crate) fn read(
    path: &Arc<str>,
    file: &mut dyn ReadSeek,
    budget: &Budget,
    options: &ReadOptions,
    sink: &mut Sink<'_>,
) -> bool {
    let mut table =
        Table { path, budget, options, sink, documents: 0, rows: 0, bad: Bad::new("row") };
    let result = table.read(file);
    let Table { sink, documents, bad, .. } = table;
    match result {
        Ok(false) => false,
        Ok(true) => bad.report(path, sink),
        Err(error) => bad.report(path, sink) && sink(Item::unreadable(path, &error, documents > 0)),
    }
}

/// A table at work.
struct Table<'a, 's> {
    path: &'a Arc<str>,
    budget: &'a Budget,
    options: &'a ReadOptions,
    sink: &'a mut Sink<'s>,
    documents: u64,
    rows: u64,
    bad: Bad,
}

impl Table<'_, '_> {
    /// False if the sink wants no more.
    fn read(&mut self, file: &mut dyn ReadSeek) -> io::Result<bool> {
        let bytes = file.seek(SeekFrom::End(0))?;
        let mut pages = Pages {
            file,
            budget: self.budget,
            bytes,
            bytes_read: 0,
            page_bytes: self.options.file_bytes,
            window_bytes: self.options.window_bytes,
        };
        let footer = footer(&mut pages)?;
        let mut footer = Footer::read(&footer).map_err(end_is_damage)?;
        if footer.is_encrypted {
            return Err(unsupported("encrypted Parquet"));
        }
        let wanted = match wanted(&footer.leaves, self.options) {
            Ok(wanted) => wanted,
            Err(detail) => {
                let (path, reason) = (Arc::clone(self.path), SkipReason::NoText);
                return Ok((self.sink)(Item::Skipped { path, reason, detail }));
            }
        };
        while let Some(group) = footer.group(&wanted).map_err(end_is_damage)? {
            let columns = wanted.iter().zip(group.chunks);
            let mut columns: Vec<_> =
                columns.map(|(leaf, chunk)| (leaf, Column::new(leaf, chunk))).collect();
            for _ in 0..group.rows {
                if !self.row(&mut columns, &mut pages)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// One row. False if the sink wants no more.
    fn row(&mut self, columns: &mut [(&Leaf, Column)], pages: &mut Pages<'_>) -> io::Result<bool> {
        let (mut row, mut encoding, mut spent) = (Map::new(), Encoding::Utf8, 1);
        self.rows += 1;
        for (leaf, column) in columns {
            let Some(bytes) = column.next(pages)? else { continue };
            // A dictionary can give one long text again and again.
            spent += bytes.len() as u64;
            if bytes.len() > self.options.document_bytes {
                self.budget.spend(spent)?;
                let most = self.options.document_bytes;
                self.bad.add(self.rows, format!("a text longer than {most} bytes"));
                return Ok(true);
            }
            let (value, how) = encoding::decode(bytes);
            encoding = encoding.max(how);
            put(&mut row, &leaf.path, value);
        }
        self.budget.spend(spent)?;
        let row = Value::Object(row);
        match jsonl::document(self.path, self.documents, &row, encoding, self.options) {
            Ok(document) => {
                self.documents += 1;
                Ok((self.sink)(Item::Document(document)))
            }
            Err(why) => {
                self.bad.add(self.rows, why);
                Ok(true)
            }
        }
    }
}

/// An end of the bytes of a footer is damage to it, and no end of the file.
fn end_is_damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged("a truncated footer"),
        _ => error,
    }
}

/// The footer's bytes, which stand before their length and the magic at the end.
fn footer(pages: &mut Pages<'_>) -> io::Result<Vec<u8>> {
    let Some(at) = pages.bytes.checked_sub(8) else {
        return Err(damaged("a truncated Parquet file"));
    };
    let tail = pages.bytes_at(at, 8)?;
    let Some((length, magic)) = tail.split_first_chunk::<4>() else {
        return Err(damaged("a truncated Parquet file"));
    };
    match magic {
        _ if magic == ENCRYPTED => return Err(unsupported("encrypted Parquet")),
        _ if magic != MAGIC => {
            return Err(damaged("a Parquet file without a footer: it is incomplete"));
        }
        _ => {}
    }
    let length = u64::from(u32::from_le_bytes(*length));
    let from = at.checked_sub(length).ok_or_else(|| damaged("a footer longer than the file"))?;
    if length > pages.page_bytes {
        return Err(damaged("a footer that is too large"));
    }
    pages.budget.add_raw(length);
    pages.bytes_at(from, length)
}

/// The columns that make a document, in the order of the file. An error says why there are none.
fn wanted(leaves: &[Leaf], options: &ReadOptions) -> Result<Vec<Leaf>, String> {
    let is_text = |leaf: &&Leaf| leaf.is_bytes && !leaf.is_repeated;
    let named = |name: &str| leaves.iter().filter(is_text).find(|leaf| leaf.path == [name]);
    let texts: Option<Vec<&Leaf>> = match options.fields.as_slice() {
        [] => jsonl::FIELDS.iter().find_map(|name| named(name)).map(|leaf| vec![leaf]),
        fields => fields.iter().map(|name| named(name)).collect(),
    };
    let Some(texts) = texts else {
        let has: Vec<String> =
            leaves.iter().filter(is_text).map(|leaf| leaf.path.join(".")).take(20).collect();
        return Err(jsonl::no_text(options, &has));
    };
    let is_about = |leaf: &Leaf| match leaf.path.as_slice() {
        [name] => jsonl::is_about(name),
        [place, name] => jsonl::PLACES.contains(&place.as_str()) && jsonl::is_about(name),
        _ => false,
    };
    let is_wanted = |leaf: &&Leaf| texts.contains(leaf) || is_text(leaf) && is_about(leaf);
    Ok(leaves.iter().filter(is_wanted).cloned().collect())
}

/// Puts a value where JSON would have it.
fn put(row: &mut Map<String, Value>, path: &[String], value: String) {
    match path {
        [name] => drop(row.insert(name.clone(), Value::String(value))),
        [place, name] => {
            let within = row.entry(place.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(within) = within {
                within.insert(name.clone(), Value::String(value));
            }
        }
        _ => {}
    }
}
