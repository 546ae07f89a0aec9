//! A whole training run: which rows and learning rate each step uses, and what happens when the
//! loss diverges. Files, clocks and the terminal belong to the caller.
//!
//! The rows, the rate and so the weights after a step are functions of the configuration and the
//! data alone, whatever was interrupted and resumed on the way.

use crate::batches::{Batches, TokenRows};
use crate::checkpoint::{self, Checkpoint, RollbackState};
use crate::held_out::HeldOut;
use crate::parameters::Parameters;
use crate::shape::ModelShape;
use crate::shard::Shard;
use crate::trainer::{Skip, Trainer};
use crate::{Error, RunConfig, Schedule};
use std::io::Write;
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

/// A return to an earlier state, after a run diverged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rollback {
    /// The steps that are undone: from the last to the one gone back to.
    pub from: u64,
    pub to: u64,
    /// What rates are multiplied with from here on.
    pub rate_scale: f32,
}

/// A training run in progress.
pub struct Run {
    pub trainer: Trainer,
    shape: ModelShape,
    seed: u64,
    train: Batches,
    validation: Option<Batches>,
    schedule: Schedule,
    batch: usize,
    micro_batch: usize,
    rollbacks: RollbackState,
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
            rollbacks: RollbackState::default(),
        })
    }

    pub fn is_done(&self) -> bool {
        self.trainer.steps_done() >= self.schedule.n_steps
    }

    /// What rollbacks have changed so far.
    pub fn rollbacks(&self) -> RollbackState {
        self.rollbacks
    }

    /// Writes the whole state. `config` is the run's configuration as TOML and `data` are the
    /// checksums of its shards: both come back in [`Checkpoint::description`].
    ///
    /// # Errors
    /// If the writer fails, for one because a disk is full.
    pub fn write_checkpoint(
        &self,
        to: &mut dyn Write,
        config: &str,
        data: &[u64],
    ) -> Result<(), Error> {
        checkpoint::write(to, &self.trainer, self.rollbacks, config, data)
    }

    /// Continues from a checkpoint: every step from here on gives the bytes that it would have
    /// given without the interruption.
    ///
    /// # Errors
    /// If it is of another model, or a weight is not finite.
    pub fn restore(&mut self, checkpoint: &Checkpoint<'_>) -> Result<(), Error> {
        checkpoint.restore(&mut self.trainer)?;
        self.rollbacks = checkpoint.description.rollbacks;
        Ok(())
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

    /// Trains on the next rows. `stop` is called between micro-batches; if it returns true, the
    /// step is abandoned without effect and the result is None.
    ///
    /// # Errors
    /// If too many steps in a row failed: see [`Run::roll_back`].
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
        let rate = self.schedule.at(step) * self.rollbacks.rate_scale();
        let outcome = self.trainer.step(rate)?;
        let (gradient_norm, skipped) = (outcome.gradient_norm, outcome.skipped);
        Ok(Some(Report { step: step + 1, loss, rate, gradient_norm, skipped, n_tokens }))
    }

    /// The micro-batches of a step.
    fn rows_of(&self, step: u64) -> Vec<TokenRows> {
        let first = step * self.batch as u64 + self.rollbacks.rows_skipped;
        let starts = (0..self.batch).step_by(self.micro_batch);
        let part = |at: usize| {
            let n = self.micro_batch.min(self.batch - at);
            self.train.shuffled(first + at as u64, n)
        };
        starts.map(part).collect()
    }

    /// Returns to `checkpoint`, or to the start, skips the rows used since then, and halves the
    /// learning rate.
    ///
    /// # Errors
    /// If that was done three times already, or the checkpoint is of another model.
    pub fn roll_back(&mut self, checkpoint: Option<&Checkpoint<'_>>) -> Result<Rollback, Error> {
        let from = self.trainer.steps_done();
        let before = self.rollbacks;
        if before.n_rollbacks >= ROLLBACKS_MAX {
            let why = format!(
                "the loss still diverges after {ROLLBACKS_MAX} rollbacks to an earlier state, \
                 each at half the learning rate"
            );
            return Err(Error::Diverged(why));
        }
        match checkpoint {
            Some(checkpoint) => self.restore(checkpoint)?,
            None => {
                let specs = self.shape.tensors();
                let start = Parameters::initial(self.trainer.model(), &specs, self.seed);
                self.trainer.restart(start);
            }
        }
        let to = self.trainer.steps_done();
        let rate_scale = before.rate_scale() * RATE_AFTER_ROLLBACK;
        let rows_skipped = before.rows_skipped + (from - to) * self.batch as u64;
        self.rollbacks = RollbackState::new(rows_skipped, rate_scale, before.n_rollbacks + 1);
        Ok(Rollback { from, to, rate_scale })
    }

    /// Losses on the first rows of the held-out data, if there is any.
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
