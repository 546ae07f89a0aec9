//! A file mapped into memory: the only `unsafe` of this crate.
//!
//! The map is read-only and shared with the page cache, so weights cost no memory of their own and
//! a second program that uses the model costs nothing. Pages whose content has been repacked
//! elsewhere can be handed back with [`Mapped::forget`].
//!
//! A map shows whatever the file holds *now*, so this is the policy for a file that changes while
//! it is in use:
//! - Files in the folder of models are only ever replaced by renaming; whoever has the old one
//!   mapped keeps the old one, whole, even after it was removed.
//! - For any other file, [`Mapped::check_unchanged`] compares length and time of change of the open
//!   file with those at the start; callers ask after loading and after each answer.
//! - A file cut short makes reads of the lost pages fail with SIGBUS. A program that has called
//!   [`exit_when_cut_short`] then prints its message and exits instead of crashing.

use crate::Error;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file's bytes, mapped read-only for as long as this lives.
pub struct Mapped {
    map: memmap2::Mmap,
    file: File,
    path: PathBuf,
    stamp: Stamp,
}

/// What changes when a file is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Stamp { len: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Mapped {
    /// Maps `path`.
    ///
    /// # Errors
    /// If there is no such file, it is a folder, it is empty, or the system refuses to map it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::NotAFile(path.to_owned()));
        }
        if metadata.len() == 0 {
            return Err(Error::Empty(path.to_owned()));
        }
        let stamp = Stamp::of(&file).map_err(failed)?;
        // SAFETY: the map is read-only and private to this process's address space. Other
        // processes may still write to the file: readers of these bytes treat them as data from
        // outside (every value checked, no validity invariant derived from them), a change is
        // looked for by `check_unchanged`, and a shrunk file is answered by the SIGBUS handler.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?;
        guard::watch(&map);
        Ok(Mapped { map, file, path: path.to_owned(), stamp })
    }

    /// When the file was last changed, in nanoseconds since 1970; 0 if nobody knows.
    pub fn changed_ns(&self) -> u128 {
        let since = self.stamp.modified.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_nanos())
    }

    /// Copies the bytes from `at` on, which are in the file, without touching the map where the
    /// system can: a page that is touched takes others with it.
    pub fn copy(&self, at: usize, to: &mut [u8]) {
        #[cfg(unix)]
        if std::os::unix::fs::FileExt::read_exact_at(&self.file, to, at as u64).is_ok() {
            return;
        }
        to.copy_from_slice(&self.map[at..at + to.len()]);
    }

    /// Bytes that will be read soon: the system may fetch them from disk ahead of time.
    pub fn will_need(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Some(range) = self.clamped(range) {
            // Advice only: nothing depends on it.
            let _ = self.map.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Bytes that will not be read for long: their pages no longer count as this program's memory.
    /// Reading them again works and fetches them from the file. Only whole pages are dropped.
    pub fn forget(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Some(range) = self.clamped(range).and_then(whole_pages) {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the map is a read-only view of a file, so no page was ever changed here and
            // dropping one loses nothing: the next read finds the file's bytes again.
            let _ = unsafe { self.map.unchecked_advise_range(advice, range.start, range.len()) };
        }
        #[cfg(not(unix))]
        let _ = range;
    }

    /// Whether the file still is what was mapped.
    ///
    /// # Errors
    /// If it was written to since.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        match Stamp::of(&self.file).is_ok_and(|now| now == self.stamp) {
            true => Ok(()),
            false => Err(Error::Changed(self.path.clone())),
        }
    }

    fn clamped(&self, range: Range<usize>) -> Option<Range<usize>> {
        let end = range.end.min(self.map.len());
        (range.start < end).then_some(range.start..end)
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

/// The part of `range` that is made of whole pages of 64 KiB, the largest page in common use: a
/// border page belongs to the neighbours too.
fn whole_pages(range: Range<usize>) -> Option<Range<usize>> {
    const PAGE: usize = 64 * 1024;
    let start = range.start.checked_next_multiple_of(PAGE)?;
    let end = range.end / PAGE * PAGE;
    (start < end).then_some(start..end)
}

/// Makes the program print `message` to stderr and exit with `exit_code` when a mapped file is cut
/// short while it is read. Only the first call counts.
pub fn exit_when_cut_short(message: &'static str, exit_code: u8) {
    guard::install(message, exit_code);
}

/// The handler of SIGBUS.
#[cfg(unix)]
mod guard {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Maps whose addresses the handler knows; a program maps one or two models.
    const SLOTS: usize = 8;
    static STARTS: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];
    static ENDS: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    /// What to print and the code to exit with.
    static LAST_WORDS: OnceLock<(&'static str, u8)> = OnceLock::new();

    /// Makes a SIGBUS inside `bytes` known as one of a mapped file.
    pub fn watch(bytes: &[u8]) {
        let slot = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
        let start = bytes.as_ptr() as usize;
        STARTS[slot].store(start, Ordering::Relaxed);
        ENDS[slot].store(start + bytes.len(), Ordering::Release);
    }

    pub fn install(message: &'static str, exit_code: u8) {
        if LAST_WORDS.set((message, exit_code)).is_err() {
            return;
        }
        // SAFETY: a zeroed `sigaction` is a valid value of that plain C struct; the handler has
        // the signature that SA_SIGINFO asks for and calls async-signal-safe functions alone.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
        }
    }

    extern "C" fn on_sigbus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel hands a valid `siginfo_t`; `write`, `_exit`, `signal` are
        // async-signal-safe, as is reading a `OnceLock` that was set before this handler was
        // installed, and the message lives for ever. Elsewhere than in a map the default action is
        // put back, and the instruction that runs again ends the program as it would have.
        unsafe {
            let address = (*info).si_addr() as usize;
            let inside = |slot: usize| {
                let end = ENDS[slot].load(Ordering::Acquire);
                (STARTS[slot].load(Ordering::Relaxed)..end).contains(&address)
            };
            if let Some((message, exit_code)) = LAST_WORDS.get()
                && (0..SLOTS).any(inside)
            {
                libc::write(2, message.as_ptr().cast(), message.len());
                libc::_exit(i32::from(*exit_code));
            }
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
        }
    }
}

#[cfg(not(unix))]
mod guard {
    /// Other systems do not let a mapped file be cut short.
    pub fn watch(_: &[u8]) {}

    pub fn install(_: &'static str, _: u8) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn maps_what_is_there_and_can_forget_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let mapped = Mapped::open(&path).unwrap();
        assert_eq!(mapped.as_ref(), bytes);
        mapped.will_need(0..usize::MAX);
        let mut some = [0; 300];
        mapped.copy(299_000, &mut some);
        assert_eq!(some, bytes[299_000..299_300]);
        mapped.forget(10..250_000);
        mapped.forget(usize::MAX - 1..usize::MAX);
        assert_eq!(mapped.as_ref(), bytes, "forgotten pages come back from the file");
        mapped.check_unchanged().unwrap();
    }

    #[test]
    fn a_replaced_file_stays_intact_and_a_modified_one_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        fs::write(&path, b"first").unwrap();
        let mapped = Mapped::open(&path).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, b"second!").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(mapped.as_ref(), b"first");
        mapped.check_unchanged().unwrap();
        let mapped = Mapped::open(&path).unwrap();
        fs::write(&path, b"third, longer").unwrap();
        assert!(matches!(mapped.check_unchanged(), Err(Error::Changed(_))));
    }

    #[test]
    fn folders_and_empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| Mapped::open(path).err().unwrap();
        assert!(matches!(refused(folder.path()), Error::NotAFile(_)));
        assert!(refused(&folder.path().join("none")).is_not_found());
        let empty = folder.path().join("empty.gguf");
        fs::write(&empty, b"").unwrap();
        assert!(matches!(refused(&empty), Error::Empty(_)));
    }

    #[test]
    fn border_pages_are_kept() {
        assert_eq!(whole_pages(1..65_537), None);
        assert_eq!(whole_pages(1..131_072), Some(65_536..131_072));
        assert_eq!(whole_pages(0..65_536), Some(0..65_536));
    }
}
