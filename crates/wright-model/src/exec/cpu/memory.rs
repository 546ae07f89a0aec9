//! Zeroed memory that is filled bit by bit, in large pages where the system has them: a fault for
//! each 2 MB instead of 4 kB, when it is filled and when it is given back.

use crate::Error;
use memmap2::MmapMut;

/// A large page of the systems that we know. The memory is a multiple of it, since Linux lets only
/// such maps begin where a large page may.
const PAGE: usize = 2 << 20;

/// At least `n_bytes` of zeros, of which none takes memory before it is touched.
///
/// # Errors
/// If there is no memory for `what`.
pub fn zeroed(n_bytes: usize, what: &str) -> Result<MmapMut, Error> {
    let failed = |why: &dyn std::fmt::Display| Error::Memory {
        what: format!("{n_bytes} bytes for {what}: {why}"),
    };
    let whole = n_bytes.checked_next_multiple_of(PAGE).ok_or_else(|| failed(&"too many"))?;
    let memory = MmapMut::map_anon(whole).map_err(|error| failed(&error))?;
    // Advice only: nothing depends on it.
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok(memory)
}
