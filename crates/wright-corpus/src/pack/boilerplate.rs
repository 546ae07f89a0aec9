//! Removes paragraphs that several of the kept texts share: one pass counts, and if it finds any, a
//! second one rewrites the texts without them.

use crate::Work;
use crate::error::Error;
use crate::pack::collect::{self, Collected, Record};
use crate::pack::holdout::{self, place};
use crate::pack::spool::{Spool, Texts};
use std::ops::Range;
use wright_data::boilerplate::{self, Counts, DOCUMENTS_MIN, Repeated};
use wright_data::duplicates::text_hash;
use wright_data::quality::{self, Reason};
use wright_data::report::{Boilerplate, Dropped, Repeat};

/// Paragraphs that a report shows.
const EXAMPLES: usize = 5;

/// Leaves in `collected` the documents as they are without boilerplate. `again` makes the place for
/// their texts, if there is a need.
///
/// # Errors
/// If a text cannot be read, the disk is full, or the person stopped it.
pub fn strip(
    collected: &mut Collected,
    texts: Texts,
    work: &Work<'_>,
    anew: impl FnOnce() -> Result<Spool, Error>,
) -> Result<Texts, Error> {
    let records = &collected.records;
    if (records.len() as u64) < DOCUMENTS_MIN {
        return Ok(texts);
    }
    let mut counts = Counts::new(collected.kept_bytes);
    let hashes = |_, text: &str| boilerplate::hashes(text);
    holdout::each_text(records, &texts, work, hashes, |hashes| {
        counts.add(&hashes);
        Ok(())
    })?;
    let repeated = counts.repeated();
    if repeated.is_empty() {
        return Ok(texts);
    }
    let dropped = std::mem::take(&mut collected.dropped);
    let mut stripping = Stripping {
        texts: &texts,
        repeated,
        to: anew()?,
        kept: Vec::with_capacity(records.len()),
        all: Boilerplate::default(),
        dropped,
    };
    let (mut number, find) = (0, |_, text: &str| boilerplate::paragraphs(text));
    holdout::each_text(records, &texts, work, find, |paragraphs| {
        let cuts = stripping.repeated.cuts(number, &paragraphs);
        stripping.document(&records[number as usize], &cuts)?;
        number += 1;
        Ok(())
    })?;
    let examples = stripping.examples(records)?;
    let Stripping { to, kept, all, dropped, .. } = stripping;
    collected.boilerplate = Boilerplate { examples, ..all };
    collected.dropped = dropped;
    collected.kept_bytes = kept.iter().map(|record| u64::from(record.len)).sum();
    collected.records = kept;
    to.finish()
}

/// The second pass.
struct Stripping<'a> {
    /// As they were.
    texts: &'a Texts,
    repeated: Repeated,
    to: Spool,
    kept: Vec<Record>,
    all: Boilerplate,
    dropped: Vec<Dropped>,
}

impl Stripping<'_> {
    /// Writes what is left of a document, if anything is.
    fn document(&mut self, record: &Record, cuts: &[Range<usize>]) -> Result<(), Error> {
        let text = self.texts.get(place(record))?;
        if cuts.is_empty() {
            let at = self.to.push(text)?;
            self.kept.push(Record { at, ..record.clone() });
            return Ok(());
        }
        let lost: usize = cuts.iter().map(Range::len).sum();
        self.all.documents += 1;
        self.all.bytes += lost as u64;
        let rest = boilerplate::without(text, cuts);
        if quality::is_too_short(&rest) {
            let place = (&*record.path, record.number);
            collect::drop_text(&mut self.dropped, Reason::Boilerplate, place, text, None);
            return Ok(());
        }
        let (at, len) = (self.to.push(&rest)?, rest.len() as u32);
        let (hash, boilerplate) = (text_hash(&rest), lost as u32);
        self.kept.push(Record { at, len, hash, boilerplate, ..record.clone() });
        Ok(())
    }

    /// The paragraphs that took the most; counts how many went.
    fn examples(&mut self, records: &[Record]) -> Result<Vec<Repeat>, Error> {
        let gone = self.repeated.gone();
        self.all.paragraphs = gone.len() as u64;
        let mut examples = Vec::new();
        for repeat in gone.iter().take(EXAMPLES) {
            let Some((document, from, to)) = repeat.kept else { continue };
            let record = &records[document as usize];
            let text = self.texts.get(record.at + from as u64..record.at + to as u64)?;
            examples.push(Repeat {
                source: record.path.to_string(),
                number: record.number,
                times: repeat.times,
                bytes: repeat.bytes,
                text: collect::beginning(text),
            });
        }
        Ok(examples)
    }
}
