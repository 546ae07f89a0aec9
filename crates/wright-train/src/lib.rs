//! Turns token IDs into a trained model, reproducibly to the byte.
//!
//! [`Shard`] holds ids by document, [`Batches`] cuts them into rows, [`Trainer`] runs the one
//! forward pass of `wright-model` under a tape, takes its gradients and steps the weights; a
//! [`Run`] is all of it as a configuration describes it. [`checkpoint`] is its state as bytes, and
//! [`gguf`] and [`hugging_face`] are what others can load.
//!
//! ```
//! use std::sync::Arc;
//! use wright_train::{Run, RunConfig, Shard, shard::ShardBuilder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Documents of token ids: here, counting in circles of ten.
//! let mut builder = ShardBuilder::new(10, 0)?;
//! for doc in 0..8 {
//!     builder.push(&(doc..doc + 24).map(|i| i % 10).collect::<Vec<u32>>())?;
//! }
//! let shard = Shard::open(Arc::new(builder.finish()))?;
//!
//! let config = RunConfig::parse(
//!     r#"
//!     [model]
//!     n_layer = 1
//!     n_embd = 16
//!     n_head = 2
//!     n_ff = 32
//!     n_vocab = 10
//!     n_ctx = 8
//!     [data]
//!     train = ["memory"]
//!     [train]
//!     steps = 30
//!     warmup = 3
//!     batch = 4
//!     learning_rate = 0.02
//!     "#,
//! )?;
//! let mut run = Run::new(&config, &config.shape()?, vec![shard], Vec::new(), 1)?;
//! let mut losses = Vec::new();
//! while let Some(report) = run.step(&|| false)? {
//!     losses.push(report.loss);
//!     if run.is_done() {
//!         break;
//!     }
//! }
//! assert!(losses[29] < losses[0] / 2.0, "{losses:?}");
//! # Ok(())
//! # }
//! ```
//!
//! This crate opens no files, reads no clock and prints nothing: bytes in, bytes out.
#![forbid(unsafe_code)]

pub mod batches;
pub mod checkpoint;
mod error;
pub mod gguf;
pub mod hardware;
mod held_out;
pub mod hugging_face;
pub mod memory;
mod muon;
mod parameters;
mod peak;
mod random;
pub mod recipe;
mod run;
pub mod run_config;
mod schedule;
mod shape;
pub mod shard;
pub mod sizing;
mod tape;
mod trainer;
pub mod vocabulary;

pub use batches::{Batches, TokenRows};
pub use checkpoint::RollbackState;
pub use error::Error;
pub use held_out::HeldOut;
pub use parameters::Parameters;
pub use run::{HELD_OUT_ROWS, Report, Rollback, Run};
pub use run_config::RunConfig;
pub use schedule::{Decay, Schedule};
pub use shape::{Family, ModelShape, PRESETS, preset};
pub use shard::Shard;
pub use trainer::{OptimizerKind, OptimizerOptions, Outcome, Skip, Trainer};
pub use vocabulary::Vocabulary;
