//! Turns the bytes of a model file into logits.
//!
//! [`Gguf`] reads the container, [`Config`] the numbers of the model in it, [`Network`] finds each
//! part's weights, and the one [`forward`] pass runs over any [`Exec`]utor: its file is where to
//! read what a transformer is here. [`Session`] is what most callers want: a model with a KV cache,
//! to which batches of tokens are given.
//!
//! ```
//! use std::sync::Arc;
//! use wright_model::{Batch, Model, Segment, SeqId, Session, SessionOptions, Want};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bytes = std::fs::read("tests/golden/qwen3.gguf")?;
//! let model = Arc::new(Model::from_gguf(Arc::new(bytes))?);
//! let options = SessionOptions { n_ctx: 64, ..SessionOptions::default() };
//! let mut session = Session::new(Arc::clone(&model), options)?;
//!
//! // A prompt of three tokens; only the last one's logits are wanted.
//! let seq = SeqId(0);
//! let prompt = Segment { seq, pos: 0, ids: &[3, 1, 4], want: Want::Last };
//! let logits = session.forward(&Batch { segments: &[prompt] })?; // (1, n_vocab)
//! assert_eq!((logits.n_rows(), logits.n_vocab()), (1, model.n_vocab()));
//!
//! // The next token sees the three before it, which the session keeps.
//! let row = logits.row(0);
//! let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
//! let next = Segment { seq, pos: 3, ids: &[best as u32], want: Want::Last };
//! session.forward(&Batch { segments: &[next] })?;
//! assert_eq!(session.len(seq), 4);
//! # Ok(())
//! # }
//! ```
//!
//! This crate opens no files, reads neither clock nor environment, prints nothing and knows nothing
//! about text.
#![forbid(unsafe_code)]

pub mod batch;
mod bytes;
pub mod config;
pub mod convert;
pub mod cost;
mod error;
pub mod exec;
mod forward;
mod gguf;
pub mod gguf_writer;
mod imatrix;
pub mod join;
pub mod kv;
pub mod metadata;
mod model;
pub mod network;
mod overlap;
pub mod probe;
pub mod requantize;
pub mod rope;
pub mod safetensors;
mod session;
mod summary;
pub mod type_mix;

pub use batch::{Batch, Rows, Segment, SeqId, Span, Want};
pub use bytes::Bytes;
pub use config::Config;
pub use cost::Cost;
pub use error::{Error, ErrorKind};
pub use exec::Exec;
pub use forward::{classify, forward, hidden};
pub use gguf::{Gguf, TensorInfo};
pub use imatrix::{Collected, Importance};
pub use kv::{KvType, PIECE as KV_PIECE};
pub use metadata::{Metadata, Value};
pub use model::Model;
pub use network::{Network, WeightId};
pub use session::{Logits, Precision, Session, SessionOptions};
pub use summary::{FormatSummary, Memory};
pub use wright_kernels::{DType, Pool};
