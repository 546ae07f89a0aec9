//! From a prompt to a stream of text.
//!
//! The sampler turns logits into ids; the stream turns ids into whole characters, reasoning, tool
//! calls and stops; the engine runs many sequences over one session of `wright-model`; and
//! [`Local`] makes of it all a [`wright_chat::Model`].
//!
//! This crate opens no file, reads no clock but through a callback, and prints nothing.
#![forbid(unsafe_code)]

mod context;
mod engine;
mod fill;
mod load;
mod local;
mod options;
mod philox;
mod prefix;
mod rank;
mod sampler;
mod softmax;
mod stream;
mod vocabulary;

pub use load::{Clock, LoadError, LoadOptions, Release};
pub use local::Local;
pub use options::{OptionError, Sampling};
pub use prefix::{BlockKey, BlockStore, Prefixes};
pub use rank::ranks;
pub use sampler::{SampleError, Sampler};
pub use softmax::LogSoftmax;
pub use vocabulary::{sampling, spec, template, tokenizer, tokenizer_of};
