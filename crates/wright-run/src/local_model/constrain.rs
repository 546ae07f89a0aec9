//! The form of an answer: which constraint a request asks for.

use super::LocalModel;
use crate::constraint::Reasoning;
use crate::output::OutputFormat;
use crate::{Constraint, ConstraintGrammar, ConstraintVocabulary};
use std::sync::Arc;
use wright_chat::{Error, Prompt, Request};

impl LocalModel {
    /// What the answer is held to, if anything.
    ///
    /// # Errors
    /// If the form cannot be enforced; the message names what is at fault.
    pub(super) fn constraint(
        &self,
        request: &Request,
        format: &OutputFormat,
    ) -> Result<Option<Box<Constraint>>, Error> {
        let Some(wanted) = &request.format else { return Ok(None) };
        let grammar = ConstraintGrammar::new(wanted)?;
        let constraint = Constraint::new(self.constraint_vocabulary()?, &grammar)?;
        let reasoning = match request.prompt {
            Prompt::Chat(_) => self.reasoning(format),
            Prompt::Raw(_) | Prompt::Fill { .. } => Reasoning::None,
        };
        Ok(Some(Box::new(constraint.after(reasoning))))
    }

    fn constraint_vocabulary(&self) -> Result<Arc<ConstraintVocabulary>, Error> {
        let vocabulary = self.constraint_vocabulary.get_or_init(|| {
            let tokenizer = Arc::clone(&self.tokenizer);
            ConstraintVocabulary::new(tokenizer, self.n_vocab as usize).map(Arc::new)
        });
        let unsupported = |why: &String| self.unsupported(&format!("be held to a form: {why}"));
        vocabulary.as_ref().map(Arc::clone).map_err(unsupported)
    }

    /// Whether and how the answer can begin with reasoning.
    fn reasoning(&self, format: &OutputFormat) -> Reasoning {
        let Some(tags) = format.reasoning else { return Reasoning::None };
        let close = tags.close.as_bytes().to_vec();
        if format.prefilled.trim_end().ends_with(tags.close) {
            return Reasoning::None;
        }
        if !format.prefilled.is_empty() && format.prefilled.trim_end().ends_with(tags.open) {
            return Reasoning::Open { close, written: Vec::new() };
        }
        match self.tokenizer.find(tags.open) {
            Some(open) => Reasoning::Possible { open, close },
            None => Reasoning::None,
        }
    }
}
