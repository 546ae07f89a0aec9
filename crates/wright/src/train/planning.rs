//! A plan: what this machine can learn from these data in the time given, and what that takes, as
//! a configuration that `wright train` runs.
//!
//! The arithmetic is that of `wright_train::sizing`; here are the clock, the files and the words.

mod measure;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::terminal;
use crate::train::packed::Packed;
use measure::{Data, Measured};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use wright_host::{Interrupt, atomic_file, machine, units};
use wright_train::run_config::{Forecast, ModelConfig};
use wright_train::sizing::scaling_law::PRIOR;
use wright_train::sizing::throughput::{Throughput, weights_in_products};
use wright_train::sizing::{Budget, SizedRun, choose, predict};
use wright_train::{HELD_OUT_ROWS, RunConfig, Shard, recipe};

/// What a plan is made for.
pub struct Wanted {
    /// Seconds of training.
    pub seconds: f64,
    pub threads: Option<usize>,
    pub seed: u64,
    /// Whether this very process is to train, too: its peak of memory is then that of both.
    pub trains_here: bool,
}

/// A plan, and what it rests on.
pub struct Made {
    pub config: RunConfig,
    choice: SizedRun,
    measured: Measured,
    tokens: f64,
}

/// Part of the time that measuring may take, with its least and most in seconds.
const MEASURING: (f64, f64, f64) = (0.03, 3.0, 60.0);
/// The same of timing the model to be.
const SETTLING: (f64, f64, f64) = (0.015, 2.0, 20.0);
/// Memory that the process has beside what training needs: its code and its files' pages.
const BASE_BYTES: u64 = 16 << 20;

/// Measures and chooses. Paths in the configuration start at `folder`.
///
/// # Errors
/// If the data cannot be learnt from, or the person stops it.
pub fn make(
    data: &Packed,
    wanted: &Wanted,
    folder: &Path,
    interrupt: &Interrupt,
) -> Result<Made, Failure> {
    let threads = wanted.threads.unwrap_or_else(machine::usable_processors);
    let (train, validation) = data.shards()?;
    let token_bytes = data.token_bytes();
    let material = Data {
        train: &train,
        validation: &validation,
        token_bytes: &token_bytes,
        threads,
        seed: wanted.seed,
    };
    let (part, least, most) = MEASURING;
    let seconds = (wanted.seconds * part).clamp(least, most);
    let tell = |what: &str| terminal::note(&format!("measuring: {what}"));
    let measured = measure::small_runs(&material, seconds, interrupt, &mut { tell })?;
    let throughput = Throughput::fit(&measured.steps).unwrap_or(FALLBACK);
    let law = PRIOR.fitted(&measured.runs);
    let budget = Budget {
        seconds: wanted.seconds * STEPS_PART,
        tokens: material.n_tokens(),
        n_vocab: material.n_vocab(),
        memory_bytes: machine::available_memory().unwrap_or(u64::MAX) / 2,
    };
    let first = choose(&budget, &throughput, &law).ok_or_else(|| {
        Failure::new(Exit::Failed, "not even the smallest model fits into this machine's memory")
            .hint("close other programs and try again")
    })?;
    tell(&format!(
        "steps of the planned model, {} of width {}",
        units::number_of(first.shape.n_layer as u64, "layer"),
        first.shape.n_embd
    ));
    let model = (&first.shape, first.batch);
    let seconds = (wanted.seconds * SETTLING.0).clamp(SETTLING.1, SETTLING.2);
    let throughput = measure::settle(&material, model, throughput, seconds, interrupt)?;
    let held_out: usize = validation.iter().map(Shard::n_ids).sum();
    let beside = seconds_beside(&predict(&budget, &first.shape, &throughput, &law), held_out);
    let budget = Budget { seconds: (wanted.seconds - beside).max(wanted.seconds / 2.0), ..budget };
    let choice = predict(&budget, &first.shape, &throughput, &law);
    let bytes_a_token = bytes_a_token(&validation, &token_bytes);
    let so_far = if wanted.trains_here { machine::peak_memory() } else { None };
    let config = RunConfig {
        model: ModelConfig::of(&choice.shape),
        data: data.config(folder)?,
        train: recipe::train(&choice.shape, choice.steps, choice.batch, wanted.seed),
        forecast: Some(forecast(&choice, bytes_a_token, so_far.unwrap_or(0))),
    };
    Ok(Made { config, choice, measured, tokens: budget.tokens })
}

/// Part of the time that steps take, as long as nothing better is known.
const STEPS_PART: f64 = 0.97;
/// Seconds that a sample and a checkpoint of a small model take.
const SECONDS_OF_A_LOOK: f64 = 0.1;

/// Seconds of a run that go to held-out losses, samples and checkpoints. A held-out token is a
/// forward pass, a third of a token of training.
fn seconds_beside(choice: &SizedRun, held_out_tokens: usize) -> f64 {
    let (all, n_ctx) = (held_out_tokens as f64, choice.shape.n_ctx as f64);
    let looks = recipe::LOOKS as f64;
    let tokens = looks * all.min(HELD_OUT_ROWS as f64 * n_ctx) + all;
    tokens / 3.0 * choice.seconds / choice.tokens() + looks * SECONDS_OF_A_LOOK
}

/// A slow core's, where nothing could be timed.
const FALLBACK: Throughput = Throughput { seconds_per_flop: 2e-11, seconds_per_value: 1e-9 };

/// `bytes_a_token`: of held-out text, if there is any. `so_far`: what this process, which the run
/// is to be part of, had of memory at its peak.
fn forecast(choice: &SizedRun, bytes_a_token: Option<f64>, so_far: u64) -> Forecast {
    let bits = bytes_a_token.map(|_| choice.bits_per_byte);
    let nats = std::f64::consts::LN_2;
    Forecast {
        seconds: round(choice.seconds, 1.0),
        memory_bytes: (choice.memory.bytes() + BASE_BYTES).max(so_far),
        flops: round(choice.flops(), 1e-9),
        bits_per_byte: bits.map(|bits| round(bits, 1e3)),
        validation_loss: bytes_a_token.map(|n| round(choice.bits_per_byte * n * nats, 1e3)),
    }
}

/// Of the tokens that are predicted in `shards`, if there are any.
fn bytes_a_token(shards: &[Shard], token_bytes: &[u32]) -> Option<f64> {
    let docs = shards.iter().flat_map(|shard| (0..shard.n_docs()).map(move |doc| (shard, doc)));
    let (mut n, mut bytes) = (0u64, 0u64);
    for (shard, doc) in docs {
        for at in shard.doc(doc).skip(1) {
            n += 1;
            bytes += u64::from(token_bytes[shard.id(at) as usize]);
        }
    }
    (n > 0 && bytes > 0).then(|| bytes as f64 / n as f64)
}

fn round(x: f64, by: f64) -> f64 {
    (x * by).round() / by
}

impl Made {
    /// Writes the configuration.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, out: &Path) -> Result<(), Failure> {
        let text = self.config.to_toml()?;
        let text = format!("# Written by `wright plan`; you may change every number.\n\n{text}");
        Ok(atomic_file::replace(out, |to| to.write_all(text.as_bytes()))?)
    }

    /// What the person reads.
    pub fn words(&self) -> String {
        let (c, s, forecast) = (&self.choice, &self.choice.shape, self.config.forecast);
        let mut said = format!(
            "model    {} parameters: {}, {} of width {}, vocabulary of {}\n\
             steps    {} of {} rows of {}: {} tokens, {:.2} times the data\n\
             time     {}\n\
             memory   {}\n",
            units::count(s.n_parameters() as u64),
            s.family.name(),
            units::number_of(s.n_layer as u64, "layer"),
            s.n_embd,
            s.n_vocab,
            c.steps,
            c.batch,
            s.n_ctx,
            units::count(c.tokens() as u64),
            c.tokens() / self.tokens,
            units::seconds(c.seconds),
            units::bytes(forecast.map_or(0, |f| f.memory_bytes)),
        );
        match forecast.and_then(|f| Some((f.bits_per_byte?, f.validation_loss?))) {
            Some((bits, loss)) => {
                let _ = write!(said, "loss     {bits:.3} bits per byte of held-out text");
                let _ = writeln!(said, " ({loss:.3} nats per token)");
            }
            None => said.push_str("loss     no prediction: there is no held-out text\n"),
        }
        said
    }

    pub fn object(&self) -> Value {
        let (c, s) = (&self.choice, &self.choice.shape);
        let runs = self.measured.runs.iter().map(|run| {
            json!({
                "weights": run.weights, "tokens": run.tokens, "bits_per_byte": run.bits_per_byte,
            })
        });
        let forecast = self.config.forecast;
        json!({
            "parameters": s.n_parameters(), "weights_in_products": weights_in_products(s),
            "family": s.family.name(), "n_layer": s.n_layer, "n_embd": s.n_embd,
            "n_vocab": s.n_vocab, "n_ctx": s.n_ctx, "steps": c.steps, "batch": c.batch,
            "tokens": c.tokens(), "epochs": c.tokens() / self.tokens, "seconds": c.seconds,
            "memory_bytes": forecast.map(|f| f.memory_bytes), "flops": c.flops(),
            "bits_per_byte": forecast.and_then(|f| f.bits_per_byte),
            "validation_loss": forecast.and_then(|f| f.validation_loss),
            "small_runs": runs.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wright_train::memory::Memory;
    use wright_train::sizing::shape_of;

    #[test]
    fn looks_at_held_out_text_take_a_third_of_what_steps_take() {
        let shape = shape_of(64, 2, 1024);
        let memory = Memory::forecast(&shape, 8, false);
        // A millisecond a token.
        let choice =
            SizedRun { shape, batch: 8, steps: 100, seconds: 204.8, bits_per_byte: 2.0, memory };
        let of_looks = 10.0 * SECONDS_OF_A_LOOK;
        assert_eq!(seconds_beside(&choice, 0), of_looks);
        // Short enough to be scored whole at each of the ten looks and at the end.
        let short = seconds_beside(&choice, 3_000) - of_looks;
        assert!((short - 11.0 * 1.0).abs() < 1e-9, "{short}");
        // Of a long one the looks see 64 rows of 256.
        let long = seconds_beside(&choice, 300_000) - of_looks;
        assert!((long - (163.84 + 300.0) / 3.0).abs() < 1e-9, "{long}");
    }
}
