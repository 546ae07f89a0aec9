//! How well texts answer a query.

use super::{LocalModel, text_error};
use crate::engine::Task;
use wright_chat::{Error, Text};

impl LocalModel {
    pub(super) fn rank_texts(&self, query: &Text, texts: &[Text]) -> Result<Vec<f32>, Error> {
        let Some(reranker) = &self.reranker else {
            return Err(self
                .unsupported("rank texts")
                .hint("rerankers can, such as bge-reranker-v2-m3 or Qwen3-Reranker"));
        };
        let pair = |text: &Text| {
            let pair =
                reranker.pair(&self.tokenizer, &query.text, &text.text).map_err(text_error)?;
            Ok((pair.ids, Task::Classify { second: pair.second }))
        };
        let labels = self.vectors(texts.iter().map(pair))?;
        Ok(labels.iter().map(|labels| reranker.score(labels)).collect())
    }
}
