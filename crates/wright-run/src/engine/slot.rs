//! One sequence of the session: what it holds, and the job that it works on.

use super::draft::{Drafter, RowCost};
use super::{Goal, Job, Step, logprobs};
use crate::LogSoftmax;
use std::sync::atomic::Ordering;
use wright_chat::{Error, ErrorKind};
use wright_model::{SeqId, Want};

/// A sequence and its job, if it has one.
pub(super) struct Slot {
    pub seq: SeqId,
    /// The ids that the cache holds; kept after a job ends, for the next one that begins alike.
    pub held: Vec<u32>,
    /// When it was last given a job.
    pub turn: u64,
    /// Tokens of its last prompt, of which blocks are yet to be kept for other processes.
    pub n_unkept: usize,
    /// Tokens of it that were in the cache or the store already.
    pub n_found: usize,
    pub work: Option<Work>,
}

/// A job in progress.
pub(super) struct Work {
    job: Job,
    /// Ids of the prompt that are still to be read, from this index on; past its end, one sampled
    /// id is to be read.
    next: usize,
    sampled: Option<u32>,
    n_generated: usize,
    /// Guesses what comes next, where that is wanted.
    drafter: Option<Drafter>,
}

impl Work {
    /// `n_held` ids of the prompt are in the cache. With `drafts`, several tokens of the answer
    /// may be tried in one pass, at this cost.
    pub fn new(job: Job, n_held: usize, drafts: Option<RowCost>) -> Self {
        let writes = matches!(job.goal, Goal::Generate { .. });
        let drafter = drafts.filter(|_| writes).map(|cost| Drafter::new(&job.ids, cost));
        Work { job, next: n_held, sampled: None, n_generated: 0, drafter }
    }

    /// The sampled token and what may follow it, at most `room` tokens in all.
    fn draft(&mut self, id: u32, room: usize) -> (Vec<u32>, Want) {
        let mut ids = vec![id];
        if let (Some(drafter), Goal::Generate { max_tokens, .. }) =
            (&mut self.drafter, &self.job.goal)
        {
            let left = max_tokens.saturating_sub(self.n_generated).min(room);
            ids.extend(drafter.propose(left.saturating_sub(1)));
        }
        (ids, Want::All)
    }
}

impl Slot {
    pub fn new(seq: SeqId) -> Self {
        Slot { seq, held: Vec::new(), turn: 0, n_unkept: 0, n_found: 0, work: None }
    }

    /// Ids at the start that the cache holds already.
    pub fn shared(&self, ids: &[u32]) -> usize {
        self.held.iter().zip(ids).take_while(|(a, b)| a == b).count()
    }

    pub fn drop_if_cancelled(&mut self) {
        if self.work.as_ref().is_some_and(|w| w.job.cancelled.load(Ordering::Relaxed)) {
            self.work = None;
        }
    }

    pub fn fail(&mut self, error: Error) {
        if let Some(work) = self.work.take() {
            // A caller that has gone away needs no error.
            let _ = work.job.steps.send(Step::Failed(error));
        }
    }

    /// Whether it still reads what the caller gave.
    pub fn is_reading(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.sampled.is_none())
    }

    /// What the next pass computes for this slot: the sampled token and, up to `room` tokens of
    /// the context, what may follow it; or at most `n_read` of the prompt, or `n_score` if their
    /// logits are wanted.
    pub fn piece(
        &mut self,
        n_read: usize,
        n_score: usize,
        room: usize,
    ) -> Option<(Vec<u32>, Want)> {
        let work = self.work.as_mut()?;
        if let Some(id) = work.sampled {
            return Some(work.draft(id, room));
        }
        let ids = &work.job.ids;
        let to = |n: usize| ids.len().min(work.next + n);
        let (end, want) = match work.job.goal {
            Goal::Generate { .. } if to(n_read) == ids.len() => (ids.len(), Want::Last),
            Goal::Generate { .. } => (to(n_read), Want::None),
            // The row of an id tells about the next one.
            Goal::Score { from } if to(n_read) < from => (to(n_read), Want::None),
            Goal::Score { from } => {
                let first = from.saturating_sub(1).max(work.next);
                (to(first - work.next + n_score), Want::From(first - work.next))
            }
            // Done when it was admitted.
            Goal::Embed | Goal::Classify { .. } => return None,
            #[cfg(test)]
            Goal::Panic => panic!("as the test asked"),
        };
        Some((ids[work.next..end].to_vec(), want))
    }

    /// Takes the logits of the piece that was read. Returns how many of its tokens stay.
    pub fn advance(&mut self, read: &[u32], rows: &[&[f32]], n_ctx: usize) -> usize {
        let n_before = self.held.len();
        self.held.extend_from_slice(read);
        let Some(work) = &mut self.work else { return read.len() };
        let was_prompt = work.sampled.is_none();
        if was_prompt {
            work.next += read.len();
        }
        let mut n_kept = read.len();
        let goes_on = match &work.job.goal {
            Goal::Generate { .. } if was_prompt => {
                work.send(Step::Prefill(work.next))
                    && rows.last().is_none_or(|row| work.generate(row, n_before + n_kept, n_ctx))
            }
            Goal::Generate { .. } => {
                let goes_on;
                (goes_on, n_kept) = work.check_draft(read, rows, n_before, n_ctx);
                goes_on
            }
            Goal::Score { .. } => work.score(rows),
            Goal::Embed | Goal::Classify { .. } => false,
            #[cfg(test)]
            Goal::Panic => false,
        };
        if !goes_on {
            self.work = None;
        }
        self.held.truncate(n_before + n_kept);
        n_kept
    }
}

impl Work {
    /// Whether anyone still listens.
    fn send(&self, step: Step) -> bool {
        self.job.steps.send(step).is_ok()
    }

    /// Samples from row after row as long as what was read next is what is sampled. Returns
    /// whether the job goes on, and how many tokens of `read` are part of the answer.
    fn check_draft(
        &mut self,
        read: &[u32],
        rows: &[&[f32]],
        n_before: usize,
        n_ctx: usize,
    ) -> (bool, usize) {
        let (mut n_kept, mut goes_on) = (0, true);
        for row in rows {
            n_kept += 1;
            goes_on = self.generate(row, n_before + n_kept, n_ctx);
            if !goes_on || read.get(n_kept).copied() != self.sampled {
                break;
            }
        }
        let n_proposed = read.len() - 1;
        if let Some(drafter) = &mut self.drafter
            && n_proposed > 0
        {
            drafter.learn(n_kept - 1);
            goes_on &= self.send(Step::Drafted { proposed: n_proposed, accepted: n_kept - 1 });
        }
        (goes_on, n_kept)
    }

    /// Samples the next id; the cache holds `n_held`. Returns whether the job goes on.
    fn generate(&mut self, logits: &[f32], n_held: usize, n_ctx: usize) -> bool {
        let Goal::Generate { sampler, max_tokens, top } = &mut self.job.goal else { return false };
        if self.n_generated >= *max_tokens {
            self.send(Step::End);
            return false;
        }
        let id = match sampler.sample(logits) {
            Ok(id) => id,
            Err(error) => {
                self.send(Step::Failed(Error::new(ErrorKind::BadModel, error.to_string())));
                return false;
            }
        };
        sampler.accept(id);
        if let Some(drafter) = &mut self.drafter {
            drafter.push(id);
        }
        let logprobs = top.and_then(|top| logprobs(logits, id, top));
        self.n_generated += 1;
        self.sampled = Some(id);
        let is_last = self.n_generated == *max_tokens || n_held >= n_ctx;
        let heard = self.send(Step::Token { id, logprobs });
        if is_last {
            self.send(Step::End);
        }
        heard && !is_last
    }

    /// Tells how likely the ids after the rows were. Returns whether the job goes on.
    fn score(&mut self, rows: &[&[f32]]) -> bool {
        let first = self.next - rows.len();
        for (row, logits) in rows.iter().enumerate() {
            let Some(&id) = self.job.ids.get(first + row + 1) else { break };
            let Some(softmax) = LogSoftmax::of(logits) else {
                let what = "the model's logits hold no finite number";
                self.send(Step::Failed(Error::new(ErrorKind::BadModel, what)));
                return false;
            };
            let logprob = softmax.logprob(logits[id as usize]) as f32;
            if !self.send(Step::Scored { logprob, greedy: softmax.best == id }) {
                return false;
            }
        }
        let goes_on = self.next < self.job.ids.len();
        if !goes_on {
            self.send(Step::End);
        }
        goes_on
    }
}
