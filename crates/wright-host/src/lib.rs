//! The machine that Wright runs on: mapped and atomically written files, memory and processors,
//! Ctrl-C, and how long work reports its progress.
//!
//! This crate knows no model and prints nothing: what there is to say goes through [`Reporter`],
//! and a failure is an [`Error`] that names no command-line flag.
#![deny(unsafe_code)]

pub mod atomic_file;
pub mod disk;
mod error;
mod interrupt;
pub mod lock;
pub mod machine;
#[allow(unsafe_code)]
pub mod mmap;
mod parallel_map;
mod report;
pub mod units;

pub use atomic_file::AtomicFile;
pub use error::Error;
pub use interrupt::{Interrupt, suspend};
pub use mmap::Mapped;
pub use parallel_map::parallel_map;
pub use report::{Count, Progress, Reporter, Silent};
