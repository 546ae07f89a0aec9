//! From bytes of files to documents: what is text in them, where it came from and under which
//! licence, what is kept and what is dropped, and why.
//!
//! [`read()`] takes the bytes of a file of any kind and gives [`Item`]s. [`quality`] and
//! [`duplicates`] say which documents teach nothing new, [`boilerplate`] which paragraphs,
//! [`holdout`] which text a model is measured by, and [`report`] is how all of it is written down.
//!
//! This crate opens no file, reads no clock and prints nothing, and knows no tokens: readers in,
//! documents out. It works as well on one document after the other as on many at once: each
//! function depends on its arguments alone.
#![forbid(unsafe_code)]

mod archive;
pub mod boilerplate;
mod compression;
mod cut;
mod document;
pub mod duplicates;
mod encoding;
mod format;
mod front_matter;
pub mod holdout;
mod html;
mod input;
mod jsonl;
pub mod licence;
mod parquet;
mod pdf;
pub mod quality;
mod read;
pub mod report;
mod text;
mod words;

pub use document::{Document, Encoding, Item, Sink, SkipReason};
pub use input::{Input, ReadOptions, ReadSeek};
pub use read::read;
pub use text::SEPARATOR;
