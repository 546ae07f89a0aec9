//! What is opened, what is refused, and what is left alone.

use std::path::Path;
use wright_chat::{FinishReason, Message, Request, Response, Usage};
use wright_store::{Error, Filter, NewTurn, SCHEMA_VERSION, SqliteStore, Store};

fn log(store: &mut SqliteStore, text: &str) -> Result<(), Error> {
    let request = Request::chat(vec![Message::user(text)]);
    let response = Response::new(Message::assistant("x"), FinishReason::Stop, Usage::default());
    store.log(&NewTurn::new("m", "local", &request, &response, 0)).map(|_| ())
}

fn refused(path: &Path) -> Error {
    let before = std::fs::read(path).unwrap();
    let error = SqliteStore::open(path).map(|_| ()).unwrap_err();
    assert!(std::fs::read(path).unwrap() == before, "the file was changed: {error}");
    error
}

#[test]
fn files_of_others_and_of_the_future_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(&path, "some text that is not a database at all, ".repeat(200)).unwrap();
    assert!(matches!(refused(&path), Error::Corrupt(_)));
    std::fs::remove_file(&path).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE t(x)").unwrap();
    assert!(matches!(refused(&path), Error::Foreign { .. }));
    db.execute_batch("CREATE TABLE _llm_migrations(name)").unwrap();
    assert!(matches!(refused(&path), Error::LlmLog { .. }));
    let newer = folder.path().join("newer.db");
    SqliteStore::open(&newer).unwrap();
    let db = rusqlite::Connection::open(&newer).unwrap();
    db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(db);
    let error = refused(&newer);
    assert!(matches!(error, Error::Newer { .. }), "{error}");
    assert!(error.to_string().contains("reads up to"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let mut store = SqliteStore::open(&path).unwrap();
    for at in 0..50 {
        log(&mut store, &format!("turn {at} {}", "with some text ".repeat(20))).unwrap();
    }
    drop(store);
    let sound = std::fs::read(&path).unwrap();
    let mut n_refused = 0;
    for page in 0..sound.len() / 4096 {
        let mut bytes = sound.clone();
        bytes[page * 4096..page * 4096 + 200].fill(0x5a);
        std::fs::write(&path, &bytes).unwrap();
        let opened = SqliteStore::open(&path).and_then(|mut store| {
            log(&mut store, "one more")?;
            store.turns(&Filter::words("text"))
        });
        n_refused += usize::from(opened.is_err());
        let _ = std::fs::remove_file(folder.path().join("logs.db-wal"));
        let _ = std::fs::remove_file(folder.path().join("logs.db-shm"));
    }
    assert!(n_refused > 10, "{n_refused}");
}

#[test]
fn reading_alone_and_backups_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    assert!(SqliteStore::open_existing(&path).unwrap().is_none());
    assert!(matches!(SqliteStore::open_read_only(&path), Err(Error::Open { .. })));
    assert!(!path.exists());
    let mut store = SqliteStore::open(&path).unwrap();
    log(&mut store, "hello").unwrap();
    let mut reader = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(reader.turn_ids(&Filter::words("hello")).unwrap().len(), 1);
    assert!(matches!(log(&mut reader, "x"), Err(Error::ReadOnly)));
    let copy = folder.path().join("copy.db");
    store.backup(&copy).unwrap();
    log(&mut store, "later").unwrap();
    let copied = SqliteStore::open(&copy).unwrap();
    assert_eq!(copied.turn_ids(&Filter::default()).unwrap().len(), 1);
    assert_eq!(copied.turn_ids(&Filter::words("hello")).unwrap().len(), 1);
    assert!(matches!(store.backup(&copy), Err(Error::File { .. })));
}

#[test]
fn names_that_look_like_uris_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:x?mode=ro&cache=shared#y.db");
    let mut store = SqliteStore::open(&path).unwrap();
    log(&mut store, "hello").unwrap();
    assert!(path.exists());
}
