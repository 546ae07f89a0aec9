//! Rerankers: models that score how well documents answer a query. Encoders read both as a pair;
//! decoders are asked in words and answer yes or no.

use crate::vocabulary;
use wright_kernels::math::exp_f64;
use wright_model::Model;
use wright_model::config::Kind;
use wright_text::{Pair, RankPrompt, Tokenizer};

/// How a model reads a query and a document, and how its labels become a score.
#[derive(Debug)]
pub(crate) struct Reranker {
    /// Of models that are asked in words.
    prompt: Option<RankPrompt>,
    labels: Labels,
}

/// From labels to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Labels {
    /// There is one, and it is the score.
    One,
    /// The probability of this one of two.
    Yes(usize),
}

/// Whether a model can score how well documents answer a query.
pub(crate) fn ranks(model: &Model) -> bool {
    Labels::of_model(model).is_some()
}

impl Reranker {
    /// `None` if the model has no classifier, or one whose labels are not score.
    pub fn find(model: &Model, tokenizer: &Tokenizer) -> Option<Reranker> {
        let labels = Labels::of_model(model)?;
        let source = vocabulary::rank_prompt(model.metadata());
        let prompt = source.and_then(|source| RankPrompt::parse(source, tokenizer));
        Some(Reranker { prompt, labels })
    }

    /// Both texts as the model reads them.
    ///
    /// # Errors
    /// If the texts hold every character that could keep them apart from the prompt.
    pub fn pair(
        &self,
        tokenizer: &Tokenizer,
        query: &str,
        document: &str,
    ) -> Result<Pair, wright_text::Error> {
        match &self.prompt {
            None => Ok(tokenizer.encode_pair(query, document)),
            Some(prompt) => {
                let ids = tokenizer.encode_rendered(&prompt.render(query, document)?);
                Ok(Pair { ids, second: None })
            }
        }
    }

    pub fn score(&self, labels: &[f32]) -> f32 {
        match self.labels {
            Labels::One => labels[0],
            Labels::Yes(yes) => {
                let (yes, no) = (f64::from(labels[yes]), f64::from(labels[1 - yes]));
                (1.0 / (1.0 + exp_f64((no - yes).min(700.0)))) as f32
            }
        }
    }
}

impl Labels {
    /// `None` if there is no classifier, or its labels are not score.
    fn of_model(model: &Model) -> Option<Labels> {
        let n_labels = model.network().classifier.as_ref()?.out.n_out;
        let is_encoder = model.config().family.kind == Kind::Encoder;
        Labels::of(n_labels, &model.config().labels, is_encoder)
    }

    /// Of two labels one must be called yes and the other no. A decoder's two that have no names
    /// are in that order, as converters write them.
    fn of(n_labels: usize, names: &[String], is_encoder: bool) -> Option<Labels> {
        let is = |index: usize, name: &str| {
            names.get(index).is_some_and(|label| label.eq_ignore_ascii_case(name))
        };
        match n_labels {
            1 => Some(Labels::One),
            2 if is(0, "yes") && is(1, "no") => Some(Labels::Yes(0)),
            2 if is(0, "no") && is(1, "yes") => Some(Labels::Yes(1)),
            2 if names.is_empty() && !is_encoder => Some(Labels::Yes(0)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_is_a_score_and_two_must_be_yes_and_no() {
        let of = |n, names: &[&str], is_encoder| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Labels::of(n, &names, is_encoder)
        };
        assert_eq!(of(1, &["LABEL_0"], true), Some(Labels::One));
        assert_eq!(of(2, &["yes", "no"], false), Some(Labels::Yes(0)));
        assert_eq!(of(2, &["no", "Yes"], true), Some(Labels::Yes(1)));
        assert_eq!(of(2, &[], false), Some(Labels::Yes(0)));
        assert_eq!(of(2, &[], true), None);
        assert_eq!(of(2, &["POSITIVE", "NEGATIVE"], true), None);
        assert_eq!(of(3, &["entailment", "neutral", "contradiction"], true), None);
    }

    #[test]
    fn the_probabilities_of_yes_and_no_add_up_to_one() {
        let ranker = Reranker { prompt: None, labels: Labels::Yes(1) };
        assert_eq!(ranker.score(&[2.0, 2.0]), 0.5);
        assert_eq!(ranker.score(&[-900.0, 900.0]), 1.0);
        assert_eq!(ranker.score(&[900.0, -900.0]), 0.0);
    }
}
