//! Answers a prompt with a model from a GGUF file, piece by piece.
//!
//! ```text
//! cargo run --release -p wright-run --example answer -- model.gguf "Why is the sky blue?"
//! ```

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use wright_chat::{Cancel, Event, Message, Model as _, Request};
use wright_model::Model;
use wright_run::{LoadOptions, LocalModel};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(prompt)) = (args.next(), args.next()) else {
        return Err("usage: answer MODEL.gguf PROMPT".into());
    };
    // 2048 tokens of context, on every processor.
    let threads = std::thread::available_parallelism()?.get();
    let model = Arc::new(Model::from_gguf(Arc::new(std::fs::read(&path)?))?);
    let model = LocalModel::new(model, LoadOptions::new(path, 2048, threads))?;

    let mut request = Request::chat(vec![Message::user(prompt)]);
    request.options.max_tokens = Some(512);
    let mut sink = |event: Event| {
        if let Event::Text { text } = event {
            print!("{text}");
        }
        match std::io::stdout().flush() {
            Ok(()) => ControlFlow::Continue(()),
            // The reader has gone: stop generating.
            Err(_) => ControlFlow::Break(()),
        }
    };
    let response = model.respond(&request, &Cancel::new(), &mut sink)?;
    println!("\n[{:?} after {} tokens]", response.finish, response.usage.completion_tokens);
    Ok(())
}
