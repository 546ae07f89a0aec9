//! Memory that a thread keeps for intermediate results. It begins on a cache line.

use crate::gemm::Aligned;
use std::cell::Cell;
use std::thread::LocalKey;

type Floats = Cell<Aligned>;

thread_local! {
    static OF_TASKS: Floats = const { Cell::new(Aligned::new()) };
    #[cfg(target_arch = "x86_64")]
    static OF_CALLS: Floats = const { Cell::new(Aligned::new()) };
}

/// Calls `f` with `len` floats of this thread's scratch memory. What is in them is unspecified:
/// write before you read. A call inside a call gets memory of its own.
pub(crate) fn with_floats<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    with(&OF_TASKS, len, f)
}

/// [`with_floats`] for what all tasks of a call share: these have the other floats at hand.
#[cfg(target_arch = "x86_64")]
pub(crate) fn with_shared<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    with(&OF_CALLS, len, f)
}

fn with<R>(of: &'static LocalKey<Floats>, len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut floats = of.replace(Aligned::new());
    let result = f(floats.floats(len));
    of.set(floats);
    result
}
