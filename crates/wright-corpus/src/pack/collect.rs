//! Documents to kept texts: all threads look at what was read, and one decides, in the order of the
//! input, what is kept.

use crate::Work;
use crate::error::Error;
use crate::ingest::ingest;
use crate::pack::options::PackOptions;
use crate::pack::spool::Spool;
use crate::tally::{EXAMPLES, Found, Tally};
use crate::walk::Source;
use std::sync::Arc;
use wright_data::duplicates::{self, Bands, Duplicate, Index, TextHash};
use wright_data::quality::{self, Reason};
use wright_data::report::{Boilerplate, Dropped, Example};
use wright_data::{Document, licence};
use wright_host::parallel_map;

const EXAMPLE_CHARS: usize = 80;

/// A document that is kept, and where its text lies.
#[derive(Clone)]
pub struct Record {
    pub path: Arc<str>,
    pub number: u64,
    pub title: Option<Box<str>>,
    pub origin: Option<Box<str>>,
    pub licence: Option<Arc<str>>,
    pub at: u64,
    pub len: u32,
    pub hash: TextHash,
    /// Bytes of paragraphs that it lost, since earlier documents have them.
    pub boilerplate: u32,
}

/// What came of the input.
#[derive(Default)]
pub struct Collected {
    pub records: Vec<Record>,
    pub folders: licence::Folders,
    pub kept_bytes: u64,
    pub dropped: Vec<Dropped>,
    pub boilerplate: Boilerplate,
    pub tally: Tally,
}

/// What a document is like, as far as it alone tells.
struct Examined {
    hash: TextHash,
    bands: Option<Bands>,
    verdict: Option<Reason>,
}

/// Reads everything into `spool`.
///
/// # Errors
/// If the disk is full, or the person stopped it.
pub fn collect(
    sources: Vec<Source>,
    options: &PackOptions,
    work: &Work<'_>,
    spool: &mut Spool,
) -> Result<Collected, Error> {
    let mut collector = Collector {
        options,
        threads: work.threads,
        spool,
        index: Index::default(),
        all: Collected::default(),
    };
    let tally = ingest(sources, &options.reading, work, |batch| collector.take(batch))?;
    let mut all = collector.all;
    all.tally = tally;
    all.dropped.sort_by_key(|dropped| dropped.reason);
    Ok(all)
}

/// What decides.
struct Collector<'a> {
    options: &'a PackOptions,
    threads: usize,
    spool: &'a mut Spool,
    index: Index,
    all: Collected,
}

impl Collector<'_> {
    fn take(&mut self, batch: Vec<Found>) -> Result<(), Error> {
        let options = self.options;
        let examined = parallel_map(&batch, self.threads, |found| match found {
            Found::Document(document) => Some(examine(&document.text, options)),
            Found::Licence { .. } => None,
        });
        for (found, examined) in batch.into_iter().zip(examined) {
            match (found, examined) {
                (Found::Document(document), Some(examined)) => self.document(document, examined)?,
                (Found::Licence { folder, licence }, _) => {
                    self.all.folders.insert(&folder, &licence);
                }
                (Found::Document(_), None) => {}
            }
        }
        Ok(())
    }

    fn document(&mut self, document: Document, examined: Examined) -> Result<(), Error> {
        let bytes = document.text.len() as u64;
        if let Some(reason) = examined.verdict {
            self.drop_document(reason, &document, None);
            return Ok(());
        }
        if !self.options.keep_duplicates {
            let (spool, records) = (&mut *self.spool, &self.all.records);
            let earlier = |number: u32| {
                let record: &Record = &records[number as usize];
                spool.read(record.at, record.len as usize)
            };
            let bands = examined.bands.as_ref();
            let found = self.index.find(&document.text, &examined.hash, bands, earlier)?;
            if let Some(duplicate) = found {
                self.drop_duplicate(duplicate, &document);
                return Ok(());
            }
            let number = u32::try_from(self.all.records.len()).unwrap_or(u32::MAX);
            self.index.insert(number, &examined.hash, bands);
        }
        let at = self.spool.push(&document.text)?;
        self.all.kept_bytes += bytes;
        self.all.records.push(Record {
            path: document.path,
            number: document.number,
            title: document.title.map(String::into_boxed_str),
            origin: document.source.map(String::into_boxed_str),
            licence: document.licence.map(Arc::from),
            at,
            len: document.text.len() as u32,
            hash: examined.hash,
            boilerplate: 0,
        });
        Ok(())
    }

    fn drop_duplicate(&mut self, duplicate: Duplicate, document: &Document) {
        let place = |number: u32| {
            let record = &self.all.records[number as usize];
            format!("{} {}", record.path, record.number)
        };
        let (reason, repeats) = match duplicate {
            Duplicate::Exact(number) => (Reason::ExactDuplicate, place(number)),
            Duplicate::Near(number, similarity) => {
                let percent = similarity * 100.0;
                (Reason::NearDuplicate, format!("{} to {percent:.0}%", place(number)))
            }
        };
        self.drop_document(reason, document, Some(repeats));
    }

    fn drop_document(&mut self, reason: Reason, document: &Document, repeats: Option<String>) {
        let place = (&*document.path, document.number);
        drop_text(&mut self.all.dropped, reason, place, &document.text, repeats);
    }
}

/// Counts a text that is dropped, whose file and number there are `place`.
pub fn drop_text(
    all: &mut Vec<Dropped>,
    reason: Reason,
    place: (&str, u64),
    text: &str,
    repeats: Option<String>,
) {
    let at = all.iter().position(|dropped| dropped.reason == reason).unwrap_or_else(|| {
        let meaning = reason.meaning().to_owned();
        all.push(Dropped { reason, meaning, documents: 0, bytes: 0, examples: Vec::new() });
        all.len() - 1
    });
    let (dropped, bytes) = (&mut all[at], text.len() as u64);
    dropped.documents += 1;
    dropped.bytes += bytes;
    if dropped.examples.len() < EXAMPLES {
        let (source, number) = (place.0.to_owned(), place.1);
        dropped.examples.push(Example { source, number, bytes, text: beginning(text), repeats });
    }
}

/// The first words of a text, on one line.
pub fn beginning(text: &str) -> String {
    let words = text.split_whitespace().flat_map(|word| word.chars().chain([' ']));
    let line: String = words.take(EXAMPLE_CHARS).collect();
    line.trim_end().to_owned()
}

fn examine(text: &str, options: &PackOptions) -> Examined {
    Examined {
        hash: duplicates::text_hash(text),
        bands: if options.keep_duplicates { None } else { duplicates::bands(text) },
        verdict: if options.filters { quality::judge(text) } else { None },
    }
}
