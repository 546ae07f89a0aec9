//! Opening the file: one SQLite database in WAL mode, for any number of processes at once.
//!
//! # Durability
//!
//! A turn is one transaction. Once [`crate::Store::log`] returns, the turn survives the end of the
//! process in any way, including `kill -9`. With `synchronous = NORMAL` in WAL mode the disk is
//! not waited for at each turn: a power cut or a crash of the operating system may cost the turns
//! since the last checkpoint (every 1000 pages written, and whenever the last process closes the
//! file), in order from the newest; it never leaves a file that cannot be opened.

use crate::{Error, schema};
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait for another process's lock before giving up.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(60);

/// The memory in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) db: Connection,
    pub(crate) path: PathBuf,
}

impl SqliteStore {
    /// Opens the memory at `path` and creates it, with its folder, if it is not there: the folder
    /// with mode 0700, the file with 0600.
    ///
    /// # Errors
    /// If the file is of another program, of a newer version, damaged, or cannot be opened.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// use wright_store::SqliteStore;
    /// let path = folder.path().join("wright").join("logs.db");
    /// SqliteStore::open(&path)?;
    /// assert!(path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |reason: &dyn std::fmt::Display| Error::Open {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let path = absolute(path).map_err(|error| failed(&error))?;
        create_private(&path).map_err(|error| failed(&error))?;
        let mut db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        retry(|| enter_wal(&db))?;
        retry(|| schema::prepare(&mut db, &path))?;
        Ok(SqliteStore { db, path })
    }

    /// A memory that ends with the program, for tests.
    ///
    /// # Errors
    /// If the database fails.
    pub fn in_memory() -> Result<Self, Error> {
        let path = PathBuf::from(":memory:");
        let mut db = Connection::open_in_memory()?;
        db.set_prepared_statement_cache_capacity(64);
        schema::prepare(&mut db, &path)?;
        Ok(SqliteStore { db, path })
    }

    /// Opens the memory at `path` if it is there, and creates nothing.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Self>, Error> {
        if !path.exists() {
            return Ok(None);
        }
        Self::open(path).map(Some)
    }

    /// Opens the memory at `path` for reading alone.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], and if an older version wrote it.
    pub fn open_read_only(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Open { path: path.to_owned(), reason };
        let path = absolute(path).map_err(|error| failed(error.to_string()))?;
        let db = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        retry(|| schema::check(&db, &path))?;
        Ok(SqliteStore { db, path })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a copy of the whole memory, as it is now, to a file that must not exist yet.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn backup(&self, path: &Path) -> Result<(), Error> {
        let path =
            absolute(path).map_err(|reason| Error::File { path: path.to_owned(), reason })?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        options.open(&path).map_err(|reason| Error::File { path: path.clone(), reason })?;
        let written = self.db.execute("VACUUM INTO ?1", [path.to_string_lossy()]);
        if let Err(error) = written {
            let _ = std::fs::remove_file(&path);
            return Err(error.into());
        }
        Ok(())
    }
}

/// The same path from the root: SQLite would take a name such as `file:x?mode=rw` for a URI.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, Error> {
    let db = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| Error::Open { path: path.to_owned(), reason: error.to_string() })?;
    db.busy_timeout(BUSY_WAIT)?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch(
        "PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000;
         PRAGMA trusted_schema = OFF;",
    )?;
    Ok(db)
}

fn enter_wal(db: &Connection) -> Result<(), Error> {
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        // Of an empty file alone: those of other programs are refused as they are.
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            db.pragma_update(None, "journal_mode", "wal")?;
        }
    }
    db.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(())
}

/// Tries again where SQLite gives up at once instead of waiting: changing the journal mode, and
/// recovery of the WAL after a process was killed.
fn retry<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.is_busy() && started.elapsed() < BUSY_WAIT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg_attr(not(unix), expect(unused_variables))]
fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}
