//! A pool of threads for kernels: a call hands out numbered tasks and returns when all are done.
//!
//! Made for thousands of short calls a token. A worker that has nothing to do looks at one word
//! for some tens of microseconds, then parks; a call while workers still look costs well under a
//! microsecond. The caller takes part, tasks are handed out one by one, and a worker that comes
//! too late for a call is not waited for. A task that panics aborts the process: its message is
//! printed by the panic hook, and no other thread is left waiting for it.
//!
//! A worker that looks fetches what it will read in the next call (`prefetch`).
//!
//! The pool does not pin threads, steal work or nest: a call from inside a task runs in place.

mod prefetch;

pub(crate) use prefetch::Region;

use crate::Isa;
use prefetch::{Cursor, Prefetcher};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};

/// Looks at the word before parking; each is one `pause`, 10 to 40 ns: about 50 microseconds.
const SPINS: u32 = 2000;

/// A task as the caller wrote it.
type Task<'a> = &'a (dyn Fn(usize) + Sync);

/// Threads that run the tasks of one call at a time.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held during a call, so that two callers take turns.
    turn: Mutex<()>,
    isa: Isa,
}

/// What caller and workers both see.
struct Shared {
    /// (number of the call: high 32 bits, tasks not yet taken: low 32 bits). A worker takes a task
    /// by a compare-and-swap of the whole word, so one that slept through the end of a call can
    /// neither take a task of it nor confuse it with the next.
    state: AtomicU64,
    /// The call's task, a pointer to a `Task` on the caller's stack. Valid while a task of the
    /// call is unfinished; written only when none is.
    task: AtomicPtr<()>,
    n_tasks: AtomicU32,
    n_done: AtomicUsize,
    /// The caller, once it has stopped spinning for the last tasks.
    caller: Mutex<Option<Thread>>,
    caller_parked: AtomicBool,
    n_parked: AtomicUsize,
    parked: Vec<AtomicBool>,
    stop: AtomicBool,
    spins: u32,
    prefetcher: Prefetcher,
}

thread_local! {
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// A pool in which `n_threads` work, the caller among them: `new(1)` starts no thread, and
    /// neither does `new(0)`.
    ///
    /// # Panics
    /// If the system cannot start a thread.
    pub fn new(n_threads: usize) -> Pool {
        Pool::with_isa(n_threads, Isa::detect())
    }

    /// A pool whose kernels use these instructions and no others.
    pub fn with_isa(n_threads: usize, isa: Isa) -> Pool {
        let n_workers = n_threads.saturating_sub(1);
        // Spinning steals from the one that works when there are more threads than processors.
        let n_cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            task: AtomicPtr::new(std::ptr::null_mut()),
            n_tasks: AtomicU32::new(0),
            n_done: AtomicUsize::new(0),
            caller: Mutex::new(None),
            caller_parked: AtomicBool::new(false),
            n_parked: AtomicUsize::new(0),
            parked: (0..n_workers).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
            spins: if n_threads > n_cpus { SPINS / 50 } else { SPINS },
            prefetcher: Prefetcher::new(n_workers + 1),
        });
        let workers = (0..n_workers)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("wright-{}", index + 1))
                    .spawn(move || shared.work(index))
                    .expect("the system has room for one more thread")
            })
            .collect();
        Pool { shared, workers, turn: Mutex::new(()), isa }
    }

    /// Threads that take part in a call, the caller among them; at least 1.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// The instructions that kernels run by this pool use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Calls `task(i)` once for each `i` in `0..n_tasks`, on any thread, in any order, and returns
    /// when all have returned.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use wright_kernels::Pool;
    ///
    /// let pool = Pool::new(2);
    /// let sum = AtomicUsize::new(0);
    /// pool.run(10, &|i| {
    ///     sum.fetch_add(i, Ordering::Relaxed);
    /// });
    /// assert_eq!(sum.into_inner(), 45);
    /// ```
    ///
    /// # Panics
    /// If `n_tasks` exceeds `u32::MAX`. A panic inside a task aborts the process.
    pub fn run(&self, n_tasks: usize, task: Task<'_>) {
        if self.workers.is_empty() || n_tasks <= 1 || IN_TASK.get() {
            run_in_place(n_tasks, task);
            return;
        }
        let n = u32::try_from(n_tasks).expect("fewer than 2^32 tasks");
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &*self.shared;
        let thin: *const Task<'_> = &task;
        shared.task.store(thin.cast_mut().cast(), Ordering::Release);
        shared.n_tasks.store(n, Ordering::Release);
        shared.n_done.store(0, Ordering::Release);
        let call = (shared.state.load(Ordering::Relaxed) >> 32) as u32;
        let word = u64::from(call.wrapping_add(1)) << 32 | u64::from(n);
        shared.state.store(word, Ordering::SeqCst);
        if shared.n_parked.load(Ordering::SeqCst) > 0 {
            self.wake(n_tasks - 1);
        }
        IN_TASK.set(true);
        shared.take_tasks();
        IN_TASK.set(false);
        shared.wait_for_the_last(n_tasks);
        drop(turn);
    }

    /// Says where each of the first tasks of the next [`Pool::run`] will read from memory. Threads
    /// that wait fetch what the call after that will read, if it is the one that followed before.
    pub(crate) fn prefetch_next(&self, regions: impl Iterator<Item = Region>) {
        if !self.workers.is_empty() && !IN_TASK.get() {
            self.shared.prefetcher.begin_call(regions);
        }
    }

    /// Splits `data` into pieces of `len` (the last may be shorter) and calls `f(i, piece)` for
    /// each. One piece is one task, so `len` should be worth a microsecond or more.
    ///
    /// ```
    /// let pool = wright_kernels::Pool::new(2);
    /// let mut data = [0; 5];
    /// pool.for_chunks(&mut data, 2, |i, piece| piece.fill(i));
    /// assert_eq!(data, [0, 0, 1, 1, 2]);
    /// ```
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn for_chunks<T: Send>(
        &self,
        data: &mut [T],
        len: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        assert!(len > 0, "pieces of no length");
        let parts = Parts::new(data);
        self.run(parts.len().div_ceil(len), &|i| {
            let start = i * len;
            let end = (start + len).min(parts.len());
            // SAFETY: pieces do not overlap, and each i is run once.
            f(i, unsafe { parts.slice(start, end - start) });
        });
    }

    fn wake(&self, n_wanted: usize) {
        let asleep = self.workers.iter().zip(&self.shared.parked);
        for (worker, _) in asleep.filter(|(_, p)| p.load(Ordering::SeqCst)).take(n_wanted) {
            worker.thread().unpark();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker cannot panic: a task's panic aborts.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} threads, {})", self.threads(), self.isa.name())
    }
}

impl Shared {
    /// The life of a worker.
    fn work(&self, index: usize) {
        IN_TASK.set(true);
        let mut cursor = Cursor::default();
        let wanted = |s: &Shared| s.has_tasks() || s.stops();
        while !self.stop.load(Ordering::SeqCst) {
            if self.take_tasks() == 0 && !self.spin_until(index + 1, &mut cursor, wanted) {
                self.park(index);
            }
        }
    }

    fn park(&self, index: usize) {
        self.parked[index].store(true, Ordering::SeqCst);
        self.n_parked.fetch_add(1, Ordering::SeqCst);
        // A caller stores its call before it looks for the parked, and we look in the other
        // order: one of the two sees the other. An unpark before the park is not lost.
        while !self.has_tasks() && !self.stops() {
            std::thread::park();
        }
        self.n_parked.fetch_sub(1, Ordering::SeqCst);
        self.parked[index].store(false, Ordering::SeqCst);
    }

    fn has_tasks(&self) -> bool {
        self.state.load(Ordering::SeqCst) as u32 > 0
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Looks for a while, and meanwhile fetches what this thread will read next. True as soon as
    /// `seen` holds, false if it never did.
    fn spin_until(
        &self,
        thread: usize,
        cursor: &mut Cursor,
        seen: impl Fn(&Shared) -> bool,
    ) -> bool {
        for _ in 0..self.spins {
            if seen(self) {
                return true;
            }
            self.prefetcher.fetch(thread, cursor);
            std::hint::spin_loop();
        }
        false
    }

    /// Runs tasks of the current call until none is left to take. Returns how many it ran.
    fn take_tasks(&self) -> usize {
        let mut n_ran = 0;
        let mut word = self.state.load(Ordering::Acquire);
        while word as u32 > 0 {
            // These may be of a later call than `word`; then the swap below fails.
            let task = self.task.load(Ordering::Acquire);
            let n_tasks = self.n_tasks.load(Ordering::Acquire);
            let swap = self.state.compare_exchange_weak(
                word,
                word - 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if let Err(now) = swap {
                word = now;
                continue;
            }
            let guard = AbortOnUnwind;
            // SAFETY: the swap took a task of the call that `word` numbers, so `task` is that
            // call's and its caller waits until `n_done` has counted this task.
            let task = unsafe { *task.cast::<Task<'_>>() };
            task((n_tasks - word as u32) as usize);
            std::mem::forget(guard);
            n_ran += 1;
            let n_done = self.n_done.fetch_add(1, Ordering::SeqCst) + 1;
            if n_done == n_tasks as usize && self.caller_parked.load(Ordering::SeqCst) {
                self.unpark_caller();
            }
            word = self.state.load(Ordering::Acquire);
        }
        n_ran
    }

    fn unpark_caller(&self) {
        if let Some(thread) = &*self.caller.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }

    fn wait_for_the_last(&self, n_tasks: usize) {
        let all_done = |s: &Shared| s.n_done.load(Ordering::SeqCst) == n_tasks;
        if self.spin_until(0, &mut Cursor::default(), all_done) {
            return;
        }
        let current = Some(std::thread::current());
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = current;
        self.caller_parked.store(true, Ordering::SeqCst);
        while !all_done(self) {
            std::thread::park();
        }
        self.caller_parked.store(false, Ordering::SeqCst);
    }
}

/// Ends the process if it is dropped, which only an unwinding task does.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}

fn run_in_place(n_tasks: usize, task: Task<'_>) {
    let guard = AbortOnUnwind;
    let outer = IN_TASK.replace(true);
    (0..n_tasks).for_each(task);
    IN_TASK.set(outer);
    std::mem::forget(guard);
}

/// A slice that the tasks of one call write, each its own part.
pub(crate) struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: parts are handed to other threads as `&mut [T]`, for which `T: Send` is enough.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Parts { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where an element is, or would be, to be prefetched and not to be read.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn place(&self, at: usize) -> *const T {
        self.start.wrapping_add(at)
    }

    /// `len` elements from `start`.
    ///
    /// # Safety
    /// No two living parts may overlap.
    ///
    /// # Panics
    /// If the part does not lie inside the slice.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start <= self.len && len <= self.len - start, "part outside of its slice");
        // SAFETY: inside the slice, as checked; disjoint, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

#[cfg(test)]
mod tests;
