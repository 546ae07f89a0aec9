//! Hundreds of attempts to write, attach, load or run away, each of which works on a handle that is
//! not guarded; and honest queries, which all run.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wright_store::{Cell, SqlError, SqlLimits, SqlRunner};

const SETUP: &str = "
    CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n REAL, data TEXT);
    CREATE TABLE u(id INTEGER PRIMARY KEY, t INTEGER REFERENCES t(id));
    CREATE INDEX t_name ON t(name);
    CREATE VIEW v AS SELECT * FROM t;
    CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN INSERT INTO u(t) VALUES(new.id); END;
    CREATE TRIGGER v_insert INSTEAD OF INSERT ON v BEGIN
      INSERT INTO t(name) VALUES(new.name); END;
    CREATE VIRTUAL TABLE f USING fts5(body);
    INSERT INTO t(name, n, data) VALUES('ada', 1.5, '{\"a\": [1, 2]}'), ('bob', 2.5, '{}'),
      ('cyd', NULL, '[]');
    INSERT INTO f(body) VALUES('the quick brown fox'), ('the lazy dog');
    ANALYZE;";

/// Time that no query of these tests needs, and time that endless ones use up.
const PLENTY: Duration = Duration::from_secs(600);
const LITTLE: Duration = Duration::from_millis(300);

struct Ground {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ground.db");
        Connection::open(&path).unwrap().execute_batch(SETUP).unwrap();
        Ground { folder, path }
    }

    fn runner(&self, time: Duration) -> SqlRunner {
        let limits =
            SqlLimits { time, rows_max: 1000, value_bytes_max: 1 << 20, ..SqlLimits::default() };
        SqlRunner::open(&self.path, limits).unwrap()
    }

    /// Names and contents of all files but those by which SQLite shares memory.
    fn state(&self) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

/// Ways to write the same statement.
fn disguises(sql: &str) -> Vec<String> {
    vec![
        sql.to_owned(),
        format!("  \n\t{sql};"),
        format!("/* SELECT */ {sql} -- SELECT 1"),
        sql.to_lowercase(),
    ]
}

// tidy: long: a table of statements
/// Attempts of each class that change something, in statements that work on a handle of its own.
fn writing() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        (
            "insert",
            vec![
                "INSERT INTO t(name) VALUES('x')",
                "INSERT OR REPLACE INTO t(id, name) VALUES(1, 'x')",
                "REPLACE INTO t(id, name) VALUES(1, 'x')",
                "INSERT INTO t(id) VALUES(1) ON CONFLICT(id) DO UPDATE SET name = 'x'",
                "INSERT INTO t(name) SELECT name FROM t",
                "INSERT INTO t(name) VALUES('x') RETURNING id",
                "INSERT INTO v(name) VALUES('x')",
                "INSERT INTO t DEFAULT VALUES",
                "WITH x AS (SELECT 'a' AS name) INSERT INTO t(name) SELECT name FROM x",
            ],
        ),
        (
            "update",
            vec![
                "UPDATE t SET name = 'x'",
                "UPDATE t SET name = 'x' WHERE id = 1 RETURNING *",
                "UPDATE t SET n = u.id FROM u",
                "UPDATE OR IGNORE t SET id = 1 WHERE id = 2",
                "WITH x AS (SELECT 1 AS id) UPDATE t SET name = 'x' WHERE id IN (SELECT id FROM x)",
                "UPDATE t SET (name, n) = ('x', 1)",
            ],
        ),
        (
            "delete",
            vec![
                "DELETE FROM t",
                "DELETE FROM t WHERE id = 1 RETURNING name",
                "WITH x AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (SELECT id FROM x)",
                "DELETE FROM u WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = u.t)",
                "DELETE FROM f",
            ],
        ),
        (
            "create",
            vec![
                "CREATE TABLE a(x)",
                "CREATE TABLE a AS SELECT * FROM t",
                "CREATE TABLE IF NOT EXISTS a(x)",
                "CREATE INDEX a ON t(n)",
                "CREATE UNIQUE INDEX a ON t(id)",
                "CREATE VIEW a AS SELECT 1",
                "CREATE TRIGGER a AFTER DELETE ON t BEGIN SELECT 1; END",
                "CREATE VIRTUAL TABLE a USING fts5(x)",
                "CREATE VIRTUAL TABLE a USING rtree(id, x, y)",
            ],
        ),
        (
            "temporary",
            vec![
                "CREATE TEMP TABLE a(x)",
                "CREATE TEMPORARY TABLE a AS SELECT * FROM t",
                "CREATE TEMP VIEW a AS SELECT 1",
                "CREATE TEMP TRIGGER a AFTER DELETE ON t BEGIN SELECT 1; END",
                "CREATE TABLE temp.a(x)",
                "CREATE VIRTUAL TABLE temp.a USING fts5(x)",
            ],
        ),
        (
            "alter and drop",
            vec![
                "DROP TABLE u",
                "DROP TABLE IF EXISTS t",
                "DROP INDEX t_name",
                "DROP VIEW v",
                "DROP TRIGGER t_insert",
                "DROP TABLE f",
                "ALTER TABLE u RENAME TO w",
                "ALTER TABLE t ADD COLUMN x",
                "ALTER TABLE t DROP COLUMN n",
                "ALTER TABLE t RENAME COLUMN n TO m",
            ],
        ),
        (
            "maintenance",
            vec![
                "VACUUM",
                "REINDEX",
                "REINDEX t",
                "ANALYZE",
                "ANALYZE t",
                "PRAGMA optimize",
                "PRAGMA incremental_vacuum",
                "PRAGMA wal_checkpoint",
                "PRAGMA shrink_memory",
            ],
        ),
        (
            "attach",
            vec![
                "ATTACH ':memory:' AS a",
                "ATTACH '' AS a",
                "ATTACH DATABASE 'FOLDER/new.db' AS a",
                "ATTACH 'FOLDER/ground.db' AS a",
                "ATTACH 'file:FOLDER/ground.db?mode=rwc' AS a",
                "VACUUM INTO 'FOLDER/copy.db'",
                "VACUUM main INTO 'FOLDER/copy.db'",
            ],
        ),
        (
            "pragmas that set",
            vec![
                "PRAGMA user_version = 7",
                "PRAGMA application_id = 7",
                "PRAGMA schema_version = 7",
                "PRAGMA journal_mode = DELETE",
                "PRAGMA journal_mode(WAL)",
                "PRAGMA query_only = OFF",
                "PRAGMA writable_schema = ON",
                "PRAGMA foreign_keys = OFF",
                "PRAGMA secure_delete = OFF",
                "PRAGMA locking_mode = EXCLUSIVE",
                "PRAGMA temp_store_directory = 'FOLDER'",
                "PRAGMA cache_size = 1000000",
                "PRAGMA mmap_size = 1000000000",
                "PRAGMA hard_heap_limit = 0",
                "PRAGMA trusted_schema = ON",
                "PRAGMA busy_timeout = 1",
                "PRAGMA synchronous = OFF",
                "PRAGMA page_size = 8192",
                "PRAGMA main.user_version = 7",
            ],
        ),
        (
            "transactions",
            vec!["BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE TRANSACTION", "SAVEPOINT a"],
        ),
        (
            "inside of virtual tables",
            vec![
                "INSERT INTO f(f) VALUES('optimize')",
                "INSERT INTO f(f) VALUES('rebuild')",
                "INSERT INTO f(f, rank) VALUES('merge', 10)",
                "INSERT INTO f(f, rank) VALUES('secure-delete', 1)",
                "INSERT INTO f(body) VALUES('x')",
                "UPDATE f SET body = 'x'",
                "UPDATE f_data SET block = NULL",
                "DELETE FROM f_config",
                "UPDATE f_docsize SET sz = NULL",
            ],
        ),
    ]
}

#[test]
fn no_attempt_to_write_succeeds_and_each_would_elsewhere() {
    let ground = Ground::new();
    let folder = ground.folder.path().display().to_string();
    let mut runner = ground.runner(PLENTY);
    let before = ground.state();
    let mut n_attempts = 0;
    for (class, statements) in writing() {
        for statement in statements {
            // The control: the same statement on a copy of the file that may be written.
            let copy = Ground::new();
            let own_folder = copy.folder.path().display().to_string();
            let free = Connection::open(&copy.path).unwrap();
            free.pragma_update(None, "foreign_keys", false).unwrap();
            free.execute_batch(&statement.replace("FOLDER", &own_folder))
                .unwrap_or_else(|error| panic!("{class}: control {statement}: {error}"));
            let statement = statement.replace("FOLDER", &folder);
            let mut attempts = disguises(&statement);
            attempts.push(format!("EXPLAIN {statement}"));
            for attempt in attempts {
                let error = runner.run(&attempt).expect_err(&attempt);
                assert!(matches!(error, SqlError::NotReadOnly(_)), "{attempt}: {error:?}");
                n_attempts += 1;
            }
            let second = format!("SELECT 1; {statement}");
            assert!(runner.run(&second).is_err(), "{second}");
        }
        assert!(ground.state() == before, "{class} changed a file");
    }
    assert!(n_attempts >= 300, "{n_attempts}");
    assert_eq!(runner.run("SELECT count(*) FROM t").unwrap().rows, [[Cell::Integer(3)]]);
}

#[test]
fn several_statements_and_none_are_refused() {
    let ground = Ground::new();
    let mut runner = ground.runner(PLENTY);
    for sql in ["SELECT 1; SELECT 2", "SELECT 1;;SELECT 2", "SELECT 1; -- x\nSELECT 2"] {
        assert!(matches!(runner.run(sql), Err(SqlError::Several)), "{sql}");
    }
    for sql in ["", "  ", "-- nothing", ";"] {
        assert!(matches!(runner.run(sql), Err(SqlError::Empty)), "{sql}");
    }
    assert!(matches!(runner.run("SELECT 1\0; DROP TABLE t"), Err(SqlError::Sql(_))));
    for sql in ["SELECT", "SELECT nothing FROM t", "SELECT * FROM missing", "SELECT \"x\""] {
        assert!(matches!(runner.run(sql), Err(SqlError::Sql(_))), "{sql}");
    }
}

#[test]
fn nothing_is_loaded() {
    let ground = Ground::new();
    let mut runner = ground.runner(PLENTY);
    let attempts = [
        "SELECT load_extension('x')",
        "SELECT LOAD_EXTENSION('./x.so', 'entry')",
        "SELECT load_extension(name) FROM t",
        "SELECT * FROM t WHERE load_extension('x')",
        "WITH x AS (SELECT load_extension('x')) SELECT * FROM x",
        "SELECT fts3_tokenizer('simple')",
        "SELECT fts3_tokenizer('simple', x'0000000000000000')",
        "SELECT hex(fts3_tokenizer('simple'))",
    ];
    for attempt in attempts {
        let error = runner.run(attempt).unwrap_err();
        assert!(matches!(error, SqlError::NotReadOnly(_)), "{attempt}: {error:?}");
    }
    // The control: what is refused here gives an address of the program there.
    let free = Connection::open(&ground.path).unwrap();
    free.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, true).unwrap();
    let address: Vec<u8> =
        free.query_row("SELECT fts3_tokenizer('simple')", [], |row| row.get(0)).unwrap();
    assert_eq!(address.len(), 8);
}

/// Queries that never end, or not within a lifetime.
const ENDLESS: &[&str] = &[
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT 1 FROM c) SELECT max(x) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 1 FROM c WHERE x < 0",
    "WITH c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT sum(x) FROM c",
    "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a LIMIT 100000)
     SELECT count(*) FROM a AS p, a AS q, a AS r",
    "SELECT count(*) FROM t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t",
    "SELECT (SELECT count(*) FROM t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t)",
    "SELECT sum(a.id * b.id) OVER () FROM t a, t b, t c, t d, t e, t g, t h, t i, t j, t k, t l,
       t m, t n, t o, t p",
];

#[test]
fn queries_without_an_end_are_ended() {
    let ground = Ground::new();
    let mut runner = ground.runner(LITTLE);
    for sql in ENDLESS {
        let error = runner.run(sql).unwrap_err();
        assert!(matches!(error, SqlError::Time(_)), "{sql}: {error:?}");
        // The control: it is still at work after millions of instructions.
        let mut free = Connection::open(&ground.path).unwrap();
        let mut n_looks = 0;
        let stop = move || {
            n_looks += 1;
            n_looks > 3000
        };
        free.progress_handler(1000, Some(stop)).unwrap();
        let error = free.query_row(sql, [], |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{sql}: {error}");
    }
    assert_eq!(runner.run("SELECT 1").unwrap().rows, [[Cell::Integer(1)]]);
}

#[test]
fn values_memory_and_results_are_bounded() {
    let ground = Ground::new();
    let mut runner = ground.runner(PLENTY);
    let too_large = [
        "SELECT zeroblob(2000000)",
        "SELECT randomblob(2000000)",
        "SELECT hex(zeroblob(600000))",
        "SELECT printf('%2000000d', 1)",
        "SELECT replace(hex(zeroblob(1000)), '0', hex(zeroblob(1000)))",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 200000)
         SELECT group_concat('0123456789') FROM c",
        "WITH RECURSIVE c(x) AS (SELECT 'ab' UNION ALL SELECT x || x FROM c LIMIT 25)
         SELECT length(max(x)) FROM c",
    ];
    let free = Connection::open(&ground.path).unwrap();
    for sql in too_large {
        let error = runner.run(sql).unwrap_err();
        assert!(matches!(error, SqlError::Value(_)), "{sql}: {error:?}");
        free.query_row(sql, [], |_| Ok(())).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    // Linear where SQLite's own functions take the product of two lengths.
    let heavy = [
        "SELECT instr(hex(zeroblob(500000)), hex(zeroblob(200000)) || '1')",
        "SELECT length(replace(hex(zeroblob(500000)), hex(zeroblob(200000)) || '1', 'x'))",
        "SELECT length(trim(hex(zeroblob(500000)), hex(zeroblob(200000)) || '1'))",
        "SELECT hex(zeroblob(100000)) LIKE '%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%0%1'",
        "SELECT hex(zeroblob(100000)) GLOB '*0*0*0*0*0*0*0*0*0*0*0*0*0*0*0*0*0*1'",
    ];
    for sql in heavy {
        assert_eq!(runner.run(sql).unwrap().rows.len(), 1, "{sql}");
    }
    let long_pattern = format!("SELECT 'a' LIKE '{}'", "%a".repeat(150));
    assert!(runner.run(&long_pattern).is_err());
    let deep = format!("SELECT {}1{}", "(1 + ".repeat(300), ")".repeat(300));
    assert!(runner.run(&deep).is_err());
    let many = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";
    let table = runner.run(many).unwrap();
    assert_eq!((table.rows.len(), table.is_truncated), (1000, true));
    let limits = SqlLimits { bytes_max: 10_000, ..SqlLimits::default() };
    let table = SqlRunner::open(&ground.path, limits).unwrap().run(many).unwrap();
    assert!(table.rows.len() < 1000 && table.is_truncated);
}

#[test]
fn a_hostile_schema_does_not_help() {
    let ground = Ground::new();
    let free = Connection::open(&ground.path).unwrap();
    free.execute_batch(
        "CREATE VIEW loads AS SELECT load_extension('x');
         CREATE VIEW tokenizes AS SELECT fts3_tokenizer('simple');
         CREATE VIEW endless AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT 1 FROM c)
           SELECT count(*) FROM c;",
    )
    .unwrap();
    drop(free);
    let mut runner = ground.runner(LITTLE);
    assert!(matches!(runner.run("SELECT * FROM loads"), Err(SqlError::NotReadOnly(_))));
    assert!(matches!(runner.run("SELECT * FROM tokenizes"), Err(SqlError::NotReadOnly(_))));
    assert!(matches!(runner.run("SELECT * FROM endless"), Err(SqlError::Time(_))));
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let open = |path: &Path| SqlRunner::open(path, SqlLimits::default()).map(|_| ());
    assert!(matches!(open(&path), Err(SqlError::Open { .. })));
    assert!(!path.exists());
    std::fs::write(&path, "not a database, but long enough to look like one".repeat(100)).unwrap();
    assert!(matches!(open(&path), Err(SqlError::Open { .. })));
    assert!(matches!(open(folder.path()), Err(SqlError::Open { .. })));
    let uri = PathBuf::from(format!("file:{}?mode=rwc", path.display()));
    assert!(matches!(open(&uri), Err(SqlError::Open { .. })));
}

/// Honest queries: every one must run.
fn honest() -> Vec<String> {
    let mut queries: Vec<String> = HONEST.iter().map(|sql| (*sql).to_owned()).collect();
    let columns = ["id", "name", "n", "data"];
    let shapes = [
        "SELECT COL FROM t",
        "SELECT DISTINCT COL FROM t ORDER BY 1",
        "SELECT count(COL) FROM t",
        "SELECT typeof(COL), length(COL), hex(COL) FROM t",
        "SELECT min(COL), max(COL) FROM t",
        "SELECT COL, count(*) FROM t GROUP BY COL HAVING count(*) > 0",
        "SELECT row_number() OVER (ORDER BY COL) FROM t",
        "SELECT lag(COL) OVER (ORDER BY id), lead(COL, 2, 'none') OVER (ORDER BY id) FROM t",
        "SELECT a.COL, b.COL FROM t AS a LEFT JOIN t AS b ON a.COL = b.COL",
        "SELECT iif(COL IS NULL, 'none', COL) FROM t WHERE coalesce(COL, '') != 'x'",
        "SELECT quote(COL), upper(COL), instr(COL, 'a'), replace(COL, 'a', 'b') FROM t",
        "SELECT group_concat(COL, ', ') FROM (SELECT COL FROM t ORDER BY COL)",
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE COL = 1",
    ];
    for column in columns {
        queries.extend(shapes.iter().map(|shape| shape.replace("COL", column)));
    }
    queries
}

const HONEST: &[&str] = &[
    "SELECT 1",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT * FROM v",
    "SELECT count(*) FROM sqlite_schema",
    "SELECT sqlite_version()",
    "PRAGMA table_info(t)",
    "PRAGMA table_list",
    "PRAGMA index_list('t')",
    "PRAGMA foreign_key_list(u)",
    "PRAGMA user_version",
    "PRAGMA integrity_check",
    "PRAGMA page_count",
    "PRAGMA encoding",
    "SELECT name FROM pragma_table_info('t')",
    "SELECT * FROM pragma_function_list LIMIT 3",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100)
     SELECT sum(x) FROM c",
    "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (SELECT x + 1 AS y FROM a) SELECT * FROM a, b",
    "SELECT body FROM f WHERE f MATCH 'quick AND fox'",
    "SELECT highlight(f, 0, '[', ']') FROM f WHERE f MATCH 'the' ORDER BY rank",
    "SELECT snippet(f, 0, '', '', '…', 4), bm25(f) FROM f WHERE f MATCH 'la*'",
    "SELECT rowid FROM f('dog OR fox') ORDER BY rowid DESC",
    "SELECT json_extract(data, '$.a[1]') FROM t",
    "SELECT data ->> '$.a' FROM t",
    "SELECT value, key FROM t, json_each(data) WHERE json_valid(data)",
    "SELECT fullkey FROM t, json_tree(t.data)",
    "SELECT json_group_array(name) FROM t",
    "SELECT json_object('a', 1, 'b', json('[2]'))",
    "SELECT json_set('{}', '$.x', 1)",
    "SELECT rank() OVER w, dense_rank() OVER w, ntile(2) OVER w FROM t WINDOW w AS (ORDER BY n)",
    "SELECT sum(n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
    "SELECT first_value(name) OVER (PARTITION BY n IS NULL ORDER BY id) FROM t",
    "SELECT total(n) FILTER (WHERE n > 1) FROM t",
    "SELECT date('2026-11-30', '+1 month')",
    "SELECT strftime('%Y-%m', '2026-11-30'), unixepoch('2026-11-30'), julianday('now') > 0",
    "SELECT datetime(0, 'unixepoch')",
    "SELECT name FROM t UNION SELECT 'x' EXCEPT SELECT 'bob'",
    "SELECT name FROM t INTERSECT SELECT 'ada'",
    "SELECT * FROM t NATURAL JOIN u",
    "SELECT * FROM t LEFT JOIN u ON u.t = t.id",
    "SELECT * FROM t FULL JOIN u USING (id)",
    "SELECT CASE WHEN n > 2 THEN 'much' WHEN n IS NULL THEN 'none' ELSE 'little' END FROM t",
    "SELECT EXISTS (SELECT 1 FROM t), (SELECT name FROM t LIMIT 1 OFFSET 1)",
    "SELECT abs(-1), round(2.567, 1), random() IS NOT NULL",
    "SELECT printf('%05.1f|%s', 3.14159, 'x'), char(65), unicode('a'), substr('abc', 2)",
    "SELECT trim('  a '), ltrim('xxa', 'x'), rtrim('axx', 'x'), lower('A') || 'b'",
    "SELECT name FROM t WHERE name LIKE 'a%' OR name GLOB '*b' OR name BETWEEN 'c' AND 'd'",
    "SELECT name COLLATE NOCASE FROM t ORDER BY name COLLATE NOCASE DESC NULLS LAST LIMIT 2",
    "SELECT cast('12' AS INTEGER) + 1, x'00ff', 0x10, 1e3, 7 / 2, 7 % 2, 5 & 3, 1 << 4",
    "SELECT max(name, 'b') FROM t",
    "SELECT nullif(1, 1), ifnull(NULL, 2), coalesce(NULL, 3)",
    "WITH x(a) AS (VALUES (1), (2)) SELECT * FROM x WHERE a > 1",
    "SELECT rowid, * FROM t NOT INDEXED",
    "SELECT t.name, count(u.id) FROM t LEFT JOIN u ON u.t = t.id GROUP BY t.id ORDER BY 2 DESC",
    "EXPLAIN SELECT * FROM t",
    "SELECT zeroblob(10), length(randomblob(5))",
];

#[test]
fn honest_queries_run_as_they_do_elsewhere() {
    let ground = Ground::new();
    let mut runner = ground.runner(PLENTY);
    let free = Connection::open(&ground.path).unwrap();
    let queries = honest();
    assert!(queries.len() >= 100, "{}", queries.len());
    for sql in queries {
        let table = runner.run(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut statement = free.prepare(&sql).unwrap();
        assert_eq!(table.columns.len(), statement.column_count(), "{sql}");
        let mut rows = statement.query([]).unwrap();
        let mut n_rows = 0;
        while rows.next().unwrap().is_some() {
            n_rows += 1;
        }
        assert_eq!(table.rows.len(), n_rows, "{sql}");
    }
    let table = runner.run(
        "SELECT instr('añb', 'b'), instr(x'0102', x'02'), replace('aa', 'a', 1),
        trim('  x '), rtrim('xyy', 'y'), instr(NULL, 'a'), trim('a', NULL), replace('a', '', 'x')",
    );
    let text = |text: &str| Cell::Text(text.to_owned());
    let expected = [
        Cell::Integer(3),
        Cell::Integer(2),
        text("11"),
        text("x"),
        text("x"),
        Cell::Null,
        Cell::Null,
        text("a"),
    ];
    assert_eq!(table.unwrap().rows, [expected]);
}
