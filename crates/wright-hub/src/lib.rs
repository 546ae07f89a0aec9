//! Models by name: a catalogue of good small ones, references to places elsewhere, what other
//! programs hold on this disk, and fetching.
//!
//! [`find::meaning`] says what a name stands for and never fetches; [`pull::ensure`] and
//! [`pull::by_reference`] fetch and never look a name up. Failures are an [`Error`] that names no
//! command of any program.
#![forbid(unsafe_code)]

pub mod catalogue;
mod error;
pub mod find;
pub mod gguf_file;
pub mod other_caches;
pub mod pull;
pub mod receipt;
pub mod reference;

pub use error::{Error, ErrorKind, Hint};
