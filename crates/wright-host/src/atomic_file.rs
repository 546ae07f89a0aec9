//! Files that are written whole or not at all.
//!
//! An [`AtomicFile`] is written beside its place, and renamed when it is whole and on disk, so that
//! neither a full disk nor the end of the program harms what was there. What a killed program left
//! half-written is removed by the next one that writes the same file.

use crate::{Error, disk, lock};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

const BUFFER_BYTES: usize = 256 << 10;
/// After so many bytes more, the disk is told to write them.
const STRIDE_BYTES: usize = 8 << 20;
/// How often a name for the partial file is tried.
const ATTEMPTS: usize = 16;
/// What the names of partial files end in.
const PARTIAL: &str = ".partial";

/// A file in the making. Dropped before [`AtomicFile::finish`], it leaves nothing behind.
pub struct AtomicFile {
    out: BufWriter<Strides>,
    partial: PathBuf,
    path: PathBuf,
    is_finished: bool,
}

impl AtomicFile {
    /// Starts the file that will be `path`; its folder must exist.
    ///
    /// # Errors
    /// If the partial file cannot be made.
    pub fn create(path: &Path) -> Result<AtomicFile, Error> {
        remove_left_overs(path);
        AtomicFile::begin(path, true)
    }

    /// Starts a file of about `bytes` bytes.
    ///
    /// # Errors
    /// If `path` exists and may not be replaced, the disk is too small, or the partial file cannot
    /// be made.
    pub fn with_space(path: &Path, bytes: u64, replace: bool) -> Result<AtomicFile, Error> {
        if path.exists() && !replace {
            return Err(Error::Exists(path.to_owned()));
        }
        disk::check_space(folder(path), bytes)?;
        AtomicFile::create(path)
    }

    /// Starts a file of a cache, which may be lost in a power cut but never half-written: nothing
    /// waits for the disk, and nobody looks for what a killed program left.
    ///
    /// # Errors
    /// If the partial file cannot be made.
    pub fn in_cache(path: &Path) -> Result<AtomicFile, Error> {
        AtomicFile::begin(path, false)
    }

    fn begin(path: &Path, is_durable: bool) -> Result<AtomicFile, Error> {
        let (file, partial) = claim(path)?;
        let strides = Strides { file: Arc::new(file), write_out: None, written: 0, is_durable };
        let out = BufWriter::with_capacity(BUFFER_BYTES, strides);
        Ok(AtomicFile { out, partial, path: path.to_owned(), is_finished: false })
    }

    /// Gives the file its name, all at once.
    ///
    /// # Errors
    /// If it cannot be written out or renamed; what stood there before is then still whole.
    pub fn finish(mut self) -> Result<(), Error> {
        let written = self.out.flush().and_then(|()| self.out.get_mut().end());
        written.map_err(|error| Error::io("write", &self.path, error))?;
        match self.out.get_ref().is_durable {
            true => publish(&self.partial, &self.path)?,
            false => fs::rename(&self.partial, &self.path)
                .map_err(|error| Error::io("write", &self.path, error))?,
        }
        self.is_finished = true;
        Ok(())
    }

    /// Where the file will be.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.out.get_mut().end();
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Puts what `write` writes in the place of `path`, whose folder must exist.
///
/// ```
/// use std::io::Write;
/// use wright_host::atomic_file;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("settings.json");
/// atomic_file::replace(&path, |to| to.write_all(b"{}"))?;
/// // A write that fails half-way changes nothing.
/// let failed = atomic_file::replace(&path, |to| {
///     to.write_all(b"{ \"half")?;
///     Err(std::io::ErrorKind::StorageFull.into())
/// });
/// assert!(failed.is_err());
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If `write` or the file system fails; what stood there before is then still whole.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    let mut file = AtomicFile::create(path)?;
    write(&mut file).map_err(|error| Error::io("write", path, error))?;
    file.finish()
}

/// Puts `bytes` in the place of `path`, and makes its folder if need be.
///
/// # Errors
/// If the file system fails; what stood there before is then still whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::create_dir_all(folder(path)).map_err(|error| Error::io("write", path, error))?;
    replace(path, |to| to.write_all(bytes))
}

/// Renames a file or folder that is on disk already, and has its new name written to disk.
///
/// # Errors
/// If it cannot be renamed.
pub fn publish(from: &Path, path: &Path) -> Result<(), Error> {
    fs::rename(from, path).map_err(|error| Error::io("write", path, error))?;
    if let Ok(folder) = File::open(folder(path)) {
        // The name is on disk for sure once its folder is; not every system can do that.
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Removes what killed programs left half-written of `path`. What a living one still writes is
/// locked, and stays.
pub fn remove_left_overs(path: &Path) {
    for entry in fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        if is_partial_of(&entry.file_name(), path)
            && let Ok(file) = File::options().write(true).open(entry.path())
            && matches!(lock::try_lock(&file), Ok(true))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether `name` is one that [`claim`] gives: `NAME.PROCESS-NUMBER.partial`.
fn is_partial_of(name: &OsString, path: &Path) -> bool {
    let whole = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_string_lossy();
    let middle = name.strip_prefix(&*whole).and_then(|rest| rest.strip_suffix(PARTIAL));
    let numbers = middle.and_then(|middle| middle.strip_prefix('.')?.split_once('-'));
    numbers
        .is_some_and(|(process, number)| [process, number].iter().all(|n| n.parse::<u64>().is_ok()))
}

/// A new file beside `path`, locked for as long as it is open.
fn claim(path: &Path) -> Result<(File, PathBuf), Error> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    for _ in 0..ATTEMPTS {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{number}{PARTIAL}", std::process::id()));
        let partial = path.with_file_name(name);
        let failed = |error| Error::io("make", &partial, error);
        let file = File::create(&partial).map_err(failed)?;
        // Another program may have taken it for a left-over before it was locked.
        if lock::try_lock(&file).map_err(failed)? && partial.exists() {
            return Ok((file, partial));
        }
    }
    Err(Error::io("write", path, io::ErrorKind::WouldBlock.into()))
}

/// A file whose bytes go to the disk while more are made, so that nobody waits long at the end.
struct Strides {
    file: Arc<File>,
    /// Once a stride is written.
    write_out: Option<WriteOut>,
    /// Bytes of the stride at work.
    written: usize,
    is_durable: bool,
}

impl Strides {
    /// Waits until all of it is on disk, if it has to be.
    fn end(&mut self) -> io::Result<()> {
        let written = self.write_out.take().map_or(Ok(()), WriteOut::end);
        if self.is_durable { written.and_then(|()| self.file.sync_all()) } else { written }
    }
}

impl Write for Strides {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.as_ref().write(bytes)?;
        self.written += n;
        if self.is_durable && self.written >= STRIDE_BYTES {
            self.written = 0;
            let write_out = self.write_out.get_or_insert_with(|| WriteOut::of(&self.file));
            // One that is busy takes these bytes with the next, or the end does.
            let _ = write_out.tell.try_send(());
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_ref().flush()
    }
}

/// A thread that waits for the disk.
struct WriteOut {
    tell: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl WriteOut {
    fn of(file: &Arc<File>) -> WriteOut {
        let (tell, told) = sync_channel::<()>(1);
        let file = Arc::clone(file);
        let thread = std::thread::spawn(move || told.iter().try_for_each(|()| file.sync_data()));
        WriteOut { tell, thread }
    }

    /// The disk's failure, which it tells only once.
    fn end(self) -> io::Result<()> {
        drop(self.tell);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the writer thread stopped unexpectedly")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn only_a_complete_file_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let mut file = AtomicFile::with_space(&path, 10, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(names(folder.path()), 0, "nothing is left");
        let mut file = AtomicFile::with_space(&path, 10, false).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let again = AtomicFile::with_space(&path, 10, false).err().unwrap();
        assert!(matches!(again, Error::Exists(_)));
        assert!(AtomicFile::with_space(&path, 10, true).is_ok());
        assert_eq!(fs::read(&path).unwrap(), b"whole", "an abandoned one changes nothing");
        assert_eq!(names(folder.path()), 1);
    }

    #[test]
    fn large_files_go_to_the_disk_as_they_grow_and_none_is_left_of_an_abandoned_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let bytes: Vec<u8> = (0..3 * STRIDE_BYTES).map(|i| (i / 4096) as u8).collect();
        for is_finished in [false, true] {
            let mut file = AtomicFile::create(&path).unwrap();
            bytes.chunks(1 << 20).for_each(|bytes| file.write_all(bytes).unwrap());
            assert!(file.out.get_ref().write_out.is_some() && !path.exists());
            match is_finished {
                true => file.finish().unwrap(),
                false => drop(file),
            }
            assert_eq!(names(folder.path()), usize::from(is_finished));
        }
        assert!(fs::read(&path).unwrap() == bytes, "every byte is where it belongs");
    }

    #[test]
    fn a_failed_write_keeps_the_previous_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        write(&path, b"first").unwrap();
        let full = replace(&path, |to| {
            to.write_all(&[0; 3 << 20])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        let Error::Io { source, .. } = full.unwrap_err() else { panic!("not of the file system") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), 1, "nothing half-written stays");
    }

    #[test]
    fn what_a_killed_program_left_goes_and_what_a_living_one_writes_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let left = folder.path().join("state.77-3.partial");
        let others = ["state.partial", "other.77-3.partial", "state.x-3.partial"];
        fs::write(&left, "half").unwrap();
        others.iter().for_each(|name| fs::write(folder.path().join(name), "kept").unwrap());
        let mut first = AtomicFile::create(&path).unwrap();
        first.write_all(b"first").unwrap();
        assert!(!left.exists());
        let mut second = AtomicFile::create(&path).unwrap();
        second.write_all(b"second").unwrap();
        assert!(first.partial.exists(), "it is locked");
        second.finish().unwrap();
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first", "the last to finish wins, and is whole");
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
    }

    #[test]
    fn folders_are_made_and_a_file_of_a_cache_is_as_whole_as_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/x");
        write(&path, b"1").unwrap();
        let mut file = AtomicFile::in_cache(&path).unwrap();
        file.write_all(b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"1");
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(names(path.parent().unwrap()), 1);
    }
}
