//! Turns go in and come out again: whole, once, and by every filter.

use serde_json::json;
use wright_chat::{
    Adapter, Cost, FinishReason, GrammarSyntax, Media, Message, Origin, Part, Prompt, ProviderData,
    Request, Response, ResponseFormat, Role, Text, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
use wright_store::{
    Error, FileStamp, FileUse, Filter, FragmentKind, FragmentUse, NewTurn, Place, Setup,
    SqliteStore, Store,
};

const START_MS: i64 = 1_700_000_000_000;

fn store() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("logs.db")).unwrap();
    (folder, store)
}

fn answer(text: &str) -> Response {
    Response::new(Message::assistant(text), FinishReason::Stop, Usage::default())
}

fn chat(texts: &[&str]) -> Request {
    let roles: [fn(&str) -> Message; 2] =
        [|text| Message::user(text), |text| Message::assistant(text)];
    let messages = texts.iter().zip(roles.iter().cycle()).map(|(text, make)| make(text));
    Request::chat(messages.collect())
}

fn count(store: &SqliteStore, table: &str) -> i64 {
    let db = rusqlite::Connection::open(store.path()).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn a_replay_is_the_request_that_was_logged() {
    let (_folder, mut store) = store();
    let call = ToolCall::new("c1", "clock", r#"{"zone":"UTC"}"#);
    let image = Media::data("image/png", vec![1, 2, 3], Origin::File("dot.png".into()));
    let messages = vec![
        Message::system("Be brief."),
        Message::new(Role::User, vec![Part::text(Origin::File("a.txt".into()), "…"), image.into()]),
        Message::new(Role::Assistant, vec![Part::reasoning("hm"), call.clone().into()]),
        Message::tool_results([ToolResult::error(&call, "no clock")]),
    ];
    let mut full = Request::chat(messages);
    full.options.temperature = Some(0.7);
    full.options.seed = Some(u64::MAX);
    full.options.stop = vec!["\n\n".into()];
    full.options.logit_bias = [(7, -1.5)].into();
    full.options.extra = [("verbosity".to_owned(), json!("low"))].into();
    let parameters = json!({"type": "object", "properties": {"zone": {"type": "string"}}});
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: "The time.".to_owned(),
        parameters: parameters.clone(),
    };
    full.tools = vec![tool("clock"), tool("alarm")];
    full.tool_choice = ToolChoice::Named("clock".into());
    full.parallel_tool_calls = Some(false);
    full.format =
        Some(ResponseFormat::JsonSchema(json!({"type": "object", "required": ["b", "a"]})));
    full.adapters = vec![Adapter { name: "style".into(), scale: 0.5 }];
    full.logprobs = Some(3);
    let text = |text: &str| Text::new(Origin::stdin(), text);
    let raw = Request::new(Prompt::Raw(text("Once upon")));
    let mut fill = Request::new(Prompt::Fill { prefix: text("fn a("), suffix: text("}") });
    let source = "root ::= \"a\"".to_owned();
    fill.format = Some(ResponseFormat::Grammar { syntax: GrammarSyntax::Gbnf, source });
    for request in [full, raw, fill, chat(&["Hello"])] {
        let mut response = answer("An answer.");
        response.provider = Some(ProviderData { dialect: "x".into(), data: json!({"id": 1}) });
        let turn = NewTurn::new("model", "local", &request, &response, START_MS);
        let logged = store.log(&turn).unwrap();
        let replay = store.replay(&logged.turn).unwrap();
        assert_eq!(replay.request, request);
        assert_eq!(replay.answer, [response.message]);
        assert_eq!(replay.finish.as_deref(), Some("stop"));
    }
    assert!(matches!(store.replay("nothing"), Err(Error::NotFound { what: "turn", .. })));
}

#[test]
fn a_replay_says_which_input_has_changed() {
    let (_folder, mut store) = store();
    let stamp =
        |path: &str| FileStamp { path: path.into(), size: 10, modified_ns: 5, inode: u64::MAX };
    let (model, adapter) = (stamp("/m.gguf"), stamp("/a.gguf"));
    let setup = Setup {
        version: "0.1.0".into(),
        instruction_set: "avx2".into(),
        chat_template: Some("{{ messages }}".into()),
        inputs: [("context".to_owned(), json!(4096))].into(),
    };
    let (request, response) = (chat(&["Hello"]), answer("Hi"));
    let mut turn = NewTurn::new("model", "local", &request, &response, START_MS);
    turn.setup = Some(&setup);
    let files = [
        FileUse { role: "model", stamp: &model, sha256: None, detail: None },
        FileUse { role: "adapter", stamp: &adapter, sha256: Some("aa"), detail: Some("0.5") },
    ];
    turn.files = &files;
    let logged = store.log(&turn).unwrap();
    assert_eq!(store.file_hash(&model).unwrap(), None);
    // The hash comes after the answer, and counts for it.
    store.set_file_hash(&model, "bb").unwrap();
    assert_eq!(store.file_hash(&model).unwrap().as_deref(), Some("bb"));
    let replay = store.replay(&logged.turn).unwrap();
    assert_eq!(replay.files[0].sha256.as_deref(), Some("bb"));
    assert_eq!(replay.files[1].sha256.as_deref(), Some("aa"));
    assert_eq!(replay.changes(&setup, &replay.files), []);
    let mut now = setup.clone();
    now.instruction_set = "neon".into();
    now.chat_template = None;
    now.inputs.insert("context".into(), json!(8192));
    let mut files = replay.files.clone();
    files[0].sha256 = Some("cc".into());
    let changes = replay.changes(&now, &files);
    let inputs: Vec<&str> = changes.iter().map(|change| change.input.as_str()).collect();
    assert_eq!(inputs, ["instruction set", "chat template", "context", "model file"]);
    assert_eq!(changes[3].to_string(), "model file: was SHA-256 bb, is SHA-256 cc");
    assert_eq!(replay.changes(&setup, &files[..1]).len(), 3);
}

#[test]
fn conversations_that_begin_alike_share_messages() {
    let (_folder, mut store) = store();
    let first = chat(&["one"]);
    let logged = store.log(&NewTurn::new("m", "local", &first, &answer("two"), START_MS)).unwrap();
    let second = chat(&["one", "two", "three"]);
    let response = answer("four");
    let mut turn = NewTurn::new("m", "local", &second, &response, START_MS);
    turn.place = Place::In(&logged.conversation);
    let continued = store.log(&turn).unwrap();
    assert_eq!(continued.conversation, logged.conversation);
    assert_eq!(count(&store, "messages"), 4);
    let other = chat(&["one", "two", "tree"]);
    let mut fork = NewTurn::new("m", "local", &other, &response, START_MS);
    fork.place = Place::ForkOf(&logged.conversation);
    let forked = store.log(&fork).unwrap();
    assert_eq!(count(&store, "messages"), 6);
    assert_ne!(forked.conversation, logged.conversation);
    let conversations = store.conversations(10).unwrap();
    assert_eq!(conversations[0].id, forked.conversation);
    assert_eq!(conversations[0].forked_from.as_ref(), Some(&logged.conversation));
    assert_eq!(conversations[1].n_turns, 2);
    assert_eq!(conversations[1].name.as_deref(), Some("one"));
    let continuation = store.continuation(&logged.conversation).unwrap();
    let texts: Vec<String> = continuation.messages.iter().map(Message::plain_text).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
    assert_eq!(store.latest_conversation().unwrap().unwrap(), forked.conversation);
    let nowhere = NewTurn { place: Place::In("nowhere"), ..fork };
    assert!(matches!(store.log(&nowhere), Err(Error::NotFound { .. })));
    assert_eq!(count(&store, "turns"), 3);
}

#[test]
fn texts_of_other_origin_are_other_messages_with_the_same_hash() {
    let (_folder, mut store) = store();
    for origin in [Origin::User, Origin::File("a".into()), Origin::File("b".into())] {
        let message = Message::text(Role::User, origin, "Hello");
        let request = Request::chat(vec![message]);
        let response = answer("Hi");
        let logged = store.log(&NewTurn::new("m", "l", &request, &response, START_MS)).unwrap();
        assert_eq!(store.replay(&logged.turn).unwrap().request, request);
    }
    assert_eq!(count(&store, "messages"), 6);
    assert_eq!(count(&store, "(SELECT DISTINCT hash FROM messages)"), 2);
}

#[test]
fn fragments_are_stored_once_and_found() {
    let (_folder, mut store) = store();
    let novel = "It was a dark and stormy night. ".repeat(100);
    for question in ["Who?", "Where?"] {
        let text = format!("{novel}\n{question}");
        let request = Request::chat(vec![Message::user(&text)]);
        let response = answer("Nobody knows.");
        let mut turn = NewTurn::new("m", "l", &request, &response, START_MS);
        let used = [FragmentUse {
            kind: FragmentKind::Prompt,
            content: &novel,
            source: Some("novel.txt"),
        }];
        turn.fragments = &used;
        let logged = store.log(&turn).unwrap();
        assert_eq!(store.replay(&logged.turn).unwrap().request, request);
    }
    assert_eq!(count(&store, "fragments"), 1);
    assert!(std::fs::read(store.path()).unwrap().len() < 300_000);
    let hash = store.fragments(Some("NOVEL")).unwrap()[0].hash.clone();
    store.set_fragment_alias("night", &hash).unwrap();
    for name in ["night", &hash] {
        let filter = Filter { fragments: vec![name.to_owned()], ..Filter::default() };
        assert_eq!(store.turn_ids(&filter).unwrap().len(), 2);
        assert_eq!(store.fragment(name).unwrap().unwrap().aliases, ["night"]);
    }
    // What was typed is found, what was borrowed is not.
    assert_eq!(store.turn_ids(&Filter::words("stormy")).unwrap().len(), 0);
    assert_eq!(store.turn_ids(&Filter::words("where")).unwrap().len(), 1);
    let turn = &store.turns(&Filter::newest(1)).unwrap()[0];
    assert_eq!(turn.fragments[0].aliases, ["night"]);
    store.remove_fragment_alias("night").unwrap();
    assert!(store.fragment("night").unwrap().is_none());
}

// tidy: long: most of it is the table of filters and what they find
#[test]
fn every_filter_finds_its_turns_newest_first() {
    let (_folder, mut store) = store();
    let call = ToolCall::new("c", "clock", "{}");
    let plain = chat(&["alpha beta"]);
    let mut with_schema = chat(&["gamma"]);
    with_schema.format = Some(ResponseFormat::JsonSchema(json!({"type": "object"})));
    let with_tool = Request::chat(vec![
        Message::user("what time"),
        Message::new(Role::Assistant, vec![call.clone().into()]),
        Message::tool_results([ToolResult::ok(&call, "noon")]),
    ]);
    let mut later = with_tool.clone();
    if let Prompt::Chat(messages) = &mut later.prompt {
        messages.push(Message::user("and now"));
    }
    let requests = [plain, with_schema, with_tool, later, chat(&["東京都に行きたい"])];
    let mut ids = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let mut response = answer(&format!("delta {at}"));
        response.resolved_model = Some(format!("m{}-2026", at % 2));
        let model = format!("m{}", at % 2);
        let turn = NewTurn::new(&model, "local", request, &response, START_MS + at as i64 * 10);
        ids.push(store.log(&turn).unwrap().turn);
    }
    let schema = store.schemas(None).unwrap()[0].id.clone();
    store.name_schema("thing", &schema).unwrap();
    let all = Filter::default();
    let best = |words: &str| Filter { by_relevance: true, limit: Some(1), ..Filter::words(words) };
    let find = |filter: Filter| {
        let found = store.turn_ids(&filter).unwrap();
        found.iter().map(|id| ids.iter().position(|known| known == id).unwrap()).collect::<Vec<_>>()
    };
    let cases = [
        (all.clone(), vec![4, 3, 2, 1, 0]),
        (Filter::newest(2), vec![4, 3]),
        (Filter { model: Some("m1".into()), ..all.clone() }, vec![3, 1]),
        (Filter { model: Some("m0-2026".into()), limit: Some(2), ..all.clone() }, vec![4, 2]),
        (Filter { model: Some("m".into()), ..all.clone() }, vec![]),
        (Filter { any_tool: true, ..all.clone() }, vec![3, 2]),
        (Filter { tools: vec!["clock".into()], ..all.clone() }, vec![3, 2]),
        (Filter { tools: vec!["alarm".into()], ..all.clone() }, vec![]),
        (Filter { schema: Some(schema.clone()), ..all.clone() }, vec![1]),
        (Filter { schema: Some("thing".into()), ..all.clone() }, vec![1]),
        (Filter { after: Some(ids[2].clone()), ..all.clone() }, vec![4, 3]),
        (Filter { since: Some(ids[2].clone()), ..all.clone() }, vec![4, 3, 2]),
        (Filter::words("delta"), vec![4, 3, 2, 1, 0]),
        (Filter::words("ALPHA"), vec![0]),
        (Filter::words("beta alpha"), vec![0]),
        (Filter::words("\"beta alpha\""), vec![]),
        (Filter::words("alpha OR gamma"), vec![1, 0]),
        (Filter::words("delta NOT (alpha OR now)"), vec![4, 2, 1]),
        (Filter::words("response:alpha"), vec![]),
        (Filter::words("gam*"), vec![1]),
        (Filter::words("東京"), vec![4]),
        (Filter::words("京都に行"), vec![4]),
        (Filter::words("京"), vec![4]),
        (Filter::words("い"), vec![4]),
        (Filter::words("京東"), vec![]),
        (Filter { model: Some("m0".into()), ..Filter::words("delta") }, vec![4, 2, 0]),
        (best("alpha OR delta"), vec![0]),
    ];
    for (filter, expected) in cases {
        assert_eq!(find(filter.clone()), expected, "{filter:?}");
    }
    for typed in ["(alpha", "AND", "alpha AND", "NOT alpha", "\"\""] {
        let error = store.turn_ids(&Filter::words(typed)).unwrap_err();
        assert!(matches!(error, Error::BadQuery { .. }), "{typed}: {error}");
    }
    let turn = &store.turns(&Filter { limit: Some(1), ..Filter::words("now") }).unwrap()[0];
    assert_eq!(turn.input.len(), 2);
    assert_eq!(turn.model, "m1");
    let conversation = store.turns(&Filter::conversation(&turn.conversation)).unwrap();
    assert_eq!(conversation, std::slice::from_ref(turn));
}

#[test]
fn sums_by_day_and_model_are_kept() {
    let (_folder, mut store) = store();
    const DAY_MS: i64 = 86_400_000;
    let request = chat(&["x"]);
    for (model, day) in [("a", 0), ("a", 0), ("b", 0), ("a", 1)] {
        let mut response = answer("y");
        response.usage.prompt_tokens = 10;
        response.usage.completion_tokens = 5;
        response.usage.cost = Some(Cost(1_000));
        let mut turn = NewTurn::new(model, "local", &request, &response, day * DAY_MS);
        turn.duration_ms = 7;
        store.log(&turn).unwrap();
    }
    let stats = store.stats().unwrap();
    let seen: Vec<_> = stats.iter().map(|s| (s.day, s.model.as_str(), s.n_turns)).collect();
    assert_eq!(seen, [(1, "a", 1), (0, "a", 2), (0, "b", 1)]);
    assert_eq!((stats[1].prompt_tokens, stats[1].completion_tokens), (20, 10));
    assert_eq!((stats[1].cost, stats[1].duration_ms), (Cost(2_000), 14));
    assert!(store.is_first_time("notice").unwrap());
    assert!(!store.is_first_time("notice").unwrap());
}
