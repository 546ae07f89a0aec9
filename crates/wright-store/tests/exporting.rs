//! Exports hold what was said, and nothing of it acts.

use wright_chat::{
    FinishReason, Message, Part, Request, Response, Role, ToolCall, ToolResult, Usage, from_json,
};
use wright_store::{Filter, Format, NewTurn, Scope, SqliteStore, Store};

fn store(folder: &std::path::Path) -> SqliteStore {
    let mut store = SqliteStore::open(&folder.join("logs.db")).unwrap();
    let call = ToolCall::new("c", "run", "{\"code\": \"```\\n</pre><script>\"}");
    let request = Request::chat(vec![
        Message::system("Be <b>brief</b>."),
        Message::user("Run it."),
        Message::new(Role::Assistant, vec![call.clone().into()]),
        Message::tool_results([ToolResult::ok(&call, "</pre></article>")]),
        Message::user("<img src=x onerror=alert(1)> & \"quotes\" 東京"),
    ]);
    let answer = Message::new(
        Role::Assistant,
        vec![
            Part::reasoning("hm"),
            Part::text(wright_chat::Origin::Model, "# Not a heading of the page\n\nYes."),
        ],
    );
    let usage = Usage { prompt_tokens: 7, completion_tokens: 3, ..Usage::default() };
    let response = Response::new(answer, FinishReason::Stop, usage);
    let mut turn = NewTurn::new("m", "local", &request, &response, 1_700_000_000_000);
    turn.duration_ms = 1500;
    store.log(&turn).unwrap();
    store
}

fn exported(store: &SqliteStore, format: Format) -> String {
    let mut out = Vec::new();
    assert_eq!(store.export(&Filter::default(), format, &mut out).unwrap(), 1);
    String::from_utf8(out).unwrap()
}

#[test]
fn json_lines_hold_whole_messages() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let text = exported(&store, Format::Jsonl);
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["v"], 1);
    assert_eq!(value["started"], "2023-11-14T22:13:20.000+00:00");
    let answer: Message = from_json(value["answer"][0].clone()).unwrap();
    let turn = &store.turns(&Filter::newest(1)).unwrap()[0];
    assert_eq!(answer, turn.answer[0]);
    assert_eq!(value["usage"]["prompt_tokens"], 7);
}

#[test]
fn a_page_escapes_everything_that_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let page = exported(&store(folder.path()), Format::Html);
    for tag in ["<img", "<script", "<b>", "</pre></article></pre>"] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quotes&quot; 東京"));
    assert_eq!(page.matches("<article").count(), 1);
    assert_eq!(page.matches("</article>").count(), 1);
    assert!(page.contains("7 + 3 tokens · 1.5 s"));
}

#[test]
fn markdown_fences_what_could_end_a_fence() {
    let folder = tempfile::tempdir().unwrap();
    let text = exported(&store(folder.path()), Format::Markdown);
    assert!(text.contains("### Prompt\n\n"), "{text}");
    assert!(text.contains("\nResult of run:\n\n```\n</pre></article>\n```\n"), "{text}");
    assert!(text.contains("Reasoning:\n\n```\nhm\n```\n\n# Not a heading"), "{text}");
}

#[test]
fn an_export_for_llm_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let first = store(folder.path());
    let log = folder.path().join("llm.db");
    let report = first.export_llm(&log, Scope::All).unwrap();
    assert_eq!((report.n_conversations, report.n_turns, report.n_messages), (1, 1, 6));
    assert!(first.export_llm(&log, Scope::All).is_err(), "an existing file is kept");
    assert!(first.export_llm(&folder.path().join("x"), Scope::Conversation("none")).is_err());
    assert!(!folder.path().join("x").exists());
    let mut second = SqliteStore::open(&folder.path().join("second.db")).unwrap();
    let report = second.import_llm(&log, &mut |_, _| {}).unwrap();
    assert_eq!((report.n_turns, report.n_changed, report.n_skipped), (1, 0, 0));
    let turns = |store: &SqliteStore| store.turns(&Filter::default()).unwrap();
    let (before, after) = (turns(&first), turns(&second));
    assert_eq!(after[0].id, before[0].id);
    assert_eq!(after[0].answer, before[0].answer);
    assert_eq!(after[0].input, before[0].input);
    let again = second.import_llm(&log, &mut |_, _| {}).unwrap();
    assert_eq!((again.n_turns, again.n_present), (0, 1));
}
