//! Which neighbours are how frequent, kept up to date merge by merge.
//!
//! Words are runs of symbols in one arena and shrink in place. For each pair there are its count
//! and the words in which it may stand, so that a merge touches these words alone. A pair of two
//! old symbols only ever becomes rarer, and all pairs of a new symbol arise in the merge that makes
//! it: hence a pair is inserted once, one that is too rare then never, and the heap may hold counts
//! that are out of date, which are corrected when they come to the top.

use super::words::Words;
use crate::byte_level;
use crate::vocabulary::mix;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// Symbols, words and pairs in the middle of training.
pub(super) struct Pairs {
    symbols: Vec<u32>,
    words: Vec<Word>,
    pairs: HashMap<u64, Pair, BuildHasherDefault<PairHasher>>,
    /// (count at some time, pair): the most frequent first, of those the lowest.
    heap: BinaryHeap<(u64, Reverse<u64>)>,
    min_frequency: u64,
    /// Neighbours of the symbol in the making.
    before: Neighbours,
    after: Neighbours,
}

/// `symbols[start..start + len]`, which came `count` times.
struct Word {
    start: usize,
    len: usize,
    count: u64,
}

#[derive(Default)]
struct Pair {
    count: u64,
    /// Ascending: every word that has this pair, and maybe some that have it no more.
    words: Vec<u32>,
}

/// Left and right symbol in one number, ordered as the pair.
fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, &byte| mix(sum ^ u64::from(byte)));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = mix(key);
    }
}

impl Pairs {
    /// All words as bytes, and their pairs that came at least `min_frequency` times (1 or more).
    pub fn new(words: Words, min_frequency: u64) -> Self {
        let mut symbol_of = [0u32; 256];
        for (symbol, &byte) in (0u32..).zip(&byte_level::ALPHABET) {
            symbol_of[usize::from(byte)] = symbol;
        }
        let mut all = Pairs {
            symbols: Vec::with_capacity(words.n_bytes()),
            words: Vec::with_capacity(words.len()),
            pairs: HashMap::default(),
            heap: BinaryHeap::new(),
            min_frequency,
            before: Neighbours::default(),
            after: Neighbours::default(),
        };
        for (word, count) in words.iter() {
            let (start, len) = (all.symbols.len(), word.len());
            all.symbols.extend(word.iter().map(|&byte| symbol_of[usize::from(byte)]));
            all.words.push(Word { start, len, count });
        }
        drop(words);
        all.count_pairs();
        all
    }

    fn count_pairs(&mut self) {
        let mut table: Vec<Pair> = Vec::new();
        table.resize_with(256 * 256, Pair::default);
        for (i, word) in (0u32..).zip(&self.words) {
            let symbols = &self.symbols[word.start..word.start + word.len];
            for pair in symbols.windows(2) {
                let pair = &mut table[(pair[0] << 8 | pair[1]) as usize];
                pair.count += word.count;
                if pair.words.last() != Some(&i) {
                    pair.words.push(i);
                }
            }
        }
        for (i, pair) in (0u32..).zip(table) {
            self.insert(i >> 8, i & 255, pair);
        }
    }

    fn insert(&mut self, left: u32, right: u32, pair: Pair) {
        if pair.count >= self.min_frequency {
            self.heap.push((pair.count, Reverse(key(left, right))));
            self.pairs.insert(key(left, right), pair);
        }
    }

    /// The most frequent pair; of equals the one of the lowest left, then right symbol.
    pub fn best(&mut self) -> Option<(u32, u32)> {
        while let Some(mut top) = self.heap.peek_mut() {
            let (count, Reverse(key)) = *top;
            match self.pairs.get(&key) {
                Some(pair) if pair.count == count => {
                    return Some(((key >> 32) as u32, key as u32));
                }
                Some(pair) => top.0 = pair.count,
                None => {
                    std::collections::binary_heap::PeekMut::pop(top);
                }
            }
        }
        None
    }

    /// Never merges this pair.
    pub fn forget(&mut self, left: u32, right: u32) {
        self.pairs.remove(&key(left, right));
    }

    /// Merges a pair to the symbol `new`, which is the next that there is not yet.
    pub fn merge(&mut self, left: u32, right: u32, new: u32) {
        let Some(pair) = self.pairs.remove(&key(left, right)) else { return };
        self.before.begin(new);
        self.after.begin(new);
        // How often the new symbol follows itself.
        let mut doubles = 0;
        for &i in &pair.words {
            doubles += self.merge_word(i, (left, right), new);
        }
        self.count_neighbours(left, right, new, doubles);
    }

    /// Merges the pair in word `i`, from the left; how often the new symbol follows itself there,
    /// times the word's count.
    fn merge_word(&mut self, i: u32, (left, right): (u32, u32), new: u32) -> u64 {
        let word = &mut self.words[i as usize];
        let symbols = &mut self.symbols[word.start..word.start + word.len];
        let (mut from, mut to, mut doubles) = (0, 0, 0);
        while from < symbols.len() {
            let symbol = symbols[from];
            if symbol != left || symbols.get(from + 1) != Some(&right) {
                symbols[to] = symbol;
                (from, to) = (from + 1, to + 1);
                continue;
            }
            match to.checked_sub(1).map(|before| symbols[before]) {
                Some(before) if before == new => doubles += word.count,
                Some(before) => self.before.note(before, i, word.count),
                None => {}
            }
            if let Some(&after) = symbols.get(from + 2) {
                self.after.note(after, i, word.count);
            }
            symbols[to] = new;
            (from, to) = (from + 2, to + 1);
        }
        word.len = to;
        doubles
    }

    /// Puts what [`Pairs::merge_word`] has seen into the counts: each neighbour has lost a pair
    /// with an old symbol and gained one with the new.
    fn count_neighbours(&mut self, left: u32, right: u32, new: u32, doubles: u64) {
        for &x in &self.before.touched {
            let n = self.before.all[x as usize].count;
            lose(&mut self.pairs, key(x, left), n, self.min_frequency);
        }
        for &x in &self.after.touched {
            let n = self.after.all[x as usize].count;
            lose(&mut self.pairs, key(right, x), n, self.min_frequency);
        }
        // Where the pair came twice in a row, the first saw `left` after it, which is `new` by now.
        if doubles > 0 {
            self.after.rename(left, new, doubles);
        }
        for (x, pair) in self.before.pairs(self.min_frequency) {
            self.insert(x, new, pair);
        }
        for (x, pair) in self.after.pairs(self.min_frequency) {
            self.insert(new, x, pair);
        }
    }

    /// Tokens of the whole text as far as it is merged.
    pub fn n_tokens(&self) -> u64 {
        self.words.iter().map(|word| word.len as u64 * word.count).sum()
    }
}

/// `n` fewer of a pair, which is left out of the heap's business once it is too rare.
fn lose(
    pairs: &mut HashMap<u64, Pair, BuildHasherDefault<PairHasher>>,
    key: u64,
    n: u64,
    min_frequency: u64,
) {
    let Some(pair) = pairs.get_mut(&key) else { return };
    pair.count -= n;
    if pair.count < min_frequency {
        pairs.remove(&key);
    }
}

/// What stands on one side of the symbol in the making.
#[derive(Default)]
struct Neighbours {
    /// (symbols)
    all: Vec<Neighbour>,
    /// Those of them that are not empty.
    touched: Vec<u32>,
    /// (symbol, word), in order of words.
    seen: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Default)]
struct Neighbour {
    /// How often it stands there, in the whole text.
    count: u64,
    /// How often, in distinct words.
    n_seen: u32,
    /// Where its pair is in the list that [`Neighbours::pairs`] makes.
    slot: u32,
}

impl Neighbours {
    /// Forgets the last symbol; the new one is `new`.
    fn begin(&mut self, new: u32) {
        self.all.resize(new as usize + 1, Neighbour::default());
        for symbol in self.touched.drain(..) {
            self.all[symbol as usize] = Neighbour::default();
        }
        self.seen.clear();
    }

    /// `symbol` stands there in `word`, which came `count` times.
    fn note(&mut self, symbol: u32, word: u32, count: u64) {
        let neighbour = &mut self.all[symbol as usize];
        if neighbour.count == 0 {
            self.touched.push(symbol);
        }
        neighbour.count += count;
        neighbour.n_seen += 1;
        self.seen.push((symbol, word));
    }

    /// Of the places of `old`, those that `count` speaks of have become `new` in the meantime.
    fn rename(&mut self, old: u32, new: u32, count: u64) {
        self.all[old as usize].count -= count;
        let n_seen = self.all[old as usize].n_seen;
        self.all[new as usize] = Neighbour { count, n_seen, slot: 0 };
        self.touched.push(new);
        for i in 0..self.seen.len() {
            if self.seen[i].0 == old {
                self.seen.push((new, self.seen[i].1));
            }
        }
    }

    /// The pairs of the new symbol with its neighbours on this side, as far as they are frequent.
    fn pairs(&mut self, min_frequency: u64) -> Vec<(u32, Pair)> {
        let mut found = Vec::new();
        for &symbol in &self.touched {
            let neighbour = &mut self.all[symbol as usize];
            neighbour.slot = u32::MAX;
            if neighbour.count >= min_frequency {
                neighbour.slot = found.len() as u32;
                let words = Vec::with_capacity(neighbour.n_seen as usize);
                found.push((symbol, Pair { count: neighbour.count, words }));
            }
        }
        for &(symbol, word) in &self.seen {
            let slot = self.all[symbol as usize].slot as usize;
            if let Some((_, pair)) = found.get_mut(slot)
                && pair.words.last() != Some(&word)
            {
                pair.words.push(word);
            }
        }
        found
    }
}
