//! Many processes write at once, and any of them may be killed.
//!
//! The tests start this program again, with a task for it in the environment.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use wright_chat::{FinishReason, Message, Request, Response, Usage};
use wright_store::{Filter, NewTurn, SqliteStore, Store};

const N_PROCESSES: usize = 32;
const N_TURNS: usize = 1000;

/// Path of the store that a child is to write to, and its number.
const TASK: &str = "WRIGHT_STORE_TEST_TASK";

fn text(process: usize, turn: usize) -> String {
    format!("process{process} turn{turn}")
}

/// Logs turns and says the number of each once it is logged.
fn write_turns(path: &Path, process: usize, n_turns: usize) {
    let mut store = SqliteStore::open(path).unwrap();
    for turn in 0..n_turns {
        let request = Request::chat(vec![Message::user(text(process, turn))]);
        let answer = Message::assistant("yes ".repeat(turn % 50));
        let response = Response::new(answer, FinishReason::Stop, Usage::default());
        store.log(&NewTurn::new("m", "local", &request, &response, turn as i64)).unwrap();
        println!("{turn}");
    }
}

fn start(path: &Path, process: usize, n_turns: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "a_child_writes_its_turns"])
        .env(TASK, format!("{process} {n_turns} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_child_writes_its_turns() {
    let Ok(task) = std::env::var(TASK) else { return };
    let mut words = task.splitn(3, ' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let (process, n_turns) = (number(), number());
    write_turns(&PathBuf::from(words.next().unwrap()), process, n_turns);
}

#[test]
fn thirty_two_processes_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The file is not there yet: they create it together as well.
    let path = folder.path().join("new").join("logs.db");
    let each = N_TURNS.div_ceil(N_PROCESSES);
    let children: Vec<Child> = (0..N_PROCESSES).map(|at| start(&path, at, each)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let store = SqliteStore::open(&path).unwrap();
    let ids = store.turn_ids(&Filter::default()).unwrap();
    assert_eq!(ids.len(), each * N_PROCESSES);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "ids are in order");
    for process in 0..N_PROCESSES {
        for turn in [0, each - 1] {
            let words = format!("\"{}\"", text(process, turn));
            assert_eq!(store.turn_ids(&Filter::words(words)).unwrap().len(), 1);
        }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }
}

#[test]
fn a_killed_process_leaves_every_turn_that_it_had_logged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs.db");
    let mut n_seen = 0;
    for process in 0..12 {
        let mut child = start(&path, process, 100_000);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let logged = lines
            .map(Result::unwrap)
            .filter_map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<usize>().ok()))
            .take(3 + process * 7)
            .last()
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        n_seen += logged + 1;
        let store = SqliteStore::open(&path).unwrap();
        for turn in 0..=logged {
            let words = format!("\"{}\"", text(process, turn));
            assert_eq!(store.turn_ids(&Filter::words(words)).unwrap().len(), 1, "turn {turn}");
        }
        assert!(store.turn_ids(&Filter::default()).unwrap().len() >= n_seen);
    }
    let db = rusqlite::Connection::open(&path).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
