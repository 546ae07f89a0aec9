//! Many requests over one session: continuous batching on a thread of its own.
//!
//! Callers hand in token ids and get token ids back, one by one. Requests join and leave between
//! any two passes; a pass holds one token of each answer that is being generated and a chunk of
//! each prompt that is being read. A slot keeps what its sequence holds after an answer ends, so
//! that the next turn of a chat reads only what is new. The result of a request depends on its own
//! tokens and options alone, never on what else is in the batch.
//!
//! This file knows no text. If the thread dies, every caller gets an error.

mod embed;
mod loop_detector;
mod prompt_lookup;
mod slot;
#[cfg(test)]
mod tests;

pub use loop_detector::LoopDetector;

use crate::prefix::{BLOCK, Next, PREFIX_MIN, Prefixes};
use crate::{Constraint, LogSoftmax, Sampler};
use prompt_lookup::RowCost;
use slot::{ActiveRequest, Slot};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::JoinHandle;
use wright_chat::{Error, ErrorKind, Remedy};
use wright_model::{Batch, Logits, Segment, SeqId, Session, Want};

/// Prompt tokens that one pass reads, shared evenly by the requests that are reading. While
/// answers are being written a pass reads fewer, so that these are not held up for long.
const READ_MAX: usize = 256;
const READ_BESIDE_ANSWERS_MAX: usize = 64;

/// Ids at the end of a sequence that may differ when a chat goes on: what was sampled before the
/// caller saw that the answer had ended, or a text that splits into other tokens when read.
const TAIL_MAX: usize = 16;

/// Logits of a chunk that is scored fill at most this many values.
const SCORED_LOGITS_MAX: usize = 8 << 20;

/// What a caller asks the engine to do.
pub(crate) struct EngineRequest {
    pub ids: Vec<u32>,
    pub task: Task,
    pub events: Sender<EngineEvent>,
    /// Set by a caller that needs no more.
    pub cancelled: Arc<AtomicBool>,
}

/// What to do with the ids.
pub(crate) enum Task {
    /// Generate token by token.
    Generate {
        sampler: Box<Sampler>,
        /// `usize::MAX` for as many as the context has room for.
        max_tokens: usize,
        /// Report log-probabilities, with those of this many alternatives.
        top: Option<u32>,
        /// End an answer that repeats itself without end.
        stop_loops: bool,
        /// The form that the answer must have, if any.
        constraint: Option<Box<Constraint>>,
    },
    /// How likely are the ids from this index on?
    Score { from: usize },
    /// One vector for all of them.
    Embed,
    /// The classifier's numbers; tokens from the index `second` on are a second text's.
    Classify { second: Option<usize> },
    /// A defect, to see what becomes of the others.
    #[cfg(test)]
    Panic,
}

impl Task {
    /// Whether one pass over all ids answers it.
    fn is_at_once(&self) -> bool {
        matches!(self, Task::Embed | Task::Classify { .. })
    }
}

/// What a caller gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EngineEvent {
    /// Prompt tokens that need not be read again.
    Cached(usize),
    /// Prompt tokens read so far.
    Prefill(usize),
    Token {
        id: u32,
        logprobs: Option<Logprobs>,
    },
    /// Tokens drafted in one pass behind a sampled one, and how many of them were sampled next.
    Speculated {
        proposed: usize,
        accepted: usize,
    },
    /// Log-probability of the next id to be scored, and whether it was the most likely.
    Scored {
        logprob: f32,
        greedy: bool,
    },
    Vector(Vec<f32>),
    /// Nothing more follows.
    End(End),
    Failed(Error),
}

/// Why a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    MaxTokens,
    /// The context is full.
    Context,
    /// The answer repeats itself: see [`loop_detector`].
    Loop,
    /// All scores were sent.
    Scored,
}

/// Log-probability of a token and of the most likely ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Logprobs {
    pub logprob: f32,
    pub top: Vec<(u32, f32)>,
}

/// The thread, and the way to it.
pub(crate) struct Engine {
    requests: Option<Sender<EngineRequest>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// With `speculative`, several tokens of an answer are verified per pass while nothing else is
    /// in work; with `prefixes`, prompts start from what was read before.
    ///
    /// # Errors
    /// If the system does not give another thread.
    pub fn start(
        session: Session,
        speculative: bool,
        prefixes: Option<Prefixes>,
    ) -> std::io::Result<Engine> {
        let (requests, inbox) = mpsc::channel();
        let run = move || Scheduler::new(session, inbox, speculative, prefixes).run();
        let thread = std::thread::Builder::new().name("wright-engine".into()).spawn(run)?;
        Ok(Engine { requests: Some(requests), thread: Some(thread) })
    }

    /// Hands in a request; its events arrive through its channel, which closes if the engine dies.
    ///
    /// # Errors
    /// If the engine is dead already.
    pub fn submit(&self, request: EngineRequest) -> Result<(), Error> {
        let requests = self.requests.as_ref().ok_or_else(dead)?;
        requests.send(request).map_err(|_| dead())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened, and callers have their errors.
            let _ = thread.join();
        }
    }
}

/// The engine's thread has ended.
pub(crate) fn dead() -> Error {
    Error::new(ErrorKind::Internal, "the engine has stopped")
        .hint("see its own message above; please report it")
}

struct Scheduler {
    session: Session,
    inbox: Receiver<EngineRequest>,
    slots: Vec<Slot>,
    waiting: VecDeque<EngineRequest>,
    /// Requests started so far: orders slots by their last use.
    turn: u64,
    open: bool,
    speculative: Option<RowCost>,
    prefixes: Option<Prefixes>,
}

impl Scheduler {
    fn new(
        session: Session,
        inbox: Receiver<EngineRequest>,
        speculative: bool,
        prefixes: Option<Prefixes>,
    ) -> Self {
        let slots = (0..session.n_seq()).map(|seq| Slot::new(SeqId(seq as u32))).collect();
        let waiting = VecDeque::new();
        let mut blocks = session.model().network().blocks.iter();
        let cost = RowCost::new(blocks.any(|block| block.feed_forward.experts.is_some()));
        let speculative = speculative.then_some(cost);
        Scheduler { session, inbox, slots, waiting, turn: 0, open: true, speculative, prefixes }
    }

    fn run(mut self) {
        loop {
            self.keep_prefixes();
            self.receive();
            self.admit();
            if self.slots.iter().all(|slot| slot.active.is_none()) {
                if !self.open {
                    return;
                }
                continue;
            }
            self.pass();
        }
    }

    /// Takes in what has come; waits if there is nothing else to do.
    fn receive(&mut self) {
        let idle = self.waiting.is_empty() && self.slots.iter().all(|slot| slot.active.is_none());
        if idle && self.open {
            match self.inbox.recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(_) => self.open = false,
            }
        }
        loop {
            match self.inbox.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.open = false;
                    return;
                }
            }
        }
    }

    /// Gives waiting requests to idle slots, first come, first served.
    fn admit(&mut self) {
        while self.slots.iter().any(|slot| slot.active.is_none()) {
            let Some(request) = self.waiting.pop_front() else { return };
            if request.task.is_at_once() {
                let vector = self.vector(&request);
                let _ = request
                    .events
                    .send(vector.map_or_else(EngineEvent::Failed, EngineEvent::Vector));
                continue;
            }
            if let Err(error) = self.begin(&request) {
                // A caller that has gone away needs no error.
                let _ = request.events.send(EngineEvent::Failed(error));
            } else if let Some(slot) =
                self.slots.iter_mut().find(|slot| slot.last_used == self.turn)
            {
                slot.active = Some(ActiveRequest::new(request, slot.held.len(), self.speculative));
            }
        }
    }

    /// Prepares the idle slot that can serve the request best; marks it with the current turn.
    fn begin(&mut self, request: &EngineRequest) -> Result<(), Error> {
        let n_ctx = self.session.n_ctx();
        if request.ids.is_empty() || request.ids.len() > n_ctx {
            return Err(overflow(request.ids.len(), n_ctx));
        }
        let usable = match request.task {
            Task::Generate { .. } => request.ids.len() - 1,
            Task::Score { from } => from.saturating_sub(1),
            Task::Embed | Task::Classify { .. } => 0,
            #[cfg(test)]
            Task::Panic => 0,
        };
        let shared = |slot: &Slot| slot.shared(&request.ids).min(usable);
        let idle = |slot: &&Slot| slot.active.is_none();
        // A sequence that goes on where it ended, else the one that rested longest: another that
        // only begins alike is copied from, and stays for those who come back to it.
        let goes_on = |s: &Slot| {
            if s.held.len() - s.shared(&request.ids) <= TAIL_MAX { shared(s) } else { 0 }
        };
        let best_idle =
            self.slots.iter().filter(idle).max_by_key(|s| (goes_on(s), u64::MAX - s.last_used));
        let Some(target) = best_idle.map(|slot| slot.seq) else { return Err(dead()) };
        let source = self.slots.iter().max_by_key(|s| (shared(s), s.seq == target));
        let (source, n_shared) = source.map_or((target, 0), |slot| (slot.seq, shared(slot)));
        if source == target {
            self.session.truncate(target, n_shared).map_err(model_error)?;
        } else {
            // Another conversation began alike: share its blocks.
            self.session.clear(target).map_err(model_error)?;
            self.session.copy_prefix(source, target, n_shared).map_err(model_error)?;
        }
        let writes = matches!(request.task, Task::Generate { .. });
        if writes {
            self.restore(target, &request.ids[..usable]).map_err(model_error)?;
        }
        let n_held = self.session.len(target);
        self.turn += 1;
        let slot = &mut self.slots[target.0 as usize];
        slot.last_used = self.turn;
        slot.n_unkept = if writes { request.ids.len() } else { 0 };
        slot.n_found = n_held;
        slot.held.clear();
        slot.held.extend_from_slice(&request.ids[..n_held]);
        let _ = request.events.send(EngineEvent::Cached(n_held));
        Ok(())
    }

    /// Lets a sequence, which holds the first of `ids`, go on with blocks that were kept.
    fn restore(&mut self, target: SeqId, ids: &[u32]) -> Result<(), wright_model::Error> {
        let Some(prefixes) = self.prefixes.as_ref().filter(|_| ids.len() >= PREFIX_MIN) else {
            return Ok(());
        };
        let session = &mut self.session;
        let keys = prefixes.keys(ids);
        let first = session.len(target) / BLOCK;
        let rest = &keys[first..];
        let n_kept = rest.iter().take_while(|key| prefixes.store.has(key)).count();
        if n_kept > 0 {
            session.truncate(target, first * BLOCK)?;
            session.import_pieces(target, n_kept, &|i| prefixes.store.get(&rest[i]))?;
        }
        let n_held = session.len(target);
        let last = n_held / BLOCK * BLOCK;
        let before = keys[..n_held / BLOCK].last().unwrap_or(&prefixes.model);
        let Some(next) = prefixes.next(before) else { return Ok(()) };
        let n_alike = ids[last..].iter().zip(&next.ids).take_while(|(a, b)| a == b).count();
        if last + n_alike > n_held {
            session.truncate(target, last)?;
            let n = session.import_pieces(target, 1, &|_| prefixes.store.get(&next.key))?;
            session.truncate(target, last + n * n_alike)?;
        }
        Ok(())
    }

    /// Hands the blocks of prompts that have been read to the store, once their answers are done.
    fn keep_prefixes(&mut self) {
        let Some(prefixes) = &self.prefixes else { return };
        for slot in self.slots.iter_mut().filter(|slot| slot.active.is_none()) {
            let n = std::mem::take(&mut slot.n_unkept).min(slot.held.len());
            if n < PREFIX_MIN {
                continue;
            }
            let mut before = prefixes.model;
            let (blocks, _) = slot.held[..n].as_chunks::<BLOCK>();
            let keys = prefixes.keys(&slot.held[..n]);
            for (index, (&ids, key)) in blocks.iter().zip(keys).enumerate() {
                let before = std::mem::replace(&mut before, key);
                // What had to be computed was not in the store, or was damaged: it is stored again.
                if (index + 1) * BLOCK <= slot.n_found && prefixes.store.has(&key) {
                    continue;
                }
                if let Some(block) = self.session.export_piece(slot.seq, index) {
                    prefixes.keep(&before, &Next { ids, key }, &block);
                }
            }
        }
    }

    /// One forward pass over all active requests.
    fn pass(&mut self) {
        for slot in &mut self.slots {
            slot.drop_if_cancelled();
        }
        let (n_read, n_score) = self.budget();
        // With several requests a pass has rows enough.
        let alone = self.slots.iter().filter(|slot| slot.active.is_some()).count() == 1;
        let n_ctx = self.session.n_ctx();
        let chunks: Vec<Chunk> = (0..)
            .zip(&mut self.slots)
            .filter_map(|(index, slot)| {
                let room = if alone { n_ctx - slot.held.len() } else { 1 };
                slot.chunk(n_read, n_score, room).map(|(ids, want)| Chunk { index, ids, want })
            })
            .collect();
        match self.forward(&chunks) {
            Ok(logits) => self.deliver(&chunks, &logits),
            Err(error) if chunks.len() == 1 => self.fail(chunks[0].index, error),
            // The fault may be with one of them: the others need not suffer for it.
            Err(_) => {
                for chunk in chunks.chunks(1) {
                    match self.forward(chunk) {
                        Ok(logits) => self.deliver(chunk, &logits),
                        Err(error) => self.fail(chunk[0].index, error),
                    }
                }
            }
        }
    }

    /// Prompt tokens that a pass may read for each request, and rows that it may score.
    fn budget(&self) -> (usize, usize) {
        let reading = self.slots.iter().filter(|slot| slot.is_reading()).count();
        let working = self.slots.iter().filter(|slot| slot.active.is_some()).count();
        let room = if working > reading { READ_BESIDE_ANSWERS_MAX } else { READ_MAX };
        let share = |room: usize| (room / reading.max(1)).max(1);
        (share(room), share(SCORED_LOGITS_MAX / self.session.model().n_vocab()))
    }

    fn forward(&mut self, chunks: &[Chunk]) -> Result<Logits, wright_model::Error> {
        let segment = |chunk| {
            let Chunk { index, ids, want }: &Chunk = chunk;
            let slot = &self.slots[*index];
            Segment { seq: slot.seq, pos: slot.held.len() as u32, ids, want: *want }
        };
        let segments: Vec<Segment<'_>> = chunks.iter().map(segment).collect();
        self.session.forward(&Batch { segments: &segments })
    }

    fn fail(&mut self, index: usize, error: wright_model::Error) {
        self.slots[index].fail(model_error(error));
        self.forget(index);
    }

    /// After an error nothing that the slot held is to be trusted.
    fn forget(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.held.clear();
        if let Err(error) = self.session.clear(slot.seq) {
            slot.fail(model_error(error));
        }
    }

    fn deliver(&mut self, chunks: &[Chunk], logits: &Logits) {
        let n_ctx = self.session.n_ctx();
        let mut row = 0;
        for Chunk { index, ids, want } in chunks {
            let n_rows = want.rows(ids.len()).len();
            let rows: Vec<&[f32]> = (row..row + n_rows).map(|row| logits.row(row)).collect();
            row += n_rows;
            let slot = &mut self.slots[*index];
            if slot.advance(ids, &rows, n_ctx) < ids.len()
                && let Err(error) = self.session.truncate(slot.seq, slot.held.len())
            {
                self.fail(*index, error);
            }
        }
    }
}

/// What a pass computes for one slot.
struct Chunk {
    index: usize,
    ids: Vec<u32>,
    want: Want,
}

/// The prompt does not fit.
pub(crate) fn overflow(n_prompt: usize, n_ctx: usize) -> Error {
    if n_prompt == 0 {
        return Error::new(ErrorKind::BadRequest, "the prompt is empty");
    }
    let what = format!("the prompt has {n_prompt} tokens, but the context only {n_ctx}");
    Error::new(ErrorKind::ContextOverflow, what)
        .hint("shorten it, or load the model with a longer context")
        .remedy(Remedy::LongerContext)
}

/// A failure of `wright-model`, as callers see it.
pub(crate) fn model_error(error: wright_model::Error) -> Error {
    use wright_model::ErrorKind as Kind;
    let kind = match error.kind() {
        Kind::BadFile | Kind::BadModel | Kind::NotFinite => ErrorKind::BadModel,
        Kind::Unsupported | Kind::Unverified => ErrorKind::Unsupported,
        Kind::ContextFull => ErrorKind::ContextOverflow,
        Kind::BadBatch | Kind::Memory => ErrorKind::Internal,
    };
    Error::new(kind, error.to_string()).hint(error.hint())
}

/// Log-probability of `id` and of the `top` most likely tokens.
pub(crate) fn logprobs(logits: &[f32], id: u32, top: u32) -> Option<Logprobs> {
    let softmax = LogSoftmax::of(logits)?;
    let logprob = |id: u32| softmax.logprob(logits[id as usize]) as f32;
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let n = (top as usize).min(order.len());
    let likelier =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if n > 0 && n < order.len() {
        order.select_nth_unstable_by(n - 1, likelier);
    }
    order.truncate(n);
    order.sort_unstable_by(likelier);
    Some(Logprobs {
        logprob: logprob(id),
        top: order.iter().map(|&id| (id, logprob(id))).collect(),
    })
}
