//! Importing the log of `llm`: the content-addressed tables of 0.36 and the older `responses`.
//!
//! Hashes, texts, payloads and ids are taken over as they are, so that what is exported again
//! equals what was imported. The source is read only. Importing a file twice adds nothing.
//!
//! The source is a file from outside: every column may hold anything. What cannot be understood is
//! skipped and reported.

pub mod fuzzing;
mod legacy;
mod messages;
mod source;
mod turns;

use crate::{Error, SqliteStore};
use rusqlite::{Connection, TransactionBehavior};
use source::Source;
use std::collections::HashMap;
use std::path::Path;

/// Turns per transaction: other processes get their turn in between.
const BATCH: usize = 200;

/// Reasons that are kept; beyond them only their number is known.
const REASONS_MAX: usize = 100;

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Turns that are new.
    pub n_turns: usize,
    /// Turns that were in the memory before.
    pub n_present: usize,
    /// Conversations that are new.
    pub n_conversations: usize,
    /// Messages whose content no longer has the hash under which it was logged, such as after a
    /// file that it points to has changed. They are kept under that hash.
    pub n_changed: usize,
    /// Turns that could not be understood.
    pub n_skipped: usize,
    /// Why, for the first of them: the turn's id and the reason.
    pub reasons: Vec<(String, String)>,
}

impl ImportReport {
    fn skip(&mut self, id: &str, reason: String) {
        self.n_skipped += 1;
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push((id.to_owned(), reason));
        }
    }
}

/// Keys here of rows there.
#[derive(Default)]
struct Maps {
    fragments: HashMap<i64, i64>,
    tools: HashMap<i64, i64>,
    instances: HashMap<i64, i64>,
    messages: HashMap<String, crate::tree::Stored>,
}

/// Imports one turn; if it cannot be understood, nothing of it is kept and `report` says why.
fn guarded(
    db: &Connection,
    maps: &mut Maps,
    report: &mut ImportReport,
    id: &str,
    import: impl FnOnce(&mut Maps, &mut ImportReport) -> Result<(), Error>,
) -> Result<(), Error> {
    db.execute_batch("SAVEPOINT turn")?;
    let before = report.clone();
    match import(maps, report) {
        Ok(()) => report.n_turns += 1,
        Err(Error::Malformed(reason)) => {
            db.execute_batch("ROLLBACK TO turn")?;
            // Some of what is noted there may just have been taken back.
            maps.messages.clear();
            *report = before;
            report.skip(id, reason);
        }
        Err(error) => return Err(error),
    }
    Ok(db.execute_batch("RELEASE turn")?)
}

impl SqliteStore {
    /// Adds everything in the log of `llm` at `path`. `on_progress` is told the number of turns
    /// done and of all turns.
    ///
    /// # Errors
    /// If the source is not a log of `llm` or cannot be read, or if the memory cannot be written.
    /// Turns that cannot be understood are skipped and reported instead.
    pub fn import_llm(
        &mut self,
        path: &Path,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<ImportReport, Error> {
        self.import_source(&Source::open(path)?, on_progress)
    }

    /// As [`SqliteStore::import_llm`], from a database that is open.
    fn import_source(
        &mut self,
        source: &Source,
        on_progress: &mut dyn FnMut(usize, usize),
    ) -> Result<ImportReport, Error> {
        let mut report = ImportReport::default();
        let mut maps = Maps::default();
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        messages::import_fragments(source, &transaction, &mut maps)?;
        turns::import_schemas(source, &transaction)?;
        turns::import_tools(source, &transaction, &mut maps)?;
        transaction.commit()?;
        let (new_ids, old_ids) = (turns::ids(source)?, legacy::ids(source)?);
        let n_all = new_ids.len() + old_ids.len();
        let mut n_done = 0;
        for (ids, is_legacy) in [(old_ids, true), (new_ids, false)] {
            for batch in ids.chunks(BATCH) {
                let transaction =
                    self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
                for id in batch {
                    let import = if is_legacy { legacy::import } else { turns::import };
                    import(source, &transaction, &mut maps, &mut report, id)?;
                }
                transaction.commit()?;
                n_done += batch.len();
                on_progress(n_done, n_all);
            }
        }
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        turns::import_threads(source, &transaction, &mut maps, &mut report)?;
        transaction.commit()?;
        Ok(report)
    }
}
