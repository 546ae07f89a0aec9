//! Answers in an enforced form, by a tiny random model: it would never keep to one by itself.

use std::sync::Arc;
use wright_chat::schema::{Schema, check_duplicate_keys};
use wright_chat::{
    Cancel, Collect, FinishReason, GrammarSyntax, Message, Model as _, Options, Request, Response,
    ResponseFormat,
};
use wright_model::{Model, Precision};
use wright_run::{LoadOptions, LocalModel};

fn local(n_seq: usize, speculative: bool) -> LocalModel {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wright-model/tests/golden/llama.gguf");
    let bytes = std::fs::read(path).expect("the golden model is in the repository");
    let model = Model::from_gguf(Arc::new(bytes)).expect("a good model");
    let precision = Precision::Exact;
    let options = LoadOptions { n_seq, precision, speculative, ..LoadOptions::new("tiny", 512, 1) };
    LocalModel::new(Arc::new(model), options).expect("a tiny model fits")
}

fn request(format: ResponseFormat, seed: u64) -> Request {
    let options = Options { max_tokens: Some(300), seed: Some(seed), ..Options::default() };
    let messages = vec![Message::user("the cat")];
    Request { options, format: Some(format), ..Request::chat(messages) }
}

fn answer(model: &LocalModel, request: &Request) -> Response {
    model.respond(request, &Cancel::new(), &mut Collect::default()).expect("an answer")
}

fn regex(source: &str) -> ResponseFormat {
    ResponseFormat::Regex(source.into())
}

fn card() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
            "n": {"type": "integer", "minimum": 10, "maximum": 99}
        },
        "required": ["name", "n"],
        "additionalProperties": {"type": "boolean"},
        "maxProperties": 5
    })
}

#[test]
fn answers_keep_to_the_form() {
    let model = local(1, true);
    for seed in 0..5 {
        let response = answer(&model, &request(regex("(yes|no), [0-9]{3}"), seed));
        let text = response.message.plain_text();
        assert!(text.len() == 7 + usize::from(text.starts_with('y')), "{text:?}");
        assert_eq!(response.finish, FinishReason::Stop);
        let source = "root ::= [a-c]{2} \"-\" root2\nroot2 ::= \"x\" | \"yz\"".to_owned();
        let grammar = ResponseFormat::Grammar { syntax: GrammarSyntax::Gbnf, source };
        let text = answer(&model, &request(grammar, seed)).message.plain_text();
        let (head, tail) = text.split_once('-').expect("a hyphen");
        assert!(head.len() == 2 && ["x", "yz"].contains(&tail), "{text:?}");
        let source = "start: \"<\" /[a-z]+/ \">\"".to_owned();
        let grammar = ResponseFormat::Grammar { syntax: GrammarSyntax::Lark, source };
        let response = answer(&model, &request(grammar, seed));
        let text = response.message.plain_text();
        assert!(text.starts_with('<'), "{text:?}");
        assert!(response.finish.is_limit() || text.ends_with('>'), "{text:?}");
    }
}

#[test]
fn answers_satisfy_the_schema() {
    let model = local(1, true);
    let schema = Schema::compile(&card()).unwrap();
    let mut n_finished = 0;
    for seed in 0..12 {
        let response = answer(&model, &request(ResponseFormat::JsonSchema(card()), seed));
        if response.finish != FinishReason::Stop {
            continue;
        }
        n_finished += 1;
        let text = response.message.plain_text();
        let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(schema.validate(&value), Ok(()), "{text}");
        assert_eq!(check_duplicate_keys(&text), Ok(()));
    }
    assert!(n_finished >= 6, "{n_finished}");
}

#[test]
fn drafts_and_company_change_nothing() {
    let formats = || {
        [
            ResponseFormat::JsonSchema(card()),
            regex("(ab|cd)*x"),
            ResponseFormat::Json,
            regex("[a-z]{0,40}"),
        ]
    };
    let ask = |model: &LocalModel, i: usize| {
        let format = formats()[i % 4].clone();
        answer(model, &request(format, i as u64)).message
    };
    let (plain, drafting) = (local(1, false), local(1, true));
    let alone: Vec<Message> = (0..8).map(|i| ask(&plain, i)).collect();
    let drafted: Vec<Message> = (0..8).map(|i| ask(&drafting, i)).collect();
    assert_eq!(drafted, alone);
    let crowded = local(4, true);
    let together: Vec<Message> = std::thread::scope(|scope| {
        let crowded = &crowded;
        let callers: Vec<_> = (0..8).map(|i| scope.spawn(move || ask(crowded, i))).collect();
        callers.into_iter().map(|caller| caller.join().expect("no panic")).collect()
    });
    assert_eq!(together, alone);
}

#[test]
fn forced_text_takes_few_passes() {
    let model = local(1, false);
    let text = "the answer is always the same";
    let response = answer(&model, &request(regex(text), 1));
    assert_eq!(response.message.plain_text(), text);
    assert_eq!(response.finish, FinishReason::Stop);
}
