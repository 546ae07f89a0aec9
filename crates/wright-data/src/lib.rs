//! Turns the bytes of files into documents: their text, its source and licence, what is kept, what
//! is dropped and why.
//!
//! [`read()`] turns the bytes of a file of any supported format into [`Item`]s. [`quality`] and
//! [`duplicates`] find documents that are not worth training on, [`boilerplate`] repeated
//! paragraphs, [`holdout`] chooses the evaluation text, and [`report`] describes the result.
//!
//! This crate opens no files, reads no clock, prints nothing and knows nothing about tokens:
//! readers in, documents out. Every function depends on its arguments alone, so documents can be
//! processed one by one or in parallel.
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
