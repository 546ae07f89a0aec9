//! Turns a prompt into a stream of text.
//!
//! The sampler turns logits into token ids; the engine runs many sequences over one session of
//! `wright-model`; the output stream turns ids into whole characters, reasoning, tool calls and
//! stops; and [`LocalModel`] combines them into a [`wright_chat::Model`].
//!
//! This crate opens no files, reads the clock only through a callback, and prints nothing.
#![forbid(unsafe_code)]

pub mod capabilities;
mod constraint;
mod context;
mod engine;
mod fill_in_middle;
mod load;
mod local_model;
mod options;
mod output;
mod philox;
mod prefix;
mod reranker;
mod sampler;
mod softmax;
mod vocabulary;

pub use constraint::{
    Constraint, ConstraintError, ConstraintGrammar, ConstraintVocabulary, Refusal,
};
pub use engine::LoopDetector;
pub use load::{Clock, LoadError, LoadOptions, Release};
pub use local_model::LocalModel;
pub use options::{OptionError, Sampling};
pub use output::{OutputFormat, OutputState, OutputStream};
pub use prefix::{BlockKey, BlockStore, Prefixes};
pub use sampler::{SampleError, Sampler};
pub use softmax::LogSoftmax;
pub use vocabulary::{sampling, spec, template, tokenizer, tokenizer_of};
