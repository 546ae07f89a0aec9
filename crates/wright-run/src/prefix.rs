//! Beginnings of prompts that another process has read already.
//!
//! The cache of 16 tokens is a block; its key is a hash of the model and of all tokens up to the
//! block's end, so equal keys mean equal contents, and prompts that begin alike share what they
//! have in common. Prompts part in the middle of a block, mostly: behind each block it is noted
//! which tokens came next and where their block is, so that what is in common of that is found,
//! too. Where blocks are kept is the caller's business ([`BlockStore`]); a store may forget any of
//! them at any time.

use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Tokens of a block.
pub(crate) const BLOCK: usize = wright_model::KV_PIECE;

/// Prompts shorter than this are read again faster than they are found.
pub(crate) const PREFIX_MIN: usize = 16 * BLOCK;

/// What a block holds, as a hash.
pub type BlockKey = [u8; 32];

/// Stores KV blocks beyond the lifetime of a process. Its failures are not reported: a block that
/// cannot be stored or found is computed again.
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

/// Where the block behind another is, and what it holds.
pub(crate) struct Next {
    pub ids: [u32; BLOCK],
    pub key: BlockKey,
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

    /// What came behind the block of `key` when it was last kept.
    pub(crate) fn next(&self, key: &BlockKey) -> Option<Next> {
        let note = self.store.get(&note_key(key))?;
        let (ids, key) = note.split_at_checked(4 * BLOCK)?;
        let ids: [[u8; 4]; BLOCK] = ids.as_chunks().0.try_into().ok()?;
        Some(Next { ids: ids.map(u32::from_le_bytes), key: key.try_into().ok()? })
    }

    /// Keeps a block and notes it behind the one of `before`.
    pub(crate) fn keep(&self, before: &BlockKey, next: &Next, block: &[u8]) {
        self.store.put(&next.key, block);
        let ids = next.ids.iter().flat_map(|id| id.to_le_bytes());
        let note: Vec<u8> = ids.chain(next.key).collect();
        self.store.put(&note_key(before), &note);
    }
}

/// Under which key it is noted what comes behind the block of `key`.
fn note_key(key: &BlockKey) -> BlockKey {
    let mut hash = Sha256::new();
    hash.update(key);
    hash.update(b"next");
    hash.finalize().into()
}
