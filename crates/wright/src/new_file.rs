//! A large file in the making: it has its name only when it is whole and on disk. What is written
//! goes to the disk while more is made, so that nobody waits long at the end.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{disk, units};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Left free on the disk beyond what a file needs.
pub const SPARE_BYTES: u64 = 64 << 20;
/// After so many bytes more, the disk is told to write them.
const STRIDE_BYTES: usize = 8 << 20;

/// Written beside its place and renamed at the end; removed if that end never comes.
pub struct NewFile {
    file: Arc<File>,
    /// Once a stride is written.
    out: Option<WriteOut>,
    /// Bytes of the stride at work.
    stride: usize,
    partial: PathBuf,
    path: PathBuf,
    is_finished: bool,
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
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread died")))
    }
}

impl NewFile {
    /// Starts a file of about `bytes` bytes.
    ///
    /// # Errors
    /// If `path` exists and may not be replaced, the disk is too small, or the file cannot be made.
    pub fn create(path: &Path, bytes: u64, replace: bool) -> Result<NewFile, Failure> {
        if path.exists() && !replace {
            let what = format!("{} is there already", path.display());
            return Err(Failure::usage(what).hint("--force replaces it, -o FILE names another"));
        }
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        check_space(folder, bytes)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = folder.join(name);
        let file = File::create(&partial).map_err(|error| Failure::io("make", &partial, &error))?;
        let (file, path) = (Arc::new(file), path.to_owned());
        Ok(NewFile { file, out: None, stride: 0, partial, path, is_finished: false })
    }

    /// Gives the file its name, all at once.
    ///
    /// # Errors
    /// If it cannot be written out or renamed.
    pub fn finish(mut self) -> Result<(), Failure> {
        let written = self.out.take().map_or(Ok(()), WriteOut::end);
        let synced = written.and_then(|()| self.file.sync_all());
        let renamed = synced.and_then(|()| fs::rename(&self.partial, &self.path));
        renamed.map_err(|error| Failure::io("write", &self.path, &error))?;
        self.is_finished = true;
        Ok(())
    }

    /// What a failed write to it means.
    pub fn failed(path: &Path, error: &io::Error) -> Failure {
        Failure::io("write", path, error)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.as_ref().write(bytes)?;
        self.stride += n;
        if self.stride >= STRIDE_BYTES {
            self.stride = 0;
            let out = self.out.get_or_insert_with(|| WriteOut::of(&self.file));
            // One that is busy takes these bytes with the next, or the end does.
            let _ = out.tell.try_send(());
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_ref().flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.out.take().map(WriteOut::end);
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// # Errors
/// If the disk of `folder` has less than `bytes` to give.
pub fn check_space(folder: &Path, bytes: u64) -> Result<(), Failure> {
    let wanted = bytes.saturating_add(SPARE_BYTES);
    let Some(free) = disk::free_bytes(folder).filter(|&free| free < wanted) else { return Ok(()) };
    let what = format!(
        "the disk of {} has {} free; this takes {}",
        folder.display(),
        units::bytes(free),
        units::bytes(wanted)
    );
    Err(Failure::new(Exit::Io, what).hint(
        "free some space (`wright models du` says what is where), or choose a folder on another \
         disk (WRIGHT_HOME for fetched models)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_finished_file_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let mut file = NewFile::create(&path, 10, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
        let mut file = NewFile::create(&path, 10, false).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        let again = NewFile::create(&path, 10, false).err().unwrap();
        assert_eq!(again.exit, Exit::Usage);
        assert!(NewFile::create(&path, 10, true).is_ok());
        assert_eq!(fs::read(&path).unwrap(), b"whole", "an abandoned one changes nothing");
    }

    #[test]
    fn large_files_go_to_the_disk_as_they_grow_and_none_is_left_of_an_abandoned_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let bytes: Vec<u8> = (0..3 * STRIDE_BYTES).map(|i| (i / 4096) as u8).collect();
        for is_finished in [false, true] {
            let mut file = NewFile::create(&path, bytes.len() as u64, false).unwrap();
            bytes.chunks(1 << 20).for_each(|bytes| file.write_all(bytes).unwrap());
            assert!(file.out.is_some() && !path.exists());
            match is_finished {
                true => file.finish().unwrap(),
                false => drop(file),
            }
            let names = fs::read_dir(folder.path()).unwrap();
            assert_eq!(names.count(), usize::from(is_finished));
        }
        assert!(fs::read(&path).unwrap() == bytes, "every byte is where it belongs");
    }

    #[test]
    fn a_disk_that_is_too_small_is_told_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let failure = NewFile::create(&folder.path().join("x"), u64::MAX / 2, false).err().unwrap();
        assert_eq!(failure.exit, Exit::Io);
        assert!(failure.what.contains("free"), "{}", failure.what);
    }
}
