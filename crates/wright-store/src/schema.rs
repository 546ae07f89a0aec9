//! The schema of the database, its versions, and who may open what.

use crate::Error;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// Marks a SQLite file as a memory of Wright ("WrSt").
const APPLICATION_ID: i64 = 0x5772_5374;

/// Each step takes a database from the version of its index to the next.
///
/// A step that was released is never changed: a new one follows it.
const STEPS: &[&str] = &[include_str!("schema/v1.sql")];

/// How the full-text index splits text, as in the newest step.
pub(crate) const TOKENIZER: &str = "unicode61 remove_diacritics 2 categories 'L* M* N* Co'";

/// The version that this program writes.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Empty,
    Current,
    Older(usize),
}

/// Creates the schema in an empty file or brings an older one up to date.
///
/// # Errors
/// For a file of another program or of a newer version, and when the database fails.
pub(crate) fn prepare(db: &mut Connection, path: &Path) -> Result<(), Error> {
    prepare_with(db, path, STEPS)
}

fn prepare_with(db: &mut Connection, path: &Path, steps: &[&str]) -> Result<(), Error> {
    if inspect(db, path, steps.len())? == Content::Current {
        return Ok(());
    }
    // Another process may do the same: look again under the lock.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = match inspect(&transaction, path, steps.len())? {
        Content::Current => return Ok(()),
        Content::Empty => 0,
        Content::Older(version) => version,
    };
    for step in &steps[from..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64)?;
    transaction.commit()?;
    Ok(())
}

/// Refuses what is not a memory of a version up to `supported`.
///
/// # Errors
/// As [`prepare`].
pub(crate) fn check(db: &Connection, path: &Path) -> Result<(), Error> {
    match inspect(db, path, STEPS.len())? {
        Content::Current => Ok(()),
        Content::Empty => Err(Error::Foreign { path: path.to_owned() }),
        Content::Older(version) => Err(Error::Database(format!(
            "{} has schema version {version} and must be opened for writing once",
            path.display()
        ))),
    }
}

fn inspect(db: &Connection, path: &Path, supported: usize) -> Result<Content, Error> {
    let number = |pragma: &str| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let path = || path.to_owned();
    if application != APPLICATION_ID {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application == 0 && version == 0 && tables == 0 {
            return Ok(Content::Empty);
        }
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = '_llm_migrations'";
        let is_llm: i64 = db.query_row(sql, [], |row| row.get(0))?;
        return Err(match is_llm {
            0 => Error::Foreign { path: path() },
            _ => Error::LlmLog { path: path() },
        });
    }
    match usize::try_from(version) {
        Ok(version) if version == supported => Ok(Content::Current),
        Ok(version) if version < supported => Ok(Content::Older(version)),
        Ok(_) => Err(Error::Newer { path: path(), found: version, supported: supported as i64 }),
        Err(_) => Err(Error::Corrupt(format!("schema version {version}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(db: &Connection) -> Vec<(String, Option<String>)> {
        let mut statement =
            db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn each_older_version_is_brought_up_to_date_without_loss() {
        let step = "CREATE TABLE later(x); INSERT INTO later SELECT count(*) FROM conversations;";
        let steps = [STEPS, &[step]].concat();
        let path = Path::new("x");
        for version in 0..steps.len() {
            let mut db = Connection::open_in_memory().unwrap();
            if version > 0 {
                prepare_with(&mut db, path, &steps[..version]).unwrap();
                db.execute_batch("INSERT INTO conversations VALUES(1,'c','n',NULL,NULL,5)")
                    .unwrap();
            }
            prepare_with(&mut db, path, &steps).unwrap();
            let count: i64 = db.query_row("SELECT x FROM later", [], |row| row.get(0)).unwrap();
            assert_eq!(count, i64::from(version > 0));
            let mut fresh = Connection::open_in_memory().unwrap();
            prepare_with(&mut fresh, path, &steps).unwrap();
            assert_eq!(tables(&db), tables(&fresh));
        }
    }

    #[test]
    fn the_tokenizer_is_that_of_the_index() {
        assert!(STEPS.iter().any(|step| step.contains(&format!("tokenize = \"{TOKENIZER}\""))));
    }

    #[test]
    fn newer_and_foreign_files_are_refused_and_left_alone() {
        let path = Path::new("x");
        let mut db = Connection::open_in_memory().unwrap();
        prepare(&mut db, path).unwrap();
        db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        let error = prepare(&mut db, path).unwrap_err();
        assert!(matches!(error, Error::Newer { found, .. } if found == SCHEMA_VERSION + 1));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE t(x)").unwrap();
        assert!(matches!(prepare(&mut foreign, path).unwrap_err(), Error::Foreign { .. }));
        assert_eq!(tables(&foreign).len(), 1);
        foreign.execute_batch("CREATE TABLE _llm_migrations(name)").unwrap();
        assert!(matches!(prepare(&mut foreign, path).unwrap_err(), Error::LlmLog { .. }));
    }
}
