//! Memory that a thread keeps for the intermediate results of its tasks.

use std::cell::Cell;

thread_local! {
    static FLOATS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls `f` with `len` floats of this thread's scratch memory. What is in them is unspecified:
/// write before you read. A call inside a call gets memory of its own.
pub(crate) fn with_floats<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut floats = FLOATS.take();
    if floats.len() < len {
        floats.resize(len, 0.0);
    }
    let result = f(&mut floats[..len]);
    FLOATS.set(floats);
    result
}
