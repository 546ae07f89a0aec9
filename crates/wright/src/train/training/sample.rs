//! Samples during training: the weights go to `model.gguf`, and the inference engine continues some
//! texts, always with the same seed. This does not affect the training itself.

use crate::cli::failure::Failure;
use crate::open::load;
use crate::train::training::setup::Plan;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use wright_chat::{Cancel, Event, FinishReason, Model, Origin, Prompt, Request, Text};
use wright_run::{LoadOptions, LocalModel};
use wright_train::{Shard, Vocabulary};

/// Held-out documents whose beginnings are gone on from.
const DOCUMENTS: usize = 2;
/// About so many bytes of each.
const PROMPT_BYTES: usize = 32;

/// A prompt, and what the model wrote after it.
pub struct Sampled {
    pub prompt: String,
    pub text: String,
    pub ended: bool,
}

impl Sampled {
    pub fn json(&self) -> Value {
        let finish = if self.ended { "stop" } else { "length" };
        json!({ "prompt": self.prompt, "text": self.text, "finish": finish })
    }
}

/// Has the model at `path` write; fewer samples where `stop` says so.
///
/// # Errors
/// If the model cannot be loaded or run.
pub fn write(path: &Path, plan: &Plan, stop: &dyn Fn() -> bool) -> Result<Vec<Sampled>, Failure> {
    let (mapped, model) = load::weights(path)?;
    let source = Arc::clone(&mapped);
    let options = LoadOptions {
        release: Some(Arc::new(move |range| source.forget(range))),
        speculative: false,
        ..LoadOptions::new(plan.name(), plan.shape.n_ctx, plan.threads)
    };
    let local = LocalModel::new(Arc::new(model), options)?;
    let train = &plan.config.train;
    let mut all = Vec::new();
    for (prompt, number) in prompts(plan, &local).into_iter().zip(0..) {
        let mut request = Request::new(Prompt::Raw(Text::new(Origin::User, &prompt)));
        request.options.seed = Some(train.seed.wrapping_add(number));
        request.options.max_tokens = Some(train.sample_tokens);
        let mut text = String::new();
        let mut sink = |event: Event| {
            if let Event::Text { text: more } = event {
                text.push_str(&more);
            }
            if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let response = local.respond(&request, &Cancel::new(), &mut sink)?;
        if response.finish == FinishReason::Cancelled {
            break;
        }
        all.push(Sampled { prompt, text, ended: response.finish == FinishReason::Stop });
    }
    Ok(all)
}

/// Whether the run can have samples: ids must mean something.
pub fn possible(plan: &Plan) -> bool {
    plan.vocabulary != Vocabulary::None
}

/// The configuration's prompts, or the beginnings of documents that are not learnt from, if there
/// are such.
fn prompts(plan: &Plan, local: &LocalModel) -> Vec<String> {
    let given = &plan.config.train.sample_prompts;
    if !given.is_empty() {
        return given.clone();
    }
    let shards = if plan.validation.is_empty() { &plan.train } else { &plan.validation };
    let Some(shard) = shards.first() else { return Vec::new() };
    let n_tokens_max = (plan.shape.n_ctx / 2).max(1);
    let step = (shard.n_docs() / DOCUMENTS).max(1);
    let begin = |doc: usize| {
        let ids = ids(shard, doc, n_tokens_max);
        beginning(&local.tokenizer().decode(&ids), ids.len() < shard.doc(doc).len())
    };
    let documents = (0..shard.n_docs()).step_by(step).take(DOCUMENTS);
    documents.map(begin).filter(|text| !text.is_empty()).collect()
}

fn ids(shard: &Shard, doc: usize, n_max: usize) -> Vec<u32> {
    shard.doc(doc).take(n_max.min(PROMPT_BYTES)).map(|at| shard.id(at)).collect()
}

/// Some words from the start of a text. `more` says whether the text goes on after `bytes`.
fn beginning(bytes: &[u8], more: bool) -> String {
    let cut = bytes.len() > PROMPT_BYTES;
    let bytes = &bytes[..bytes.len().min(PROMPT_BYTES)];
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let whole = match valid.rfind(char::is_whitespace) {
        // The last word may be half of one.
        Some(at) if (cut || more) && !valid[..at].trim().is_empty() => &valid[..at],
        _ => valid,
    };
    whole.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_whole_words_from_the_start() {
        let text = "Once upon a time there was a princess who lived far away";
        assert_eq!(beginning(text.as_bytes(), false), "Once upon a time there was a");
        assert_eq!(beginning(b"The cat sa", true), "The cat");
        assert_eq!(beginning(b"The cat", false), "The cat");
        assert_eq!(beginning(b"Donaudampfschiff", true), "Donaudampfschiff");
        assert_eq!(beginning("abc é".as_bytes(), false), "abc é");
        assert_eq!(beginning(&"é".as_bytes()[..1], true), "");
        assert_eq!(beginning(b" \n ", true), "");
    }
}
