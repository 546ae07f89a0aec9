//! A session: a model, a KV cache for several sequences, threads, and an executor.
//!
//! The caller adds tokens to sequences; the session checks them, splits long batches into passes of
//! bounded memory, and returns logits. Results are identical however a sequence is split into
//! batches, whatever else is in them, and on any number of threads. It does not sample and knows
//! nothing about text.

use crate::Error;
use crate::batch::{Batch, Rows, Segment, SeqId};
use crate::config::Kind;
use crate::exec::Exec;
use crate::exec::cpu::store::KvStore;
use crate::exec::cpu::weights::CpuWeights;
use crate::exec::cpu::{Cpu, CpuState};
use crate::exec::exact::{Exact, ExactStore, Real};
use crate::forward::{classify, forward, hidden};
use crate::imatrix::{Collected, Collecting};
use crate::kv::{BLOCK, BlockCopy, KvTable, KvType, PIECE};
use crate::model::Model;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use wright_kernels::Pool;

/// How numbers are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Weights in their own format, activations in 8 bits, cache of [`SessionOptions::kv`].
    #[default]
    Fast,
    /// Activations and cache in f32.
    Exact,
    /// As `Exact`, but plain and slow: the reference that it is tested against.
    Scalar,
    /// Everything in f64, plain and slow: for tests.
    Double,
}

/// Options of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOptions {
    pub precision: Precision,
    /// Number of threads, including the caller's.
    pub threads: usize,
    /// Positions that each sequence may have.
    pub n_ctx: usize,
    /// Sequences that may be held at a time.
    pub n_seq: usize,
    /// For [`Precision::Fast`]; the others keep the cache in their own numbers.
    pub kv: KvType,
    /// Tokens computed in one pass; longer batches are split. More takes more memory and is
    /// faster up to some hundred.
    pub n_batch: usize,
    /// Whether a model of an unverified family may run.
    pub unverified: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        SessionOptions {
            precision: Precision::Fast,
            threads: 1,
            n_ctx: 4096,
            n_seq: 1,
            kv: KvType::F16,
            n_batch: 512,
            unverified: false,
        }
    }
}

/// Logits of one pass at most fill this many values, so that scoring long texts with a large
/// vocabulary stays in bounded memory.
const LOGITS_MAX: usize = 8 << 20;

/// What is asked of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Logits,
    Hidden,
    Labels,
}

/// Buffers of logits that are no longer in use.
type Spare = Arc<Mutex<Vec<Vec<f32>>>>;

/// Logits of the wanted rows, in the order of the batch; or their vectors, or scores of a
/// classifier, as wide as these are.
#[derive(Debug)]
pub struct Logits {
    /// (rows, n_vocab)
    data: Vec<f32>,
    n_vocab: usize,
    /// Where the buffer goes when it is dropped, to be used again.
    spare: Spare,
}

impl Logits {
    pub fn n_rows(&self) -> usize {
        self.data.len() / self.n_vocab
    }

    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Logits of wanted row `row`. (n_vocab)
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.n_vocab..(row + 1) * self.n_vocab]
    }

    /// For samplers that work in place.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.data[row * self.n_vocab..(row + 1) * self.n_vocab]
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.n_vocab)
    }
}

impl Drop for Logits {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < 2 {
            spare.push(std::mem::take(&mut self.data));
        }
    }
}

/// Cache and weights in the form of one executor.
enum Executor {
    Cpu(Box<CpuState>),
    Scalar(ExactStore<f32>),
    Double(ExactStore<f64>),
}

/// A model with its KV cache, ready to process batches.
pub struct Session {
    model: Arc<Model>,
    options: SessionOptions,
    pool: Pool,
    table: KvTable,
    executor: Executor,
    rows: Rows,
    /// For the next passes: see [`Rows::second_at`].
    second_at: Option<u32>,
    spare: Spare,
    /// Sums of squares of what linear maps are given, if they are asked for.
    collected: Option<Collected>,
}

impl Session {
    /// Allocates the KV cache and converts the weights to the executor's format.
    ///
    /// # Errors
    /// If the options are impossible, or the cache does not fit into memory.
    pub fn new(model: Arc<Model>, options: SessionOptions) -> Result<Session, Error> {
        Session::releasing(model, options, &|_| {})
    }

    /// As [`Session::new`]. `release` is told each range of the file whose weights were repacked,
    /// at once: it need not stay in memory, since at most single rows of it are read from then on.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn releasing(
        model: Arc<Model>,
        options: SessionOptions,
        release: &dyn Fn(Range<usize>),
    ) -> Result<Session, Error> {
        if options.n_ctx == 0 || options.n_seq == 0 || options.n_batch == 0 {
            return Err(Error::batch("a session needs n_ctx, n_seq and n_batch of at least 1"));
        }
        let family = model.config().family;
        if !family.verified && !options.unverified {
            return Err(Error::Unverified { family: family.name });
        }
        let n_blocks = check_memory(&model, &options)?;
        let pool = Pool::new(options.threads);
        let executor = match options.precision {
            Precision::Double => Executor::Double(ExactStore::new(&model, n_blocks)),
            Precision::Scalar => Executor::Scalar(ExactStore::new(&model, n_blocks)),
            Precision::Exact => {
                let store = KvStore::new(&model, KvType::F32, n_blocks)?;
                Executor::Cpu(Box::new(CpuState::new(CpuWeights::in_place(&model), store)))
            }
            Precision::Fast => {
                let store = KvStore::new(&model, options.kv, n_blocks)?;
                let weights = CpuWeights::repack(&model, &pool, release)?;
                Executor::Cpu(Box::new(CpuState::new(weights, store)))
            }
        };
        Ok(Session {
            table: KvTable::new(options.n_seq, options.n_ctx),
            model,
            options,
            pool,
            executor,
            rows: Rows::default(),
            second_at: None,
            spare: Spare::default(),
            collected: None,
        })
    }

    /// From now on, sums the squares of each linear map's inputs over every row of every layer.
    /// Slower, and only for the executors of inference.
    pub fn collect_importance(&mut self) {
        self.collected = Some(Collected::default());
    }

    /// What was collected so far.
    pub fn collected(&self) -> Option<&Collected> {
        self.collected.as_ref()
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// Positions that each sequence may have.
    pub fn n_ctx(&self) -> usize {
        self.table.n_ctx()
    }

    /// Sequences that may be held at a time.
    pub fn n_seq(&self) -> usize {
        self.table.n_seq()
    }

    /// Positions that `seq` holds; 0 for a sequence that the session does not have.
    pub fn len(&self, seq: SeqId) -> usize {
        self.table.len(seq).unwrap_or(0)
    }

    /// Whether no sequence holds anything.
    pub fn is_empty(&self) -> bool {
        self.table.n_used() == 0
    }

    /// Forgets the positions of `seq` from `len` on.
    ///
    /// # Errors
    /// If there is no such sequence, or it is shorter already.
    pub fn truncate(&mut self, seq: SeqId, len: usize) -> Result<(), Error> {
        self.table.truncate(seq, len)
    }

    /// Forgets all of `seq`.
    ///
    /// # Errors
    /// If there is no such sequence.
    pub fn clear(&mut self, seq: SeqId) -> Result<(), Error> {
        self.table.truncate(seq, 0)
    }

    /// Makes `to` begin with the first `len` positions of `from`, at no cost but bookkeeping.
    /// What `to` held is forgotten.
    ///
    /// # Errors
    /// If one is missing, both are the same, or `from` is shorter than `len`.
    pub fn copy_prefix(&mut self, from: SeqId, to: SeqId, len: usize) -> Result<(), Error> {
        self.table.copy_prefix(from, to, len)
    }

    /// The cache of positions `16 index..16 (index + 1)` of `seq`, to be kept elsewhere. None if
    /// the sequence has not that many, or in the plain modes for tests.
    pub fn export_piece(&self, seq: SeqId, index: usize) -> Option<Vec<u8>> {
        let Executor::Cpu(state) = &self.executor else { return None };
        let (start, end) = (index * PIECE, (index + 1) * PIECE);
        let block = || self.table.blocks(seq)[start / BLOCK];
        (self.len(seq) >= end).then(|| state.store.export_piece(block(), start % BLOCK))
    }

    /// Lets `seq`, which ends at a multiple of 16, go on with up to `n` times 16 positions that
    /// another session of the same model and options exported. `read` gives them by their index;
    /// it is called by all threads, in any order. Returns how many times 16 there were before one
    /// that `read` did not have, or that is not a piece of this cache: none in the plain modes for
    /// tests.
    ///
    /// # Errors
    /// If the sequence is missing or ends elsewhere.
    pub fn import_pieces(
        &mut self,
        seq: SeqId,
        n: usize,
        read: &(dyn Fn(usize) -> Option<Vec<u8>> + Sync),
    ) -> Result<usize, Error> {
        let held = self.table.len(seq)?;
        let Executor::Cpu(state) = &mut self.executor else {
            return Ok(0);
        };
        if !held.is_multiple_of(PIECE) {
            return Err(Error::batch("pieces go on where one could have ended"));
        }
        let n = n.min((self.table.n_ctx() - held) / PIECE);
        if let Some(copy) = self.table.extend(seq, n * PIECE)? {
            state.store.copy_block(copy);
        }
        let blocks = self.table.blocks(seq);
        let place = |pos: usize| (blocks[pos / BLOCK], pos % BLOCK);
        let places: Vec<_> = (0..n).map(|i| place(held + i * PIECE)).collect();
        let n_good = state.store.import_pieces(&self.pool, &places, read);
        self.table.truncate(seq, held + n_good * PIECE)?;
        Ok(n_good)
    }

    /// Runs the batch and returns the logits of its wanted rows, segment by segment.
    ///
    /// # Errors
    /// If the batch does not fit the sequences as they are, the context is full, or the model
    /// gives NaN or infinity; the sequences are then as long as before.
    pub fn forward(&mut self, batch: &Batch<'_>) -> Result<Logits, Error> {
        if self.model.config().family.kind == Kind::Encoder {
            let what = format!("{} gives a vector for each token", self.model.config().arch);
            return Err(Error::NotGenerative { what });
        }
        self.collect(batch, Output::Logits)
    }

    /// As [`Session::forward`], but stops before the head: the vectors of the wanted rows.
    /// (wanted, n_embd)
    ///
    /// # Errors
    /// As [`Session::forward`]; for an encoder also if a segment does not begin at 0 or is longer
    /// than a pass, since its tokens see each other.
    pub fn hidden(&mut self, batch: &Batch<'_>) -> Result<Logits, Error> {
        self.collect(batch, Output::Hidden)
    }

    /// As [`Session::hidden`] of one segment, and on through the model's classifier, where it has
    /// one. Tokens from the index `second` on are of the second type, if the model has types.
    /// (wanted, labels)
    ///
    /// # Errors
    /// As [`Session::hidden`].
    pub fn classify(
        &mut self,
        segment: Segment<'_>,
        second: Option<usize>,
    ) -> Result<Logits, Error> {
        let types = self.model.network().token_types.map_or(0, |t| self.model.matrix(t).n);
        let second = second.filter(|_| types > 1).and_then(|at| u32::try_from(at).ok());
        self.second_at = second.map(|at| segment.pos.saturating_add(at));
        let labels = self.collect(&Batch { segments: &[segment] }, Output::Labels);
        self.second_at = None;
        labels
    }

    fn collect(&mut self, batch: &Batch<'_>, output: Output) -> Result<Logits, Error> {
        let mut data = Vec::new();
        let result = self.passes(batch, output, |logits| {
            if data.is_empty() {
                data = logits;
            } else {
                data.extend_from_slice(&logits);
            }
        });
        let n_vocab = self.width(output);
        let logits = Logits { data, n_vocab, spare: Arc::clone(&self.spare) };
        result.map(|()| logits)
    }

    /// Numbers in a row of what a pass gives.
    fn width(&self, output: Output) -> usize {
        let network = self.model.network();
        match (output, &network.classifier) {
            (Output::Logits, _) => network.n_vocab,
            (Output::Labels, Some(classifier)) => classifier.out.n_out,
            (Output::Hidden | Output::Labels, _) => network.n_embd,
        }
    }

    /// As [`Session::forward`], but hands the wanted rows over one by one, in order, so that
    /// logits of a long text are never all in memory.
    ///
    /// # Errors
    /// As [`Session::forward`]; rows handed over before the error are valid.
    pub fn forward_each(
        &mut self,
        batch: &Batch<'_>,
        mut each: impl FnMut(&[f32]),
    ) -> Result<(), Error> {
        let n_vocab = self.model.n_vocab();
        let each = |logits: Vec<f32>| logits.chunks_exact(n_vocab).for_each(&mut each);
        self.passes(batch, Output::Logits, each)
    }

    /// Splits the batch into passes; `take` gets the logits of each that has any.
    fn passes(
        &mut self,
        batch: &Batch<'_>,
        output: Output,
        mut take: impl FnMut(Vec<f32>),
    ) -> Result<(), Error> {
        self.check(batch)?;
        let wanted_max = (LOGITS_MAX / self.width(output)).max(1);
        let causal = self.model.config().layers[0].heads.causal;
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        let mut result = Ok(());
        'batch: for segment in batch.segments {
            let wanted = segment.want.rows(segment.ids.len());
            let mut done = 0;
            while done < segment.ids.len() {
                let whole = !causal && segment.ids.len() > self.options.n_batch - rows.len();
                if whole || rows.len() == self.options.n_batch || rows.wanted.len() >= wanted_max {
                    result = self.pass(&mut rows, output, &mut take);
                    if result.is_err() {
                        break 'batch;
                    }
                }
                // Rows before the first wanted one do not count against the logits.
                let unwanted = wanted.start.saturating_sub(done);
                let room = match causal {
                    true => unwanted + wanted_max - rows.wanted.len(),
                    false => segment.ids.len(),
                };
                let n = (segment.ids.len() - done).min(self.options.n_batch - rows.len()).min(room);
                let clip = |i: usize| i.clamp(done, done + n) - done;
                let (from, to) = (clip(wanted.start), clip(wanted.end));
                let pos = segment.pos + done as u32;
                rows.second_at = self.second_at;
                rows.push(segment.seq, pos, &segment.ids[done..done + n], from..to);
                done += n;
            }
        }
        if result.is_ok() && !rows.is_empty() {
            result = self.pass(&mut rows, output, &mut take);
        }
        self.rows = rows;
        if result.is_err() {
            for segment in batch.segments {
                // Only what this batch added goes; `check` saw that the sequence exists.
                let held = self.len(segment.seq);
                self.table.truncate(segment.seq, held.min(segment.pos as usize))?;
            }
        }
        result
    }

    /// Runs what `rows` holds and empties it.
    fn pass(
        &mut self,
        rows: &mut Rows,
        output: Output,
        take: &mut impl FnMut(Vec<f32>),
    ) -> Result<(), Error> {
        for span in &rows.spans {
            if let Some(copy) = self.table.extend(span.seq, span.rows.len())? {
                self.copy_block(copy);
            }
        }
        let logits = self.run(rows, output);
        let n_vocab = self.width(output);
        for (logits, &row) in logits.chunks_exact(n_vocab).zip(&rows.wanted) {
            let n_bad = logits.iter().filter(|x| !x.is_finite()).count();
            if n_bad > 0 {
                return Err(Error::NotFinite { n_bad, pos: rows.positions[row as usize] });
            }
        }
        if !logits.is_empty() {
            take(logits);
        }
        rows.clear();
        Ok(())
    }

    fn run(&mut self, rows: &Rows, output: Output) -> Vec<f32> {
        let (model, pool, table) = (&*self.model, &self.pool, &self.table);
        match &mut self.executor {
            Executor::Cpu(state) => {
                let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
                spare.drain(..).for_each(|buffer| state.buffers.give(buffer));
                drop(spare);
                let mut cpu = Cpu::new(model, pool, rows, table, state);
                if let Some(to) = &mut self.collected {
                    let mut collecting = Collecting { inner: cpu, to };
                    return run_pass(&mut collecting, model, output).into_data();
                }
                run_pass(&mut cpu, model, output).into_data()
            }
            Executor::Scalar(store) => run_exact(Exact { model, pool, rows, table, store }, output),
            Executor::Double(store) => run_exact(Exact { model, pool, rows, table, store }, output),
        }
    }

    fn copy_block(&mut self, copy: BlockCopy) {
        let n_blocks = KvTable::n_blocks(self.options.n_seq, self.options.n_ctx);
        match &mut self.executor {
            Executor::Cpu(state) => state.store.copy_block(copy),
            Executor::Scalar(store) => store.copy_block(copy, n_blocks),
            Executor::Double(store) => store.copy_block(copy, n_blocks),
        }
    }

    /// Everything that can be wrong with a batch, before anything changes.
    fn check(&self, batch: &Batch<'_>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for segment in batch.segments {
            let Segment { seq, pos, ids, .. } = *segment;
            let held = self.table.len(seq)?;
            if held != pos as usize {
                let what = format!("sequence {} holds {held} tokens, not {pos}", seq.0);
                return Err(Error::batch(what));
            }
            if !seen.insert(seq) {
                return Err(Error::batch(format!("sequence {} occurs twice in a batch", seq.0)));
            }
            let causal = self.model.config().layers[0].heads.causal;
            if !causal && (pos > 0 || ids.len() > self.options.n_batch) {
                let what = format!(
                    "{} tokens at {pos}: an encoder reads a text in one batch of at most {}",
                    ids.len(),
                    self.options.n_batch
                );
                return Err(Error::ContextFull { what });
            }
            if held + ids.len() > self.n_ctx() {
                let n_ctx = self.n_ctx();
                let what = format!("{held} + {} tokens do not fit into {n_ctx}", ids.len());
                return Err(Error::ContextFull { what });
            }
            let n_positions = self.model.network().positions.map(|t| self.model.matrix(t).n);
            if let Some(n) = n_positions.filter(|&n| held + ids.len() > n) {
                let what =
                    format!("{held} + {} tokens, and the model has {n} positions", ids.len());
                return Err(Error::ContextFull { what });
            }
            if let Some(id) = ids.iter().find(|&&id| id as usize >= self.model.n_vocab()) {
                let n_vocab = self.model.n_vocab();
                let what = format!("token {id} is outside the vocabulary of {n_vocab}");
                return Err(Error::batch(what));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({:?}, {:?})", self.model, self.options)
    }
}

fn run_pass<E: Exec>(e: &mut E, model: &Model, output: Output) -> E::Tensor {
    match output {
        Output::Logits => forward(e, model.network()),
        Output::Hidden => hidden(e, model.network()),
        Output::Labels => classify(e, model.network()),
    }
}

fn run_exact<R: Real>(mut exact: Exact<'_, R>, output: Output) -> Vec<f32> {
    let model = exact.model;
    let logits = run_pass(&mut exact, model, output);
    logits.data.into_iter().map(Real::to_f32).collect()
}

/// Whether the system would give the memory of the cache. Returns its number of blocks.
fn check_memory(model: &Model, options: &SessionOptions) -> Result<usize, Error> {
    let value = match (options.precision, options.kv) {
        (Precision::Double, _) => 8,
        (Precision::Exact | Precision::Scalar, _) | (Precision::Fast, KvType::F32) => 4,
        (Precision::Fast, KvType::F16) => 2,
    };
    let width: usize =
        model.config().layers.iter().map(|l| l.heads.k_width() + l.heads.v_width()).sum();
    let n_blocks = options.n_ctx.div_ceil(BLOCK).checked_mul(options.n_seq);
    let bytes = n_blocks.and_then(|n| n.checked_mul(BLOCK * width * value));
    let fits = |bytes: &usize| Vec::<u8>::new().try_reserve_exact(*bytes).is_ok();
    match (n_blocks, bytes.filter(fits)) {
        (Some(n_blocks), Some(_)) if u32::try_from(n_blocks).is_ok() => Ok(n_blocks),
        _ => Err(Error::Memory {
            what: format!("a cache of {} x {} positions", options.n_seq, options.n_ctx),
        }),
    }
}
