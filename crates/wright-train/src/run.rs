//! A whole training run: which rows each step learns from, at which rate, and what to do when it
//! goes wrong. Files, clocks and the terminal belong to the caller.
//!
//! The rows, the rate and so the weights after a step are functions of the configuration and the
//! data alone, whatever was interrupted and resumed on the way.

use crate::batches::{Batches, TokenRows};
use crate::checkpoint::Checkpoint;
use crate::held_out::HeldOut;
use crate::parameters::Parameters;
use crate::shape::ModelShape;
use crate::shard::Shard;
use crate::trainer::{Skip, Trainer};
use crate::{Error, RunConfig, Schedule};
use std::sync::Arc;

/// Rows of held-out data that tell how a run is going; all of them are scored at its end.
pub const HELD_OUT_ROWS: u64 = 64;
/// A run that went wrong so often is given up.
const ROLLBACKS_MAX: u32 = 3;
/// What the rate is multiplied with when a run is rolled back.
const RATE_AFTER_ROLLBACK: f32 = 0.5;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Steps done, this one included.
    pub step: u64,
    /// Mean over the step's tokens, in nats.
    pub loss: f64,
    pub rate: f32,
    pub gradient_norm: f32,
    pub skipped: Option<Skip>,
    pub n_tokens: usize,
}

/// What the guard did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rollback {
    /// The steps that are undone: from the last to the one gone back to.
    pub from: u64,
    pub to: u64,
    /// What rates are multiplied with from here on.
    pub rate_scale: f32,
}

/// State of a run beside the trainer's: what rollbacks changed.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Detour {
    /// Rows that were left behind.
    pub rows_skipped: u64,
    /// As bits, so that it is exact.
    rate_scale: u32,
    pub n_rollbacks: u32,
}

impl Default for Detour {
    fn default() -> Self {
        Detour { rows_skipped: 0, rate_scale: 1.0f32.to_bits(), n_rollbacks: 0 }
    }
}

impl Detour {
    pub fn rate_scale(&self) -> f32 {
        f32::from_bits(self.rate_scale)
    }
}

/// A run in progress.
pub struct Run {
    pub trainer: Trainer,
    shape: ModelShape,
    seed: u64,
    train: Batches,
    validation: Option<Batches>,
    schedule: Schedule,
    batch: usize,
    micro_batch: usize,
    pub(crate) detour: Detour,
}

impl Run {
    /// The start of the run that `config` describes. Its shards were checked by the caller.
    ///
    /// # Errors
    /// If the model cannot be made, or the shards are of another vocabulary.
    pub fn new(
        config: &RunConfig,
        shape: &ModelShape,
        train: Vec<Shard>,
        validation: Vec<Shard>,
        n_threads: usize,
    ) -> Result<Run, Error> {
        let t = &config.train;
        let rows = |shards| Batches::new(shards, shape.n_vocab, shape.n_ctx, t.seed);
        let train = rows(train)?;
        let validation = (!validation.is_empty()).then(|| rows(validation)).transpose()?;
        let model = Arc::new(shape.skeleton()?);
        let parameters = Parameters::initial(&model, &shape.tensors(), t.seed);
        let trainer = Trainer::new(model, parameters, config.optimizer(), shape.n_ctx, n_threads)?;
        Ok(Run {
            trainer,
            shape: shape.clone(),
            seed: t.seed,
            train,
            validation,
            schedule: config.schedule(),
            batch: t.batch,
            micro_batch: if t.micro_batch == 0 { t.batch } else { t.micro_batch.min(t.batch) },
            detour: Detour::default(),
        })
    }

    pub fn is_done(&self) -> bool {
        self.trainer.steps_done() >= self.schedule.n_steps
    }

    pub fn detour(&self) -> Detour {
        self.detour
    }

    pub fn train(&self) -> &Batches {
        &self.train
    }

    pub fn validation(&self) -> Option<&Batches> {
        self.validation.as_ref()
    }

    /// Rows that are in memory at a time.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch
    }

    /// Learns from the next rows. `stop` is asked between micro-batches; where it says so, the
    /// step is given up as if it had not begun, and None comes back.
    ///
    /// # Errors
    /// If steps went wrong too often in a row: see [`Run::roll_back`].
    pub fn step(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Report>, Error> {
        let step = self.trainer.steps_done();
        let parts = self.rows_of(step);
        let n_tokens: usize = parts.iter().map(|part| part.targets.len()).sum();
        let weights = vec![1.0 / n_tokens as f32; n_tokens];
        let mut loss = 0.0;
        for (index, part) in parts.iter().enumerate() {
            if index > 0 && stop() {
                self.trainer.forget_gradients();
                return Ok(None);
            }
            let n = part.targets.len();
            loss += self.trainer.accumulate(&part.rows, &part.targets, &weights[..n]);
        }
        let rate = self.schedule.at(step) * self.detour.rate_scale();
        let outcome = self.trainer.step(rate)?;
        let (gradient_norm, skipped) = (outcome.gradient_norm, outcome.skipped);
        Ok(Some(Report { step: step + 1, loss, rate, gradient_norm, skipped, n_tokens }))
    }

    /// The micro-batches of a step.
    fn rows_of(&self, step: u64) -> Vec<TokenRows> {
        let first = step * self.batch as u64 + self.detour.rows_skipped;
        let starts = (0..self.batch).step_by(self.micro_batch);
        let part = |at: usize| {
            let n = self.micro_batch.min(self.batch - at);
            self.train.shuffled(first + at as u64, n)
        };
        starts.map(part).collect()
    }

    /// Goes back to `checkpoint`, or to the start, leaves out the rows that were learnt from
    /// since, and halves the rate.
    ///
    /// # Errors
    /// If that was done three times already, or the checkpoint is of another model.
    pub fn roll_back(&mut self, checkpoint: Option<&Checkpoint<'_>>) -> Result<Rollback, Error> {
        let from = self.trainer.steps_done();
        let detour = self.detour;
        if detour.n_rollbacks >= ROLLBACKS_MAX {
            let why = format!(
                "after {ROLLBACKS_MAX} rollbacks to an earlier state, each at half the rate, the \
                 loss still runs away"
            );
            return Err(Error::Diverged(why));
        }
        match checkpoint {
            Some(checkpoint) => checkpoint.restore(self)?,
            None => {
                let specs = self.shape.tensors();
                let start = Parameters::initial(self.trainer.model(), &specs, self.seed);
                self.trainer.restart(start);
            }
        }
        let to = self.trainer.steps_done();
        let rate_scale = detour.rate_scale() * RATE_AFTER_ROLLBACK;
        self.detour = Detour {
            rows_skipped: detour.rows_skipped + (from - to) * self.batch as u64,
            rate_scale: rate_scale.to_bits(),
            n_rollbacks: detour.n_rollbacks + 1,
        };
        Ok(Rollback { from, to, rate_scale })
    }

    /// How well the first rows of the held-out data are foretold, if there are any.
    /// `token_bytes` says how many bytes of text each id stands for.
    pub fn validate(&mut self, token_bytes: &[u32]) -> Option<HeldOut> {
        self.score(HELD_OUT_ROWS, token_bytes, &mut |_, _| true)
    }

    /// The same of all held-out data. `go_on` is told the rows done and to do; where it says no,
    /// None comes back.
    pub fn validate_all(
        &mut self,
        token_bytes: &[u32],
        go_on: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Option<HeldOut> {
        self.score(u64::MAX, token_bytes, go_on)
    }

    fn score(
        &mut self,
        most: u64,
        token_bytes: &[u32],
        go_on: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Option<HeldOut> {
        let data = self.validation.as_ref()?;
        let n_rows = data.n_rows().min(most);
        let mut held_out = HeldOut::default();
        // As many rows as in training, whose buffers fit.
        for first in (0..n_rows).step_by(self.micro_batch) {
            if !go_on(first, n_rows) {
                return None;
            }
            let part = data.in_order(first, self.micro_batch.min((n_rows - first) as usize));
            let losses = self.trainer.losses(&part.rows, &part.targets);
            held_out.add(&part.targets, &losses, token_bytes);
        }
        Some(held_out)
    }
}
