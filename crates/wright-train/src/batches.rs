//! Rows of tokens for training: a function of the data, the seed and the row's number alone.
//!
//! A document of n ids gives n − 1 pairs of a token and the one that follows. The pairs of all
//! documents are cut into rows of `n_ctx`, none is lost, and each row is a list of pieces, one
//! for each document in it, that do not see each other. Each epoch visits the rows in another
//! order. Nothing is remembered between calls, so a run can go on from any step.

use crate::Error;
use crate::random::{Permutation, mix};
use crate::shard::Shard;
use wright_model::{Rows, SeqId};

/// Tokens to learn from, and what follows each.
#[derive(Debug, Default, Clone)]
pub struct TokenRows {
    pub rows: Rows,
    pub targets: Vec<u32>,
}

/// The rows of some shards.
pub struct Batches {
    shards: Vec<Shard>,
    /// Pairs before each document, and in all; with its shard and its number there.
    starts: Vec<u64>,
    docs: Vec<(u32, u32)>,
    n_ctx: usize,
    seed: u64,
}

impl Batches {
    /// # Errors
    /// If the shards hold no pair, or were made with another vocabulary than `n_vocab`.
    pub fn new(
        shards: Vec<Shard>,
        n_vocab: usize,
        n_ctx: usize,
        seed: u64,
    ) -> Result<Batches, Error> {
        if let Some(shard) = shards.iter().find(|s| s.n_vocab() != n_vocab) {
            let why = format!(
                "it was made with a vocabulary of {} tokens, and the model has {n_vocab}",
                shard.n_vocab()
            );
            return Err(Error::Shard(why));
        }
        let mut starts = vec![0];
        let mut docs = Vec::new();
        for (index, shard) in shards.iter().enumerate() {
            for doc in 0..shard.n_docs() {
                let pairs = shard.doc(doc).len() as u64 - 1;
                if pairs > 0 {
                    starts.push(starts[starts.len() - 1] + pairs);
                    docs.push((index as u32, doc as u32));
                }
            }
        }
        if docs.is_empty() || n_ctx == 0 {
            return Err(Error::Shard("it contains no document of at least two tokens".into()));
        }
        Ok(Batches { shards, starts, docs, n_ctx, seed })
    }

    /// Pairs of a token and its successor in one epoch.
    pub fn n_pairs(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }

    /// Rows in one epoch; the last may be shorter.
    pub fn n_rows(&self) -> u64 {
        self.n_pairs().div_ceil(self.n_ctx as u64)
    }

    /// Rows `first .. first + n` of all epochs, shuffled within each.
    pub fn shuffled(&self, first: u64, n: usize) -> TokenRows {
        let mut out = TokenRows::default();
        for row in first..first + n as u64 {
            let (epoch, index) = (row / self.n_rows(), row % self.n_rows());
            let order = Permutation::new(self.n_rows(), mix(self.seed, epoch));
            self.push_row(order.at(index), &mut out);
        }
        out
    }

    /// Rows in the order of the data, as for validation.
    pub fn in_order(&self, first: u64, n: usize) -> TokenRows {
        let mut out = TokenRows::default();
        let last = (first + n as u64).min(self.n_rows());
        (first..last).for_each(|row| self.push_row(row, &mut out));
        out
    }

    fn push_row(&self, row: u64, out: &mut TokenRows) {
        let mut at = row * self.n_ctx as u64;
        let end = (at + self.n_ctx as u64).min(self.n_pairs());
        let mut doc = self.starts.partition_point(|&start| start <= at) - 1;
        while at < end {
            let (shard, number) = self.docs[doc];
            let shard = &self.shards[shard as usize];
            let stop = self.starts[doc + 1].min(end);
            let n = (stop - at) as usize;
            let from = shard.doc(number as usize).start + (at - self.starts[doc]) as usize;
            let ids: Vec<u32> = (from..from + n + 1).map(|i| shard.id(i)).collect();
            let seq = SeqId(out.rows.spans.len() as u32);
            out.rows.push(seq, 0, &ids[..n], 0..n);
            out.targets.extend(&ids[1..]);
            at = stop;
            doc += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::ShardBuilder;
    use std::sync::Arc;

    fn batches(seed: u64) -> Batches {
        let mut builder = ShardBuilder::new(1000, 0).unwrap();
        for doc in [1usize, 5, 40, 2, 17] {
            let ids: Vec<u32> = (0..doc as u32).map(|i| doc as u32 * 20 + i).collect();
            builder.push(&ids).unwrap();
        }
        let shard = Shard::open(Arc::new(builder.finish())).unwrap();
        Batches::new(vec![shard], 1000, 8, seed).unwrap()
    }

    #[test]
    fn an_epoch_holds_every_pair_once_and_documents_stay_apart() {
        let b = batches(1);
        assert_eq!((b.n_pairs(), b.n_rows()), (4 + 39 + 1 + 16, 8));
        let mut seen = Vec::new();
        for row in 0..8 {
            let one = b.shuffled(row, 1);
            assert!(one.rows.len() <= 8);
            for span in &one.rows.spans {
                assert_eq!(span.pos, 0);
                for at in span.rows.clone() {
                    assert_eq!(one.targets[at], one.rows.ids[at] + 1, "within one document");
                    seen.push(one.rows.ids[at]);
                }
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 60);
    }

    #[test]
    fn epochs_and_seeds_differ_and_a_row_is_always_the_same() {
        let ids = |b: &Batches, first| b.shuffled(first, 8).rows.ids;
        let b = batches(1);
        assert_eq!(ids(&b, 3), ids(&batches(1), 3));
        assert_ne!(ids(&b, 0), ids(&b, 8));
        assert_ne!(ids(&b, 0), ids(&batches(2), 0));
        assert!(Batches::new(b.shards.clone(), 999, 8, 1).is_err());
    }
}
