//! `wright logs` and `wright sql`, run as a person runs them, over a log made here.

use std::path::PathBuf;
use std::process::{Command, Output};
use wright_chat::{FinishReason, Message, Request, Response, Usage};
use wright_store::{NewTurn, SqliteStore, Store};

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// A log of two conversations.
    fn new() -> (Self, Vec<String>) {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        let mut store = SqliteStore::open(&home.path("logs.db")).unwrap();
        let ids = [("What is the capital of France?", "Paris."), ("And of Italy?", "Rome.")].map(
            |(question, answer)| {
                let request = Request::chat(vec![Message::user(question)]);
                let answer = Message::assistant(answer);
                let response = Response::new(answer, FinishReason::Stop, Usage::default());
                let time_ms = 1_700_000_000_000;
                store.log(&NewTurn::new("m", "local", &request, &response, time_ms)).unwrap().turn
            },
        );
        (home, ids.to_vec())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_wright"))
            .args(words)
            .env("WRIGHT_HOME", self.folder.path())
            .output()
            .unwrap()
    }

    /// What a command prints that must succeed.
    fn prints(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and the message of a command that must fail.
    fn fails(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("error: ") && text.contains("hint: "), "{words:?}: {text}");
        (output.status.code().unwrap(), text)
    }
}

#[test]
fn turns_are_listed_searched_and_exported() {
    let (home, ids) = Home::new();
    let listed = home.prints(&["logs"]);
    let places = ["capital of France", "Paris.", "And of Italy?", "Rome."]
        .map(|text| listed.find(text).unwrap_or_else(|| panic!("{text}: {listed}")));
    assert!(places.is_sorted(), "oldest first: {listed}");
    assert!(!home.prints(&["logs", "-n", "1"]).contains("Paris"));
    assert!(home.prints(&["logs", "-q", "capital"]).contains("Paris"));
    assert_eq!(home.prints(&["logs", "-q", "berlin"]), "");
    assert_eq!(home.prints(&["logs", "-r"]), "Rome.\n");
    let json = home.prints(&["logs", "--json", "-n", "0"]);
    let turns: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(turns[0]["id"], ids[0].as_str());
    assert_eq!(turns[1]["answer"][0]["parts"][0]["text"], "Rome.");
    let lines = home.prints(&["logs", "export"]);
    assert_eq!(lines.lines().count(), 2);
    let page = home.path("page.html").display().to_string();
    home.prints(&["logs", "export", "--format", "html", "-o", &page]);
    assert!(std::fs::read_to_string(&page).unwrap().contains("<pre>Paris.</pre>"));
    let log = home.path("llm.db").display().to_string();
    home.prints(&["logs", "export", "--format", "llm", "-o", &log]);
    let imported = home.prints(&["logs", "import", &log]);
    assert!(imported.starts_with("0 turns imported, 2 were here before"), "{imported}");
    assert!(home.prints(&["logs", "stats"]).contains("2023-11-14"));
    let (code, text) = home.fails(&["logs", "-q", "(capital"]);
    assert_eq!(code, 2, "{text}");
}

#[test]
fn logging_is_turned_off_and_on_and_turns_are_deleted() {
    let (home, ids) = Home::new();
    let path = home.prints(&["logs", "path"]);
    assert_eq!(path.trim_end(), home.path("logs.db").display().to_string());
    assert!(home.prints(&["logs", "status"]).starts_with("logging is on"));
    home.prints(&["logs", "off"]);
    assert!(home.prints(&["logs", "status"]).starts_with("logging is off"));
    home.prints(&["logs", "on"]);
    assert!(home.prints(&["logs", "status"]).contains("2 turns"));
    let bytes = || std::fs::read(home.path("logs.db")).unwrap();
    let holds = |bytes: &[u8]| bytes.windows(7).any(|window| window == b"capital");
    assert!(holds(&bytes()), "control: it is there first");
    home.prints(&["logs", "rm", &ids[0]]);
    assert!(!holds(&bytes()));
    assert!(!home.prints(&["logs"]).contains("Paris"));
    let (code, text) = home.fails(&["logs", "rm", &ids[0]]);
    assert_eq!(code, 4, "{text}");
    home.prints(&["logs", "rm", "--older-than", "1"]);
    assert_eq!(home.prints(&["logs"]), "");
    let (code, _) = home.fails(&["logs", "rm"]);
    assert_eq!(code, 2);
}

#[test]
fn sql_asks_and_changes_nothing() {
    let (home, _) = Home::new();
    let before = std::fs::read(home.path("logs.db")).unwrap();
    let sql = "SELECT role, count(*) AS n FROM messages GROUP BY role ORDER BY role";
    let table = home.prints(&["sql", sql]);
    assert!(table.contains("assistant") && table.contains('2'), "{table}");
    assert_eq!(home.prints(&["sql", sql, "--csv"]), "role,n\r\nassistant,2\r\nuser,2\r\n");
    let json = home.prints(&["sql", sql, "--json"]);
    assert_eq!(json.lines().next(), Some(r#"{"role":"assistant","n":2}"#));
    assert!(home.prints(&["sql", sql, "--chart", "bar"]).contains("user"));
    let svg = home.path("cloud.svg").display().to_string();
    let beside = home.prints(&["sql", sql, "--chart", "cloud", "-o", &svg]);
    assert!(beside.contains("assistant"), "{beside}");
    let svg = std::fs::read_to_string(&svg).unwrap();
    assert!(svg.contains("<title>") && svg.contains("<desc>"), "{svg}");
    let (code, text) = home.fails(&["sql", "DELETE FROM turns"]);
    assert_eq!(code, 2, "{text}");
    let (code, text) = home.fails(&["sql", "SELECT 1", "missing.db"]);
    assert_eq!(code, 4, "{text}");
    assert!(std::fs::read(home.path("logs.db")).unwrap() == before);
}

#[test]
fn nothing_logged_is_said_and_nothing_is_created() {
    let home = Home { folder: tempfile::tempdir().unwrap() };
    assert_eq!(home.prints(&["logs"]), "");
    assert_eq!(home.prints(&["logs", "--json"]), "[]\n");
    assert!(home.prints(&["logs", "status"]).contains("nothing has been logged"));
    let (code, _) = home.fails(&["logs", "rm", "x"]);
    assert_eq!(code, 4);
    assert!(!home.path("logs.db").exists());
}
