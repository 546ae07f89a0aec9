//! `wright models check`: what a file is, whether this machine can run it, and how fast.
//!
//! Nothing of the model is computed. The forecast comes from counting what a pass does, and from a
//! quick measurement of what this machine does a second.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::open::{load, locate};
use crate::terminal;
use serde_json::json;
use std::fmt::Write;
use std::time::Instant;
use wright_chat::Capabilities;
use wright_host::{machine, units};
use wright_model::config::{Kind, Pooling};
use wright_model::probe::Speed;
use wright_model::{KvType, Model};
use wright_text::Tokenizer;

/// Tokens of the prompt that is forecast, and of the text that is decoded behind.
const PROMPT: u32 = 512;

pub fn main(context: &Context, name: &str, as_json: bool) -> Result<Exit, Failure> {
    let located = locate::model(Some(name), context)?;
    let (_mapped, model) = load::weights(&located.path)?;
    let tokenizer = load::tokenizer(&model);
    let n_ctx = load::context_length(&model, None)?;
    let memory = model.memory(n_ctx as usize, 1, PROMPT as usize, KvType::default());
    // Formats tighter than nibbles are spread to these when they are made ready.
    let needed = memory.total() - memory.weights + ready_bytes(&model);
    let has = machine::available_memory();
    let threads = machine::usable_processors();
    let started = Instant::now();
    let speed = Speed::measure(threads, &|| started.elapsed().as_secs_f64());
    let decode = 1.0 / speed.seconds(&model.cost_of_token(PROMPT, KvType::default()));
    let n = PROMPT.min(n_ctx);
    let prompt = f64::from(n) / speed.seconds(&model.cost_of_prompt(n, KvType::default()));
    let fits = has.is_none_or(|has| needed <= has);
    let verdict = match (&tokenizer, model.config().family.verified, fits) {
        (Err(failure), _, _) => format!("no: {}", failure.what),
        (_, _, false) => "no: it needs more memory than this machine has".to_owned(),
        (_, false, _) => "only with --unverified: this architecture is not verified against a \
                          reference"
            .to_owned(),
        (_, true, true) => "yes".to_owned(),
    };
    let able = capabilities(&model, tokenizer.as_ref().ok())?;
    let features = features(&model, &able);
    if as_json {
        let object = json!({
            "model": located.id,
            "architecture": model.config().arch,
            "models": model.config().family.models,
            "verified": model.config().family.verified,
            "parameters": model.n_parameters(),
            "format": model.main_format().name(),
            "features": features,
            "runs": verdict,
            "memory_needed_bytes": needed,
            "memory_bytes": has,
            "prompt_tokens_per_s": prompt,
            "decode_tokens_per_s": able.score.then_some(decode),
        });
        terminal::print(&format!("{object}\n"))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    let mut row = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:14} {value}");
    };
    let family = model.config().family;
    row("model", format!("{} ({}: {})", model.config().name, family.name, family.models));
    let size = units::count(model.n_parameters());
    row("size", format!("{size} parameters, mostly {}", model.main_format().name()));
    row("features", features.join(", "));
    let machine = has.map_or("unknown".to_owned(), units::bytes);
    row("memory", format!("{} at --ctx {n_ctx}; {machine} available", units::bytes(needed)));
    let of =
        format!("{} threads, weights at {}/s", threads, units::bytes(speed.bytes_per_s as u64));
    let rates = match able.score {
        true => format!("about {decode:.1} tokens/s, prompts {prompt:.0}"),
        false => format!("reads about {prompt:.0} tokens/s"),
    };
    row("speed", format!("{rates} ({of})"));
    row("runs here?", verdict);
    terminal::print(&terminal::shown(&text))?;
    Ok(Exit::Done)
}

/// What a person may want to know before choosing the model.
fn features(model: &Model, able: &Capabilities) -> Vec<String> {
    let config = model.config();
    let heads = config.layers.iter().map(|layer| &layer.heads);
    let mut all = vec![format!("{} tokens of context", config.n_ctx_train)];
    let mut says = |yes: bool, what: &str| {
        if yes {
            all.push(what.to_owned());
        }
    };
    says(able.chat, "chat");
    says(able.tools, "tools");
    says(able.reasoning, "reasoning");
    says(able.fill, "fill-in-the-middle");
    let pooling = model.pooling();
    let embeds = config.family.kind == Kind::Encoder || config.pooling != Pooling::None;
    says(embeds && pooling != Pooling::Rank, &format!("embeddings ({})", pooled(pooling)));
    says(able.rank, "reranking");
    if let Some(routing) = config.routing {
        let what = format!("{} of {} experts per token", routing.n_used, routing.n_expert);
        says(true, &what);
    }
    if let Some(window) = heads.clone().find_map(|heads| heads.window) {
        says(true, &format!("sliding window of {window} tokens"));
    }
    says(config.layers.iter().any(|layer| layer.latent.is_some()), "compressed KV cache (MLA)");
    says(heads.clone().any(|heads| heads.alibi_max_bias.is_some()), "ALiBi");
    all
}

/// What the file declares that the model can do; nothing where its tokenizer cannot be used.
fn capabilities(model: &Model, tokenizer: Option<&Tokenizer>) -> Result<Capabilities, Failure> {
    let Some(tokenizer) = tokenizer else { return Ok(Capabilities::default()) };
    let template = wright_run::template(model, tokenizer, None)?;
    Ok(wright_run::capabilities::of(model, tokenizer, template.as_ref()))
}

/// Which of a text's vectors stands for it.
fn pooled(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Mean => "mean of all tokens",
        Pooling::First => "first token",
        _ => "last token",
    }
}

/// Bytes of the weights when they are ready to run.
fn ready_bytes(model: &Model) -> u64 {
    let of = |format: wright_model::FormatSummary| {
        let nibbles = format.n_values * 9 / 16;
        if format.dtype.is_coded() { format.n_bytes.max(nibbles) } else { format.n_bytes }
    };
    model.formats().into_iter().map(of).sum()
}
