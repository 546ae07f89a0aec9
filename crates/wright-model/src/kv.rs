//! Which blocks of the KV cache belong to which sequence.
//!
//! A block has room for 64 positions, in all layers alike. Sequences that begin alike share the
//! blocks of that beginning; a block that is shared is copied before it is written. The numbers
//! themselves are in a store that belongs to an executor: this table only says where.

use crate::Error;
use crate::batch::SeqId;

/// Positions in a block.
pub const BLOCK: usize = 64;
/// Positions that are kept or found together beyond the life of a session; divides [`BLOCK`].
pub const PIECE: usize = 16;

/// The type of keys and values in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    #[default]
    F16,
    F32,
}

impl KvType {
    /// Bytes of one value.
    pub fn value_bytes(self) -> usize {
        match self {
            KvType::F16 => 2,
            KvType::F32 => 4,
        }
    }
}

/// A copy of a block's contents that the store must make before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockCopy {
    pub from: u32,
    pub to: u32,
}

#[derive(Debug, Clone, Default)]
struct Sequence {
    len: usize,
    blocks: Vec<u32>,
}

/// The block tables of all sequences.
#[derive(Debug, Clone)]
pub struct KvTable {
    n_ctx: usize,
    sequences: Vec<Sequence>,
    /// Sequences that hold each block.
    holders: Vec<u32>,
    /// Blocks that none holds; the last one freed is taken first, since its memory is warm.
    free: Vec<u32>,
}

impl KvTable {
    /// Room for `n_seq` sequences of `n_ctx` positions each.
    pub fn new(n_seq: usize, n_ctx: usize) -> KvTable {
        let n_blocks = Self::n_blocks(n_seq, n_ctx);
        let free = (0..n_blocks as u32).rev().collect();
        // Tables are as long as they can become, so that none grows later.
        let room = n_ctx.div_ceil(BLOCK);
        let empty = || Sequence { len: 0, blocks: Vec::with_capacity(room) };
        let sequences = (0..n_seq).map(|_| empty()).collect();
        KvTable { n_ctx, sequences, holders: vec![0; n_blocks], free }
    }

    /// Blocks that such a table hands out at most.
    pub fn n_blocks(n_seq: usize, n_ctx: usize) -> usize {
        n_seq * n_ctx.div_ceil(BLOCK)
    }

    pub fn n_seq(&self) -> usize {
        self.sequences.len()
    }

    pub fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    /// Blocks that hold something.
    pub fn n_used(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    /// Positions that `seq` holds.
    ///
    /// # Errors
    /// If there is no such sequence.
    pub fn len(&self, seq: SeqId) -> Result<usize, Error> {
        Ok(self.sequence(seq)?.len)
    }

    /// The blocks of `seq`, in the order of positions.
    ///
    /// # Panics
    /// If there is no such sequence.
    pub fn blocks(&self, seq: SeqId) -> &[u32] {
        &self.sequences[seq.0 as usize].blocks
    }

    /// Makes room for `n_new` positions after the last, and counts them as held.
    ///
    /// # Errors
    /// If there is no such sequence or the context has no room; then nothing has changed.
    pub fn extend(&mut self, seq: SeqId, n_new: usize) -> Result<Option<BlockCopy>, Error> {
        let len = self.len(seq)?;
        let new_len = len.checked_add(n_new).filter(|&n| n <= self.n_ctx).ok_or_else(|| {
            let what = format!("{len} + {n_new} tokens do not fit into {}", self.n_ctx);
            Error::ContextFull { what }
        })?;
        let index = seq.0 as usize;
        let copy = if n_new > 0 { self.own_tail(index) } else { None };
        while self.sequences[index].blocks.len() * BLOCK < new_len {
            let block = self.take_free();
            self.sequences[index].blocks.push(block);
        }
        self.sequences[index].len = new_len;
        Ok(copy)
    }

    /// Forgets the positions from `len` on.
    ///
    /// # Errors
    /// If there is no such sequence, or it is shorter already.
    pub fn truncate(&mut self, seq: SeqId, len: usize) -> Result<(), Error> {
        let held = self.len(seq)?;
        if len > held {
            let what = format!("sequence {} cannot be truncated to {len}: it has {held}", seq.0);
            return Err(Error::batch(what));
        }
        let index = seq.0 as usize;
        while self.sequences[index].blocks.len() > len.div_ceil(BLOCK) {
            if let Some(block) = self.sequences[index].blocks.pop() {
                self.release(block);
            }
        }
        self.sequences[index].len = len;
        Ok(())
    }

    /// Makes `to` begin with the first `len` positions of `from`, sharing their blocks. What `to`
    /// held is forgotten.
    ///
    /// # Errors
    /// If one is missing, both are the same, or `from` is shorter than `len`.
    pub fn copy_prefix(&mut self, from: SeqId, to: SeqId, len: usize) -> Result<(), Error> {
        let held = self.len(from)?;
        self.sequence(to)?;
        if from == to || len > held {
            let what = format!(
                "{len} positions of sequence {}, which has {held}, for sequence {}",
                from.0, to.0
            );
            return Err(Error::batch(what));
        }
        self.truncate(to, 0)?;
        for index in 0..len.div_ceil(BLOCK) {
            let block = self.sequences[from.0 as usize].blocks[index];
            self.holders[block as usize] += 1;
            self.sequences[to.0 as usize].blocks.push(block);
        }
        self.sequences[to.0 as usize].len = len;
        Ok(())
    }

    fn sequence(&self, seq: SeqId) -> Result<&Sequence, Error> {
        self.sequences.get(seq.0 as usize).ok_or_else(|| {
            let n = self.sequences.len();
            Error::batch(format!("sequence {} does not exist: the session has {n}", seq.0))
        })
    }

    /// Gives the sequence a last block of its own, if it has a partly filled one that is shared.
    fn own_tail(&mut self, index: usize) -> Option<BlockCopy> {
        let sequence = &self.sequences[index];
        if sequence.len.is_multiple_of(BLOCK) {
            return None;
        }
        let from = *sequence.blocks.last()?;
        if self.holders[from as usize] == 1 {
            return None;
        }
        let to = self.take_free();
        self.holders[from as usize] -= 1;
        *self.sequences[index].blocks.last_mut()? = to;
        Some(BlockCopy { from, to })
    }

    /// There are as many blocks as all full sequences hold when nothing is shared, so that one is
    /// always free when a sequence may still grow.
    fn take_free(&mut self) -> u32 {
        let block = self.free.pop().expect("a sequence within its context finds a block");
        self.holders[block as usize] = 1;
        block
    }

    fn release(&mut self, block: u32) {
        let holders = &mut self.holders[block as usize];
        *holders -= 1;
        if *holders == 0 {
            self.free.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SeqId = SeqId(0);
    const B: SeqId = SeqId(1);

    #[test]
    fn sequences_grow_to_the_context_and_no_further() {
        let mut table = KvTable::new(2, 130);
        table.extend(A, 64).unwrap();
        assert_eq!(table.blocks(A).len(), 1);
        table.extend(A, 66).unwrap();
        assert_eq!(table.blocks(A).len(), 3);
        let error = table.extend(A, 1).unwrap_err();
        assert!(matches!(error, Error::ContextFull { .. }), "{error}");
        assert_eq!(table.len(A).unwrap(), 130);
        table.extend(B, 130).unwrap();
        assert_eq!(table.n_used(), 6);
        table.truncate(A, 64).unwrap();
        assert_eq!(table.n_used(), 4);
        assert!(table.truncate(A, 65).is_err());
        assert!(table.len(SeqId(2)).is_err());
    }

    #[test]
    fn a_shared_block_is_copied_before_it_is_written() {
        let mut table = KvTable::new(2, 256);
        table.extend(A, 100).unwrap();
        table.copy_prefix(A, B, 90).unwrap();
        assert_eq!(table.n_used(), 2);
        let copy = table.extend(B, 1).unwrap().unwrap();
        assert_eq!(copy.from, table.blocks(A)[1]);
        assert_eq!(copy.to, table.blocks(B)[1]);
        assert_eq!(table.extend(A, 1).unwrap(), None);
        table.copy_prefix(A, B, 64).unwrap();
        assert_eq!(table.extend(B, 1).unwrap(), None, "a full block is never written again");
        assert_eq!(table.blocks(A)[0], table.blocks(B)[0]);
    }

    #[test]
    fn cutting_into_a_shared_block_copies_it_too() {
        let mut table = KvTable::new(2, 128);
        table.extend(A, 128).unwrap();
        table.copy_prefix(A, B, 128).unwrap();
        table.truncate(B, 10).unwrap();
        assert!(table.extend(B, 118).unwrap().is_some());
        assert_eq!(table.n_used(), 4);
        table.truncate(A, 0).unwrap();
        table.truncate(B, 0).unwrap();
        assert_eq!(table.n_used(), 0);
    }
}
