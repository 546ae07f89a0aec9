//! Shards: token ids with an index of documents, made to be mapped.
//!
//! Layout, all little-endian: 64 bytes of header (magic, version, bytes an id, size of the
//! vocabulary, documents, ids, checksum, hash of the vocabulary, 0), the ids as u16 or u32,
//! padding to 8 bytes, then the end of each document as u64. The checksum guards against damage,
//! not against malice.

use crate::Error;
use crate::random::mix;
use std::ops::Range;
use std::sync::Arc;
use wright_model::Bytes;

const MAGIC: &[u8; 8] = b"WRTSHARD";
const VERSION: u32 = 1;
const HEADER: usize = 64;

/// Documents of token ids, read where they lie.
#[derive(Clone)]
pub struct Shard {
    bytes: Arc<dyn Bytes>,
    n_vocab: usize,
    vocab_hash: u64,
    checksum: u64,
    n_docs: usize,
    n_ids: usize,
    wide: bool,
}

/// A 64-bit checksum of bytes, eight at a time.
pub(crate) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    let mut sum = seed ^ bytes.len() as u64;
    for eight in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        sum = mix(sum.rotate_left(5) ^ u64::from_le_bytes(word), 0);
    }
    sum
}

impl Shard {
    /// Reads the header and checks sizes and the index of documents.
    ///
    /// # Errors
    /// If it is not a shard, has another version, or is damaged or truncated.
    pub fn open(bytes: Arc<dyn Bytes>) -> Result<Shard, Error> {
        let data = (*bytes).as_ref();
        let fail = |why: &str| Err(Error::Shard(why.to_owned()));
        if data.len() < HEADER || &data[..8] != MAGIC {
            return fail("it is not a shard: wrong magic number");
        }
        let word = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().expect("8 bytes"));
        let half = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().expect("4 bytes"));
        if half(8) != VERSION {
            let why = format!("it has version {}; this program reads version {VERSION}", half(8));
            return Err(Error::Shard(why));
        }
        let wide = match half(12) {
            2 => false,
            4 => true,
            _ => return fail("its ids have a width other than 2 or 4 bytes"),
        };
        let [n_vocab, n_docs, n_ids] = [16, 24, 32].map(|at| usize::try_from(word(at)).ok());
        let (Some(n_vocab), Some(n_docs), Some(n_ids)) = (n_vocab, n_docs, n_ids) else {
            return fail("its sizes do not fit this machine");
        };
        let (vocab_hash, sum) = (word(48), word(40));
        let size = n_ids
            .checked_mul(if wide { 4 } else { 2 })
            .and_then(|n| n.checked_next_multiple_of(8))
            .and_then(|n| n.checked_add(n_docs.checked_mul(8)?)?.checked_add(HEADER));
        if size != Some(data.len()) {
            return fail("it is truncated, or longer than its header says");
        }
        let shard = Shard { n_vocab, vocab_hash, checksum: sum, n_docs, n_ids, wide, bytes };
        let mut last = 0;
        for doc in 0..n_docs {
            let end = shard.end(doc);
            if end <= last && !(doc == 0 && end > 0) || end > n_ids {
                return fail("its index of documents is out of order");
            }
            last = end;
        }
        if last != n_ids {
            return fail("its index does not cover its ids");
        }
        Ok(shard)
    }

    /// Reads everything once: the checksum, and whether each id is one of the vocabulary.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn verify(&self) -> Result<(), Error> {
        let data = (*self.bytes).as_ref();
        if checksum(0, &data[HEADER..]) != self.checksum {
            return Err(Error::Shard("its checksum is wrong: it was damaged".into()));
        }
        match (0..self.n_ids).find(|&at| self.id(at) as usize >= self.n_vocab) {
            None => Ok(()),
            Some(at) => {
                let (id, n) = (self.id(at), self.n_vocab);
                Err(Error::Shard(format!("id {id} at {at} is outside its vocabulary of {n}")))
            }
        }
    }

    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// What the tokenizer that made the ids hashes to; 0 if nobody said.
    pub fn vocab_hash(&self) -> u64 {
        self.vocab_hash
    }

    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    pub fn n_docs(&self) -> usize {
        self.n_docs
    }

    pub fn n_ids(&self) -> usize {
        self.n_ids
    }

    fn end(&self, doc: usize) -> usize {
        let index = HEADER + (self.n_ids * if self.wide { 4 } else { 2 }).next_multiple_of(8);
        let at = index + doc * 8;
        let data = (*self.bytes).as_ref();
        u64::from_le_bytes(data[at..at + 8].try_into().expect("8 bytes")) as usize
    }

    /// Where a document's ids lie.
    pub fn doc(&self, doc: usize) -> Range<usize> {
        (if doc == 0 { 0 } else { self.end(doc - 1) })..self.end(doc)
    }

    /// The id at an index of all ids.
    pub fn id(&self, at: usize) -> u32 {
        let data = &(*self.bytes).as_ref()[HEADER..];
        if self.wide {
            u32::from_le_bytes(data[at * 4..at * 4 + 4].try_into().expect("4 bytes"))
        } else {
            u32::from(u16::from_le_bytes(data[at * 2..at * 2 + 2].try_into().expect("2 bytes")))
        }
    }
}

/// Gathers documents into a shard.
#[derive(Debug)]
pub struct ShardBuilder {
    n_vocab: usize,
    vocab_hash: u64,
    /// Room for the header, then ids.
    ids: Vec<u8>,
    ends: Vec<u64>,
    n_ids: u64,
}

impl ShardBuilder {
    /// # Errors
    /// If the vocabulary is empty or beyond 2^32.
    pub fn new(n_vocab: usize, vocab_hash: u64) -> Result<Self, Error> {
        if n_vocab == 0 || n_vocab as u64 > 1 << 32 {
            return Err(Error::Shard(format!("a vocabulary of {n_vocab}")));
        }
        // The header goes before the ids when they are all there.
        let ids = vec![0; HEADER];
        Ok(ShardBuilder { n_vocab, vocab_hash, ids, ends: Vec::new(), n_ids: 0 })
    }

    /// Bytes that the ids take.
    pub fn id_bytes(&self) -> usize {
        self.ids.len() - HEADER
    }

    /// Adds a document; an empty one is left out.
    ///
    /// # Errors
    /// If an id lies beyond the vocabulary.
    pub fn push(&mut self, ids: &[u32]) -> Result<(), Error> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.n_vocab) {
            let why = format!("id {id} is outside the vocabulary of {}", self.n_vocab);
            return Err(Error::Shard(why));
        }
        if ids.is_empty() {
            return Ok(());
        }
        for &id in ids {
            match self.n_vocab > 1 << 16 {
                true => self.ids.extend(id.to_le_bytes()),
                false => self.ids.extend((id as u16).to_le_bytes()),
            }
        }
        self.n_ids += ids.len() as u64;
        self.ends.push(self.n_ids);
        Ok(())
    }

    /// The shard's bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut out = self.ids;
        out.resize(out.len().next_multiple_of(8), 0);
        out.reserve_exact(self.ends.len() * 8);
        self.ends.iter().for_each(|end| out.extend(end.to_le_bytes()));
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((if self.n_vocab > 1 << 16 { 4u32 } else { 2 }).to_le_bytes());
        let words = [
            self.n_vocab as u64,
            self.ends.len() as u64,
            self.n_ids,
            checksum(0, &out[HEADER..]),
            self.vocab_hash,
            0,
        ];
        words.iter().for_each(|word| header.extend(word.to_le_bytes()));
        out[..HEADER].copy_from_slice(&header);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(n_vocab: usize) -> Vec<u8> {
        let mut builder = ShardBuilder::new(n_vocab, 9).unwrap();
        builder.push(&[1, 2, 3]).unwrap();
        builder.push(&[]).unwrap();
        builder.push(&[4, 0]).unwrap();
        assert!(builder.push(&[n_vocab as u32]).is_err());
        builder.finish()
    }

    #[test]
    fn documents_come_back_in_both_widths() {
        for n_vocab in [10, 100_000] {
            let shard = Shard::open(Arc::new(made(n_vocab))).unwrap();
            shard.verify().unwrap();
            assert_eq!((shard.n_docs(), shard.n_ids(), shard.vocab_hash()), (2, 5, 9));
            assert_eq!(shard.doc(1), 3..5);
            assert_eq!((0..5).map(|i| shard.id(i)).collect::<Vec<_>>(), [1, 2, 3, 4, 0]);
        }
    }

    #[test]
    fn damage_anywhere_is_found_and_nothing_panics() {
        let good = made(10);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x41;
            let found = Shard::open(Arc::new(bad)).and_then(|shard| shard.verify());
            // The vocabulary's size and hash and the spare word are not covered by the checksum.
            assert!(found.is_err() || (16..24).contains(&at) || (48..64).contains(&at), "{at}");
            assert!(Shard::open(Arc::new(good[..at].to_vec())).is_err());
        }
    }
}
