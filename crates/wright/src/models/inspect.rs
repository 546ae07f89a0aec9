//! `wright inspect`: what a model file contains and what running it costs.
//!
//! Nothing is loaded: the header is read, and the cost comes from counting the model's own forward
//! pass.

mod vocabulary;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::open::{load, locate};
use crate::terminal;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use wright_host::units;
use wright_model::config::Kind;
use wright_model::{Cost, KvType, Metadata, Model};

/// Longer values of metadata are cut in the table; `--json` has them whole.
const VALUE_CHARS_MAX: usize = 100;

/// Show what a model file contains and what running it costs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .gguf file, a tokenizer.json, or a model name from `wright models`
    #[arg(value_name = "FILE|NAME")]
    model: Option<String>,
    /// Context length for the memory and cost estimate [default: the model's, at most 8192]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..))]
    ctx: Option<u32>,
    /// List every tensor
    #[arg(long)]
    tensors: bool,
    /// Print the chat template
    #[arg(long)]
    template: bool,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let located = locate::model(args.model.as_deref(), context)?;
    if let Some(vocabulary) = vocabulary::alone(&located.path)? {
        return vocabulary::show(&vocabulary, &located.path, args.json);
    }
    let (_, model) = load::weights(&located.path)?;
    let n_ctx = load::context_length(&model, args.ctx)?;
    let text = match args.json {
        true => object(&model, n_ctx).to_string() + "\n",
        false if args.template => {
            let template = model.metadata().str("tokenizer.chat_template").ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("{} has no chat template", located.id))
                    .hint("it is a base model: use `wright --raw` to continue text with it")
            })?;
            format!("{}\n", terminal::shown(template))
        }
        false => terminal::shown(&table(&model, n_ctx, args)).into_owned(),
    };
    terminal::print(&text)?;
    Ok(Exit::Done)
}

/// What a token costs where the cache is almost full, and what a prompt of that length costs.
struct Costs {
    token: Cost,
    prompt: Cost,
}

impl Costs {
    fn of(model: &Model, n_ctx: u32) -> Self {
        let token = model.cost_of_token(n_ctx - 1, KvType::default());
        Costs { token, prompt: model.cost_of_prompt(n_ctx, KvType::default()) }
    }
}

/// Why a model has no chat template.
fn without_template(model: &Model) -> &'static str {
    match model.config().family.kind {
        Kind::Encoder => "none: it does not generate text",
        Kind::Decoder => "none: a base model",
    }
}

fn table(model: &Model, n_ctx: u32, args: &Args) -> String {
    let mut text = String::new();
    let config = model.config();
    let metadata = model.metadata();
    let mut row = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key:14} {value}");
    };
    row("architecture", config.arch.to_string());
    row("parameters", units::count(model.n_parameters()));
    let layers = config.layers.len();
    row("shape", format!("{layers} layers, n_embd {}, {} tokens", config.n_embd, model.n_vocab()));
    row("trained with", format!("{} tokens of context", config.n_ctx_train));
    row("tokenizer", tokenizer(model));
    let template = metadata.str("tokenizer.chat_template");
    let template = template.map_or(without_template(model).to_owned(), |template| {
        format!("{} characters (--template shows it)", template.chars().count())
    });
    row("chat template", template);
    let memory = memory(model, n_ctx);
    row(
        "memory",
        format!("{} at --ctx {n_ctx}: {}", units::bytes(memory.total()), {
            let (kv, work) = (units::bytes(memory.kv), units::bytes(memory.activations));
            format!(
                "weights {} (mapped), KV cache {kv}, buffers {work}",
                units::bytes(memory.weights)
            )
        }),
    );
    let costs = Costs::of(model, n_ctx);
    row("per token", cost(costs.token));
    row("full prompt", format!("{} ({n_ctx} tokens)", cost(costs.prompt)));
    text.push_str("\nTensors\n");
    for format in model.formats() {
        let (n, bytes) = (format.n_tensors, units::bytes(format.n_bytes));
        let values = units::count(format.n_values);
        let _ = writeln!(text, "  {:8} {n:>5} tensors {values:>9} values {bytes:>10}", {
            format.dtype.name()
        });
    }
    if args.tensors {
        for tensor in model.tensors() {
            let (dtype, shape) = (tensor.dtype.name(), tensor.shape());
            let _ = writeln!(text, "  {:40} {dtype:8} {shape}", tensor.name);
        }
    }
    list(&mut text, metadata);
    text
}

fn list(text: &mut String, metadata: &Metadata) {
    text.push_str("\nMetadata\n");
    for (key, value) in metadata.iter() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {key:44} {}", cut(&value.to_string()));
    }
}

fn cost(cost: Cost) -> String {
    let flops = units::count(cost.flops);
    format!("{flops}FLOP, {} moved", units::bytes(cost.bytes()))
}

fn tokenizer(model: &Model) -> String {
    let metadata = model.metadata();
    let kind = metadata.str("tokenizer.ggml.model").unwrap_or("none");
    splitting(kind, metadata.str("tokenizer.ggml.pre"))
}

fn splitting(kind: &str, pre: Option<&str>) -> String {
    match pre {
        Some(pre) => format!("{kind}, pre-tokenizer {pre}"),
        None => kind.to_owned(),
    }
}

fn memory(model: &Model, n_ctx: u32) -> wright_model::Memory {
    let options = wright_model::SessionOptions::default();
    model.memory(n_ctx as usize, options.n_seq, options.n_batch, options.kv)
}

/// One line, and not too long a one.
fn cut(value: &str) -> String {
    let line: String = value.chars().map(|c| if c == '\n' { '⏎' } else { c }).collect();
    match line.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn object(model: &Model, n_ctx: u32) -> Value {
    let config = model.config();
    let memory = memory(model, n_ctx);
    let costs = Costs::of(model, n_ctx);
    let cost = |cost: Cost| {
        json!({
            "flops": cost.flops,
            "weights_bytes": cost.weights_bytes,
            "kv_bytes": cost.kv_bytes,
            "activation_bytes": cost.activation_bytes,
        })
    };
    let formats = model.formats().into_iter().map(|format| {
        json!({
            "type": format.dtype.name(),
            "tensors": format.n_tensors,
            "values": format.n_values,
            "bytes": format.n_bytes,
        })
    });
    let tensors = model.tensors().iter().map(
        |tensor| json!({ "name": tensor.name, "type": tensor.dtype.name(), "dims": tensor.dims }),
    );
    json!({
        "architecture": config.arch.to_string(),
        "parameters": model.n_parameters(),
        "n_layer": config.layers.len(),
        "n_embd": config.n_embd,
        "n_vocab": model.n_vocab(),
        "n_ctx_train": config.n_ctx_train,
        "n_ctx": n_ctx,
        "memory_bytes": {
            "weights": memory.weights,
            "kv": memory.kv,
            "activations": memory.activations,
        },
        "cost_of_last_token": cost(costs.token),
        "cost_of_whole_prompt": cost(costs.prompt),
        "formats": formats.collect::<Vec<_>>(),
        "tensors": tensors.collect::<Vec<_>>(),
        "metadata": metadata_object(model.metadata()),
    })
}

fn metadata_object(metadata: &Metadata) -> Map<String, Value> {
    metadata.iter().map(|(key, value)| (key.to_owned(), plain(value))).collect()
}

/// A value of metadata as JSON; a long array (a vocabulary, say) as its length and type.
fn plain(value: wright_model::Value<'_>) -> Value {
    match value {
        wright_model::Value::Unsigned(v) => json!(v),
        wright_model::Value::Signed(v) => json!(v),
        wright_model::Value::Float(v) => json!(v),
        wright_model::Value::Bool(v) => json!(v),
        wright_model::Value::Str(v) => json!(v),
        array @ wright_model::Value::Array(_) => json!(array.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(cut("a\nb"), "a⏎b");
        let long = "é".repeat(VALUE_CHARS_MAX + 1);
        assert_eq!(cut(&long).chars().count(), VALUE_CHARS_MAX + 1);
        assert!(cut(&long).ends_with('…'));
    }
}
