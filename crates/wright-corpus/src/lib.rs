//! Files and folders of text to what a model is trained on: packed data with its manifest and
//! report, and tokenizers.
//!
//! [`pack()`] makes a folder of shards that [`DataFolder`] opens, [`train_tokenizer`] learns a
//! vocabulary, and both stand on [`find`] (paths to [`Source`]s) and [`ingest`] (sources to
//! documents, in batches of bounded size). Results depend on the input and the options alone: the
//! number of threads changes no byte.
//!
//! This crate prints nothing: [`Work`] carries who hears of progress and who may stop it.
#![forbid(unsafe_code)]

mod data_folder;
mod error;
mod ingest;
mod pack;
mod tally;
mod tokenizer;
mod vocabulary;
mod walk;

pub use data_folder::{DataFolder, MANIFEST, REPORT, TOKENIZER, read_report};
pub use error::Error;
pub use ingest::ingest;
pub use pack::{PackOptions, pack};
pub use tally::{Found, Tally};
pub use tokenizer::{LearnedTokenizer, TokenizerOptions, train_tokenizer};
pub use vocabulary::read_vocabulary;
pub use walk::{Source, find};

use wright_host::{Interrupt, Reporter};

/// How work is done: on how many threads, what may stop it, and where its progress goes.
#[derive(Clone, Copy)]
pub struct Work<'w> {
    pub threads: usize,
    pub interrupt: &'w Interrupt,
    pub reporter: &'w dyn Reporter,
}

impl Work<'_> {
    /// # Errors
    /// [`Error::Interrupted`] if the work was asked to stop.
    fn check(&self) -> Result<(), Error> {
        if self.interrupt.is_set() { Err(Error::Interrupted) } else { Ok(()) }
    }
}
