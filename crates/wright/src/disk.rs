//! Space on disks, and files that are written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Bytes that this user may still write to the disk of `path`, if the system tells.
#[cfg(unix)]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// Puts what `write` writes in the place of `path`: on disk and whole before it has that name, so
/// that neither a full disk nor the end of the program harms what was there. One program at a time
/// may write to `path`.
///
/// # Errors
/// As `write` or the file system says; what was half written is gone then.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = File::create(&partial).and_then(|file| {
        let mut to = BufWriter::with_capacity(1 << 20, file);
        write(&mut to)?;
        to.flush()?;
        to.get_ref().sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&partial, path));
    if moved.is_err() {
        let _ = fs::remove_file(&partial);
    } else if let Some(Ok(folder)) = path.parent().map(File::open) {
        // The name is on disk for sure once its folder is; not every system can do that.
        let _ = folder.sync_all();
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        replace(&path, |to| to.write_all(b"first")).unwrap();
        let full = replace(&path, |to| {
            to.write_all(&[0; 3 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half written stays");
    }
}
