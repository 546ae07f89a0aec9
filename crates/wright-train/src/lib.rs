//! From token ids to a trained model, the same bytes whenever and wherever it is done again.
//!
//! [`Shard`] holds ids by document, [`Batches`] cuts them into rows, [`Trainer`] runs the one
//! forward pass of `wright-model` under a tape, takes its gradients and steps the weights; a
//! [`Run`] is all of it as a configuration describes it. [`checkpoint`] is its state as bytes, and
//! [`gguf_file`] and [`hugging_face`] are what others can load.
//!
//! This crate opens no file, reads no clock and prints nothing: bytes in, bytes out.
#![forbid(unsafe_code)]

pub mod batches;
pub mod checkpoint;
mod error;
pub mod gguf_file;
pub mod hardware;
mod held_out;
pub mod hugging_face;
pub mod memory;
mod muon;
mod parameters;
mod peak;
pub mod plan;
mod random;
pub mod recipe;
mod run;
pub mod run_config;
mod schedule;
mod shape;
pub mod shard;
mod tape;
mod trainer;
pub mod vocabulary;

pub use batches::{Batches, TokenRows};
pub use error::Error;
pub use held_out::HeldOut;
pub use parameters::Parameters;
pub use run::{Detour, HELD_OUT_ROWS, Report, Rollback, Run};
pub use run_config::RunConfig;
pub use schedule::{Decay, Schedule};
pub use shape::{Family, ModelShape, PRESETS, preset};
pub use shard::Shard;
pub use trainer::{OptimizerKind, OptimizerOptions, Outcome, Skip, Trainer};
pub use vocabulary::Vocabulary;
