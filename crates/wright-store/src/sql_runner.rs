//! Running somebody's SQL over a database without letting it change, load or exhaust anything.
//!
//! Several walls stand one behind the other, and each would do for most attempts:
//!
//! - the file is opened for reading alone, `query_only` is on, and the statement must say itself
//!   that it only reads;
//! - an authorizer refuses whatever is not reading: also `ATTACH`, loading extensions, pragmas that
//!   set anything, temporary tables and transactions;
//! - the schema of the file is not trusted, so that its views call no function with side effects;
//! - a clock ends queries that run too long, also while they are being planned; functions whose
//!   time grows with the product of two lengths are replaced by linear ones;
//! - values, statements and results are bounded, sorting happens in memory, and the memory of
//!   SQLite in this process is bounded.
//!
//! Tables of the R-tree module cannot be read: it prepares its writing when a table is opened.

mod allowed;
mod functions;

use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Virtual machine instructions between two looks at the clock.
const OPS_PER_LOOK: i32 = 1000;

/// How much a query may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlLimits {
    /// Time from the start of a query to its last row.
    pub time: Duration,
    /// Rows of a result.
    pub rows_max: usize,
    /// Bytes of a result, and of memory that SQLite may use in this process, this and other
    /// databases together. The latter can be lowered later, never raised.
    pub bytes_max: usize,
    pub heap_bytes_max: usize,
    /// Bytes of one value.
    pub value_bytes_max: usize,
}

impl Default for SqlLimits {
    /// 10 s, 100,000 rows, 64 MiB of result, 512 MiB of memory, 8 MiB for a value.
    fn default() -> Self {
        SqlLimits {
            time: Duration::from_secs(10),
            rows_max: 100_000,
            bytes_max: 64 << 20,
            heap_bytes_max: 512 << 20,
            value_bytes_max: 8 << 20,
        }
    }
}

/// Why a query was not answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SqlError {
    #[error("cannot open {path}: {reason}")]
    Open { path: PathBuf, reason: String },
    /// It would change something, or do anything but read.
    #[error("only queries that read are allowed: {0}")]
    NotReadOnly(String),
    #[error("there is no statement to run")]
    Empty,
    #[error("only one statement at a time can be run")]
    Several,
    #[error("the query took longer than {0:?}")]
    Time(Duration),
    #[error("the query needs more memory than it may use")]
    Memory,
    #[error("a value in the query is larger than {0} bytes")]
    Value(usize),
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// A mistake in the SQL.
    #[error("{0}")]
    Sql(String),
}

/// A value of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// A result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Whether there were more rows than the limits allow.
    pub is_truncated: bool,
}

/// A database that can only be read.
#[derive(Debug)]
pub struct SqlRunner {
    db: Connection,
    limits: SqlLimits,
}

impl SqlRunner {
    /// Opens any SQLite database for reading.
    ///
    /// # Errors
    /// If the file is not there or is not a database.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("logs.db");
    /// use wright_store::{Cell, SqlError, SqlLimits, SqlRunner, SqliteStore};
    /// SqliteStore::open(&path)?;
    /// let mut runner = SqlRunner::open(&path, SqlLimits::default())?;
    /// let table = runner.run("SELECT count(*) AS n FROM turns")?;
    /// assert_eq!(table.columns, ["n"]);
    /// assert_eq!(table.rows, [[Cell::Integer(0)]]);
    /// let refused = runner.run("DELETE FROM turns").unwrap_err();
    /// assert!(matches!(refused, SqlError::NotReadOnly(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: &Path, limits: SqlLimits) -> Result<Self, SqlError> {
        let failed = |reason: String| SqlError::Open { path: path.to_owned(), reason };
        if !path.is_file() {
            return Err(failed("no such file".to_owned()));
        }
        // From the root, so that no name is taken for a URI with parameters.
        let path = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db =
            Connection::open_with_flags(&path, flags).map_err(|error| failed(error.to_string()))?;
        let mut runner = SqlRunner { db, limits };
        runner.secure().map_err(|error| failed(error.to_string()))?;
        // Opening reads nothing yet.
        runner.run("SELECT 1 FROM sqlite_schema LIMIT 1").map_err(|error| match error {
            SqlError::Corrupt(reason) | SqlError::Sql(reason) => failed(reason),
            other => other,
        })?;
        Ok(runner)
    }

    fn secure(&mut self) -> rusqlite::Result<()> {
        let db = &mut self.db;
        db.busy_timeout(Duration::from_secs(5))?;
        let switches = [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        ];
        for (switch, is_on) in switches {
            db.set_db_config(switch, is_on)?;
        }
        let bytes = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
        let limits = [
            (Limit::SQLITE_LIMIT_LENGTH, bytes(self.limits.value_bytes_max)),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ];
        for (limit, value) in limits {
            db.set_limit(limit, value)?;
        }
        db.execute_batch(&format!(
            "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;
             PRAGMA mmap_size = 0; PRAGMA cache_size = -16000; PRAGMA hard_heap_limit = {};",
            self.limits.heap_bytes_max
        ))?;
        functions::replace_quadratic(db, self.limits.value_bytes_max)?;
        // Last: from here on nothing can be set any more.
        db.authorizer(Some(allowed::authorize))
    }

    /// Runs one query.
    ///
    /// # Errors
    /// If it is not a single statement that only reads, is not valid, or exceeds a limit. Rows
    /// beyond the limits of a result are not error but left out: see [`Table::is_truncated`].
    pub fn run(&mut self, sql: &str) -> Result<Table, SqlError> {
        let limits = self.limits;
        let started = Instant::now();
        let is_over = move || started.elapsed() > limits.time;
        let known = |error| classify(error, &limits);
        self.db.progress_handler(OPS_PER_LOOK, Some(is_over)).map_err(known)?;
        let result = self.query(sql).map_err(|error| match error {
            Failure::Database(error) => classify(error, &limits),
            Failure::Refused(error) => error,
        });
        self.db.progress_handler(0, None::<fn() -> bool>).map_err(known)?;
        result
    }

    fn query(&self, sql: &str) -> Result<Table, Failure> {
        if sql.contains('\0') {
            return Err(Failure::Refused(SqlError::Sql("NUL in a statement".to_owned())));
        }
        let mut batch = rusqlite::Batch::new(&self.db, sql);
        let Some(mut statement) = batch.next()? else {
            return Err(Failure::Refused(SqlError::Empty));
        };
        if !statement.readonly() {
            let reason = "the statement writes".to_owned();
            return Err(Failure::Refused(SqlError::NotReadOnly(reason)));
        }
        if batch.next()?.is_some() {
            return Err(Failure::Refused(SqlError::Several));
        }
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let n_columns = columns.len();
        let mut table = Table { columns, ..Table::default() };
        let mut n_bytes = 0;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if table.rows.len() == self.limits.rows_max || n_bytes > self.limits.bytes_max {
                table.is_truncated = true;
                break;
            }
            let mut cells = Vec::with_capacity(n_columns);
            for at in 0..n_columns {
                let cell = cell(row.get_ref(at)?);
                n_bytes += size(&cell);
                cells.push(cell);
            }
            table.rows.push(cells);
        }
        Ok(table)
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(bytes) => Cell::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

/// Bytes that a cell takes in memory.
fn size(cell: &Cell) -> usize {
    std::mem::size_of::<Cell>()
        + match cell {
            Cell::Text(text) => text.len(),
            Cell::Blob(bytes) => bytes.len(),
            _ => 0,
        }
}

/// Words of SQLite where a wall other than the authorizer stopped a query.
const REFUSALS: &[&str] = &["not authorized", "prohibited", "unsafe use of", "may not be modified"];

enum Failure {
    Database(rusqlite::Error),
    Refused(SqlError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Database(error)
    }
}

fn classify(error: rusqlite::Error, limits: &SqlLimits) -> SqlError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => SqlError::Time(limits.time),
        Some(ErrorCode::OutOfMemory) => SqlError::Memory,
        Some(ErrorCode::TooBig) => SqlError::Value(limits.value_bytes_max),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => SqlError::Corrupt(text),
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            SqlError::NotReadOnly(text)
        }
        _ if REFUSALS.iter().any(|refusal| text.contains(refusal)) => SqlError::NotReadOnly(text),
        _ if text.contains("too big") => SqlError::Value(limits.value_bytes_max),
        _ => SqlError::Sql(text),
    }
}
