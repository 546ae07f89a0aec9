//! `wright models catalogue`: what can be fetched by name, under which licence, and whether this
//! machine's memory is enough for it.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use serde_json::{Value, json};
use wright_host::{machine, units};
use wright_hub::catalogue::{Entry, Fit};
use wright_hub::find::{self, Meaning};

/// Bytes of memory that may be had, and that there are; None where the system does not tell.
#[derive(Debug, Clone, Copy)]
struct Memory {
    free: Option<u64>,
    total: Option<u64>,
}

impl Memory {
    fn fit(self, entry: &Entry) -> Fit {
        Fit::of(entry.memory_bytes(), self.free, self.total)
    }
}

/// # Errors
/// If it cannot be printed.
pub fn report(context: &Context, as_json: bool) -> Result<Exit, Failure> {
    let memory = Memory { free: machine::available_memory(), total: machine::total_memory() };
    let entries = &context.catalogue.entries;
    let known = context.known();
    let is_here =
        |entry: &Entry| matches!(find::meaning(&known, &entry.name), Ok(Meaning::Here(_)));
    let here: Vec<bool> = entries.iter().map(is_here).collect();
    let text = match as_json {
        true => as_objects(entries, &here, memory).to_string() + "\n",
        false => table(entries, &here, memory),
    };
    let printed = match as_json {
        true => terminal::print(&text)?,
        false => terminal::print_text(&text)?,
    };
    if printed && !as_json {
        let free = memory.free.map_or("unknown".to_owned(), units::bytes);
        terminal::note(&format!(
            "memory is an estimate; {free} is free here. `wright pull NAME` downloads a model, \
             `wright models show NAME` shows where from"
        ));
    }
    Ok(Exit::Done)
}

/// A number of bytes, where 0 is one that is not known.
fn bytes_or_unknown(n: u64) -> String {
    if n == 0 { "unknown".to_owned() } else { units::bytes(n) }
}

fn table(entries: &[Entry], here: &[bool], memory: Memory) -> String {
    let mut rows = vec![["name", "size", "memory", "", "", "licence", "about"].map(str::to_owned)];
    rows.extend(entries.iter().zip(here).map(|(entry, &here)| {
        [
            entry.name.clone(),
            bytes_or_unknown(entry.bytes),
            bytes_or_unknown(entry.memory_bytes()),
            memory.fit(entry).describe().to_owned(),
            if here { "here" } else { "" }.to_owned(),
            entry.licence.clone(),
            entry.about.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let [name, size, needs, fit, here, licence, about] = row;
        let [w0, w1, w2, w3, w4, w5, _] = widths;
        text += &format!(
            "{name:w0$}  {size:>w1$}  {needs:>w2$}  {fit:w3$}  {here:w4$}  {licence:w5$}  {about}\n"
        );
    }
    text
}

fn as_objects(entries: &[Entry], here: &[bool], memory: Memory) -> Value {
    let objects = entries.iter().zip(here).map(|(entry, here)| {
        json!({
            "name": entry.name,
            "aliases": entry.aliases,
            "about": entry.about,
            "architecture": entry.arch,
            "bytes": entry.bytes,
            "sha256": entry.sha256,
            "licence": entry.licence,
            "licence_note": entry.licence_note,
            "here": here,
            "memory_needed_bytes": entry.memory_bytes(),
            "memory_free_bytes": memory.free,
            "memory_bytes": memory.total,
            "fit": memory.fit(entry).describe(),
            "sources": entry.sources.iter().map(|source| source.describe()).collect::<Vec<_>>(),
            "seen_in": entry.seen_in,
        })
    });
    Value::from_iter(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_hub::catalogue::Catalogue;

    #[test]
    fn the_table_says_size_memory_and_licence_of_each() {
        let mut entries = Catalogue::built_in().unwrap().entries;
        entries.truncate(2);
        entries[1].bytes = 0;
        let memory = Memory { free: Some(200 << 20), total: Some(1 << 30) };
        let text = table(&entries, &[true, false], memory);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("name "));
        for word in ["98.4 MB", "257.2 MB", "tight", "here", "Apache-2.0", "small and fast"] {
            assert!(lines[1].contains(word), "{word}: {}", lines[1]);
        }
        assert_eq!(lines[2].matches("unknown").count(), 3, "size, memory, fit: {}", lines[2]);
        assert!(!lines[2].contains("here"));
        let json = as_objects(&entries, &[true, false], memory);
        assert_eq!(json[0]["fit"], "tight");
        assert!(json[0]["sources"].as_array().unwrap().len() >= 2);
    }
}
