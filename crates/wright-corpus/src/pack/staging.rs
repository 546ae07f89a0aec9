//! A folder in the making: it has its name only when it is whole and on disk.

use crate::data_folder::DataFolder;
use crate::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use wright_host::lock;

const LOCK: &str = ".lock";

/// Written beside its place, locked, and renamed at the end; removed if that end never comes.
pub struct Staging {
    partial: PathBuf,
    out: PathBuf,
    _lock: File,
    is_finished: bool,
}

/// `out` with an ending to its name.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    out.with_file_name(name)
}

impl Staging {
    /// Begins the folder that will be `out`.
    ///
    /// # Errors
    /// If something stands there that may not be replaced, another program makes the same folder,
    /// or it cannot be made.
    pub fn begin(out: &Path, replace: bool) -> Result<Staging, Error> {
        if out.file_name().is_none() {
            return Err(Error::NoFolderName(out.to_owned()));
        }
        check_free(out, replace)?;
        let partial = beside(out, ".partial");
        let is_foreign = partial.exists() && !partial.join(LOCK).exists();
        if is_foreign && fs::read_dir(&partial).is_ok_and(|mut all| all.next().is_some()) {
            return Err(Error::InTheWay(partial));
        }
        let failed = |error: io::Error| Error::io("make", &partial, error);
        fs::create_dir_all(&partial).map_err(failed)?;
        let lock = partial.join(LOCK);
        let lock = File::options().create(true).truncate(false).write(true).open(lock);
        let lock = lock.map_err(failed)?;
        if !lock::try_lock(&lock).map_err(failed)? {
            return Err(Error::Busy(out.to_owned()));
        }
        let staging = Staging { partial, out: out.to_owned(), _lock: lock, is_finished: false };
        staging.clear();
        Ok(staging)
    }

    /// Removes what a killed program left.
    fn clear(&self) {
        for entry in fs::read_dir(&self.partial).into_iter().flatten().flatten() {
            if entry.file_name() != LOCK {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.partial.join(name)
    }

    /// Gives the folder its name. All files in it must be on disk.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn finish(mut self) -> Result<(), Error> {
        let failed = |error: io::Error| Error::io("make", &self.out, error);
        fs::remove_file(self.partial.join(LOCK)).map_err(failed)?;
        if let Ok(folder) = File::open(&self.partial) {
            let _ = folder.sync_all();
        }
        let old = beside(&self.out, ".old");
        let had = self.out.exists();
        if had {
            fs::rename(&self.out, &old).map_err(failed)?;
        }
        if let Err(error) = fs::rename(&self.partial, &self.out) {
            if had {
                let _ = fs::rename(&old, &self.out);
            }
            return Err(failed(error));
        }
        self.is_finished = true;
        if had {
            let _ = fs::remove_dir_all(&old);
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_finished {
            self.clear();
            let _ = fs::remove_file(self.partial.join(LOCK));
            let _ = fs::remove_dir(&self.partial);
        }
    }
}

/// # Errors
/// If `out` is there and may not be replaced.
fn check_free(out: &Path, replace: bool) -> Result<(), Error> {
    let is_empty = fs::read_dir(out).is_ok_and(|mut all| all.next().is_none());
    if !out.exists() || is_empty || (replace && DataFolder::is_one(out)) {
        return Ok(());
    }
    Err(Error::Exists { path: out.to_owned(), is_packed: DataFolder::is_one(out) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_finished_folder_has_its_name_and_two_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("data");
        let staging = Staging::begin(&out, false).unwrap();
        fs::write(staging.file("x"), b"half").unwrap();
        assert!(matches!(Staging::begin(&out, false), Err(Error::Busy(_))));
        assert!(!out.exists());
        drop(staging);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        let staging = Staging::begin(&out, false).unwrap();
        fs::write(staging.file("x"), b"whole").unwrap();
        staging.finish().unwrap();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        let again = Staging::begin(&out, true);
        let is_foreign = matches!(again, Err(Error::Exists { is_packed: false, .. }));
        assert!(is_foreign, "only a data folder is replaced");
    }
}
