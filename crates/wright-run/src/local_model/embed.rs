//! Texts to vectors, and what embedding and ranking share: one pass over each text.

use super::LocalModel;
use super::pending::Pending;
use crate::engine::{EngineEvent, Task};
use wright_chat::{Error, Remedy, Text};

impl LocalModel {
    pub(super) fn embed_texts(&self, texts: &[Text]) -> Result<Vec<Vec<f32>>, Error> {
        if !self.description.capabilities.embed {
            return Err(self
                .unsupported("embed text: it scores pairs")
                .hint("it is a reranker: it scores how well texts answer a query")
                .remedy(Remedy::Rank));
        }
        let ids = |text: &Text| self.tokenizer.encode_document(&text.text);
        let vectors = self.vectors(texts.iter().map(|text| Ok((ids(text), Task::Embed))))?;
        Ok(vectors.into_iter().map(unit).collect())
    }

    /// The result of one pass over each text.
    ///
    /// # Errors
    /// Of the first text that failed, with its number from 1 if there are several.
    pub(super) fn vectors(
        &self,
        texts: impl Iterator<Item = Result<(Vec<u32>, Task), Error>>,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let start = |(ids, task)| self.start(ids, task);
        let pending: Vec<Pending> =
            texts.map(|text| text.and_then(start)).collect::<Result<_, Error>>()?;
        let n = pending.len();
        let numbered = |(index, pending): (usize, Pending)| {
            pending.vector().map_err(|mut error| {
                if n > 1 {
                    error.message = format!("text {} of {n}: {}", index + 1, error.message);
                }
                error
            })
        };
        pending.into_iter().enumerate().map(numbered).collect()
    }
}

impl Pending {
    fn vector(self) -> Result<Vec<f32>, Error> {
        loop {
            if let EngineEvent::Vector(vector) = self.next()? {
                return Ok(vector);
            }
        }
    }
}

/// A vector of length 1 in the same direction.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let by = if square > 0.0 { 1.0 / square.sqrt() } else { 0.0 };
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) * by) as f32);
    vector
}
