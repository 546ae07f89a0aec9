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
    /// Tokens that the form of the answer forces after `sampled`: read with it in one pass.
    forced: Vec<u32>,
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
            forced: Vec::new(),
            n_generated: 0,
        }
    }

    /// The sampled token, what is known to follow it and what may follow that: drafts only as far
    /// as `room` tokens in all.
    fn draft(&mut self, id: u32, room: usize) -> (Vec<u32>, Want) {
        let mut ids = vec![id];
        ids.append(&mut self.forced);
        let n_sure = ids.len();
        if let (Some(lookup), Task::Generate { max_tokens, .. }) =
            (&mut self.lookup, &self.request.task)
        {
            let left = max_tokens.saturating_sub(self.n_generated);
            let room = (room + 1).saturating_sub(n_sure);
            ids.extend(lookup.propose(left.min(room).saturating_sub(1)));
        }
        (ids, if n_sure == 1 { Want::All } else { Want::From(n_sure - 1) })
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
        let n_sure = read.len() + 1 - rows.len();
        let (mut n_kept, mut goes_on) = (n_sure - 1, true);
        for row in rows {
            n_kept += 1;
            goes_on = self.generate(row, n_before + n_kept, n_ctx);
            let is_right = read.get(n_kept).copied() == self.sampled && self.forced.is_empty();
            if !goes_on || !is_right {
                break;
            }
        }
        let (n_proposed, n_accepted) = (read.len() - n_sure, n_kept - n_sure);
        if let Some(lookup) = &mut self.lookup
            && n_proposed > 0
        {
            lookup.learn(n_accepted);
            goes_on &=
                self.send(EngineEvent::Speculated { proposed: n_proposed, accepted: n_accepted });
        }
        (goes_on, n_kept)
    }

    /// Samples the next id; the cache holds `n_held`. Returns whether the request goes on.
    fn generate(&mut self, logits: &[f32], n_held: usize, n_ctx: usize) -> bool {
        let Task::Generate { max_tokens, top, .. } = self.request.task else { return false };
        if self.n_generated >= max_tokens {
            self.send(EngineEvent::End(End::MaxTokens));
            return false;
        }
        // Tokens that are not sampled have no log-probability to report.
        let n_forced = if top.is_some() { 0 } else { n_ctx.saturating_sub(n_held + 1) };
        let (id, forced) = match self.sample(logits, n_forced.min(max_tokens)) {
            Ok(sampled) => sampled,
            Err(error) => {
                self.send(EngineEvent::Failed(error));
                return false;
            }
        };
        self.sampled = Some(id);
        let mut goes_on =
            self.emit(id, top.and_then(|top| logprobs(logits, id, top)), n_held, n_ctx);
        for (i, &id) in (1..).zip(&forced) {
            goes_on = goes_on && self.emit(id, None, n_held + i, n_ctx);
        }
        self.forced = forced;
        goes_on
    }

    /// The next id, which the form of the answer permits if it has one, and at most `n_forced` ids
    /// that can only follow it.
    fn sample(&mut self, logits: &[f32], n_forced: usize) -> Result<(u32, Vec<u32>), Error> {
        let Task::Generate { sampler, constraint, .. } = &mut self.request.task else {
            return Err(Error::new(ErrorKind::Internal, "nothing is to be generated"));
        };
        let Some(constraint) = constraint else {
            let id = sampler.sample(logits);
            let id = id.map_err(|error| Error::new(ErrorKind::BadModel, error.to_string()))?;
            sampler.accept(id);
            return Ok((id, Vec::new()));
        };
        let id = constraint.sample(logits, sampler)?;
        constraint.accept(id)?;
        let forced = constraint.forced(n_forced)?;
        [id].iter().chain(&forced).for_each(|&id| sampler.accept(id));
        Ok((id, forced))
    }

    /// Hands out one token of the answer; the cache holds `n_held`, or will when it is read.
    /// Returns whether the request goes on.
    fn emit(
        &mut self,
        id: u32,
        logprobs: Option<super::Logprobs>,
        n_held: usize,
        n_ctx: usize,
    ) -> bool {
        if let Some(lookup) = &mut self.lookup {
            lookup.push(id);
        }
        self.n_generated += 1;
        let is_loop = self.loops.as_mut().is_some_and(|loops| loops.push(id));
        let Task::Generate { max_tokens, .. } = self.request.task else { return false };
        let end = if self.n_generated >= max_tokens {
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
