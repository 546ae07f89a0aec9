//! Observations between training steps: held-out loss and samples. They do not affect the weights.

use crate::cli::failure::Failure;
use crate::terminal::progress::Progress;
use crate::train::training::live::Live;
use crate::train::training::report::{self, Facts, State};
use crate::train::training::{Job, export, sample};
use serde_json::{Value, json};
use wright_host::{Count, machine};
use wright_train::HeldOut;

/// What came of something that Ctrl-C may stop.
pub enum Watched<T> {
    Seen(T),
    Stopped,
}

/// `2.345 nats per token, 1.234 bits per byte`
pub fn in_words(loss: f64, bits_per_byte: Option<f64>) -> String {
    let bits = bits_per_byte.map_or(String::new(), |bits| format!(", {bits:.4} bits per byte"));
    format!("{loss:.4} nats per token{bits}")
}

impl Job<'_> {
    /// Scores the beginning of the held-out text, if there is any.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn validate(&mut self, live: &Live) -> Result<(), Failure> {
        let Some(held_out) = self.run.validate(&self.token_bytes) else { return Ok(()) };
        let best = self.folder.history().best().filter(|best| best.loss < held_out.loss());
        let mut object = self.validation(held_out);
        let best_bits = best.map_or(held_out.bits_per_byte(), |best| best.bits_per_byte);
        object["best_bits_per_byte"] = json!(best_bits);
        self.folder.log(&object);
        let step = self.run.trainer.steps_done();
        let said = in_words(held_out.loss(), held_out.bits_per_byte());
        let best = best.map_or(String::new(), |best| format!(" (best at step {})", best.step));
        live.tell(&object, &format!("step {step}: held-out loss {said}{best}"))
    }

    /// Scores all of the held-out text, if there is any, with progress.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn validate_all(&mut self, live: &Live) -> Result<Watched<Option<HeldOut>>, Failure> {
        let Some(data) = self.run.validation() else { return Ok(Watched::Seen(None)) };
        let n_rows = data.n_rows();
        let mut progress = (!self.args.json)
            .then(|| Progress::start("held-out text", n_rows, Count::Things("rows")));
        let interrupt = &self.context.interrupt;
        let held_out = self.run.validate_all(&self.token_bytes, &mut |done, _| {
            progress.iter_mut().for_each(|progress| progress.set(done));
            !interrupt.is_set()
        });
        progress.into_iter().for_each(Progress::finish);
        let Some(held_out) = held_out else { return Ok(Watched::Stopped) };
        let mut object = self.validation(held_out);
        object["all"] = json!(true);
        self.folder.log(&object);
        let said = in_words(held_out.loss(), held_out.bits_per_byte());
        live.tell(&object, &format!("loss on all held-out text: {said}"))?;
        Ok(Watched::Seen(Some(held_out)))
    }

    fn validation(&self, held_out: HeldOut) -> Value {
        json!({
            "step": self.run.trainer.steps_done(),
            "validation_loss": held_out.loss(), "bits_per_byte": held_out.bits_per_byte(),
            "validation_tokens": held_out.n_tokens, "validation_bytes": held_out.n_bytes,
        })
    }

    /// Has the model write, and shows it. What goes wrong on the way is said, and no reason to
    /// stop a training.
    ///
    /// # Errors
    /// If stdout, where JSON goes, cannot be written.
    pub fn sample(&mut self, live: &Live) -> Result<(), Failure> {
        let interrupt = &self.context.interrupt;
        let written = export::write_gguf(&self.folder, self.plan, &self.run)
            .and_then(|path| sample::write(&path, self.plan, &|| interrupt.is_set()));
        let step = self.run.trainer.steps_done();
        match written {
            Err(error) => live.say(&format!("no sample after step {step}: {}", error.what)),
            Ok(samples) if samples.is_empty() => {}
            Ok(samples) => {
                let objects: Vec<Value> = samples.iter().map(sample::Sampled::json).collect();
                let object = json!({ "step": step, "samples": objects });
                self.folder.log(&object);
                live.samples(&object, step, &samples)?;
            }
        }
        Ok(())
    }

    /// The run as things stand.
    pub fn facts<'a>(&'a self, state: State, hashes: &'a [(String, String)]) -> Facts<'a> {
        Facts {
            plan: self.plan,
            folder: &self.folder,
            machine: &self.machine,
            state,
            step: self.run.trainer.steps_done(),
            flops_a_token: self.flops_a_token,
            peak_memory: machine::peak_memory(),
            data_report: self.data_report.as_ref(),
            hashes,
        }
    }

    /// Writes the report. That it cannot be written is said, and no reason to stop a training.
    pub fn report(&self, live: &Live, state: State, hashes: &[(String, String)]) {
        if let Err(error) = report::write(&self.facts(state, hashes)) {
            live.say(&format!("no report: {}", error.what));
        }
    }
}
