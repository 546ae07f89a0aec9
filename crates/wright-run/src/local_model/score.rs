//! How likely continuations are after a context.

use super::LocalModel;
use super::pending::Pending;
use crate::engine::{EngineEvent, Task};
use wright_chat::{Error, ErrorKind, Score, Text};

impl LocalModel {
    pub(super) fn score_texts(
        &self,
        context: &Text,
        continuations: &[Text],
    ) -> Result<Vec<Score>, Error> {
        let mut texts = continuations.iter().map(|text| self.score_ids(context, text));
        let mut scores = Vec::with_capacity(continuations.len());
        // The first reads the context; the others start with the same tokens and run together.
        if let Some(first) = texts.next() {
            scores.push(self.start_score(first?)?.score()?);
        }
        let pending: Vec<Pending> =
            texts.map(|text| self.start_score(text?)).collect::<Result<_, Error>>()?;
        for pending in pending {
            scores.push(pending.score()?);
        }
        Ok(scores)
    }

    fn start_score(&self, (ids, from): (Vec<u32>, usize)) -> Result<Pending, Error> {
        self.start(ids, Task::Score { from })
    }

    /// Ids of `context` and `continuation` together, and where the continuation starts.
    fn score_ids(&self, context: &Text, continuation: &Text) -> Result<(Vec<u32>, usize), Error> {
        let before = self.with_bos(self.tokenizer.encode(&context.text));
        let both = format!("{}{}", context.text, continuation.text);
        let mut all = self.with_bos(self.tokenizer.encode(&both));
        // A token that spans the border counts as the continuation's.
        let mut from = before.iter().zip(&all).take_while(|(a, b)| a == b).count();
        if from == 0 {
            let begin = self.tokenizer.bos().or_else(|| self.tokenizer.eos());
            let Some(begin) = begin else {
                return Err(Error::new(
                    ErrorKind::BadRequest,
                    "there is no context before the text",
                )
                .hint("this model has no beginning-of-text token: provide some context"));
            };
            all.insert(0, begin);
            from = 1;
        }
        Ok((all, from))
    }
}

impl Pending {
    /// Waits for all scores.
    fn score(self) -> Result<Score, Error> {
        let mut score = Score { logprobs: Vec::new(), greedy: Vec::new() };
        loop {
            match self.next()? {
                EngineEvent::Scored { logprob, greedy } => {
                    score.logprobs.push(logprob);
                    score.greedy.push(greedy);
                }
                EngineEvent::End(_) => return Ok(score),
                _ => {}
            }
        }
    }
}
