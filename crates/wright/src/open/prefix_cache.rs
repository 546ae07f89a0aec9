//! Blocks of prompts that were read before, in a folder: a file for each, named by its hash.
//!
//! Files are written aside and renamed, so that another process sees all of one or nothing; one
//! that does not match its checksum is removed. The folder is bounded: what was not used for
//! longest goes first. Whatever fails here is only slower, so nothing is reported.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use wright_host::{AtomicFile, Mapped, disk};
use wright_run::{BlockKey, BlockStore};

/// Bytes that the folder may hold, and about how many are written until that is seen to.
const BYTES_MAX: u64 = 2 << 30;
const STEP: u64 = BYTES_MAX / 16;
/// Nothing is kept where less of the disk than this is free.
const FREE_MIN: u64 = 4 << 30;
/// What was used within this time need not be marked as used again.
const FRESH: Duration = Duration::from_secs(600);
/// Files that a process which died left half-written are removed when they are this old.
const STALE: Duration = Duration::from_secs(3600);
/// To be raised when kernels give other bytes or blocks another layout.
const VERSION: u32 = 3;

const MAGIC: &[u8; 8] = b"wrprefix";
/// At the end of a file, so that what is before can be used where it lies: magic, checksum (u32),
/// zeros to 16.
const TRAILER: usize = 16;
const EXTENSION: &str = "kv";

/// Parts of a model's file that are hashed, and bytes of each: a file of the same length and time
/// of change that is equal in all of them is the same model.
const SAMPLES: usize = 1024;
const SAMPLE_BYTES: usize = 256;

/// The folder.
pub struct PrefixCache {
    folder: PathBuf,
    /// Bytes written by this process since it last looked at the size of the whole.
    written: AtomicU64,
}

impl PrefixCache {
    /// A cache in `folder`, which need not exist yet.
    pub fn new(folder: PathBuf) -> PrefixCache {
        PrefixCache { folder, written: AtomicU64::new(0) }
    }

    fn path(&self, key: &BlockKey) -> PathBuf {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name).with_extension(EXTENSION)
    }

    fn write(&self, key: &BlockKey, block: &[u8]) -> std::io::Result<()> {
        create_private(&self.folder)?;
        if disk::free_bytes(&self.folder).is_some_and(|free| free < FREE_MIN) {
            return Ok(());
        }
        let path = self.path(key);
        let mut trailer = [0; TRAILER];
        trailer[..8].copy_from_slice(MAGIC);
        trailer[8..12].copy_from_slice(&crc32fast::hash(block).to_le_bytes());
        let mut file = AtomicFile::in_cache(&path).map_err(std::io::Error::other)?;
        file.write_all(block)?;
        file.write_all(&trailer)?;
        file.finish().map_err(std::io::Error::other)?;
        if self.written.fetch_add(block.len() as u64, Ordering::Relaxed) > STEP {
            self.shrink();
        }
        Ok(())
    }

    /// Whether it falls to this process to look at the size of the whole: as likely as it wrote
    /// much, so that it happens once for each [`STEP`] bytes that all processes write together.
    fn is_due(&self) -> bool {
        // The standard library keys each hasher from the system's randomness.
        let draw = std::hash::RandomState::new().build_hasher().finish();
        draw % STEP < self.written.load(Ordering::Relaxed)
    }

    /// Removes what was not used for longest until the folder is within its bounds.
    fn shrink(&self) {
        self.written.store(0, Ordering::Relaxed);
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in entries.flatten() {
            let (Ok(metadata), path) = (entry.metadata(), entry.path()) else { continue };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if path.extension().is_some_and(|e| e == EXTENSION) {
                files.push((used, metadata.len(), path));
            } else if used.elapsed().is_ok_and(|age| age > STALE) {
                let _ = fs::remove_file(path);
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if total <= BYTES_MAX {
                return;
            }
            if fs::remove_file(path).is_ok() {
                total -= len;
            }
        }
    }
}

impl Drop for PrefixCache {
    fn drop(&mut self) {
        // To look at each file takes longer than to write a few: not every process does.
        if self.is_due() {
            self.shrink();
        }
    }
}

impl BlockStore for PrefixCache {
    fn get(&self, key: &BlockKey) -> Option<Vec<u8>> {
        let path = self.path(key);
        let mut file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        file.read_to_end(&mut bytes).ok()?;
        let (block, trailer) = bytes.split_at(bytes.len().saturating_sub(TRAILER));
        let is_whole = trailer.len() == TRAILER
            && &trailer[..8] == MAGIC
            && trailer[8..12] == crc32fast::hash(block).to_le_bytes();
        if !is_whole {
            let _ = fs::remove_file(&path);
            return None;
        }
        // For `shrink`: this one is in use.
        let used = metadata.modified().and_then(|at| at.elapsed().map_err(std::io::Error::other));
        if used.is_ok_and(|age| age > FRESH) {
            let file = File::options().append(true).open(&path);
            let _ = file.map(|file| file.set_modified(SystemTime::now()));
        }
        bytes.truncate(bytes.len() - TRAILER);
        Some(bytes)
    }

    fn has(&self, key: &BlockKey) -> bool {
        self.path(key).is_file()
    }

    fn put(&self, key: &BlockKey, block: &[u8]) {
        // A full disk or a folder that may not be written to: the prompt is read again next time.
        let _ = self.write(key, block);
    }
}

/// Prompts can be told from their blocks: the folder is for this user alone.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// What the blocks of the model in `mapped` are known by; `how` is whatever else they depend on.
pub fn model_key(mapped: &Mapped, how: &str) -> BlockKey {
    let len = (*mapped).as_ref().len();
    let mut hash = Sha256::new();
    hash.update(VERSION.to_le_bytes());
    hash.update(how.as_bytes());
    hash.update((len as u64).to_le_bytes());
    hash.update(mapped.changed_ns().to_le_bytes());
    let step = (len / SAMPLES).max(1);
    let mut sample = [0; SAMPLE_BYTES];
    for at in (0..len).step_by(step) {
        let sample = &mut sample[..SAMPLE_BYTES.min(step).min(len - at)];
        mapped.copy(at, sample);
        hash.update(sample);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_back_and_damaged_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = PrefixCache::new(folder.path().join("prefixes"));
        let (key, other) = ([7; 32], [8; 32]);
        assert!(!cache.has(&key) && cache.get(&key).is_none());
        let block: Vec<u8> = (0..5000u32).map(|i| (i * 31) as u8).collect();
        cache.put(&key, &block);
        assert_eq!(cache.get(&key).as_deref(), Some(&block[..]));
        assert!(cache.has(&key) && !cache.has(&other));
        for damage in [0, 4000, block.len(), block.len() + 9] {
            cache.put(&key, &block);
            let mut bytes = fs::read(cache.path(&key)).unwrap();
            bytes[damage] ^= 1;
            fs::write(cache.path(&key), bytes).unwrap();
            assert!(cache.get(&key).is_none(), "byte {damage}");
            assert!(!cache.has(&key), "it is gone");
        }
        cache.put(&key, &block);
        fs::write(cache.path(&key), &fs::read(cache.path(&key)).unwrap()[..100]).unwrap();
        assert!(cache.get(&key).is_none());
    }

    #[test]
    fn the_least_recently_used_blocks_are_evicted() {
        let folder = tempfile::tempdir().unwrap();
        let cache = PrefixCache::new(folder.path().to_owned());
        let long_ago = |hours: u64| SystemTime::now() - Duration::from_secs(3600 * hours);
        // Files of nothing but length, which take no room.
        for (key, hours) in [(1u8, 3), (2, 9), (3, 1), (4, 5)] {
            let file = File::create(cache.path(&[key; 32])).unwrap();
            file.set_len(BYTES_MAX / 3).unwrap();
            file.set_modified(long_ago(hours)).unwrap();
        }
        let half_written = folder.path().join("x.7.partial");
        File::create(&half_written).unwrap().set_modified(long_ago(2)).unwrap();
        cache.shrink();
        let kept = [1u8, 2, 3, 4].map(|key| cache.has(&[key; 32]));
        assert_eq!(kept, [true, false, true, true], "three thirds are within the bounds");
        assert!(!half_written.exists(), "what a dead process left half-written is gone");
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_is_private_and_write_errors_are_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let cache = PrefixCache::new(folder.path().join("prefixes"));
        cache.put(&[1; 32], &[1, 2, 3]);
        let mode = fs::metadata(folder.path().join("prefixes")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let file = folder.path().join("file");
        fs::write(&file, "no folder").unwrap();
        let cache = PrefixCache::new(file);
        cache.put(&[1; 32], &[1, 2, 3]);
        assert!(cache.get(&[1; 32]).is_none());
    }
}
