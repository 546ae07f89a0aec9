//! Shows what the loop detector does with a model: that it cuts no honest text, and how the answers
//! to everyday prompts end.
//!
//! ```text
//! cargo run --release -p wright-run --example loop_stop -- model.gguf [answers a prompt]
//! ```

mod texts;

use std::error::Error;
use std::sync::Arc;
use wright_chat::{Cancel, Collect, Message, Model as _, Options, Request, Response};
use wright_model::Model;
use wright_run::{LoadOptions, LocalModel, LoopDetector};

/// Long texts that the model writes at temperature 1.
const N_WRITTEN: u64 = 24;
/// Answers that are generated together.
const N_SEQ: usize = 8;

const TOPICS: &[&str] = &[
    "Tell me a long story about a lighthouse keeper.",
    "Explain in detail how bread is made.",
    "Write an essay on the history of trains.",
    "Describe a day in the life of a fisherman.",
    "Write a letter to a friend about moving to a new city.",
    "Compare cats and dogs as pets, at length.",
    "Write a long guide to growing tomatoes.",
    "Describe the planets of the solar system one by one.",
];

const EVERYDAY: &[&str] = &[
    "Write a short poem about the sea",
    "List ten fruits",
    "What is the capital of France?",
    "Explain photosynthesis to a child",
    "Sum it up: I would like to cancel my subscription as of May 1st. I have paid until June.",
    "Write a limerick about a cat",
    "How do I boil an egg?",
    "Translate to French: good morning, my friend",
    "Give me three ideas for a birthday party",
    "What is the difference between a frog and a toad?",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: loop_stop MODEL.gguf [ANSWERS-A-PROMPT]")?;
    let n_seeds: u64 = args.next().map_or(Ok(10), |n| n.parse())?;
    let model = Arc::new(Model::from_gguf(Arc::new(std::fs::read(&path)?))?);
    let threads = std::thread::available_parallelism()?.get();
    let options = LoadOptions { n_seq: N_SEQ, ..LoadOptions::new(path, 2048, threads) };
    let model = LocalModel::new(model, options)?;
    generated(&model);
    written(&model)?;
    everyday(&model, n_seeds)
}

/// The ids up to which the detector lets a text pass; all of them if it is not a loop.
fn cut_at(ids: &[u32]) -> Option<usize> {
    let mut detector = LoopDetector::default();
    ids.iter().position(|&id| detector.push(id))
}

fn generated(model: &LocalModel) {
    let texts = texts::all();
    let mut n_cut = 0;
    for (kind, text) in &texts {
        let ids = model.tokenizer().encode(text);
        if let Some(at) = cut_at(&ids) {
            n_cut += 1;
            println!("CUT: {kind} at token {at} of {}", ids.len());
        }
    }
    println!("{} generated texts: {n_cut} cut", texts.len());
}

fn written(model: &LocalModel) -> Result<(), Box<dyn Error>> {
    let request = |n: u64| {
        let mut request = Request::chat(vec![Message::user(TOPICS[n as usize % TOPICS.len()])]);
        request.options = Options {
            temperature: Some(1.0),
            top_k: Some(0),
            top_p: Some(1.0),
            min_p: Some(0.0),
            seed: Some(n),
            max_tokens: Some(1000),
            stop_loops: Some(false),
            ..Options::default()
        };
        request
    };
    let (mut n_cut, mut n_tokens) = (0, 0);
    for response in answers(model, (0..N_WRITTEN).map(request).collect())? {
        let ids = model.tokenizer().encode(&response.message.plain_text());
        n_tokens += ids.len();
        if let Some(at) = cut_at(&ids) {
            n_cut += 1;
            println!("CUT: an answer at temperature 1 at token {at} of {}", ids.len());
        }
    }
    println!("{N_WRITTEN} texts written at temperature 1, {n_tokens} tokens: {n_cut} cut");
    Ok(())
}

fn everyday(model: &LocalModel, n_seeds: u64) -> Result<(), Box<dyn Error>> {
    for prompt in EVERYDAY {
        let request = |seed: u64| {
            let mut request = Request::chat(vec![Message::user(*prompt)]);
            request.options.seed = Some(seed);
            request
        };
        let responses = answers(model, (1..=n_seeds).map(request).collect())?;
        let ends: Vec<String> = responses
            .iter()
            .map(|r| format!("{:?} {}", r.finish, r.usage.completion_tokens))
            .collect();
        println!("{prompt}: {}", ends.join(", "));
    }
    Ok(())
}

/// The answers to `requests`, several at a time.
fn answers(model: &LocalModel, requests: Vec<Request>) -> Result<Vec<Response>, Box<dyn Error>> {
    let answer =
        |request: &Request| model.respond(request, &Cancel::new(), &mut Collect::default());
    let responses = std::thread::scope(|scope| {
        let running: Vec<_> =
            requests.iter().map(|request| scope.spawn(move || answer(request))).collect();
        running.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let response = |joined: std::thread::Result<_>| -> Result<Response, Box<dyn Error>> {
        Ok(joined.map_err(|_| "a thread panicked")??)
    };
    responses.into_iter().map(response).collect()
}
