//! A GGUF file, mapped and checked.

use crate::error::Error;
use std::path::Path;
use std::sync::Arc;
use wright_host::Mapped;
use wright_model::{Bytes, Gguf};

/// Maps a GGUF file and reads its header.
///
/// # Errors
/// If it cannot be opened or is none.
pub fn parse(path: &Path) -> Result<(Arc<Mapped>, Gguf), Error> {
    let mapped = Arc::new(Mapped::open(path)?);
    let bytes: Arc<dyn Bytes> = Arc::clone(&mapped) as Arc<dyn Bytes>;
    let gguf =
        Gguf::parse(&bytes).map_err(|source| Error::Model { path: path.to_owned(), source })?;
    Ok((mapped, gguf))
}
