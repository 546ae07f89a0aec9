//! Models by name: the catalogue, references, other programs' caches, finding and fetching.

pub mod catalogue;
pub mod find;
pub mod gguf_file;
pub mod other_caches;
pub mod pull;
pub mod receipt;
pub mod reference;
