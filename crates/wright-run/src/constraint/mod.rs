//! Answers in an enforced form: at each step only tokens are sampled that the form permits.
//!
//! A [`ResponseFormat`] becomes a grammar ([`schema`] for JSON schemas), and `llguidance` tells
//! which tokens may come next. A constraint follows one answer. It depends on the tokens of that
//! answer alone, so that the same request gets the same bytes whatever its company in a batch.

mod gbnf;
mod grammar;
mod json_reader;
mod reasoning;
mod schema;
mod vocabulary;

pub use grammar::{ConstraintError, ConstraintGrammar};
pub use schema::Refusal;
pub use vocabulary::ConstraintVocabulary;

use crate::Sampler;
use json_reader::JsonReader;
use llguidance::Matcher;
use llguidance::api::TopLevelGrammar;
pub(crate) use reasoning::Reasoning;
use reasoning::Step;
use std::sync::Arc;

/// Tokens of forced text that are taken over at once, at most.
const FORCED_MAX: usize = 64;
/// Tokens that are refused one after the other for one place, at most.
const REFUSED_MAX: usize = 10_000;

/// The form of one answer, and how far the answer is.
pub struct Constraint {
    vocabulary: Arc<ConstraintVocabulary>,
    matcher: Matcher,
    /// Follows JSON where the grammar cannot keep keys or items apart.
    json: Option<JsonReader>,
    /// Where the model may reason before it answers in the form.
    reasoning: Reasoning,
    /// The row of logits with what is not permitted taken out.
    row: Vec<f32>,
}

impl Constraint {
    /// Compiles a grammar for a vocabulary.
    ///
    /// # Errors
    /// If the grammar is wrong or too large.
    pub fn new(
        vocabulary: Arc<ConstraintVocabulary>,
        grammar: &ConstraintGrammar,
    ) -> Result<Constraint, ConstraintError> {
        let lark = TopLevelGrammar::from_lark(grammar.lark.clone());
        let matcher = Matcher::new(vocabulary.factory.create_parser(lark));
        if let Some(error) = matcher.get_error() {
            return Err(ConstraintError::from_matcher(&error));
        }
        let watches = grammar.has_free_keys || grammar.has_unique_items;
        let json = watches.then(|| JsonReader::new(grammar.has_unique_items));
        let reasoning = Reasoning::None;
        Ok(Constraint { vocabulary, matcher, json, reasoning, row: Vec::new() })
    }

    /// The same constraint for an answer that may begin with reasoning.
    pub(crate) fn after(mut self, reasoning: Reasoning) -> Constraint {
        self.reasoning = reasoning;
        self
    }

    /// Samples a token that the form permits. It is not accepted yet.
    ///
    /// # Errors
    /// If no token is permitted, the form takes too much work at this place, or the logits cannot
    /// be sampled from.
    pub fn sample(
        &mut self,
        logits: &[f32],
        sampler: &mut Sampler,
    ) -> Result<u32, ConstraintError> {
        self.row.clear();
        self.row.extend_from_slice(logits);
        if !self.reasoning.is_open() {
            let mask = self.matcher.compute_mask().map_err(|error| self.failure(&error))?;
            let extra = self.reasoning.permitted();
            for (id, logit) in (0..).zip(&mut self.row) {
                if !mask.is_allowed(id) && !extra.contains(&id) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        for _ in 0..REFUSED_MAX {
            let id = sampler.sample(&self.row).map_err(|_| ConstraintError::DeadEnd)?;
            if self.permits(id) {
                return Ok(id);
            }
            self.row[id as usize] = f32::NEG_INFINITY;
        }
        Err(ConstraintError::DeadEnd)
    }

    /// Whether what the grammar does not see permits the token.
    fn permits(&self, id: u32) -> bool {
        let bytes = self.vocabulary.bytes(id);
        if self.reasoning.step(id, bytes) == Step::Straddles {
            return false;
        }
        let is_answer = self.reasoning.step(id, bytes) == Step::Answer;
        match &self.json {
            Some(json) if is_answer && !self.vocabulary.tokenizer.is_end(id) => {
                json.after(bytes).is_some()
            }
            _ => true,
        }
    }

    /// Takes a token that was sampled as the next one of the answer.
    ///
    /// # Errors
    /// If the form does not permit it.
    pub fn accept(&mut self, id: u32) -> Result<(), ConstraintError> {
        let bytes = self.vocabulary.bytes(id);
        let step = self.reasoning.step(id, bytes);
        self.reasoning.advance(id, bytes);
        if step != Step::Answer {
            return Ok(());
        }
        if let Some(json) = &self.json
            && !self.vocabulary.tokenizer.is_end(id)
        {
            self.json = Some(json.after(bytes).ok_or(ConstraintError::DeadEnd)?);
        }
        self.matcher.consume_token(id).map_err(|error| self.failure(&error))
    }

    /// Tokens that must come next, as the tokenizer writes them: they need not be sampled. They are
    /// accepted. At the end of the form that is the token that ends the answer.
    ///
    /// # Errors
    /// If the form takes too much work at this place.
    pub fn forced(&mut self, max: usize) -> Result<Vec<u32>, ConstraintError> {
        if !self.reasoning.is_over() || max == 0 {
            return Ok(Vec::new());
        }
        if self.matcher.is_stopped() {
            return Ok(self.vocabulary.tokenizer.ends()[..1].to_vec());
        }
        let text = self.matcher.compute_ff_bytes();
        let Ok(text) = String::from_utf8(text) else { return Ok(Vec::new()) };
        let mut ids = self.vocabulary.tokenizer.encode(&text);
        let bytes: Vec<u8> =
            ids.iter().flat_map(|&id| self.vocabulary.bytes(id)).copied().collect();
        if bytes != text.as_bytes() {
            return Ok(Vec::new());
        }
        // What follows may join the last token to a longer one.
        ids.pop();
        ids.truncate(max.min(FORCED_MAX));
        for (n, &id) in ids.iter().enumerate() {
            if !self.permits(id) {
                ids.truncate(n);
                break;
            }
            self.accept(id)?;
        }
        Ok(ids)
    }

    /// Whether the answer may end here.
    pub fn may_end(&mut self) -> bool {
        self.reasoning.is_over() && self.matcher.is_accepting().unwrap_or(false)
    }

    fn failure(&self, error: &dyn std::fmt::Display) -> ConstraintError {
        ConstraintError::from_matcher(&error.to_string())
    }
}
