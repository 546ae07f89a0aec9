//! What reading met: how much, and what was passed over and why, with examples.

use crate::walk::Source;
use std::collections::BTreeMap;
use wright_data::report::{Amount, Report, Skipped};
use wright_data::{Document, Item, SkipReason};

/// Examples of what was dropped or skipped.
pub(crate) const EXAMPLES: usize = 3;
/// Notes that a report holds.
const NOTES_MAX: usize = 50;

/// What [`ingest`](crate::ingest()) hands over.
#[derive(Debug)]
pub enum Found {
    Document(Document),
    /// A file that states the licence of its folder and everything below.
    Licence {
        folder: String,
        licence: String,
    },
}

/// Counts over all of an input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Files that were looked at, and their bytes as they are on disk.
    pub files: u64,
    pub file_bytes: u64,
    /// Documents in them.
    pub found: Amount,
    /// How they were encoded.
    pub encodings: BTreeMap<String, u64>,
    pub skipped: Vec<Skipped>,
    /// How files were taken, where that was a choice.
    pub notes: Vec<String>,
}

impl Tally {
    pub(crate) fn new(sources: &[Source]) -> Tally {
        let files = sources.iter().filter(|source| !matches!(source, Source::Skipped(..))).count();
        Tally { files: files as u64, ..Tally::default() }
    }

    /// What the report of packed data says of it.
    pub fn of(report: &Report) -> Tally {
        Tally {
            files: report.files,
            file_bytes: report.file_bytes,
            found: report.found,
            encodings: report.encodings.clone(),
            skipped: report.skipped.clone(),
            notes: report.notes.clone(),
        }
    }

    /// Counts a batch. Returns what of it is to be worked on.
    pub(crate) fn count(&mut self, batch: Vec<Item>) -> Vec<Found> {
        batch.into_iter().filter_map(|item| self.item(item)).collect()
    }

    fn item(&mut self, item: Item) -> Option<Found> {
        match item {
            Item::Document(document) => {
                self.found.add(document.text.len() as u64, 0);
                let encoding = document.encoding.name().to_owned();
                *self.encodings.entry(encoding).or_default() += 1;
                return Some(Found::Document(document));
            }
            Item::Licence { folder, licence } => return Some(Found::Licence { folder, licence }),
            Item::Skipped { path, reason, detail } => {
                let more = if detail.is_empty() { String::new() } else { format!(": {detail}") };
                self.skip(reason, format!("{path}{more}"));
            }
            Item::Note { path, text } => self.note(format!("{path}: {text}")),
        }
        None
    }

    /// Adds a note, unless there are too many.
    pub(crate) fn note(&mut self, note: String) {
        match self.notes.len() {
            n if n < NOTES_MAX => self.notes.push(note),
            n if n == NOTES_MAX => self.notes.push("and more like these".into()),
            _ => {}
        }
    }

    fn skip(&mut self, reason: SkipReason, example: String) {
        let at = self.skipped.iter().position(|skipped| skipped.reason == reason);
        let at = at.unwrap_or_else(|| {
            self.skipped.push(Skipped { reason, files: 0, examples: Vec::new() });
            self.skipped.len() - 1
        });
        let skipped = &mut self.skipped[at];
        skipped.files += 1;
        if skipped.examples.len() < EXAMPLES {
            skipped.examples.push(example);
        }
    }

    /// Puts what was passed over in an order of its own.
    pub(crate) fn sort(&mut self) {
        self.skipped.sort_by_key(|skipped| skipped.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_data::Encoding;

    #[test]
    fn what_is_passed_over_is_counted_with_examples() {
        let skip = |path: &str, detail: &str| Item::Skipped {
            path: path.into(),
            reason: SkipReason::Damaged,
            detail: detail.into(),
        };
        let document = Document {
            path: "d".into(),
            number: 0,
            text: "words".into(),
            title: None,
            licence: None,
            source: None,
            encoding: Encoding::Windows1252,
        };
        let mut batch: Vec<Item> = (0..5).map(|n| skip(&format!("{n}.gz"), "cut")).collect();
        batch.push(Item::Document(document));
        batch.push(Item::Note { path: "d".into(), text: "taken so".into() });
        let mut tally = Tally::new(&[Source::Stdin]);
        assert_eq!(tally.count(batch).len(), 1);
        let skipped = &tally.skipped[0];
        assert_eq!((skipped.files, skipped.examples.len()), (5, EXAMPLES));
        assert_eq!(skipped.examples[0], "0.gz: cut");
        assert_eq!((tally.files, tally.found.documents, tally.found.bytes), (1, 1, 5));
        assert_eq!(tally.encodings["windows-1252"], 1);
        assert_eq!(tally.notes, ["d: taken so"]);
        for _ in 0..100 {
            tally.note("again".into());
        }
        assert_eq!(tally.notes.len(), NOTES_MAX + 1);
    }
}
