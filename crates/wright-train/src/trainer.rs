//! One model being trained: gradients of micro-batches, and the step that uses them.

use crate::Error;
use crate::muon::{MatrixStep, Scratch, even_rows, orthogonal};
use crate::parameters::Parameters;
use crate::tape::{Arena, Tape, check_trainable, rope_tables};
use std::sync::Arc;
use wright_kernels::Pool;
use wright_kernels::backward::{AdamW, RopeTable, adamw, axpy, scale, sum_of_squares};
use wright_model::{Model, Rows, forward};

/// What steps the matrices inside the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    AdamW,
    /// Muon for matrices inside layers, AdamW for embeddings, head and norms.
    Muon,
}

/// Numbers of the optimizer. The rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerOptions {
    pub kind: OptimizerKind,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    /// Of matrices; norms and biases do not decay.
    pub weight_decay: f32,
    /// Gradients longer than this are shortened to it; 0 leaves them.
    pub clip: f32,
    /// Muon's momentum, and the steps over which it rises to that from [`FIRST_MOMENTUM`].
    pub momentum: f32,
    pub momentum_warmup: u64,
    /// Rates of the embedding, of a head of its own, and of norms and biases, as multiples of
    /// that of the matrices.
    pub embedding_rate: f32,
    pub head_rate: f32,
    pub vector_rate: f32,
}

/// Where Muon's momentum begins.
const FIRST_MOMENTUM: f32 = 0.85;

impl Default for OptimizerOptions {
    fn default() -> Self {
        OptimizerOptions {
            kind: OptimizerKind::AdamW,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            clip: 1.0,
            momentum: 0.95,
            momentum_warmup: 0,
            embedding_rate: 1.0,
            head_rate: 1.0,
            vector_rate: 1.0,
        }
    }
}

impl OptimizerOptions {
    /// What the rate of a tensor is multiplied with.
    fn rate_scale(&self, name: &str, n_dims: usize) -> f32 {
        match name {
            _ if n_dims == 1 => self.vector_rate,
            "token_embd.weight" | "position_embd.weight" => self.embedding_rate,
            "output.weight" => self.head_rate,
            _ => 1.0,
        }
    }

    /// Muon's momentum at a step, which counts from 1.
    fn momentum_at(&self, step: u64) -> f32 {
        let part = (step - 1) as f32 / self.momentum_warmup.max(1) as f32;
        let first = FIRST_MOMENTUM.min(self.momentum);
        first + (self.momentum - first) * part.min(1.0)
    }
}

/// Why a step was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The loss or a gradient was not finite.
    NotFinite,
    /// The gradient was over ten times as long as of late, or the loss far higher.
    Spike,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Length of the gradient before clipping.
    pub gradient_norm: f32,
    pub skipped: Option<Skip>,
}

/// Steps in a row that may be skipped before the run is stopped.
const SKIPS_MAX: u32 = 10;
/// Steps before a long gradient counts as a spike.
const SETTLED_STEPS: u64 = 100;
/// A loss so many nats above its running mean is not noise.
const SPIKE_NATS: f64 = 2.0;

/// A model, its optimizer's state, and all memory that a step needs.
pub struct Trainer {
    model: Arc<Model>,
    pub parameters: Parameters,
    gradients: Parameters,
    /// First and second moments; Muon's momentum is in the first.
    pub(crate) moments: [Vec<f32>; 2],
    options: OptimizerOptions,
    /// Which tensors Muon steps.
    is_hidden: Vec<bool>,
    /// What the rate is multiplied with, by tensor.
    rate_scales: Vec<f32>,
    pub(crate) step: u64,
    /// Running mean of the gradient's length, for the guard.
    pub(crate) usual_norm: f32,
    /// The same of the loss.
    pub(crate) usual_loss: f64,
    pub(crate) n_skipped: u32,
    ropes: Vec<RopeTable>,
    arena: Arena,
    scratch: Scratch,
    pool: Pool,
    /// Of the micro-batches since the last step.
    loss: f64,
    recompute: bool,
}

impl Trainer {
    /// `n_ctx` is the longest piece of a document in a batch.
    ///
    /// # Errors
    /// If the model has an operation whose gradient is not known.
    pub fn new(
        model: Arc<Model>,
        parameters: Parameters,
        options: OptimizerOptions,
        n_ctx: usize,
        n_threads: usize,
    ) -> Result<Trainer, Error> {
        check_trainable(&model)?;
        let pool = Pool::new(n_threads);
        let tensors = model.tensors();
        let is_hidden = tensors.iter().map(|t| t.dims.len() == 2 && t.name.starts_with("blk."));
        let n = parameters.values.len();
        let rate_scales = tensors.iter().map(|t| options.rate_scale(&t.name, t.dims.len()));
        Ok(Trainer {
            gradients: Parameters::zeros(&model),
            // Not a clone: memory that is zero from the start is not touched before it is used.
            moments: [vec![0.0; n], vec![0.0; n]],
            is_hidden: is_hidden.collect(),
            rate_scales: rate_scales.collect(),
            step: 0,
            usual_norm: 0.0,
            usual_loss: 0.0,
            n_skipped: 0,
            ropes: rope_tables(&model, n_ctx),
            arena: Arena::default(),
            scratch: Scratch::default(),
            pool,
            loss: 0.0,
            recompute: false,
            model,
            parameters,
            options,
        })
    }

    /// Whether activations are computed again on the way back instead of kept.
    pub fn set_recompute(&mut self, recompute: bool) {
        self.recompute = recompute;
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Steps done so far.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn gradients(&self) -> &Parameters {
        &self.gradients
    }

    /// Adds the gradients of sum(weight × loss) of a micro-batch. All rows of `rows` are scored:
    /// `targets` and `weights` have one entry for each. Returns sum(weight × loss).
    ///
    /// For a mean over several micro-batches, weights are 1 / (tokens of all of them).
    pub fn accumulate(&mut self, rows: &Rows, targets: &[u32], weights: &[f32]) -> f64 {
        let mut tape = Tape::new(
            &self.model,
            &self.pool,
            rows,
            &self.parameters,
            &self.ropes,
            &mut self.arena,
            self.recompute,
        );
        forward(&mut tape, self.model.network());
        let losses = tape.finish(targets, weights, Some(&mut self.gradients));
        let loss = weighted(&losses, weights);
        self.loss += loss;
        loss
    }

    /// The loss of each row, without gradients.
    pub fn losses(&mut self, rows: &Rows, targets: &[u32]) -> Vec<f32> {
        let mut tape = Tape::new(
            &self.model,
            &self.pool,
            rows,
            &self.parameters,
            &self.ropes,
            &mut self.arena,
            true,
        );
        forward(&mut tape, self.model.network());
        tape.finish(targets, &vec![1.0; targets.len()], None)
    }

    /// Updates the weights with the gradients accumulated since the last step, and clears them.
    ///
    /// # Errors
    /// If ten steps in a row had to be skipped.
    pub fn step(&mut self, rate: f32) -> Result<Outcome, Error> {
        let norm = sum_of_squares(&self.pool, &self.gradients.values).sqrt() as f32;
        let skipped = self.guard(norm);
        self.step += 1;
        if skipped.is_none() {
            let clip = self.options.clip;
            let by = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
            self.update(rate, by);
        }
        self.forget_gradients();
        if self.n_skipped >= SKIPS_MAX {
            let why = format!(
                "{SKIPS_MAX} steps in a row had a loss or gradient that was not finite or far too \
                 large; the weights are unchanged. Try a lower learning rate"
            );
            return Err(Error::Diverged(why));
        }
        Ok(Outcome { gradient_norm: norm, skipped })
    }

    /// Gives up what was gathered since the last step.
    pub fn forget_gradients(&mut self) {
        self.gradients.fill(&self.pool, 0.0);
        self.loss = 0.0;
    }

    /// Begins again from `parameters`.
    pub(crate) fn restart(&mut self, parameters: Parameters) {
        self.parameters = parameters;
        self.moments.iter_mut().for_each(|m| m.fill(0.0));
        (self.step, self.n_skipped) = (0, 0);
        (self.usual_norm, self.usual_loss) = (0.0, 0.0);
        self.forget_gradients();
    }

    /// The first or second moments.
    pub fn moment(&self, which: usize) -> &[f32] {
        &self.moments[which]
    }

    /// Bytes that the passes so far needed beside weights, gradients and moments.
    pub fn activation_bytes(&self) -> u64 {
        4 * (self.arena.n_values + self.arena.logits.len()) as u64
    }

    /// Whether the last step was left out.
    pub fn is_skipping(&self) -> bool {
        self.n_skipped > 0
    }

    /// Whether this step would do harm. Its state is part of a checkpoint.
    fn guard(&mut self, norm: f32) -> Option<Skip> {
        let higher = self.loss > self.usual_loss + SPIKE_NATS;
        let spike = self.step >= SETTLED_STEPS && (norm > 10.0 * self.usual_norm || higher);
        let skip = match () {
            () if !norm.is_finite() || !self.loss.is_finite() => Skip::NotFinite,
            () if spike => Skip::Spike,
            () => {
                let keep = if self.step == 0 { 0.0 } else { 0.98 };
                self.usual_norm = self.usual_norm * keep + norm * (1.0 - keep);
                let keep = f64::from(keep);
                self.usual_loss = self.usual_loss * keep + self.loss * (1.0 - keep);
                self.n_skipped = 0;
                return None;
            }
        };
        self.n_skipped += 1;
        Some(skip)
    }

    fn update(&mut self, rate: f32, gradient_scale: f32) {
        let o = self.options;
        let power = |beta: f32| (1.0 - integer_power(f64::from(beta), self.step)) as f32;
        let plain = AdamW {
            rate,
            beta1: o.beta1,
            beta2: o.beta2,
            eps: o.eps,
            weight_decay: 0.0,
            correction1: power(o.beta1),
            correction2: power(o.beta2),
            gradient_scale,
        };
        for index in 0..self.parameters.n_tensors() {
            if o.kind == OptimizerKind::Muon && self.is_hidden[index] {
                self.update_muon(index, rate, gradient_scale);
                continue;
            }
            let range = self.parameters.range(index);
            let decay = if self.parameters.rows(index) > 1 { o.weight_decay } else { 0.0 };
            let rate = rate * self.rate_scales[index];
            let step = AdamW { rate, weight_decay: decay, ..plain };
            let [m, v] = &mut self.moments;
            let w = &mut self.parameters.values[range.clone()];
            let g = &self.gradients.values[range.clone()];
            adamw(&self.pool, &step, w, g, &mut m[range.clone()], &mut v[range]);
        }
    }

    /// Nesterov momentum, made orthogonal, with a length like AdamW's: 0.2 sqrt(larger side)
    /// (Liu et al. 2025, "Muon is scalable", section 2.2), so that one rate serves both.
    fn update_muon(&mut self, index: usize, rate: f32, gradient_scale: f32) {
        let (o, pool) = (self.options, &self.pool);
        let range = self.parameters.range(index);
        let rows = self.parameters.rows(index);
        let cols = range.len() / rows;
        let momentum = o.momentum_at(self.step);
        let g = &mut self.gradients.values[range.clone()];
        let [m, v] = &mut self.moments;
        let (m, v) = (&mut m[range.clone()], &mut v[range.clone()][..rows]);
        scale(pool, gradient_scale, g);
        scale(pool, momentum, m);
        axpy(pool, 1.0 - momentum, g, m);
        scale(pool, 1.0 - momentum, g);
        axpy(pool, momentum, m, g);
        let x = orthogonal(pool, g, rows, cols, &mut self.scratch);
        let lengths = even_rows(pool, x, cols, o.beta2, v);
        let rate_of_all = rate * 0.2 * (rows.max(cols) as f32).sqrt();
        let step =
            MatrixStep { x, lengths: &lengths, rate: rate_of_all, decay: rate * o.weight_decay };
        step.take(pool, &mut self.parameters.values[range]);
    }
}

/// base^n by squaring: no libm.
fn integer_power(mut base: f64, mut n: u64) -> f64 {
    let mut result = 1.0;
    while n > 0 {
        if n & 1 == 1 {
            result *= base;
        }
        base *= base;
        n >>= 1;
    }
    result
}

/// sum(weight × loss), in the order of the rows.
fn weighted(losses: &[f32], weights: &[f32]) -> f64 {
    losses.iter().zip(weights).map(|(&l, &w)| f64::from(l) * f64::from(w)).sum()
}
