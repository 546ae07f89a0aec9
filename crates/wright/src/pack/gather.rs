//! Files to kept texts: one thread reads, all of them look at what was read, and one decides, in
//! the order of the input, what is kept.

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::pack::spool::Spool;
use crate::pack::walk::{self, Source};
use crate::pack::{Options, in_order};
use crate::progress::{Count, Progress};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use wright_data::duplicates::{self, Bands, Duplicate, Index, TextHash};
use wright_data::quality::{self, Reason};
use wright_data::report::{Amount, Dropped, Example, Skipped};
use wright_data::{Document, Input, Item, licence};

/// Text that goes from the reader to the others at a time.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ITEMS: usize = 4096;
/// Examples of what was dropped or skipped.
const EXAMPLES: usize = 3;
const EXAMPLE_CHARS: usize = 80;
/// Notes that a report holds.
const NOTES_MAX: usize = 50;

/// A document that is kept, and where its text lies.
pub struct Record {
    pub path: Arc<str>,
    pub number: u64,
    pub title: Option<Box<str>>,
    pub origin: Option<Box<str>>,
    pub licence: Option<Arc<str>>,
    pub at: u64,
    pub len: u32,
    pub hash: TextHash,
}

/// What came of the input.
#[derive(Default)]
pub struct Gathered {
    pub records: Vec<Record>,
    pub folders: licence::Folders,
    pub files: u64,
    pub file_bytes: u64,
    pub found: Amount,
    pub kept_bytes: u64,
    pub dropped: Vec<Dropped>,
    pub skipped: Vec<Skipped>,
    pub encodings: BTreeMap<String, u64>,
    pub notes: Vec<String>,
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
pub fn gather(
    sources: &[Source],
    options: &Options,
    interrupt: &Interrupt,
    spool: &mut Spool,
) -> Result<Gathered, Failure> {
    let size = |source: &Source| if let Source::File(_, n) = source { *n } else { 0 };
    let total: u64 = sources.iter().map(size).sum();
    let knows_total = !sources.contains(&Source::Stdin);
    let mut progress =
        Progress::start("reading", if knows_total { total } else { 0 }, Count::Bytes);
    let done = AtomicU64::new(0);
    let mut gathering =
        Gathering { options, spool, index: Index::default(), all: Gathered::default() };
    let (to, from) = sync_channel(2);
    let result = std::thread::scope(|scope| {
        let reader = Reader { options, interrupt, done: &done };
        scope.spawn(move || reader.run(sources, &to));
        // Owned here, so that a failure closes the channel and ends the reader.
        let from = from;
        for batch in &from {
            if interrupt.is_set() {
                return Err(Failure::interrupted());
            }
            gathering.take(batch)?;
            progress.set(done.load(Ordering::Relaxed));
        }
        Ok(())
    });
    progress.finish();
    result?;
    if interrupt.is_set() {
        return Err(Failure::interrupted());
    }
    let mut all = gathering.all;
    all.file_bytes = done.load(Ordering::Relaxed);
    all.files = sources.iter().filter(|s| !matches!(s, Source::Skipped(..))).count() as u64;
    all.dropped.sort_by_key(|dropped| dropped.reason);
    all.skipped.sort_by_key(|skipped| skipped.reason);
    Ok(all)
}

/// The thread that reads.
struct Reader<'a> {
    options: &'a Options,
    interrupt: &'a Interrupt,
    done: &'a AtomicU64,
}

impl Reader<'_> {
    fn run(&self, sources: &[Source], to: &SyncSender<Vec<Item>>) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut sink = |item: Item| {
            bytes += if let Item::Document(document) = &item { document.text.len() } else { 0 };
            batch.push(item);
            if bytes >= BATCH_BYTES || batch.len() >= BATCH_ITEMS {
                bytes = 0;
                return to.send(std::mem::take(&mut batch)).is_ok() && !self.interrupt.is_set();
            }
            true
        };
        for source in sources {
            if !self.source(source, &mut sink) {
                return;
            }
        }
        // The receiver is gone only if nothing more is wanted.
        let _ = to.send(batch);
    }

    /// False if nothing more is wanted.
    fn source(&self, source: &Source, sink: &mut wright_data::Sink<'_>) -> bool {
        let options = &self.options.reading;
        match source {
            Source::Skipped(path, reason, why) => sink(walk::skipped(path, *reason, why)),
            Source::Stdin => {
                let mut from = self.counted(io::stdin().lock());
                wright_data::read("stdin", Input::Stream(&mut from), options, sink)
            }
            Source::File(path, _) => {
                let name = walk::name(path);
                match self.file(path) {
                    Ok((file, true)) => {
                        let mut file = self.counted(file);
                        wright_data::read(&name, Input::File(&mut file), options, sink)
                    }
                    Ok((file, false)) => {
                        let mut file = self.counted(file);
                        wright_data::read(&name, Input::Stream(&mut file), options, sink)
                    }
                    Err(error) => {
                        let why = error.to_string();
                        sink(walk::skipped(path, wright_data::SkipReason::Unreadable, &why))
                    }
                }
            }
        }
    }

    /// A file, and whether it can be read from anywhere.
    fn file(&self, path: &Path) -> io::Result<(File, bool)> {
        let file = File::open(path)?;
        let is_file = file.metadata()?.is_file();
        Ok((file, is_file))
    }

    fn counted<R>(&self, from: R) -> Counted<'_, R> {
        Counted { from, done: self.done }
    }
}

/// Counts bytes that are read.
struct Counted<'a, R> {
    from: R,
    done: &'a AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(to)?;
        self.done.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl<R: Seek> Seek for Counted<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}

/// What decides.
struct Gathering<'a> {
    options: &'a Options,
    spool: &'a mut Spool,
    index: Index,
    all: Gathered,
}

impl Gathering<'_> {
    fn take(&mut self, batch: Vec<Item>) -> Result<(), Failure> {
        let options = self.options;
        let examined = in_order::map(&batch, options.threads, |item| match item {
            Item::Document(document) => Some(examine(&document.text, options)),
            _ => None,
        });
        for (item, examined) in batch.into_iter().zip(examined) {
            match (item, examined) {
                (Item::Document(document), Some(examined)) => self.document(document, examined)?,
                (Item::Licence { folder, licence }, _) => {
                    self.all.folders.insert(&folder, &licence);
                }
                (Item::Skipped { path, reason, detail }, _) => {
                    let example = if detail.is_empty() {
                        path.to_string()
                    } else {
                        format!("{path}: {detail}")
                    };
                    self.skip(reason, example);
                }
                (Item::Note { path, text }, _) => match self.all.notes.len() {
                    n if n < NOTES_MAX => self.all.notes.push(format!("{path}: {text}")),
                    n if n == NOTES_MAX => self.all.notes.push("and more of the kind".into()),
                    _ => {}
                },
                (Item::Document(_), None) => {}
            }
        }
        Ok(())
    }

    fn skip(&mut self, reason: wright_data::SkipReason, example: String) {
        let at = self.all.skipped.iter().position(|skipped| skipped.reason == reason);
        let at = at.unwrap_or_else(|| {
            self.all.skipped.push(Skipped { reason, files: 0, examples: Vec::new() });
            self.all.skipped.len() - 1
        });
        let skipped = &mut self.all.skipped[at];
        skipped.files += 1;
        if skipped.examples.len() < EXAMPLES {
            skipped.examples.push(example);
        }
    }

    fn document(&mut self, document: Document, examined: Examined) -> Result<(), Failure> {
        let bytes = document.text.len() as u64;
        self.all.found.add(bytes, 0);
        *self.all.encodings.entry(document.encoding.name().to_owned()).or_default() += 1;
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
                (Reason::NearDuplicate, format!("{} to {percent:.0} %", place(number)))
            }
        };
        self.drop_document(reason, document, Some(repeats));
    }

    fn drop_document(&mut self, reason: Reason, document: &Document, repeats: Option<String>) {
        let all = &mut self.all.dropped;
        let at = all.iter().position(|dropped| dropped.reason == reason).unwrap_or_else(|| {
            let meaning = reason.meaning().to_owned();
            all.push(Dropped { reason, meaning, documents: 0, bytes: 0, examples: Vec::new() });
            all.len() - 1
        });
        let dropped = &mut all[at];
        let bytes = document.text.len() as u64;
        dropped.documents += 1;
        dropped.bytes += bytes;
        if dropped.examples.len() < EXAMPLES {
            let (source, number) = (document.path.to_string(), document.number);
            let text = beginning(&document.text);
            dropped.examples.push(Example { source, number, bytes, text, repeats });
        }
    }
}

/// The first words of a text, on one line.
fn beginning(text: &str) -> String {
    let words = text.split_whitespace().flat_map(|word| word.chars().chain([' ']));
    let line: String = words.take(EXAMPLE_CHARS).collect();
    line.trim_end().to_owned()
}

fn examine(text: &str, options: &Options) -> Examined {
    Examined {
        hash: duplicates::text_hash(text),
        bands: if options.keep_duplicates { None } else { duplicates::bands(text) },
        verdict: if options.filters { quality::judge(text) } else { None },
    }
}
