//! For the fuzzer: logs of `llm` whose columns hold anything.
//!
//! An input is lines of `table|column|value`. Each sets a column of the table's only row, which is
//! that of a sound log before; `#` before a value makes it a number, `!` bytes, `~` null.

use super::source::Source;
use crate::SqliteStore;
use rusqlite::Connection;
use rusqlite::types::Value;

/// A sound log, with at most one row in each table.
const SOUND: &str = include_str!("fuzzing.sql");

/// Columns beyond this length are cut: the fuzzer bounds what an input may take.
const VALUE_BYTES_MAX: usize = 4096;

/// A log to be changed, and a memory to import it to.
pub struct Rows {
    source: Option<Connection>,
    store: SqliteStore,
}

impl Rows {
    /// An empty memory and a sound log.
    ///
    /// # Errors
    /// If the database fails.
    pub fn new() -> Result<Self, crate::Error> {
        let source = Connection::open_in_memory()?;
        source.execute_batch(include_str!("../export_llm/tables.sql"))?;
        Ok(Rows { source: Some(source), store: SqliteStore::in_memory()? })
    }

    /// Imports a log changed by `input`, and reads it back; whether every turn was understood.
    pub fn try_import(&mut self, input: &[u8]) -> bool {
        self.import(&String::from_utf8_lossy(input)).unwrap_or(false)
    }

    fn import(&mut self, input: &str) -> Result<bool, crate::Error> {
        let source = match self.source.take() {
            Some(source) => source,
            None => Rows::new()?.source.unwrap_or(Connection::open_in_memory()?),
        };
        source.execute_batch(SOUND)?;
        for line in input.lines() {
            let mut parts = line.splitn(3, '|');
            let (Some(table), Some(column), Some(value)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if is_name(table) && is_name(column) {
                let sql = format!("UPDATE OR IGNORE \"{table}\" SET \"{column}\" = ?1");
                let _ = source.execute(&sql, [parse(value)]);
            }
        }
        let Some(source) = Source::of(source)? else { return Ok(false) };
        self.store = SqliteStore::in_memory()?;
        let report = self.store.import_source(&source, &mut |_, _| {});
        self.source = Some(source.into_database());
        let report = report?;
        for key in self.store.turn_keys(&crate::Filter::default())? {
            let turn = self.store.load_turn(key)?;
            let _ = self.store.load_replay(&turn.id);
            let _ = crate::turn_json(&turn);
        }
        Ok(report.n_skipped == 0)
    }
}

fn parse(value: &str) -> Value {
    let end = value.floor_char_boundary(VALUE_BYTES_MAX);
    let value = &value[..end];
    match value.chars().next() {
        Some('#') => match value[1..].parse::<i64>() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Real(value[1..].parse().unwrap_or(f64::MAX)),
        },
        Some('!') => Value::Blob(value.as_bytes()[1..].to_vec()),
        Some('~') => Value::Null,
        _ => Value::Text(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_columns_are_skipped_and_never_panic() {
        let mut rows = Rows::new().unwrap();
        assert!(rows.try_import(b""));
        assert!(rows.try_import(b"parts|text|other text"));
        let hostile = [
            "turns|parent_message_hash|nowhere",
            "messages|parent_hash|b2:a",
            "parts|type|poem",
            "parts|payload|{",
            "parts|payload|[]",
            "parts|payload|{\"text_ref\": 1}",
            "parts|text|!\u{1}",
            "messages|role|~",
            "turns|model|~",
            "parts|type|#7",
            "parts|payload|{\"text_ref\": [{\"fragment\": 99999999999999999999}]}",
            "parts|payload|{\"arguments\": \"\\ud800\"}",
            "turns|datetime_utc|!x",
            "turns|tip_message_hash|!x",
            "fragments|content|!x",
        ];
        let n_refused = hostile.iter().filter(|line| !rows.try_import(line.as_bytes())).count();
        assert!(n_refused >= 10, "{n_refused}");
        let odd = [
            "turns|id|8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "turns|id|~",
            "turns|input_tokens|#-9e99",
            "turns|datetime_utc|9999-12-31T99:99:99+99:99",
            "turns|options_json|[[[[",
            "threads|tip_message_hash|x",
            "attachments|path|!x",
            "responses|prompt|!x",
            "turn_fragments|kind|~",
            "tools|input_schema|!x",
            "responses|options_json|}",
        ];
        for line in odd {
            rows.try_import(line.as_bytes());
        }
        assert!(rows.try_import(b""), "a later import is not disturbed");
    }
}
