//! From a file's bytes to logits.
//!
//! [`Gguf`] reads the container, [`Config`] the numbers of the model in it, [`Network`] finds each
//! part's weights, and the one [`forward`] pass runs over any [`Exec`]utor. [`Session`] is what
//! most callers want: a model with a KV cache, to which batches of tokens are given.
//!
//! This crate opens no file, reads no clock and no environment, prints nothing and knows no text.
#![forbid(unsafe_code)]

mod apart;
pub mod batch;
pub mod config;
pub mod convert;
mod error;
pub mod exec;
mod forward;
mod gguf;
pub mod gguf_writer;
mod imatrix;
pub mod join;
pub mod kv;
pub mod metadata;
pub mod mixture;
mod model;
pub mod network;
pub mod probe;
pub mod requantize;
pub mod rope;
pub mod safetensors;
mod session;
mod summary;

pub use batch::{Batch, Rows, Segment, SeqId, Span, Want};
pub use config::Config;
pub use error::{Error, ErrorKind};
pub use exec::Exec;
pub use exec::cost::Cost;
pub use forward::{classify, forward, hidden};
pub use gguf::{Gguf, TensorInfo};
pub use imatrix::{Collected, Importance};
pub use kv::{KvType, PIECE as KV_PIECE};
pub use metadata::{Metadata, Value};
pub use model::{Bytes, Model};
pub use network::{Network, WeightId};
pub use session::{Logits, Precision, Session, SessionOptions};
pub use summary::{FormatSummary, Memory};
pub use wright_kernels::{DType, Pool};
