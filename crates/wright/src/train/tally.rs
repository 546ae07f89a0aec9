//! What reading met, in lines for a person.

use std::fmt::Write;
use wright_corpus::Tally;
use wright_data::SkipReason;
use wright_host::units;

/// Notes that are shown.
const NOTES_MAX: usize = 6;

/// Writes what was read and what was passed over.
///
/// # Errors
/// None: writing to a string does not fail.
pub fn write(tally: &Tally, to: &mut String) -> std::fmt::Result {
    writeln!(
        to,
        "read       {} in {}: {} of text in {}",
        units::bytes(tally.file_bytes),
        units::number_of(tally.files, "file"),
        units::bytes(tally.found.bytes),
        units::number_of(tally.found.documents, "document")
    )?;
    for note in tally.notes.iter().take(NOTES_MAX) {
        writeln!(to, "           {note}")?;
    }
    for (name, n) in tally.encodings.iter().filter(|(name, _)| *name != "utf-8") {
        writeln!(to, "           {} read as {name}", units::number_of(*n, "document"))?;
    }
    for skipped in &tally.skipped {
        writeln!(to, "skipped    {} {}", skipped.files, skipped.reason.name())?;
        for example in &skipped.examples {
            writeln!(to, "           {example}")?;
        }
        if skipped.reason == SkipReason::BadLine {
            writeln!(to, "           (--field names the field that holds the text)")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_data::report::{Amount, Skipped};

    #[test]
    fn what_was_read_and_what_was_not_is_said_in_lines() {
        let skipped = |reason, examples: &[&str]| Skipped {
            reason,
            files: 5,
            examples: examples.iter().map(|&text| text.into()).collect(),
        };
        let tally = Tally {
            files: 1,
            found: Amount { documents: 1, bytes: 5, tokens: 0 },
            encodings: [("windows-1252".to_owned(), 1), ("utf-8".to_owned(), 3)].into(),
            skipped: vec![
                skipped(SkipReason::Damaged, &["0.gz: cut", "1.gz: cut"]),
                skipped(SkipReason::BadLine, &["a.jsonl: 1 of its lines"]),
            ],
            notes: vec!["d: taken so".into()],
            ..Tally::default()
        };
        let mut said = String::new();
        write(&tally, &mut said).unwrap();
        let wanted = [
            "read       0 bytes in 1 file: 5 bytes of text in 1 document",
            "           d: taken so",
            "           1 document read as windows-1252",
            "skipped    5 damaged",
            "           0.gz: cut",
            "           1.gz: cut",
            "skipped    5 bad-line",
            "           a.jsonl: 1 of its lines",
            "           (--field names the field that holds the text)",
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), wanted);
    }
}
