//! Texts of all kinds to the folder that a model is trained on, with a report of what went in and
//! what was dropped.
//!
//! From top to bottom: texts are collected in a file, paragraphs that many of them have are taken
//! out, a part is held out, a vocabulary is chosen, and what is left becomes shards.

mod boilerplate;
mod collect;
mod holdout;
mod options;
mod shards;
mod spool;
mod staging;
mod vocabulary;

pub use options::PackOptions;

use crate::Work;
use crate::data_folder::DataFolder;
use crate::error::Error;
use crate::walk;
use collect::Collected;
use shards::Packing;
use spool::Spool;
use staging::Staging;
use wright_data::holdout::TEXT_BYTES_MIN;

/// Packs files and folders of text into a folder, which has its name only when it is whole.
///
/// The folder is a function of the input and the options: the number of threads changes no byte.
///
/// ```
/// use std::fs;
/// use wright_corpus::{PackOptions, Work, pack};
/// use wright_host::{Interrupt, Silent};
///
/// let folder = tempfile::tempdir()?;
/// for n in 0..20 {
///     let words: Vec<String> = (0..100).map(|k| format!("word{}", n * 7919 + k * k)).collect();
///     fs::write(folder.path().join(format!("{n}.txt")), words.join(" "))?;
/// }
/// let mut options =
///     PackOptions::new(vec![folder.path().to_owned()], folder.path().join("data"));
/// options.tokenizer = Some("bytes".into());
/// let work = Work { threads: 2, interrupt: &Interrupt::default(), reporter: &Silent };
/// let data = pack(&options, &work)?;
/// assert_eq!(data.report.found.documents, 20);
/// assert!(data.train[0].ends_with("train-00000.shard"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If there is too little text, an option contradicts it, the folder cannot be made, or the work
/// was interrupted; then there is no folder, and what was there before is whole.
pub fn pack(options: &PackOptions, work: &Work<'_>) -> Result<DataFolder, Error> {
    let named = vocabulary::named(options)?;
    let sources = walk::find(&options.paths, &[&options.out])?;
    let staging = Staging::begin(&options.out, options.replace)?;
    let mut spool = Spool::create(&staging.file("texts"))?;
    let mut collected = collect::collect(sources, options, work, &mut spool)?;
    check_amount(&collected)?;
    let mut texts = spool.finish()?;
    if !options.keep_boilerplate {
        let stripped = || Spool::create(&staging.file("texts-stripped"));
        texts = boilerplate::strip(&mut collected, texts, work, stripped)?;
        check_amount(&collected)?;
    }
    let (held, split) = holdout::divide(&collected.records, &texts, options.holdout, work)?;
    let chosen = match named {
        Some(named) => named,
        None => vocabulary::trained(options, &mut collected, &texts, &held, work)?,
    };
    let packing = Packing {
        options,
        collected: &collected,
        texts: &texts,
        held: &held,
        vocabulary: &chosen.vocabulary,
        staging: &staging,
    };
    let written = packing.write(work)?;
    packing.finish(written, split, chosen.about)?;
    drop(texts);
    staging.finish()?;
    DataFolder::open(&options.out)
}

/// # Errors
/// If what is left is nothing to learn from.
fn check_amount(collected: &Collected) -> Result<(), Error> {
    if collected.kept_bytes >= TEXT_BYTES_MIN {
        return Ok(());
    }
    Err(Error::TooLittleText {
        bytes: collected.kept_bytes,
        dropped: collected.dropped.clone(),
        skipped: collected.tally.skipped.clone(),
    })
}
