//! The file that is imported: read only, whatever its age, whatever stands in its columns.

use crate::Error;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, ToSql};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A longer value is not read.
const VALUE_BYTES_MAX: i32 = 256 << 20;

/// Tables of `llm` that are read.
const TABLES: &[&str] = &[
    "attachments",
    "conversations",
    "fragment_aliases",
    "fragments",
    "messages",
    "part_attachments",
    "parts",
    "prompt_attachments",
    "prompt_fragments",
    "responses",
    "schemas",
    "system_fragments",
    "threads",
    "tool_calls",
    "tool_instances",
    "tool_instantiations",
    "tool_responses",
    "tool_results",
    "tool_results_attachments",
    "tools",
    "turn_fragments",
    "turn_tools",
    "turns",
];

/// A log of `llm`.
pub(super) struct Source {
    db: Connection,
    columns: HashMap<&'static str, HashSet<String>>,
}

impl Source {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Open { path: path.to_owned(), reason };
        let absolute = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&absolute, flags)
            .map_err(|error| failed(error.to_string()))?;
        db.busy_timeout(std::time::Duration::from_secs(10))?;
        match Self::of(db)? {
            Some(source) => Ok(source),
            None => Err(Error::Foreign { path: path.to_owned() }),
        }
    }

    /// A log in a database that is open; `None` if it is not a log of `llm`.
    pub fn of(db: Connection) -> Result<Option<Self>, Error> {
        db.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
        db.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
        db.set_prepared_statement_cache_capacity(64);
        let mut columns = HashMap::new();
        for table in TABLES {
            // Tables alone: a view could make each row cost any amount of work.
            let sql = "SELECT t.name FROM sqlite_schema AS s, pragma_table_info(s.name) AS t
                WHERE s.name = ?1 AND s.type = 'table' AND s.sql NOT LIKE 'create virtual%'";
            let mut statement = db.prepare(sql)?;
            let names = statement.query_map([table], |row| row.get::<_, String>(0))?;
            columns.insert(*table, names.collect::<Result<HashSet<_>, _>>()?);
        }
        let source = Source { db, columns };
        Ok((source.has("turns") || source.has("responses")).then_some(source))
    }

    /// Whether the table is there.
    pub fn has(&self, table: &str) -> bool {
        self.columns.get(table).is_some_and(|columns| !columns.is_empty())
    }

    /// Hands each row of `table` to `each`: its `columns` in order, those that this file does not
    /// have as null. `tail` is what follows the table's name in the query.
    pub fn rows(
        &self,
        table: &'static str,
        columns: &[&str],
        tail: &str,
        parameters: &[&dyn ToSql],
        mut each: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let known = &self.columns[table];
        if known.is_empty() {
            return Ok(());
        }
        let select: Vec<String> = columns
            .iter()
            .map(|column| match known.contains(*column) {
                true => format!("\"{column}\""),
                false => "NULL".to_owned(),
            })
            .collect();
        let sql = format!("SELECT {} FROM {table} {tail}", select.join(", "));
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

impl Source {
    /// Takes the database back.
    pub fn into_database(self) -> Connection {
        self.db
    }
}

/// A column as text; numbers as their digits.
pub(super) fn text(row: &Row<'_>, at: usize) -> Result<Option<String>, Error> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(value) => Ok(Some(value.to_string())),
        ValueRef::Real(value) => Ok(Some(crate::Json::Float(value).canonical())),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Error::Malformed("text is not UTF-8".to_owned())),
        },
        ValueRef::Blob(_) => Err(Error::Malformed("bytes where text is expected".to_owned())),
    }
}

/// A column as text that must be there.
pub(super) fn required(row: &Row<'_>, at: usize, what: &str) -> Result<String, Error> {
    text(row, at)?.ok_or_else(|| Error::Malformed(format!("no {what}")))
}

/// A column as an integer; anything else is none.
pub(super) fn integer(row: &Row<'_>, at: usize) -> Result<Option<i64>, Error> {
    Ok(match row.get_ref(at)? {
        ValueRef::Integer(value) => Some(value),
        ValueRef::Real(value) => Some(value as i64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()),
        _ => None,
    })
}

/// A column as bytes.
pub(super) fn bytes(row: &Row<'_>, at: usize) -> Result<Option<Vec<u8>>, Error> {
    Ok(match row.get_ref(at)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Some(bytes.to_vec()),
        _ => None,
    })
}
