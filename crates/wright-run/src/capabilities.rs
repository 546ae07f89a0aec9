//! What a model can do, declared by its file: its architecture, its tokenizer and its chat
//! template. Found in one place, so that a loaded model and a file that is only looked at agree.

use crate::fill_in_middle::FillInMiddle;
use crate::reranker;
use std::collections::BTreeSet;
use wright_chat::{Capabilities, FormatKind};
use wright_model::Model;
use wright_model::config::{Kind, Pooling};
use wright_text::{CallFormat, ReasoningFormat, Template, Tokenizer};

/// What a model with this tokenizer and chat template can do.
pub fn of(model: &Model, tokenizer: &Tokenizer, template: Option<&Template>) -> Capabilities {
    let writes = writes(model);
    Capabilities {
        chat: template.is_some() && writes,
        score: writes,
        tokenize: true,
        embed: model.pooling() != Pooling::Rank,
        rank: reranker::ranks(model),
        tools: writes && template.is_some_and(calls_tools),
        fill: writes && FillInMiddle::find(model.metadata(), tokenizer).is_some(),
        formats: if writes && !tokenizer.ends().is_empty() { formats() } else { BTreeSet::new() },
        reasoning: writes && template.is_some_and(reasons),
        ..Capabilities::default()
    }
}

/// The forms of an answer that [`crate::Constraint`] enforces.
fn formats() -> BTreeSet<FormatKind> {
    [FormatKind::Json, FormatKind::JsonSchema, FormatKind::Grammar, FormatKind::Regex].into()
}

/// Whether a model writes text: no encoder does, and a decoder that judges pairs has most likely
/// lost the output layer that it had for words.
fn writes(model: &Model) -> bool {
    model.config().family.kind == Kind::Decoder && model.pooling() != Pooling::Rank
}

/// Whether the family writes calls in a format that [`crate::output`] parses.
pub(crate) fn calls_tools(template: &Template) -> bool {
    template.takes_tools() && CallFormat::of_template(template.source()).is_some()
}

/// Whether models with this chat template reason before they answer.
fn reasons(template: &Template) -> bool {
    ReasoningFormat::of_template(template.source()).is_some()
}
