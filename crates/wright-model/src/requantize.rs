//! A model's weights written in other types: streaming, on all threads, in bounded memory.
//!
//! A piece of some megabytes at a time is decoded, quantised and written, so that the memory does
//! not depend on the model. The result depends on nothing but the input, the types and the
//! importance: not on threads, nor on where pieces begin.

use crate::Error;
use crate::gguf::{Gguf, TensorInfo};
use crate::gguf_writer::{Field, Plan, Planned};
use crate::imatrix::Importance;
use crate::mixture::{FileType, Wishes, tensor_types};
use std::io::{self, Write};
use std::ops::Range;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use wright_kernels::{DType, Pool, QuantizeError, dequantize, quantize};

/// Values that one task decodes and quantises.
const TASK_VALUES: usize = 64 << 10;
/// Values whose result is held before it is written.
const PIECE_VALUES: usize = 8 << 20;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error(transparent)]
    Model(#[from] Error),
    #[error("{0}")]
    Write(#[from] io::Error),
    /// The caller's watch said so.
    #[error("stopped")]
    Stopped,
}

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

/// The file that quantising makes: metadata as they were, with the new file type.
///
/// # Errors
/// If the type needs an importance matrix and there is none, or a tensor cannot be stored.
pub fn plan(gguf: &Gguf, file_type: FileType, wishes: &Wishes) -> Result<Plan, Error> {
    if file_type.name == "Q2_K_S" && !wishes.has_importance {
        return Err(Error::Feature { what: "Q2_K_S without an importance matrix".into() });
    }
    let mut plan = Plan::like(&gguf.metadata, gguf.alignment);
    plan.set("general.quantization_version", &Field::U32(2));
    plan.set("general.file_type", &Field::U32(file_type.id));
    let types = tensor_types(gguf, file_type, wishes);
    let planned = |(t, dtype): (&TensorInfo, DType)| Planned {
        name: t.name.clone(),
        dims: t.dims.clone(),
        dtype,
    };
    plan.tensors = gguf.tensors.iter().zip(types).map(planned).collect();
    plan.data_bytes()?;
    Ok(plan)
}

/// Writes `plan`, whose tensors are those of `gguf` in its order, with the values of `file`. One
/// piece is written while the next is made.
///
/// # Errors
/// If a value is not finite, importance does not fit, writing fails, or `watch` returns false.
pub fn rewrite(
    pool: &Pool,
    gguf: &Gguf,
    file: &[u8],
    plan: &Plan,
    importance: Option<&Importance>,
    out: &mut (dyn Write + Send),
    watch: &mut dyn FnMut(Step<'_>) -> bool,
) -> Result<(), RewriteError> {
    out.write_all(&plan.head()?)?;
    std::thread::scope(|scope| {
        let (give, take) = sync_channel::<Vec<u8>>(1);
        let writer = scope.spawn(move || take.into_iter().try_for_each(|b| out.write_all(&b)));
        let made = make(pool, gguf, file, plan, importance, &give, watch);
        drop(give);
        let written = writer.join().map_err(|_| io::Error::other("the writing thread died"));
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
    plan: &Plan,
    importance: Option<&Importance>,
    give: &SyncSender<Vec<u8>>,
    watch: &mut dyn FnMut(Step<'_>) -> bool,
) -> Result<(), RewriteError> {
    let mut done = 0;
    for (from, to) in gguf.tensors.iter().zip(&plan.tensors) {
        let weights = importance.map_or(Ok(None), |i| i.of(from))?;
        let job = Job { pool, from, to: to.dtype, bytes: &file[from.at.clone()], weights };
        let mut written = 0;
        for piece in job.pieces() {
            let result = job.piece(piece.clone())?;
            written += result.len();
            done += (piece.len() * from.k()) as u64;
            let row_bytes = job.stored_row_bytes();
            let at = from.at.start + piece.start * row_bytes;
            let released = at..at + piece.len() * row_bytes;
            let step = Step { tensor: &from.name, from: from.dtype, to: to.dtype, done, released };
            if give.send(result).is_err() || !watch(step) {
                return Err(RewriteError::Stopped);
            }
        }
        if give.send(vec![0; plan.padding(written)]).is_err() {
            return Err(RewriteError::Stopped);
        }
    }
    Ok(())
}

/// One tensor.
struct Job<'a> {
    pool: &'a Pool,
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

    /// Rows that are quantised before any of them is written.
    fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let (n, len) = (self.from.n(), (PIECE_VALUES / self.from.k()).max(1));
        (0..n.div_ceil(len)).map(move |i| i * len..((i + 1) * len).min(n))
    }

    fn piece(&self, rows: Range<usize>) -> Result<Vec<u8>, Error> {
        let from_bytes = self.stored_row_bytes();
        let bytes = &self.bytes[rows.start * from_bytes..rows.end * from_bytes];
        if self.from.dtype == self.to {
            return Ok(bytes.to_vec());
        }
        let k = self.from.k();
        let to_bytes = self.to.row_bytes(k).ok_or_else(|| self.failure("has no whole blocks"))?;
        let mut out = vec![0; rows.len() * to_bytes];
        let task_rows = (TASK_VALUES / k).max(1);
        let failed = Mutex::new(None);
        self.pool.for_chunks(&mut out, task_rows * to_bytes, |task, out| {
            let first = task * task_rows;
            let n = out.len() / to_bytes;
            let bytes = &bytes[first * from_bytes..(first + n) * from_bytes];
            if let Err(error) = self.rows(rows.start + first, bytes, out) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(out),
        }
    }

    /// Rows from `first` on, `bytes` as they were and `out` as they shall be. One by one: values
    /// stay in the nearest cache.
    fn rows(&self, first: usize, bytes: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let k = self.from.k();
        let n_rows = bytes.len() / self.stored_row_bytes();
        let out_bytes = out.len() / n_rows.max(1);
        // Each matrix of a tensor of experts has its own importance.
        let rows_each = self.weights.map(|weights| self.from.n() / (weights.len() / k));
        let mut values = vec![0.0; k];
        let rows = bytes.chunks_exact(self.stored_row_bytes()).zip(out.chunks_exact_mut(out_bytes));
        for (row, (from, to)) in (first..).zip(rows) {
            dequantize(self.from.dtype, from, &mut values);
            let weights = self.weights.zip(rows_each).map(|(weights, each)| {
                let matrix = row / each;
                &weights[matrix * k..(matrix + 1) * k]
            });
            let made = quantize(self.pool.isa(), self.to, k, &values, weights, to);
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
