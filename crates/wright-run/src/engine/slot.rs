//! One sequence of the session: what it holds, and the request that it works on.

use super::loop_detector::LoopDetector;
use super::prompt_lookup::{PromptLookup, RowCost};
use super::{End, EngineEvent, EngineRequest, Task, logprobs};
use crate::LogSoftmax;
use std::sync::atomic::Ordering;
use wright_chat::{Error, ErrorKind};
use wright_model::{SeqId, Want};

/// A sequence and its request, if it has one.
pub(super) struct Slot {
    pub seq: SeqId,
    /// The ids that the cache holds; kept after a request ends, for one that starts with them.
    pub held: Vec<u32>,
    /// When it was last given a request.
    pub last_used: u64,
    /// Tokens of its last prompt, of which blocks are yet to be kept for other processes.
    pub n_unkept: usize,
    /// Tokens of it that were in the cache or the store already.
    pub n_found: usize,
    pub active: Option<ActiveRequest>,
}

/// A request in progress.
pub(super) struct ActiveRequest {
    request: EngineRequest,
    /// Ids of the prompt that are still to be read, from this index on; past its end, one sampled
    /// id is to be read.
    next: usize,
    sampled: Option<u32>,
    n_generated: usize,
    /// Drafts what comes next, if speculative decoding is on.
    lookup: Option<PromptLookup>,
    /// Watches the answer, if a loop is to end it.
    loops: Option<LoopDetector>,
}

impl ActiveRequest {
    /// `n_held` ids of the prompt are in the cache. With `speculative`, several tokens of an answer
    /// may be verified in one pass, at this cost.
    pub fn new(request: EngineRequest, n_held: usize, speculative: Option<RowCost>) -> Self {
        let (writes, stop_loops) = match request.task {
            Task::Generate { stop_loops, .. } => (true, stop_loops),
            _ => (false, false),
        };
        let lookup = speculative.filter(|_| writes);
        ActiveRequest {
            lookup: lookup.map(|cost| PromptLookup::new(&request.ids, cost)),
            loops: stop_loops.then(LoopDetector::default),
            request,
            next: n_held,
            sampled: None,
            n_generated: 0,
        }
    }

    /// The sampled token and what may follow it, at most `room` tokens in all.
    fn draft(&mut self, id: u32, room: usize) -> (Vec<u32>, Want) {
        let mut ids = vec![id];
        if let (Some(lookup), Task::Generate { max_tokens, .. }) =
            (&mut self.lookup, &self.request.task)
        {
            let left = max_tokens.saturating_sub(self.n_generated).min(room);
            ids.extend(lookup.propose(left.saturating_sub(1)));
        }
        (ids, Want::All)
    }
}

impl Slot {
    pub fn new(seq: SeqId) -> Self {
        Slot { seq, held: Vec::new(), last_used: 0, n_unkept: 0, n_found: 0, active: None }
    }

    /// Ids at the start that the cache holds already.
    pub fn shared(&self, ids: &[u32]) -> usize {
        self.held.iter().zip(ids).take_while(|(a, b)| a == b).count()
    }

    pub fn drop_if_cancelled(&mut self) {
        if self.active.as_ref().is_some_and(|w| w.request.cancelled.load(Ordering::Relaxed)) {
            self.active = None;
        }
    }

    pub fn fail(&mut self, error: Error) {
        if let Some(active) = self.active.take() {
            // A caller that has gone away needs no error.
            let _ = active.request.events.send(EngineEvent::Failed(error));
        }
    }

    /// Whether it still reads what the caller gave.
    pub fn is_reading(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.sampled.is_none())
    }

    /// What the next pass computes for this slot: the sampled token and, up to `room` tokens of
    /// the context, what may follow it; or at most `n_read` of the prompt, or `n_score` if their
    /// logits are wanted.
    pub fn chunk(
        &mut self,
        n_read: usize,
        n_score: usize,
        room: usize,
    ) -> Option<(Vec<u32>, Want)> {
        let active = self.active.as_mut()?;
        if let Some(id) = active.sampled {
            return Some(active.draft(id, room));
        }
        let ids = &active.request.ids;
        let to = |n: usize| ids.len().min(active.next + n);
        let (end, want) = match active.request.task {
            Task::Generate { .. } if to(n_read) == ids.len() => (ids.len(), Want::Last),
            Task::Generate { .. } => (to(n_read), Want::None),
            // The row of an id tells about the next one.
            Task::Score { from } if to(n_read) < from => (to(n_read), Want::None),
            Task::Score { from } => {
                let first = from.saturating_sub(1).max(active.next);
                (to(first - active.next + n_score), Want::From(first - active.next))
            }
            // Done when it was admitted.
            Task::Embed | Task::Classify { .. } => return None,
            #[cfg(test)]
            Task::Panic => panic!("as the test asked"),
        };
        Some((ids[active.next..end].to_vec(), want))
    }

    /// Takes the logits of the chunk that was read. Returns how many of its tokens stay.
    pub fn advance(&mut self, read: &[u32], rows: &[&[f32]], n_ctx: usize) -> usize {
        let n_before = self.held.len();
        self.held.extend_from_slice(read);
        let Some(active) = &mut self.active else { return read.len() };
        let was_prompt = active.sampled.is_none();
        if was_prompt {
            active.next += read.len();
        }
        let mut n_kept = read.len();
        let goes_on = match &active.request.task {
            Task::Generate { .. } if was_prompt => {
                active.send(EngineEvent::Prefill(active.next))
                    && rows.last().is_none_or(|row| active.generate(row, n_before + n_kept, n_ctx))
            }
            Task::Generate { .. } => {
                let goes_on;
                (goes_on, n_kept) = active.verify_draft(read, rows, n_before, n_ctx);
                goes_on
            }
            Task::Score { .. } => active.score(rows),
            Task::Embed | Task::Classify { .. } => false,
            #[cfg(test)]
            Task::Panic => false,
        };
        if !goes_on {
            self.active = None;
        }
        self.held.truncate(n_before + n_kept);
        n_kept
    }
}

impl ActiveRequest {
    /// Whether anyone still listens.
    fn send(&self, event: EngineEvent) -> bool {
        self.request.events.send(event).is_ok()
    }

    /// Samples from row after row as long as what was read next is what is sampled. Returns
    /// whether the request goes on, and how many tokens of `read` are part of the answer.
    fn verify_draft(
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
        if let Some(lookup) = &mut self.lookup
            && n_proposed > 0
        {
            lookup.learn(n_kept - 1);
            goes_on &=
                self.send(EngineEvent::Speculated { proposed: n_proposed, accepted: n_kept - 1 });
        }
        (goes_on, n_kept)
    }

    /// Samples the next id; the cache holds `n_held`. Returns whether the request goes on.
    fn generate(&mut self, logits: &[f32], n_held: usize, n_ctx: usize) -> bool {
        let Task::Generate { sampler, max_tokens, top, .. } = &mut self.request.task else {
            return false;
        };
        if self.n_generated >= *max_tokens {
            self.send(EngineEvent::End(End::MaxTokens));
            return false;
        }
        let id = match sampler.sample(logits) {
            Ok(id) => id,
            Err(error) => {
                let error = Error::new(ErrorKind::BadModel, error.to_string());
                self.send(EngineEvent::Failed(error));
                return false;
            }
        };
        sampler.accept(id);
        if let Some(lookup) = &mut self.lookup {
            lookup.push(id);
        }
        let logprobs = top.and_then(|top| logprobs(logits, id, top));
        self.n_generated += 1;
        self.sampled = Some(id);
        let is_loop = self.loops.as_mut().is_some_and(|loops| loops.push(id));
        let end = if self.n_generated == *max_tokens {
            Some(End::MaxTokens)
        } else if n_held >= n_ctx {
            Some(End::Context)
        } else {
            is_loop.then_some(End::Loop)
        };
        let heard = self.send(EngineEvent::Token { id, logprobs });
        if let Some(end) = end {
            self.send(EngineEvent::End(end));
        }
        heard && end.is_none()
    }

    /// Sends how likely the ids after the rows were. Returns whether the request goes on.
    fn score(&mut self, rows: &[&[f32]]) -> bool {
        let first = self.next - rows.len();
        for (row, logits) in rows.iter().enumerate() {
            let Some(&id) = self.request.ids.get(first + row + 1) else { break };
            let Some(softmax) = LogSoftmax::of(logits) else {
                let what = "the model's logits contain no finite number";
                self.send(EngineEvent::Failed(Error::new(ErrorKind::BadModel, what)));
                return false;
            };
            let logprob = softmax.logprob(logits[id as usize]) as f32;
            if !self.send(EngineEvent::Scored { logprob, greedy: softmax.best == id }) {
                return false;
            }
        }
        let goes_on = self.next < self.request.ids.len();
        if !goes_on {
            self.send(EngineEvent::End(End::Scored));
        }
        goes_on
    }
}
