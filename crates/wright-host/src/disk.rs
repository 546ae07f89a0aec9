//! Space on disks.

use crate::Error;
use std::path::Path;

/// Left free on the disk beyond what a file needs.
const SPARE_BYTES: u64 = 64 << 20;

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

/// Checks that `bytes` more, and 64 MiB to spare, fit on the disk of `folder`. A system that does
/// not tell how much is free is taken to have enough.
///
/// # Errors
/// If the disk has less.
pub fn check_space(folder: &Path, bytes: u64) -> Result<(), Error> {
    let needed_bytes = bytes.saturating_add(SPARE_BYTES);
    match free_bytes(folder) {
        Some(free_bytes) if free_bytes < needed_bytes => {
            Err(Error::NoSpace { folder: folder.to_owned(), free_bytes, needed_bytes })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_space(folder.path(), 1).is_ok());
        let error = check_space(folder.path(), u64::MAX / 2).unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert!(error.to_string().contains("free"), "{error}");
    }
}
