//! Deleted text is gone from every byte of every file, and where it is not, the report says so.

use std::path::Path;
use std::time::Duration;
use wright_chat::{
    FinishReason, Media, Message, Origin, Part, Request, Response, Role, ToolCall, ToolResult,
    Usage,
};
use wright_store::{
    Doomed, Error, Filter, FragmentKind, FragmentUse, NewTurn, Place, SqliteStore, Store,
};

const NOW_MS: i64 = 1_700_000_000_000;
const NO_WAIT: Duration = Duration::ZERO;

fn store(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("logs.db")).unwrap()
}

fn log(
    store: &mut SqliteStore,
    place: Place<'_>,
    texts: &[&str],
    time_ms: i64,
) -> (String, String) {
    let (answer, before) = texts.split_last().unwrap();
    let roles: [fn(&str) -> Message; 2] =
        [|text| Message::user(text), |text| Message::assistant(text)];
    let messages = before.iter().zip(roles.iter().cycle()).map(|(text, make)| make(text));
    let request = Request::chat(messages.collect());
    let response = Response::new(Message::assistant(*answer), FinishReason::Stop, Usage::default());
    let mut turn = NewTurn::new("m", "local", &request, &response, time_ms);
    turn.place = place;
    let logged = store.log(&turn).unwrap();
    (logged.turn, logged.conversation)
}

/// Which of `needles` stand in any file of the folder, in any case.
fn found(folder: &Path, needles: &[&str]) -> Vec<String> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
        bytes.push(b'\n');
    }
    bytes.make_ascii_lowercase();
    let holds = |needle: &&&str| {
        let needle = needle.to_lowercase();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    needles.iter().filter(holds).map(|needle| (*needle).to_owned()).collect()
}

#[test]
fn nothing_of_a_deleted_conversation_is_left_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    log(&mut store, Place::New, &["something else", "that stays"], NOW_MS);
    let novel = "Fragmentword appears in a long borrowed text. ".repeat(30);
    let call = ToolCall::new("callid-quixotry", "toolname", r#"{"argument":"Argumentword"}"#);
    let image = Media::data("image/png", b"Attachmentbytes are here".to_vec(), Origin::User);
    let mut result = ToolResult::error(&call, "Resultword");
    result.data = Some(serde_json::json!({"secret": "Dataneedle"}));
    let request = Request::chat(vec![
        Message::system("Systemword, be brief."),
        Message::new(
            Role::User,
            vec![
                Part::text(Origin::File("Originword.txt".into()), format!("{novel}Promptword")),
                image.into(),
            ],
        ),
        Message::new(Role::Assistant, vec![call.into()]),
        Message::tool_results([result]),
    ]);
    let parts = vec![
        Part::reasoning("Reasoningword"),
        Part::text(Origin::Model, "Answerword Überflüssigkeit 東京都庁舎"),
    ];
    let answer = Message::new(Role::Assistant, parts);
    let response = Response::new(answer, FinishReason::Stop, Usage::default());
    let mut turn = NewTurn::new("m", "local", &request, &response, NOW_MS);
    let used = [FragmentUse {
        kind: FragmentKind::Prompt,
        content: &novel,
        source: Some("Sourceword.txt"),
    }];
    turn.fragments = &used;
    let raw = serde_json::json!({"id": "Rawresponseword"});
    turn.raw_response = Some(&raw);
    let logged = store.log(&turn).unwrap();
    let needles = [
        "Fragmentword",
        "quixotry",
        "Argumentword",
        "Attachmentbytes",
        "Resultword",
        "Dataneedle",
        "Systemword",
        "Originword",
        "Promptword",
        "flüssig",
        "東京都庁舎",
        "Reasoningword",
        "Answerword",
        "Sourceword",
        "Rawresponseword",
        "answerw",
        "promptw",
    ];
    assert_eq!(found(folder.path(), &needles).len(), needles.len(), "control: all are there first");
    let report = store.delete(Doomed::Conversation(&logged.conversation), NO_WAIT).unwrap();
    assert_eq!(found(folder.path(), &needles), [""; 0]);
    assert_eq!((report.n_turns, report.n_conversations, report.n_messages), (1, 1, 5));
    assert_eq!((report.n_attachments, report.n_fragments), (1, 1));
    assert_eq!(report.kept, [""; 0]);
    assert_eq!(report.wal_bytes_left, 0);
    assert_eq!(store.turns(&Filter::default()).unwrap().len(), 1);
    assert_eq!(store.turn_ids(&Filter::words("answerword")).unwrap().len(), 0);
    assert_eq!(store.stats().unwrap()[0].n_turns, 1);
    let gone = store.delete(Doomed::Conversation(&logged.conversation), NO_WAIT).unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }));
}

#[test]
fn nothing_is_left_among_thousands_of_turns() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let word = |at: usize| format!("w{:x}", (at as u64 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut ids = Vec::new();
    for at in 0..2000 {
        let filler = "plain words ".repeat(1 + at % 97);
        let prompt = format!("{filler} {} {}", word(at), word(at + 10_000));
        let answer = format!("{} {filler}", word(at + 20_000));
        ids.push(log(&mut store, Place::New, &[&prompt, &answer], NOW_MS + at as i64).0);
    }
    let doomed: Vec<usize> = (0..2000).step_by(160).collect();
    let words = |at: &usize| [word(*at), word(at + 10_000), word(at + 20_000)];
    let needles: Vec<String> = doomed.iter().flat_map(words).collect();
    let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
    assert_eq!(found(folder.path(), &needles).len(), needles.len());
    for at in &doomed {
        store.delete(Doomed::Turn(&ids[*at]), NO_WAIT).unwrap();
    }
    assert_eq!(found(folder.path(), &needles), [""; 0]);
    // Not even their beginnings are, as signposts in the index.
    let beginnings: Vec<&str> = needles.iter().map(|needle| &needle[..9]).collect();
    assert_eq!(found(folder.path(), &beginnings), [""; 0]);
    assert_eq!(store.turn_ids(&Filter::words("plain")).unwrap().len(), 2000 - doomed.len());
    let db = rusqlite::Connection::open(store.path()).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn text_that_others_hold_is_kept_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let shared = "a beginning that is shared by two conversations";
    let (_, first) = log(&mut store, Place::New, &[shared, "first Onlyhere"], NOW_MS);
    let (_, second) = log(&mut store, Place::New, &[shared, "second"], NOW_MS);
    let quote = "somebody said: Quotedword and much more than that";
    let (_, third) = log(&mut store, Place::New, &[quote, "x"], NOW_MS);
    let (_, fourth) = log(&mut store, Place::New, &[quote, "something else altogether"], NOW_MS);
    let answered = ["hello", "somebody said: Quotedword and much more than that"];
    let (_, fifth) = log(&mut store, Place::New, &answered, NOW_MS);
    log(&mut store, Place::New, &["somebody said: Quotedw", "but not all of it"], NOW_MS);
    let report = store.delete(Doomed::Conversation(&first), NO_WAIT).unwrap();
    assert_eq!(report.kept, [second.as_str()]);
    assert_eq!(found(folder.path(), &["onlyhere", "shared by two"]), ["shared by two"]);
    let report = store.delete(Doomed::Conversation(&third), NO_WAIT).unwrap();
    assert_eq!(report.kept, [fourth.as_str()]);
    let report = store.delete(Doomed::Conversation(&fourth), NO_WAIT).unwrap();
    assert_eq!(report.kept, [fifth.as_str()]);
    // The same words in a message of its own.
    let (_, sixth) = log(&mut store, Place::New, &["hi", quote], NOW_MS);
    let report = store.delete(Doomed::Conversation(&sixth), NO_WAIT).unwrap();
    assert_eq!(report.kept, [fifth.as_str()]);
    store.delete(Doomed::Conversation(&fifth), NO_WAIT).unwrap();
    assert_eq!(found(folder.path(), &["Quotedword"]), [""; 0]);
    let (_, short) = log(&mut store, Place::New, &["ok?", "yes"], NOW_MS);
    let (_, same) = log(&mut store, Place::New, &["fine?", "yes"], NOW_MS);
    let report = store.delete(Doomed::Conversation(&short), NO_WAIT).unwrap();
    assert_eq!(report.kept, [same.as_str()]);
}

#[test]
fn a_turn_in_the_middle_goes_and_the_conversation_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let (first, id) = log(&mut store, Place::New, &["one", "two"], NOW_MS);
    let (last, _) = log(&mut store, Place::In(&id), &["one", "two", "three", "Fourth"], NOW_MS);
    let report = store.delete(Doomed::Turn(&first), NO_WAIT).unwrap();
    assert_eq!((report.n_turns, report.n_messages), (1, 0));
    assert_eq!(report.kept, [id.as_str()]);
    assert_eq!(store.continuation(&id).unwrap().messages.len(), 4);
    log(&mut store, Place::In(&id), &["one", "two", "three", "Fourth", "five", "six"], NOW_MS + 9);
    let report = store.delete(Doomed::Before(NOW_MS + 9), NO_WAIT).unwrap();
    assert_eq!((report.n_turns, report.n_messages), (1, 0));
    assert!(matches!(store.delete(Doomed::Turn(&last), NO_WAIT), Err(Error::NotFound { .. })));
    let report = store.delete(Doomed::Before(i64::MAX), NO_WAIT).unwrap();
    assert_eq!((report.n_turns, report.n_conversations, report.n_messages), (1, 1, 6));
    assert_eq!(found(folder.path(), &["fourth"]), [""; 0]);
}

#[test]
fn a_reader_that_pins_the_wal_is_reported_and_the_deletion_finished_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    log(&mut store, Place::New, &["hello", "stays here"], NOW_MS);
    let (_, id) = log(&mut store, Place::New, &["hello Pinnedword", "x"], NOW_MS);
    let reader = rusqlite::Connection::open(store.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM turns").unwrap();
    let report = store.delete(Doomed::Conversation(&id), Duration::from_millis(60)).unwrap();
    assert!(report.wal_bytes_left > 0);
    assert_eq!(found(folder.path(), &["pinnedword"]).len(), 1);
    reader.execute_batch("COMMIT").unwrap();
    let report = store.finish_deletion(NO_WAIT).unwrap().unwrap();
    assert_eq!(report.wal_bytes_left, 0);
    assert_eq!(found(folder.path(), &["pinnedword"]), [""; 0]);
    assert_eq!(store.finish_deletion(NO_WAIT).unwrap(), None);
}

#[test]
fn fragments_stay_while_they_are_used_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let hash = store.add_fragment("a text worth keeping", Some("notes.txt")).unwrap();
    store.set_fragment_alias("notes", &hash).unwrap();
    let request = Request::chat(vec![Message::user("a text worth keeping\nwhy?")]);
    let response = Response::new(Message::assistant("x"), FinishReason::Stop, Usage::default());
    let used =
        [FragmentUse { kind: FragmentKind::Prompt, content: "a text worth keeping", source: None }];
    let mut turn = NewTurn::new("m", "local", &request, &response, NOW_MS);
    turn.fragments = &used;
    let logged = store.log(&turn).unwrap();
    let report = store.delete(Doomed::Fragment(&hash), NO_WAIT).unwrap();
    assert_eq!((report.n_fragments, report.kept_fragments), (0, vec![hash.clone()]));
    let report = store.delete(Doomed::Turn(&logged.turn), NO_WAIT).unwrap();
    assert_eq!((report.n_fragments, report.kept_fragments), (0, vec![hash.clone()]));
    let report = store.delete(Doomed::Fragment(&hash), NO_WAIT).unwrap();
    assert_eq!(report.n_fragments, 1);
    assert_eq!(found(folder.path(), &["worth keeping", "notes.txt"]), [""; 0]);
}
