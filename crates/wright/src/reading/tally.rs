//! What reading met: how much, and what was passed over and why, with examples.

use super::{Found, Source};
use std::collections::BTreeMap;
use std::fmt::Write;
use wright_data::report::{Amount, Report, Skipped};
use wright_data::{Item, SkipReason};
use wright_host::units;

/// Examples of what was dropped or skipped.
pub const EXAMPLES: usize = 3;
/// Notes that a report holds, and those that are shown.
const NOTES_MAX: usize = 50;
const NOTES_SHOWN: usize = 6;

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
    pub fn new(sources: &[Source]) -> Tally {
        let files = sources.iter().filter(|source| !matches!(source, Source::Skipped(..))).count();
        Tally { files: files as u64, ..Tally::default() }
    }

    /// What a report of packed data says of it.
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
    pub fn count(&mut self, batch: Vec<Item>) -> Vec<Found> {
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
    pub fn note(&mut self, note: String) {
        match self.notes.len() {
            n if n < NOTES_MAX => self.notes.push(note),
            n if n == NOTES_MAX => self.notes.push("and more of the kind".into()),
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
    pub fn sort(&mut self) {
        self.skipped.sort_by_key(|skipped| skipped.reason);
    }

    /// What was passed over, in a few words for an error; none if nothing was.
    pub fn skipped_in_words(&self) -> Option<String> {
        let one = |skipped: &Skipped| {
            let example = skipped.examples.first().map(String::as_str).unwrap_or_default();
            format!("{} {} ({example})", skipped.files, skipped.reason.name())
        };
        let all: Vec<String> = self.skipped.iter().map(one).collect();
        (!all.is_empty()).then(|| format!("skipped: {}", all.join(", ")))
    }

    /// Writes lines for a person.
    ///
    /// # Errors
    /// As writing to `to` does.
    pub fn write(&self, to: &mut String) -> std::fmt::Result {
        writeln!(
            to,
            "read       {} in {}: {} of text in {}",
            units::bytes(self.file_bytes),
            units::number_of(self.files, "file"),
            units::bytes(self.found.bytes),
            units::number_of(self.found.documents, "document")
        )?;
        for note in self.notes.iter().take(NOTES_SHOWN) {
            writeln!(to, "           {note}")?;
        }
        for (name, n) in self.encodings.iter().filter(|(name, _)| *name != "utf-8") {
            writeln!(to, "           {} taken for {name}", units::number_of(*n, "document"))?;
        }
        for skipped in &self.skipped {
            writeln!(to, "skipped    {} {}", skipped.files, skipped.reason.name())?;
            for example in &skipped.examples {
                writeln!(to, "           {example}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_data::{Document, Encoding};

    #[test]
    fn what_is_passed_over_is_counted_with_examples_and_shown() {
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
        let mut said = String::new();
        tally.write(&mut said).unwrap();
        let wanted = [
            "read       0 bytes in 1 file: 5 bytes of text in 1 document",
            "           d: taken so",
            "           1 document taken for windows-1252",
            "skipped    5 damaged",
            "           0.gz: cut",
            "           1.gz: cut",
            "           2.gz: cut",
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
        assert_eq!(tally.skipped_in_words().unwrap(), "skipped: 5 damaged (0.gz: cut)");
        for _ in 0..100 {
            tally.note("again".into());
        }
        assert_eq!(tally.notes.len(), NOTES_MAX + 1);
    }
}
