//! Deleting so that nothing is left.
//!
//! Rows are deleted with `secure_delete` on, words leave the full-text index by its own
//! secure deletion, and the WAL is emptied. That is not the whole of it: when SQLite splits a page
//! it may leave a copy of a row in what is now free space of another page, and the index keeps the
//! beginning of a word as a signpost. So afterwards the file itself is searched for pieces of what
//! was deleted, and rewritten if any is found.
//!
//! The same text may stand in another conversation, which is no reason to keep this one, but one to
//! say so: see [`DeleteReport::kept`].

mod rows;
mod scrub;

use crate::query::Filter;
use crate::{Error, SqliteStore};
use rusqlite::{TransactionBehavior, params};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doomed<'a> {
    /// One turn, by its id. Turns after it keep the messages that they were given.
    Turn(&'a str),
    /// A conversation with all its turns.
    Conversation(&'a str),
    /// Every turn that began before this time (milliseconds since 1970).
    Before(i64),
    /// A fragment by its hash, unless turns that stay were given it.
    Fragment(&'a str),
}

/// What became of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteReport {
    pub n_turns: usize,
    pub n_conversations: usize,
    pub n_messages: usize,
    pub n_attachments: usize,
    pub n_fragments: usize,
    /// Conversations that still hold text of what was deleted: they share its messages, or the same
    /// words were said in them.
    pub kept: Vec<String>,
    /// Fragments that still hold it, by hash.
    pub kept_fragments: Vec<String>,
    /// Bytes of the WAL that could not be emptied, because another process is reading: what was
    /// deleted is still there until it has finished.
    pub wal_bytes_left: u64,
    /// Whether the file had to be rewritten to get rid of a copy.
    pub was_rewritten: bool,
}

/// The note that a deletion has not been finished, for the next one to do.
const UNFINISHED: &str = "unfinished deletion";

impl SqliteStore {
    /// Deletes turns, a conversation or a fragment, with every byte of their text, and everything
    /// that nothing else needs. Waits up to `patience` for other processes to let go of the WAL.
    ///
    /// # Errors
    /// If there is nothing of that name, or the database cannot be written.
    pub fn delete(
        &mut self,
        doomed: Doomed<'_>,
        patience: Duration,
    ) -> Result<DeleteReport, Error> {
        let turns = self.doomed_turns(doomed)?;
        let mut report = DeleteReport::default();
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let must_rewrite: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM meta WHERE name = ?1)",
            [UNFINISHED],
            |row| row.get(0),
        )?;
        let mut removed = rows::Removed::default();
        rows::delete(&transaction, doomed, &turns, &mut removed, &mut report)?;
        transaction.execute("INSERT OR REPLACE INTO meta VALUES(?1, 1)", [UNFINISHED])?;
        transaction.commit()?;
        self.scrub(&removed, must_rewrite, patience, &mut report)?;
        if report.wal_bytes_left == 0 {
            self.db.execute("DELETE FROM meta WHERE name = ?1", [UNFINISHED])?;
        }
        Ok(report)
    }

    /// Finishes a deletion that another process or the end of this one interrupted; `None` if there
    /// is none.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn finish_deletion(&mut self, patience: Duration) -> Result<Option<DeleteReport>, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = ?1)";
        if !self.db.query_row(sql, [UNFINISHED], |row| row.get(0))? {
            return Ok(None);
        }
        let mut report = DeleteReport::default();
        self.scrub(&rows::Removed::default(), true, patience, &mut report)?;
        if report.wal_bytes_left == 0 {
            self.db.execute("DELETE FROM meta WHERE name = ?1", [UNFINISHED])?;
        }
        Ok(Some(report))
    }

    /// Keys of the turns to be deleted.
    fn doomed_turns(&self, doomed: Doomed<'_>) -> Result<Vec<i64>, Error> {
        let keys = |sql: &str, value: &dyn rusqlite::ToSql| -> Result<Vec<i64>, Error> {
            let mut statement = self.db.prepare(sql)?;
            let keys = statement.query_map(params![value], |row| row.get(0))?;
            Ok(keys.collect::<Result<_, _>>()?)
        };
        match doomed {
            Doomed::Turn(id) => {
                let found = keys("SELECT key FROM turns WHERE id = ?1", &id)?;
                if found.is_empty() { Err(Error::not_found("turn", id)) } else { Ok(found) }
            }
            Doomed::Conversation(id) => {
                let sql = "SELECT key FROM conversations WHERE id = ?1";
                if keys(sql, &id)?.is_empty() {
                    return Err(Error::not_found("conversation", id));
                }
                self.turn_keys(&Filter::conversation(id))
            }
            Doomed::Before(time_ms) => {
                keys("SELECT key FROM turns WHERE started_ms < ?1", &time_ms)
            }
            Doomed::Fragment(hash) => {
                let sql = "SELECT key FROM fragments WHERE hash = ?1";
                let found = keys(sql, &hash)?;
                if found.is_empty() { Err(Error::not_found("fragment", hash)) } else { Ok(vec![]) }
            }
        }
    }
}

/// Ids in order, without repetition.
fn sorted(ids: BTreeSet<String>) -> Vec<String> {
    ids.into_iter().collect()
}
