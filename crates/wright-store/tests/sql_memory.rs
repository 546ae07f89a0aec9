//! The limit on SQLite's memory holds for the whole process, so it has a program of its own.

use rusqlite::Connection;
use wright_store::{SqlError, SqlLimits, SqlRunner};

#[test]
fn memory_beyond_the_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let free = Connection::open(&path).unwrap();
    free.execute_batch("CREATE TABLE t(x)").unwrap();
    let limits =
        SqlLimits { heap_bytes_max: 96 << 20, value_bytes_max: 64 << 20, ..SqlLimits::default() };
    let sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 40)
        SELECT x, randomblob(4000000) FROM c ORDER BY 2";
    free.execute_batch("PRAGMA temp_store = MEMORY").unwrap();
    free.query_row(sql, [], |_| Ok(())).unwrap();
    // From here on the limit is that of the whole process.
    let mut runner = SqlRunner::open(&path, limits).unwrap();
    let error = runner.run(sql).unwrap_err();
    assert!(matches!(error, SqlError::Memory), "{error:?}");
    assert_eq!(runner.run("SELECT 1").unwrap().rows.len(), 1);
}
