//! Exporting to a log that `llm` 0.36 opens as its own, with every hash bit for bit.
//!
//! Messages that differ only in what `llm` does not record become one. The hash of a message
//! covers the type of each attachment, but `llm` keeps one type for the same bytes; where two types
//! are in use, the second one's row gets an id of its own, so that `llm` finds each hash right.

mod tables;

use crate::record::typed_and_answered;
use crate::tree::{chain_keys, parse};
use crate::{Error, Json, SqliteStore, time};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::collections::HashSet;
use std::path::Path;

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The whole memory, with fragments, schemas and tools that no turn uses.
    All,
    /// One conversation, by its id.
    Conversation(&'a str),
}

/// What became of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportReport {
    pub n_conversations: usize,
    pub n_turns: usize,
    pub n_messages: usize,
}

struct Exporter<'a> {
    from: &'a Connection,
    to: &'a Connection,
    scope: Scope<'a>,
    /// Keys of messages that are written.
    messages: HashSet<i64>,
    report: ExportReport,
}

impl SqliteStore {
    /// Writes a log for `llm` 0.36 to `path`, which must not exist yet: an existing log of `llm`
    /// is never overwritten.
    ///
    /// # Errors
    /// If the file exists or cannot be written, or if there is no such conversation.
    pub fn export_llm(&self, path: &Path, scope: Scope<'_>) -> Result<ExportReport, Error> {
        let failed = |reason| Error::File { path: path.to_owned(), reason };
        if path.exists() {
            return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".part-{}", std::process::id()));
        let temporary = std::path::absolute(Path::new(&name)).map_err(failed)?;
        let written = self.export_to(&temporary, scope);
        let done = written.and_then(|report| {
            let file = std::fs::File::open(&temporary).map_err(failed)?;
            file.sync_all().map_err(failed)?;
            wright_host::atomic_file::publish(&temporary, path)
                .map_err(|error| failed(std::io::Error::other(error)))?;
            Ok(report)
        });
        if done.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        done
    }

    fn export_to(&self, path: &Path, scope: Scope<'_>) -> Result<ExportReport, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let to = Connection::open_with_flags(path, flags)?;
        to.set_prepared_statement_cache_capacity(64);
        // The file is new and written in one piece: there is nothing to roll back to.
        to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN")?;
        tables::create(&to, &time::format_time(self.now_ms()?))?;
        // One view of the memory, whatever other processes write meanwhile.
        let from = self.db.unchecked_transaction()?;
        let mut exporter = Exporter {
            from: &from,
            to: &to,
            scope,
            messages: HashSet::new(),
            report: ExportReport::default(),
        };
        exporter.run()?;
        let report = exporter.report;
        to.execute_batch("COMMIT")?;
        to.close().map_err(|(_, error)| error)?;
        Ok(report)
    }

    /// The time of the database's clock.
    pub(crate) fn now_ms(&self) -> Result<i64, Error> {
        let sql = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)";
        Ok(self.db.query_row(sql, [], |row| row.get(0))?)
    }
}

/// `2026-11-30 15:04:05.678+00:00`: the form that `llm` uses for all but turns.
fn spaced_time(time_ms: i64) -> String {
    time::format_time(time_ms).replace('T', " ")
}

/// A column as it is, to be written again.
fn column<'row>(row: &'row Row<'_>, at: usize) -> rusqlite::Result<ToSqlOutput<'row>> {
    row.get_ref(at).map(ToSqlOutput::Borrowed)
}

impl Exporter<'_> {
    fn run(&mut self) -> Result<(), Error> {
        if self.scope == Scope::All {
            self.copy_all_fragments()?;
            self.copy("schemas", "SELECT id, content FROM schemas ORDER BY id", 2)?;
            let sql = "SELECT key, hash, name, description, input_schema, plugin FROM tools";
            self.copy("tools", sql, 6)?;
        }
        let (sql, id) = match self.scope {
            Scope::All => (
                "SELECT key, id, name, tip, forked_from, created_ms
                FROM conversations WHERE ?1 IS NULL ORDER BY key",
                None,
            ),
            Scope::Conversation(id) => (
                "SELECT key, id, name, tip, forked_from, created_ms
                FROM conversations WHERE id = ?1",
                Some(id),
            ),
        };
        let mut statement = self.from.prepare(sql)?;
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            self.conversation(row)?;
        }
        match id {
            Some(id) if self.report.n_conversations == 0 => {
                Err(Error::not_found("conversation", id))
            }
            _ => Ok(()),
        }
    }

    /// Copies rows of `n` columns to a table whose first columns they are.
    fn copy(&self, table: &str, sql: &str, n: usize) -> Result<(), Error> {
        let places: Vec<String> = (1..=n).map(|at| format!("?{at}")).collect();
        let insert = format!("INSERT OR IGNORE INTO {table} VALUES({})", places.join(", "));
        let mut insert = self.to.prepare_cached(&insert)?;
        let mut statement = self.from.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for at in 0..n {
                insert.raw_bind_parameter(at + 1, column(row, at)?)?;
            }
            insert.raw_execute()?;
        }
        Ok(())
    }

    fn copy_all_fragments(&self) -> Result<(), Error> {
        let mut statement = self.from.prepare("SELECT key FROM fragments ORDER BY key")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.fragment(row.get(0)?)?;
        }
        self.copy("fragment_aliases", "SELECT alias, fragment FROM fragment_aliases", 2)
    }

    fn fragment(&self, key: i64) -> Result<(), Error> {
        let mut statement = self.from.prepare_cached(
            "SELECT hash, content, created_ms, source FROM fragments WHERE key = ?1",
        )?;
        statement.query_row([key], |row| {
            let created = spaced_time(row.get(2)?);
            self.to
                .prepare_cached("INSERT OR IGNORE INTO fragments VALUES(?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    key,
                    column(row, 0)?,
                    column(row, 1)?,
                    created.get(..19),
                    column(row, 3)?
                ])
        })?;
        Ok(())
    }

    fn conversation(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let (key, id): (i64, String) = (row.get(0)?, row.get(1)?);
        let tip: Option<i64> = row.get(3)?;
        let forked_from: Option<String> = match self.scope {
            Scope::All => row.get(4)?,
            Scope::Conversation(_) => None,
        };
        let mut statement =
            self.from.prepare("SELECT key FROM turns WHERE conversation = ?1 ORDER BY key")?;
        let turns = statement.query_map([key], |row| row.get(0))?;
        let turns: Vec<i64> = turns.collect::<Result<_, _>>()?;
        let tip = tip.map(|tip| self.chain(tip)).transpose()?;
        self.to
            .prepare_cached("INSERT INTO threads VALUES(?1, ?2, ?3, ?4, ?5)")?
            .execute(params![id, column(row, 2)?, tip, forked_from, spaced_time(row.get(5)?)])?;
        for turn in turns {
            self.turn(turn, &id)?;
        }
        self.report.n_conversations += 1;
        Ok(())
    }

    /// Writes the message `tip` and all before it; gives its hash.
    fn chain(&mut self, tip: i64) -> Result<String, Error> {
        if !self.messages.contains(&tip) {
            for key in chain_keys(self.from, Some(tip), None)? {
                if self.messages.insert(key) {
                    self.message(key)?;
                }
            }
        }
        let mut statement = self.from.prepare_cached("SELECT hash FROM messages WHERE key = ?1")?;
        Ok(statement.query_row([tip], |row| row.get(0))?)
    }

    fn message(&mut self, key: i64) -> Result<(), Error> {
        let mut statement = self.from.prepare_cached(
            "SELECT message.hash, parent.hash, message.role, message.provider_metadata
             FROM messages AS message LEFT JOIN messages AS parent ON parent.key = message.parent
             WHERE message.key = ?1",
        )?;
        let (hash, n_inserted) = statement.query_row([key], |row| {
            let hash: String = row.get(0)?;
            let n_inserted = self
                .to
                .prepare_cached("INSERT OR IGNORE INTO messages VALUES(?1, ?2, ?3, ?4)")?
                .execute(params![hash, column(row, 1)?, column(row, 2)?, column(row, 3)?])?;
            Ok((hash, n_inserted))
        })?;
        if n_inserted == 0 {
            return Ok(());
        }
        self.report.n_messages += 1;
        let mut statement = self.from.prepare_cached(
            "SELECT key, position, type, tool_name, text, payload FROM parts
             WHERE message = ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            self.part(&hash, row)?;
        }
        Ok(())
    }

    fn part(&self, hash: &str, row: &Row<'_>) -> Result<(), Error> {
        let (part, kind): (i64, String) = (row.get(0)?, row.get(2)?);
        let attachments = self.attachments(part)?;
        let mut payload: Option<String> = row.get(5)?;
        if !attachments.is_empty() {
            payload = Some(with_attachments(&kind, payload.as_deref(), &attachments)?);
        }
        self.to.prepare_cached("INSERT INTO parts VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![part, hash, column(row, 1)?, kind, column(row, 3)?, column(row, 4)?, payload],
        )?;
        for (order, id) in attachments.iter().enumerate() {
            self.to
                .prepare_cached("INSERT INTO part_attachments VALUES(?1, ?2, ?3)")?
                .execute(params![part, id, order as i64])?;
        }
        let mut statement = self.from.prepare_cached(
            "SELECT fragment, position FROM part_fragments WHERE part = ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([part])?;
        while let Some(row) = rows.next()? {
            self.fragment(row.get(0)?)?;
            self.to
                .prepare_cached("INSERT INTO part_fragments VALUES(?1, ?2, ?3)")?
                .execute(params![part, column(row, 0)?, column(row, 1)?])?;
        }
        Ok(())
    }

    /// Writes the attachments of a part; gives their ids.
    fn attachments(&self, part: i64) -> Result<Vec<String>, Error> {
        let mut statement = self.from.prepare_cached(
            "SELECT a.key, a.hash, a.mime, a.path, a.url, content,
               (SELECT min(key) FROM attachments WHERE hash = a.hash)
             FROM part_attachments JOIN attachments AS a ON a.key = attachment
             LEFT JOIN blobs ON blobs.hash = a.hash WHERE part = ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([part])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, hash, first): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(6)?);
            let id = if key == first { hash } else { format!("{hash};{key}") };
            self.to
                .prepare_cached("INSERT OR IGNORE INTO attachments VALUES(?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    id,
                    column(row, 2)?,
                    column(row, 3)?,
                    column(row, 4)?,
                    column(row, 5)?
                ])?;
            ids.push(id);
        }
        Ok(ids)
    }
}

/// A payload with the ids of its attachments where `llm` puts them: before the metadata.
fn with_attachments(kind: &str, payload: Option<&str>, ids: &[String]) -> Result<String, Error> {
    let payload = payload.map(parse).transpose()?;
    let mut object = crate::Object::new();
    let reference = |id: &String| {
        let mut object = crate::Object::new();
        object.insert("id", id.as_str());
        Json::from(object)
    };
    let mut metadata = None;
    for (key, value) in payload.as_ref().and_then(Json::as_object).iter().flat_map(|o| o.iter()) {
        match key {
            "provider_metadata" => metadata = Some(value.clone()),
            _ => object.insert(key, value.clone()),
        }
    }
    match (kind, ids) {
        ("attachment", [id, ..]) => object.insert("attachment", reference(id)),
        _ => object.insert("attachments", ids.iter().map(reference).collect::<Vec<_>>()),
    }
    if let Some(metadata) = metadata {
        object.insert("provider_metadata", metadata);
    }
    Ok(Json::from(object).spaced())
}

impl Exporter<'_> {
    fn turn(&mut self, key: i64, thread: &str) -> Result<(), Error> {
        let mut statement = self.from.prepare_cached(
            "SELECT id, prompt, tip, models.name, models.resolved, options, schema, prompt_tokens,
               completion_tokens, token_details, duration_ms, started_ms, response_json
             FROM turns JOIN models ON models.key = model WHERE turns.key = ?1",
        )?;
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let (id, prompt, tip): (String, Option<i64>, Option<i64>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let parent_hash = prompt.map(|prompt| self.chain(prompt)).transpose()?;
        let tip_hash = tip.map(|tip| self.chain(tip)).transpose()?;
        let schema: Option<String> = row.get(6)?;
        if let Some(schema) = &schema {
            self.schema(schema)?;
        }
        self.to
            .prepare_cached(
                "INSERT INTO turns VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
                   ?14)",
            )?
            .execute(params![
                id,
                thread,
                parent_hash,
                tip_hash,
                column(row, 3)?,
                column(row, 4)?,
                column(row, 5)?,
                schema,
                column(row, 7)?,
                column(row, 8)?,
                column(row, 9)?,
                column(row, 10)?,
                time::format_time(row.get(11)?),
                column(row, 12)?
            ])?;
        self.turn_links(key, &id)?;
        let (typed, answered) = typed_and_answered(self.from, prompt, tip, "")?;
        if !typed.is_empty() || !answered.is_empty() {
            self.to
                .prepare_cached(
                    "INSERT INTO turn_search(turn_id, prompt, response) VALUES(?1, ?2, ?3)",
                )?
                .execute(params![id, typed, answered])?;
        }
        self.report.n_turns += 1;
        Ok(())
    }

    fn schema(&self, id: &str) -> Result<(), Error> {
        let mut statement =
            self.from.prepare_cached("SELECT content FROM schemas WHERE id = ?1")?;
        let content: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        self.to
            .prepare_cached("INSERT OR IGNORE INTO schemas VALUES(?1, ?2)")?
            .execute(params![id, content])?;
        Ok(())
    }

    fn turn_links(&self, key: i64, id: &str) -> Result<(), Error> {
        let mut statement = self.from.prepare_cached(
            "SELECT fragment, position, kind FROM turn_fragments WHERE turn = ?1
             ORDER BY kind, position",
        )?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            self.fragment(row.get(0)?)?;
            self.to
                .prepare_cached("INSERT INTO turn_fragments VALUES(?1, ?2, ?3, ?4)")?
                .execute(params![id, column(row, 0)?, column(row, 1)?, column(row, 2)?])?;
        }
        let mut statement = self.from.prepare_cached(
            "SELECT tool, instance FROM turn_tools WHERE turn = ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            self.tool(row.get(0)?)?;
            self.instance(row.get(1)?)?;
            self.to
                .prepare_cached("INSERT OR IGNORE INTO turn_tools VALUES(?1, ?2, ?3)")?
                .execute(params![id, column(row, 0)?, column(row, 1)?])?;
        }
        let mut statement = self
            .from
            .prepare_cached("SELECT tool_call_id, instance FROM turn_calls WHERE turn = ?1")?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            self.instance(row.get(1)?)?;
            self.to
                .prepare_cached("INSERT INTO tool_instantiations VALUES(?1, ?2, ?3)")?
                .execute(params![id, column(row, 0)?, column(row, 1)?])?;
        }
        Ok(())
    }

    fn tool(&self, key: i64) -> Result<(), Error> {
        let sql = "SELECT key, hash, name, description, input_schema, plugin FROM tools
            WHERE key = ?1";
        let insert = "INSERT OR IGNORE INTO tools VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        self.copy_row(sql, insert, key, 6)
    }

    fn instance(&self, key: Option<i64>) -> Result<(), Error> {
        let Some(key) = key else { return Ok(()) };
        let sql = "SELECT key, plugin, name, arguments FROM tool_instances WHERE key = ?1";
        let insert = "INSERT OR IGNORE INTO tool_instances VALUES(?1, ?2, ?3, ?4)";
        self.copy_row(sql, insert, key, 4)
    }

    fn copy_row(&self, sql: &str, insert: &str, key: i64, n: usize) -> Result<(), Error> {
        let mut insert = self.to.prepare_cached(insert)?;
        let mut statement = self.from.prepare_cached(sql)?;
        let mut rows = statement.query([key])?;
        while let Some(row) = rows.next()? {
            for at in 0..n {
                insert.raw_bind_parameter(at + 1, column(row, at)?)?;
            }
            insert.raw_execute()?;
        }
        Ok(())
    }
}
