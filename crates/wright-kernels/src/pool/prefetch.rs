//! What a thread that waits fetches meanwhile: the weights that it will read in the next call.
//!
//! Writing a token takes as long as its weights take to come from memory, and memory rests while
//! one thread adds, normalizes and rounds, and while the last task of a call is awaited. Tokens
//! are alike: what was read after a matrix at the last token will be read after it again. So each
//! call of a product says where its tasks begin to read, the pool remembers which call followed
//! which, and threads that have nothing to do ask for those bytes.
//!
//! A wrong guess costs bandwidth and nothing else: fetching reads nothing and cannot fail.

use crate::isa::prefetch;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Places of a task that are read side by side, at most.
const STREAMS: usize = 6;
/// Threads that are served; more saturate memory by themselves.
const THREADS_MAX: usize = 8;
/// Bytes that a thread fetches, at most: a part of a second-level cache.
const BYTES_MAX: usize = 96 << 10;
/// Calls that are remembered; a model has some for each layer.
const CALLS_MAX: usize = 2048;
const LINE: usize = 64;
/// Lines that are fetched before a pause. On Zen 3, 64 kB took 8.7 µs to fetch by 4 lines, nothing
/// of it left to wait for; by 8, 4.8 and 1.5 µs; by 16, 3.0 and 3.3; at once, 1.6 and 7.2.
const LINES: usize = 8;

/// Where a task begins to read: `bytes` each from some addresses on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Region {
    starts: [usize; STREAMS],
    streams: usize,
    bytes: usize,
}

impl Region {
    /// `streams` pieces of `bytes` each, one after another from `start` on.
    pub(crate) fn new(start: *const u8, streams: usize, bytes: usize) -> Region {
        assert!((1..=STREAMS).contains(&streams));
        let starts = std::array::from_fn(|i| start.addr().wrapping_add(i * bytes));
        Region { starts, streams, bytes }
    }
}

/// Regions of the next call, one for each thread, and which call follows which.
pub(super) struct Prefetcher {
    trail: Mutex<Trail>,
    /// Counts calls, so that a thread sees when its slot has something new.
    number: AtomicUsize,
    slots: Vec<Slot>,
}

/// Calls in the order in which they came; the first follows the last.
#[derive(Default)]
struct Trail {
    keys: Vec<usize>,
    /// (calls, threads)
    regions: Vec<Region>,
    /// The call before.
    at: usize,
}

/// A [`Region`] that one thread writes while another may read: a mix of two is harmless.
#[derive(Default)]
#[repr(align(64))]
struct Slot {
    starts: [AtomicUsize; STREAMS],
    streams: AtomicUsize,
    bytes: AtomicUsize,
}

/// How far a thread has come in its region.
#[derive(Default)]
pub(super) struct Cursor {
    number: usize,
    region: Region,
    at: usize,
}

impl Prefetcher {
    pub(super) fn new(n_threads: usize) -> Prefetcher {
        let slots = (0..n_threads.min(THREADS_MAX)).map(|_| Slot::default()).collect();
        Prefetcher { trail: Mutex::default(), number: AtomicUsize::new(0), slots }
    }

    /// A call begins whose first tasks read `regions`. What followed it the last time is fetched
    /// by those who wait.
    pub(super) fn begin_call(&self, regions: impl Iterator<Item = Region>) {
        let mut regions = regions.peekable();
        let Some(first) = regions.peek() else { return };
        // As a pass of one row is followed by one of its kind, so is a pass of several.
        let key = first.starts[0].wrapping_mul(STREAMS + 1).wrapping_add(first.streams);
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        trail.note(key, regions, self.slots.len());
        for (slot, region) in self.slots.iter().zip(trail.next(self.slots.len())) {
            slot.set(region);
        }
        self.number.fetch_add(1, Ordering::Release);
    }

    /// Fetches some lines of what `thread` will read, if there are more. Between two calls is to be
    /// a pause: a processor drops what it is asked for when many lines are on their way.
    #[inline]
    pub(super) fn fetch(&self, thread: usize, cursor: &mut Cursor) {
        let number = self.number.load(Ordering::Acquire);
        if number != cursor.number {
            let Some(slot) = self.slots.get(thread) else { return };
            *cursor = Cursor { number, region: slot.get(), at: 0 };
        }
        let Cursor { region, at, .. } = cursor;
        if *at >= region.bytes {
            return;
        }
        for _ in 0..(LINES / region.streams.max(1)).max(1) {
            for start in region.starts.iter().take(region.streams) {
                prefetch(std::ptr::without_provenance(start.wrapping_add(*at)));
            }
            *at += LINE;
        }
    }
}

impl Trail {
    /// Finds the call, mostly where it is expected, and notes its regions.
    fn note(&mut self, key: usize, regions: impl Iterator<Item = Region>, n_threads: usize) {
        let expected = self.after(self.at);
        if self.keys.get(expected) != Some(&key) {
            self.at = self
                .keys
                .iter()
                .position(|&k| k == key)
                .unwrap_or_else(|| self.add(key, n_threads));
        } else {
            self.at = expected;
        }
        let noted = &mut self.regions[self.at * n_threads..][..n_threads];
        let regions = regions.map(Some).chain(std::iter::repeat(None));
        for (noted, region) in noted.iter_mut().zip(regions) {
            *noted = region.unwrap_or_default();
        }
        // The weights that pass put these out of the caches.
        let later = self.after(self.after(self.at));
        prefetch(self.keys[later..].as_ptr().cast());
        for line in (0..n_threads * size_of::<Region>()).step_by(LINE) {
            prefetch(self.regions[later * n_threads..].as_ptr().cast::<u8>().wrapping_add(line));
        }
    }

    /// A place for a call that was not there before. A trail that is full begins again.
    fn add(&mut self, key: usize, n_threads: usize) -> usize {
        if self.keys.len() == CALLS_MAX {
            self.keys.clear();
            self.regions.clear();
        }
        self.keys.push(key);
        self.regions.resize(self.keys.len() * n_threads, Region::default());
        self.keys.len() - 1
    }

    /// The place of the call after that at `place`.
    fn after(&self, place: usize) -> usize {
        if place + 1 < self.keys.len() { place + 1 } else { 0 }
    }

    /// The regions of the call after the one that was noted.
    fn next(&self, n_threads: usize) -> &[Region] {
        &self.regions[self.after(self.at) * n_threads..][..n_threads]
    }
}

impl Slot {
    fn set(&self, region: &Region) {
        for (slot, start) in self.starts.iter().zip(region.starts) {
            slot.store(start, Ordering::Relaxed);
        }
        self.streams.store(region.streams, Ordering::Relaxed);
        let most = BYTES_MAX / region.streams.max(1);
        self.bytes.store(region.bytes.min(most), Ordering::Relaxed);
    }

    fn get(&self) -> Region {
        Region {
            starts: std::array::from_fn(|i| self.starts[i].load(Ordering::Relaxed)),
            streams: self.streams.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
