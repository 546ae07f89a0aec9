//! A whole local model, from a file's bytes to an answer. The golden model of wright-model is tiny
//! and random: it has nothing to say, but it must say the same thing every time.

use std::ops::ControlFlow;
use std::sync::Arc;
use wright_chat::{
    Cancel, Collect, ErrorKind, Event, FinishReason, Message, Model as _, Options, Origin, Prompt,
    Request, Response, ResponseFormat, Text, Tool, ToolChoice,
};
use wright_model::{Model, Precision};
use wright_run::{LoadOptions, LocalModel};

fn local(n_ctx: usize, n_seq: usize, threads: usize) -> LocalModel {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wright-model/tests/golden/llama.gguf");
    let bytes = std::fs::read(path).expect("the golden model is in the repository");
    let model = Model::from_gguf(Arc::new(bytes)).expect("a good model");
    let precision = Precision::Exact;
    let options = LoadOptions { n_seq, precision, ..LoadOptions::new("tiny", n_ctx, threads) };
    LocalModel::new(Arc::new(model), options).expect("a tiny model fits")
}

fn text(text: &str) -> Text {
    Text::new(Origin::User, text)
}

fn chat(question: &str) -> Request {
    let options = Options { max_tokens: Some(12), seed: Some(3), ..Options::default() };
    let messages = vec![Message::system("the cat"), Message::user(question)];
    Request { options, ..Request::chat(messages) }
}

fn ask(model: &LocalModel, request: &Request) -> (Response, Vec<Event>) {
    let mut sink = Collect::default();
    let response = model.respond(request, &Cancel::new(), &mut sink).expect("an answer");
    (response, sink.events)
}

fn refused(request: &Request) -> ErrorKind {
    let error =
        local(64, 1, 1).respond(request, &Cancel::new(), &mut Collect::default()).unwrap_err();
    assert!(!error.message.is_empty());
    error.kind
}

#[test]
fn the_same_request_gives_the_same_answer_and_is_not_read_twice() {
    let model = local(256, 2, 1);
    let (first, events) = ask(&model, &chat("the car has a table"));
    let (second, _) = ask(&model, &chat("the car has a table"));
    assert_eq!(first.message, second.message);
    assert_eq!(first.usage.cached_tokens, 0);
    assert_eq!(second.usage.cached_tokens, second.usage.prompt_tokens - 1);
    let said: String = events
        .iter()
        .filter_map(|e| if let Event::Text { text } = e { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(said, first.message.plain_text());
}

#[test]
fn many_callers_get_what_each_would_get_alone() {
    let questions = ["the cat", "a ring", "the car has a table and the ring", "ha"];
    let alone: Vec<_> =
        questions.iter().map(|q| ask(&local(128, 1, 1), &chat(q)).0.message).collect();
    let model = local(128, 3, 2);
    let crowd: Vec<_> = std::thread::scope(|scope| {
        let model = &model;
        let callers: Vec<_> =
            questions.iter().map(|q| scope.spawn(move || ask(model, &chat(q)).0.message)).collect();
        callers.into_iter().map(|caller| caller.join().expect("no panic")).collect()
    });
    assert_eq!(crowd, alone);
}

#[test]
fn a_long_chat_says_what_it_left_out_and_one_long_question_is_refused() {
    let mut messages = vec![Message::system("the cat")];
    for _ in 0..8 {
        messages.push(Message::user("the car has a table"));
        messages.push(Message::assistant("the ring"));
    }
    messages.push(Message::user("a ring"));
    let request = Request { options: chat("").options, ..Request::chat(messages) };
    let (response, events) = ask(&local(128, 1, 1), &request);
    assert!(response.usage.prompt_tokens < 128);
    assert!(events.iter().any(|e| matches!(e, Event::Notice { .. })), "{events:?}");
    assert_eq!(refused(&chat(&"the cat ".repeat(100))), ErrorKind::ContextOverflow);
}

#[test]
fn unsupported_requests_are_rejected_before_any_output() {
    let tool = Tool { name: "f".into(), description: String::new(), parameters: "{}".into() };
    let format =
        Some(ResponseFormat::JsonSchema(serde_json::json!({"not": {"uniqueItems": true}})));
    assert_eq!(refused(&Request { format, ..chat("a") }), ErrorKind::Unsupported);
    let format = Some(ResponseFormat::Regex("(a".into()));
    assert_eq!(refused(&Request { format, ..chat("a") }), ErrorKind::BadRequest);
    assert_eq!(refused(&Request { tools: vec![tool], ..chat("a") }), ErrorKind::Unsupported);
    let tool_choice = ToolChoice::Required;
    assert_eq!(refused(&Request { tool_choice, ..chat("a") }), ErrorKind::Unsupported);
    let options = Options { top_p: Some(2.0), ..Options::default() };
    assert_eq!(refused(&Request { options, ..chat("a") }), ErrorKind::BadRequest);
    let fill = Prompt::Fill { prefix: text("a"), suffix: text("b") };
    assert_eq!(refused(&Request::new(fill)), ErrorKind::Unsupported);
}

#[test]
fn a_sink_that_has_enough_ends_the_answer() {
    let model = local(64, 1, 1);
    let mut sink = |event: Event| match event {
        Event::Prefill { .. } => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let response = model.respond(&chat("the cat"), &Cancel::new(), &mut sink).unwrap();
    assert_eq!(response.finish, FinishReason::Cancelled);
    assert!(ask(&model, &chat("the cat")).0.usage.completion_tokens > 0);
}

#[test]
fn scores_do_not_depend_on_what_else_is_scored() {
    let continuations = [text(" cat"), text(" car has a table"), text(""), text("!")];
    let together = local(64, 3, 2).score(&text("the"), &continuations).unwrap();
    for (continuation, score) in continuations.iter().zip(&together) {
        let alone = local(64, 1, 1).score(&text("the"), std::slice::from_ref(continuation));
        assert_eq!(&alone.unwrap()[0], score);
        assert_eq!(score.logprobs.is_empty(), continuation.text.is_empty());
        assert!(score.logprobs.iter().all(|&l| l < 0.0));
    }
}
