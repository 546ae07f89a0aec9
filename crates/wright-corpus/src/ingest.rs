//! Files, folders, archives and pipes as documents.
//!
//! One thread reads, a few batches ahead and no more, so that memory is bounded whatever the input
//! is. What was passed over is counted here, in one way for all.

use crate::Work;
use crate::error::Error;
use crate::tally::{Found, Tally};
use crate::walk::{self, Source};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use wright_data::{Input, Item, ReadOptions};
use wright_host::{Count, Interrupt};

/// Text that goes from the reader to the others at a time.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_ITEMS: usize = 4096;
/// Batches that wait at most.
const BATCHES: usize = 2;
/// How soon Ctrl-C is noticed while the reader waits for a pipe, or works on one huge file.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads all of `sources` and hands documents to `take`, batch by batch, in the order of the input.
/// Returns counts of what was read and of what was not.
///
/// # Errors
/// As `take` says, or if the work was interrupted.
pub fn ingest(
    sources: Vec<Source>,
    options: &ReadOptions,
    work: &Work<'_>,
    mut take: impl FnMut(Vec<Found>) -> Result<(), Error>,
) -> Result<Tally, Error> {
    let mut tally = Tally::new(&sources);
    let mut progress = work.reporter.start("reading", total(&sources), Count::Bytes);
    let done = Arc::new(AtomicU64::new(0));
    let (to, from) = sync_channel(BATCHES);
    let interrupt = work.interrupt.clone();
    let reader = Reader { options: options.clone(), interrupt, done: Arc::clone(&done) };
    // Whoever stops early does not wait for it: it may hang on a pipe into which nobody writes.
    let reader = std::thread::spawn(move || reader.run(&sources, &to));
    let mut step = || -> Result<bool, Error> {
        work.check()?;
        match from.recv_timeout(LOOK_EVERY) {
            Ok(batch) => take(tally.count(batch))?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(false),
        }
        progress.set(done.load(Ordering::Relaxed));
        Ok(true)
    };
    let result = loop {
        match step() {
            Ok(true) => {}
            // What it panicked over has been told; half of the input is not to pass for all of it.
            Ok(false) => break reader.join().map_err(|_| Error::ReaderPanicked),
            Err(error) => break Err(error),
        }
    };
    progress.finish();
    result?;
    work.check()?;
    tally.file_bytes = done.load(Ordering::Relaxed);
    tally.sort();
    Ok(tally)
}

/// Bytes of all files together; 0 if standard input makes that unknown.
fn total(sources: &[Source]) -> u64 {
    let size = |source: &Source| if let Source::File(_, n) = source { *n } else { 0 };
    match sources.contains(&Source::Stdin) {
        true => 0,
        false => sources.iter().map(size).sum(),
    }
}

/// The thread that reads.
struct Reader {
    options: ReadOptions,
    interrupt: Interrupt,
    /// Bytes of files.
    done: Arc<AtomicU64>,
}

impl Reader {
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
        let options = &self.options;
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
        Counted { from, done: &self.done }
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
