//! The history of a run from its log: curves, samples and problems. It is made of
//! the very objects that the log is made of, so a resumed run has its whole past.

use serde_json::Value;

/// A step that was done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub step: u64,
    /// Mean over the step's tokens, in nats.
    pub loss: f64,
    pub rate: f64,
    pub tok_s: f64,
    pub gflop_s: f64,
}

/// How well held-out text was predicted after a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    pub step: u64,
    /// Nats per token.
    pub loss: f64,
    pub bits_per_byte: Option<f64>,
    /// Of all held-out text, not of its beginning.
    pub all: bool,
}

/// What the model wrote after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub step: u64,
    pub prompt: String,
    pub text: String,
    /// Whether the model ended it.
    pub ended: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    pub steps: Vec<Step>,
    pub validations: Vec<Validation>,
    pub samples: Vec<Sample>,
    /// Steps that were left out, and rollbacks, in words.
    pub troubles: Vec<(u64, String)>,
    /// Seconds that the run has taken so far, pauses between its parts not counted.
    pub elapsed_s: f64,
    /// What of them went to steps alone.
    pub steps_s: f64,
}

impl History {
    /// Takes in an object of the log; what it does not know it passes over.
    pub fn note(&mut self, object: &Value) {
        let Some(step) = object["step"].as_u64() else { return };
        let number = |name: &str| object[name].as_f64();
        for (sum, name) in [(&mut self.elapsed_s, "elapsed_s"), (&mut self.steps_s, "steps_s")] {
            *sum = sum.max(number(name).unwrap_or(0.0));
        }
        if let (Some(loss), Some(rate)) = (number("loss"), number("rate")) {
            let [tok_s, gflop_s] = ["tok_s", "gflop_s"].map(|name| number(name).unwrap_or(0.0));
            self.steps.push(Step { step, loss, rate, tok_s, gflop_s });
            if let Some(why) = object["skipped"].as_str() {
                self.troubles.push((step, format!("step {step} was skipped ({why})")));
            }
        } else if let Some(loss) = number("validation_loss")
            && object["done"].is_null()
        {
            let bits_per_byte = number("bits_per_byte");
            let all = object["all"] == true;
            self.validations.push(Validation { step, loss, bits_per_byte, all });
        } else if let Some(from) = object["rolled_back_from"].as_u64() {
            self.forget_after(step);
            let what = format!("the run was rolled back from step {from} to step {step}");
            self.troubles.push((step, what));
        }
        for sample in object["samples"].as_array().into_iter().flatten() {
            let text = |name: &str| sample[name].as_str().unwrap_or_default().to_owned();
            let ended = sample["finish"] == "stop";
            let (prompt, text) = (text("prompt"), text("text"));
            self.samples.push(Sample { step, prompt, text, ended });
        }
    }

    /// Steps that were undone are not part of the curve.
    fn forget_after(&mut self, step: u64) {
        self.steps.retain(|s| s.step <= step);
        self.validations.retain(|v| v.step <= step);
        self.samples.retain(|s| s.step <= step);
    }

    /// The lowest of the validations on the beginning of the held-out text.
    pub fn best(&self) -> Option<Validation> {
        let partial = self.validations.iter().filter(|v| !v.all);
        partial.min_by(|a, b| a.loss.total_cmp(&b.loss)).copied()
    }

    /// The last validation, that of all held-out text if it was made.
    pub fn last(&self) -> Option<Validation> {
        let all = self.validations.iter().rev().find(|v| v.all);
        all.or(self.validations.last()).copied()
    }

    /// The loss, as the mean over the `n` steps around each step.
    pub fn smooth_losses(&self, n: usize) -> Vec<(f64, f64)> {
        let finite = self.steps.iter().filter(|step| step.loss.is_finite());
        let all: Vec<(f64, f64)> = finite.map(|step| (step.step as f64, step.loss)).collect();
        let mean = |part: &[(f64, f64)]| part.iter().map(|p| p.1).sum::<f64>() / part.len() as f64;
        let around = |at: usize| {
            // As many before as after, so that the curve does not lag.
            let reach = (n / 2).min(at).min(all.len() - 1 - at);
            (all[at].0, mean(&all[at - reach..=at + reach]))
        };
        (0..all.len()).map(around).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_log_becomes_curves_samples_and_troubles() {
        let mut history = History::default();
        for step in 1..=4 {
            let skipped = (step == 3).then_some("spike");
            history.note(&json!({
                "step": step, "loss": 8.0 / f64::from(step), "rate": 0.1, "skipped": skipped,
                "elapsed_s": f64::from(step) * 2.0,
            }));
        }
        history.note(&json!({ "step": 2, "validation_loss": 3.0, "bits_per_byte": 1.5 }));
        history.note(&json!({ "step": 4, "validation_loss": 3.5, "bits_per_byte": 1.7 }));
        history.note(&json!({ "step": 4, "validation_loss": 3.6, "all": true }));
        let samples = json!([{ "prompt": "a", "text": "b", "finish": "stop" }]);
        history.note(&json!({ "step": 4, "samples": samples }));
        assert_eq!((history.steps.len(), history.elapsed_s), (4, 8.0));
        assert_eq!(history.best().unwrap().bits_per_byte, Some(1.5));
        assert!(history.last().unwrap().all);
        assert!(history.samples[0].ended);
        assert_eq!(history.troubles.len(), 1);
        let smooth = history.smooth_losses(9);
        assert_eq!(smooth[1], (2.0, (8.0 + 4.0 + 8.0 / 3.0) / 3.0));
        assert_eq!((smooth[0].1, smooth[3].1), (8.0, 2.0), "nothing before, nothing after");
        history.note(&json!({ "step": 2, "rolled_back_from": 4, "rate_scale": 0.5 }));
        assert_eq!((history.steps.len(), history.validations.len()), (2, 1));
        assert_eq!((history.samples.len(), history.troubles.len()), (0, 2));
        history.note(&json!({ "done": true, "step": 2, "validation_loss": 1.0, "loss": 1.0 }));
        assert_eq!((history.steps.len(), history.validations.len()), (2, 1), "no new facts");
    }
}
