//! A model's weights written in other types: streaming, on all threads, in bounded memory.
//!
//! A piece of some megabytes at a time is decoded, quantized and written, so that the memory does
//! not depend on the model. The result depends on nothing but the input, the types and the
//! importance: not on threads, nor on where pieces begin.

use crate::Error;
use crate::gguf::{Gguf, TensorInfo};
use crate::gguf_writer::{Field, GgufHeader, TensorHeader, WriteError};
use crate::imatrix::Importance;
use crate::type_mix::{FileType, MixOptions, tensor_types};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use wright_kernels::{DType, Pool, QuantizeError, decoded, quantize};

/// Values that one task decodes and quantizes.
const TASK_VALUES: usize = 64 << 10;
/// Values whose result is held before it is written.
const PIECE_VALUES: usize = 2 << 20;

/// What has happened, for a progress bar; and what the caller says to it.
pub struct Step<'a> {
    /// The tensor at work.
    pub tensor: &'a str,
    pub from: DType,
    pub to: DType,
    /// Values written so far, of all tensors.
    pub done: u64,
    /// Bytes of the input that will not be read again.
    pub released: Range<usize>,
}

/// The file that quantizing makes: metadata as they were, with the new file type.
///
/// # Errors
/// If the type needs an importance matrix and there is none, or a tensor cannot be stored.
pub fn plan(gguf: &Gguf, file_type: FileType, options: &MixOptions) -> Result<GgufHeader, Error> {
    if file_type.name == "Q2_K_S" && !options.has_importance {
        return Err(Error::Feature { what: "Q2_K_S without an importance matrix".into() });
    }
    let mut header = GgufHeader::like(&gguf.metadata, gguf.alignment);
    header.set("general.quantization_version", &Field::U32(2));
    header.set("general.file_type", &Field::U32(file_type.id));
    let types = tensor_types(gguf, file_type, options);
    let planned = |(t, dtype): (&TensorInfo, DType)| TensorHeader {
        name: t.name.clone(),
        dims: t.dims.clone(),
        dtype,
    };
    header.tensors = gguf.tensors.iter().zip(types).map(planned).collect();
    header.data_bytes()?;
    Ok(header)
}

/// Writes the file of `header`, whose tensors are those of `gguf` in its order, with the values of
/// `file`. One piece is written while the next is computed.
///
/// # Errors
/// If a value is not finite, importance does not fit, writing fails, or `watch` returns false.
pub fn rewrite(
    pool: &Pool,
    gguf: &Gguf,
    file: &[u8],
    header: &GgufHeader,
    importance: Option<&Importance>,
    out: &mut (dyn Write + Send),
    watch: &mut dyn FnMut(Step<'_>) -> bool,
) -> Result<(), WriteError> {
    out.write_all(&header.encode()?)?;
    std::thread::scope(|scope| {
        let (give, take) = sync_channel::<Vec<u8>>(1);
        let (give_back, spent) = channel::<Vec<u8>>();
        let writer = scope.spawn(move || -> io::Result<()> {
            take.into_iter().try_for_each(|piece| {
                out.write_all(&piece)?;
                // Memory that is used again need not be cleared by the system again.
                let _ = give_back.send(piece);
                Ok(())
            })
        });
        let made = make(pool, gguf, file, header, importance, (&give, &spent), watch);
        drop(give);
        let written =
            writer.join().map_err(|_| io::Error::other("the writer thread stopped unexpectedly"));
        // Where writing failed, making ended for that reason.
        written??;
        made
    })
}

/// Makes all pieces, in order, and hands them on; ends early where nobody takes them any more.
fn make(
    pool: &Pool,
    gguf: &Gguf,
    file: &[u8],
    header: &GgufHeader,
    importance: Option<&Importance>,
    (give, spent): (&SyncSender<Vec<u8>>, &Receiver<Vec<u8>>),
    watch: &mut dyn FnMut(Step<'_>) -> bool,
) -> Result<(), WriteError> {
    let (mut piece, mut done) = (Vec::new(), 0);
    let mut flush = |piece: &mut Vec<Run<'_>>| {
        let mut made = spent.try_recv().unwrap_or_default();
        make_piece(pool, piece, &mut made)?;
        if give.send(made).is_err() {
            return Err(WriteError::Stopped);
        }
        for Run { job, rows, .. } in piece.drain(..) {
            done += (rows.len() * job.from.k()) as u64;
            let (tensor, from, to) = (job.from.name.as_str(), job.from.dtype, job.to);
            if !watch(Step { tensor, from, to, done, released: job.place(&rows) }) {
                return Err(WriteError::Stopped);
            }
        }
        Ok(())
    };
    for (from, to) in gguf.tensors.iter().zip(&header.tensors) {
        let weights = importance.map_or(Ok(None), |i| i.of(from))?;
        let job = Job { from, to: to.dtype, bytes: &file[from.at.clone()], weights };
        let to_row_bytes = job.row_bytes()?;
        let mut start = 0;
        while start < from.n() {
            let held: usize = piece.iter().map(Run::values).sum();
            let room = PIECE_VALUES.saturating_sub(held).div_ceil(from.k());
            let rows = start..from.n().min(start + room);
            start = rows.end;
            let padding = if start == from.n() { header.padding(start * to_row_bytes) } else { 0 };
            let held = held + rows.len() * from.k();
            piece.push(Run { job, rows, to_row_bytes, padding });
            if held >= PIECE_VALUES {
                flush(&mut piece)?;
            }
        }
    }
    flush(&mut piece)
}

/// Rows of a tensor, which are made together with those of others: small tensors by themselves
/// would keep threads waiting for each other.
struct Run<'a> {
    job: Job<'a>,
    rows: Range<usize>,
    to_row_bytes: usize,
    /// Bytes of nothing behind them.
    padding: usize,
}

impl Run<'_> {
    fn values(&self) -> usize {
        self.rows.len() * self.job.from.k()
    }
}

/// The bytes of some runs, one behind the other, in place of what `out` holds.
fn make_piece(pool: &Pool, runs: &[Run<'_>], out: &mut Vec<u8>) -> Result<(), Error> {
    let bytes = |run: &Run<'_>| run.rows.len() * run.to_row_bytes + run.padding;
    out.resize(runs.iter().map(bytes).sum(), 0);
    let (mut tasks, mut rest) = (Vec::new(), out.as_mut_slice());
    for run in runs {
        let task_rows = (TASK_VALUES / run.job.from.k()).max(1);
        for start in run.rows.clone().step_by(task_rows) {
            let rows = start..run.rows.end.min(start + task_rows);
            let (out, behind) = rest.split_at_mut(rows.len() * run.to_row_bytes);
            tasks.push(Task { job: &run.job, rows, out, made: Ok(()) });
            rest = behind;
        }
        let (padding, behind) = rest.split_at_mut(run.padding);
        padding.fill(0);
        rest = behind;
    }
    pool.for_chunks(&mut tasks, 1, |_, tasks| {
        for task in tasks {
            task.made = task.job.rows(pool, &task.rows, task.out);
        }
    });
    tasks.into_iter().try_for_each(|task| task.made)
}

/// Rows for one thread, and where they go.
struct Task<'a> {
    job: &'a Job<'a>,
    rows: Range<usize>,
    out: &'a mut [u8],
    made: Result<(), Error>,
}

/// One tensor.
#[derive(Clone, Copy)]
struct Job<'a> {
    from: &'a TensorInfo,
    to: DType,
    /// As it is stored.
    bytes: &'a [u8],
    /// (matrices of the tensor, k)
    weights: Option<&'a [f32]>,
}

impl Job<'_> {
    fn stored_row_bytes(&self) -> usize {
        self.bytes.len() / self.from.n()
    }

    /// Of a row as it will be.
    fn row_bytes(&self) -> Result<usize, Error> {
        match self.from.dtype == self.to {
            true => Ok(self.stored_row_bytes()),
            false => {
                let bytes = self.to.row_bytes(self.from.k());
                bytes.ok_or_else(|| self.failure("is not a multiple of the block length"))
            }
        }
    }

    /// Where rows stand in the file.
    fn place(&self, rows: &Range<usize>) -> Range<usize> {
        let (at, bytes) = (self.from.at.start, self.stored_row_bytes());
        at + rows.start * bytes..at + rows.end * bytes
    }

    /// Makes rows, one by one: what is decoded stays in the nearest cache.
    fn rows(&self, pool: &Pool, rows: &Range<usize>, out: &mut [u8]) -> Result<(), Error> {
        let from_bytes = self.stored_row_bytes();
        let bytes = &self.bytes[rows.start * from_bytes..rows.end * from_bytes];
        if self.from.dtype == self.to {
            out.copy_from_slice(bytes);
            return Ok(());
        }
        let k = self.from.k();
        let out_bytes = out.len() / rows.len().max(1);
        // Each matrix of a tensor of experts has its own importance.
        let rows_each = self.weights.map(|weights| self.from.n() / (weights.len() / k));
        let mut room = vec![0.0; k];
        let pairs = bytes.chunks_exact(from_bytes).zip(out.chunks_exact_mut(out_bytes));
        for (row, (from, to)) in (rows.start..).zip(pairs) {
            let values = decoded(self.from.dtype, from, &mut room);
            let weights = self.weights.zip(rows_each).map(|(weights, each)| {
                let matrix = row / each;
                &weights[matrix * k..(matrix + 1) * k]
            });
            let made = quantize(pool.isa(), self.to, k, values, weights, to);
            made.map_err(|error| match error {
                QuantizeError::NotFinite { index } => {
                    self.failure(&format!("the value in row {row}, column {index} is not finite"))
                }
                _ => self.failure(&error.to_string()),
            })?;
        }
        Ok(())
    }

    fn failure(&self, why: &str) -> Error {
        Error::malformed(format!("tensor {}", self.from.name), why)
    }
}
