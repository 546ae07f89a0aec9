//! Distinct words with their counts: all that training keeps of a corpus.

use crate::vocabulary::hash;

/// A table from words to counts, whose words lie in one arena.
#[derive(Debug, Default)]
pub(super) struct Words {
    bytes: Vec<u8>,
    words: Vec<Word>,
    /// (power of two): high half of the hash, index + 1; index 0 marks a free slot.
    slots: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Word {
    start: usize,
    len: usize,
    count: u64,
}

impl Words {
    /// How many words are distinct.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Words in the order in which each came first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.words.iter().map(|word| (self.bytes_of(word), word.count))
    }

    /// Bytes of all distinct words together.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn bytes_of(&self, word: &Word) -> &[u8] {
        &self.bytes[word.start..word.start + word.len]
    }

    /// `word` came `n` times more.
    pub fn add(&mut self, word: &[u8], n: u64) {
        if self.words.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let hash = hash(word);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        let tag = (hash >> 32) as u32;
        loop {
            let (slot_tag, index) = self.slots[slot];
            if index == 0 {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(word);
                self.words.push(Word { start, len: word.len(), count: n });
                self.slots[slot] = (tag, self.words.len() as u32);
                return;
            }
            let known = &self.words[index as usize - 1];
            if slot_tag == tag && self.bytes_of(known) == word {
                self.words[index as usize - 1].count += n;
                return;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let n = (self.slots.len() * 2).max(1 << 10);
        // Four billion distinct words would be some hundred gigabytes.
        assert!(n / 2 <= u32::MAX as usize, "too many distinct words");
        let mut slots = vec![(0, 0); n];
        for (i, word) in self.words.iter().enumerate() {
            let hash = hash(self.bytes_of(word));
            let mut slot = hash as usize & (n - 1);
            while slots[slot].1 != 0 {
                slot = (slot + 1) & (n - 1);
            }
            slots[slot] = ((hash >> 32) as u32, i as u32 + 1);
        }
        self.slots = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_counted_once() {
        let mut words = Words::default();
        for i in 0..10_000u32 {
            words.add(format!("w{}", i % 3_000).as_bytes(), u64::from(i % 2) + 1);
        }
        assert_eq!(words.len(), 3_000);
        assert_eq!(words.iter().map(|(_, n)| n).sum::<u64>(), 15_000);
        assert_eq!(words.iter().next(), Some((&b"w0"[..], 4)), "at 0, 3,000, 6,000 and 9,000");
        assert_eq!(words.n_bytes(), words.iter().map(|(word, _)| word.len()).sum::<usize>());
    }
}
