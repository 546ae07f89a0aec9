//! The folder that a pull works in: locked against other pulls of the same model, on the same
//! disk as the folder of models, gone when the pull ends.

use crate::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use wright_host::{Interrupt, Reporter, atomic_file, disk, lock};

/// Folders of what was fetched so far, followed by the model's name.
const PARTIAL_PREFIX: &str = ".partial-";

/// A staging folder and the lock on its model's name.
pub struct Staging {
    folder: PathBuf,
    /// What came over HTTP; outlives this, so that the next pull goes on from it.
    partial: PathBuf,
    /// Released when it is closed. The file itself stays: removing it would let a third pull lock
    /// a new file of the same name while a second one waits on the old.
    _lock: File,
}

impl Staging {
    /// Waits until no other pull of `name` runs, then makes an empty folder for this one. What a
    /// killed pull left behind is removed.
    ///
    /// # Errors
    /// If the folder cannot be made, or Ctrl-C while waiting.
    pub fn open(
        models: &Path,
        name: &str,
        interrupt: &Interrupt,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        fs::create_dir_all(models).map_err(|error| Error::io("make", models, error))?;
        let lock_path = models.join(format!(".{name}.lock"));
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| Error::io("make", &lock_path, error))?;
        wait_for(&lock, name, &lock_path, interrupt, reporter)?;
        let prefix = format!(".staging-{name}-");
        remove_left_over(models, &prefix);
        let folder = models.join(format!("{prefix}{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| Error::io("make", &folder, error))?;
        let partial = models.join(format!("{PARTIAL_PREFIX}{name}"));
        Ok(Staging { folder, partial, _lock: lock })
    }

    /// A path inside.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the file of this number is gathered, to be gone on with by a later pull.
    ///
    /// # Errors
    /// If its folder cannot be made.
    pub fn partial(&self, number: usize) -> Result<PathBuf, Error> {
        let made = fs::create_dir_all(&self.partial);
        made.map_err(|error| Error::io("make", &self.partial, error))?;
        Ok(self.partial.join(format!("{number}.part")))
    }

    /// Bytes that earlier pulls brought.
    pub fn partial_bytes(&self) -> u64 {
        bytes_below(&self.partial)
    }

    pub fn forget_partial(&self) {
        let _ = fs::remove_dir_all(&self.partial);
    }

    /// Removes everything inside, before another source is tried.
    ///
    /// # Errors
    /// If the folder cannot be made again.
    pub fn empty(&self) -> Result<(), Error> {
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(&self.folder).map_err(|error| Error::io("make", &self.folder, error))
    }

    /// Bytes of all files in the folders inside, at any depth: how far a download has come. Files
    /// beside those folders are our own notes.
    pub fn bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
        folders.map(|folder| bytes_below(&folder)).sum()
    }

    /// # Errors
    /// If the disk has less than `bytes` to give.
    pub fn check_space(&self, bytes: u64) -> Result<(), Error> {
        Ok(disk::check_space(&self.folder, bytes)?)
    }

    /// Puts a finished file in its place, all at once.
    ///
    /// # Errors
    /// If it cannot be moved there.
    pub fn publish(&self, file: &Path, path: &Path) -> Result<(), Error> {
        Ok(atomic_file::publish(file, path)?)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn wait_for(
    lock: &File,
    name: &str,
    path: &Path,
    interrupt: &Interrupt,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let mut told = false;
    // Some network disks know no locks; the rename still keeps the result whole.
    while !lock::try_lock(lock).map_err(|error| Error::io("lock", path, error))? {
        if interrupt.is_set() {
            return Err(Error::Interrupted);
        }
        if !told {
            reporter.note(&format!("another Wright process is downloading {name}: waiting for it"));
            told = true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn remove_left_over(models: &Path, prefix: &str) {
    for entry in fs::read_dir(models).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Bytes of all files below a folder.
pub fn bytes_below(folder: &Path) -> u64 {
    // Files come and go meanwhile: what cannot be seen is not counted.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// The folders of fetches that have not ended, each a model's.
pub fn partial_folders(models: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(models).into_iter().flatten().flatten();
    let is_partial =
        |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX);
    entries.filter(is_partial).map(|entry| entry.path()).collect()
}

/// Bytes that unfinished fetches left.
pub fn unfinished_bytes(models: &Path) -> u64 {
    partial_folders(models).iter().map(|folder| bytes_below(folder)).sum()
}
