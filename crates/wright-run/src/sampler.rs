//! Sampling: from logits to the ID of the next token.
//!
//! The stages, in this order:
//!
//! 1. **Bias.** `logit_bias` is added to the logits that it names.
//! 2. **Repetition penalty.** For each token that occurs in the window (the last `penalty_window`
//!    tokens of prompt and answer together), a positive logit is divided by it and any other is
//!    multiplied by it, once, however often the token occurs.
//! 3. **Presence and frequency penalty.** For each token in the window, the presence penalty is
//!    subtracted once and the frequency penalty as often as the token occurs.
//! 4. **Greedy.** At temperature 0 the most likely token is taken, the lowest ID among equals, and
//!    no random number is used.
//! 5. **Top-k.** The k most likely stay; among equals at the edge, those of lower id.
//! 6. **Top-p.** With probabilities at temperature 1 over what top-k left, the shortest list of
//!    most likely tokens stays whose sum reaches `top_p`: at least one.
//! 7. **Min-p.** Tokens stay whose probability is at least `min_p` times that of the most likely.
//! 8. **Temperature.** Logits are divided by it. Coming last, it shapes what is left and never
//!    brings an unlikely token back.
//! 9. **Draw.** With the tokens left in ascending order of id, the first one whose cumulative
//!    probability exceeds the next number of the seed is taken.
//!
//! The n-th draw depends on the seed, n and the logits alone ([`crate::philox`]). There is no full
//! sort of the vocabulary: top-k keeps a list of at most 2k, and top-p sorts only the head that it
//! needs.

use crate::options::Sampling;
use crate::philox::uniform;
use crate::softmax::argmax;
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;
use wright_kernels::math::{exp_f64, ln};
use wright_kernels::sum_exp_f64;

/// The model's logits cannot be sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SampleError {
    #[error("the model's logits contain no finite number to choose a token from")]
    NotFinite,
    #[error("the model produced {got} logits for a vocabulary of {n_vocab} tokens")]
    Width { got: usize, n_vocab: u32 },
}

/// Picks tokens by the stages above.
///
/// ```
/// use wright_run::{Sampler, Sampling};
///
/// let greedy = Sampling { temperature: 0.0, repetition_penalty: 4.0, ..Sampling::default() };
/// let mut sampler = Sampler::new(greedy, 3);
/// let logits = [0.5, 2.0, 1.0];
/// assert_eq!(sampler.sample(&logits)?, 1);
/// sampler.accept(1); // from now on, its logit is 2.0 / 4.0
/// assert_eq!(sampler.sample(&logits)?, 2);
/// # Ok::<(), wright_run::SampleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    n_vocab: u32,
    /// The last `penalty_window` tokens, oldest first.
    window: VecDeque<u32>,
    /// How often each token occurs in the window.
    counts: BTreeMap<u32, u32>,
    draws: u64,
    adjusted: Vec<f32>,         // (V), used when a stage changes logits
    candidates: Vec<Candidate>, // (≤ V), what the cuts leave
    weights: Vec<f64>,          // (candidates), unnormalised probabilities
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
}

impl Candidate {
    /// Most likely first; among equals the lower ID first. Logits here are never NaN.
    fn rank(&self, other: &Candidate) -> Ordering {
        let by_logit = other.logit.partial_cmp(&self.logit).unwrap_or(Ordering::Equal);
        by_logit.then(self.id.cmp(&other.id))
    }
}

impl Sampler {
    /// A sampler that has seen nothing yet, for rows of `n_vocab` logits.
    pub fn new(sampling: Sampling, n_vocab: u32) -> Self {
        Sampler {
            sampling,
            n_vocab,
            window: VecDeque::new(),
            counts: BTreeMap::new(),
            draws: 0,
            adjusted: Vec::new(),
            candidates: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// Records a token of the prompt or of the answer for the penalties.
    pub fn accept(&mut self, id: u32) {
        if !self.sampling.penalises() {
            return;
        }
        if self.window.len() == self.sampling.penalty_window as usize
            && let Some(oldest) = self.window.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.window.push_back(id);
        *self.counts.entry(id).or_insert(0) += 1;
    }

    /// The next token for a row of logits (V). What it returns is *not* yet accepted.
    ///
    /// # Errors
    /// If the row has another length than the vocabulary, or holds NaN or +∞ or nothing finite.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32, SampleError> {
        let n_vocab = self.n_vocab;
        if logits.len() != n_vocab as usize {
            return Err(SampleError::Width { got: logits.len(), n_vocab });
        }
        let adjusted = std::mem::take(&mut self.adjusted);
        let adjusted = self.adjust(logits, adjusted);
        let row = if adjusted.is_empty() { logits } else { &adjusted };
        let picked = self.pick(row);
        self.adjusted = adjusted;
        picked
    }

    fn pick(&mut self, row: &[f32]) -> Result<u32, SampleError> {
        let (best, max) = argmax(row).ok_or(SampleError::NotFinite)?;
        if self.sampling.temperature == 0.0 {
            return Ok(best);
        }
        self.cut(row, max);
        let temperature = f64::from(self.sampling.temperature);
        self.weights.clear();
        self.weights.extend(
            self.candidates
                .iter()
                .map(|c| exp_f64((f64::from(c.logit) - f64::from(max)) / temperature)),
        );
        let total: f64 = self.weights.iter().sum();
        let aim = uniform(self.sampling.seed, self.draws) * total;
        self.draws += 1;
        let mut sum = 0.0;
        for (candidate, &weight) in self.candidates.iter().zip(&self.weights) {
            sum += weight;
            if sum > aim {
                return Ok(candidate.id);
            }
        }
        // The sum is the very one that `total` is, so the loop ends unless nothing has weight.
        Ok(best)
    }

    /// Stages 1 to 3 into `buffer`, which stays empty if no logit changes.
    fn adjust(&self, logits: &[f32], mut buffer: Vec<f32>) -> Vec<f32> {
        buffer.clear();
        let s = &self.sampling;
        if s.logit_bias.is_empty() && self.counts.is_empty() {
            return buffer;
        }
        buffer.extend_from_slice(logits);
        for &(id, bias) in &s.logit_bias {
            if let Some(logit) = buffer.get_mut(id as usize) {
                *logit += bias;
            }
        }
        for (&id, &count) in &self.counts {
            let Some(logit) = buffer.get_mut(id as usize) else { continue };
            if *logit > 0.0 {
                *logit /= s.repetition_penalty;
            } else {
                *logit *= s.repetition_penalty;
            }
            *logit -= s.presence_penalty + s.frequency_penalty * count as f32;
        }
        buffer
    }

    /// Stages 5 to 7: leaves in `candidates` what may be drawn, in ascending order of id.
    fn cut(&mut self, row: &[f32], max: f32) {
        let n_vocab = row.len();
        let k = match self.sampling.top_k as usize {
            0 => n_vocab,
            k => k.min(n_vocab),
        };
        let (top_p, min_p) = (f64::from(self.sampling.top_p), self.sampling.min_p);
        // exp(l − max) ≥ min_p, as a bound on the logit that needs no exp.
        let floor = if min_p > 0.0 { f64::from(max) + ln(f64::from(min_p)) } else { f64::MIN };
        let list = &mut self.candidates;
        list.clear();
        let mass = if k < n_vocab {
            take_top_k(row, k, list);
            list.sort_unstable_by(Candidate::rank);
            list.iter().map(|c| exp_f64(f64::from(c.logit) - f64::from(max))).sum()
        } else {
            list.extend((0..).zip(row).map(|(id, &logit)| Candidate { id, logit }));
            if top_p < 1.0 { sum_exp_f64(row, max) } else { 0.0 }
        };
        list.retain(|c| f64::from(c.logit) >= floor && c.logit > f32::NEG_INFINITY);
        if top_p < 1.0 {
            keep_head(list, max, top_p * mass);
        }
        list.sort_unstable_by_key(|c| c.id);
    }
}

/// The `k` candidates of first rank, in no order. The list never grows beyond 2k or 512.
fn take_top_k(row: &[f32], k: usize, list: &mut Vec<Candidate>) {
    let room = (2 * k).max(512);
    let mut bar = f32::NEG_INFINITY; // what the k-th of those seen so far has
    for (id, &logit) in (0..).zip(row) {
        // A later id loses against an equal logit, so only a larger one can enter.
        if logit > bar {
            list.push(Candidate { id, logit });
            if list.len() == room {
                list.select_nth_unstable_by(k - 1, Candidate::rank);
                list.truncate(k);
                bar = list[k - 1].logit;
            }
        }
    }
    if list.len() > k {
        list.select_nth_unstable_by(k - 1, Candidate::rank);
        list.truncate(k);
    }
}

/// Cuts `list` to its shortest head by rank whose Σ exp(l − max) reaches `mass`, at least one. It
/// sorts 64 of them, then four times as many, and so on.
fn keep_head(list: &mut Vec<Candidate>, max: f32, mass: f64) {
    let (mut sorted, mut sum, mut step) = (0, 0.0, 64);
    while sorted < list.len() {
        let rest = &mut list[sorted..];
        let n = step.min(rest.len());
        if n < rest.len() {
            rest.select_nth_unstable_by(n - 1, Candidate::rank);
        }
        rest[..n].sort_unstable_by(Candidate::rank);
        for (i, candidate) in rest[..n].iter().enumerate() {
            sum += exp_f64(f64::from(candidate.logit) - f64::from(max));
            if sum >= mass {
                list.truncate(sorted + i + 1);
                return;
            }
        }
        sorted += n;
        step *= 4;
    }
}

#[cfg(test)]
mod tests;
