//! A way to stop work from another thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    callbacks: Mutex<Callbacks>,
}

#[derive(Default)]
struct Callbacks {
    next_id: u64,
    waiting: BTreeMap<u64, Callback>,
}

impl State {
    fn callbacks(&self) -> MutexGuard<'_, Callbacks> {
        self.callbacks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A flag that is set once and seen by everybody who holds a clone of it.
///
/// Work that polls asks [`Cancel::is_cancelled`]. Work that blocks (a socket, a child process, a
/// queue) registers what wakes it with [`Cancel::on_cancel`].
///
/// ```
/// use wright_chat::Cancel;
/// let cancel = Cancel::new();
/// let seen = cancel.clone();
/// std::thread::spawn(move || cancel.cancel()).join().unwrap();
/// assert!(seen.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

impl Cancel {
    /// One that is not cancelled yet.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Sets the flag and runs every registered callback, on this thread. Later calls do nothing.
    pub fn cancel(&self) {
        if self.0.cancelled.swap(true, Ordering::SeqCst) {
            return;
        }
        let waiting = std::mem::take(&mut self.0.callbacks().waiting);
        waiting.into_values().for_each(|callback| callback());
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Runs `callback` when the flag is set, at once if it is set already. Dropping the returned
    /// guard takes the callback back.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> OnCancel {
        let id = {
            let mut callbacks = self.0.callbacks();
            let id = callbacks.next_id;
            callbacks.next_id += 1;
            callbacks.waiting.insert(id, Box::new(callback));
            id
        };
        if self.is_cancelled()
            && let Some(callback) = self.take(id)
        {
            callback();
        }
        OnCancel { cancel: self.clone(), id }
    }

    fn take(&self, id: u64) -> Option<Callback> {
        self.0.callbacks().waiting.remove(&id)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// A callback that waits for a [`Cancel`]; dropping this takes it back.
#[must_use = "dropping it takes the callback back"]
pub struct OnCancel {
    cancel: Cancel,
    id: u64,
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        self.cancel.take(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn counter() -> (Arc<AtomicU32>, impl Fn() -> Box<dyn FnOnce() + Send>) {
        let count = Arc::new(AtomicU32::new(0));
        let shared = Arc::clone(&count);
        let add = move || -> Box<dyn FnOnce() + Send> {
            let count = Arc::clone(&shared);
            Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            })
        };
        (count, add)
    }

    #[test]
    fn callbacks_run_once_unless_they_were_taken_back() {
        let (count, add) = counter();
        let cancel = Cancel::new();
        let _kept = cancel.on_cancel(add());
        drop(cancel.on_cancel(add()));
        cancel.cancel();
        cancel.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let _late = cancel.on_cancel(add());
        assert_eq!(count.load(Ordering::SeqCst), 2, "it was cancelled before");
    }
}
