//! The table of tokens: id to bytes, and bytes to id.
//!
//! All bytes lie in one arena, and the way back is an open-addressed table of ids, so that loading
//! costs one allocation of each and a hash per token. Which tokens can be found by their bytes is
//! the algorithm's choice: a control token never is.

use crate::Error;

/// Bytes of every token, and ids by bytes for those that were [registered](Vocabulary::register).
#[derive(Debug)]
pub(crate) struct Vocabulary {
    bytes: Vec<u8>,
    /// (n_vocab + 1): token i is `bytes[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    /// (power of two): high half of the hash, id + 1; id 0 marks a free slot.
    slots: Vec<(u32, u32)>,
    /// (n_vocab): whether `find` gives this token for its bytes.
    registered: Vec<bool>,
    /// Longest registered token, in bytes.
    len_max: usize,
}

impl Vocabulary {
    /// Room for `n` tokens of `n_bytes` together.
    pub fn with_capacity(n: usize, n_bytes: usize) -> Result<Self, Error> {
        if n_bytes > u32::MAX as usize / 2 {
            return Err(Error::VocabularyBytes(n_bytes));
        }
        let mut starts = Vec::with_capacity(n + 1);
        starts.push(0);
        let slots = vec![(0, 0); (n * 2).next_power_of_two().max(2)];
        Ok(Vocabulary {
            bytes: Vec::with_capacity(n_bytes),
            starts,
            slots,
            registered: vec![false; n],
            len_max: 0,
        })
    }

    /// Longest registered token, in bytes.
    pub fn len_max(&self) -> usize {
        self.len_max
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Appends the next token by writing its bytes.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.starts.push(self.bytes.len() as u32);
    }

    pub fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match (self.starts.get(id), self.starts.get(id + 1)) {
            (Some(&start), Some(&end)) => &self.bytes[start as usize..end as usize],
            _ => &[],
        }
    }

    /// Lets [`Vocabulary::find`] find token `id`. Of two with the same bytes the later one wins.
    pub fn register(&mut self, id: u32) {
        let token = self.bytes(id);
        if token.is_empty() {
            return;
        }
        let hash = hash(token);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        let tag = (hash >> 32) as u32;
        loop {
            let (slot_tag, slot_id) = self.slots[slot];
            if slot_id == 0 || slot_tag == tag && self.bytes(slot_id - 1) == token {
                self.len_max = self.len_max.max(token.len());
                if let Some(loser) = slot_id.checked_sub(1) {
                    self.registered[loser as usize] = false;
                }
                self.registered[id as usize] = true;
                self.slots[slot] = (tag, id + 1);
                return;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Whether [`Vocabulary::find`] gives `id` for its bytes.
    pub fn is_registered(&self, id: u32) -> bool {
        self.registered.get(id as usize) == Some(&true)
    }

    /// As [`Vocabulary::find`], looking first whether it is token `guess`.
    ///
    /// Of two tokens with the same bytes only one is registered, so a registered guess is right.
    pub fn find_near(&self, bytes: &[u8], guess: u32) -> Option<u32> {
        if self.is_registered(guess) && self.bytes(guess) == bytes {
            return Some(guess);
        }
        self.find(bytes)
    }

    /// The registered token of exactly these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        if bytes.len() > self.len_max {
            return None;
        }
        let hash = hash(bytes);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        let tag = (hash >> 32) as u32;
        loop {
            let (slot_tag, slot_id) = self.slots[slot];
            if slot_id == 0 {
                return None;
            }
            if slot_tag == tag && self.bytes(slot_id - 1) == bytes {
                return Some(slot_id - 1);
            }
            slot = (slot + 1) & mask;
        }
    }
}

/// A hash for short keys: eight bytes at a time, multiplied and folded.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = (bytes.len() as u64).wrapping_mul(K);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        state = mix(state ^ word);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut word = 0;
        for &byte in rest {
            word = word << 8 | u64::from(byte);
        }
        state = mix(state ^ word);
    }
    state
}

/// Spreads every bit of `x` over the whole word.
pub(crate) fn mix(x: u64) -> u64 {
    let wide = u128::from(x ^ 0xa076_1d64_78bd_642f) * 0xe703_7ed1_a0b4_28db_u128;
    (wide as u64) ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_registered_and_nothing_else() {
        let mut vocabulary = Vocabulary::with_capacity(3000, 0).unwrap();
        for i in 0..3000u32 {
            vocabulary.push(|out| out.extend_from_slice(format!("token {}", i / 2).as_bytes()));
            if i % 3 != 0 {
                vocabulary.register(i);
            }
        }
        for i in 0..3000u32 {
            let text = format!("token {}", i / 2);
            let pair = [i & !1, i | 1];
            let want = pair.into_iter().rfind(|id| id % 3 != 0);
            assert_eq!(vocabulary.find(text.as_bytes()), want, "{text}");
            assert_eq!(vocabulary.bytes(i), text.as_bytes());
        }
        assert_eq!(vocabulary.find(b"token"), None);
        assert_eq!(vocabulary.find(b""), None);
        assert_eq!(vocabulary.bytes(3000), b"");
    }
}
