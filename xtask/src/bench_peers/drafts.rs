//! Answers with drafts and without: how much faster they come, and that they are the same.
//!
//! Drafts guess tokens from what the sequence already says. Where an answer repeats its prompt
//! they are worth much; where it does not, they must cost nothing.

use super::draft_tasks::TASKS;
use super::measure::{Bench, Measured};
use crate::Failure;
use crate::wright::said;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Tokens of an answer at most.
const N_TOKENS: &str = "200";

/// What drafts are compared with.
const OTHER: &str = "--no-drafts";

impl Bench {
    /// Tokens per second of answers with drafts and without, in turn; all prompts of a kind of task
    /// count together.
    ///
    /// # Errors
    /// If the program fails, or an answer with drafts is another than without.
    pub fn drafts(&self, model: &str, path: &Path) -> Result<Vec<Measured>, Failure> {
        let one = |(task, prompts): (&str, &[(&str, &str)])| {
            let test = format!("{task}, beside {OTHER}");
            let mut measured = Measured::new(model, &test, "tok/s", false);
            for _ in 0..self.pairs {
                let mut with = Total::default();
                let mut without = Total::default();
                for (task, about) in prompts {
                    let prompt = format!("{task}\n\n{about}");
                    let text = with.add(&self.answer(path, prompt.trim_end(), true)?)?;
                    let plain = without.add(&self.answer(path, prompt.trim_end(), false)?)?;
                    if text != plain {
                        let what = format!("drafts changed an answer: `{plain}` became `{text}`");
                        return Err(what.into());
                    }
                }
                measured.ours.push(with.rate());
                measured.theirs.push(without.rate());
            }
            Ok(measured)
        };
        TASKS.into_iter().map(one).collect()
    }

    fn answer(&self, path: &Path, prompt: &str, drafts: bool) -> Result<Value, Failure> {
        let mut command = Command::new(&self.wright);
        command.args(["run", "--json", "--temperature", "0", "--no-prefix-cache"]);
        command.args(["--max-tokens", N_TOKENS, "--threads", &self.threads.to_string(), "-m"]);
        command.arg(path).arg(prompt);
        if !drafts {
            command.arg(OTHER);
        }
        Ok(serde_json::from_str(said(&mut command)?.0.trim())?)
    }
}

/// What several answers took together.
#[derive(Debug, Default)]
struct Total {
    n_tokens: f64,
    s: f64,
}

impl Total {
    /// Counts an answer; gives its text.
    fn add(&mut self, answer: &Value) -> Result<String, Failure> {
        let usage = &answer["usage"];
        let number = |name: &str| usage[name].as_f64().ok_or(format!("no {name} in {usage}"));
        // The first token comes out of the pass that reads the prompt.
        self.n_tokens += number("completion_tokens")? - 1.0;
        self.s += number("decode_s")?;
        Ok(answer["text"].as_str().ok_or("an answer has a text")?.to_owned())
    }

    fn rate(&self) -> f64 {
        self.n_tokens / self.s.max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_a_task_count_together() {
        let mut total = Total::default();
        let answer = |n: u32, s: f64| {
            let usage = serde_json::json!({ "completion_tokens": n, "decode_s": s });
            serde_json::json!({ "text": "said", "usage": usage })
        };
        assert_eq!(total.add(&answer(11, 0.5)).expect("told"), "said");
        total.add(&answer(21, 1.0)).expect("told");
        assert_eq!(total.rate(), 20.0);
        assert!(total.add(&serde_json::json!({ "text": "said" })).is_err());
    }
}
