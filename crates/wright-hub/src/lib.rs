//! Models by name: a catalogue of good small ones, references to places elsewhere, what other
//! programs hold on this disk, and fetching.
//!
//! [`find::meaning`] says what a name stands for and never fetches; [`pull::ensure`] and
//! [`pull::by_reference`] fetch and never look a name up. Failures are an [`Error`] that names no
//! command of any program.
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::path::Path;
//! use wright_host::{Interrupt, Silent};
//! use wright_hub::catalogue::Catalogue;
//! use wright_hub::find::{self, Known, Meaning};
//! use wright_hub::pull::{self, Means};
//!
//! let (catalogue, models) = (Catalogue::built_in()?, Path::new("models"));
//! let aliases = BTreeMap::new();
//! let known = Known { catalogue: &catalogue, models, aliases: &aliases, stores: Vec::new() };
//! let file = match find::meaning(&known, "smollm2")? {
//!     Meaning::Here(located) => located.path,
//!     Meaning::Fetchable(entry) => {
//!         pull::ensure(&entry, models, &Interrupt::default(), &Means::usual(&Silent))?
//!     }
//!     other => panic!("{other:?} is not a model of the catalogue"),
//! };
//! # Ok::<(), wright_hub::Error>(())
//! ```
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
