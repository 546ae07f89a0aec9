//! The bytes of a model file.

/// A file's bytes, wherever they are: a map of the file, or a buffer.
pub trait Bytes: AsRef<[u8]> + Send + Sync {}

impl<T: AsRef<[u8]> + Send + Sync + ?Sized> Bytes for T {}
