//! What this machine and this data tell in a few seconds: small models are trained in earnest,
//! with the recipe of the run to be planned, and the clock and the held-out text are looked at.

use crate::cli::failure::Failure;
use std::time::Instant;
use wright_host::{Interrupt, units};
use wright_train::run_config::{DataConfig, ModelConfig};
use wright_train::sizing::scaling_law::{Observation, effective_tokens};
use wright_train::sizing::shape_of;
use wright_train::sizing::throughput::{Throughput, Work, weights_in_products};
use wright_train::{ModelShape, Run, RunConfig, Shard, recipe};

/// Widths and layers of the small runs, and the part of the time that each may take.
const SMALL: [(usize, usize, f64); 3] = [(64, 2, 0.2), (64, 2, 0.4), (128, 4, 0.4)];
/// Steps that are timed before a run is cut to fit its time.
const FIRST_STEPS: u64 = 3;
/// Steps of a small run at least; and those below which its loss says nothing: it has hardly left
/// where it began.
const STEPS_MIN: u64 = 6;
const STEPS_THAT_TELL: u64 = 60;
/// Steps of the model to be that are timed at most.
const SETTLE_STEPS_MAX: u64 = 1000;

/// What there is to learn from.
pub struct Data<'a> {
    pub train: &'a [Shard],
    pub validation: &'a [Shard],
    /// Bytes of text of each id.
    pub token_bytes: &'a [u32],
    pub threads: usize,
    pub seed: u64,
}

impl Data<'_> {
    pub fn n_vocab(&self) -> usize {
        self.train[0].n_vocab()
    }

    /// Tokens of all shards.
    pub fn n_tokens(&self) -> f64 {
        self.train.iter().map(|shard| shard.n_ids() as f64).sum()
    }

    fn run(&self, shape: &ModelShape, steps: u64, batch: usize) -> Result<Run, Failure> {
        let config = RunConfig {
            model: ModelConfig::of(shape),
            data: DataConfig { train: vec![String::new()], validation: vec![], tokenizer: None },
            train: recipe::train(shape, steps, batch, self.seed),
            forecast: None,
        };
        let (train, validation) = (self.train.to_vec(), self.validation.to_vec());
        Ok(Run::new(&config, shape, train, validation, self.threads)?)
    }
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Steps and the seconds that each took.
    pub steps: Vec<(Work, f64)>,
    pub runs: Vec<Observation>,
}

/// Times `n` steps of a run after one that allocates; the median's seconds.
///
/// # Errors
/// If the run cannot step.
pub fn seconds_of_steps(run: &mut Run, n: u64, interrupt: &Interrupt) -> Result<f64, Failure> {
    let mut all = Vec::new();
    for _ in 0..=n {
        let start = Instant::now();
        step(run, interrupt)?;
        all.push(start.elapsed().as_secs_f64());
    }
    let mut later = all.split_off(1);
    later.sort_by(f64::total_cmp);
    Ok(later[later.len() / 2])
}

fn step(run: &mut Run, interrupt: &Interrupt) -> Result<f64, Failure> {
    if interrupt.is_set() {
        return Err(Failure::interrupted());
    }
    let report = run.step(&|| false)?;
    Ok(report.map_or(f64::NAN, |report| report.loss))
}

/// The small runs, in about `seconds` in all. `tell` hears of each before it begins.
///
/// # Errors
/// If a model cannot be made or trained, or the person stops it.
pub fn small_runs(
    data: &Data<'_>,
    seconds: f64,
    interrupt: &Interrupt,
    tell: &mut dyn FnMut(&str),
) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    for (n_embd, n_layer, part) in SMALL {
        let shape = shape_of(n_embd, n_layer, data.n_vocab());
        let seconds = seconds * part;
        let layers = units::number_of(n_layer as u64, "layer");
        tell(&format!("{layers} of width {n_embd}, about {seconds:.0} s"));
        small_run(data, &shape, seconds, interrupt, &mut measured)?;
    }
    Ok(measured)
}

fn small_run(
    data: &Data<'_>,
    shape: &ModelShape,
    seconds: f64,
    interrupt: &Interrupt,
    measured: &mut Measured,
) -> Result<(), Failure> {
    let start = Instant::now();
    // Tokens are not known before the throughput is, and the batch depends on both: a first guess.
    let mut batch = recipe::batch(2e5, shape.n_ctx);
    let mut first = data.run(shape, FIRST_STEPS + 1, batch)?;
    let mut a_step = seconds_of_steps(&mut first, FIRST_STEPS, interrupt)?;
    drop(first);
    let left = (seconds - start.elapsed().as_secs_f64()).max(0.0);
    let tokens = left / a_step * (batch * shape.n_ctx) as f64;
    let wanted = recipe::batch(tokens, shape.n_ctx);
    a_step *= wanted as f64 / batch as f64;
    batch = wanted;
    let steps = ((left / a_step) as u64).max(STEPS_MIN);
    let mut run = data.run(shape, steps, batch)?;
    let work = Work::of(shape, batch, recipe::OPTIMIZER);
    let timed = seconds_of_steps(&mut run, steps - 1, interrupt)?;
    measured.steps.push((work, timed));
    if steps < STEPS_THAT_TELL {
        return Ok(());
    }
    if let Some(bits) = run.validate(data.token_bytes).and_then(|held| held.bits_per_byte()) {
        let tokens =
            effective_tokens((steps as usize * batch * shape.n_ctx) as f64, data.n_tokens());
        let weights = weights_in_products(shape) as f64;
        measured.runs.push(Observation { weights, tokens, bits_per_byte: bits });
    }
    Ok(())
}

/// The throughput that makes steps of `shape` take what they take here, from about `seconds` of
/// them. It is their mean: a run, too, has steps in which the machine was busy with something else.
///
/// # Errors
/// As [`small_runs`].
pub fn settle(
    data: &Data<'_>,
    (shape, batch): (&ModelShape, usize),
    throughput: Throughput,
    seconds: f64,
    interrupt: &Interrupt,
) -> Result<Throughput, Failure> {
    let work = Work::of(shape, batch, recipe::OPTIMIZER);
    let n = ((seconds / throughput.seconds(work)) as u64).clamp(1, SETTLE_STEPS_MAX);
    let mut run = data.run(shape, n + 1, batch)?;
    // The first allocates.
    step(&mut run, interrupt)?;
    let (start, mut done) = (Instant::now(), 0.0);
    while done == 0.0 || (done < n as f64 && start.elapsed().as_secs_f64() < seconds) {
        step(&mut run, interrupt)?;
        done += 1.0;
    }
    Ok(throughput.scaled_to(work, start.elapsed().as_secs_f64() / done))
}
