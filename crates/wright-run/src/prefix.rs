//! Beginnings of prompts that another process has read already.
//!
//! The cache of 16 tokens is a block; its key is a hash of the model and of all tokens up to the
//! block's end, so equal keys mean equal contents, and prompts that begin alike share what they
//! have in common. Where blocks are kept is the caller's business ([`BlockStore`]); a store may
//! forget any of them at any time.

use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Tokens of a block. Of a prompt that begins as an earlier one did, at most this many less one are
/// read again.
pub(crate) const BLOCK: usize = wright_model::KV_PIECE;

/// Prompts shorter than this are read again faster than they are found.
pub(crate) const PREFIX_MIN: usize = 16 * BLOCK;

/// What a block holds, as a hash.
pub type BlockKey = [u8; 32];

/// Keeps blocks beyond the life of a process. Failures are its own business: a block that cannot
/// be kept or found is computed again.
pub trait BlockStore: Send + Sync {
    /// The block, if it is there and whole.
    fn get(&self, key: &BlockKey) -> Option<Vec<u8>>;
    fn has(&self, key: &BlockKey) -> bool;
    fn put(&self, key: &BlockKey, block: &[u8]);
}

/// A store, and what a model's blocks are known by in it.
#[derive(Clone)]
pub struct Prefixes {
    pub store: Arc<dyn BlockStore>,
    /// Tells apart whatever makes blocks differ besides the tokens: the model's weights, the type
    /// of the cache, the version of the program.
    pub model: BlockKey,
}

impl Prefixes {
    /// The keys of the whole blocks of `ids`, in order.
    pub(crate) fn keys(&self, ids: &[u32]) -> Vec<BlockKey> {
        let mut key = self.model;
        let next = |block: &[u32; BLOCK]| {
            let mut hash = Sha256::new();
            hash.update(key);
            block.iter().for_each(|id| hash.update(id.to_le_bytes()));
            key = hash.finalize().into();
            key
        };
        ids.as_chunks::<BLOCK>().0.iter().map(next).collect()
    }
}
