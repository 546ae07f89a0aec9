//! Merging neighbours, best pair first: the heart of BPE and of SentencePiece's BPE.
//!
//! Of all neighbouring pairs that may merge, the one of the lowest priority number merges, the
//! leftmost of equals, until none is left. Short words scan for it; long ones keep a heap over a
//! linked list, so that a megabyte of one character stays n·log n.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No token: a symbol that the vocabulary does not have by itself.
pub(crate) const NO_ID: u32 = u32::MAX;

/// Words up to this many symbols are scanned; longer ones use the heap.
const SCAN_MAX: usize = 32;

/// A stretch of the word that is one token so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    pub id: u32,
    pub start: u32,
    pub end: u32,
}

/// What two neighbours merge to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merge {
    /// Lower merges first.
    pub priority: u32,
    pub id: u32,
}

/// A pair in the heap; stale once either side has changed, which its bounds tell.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    priority: u32,
    left: u32,
    mid: u32,
    end: u32,
    id: u32,
}

/// Working memory, kept from word to word.
#[derive(Default)]
pub(crate) struct Merger {
    /// The word: filled by the caller, merged in place by [`Merger::run`].
    pub symbols: Vec<Symbol>,
    /// Pairs looked up and candidates taken off the heap so far: what the work is measured in.
    pub steps: u64,
    merges: Vec<Option<Merge>>,
    heap: BinaryHeap<Reverse<Candidate>>,
    previous: Vec<u32>,
    next: Vec<u32>,
}

impl Merger {
    /// Merges `symbols` until no pair is left that `pair` accepts.
    pub fn run(&mut self, pair: impl Fn(&Symbol, &Symbol) -> Option<Merge>) {
        if self.symbols.len() <= SCAN_MAX {
            self.scan(pair);
        } else {
            self.heap(pair);
        }
    }

    fn scan(&mut self, pair: impl Fn(&Symbol, &Symbol) -> Option<Merge>) {
        let symbols = &mut self.symbols;
        self.merges.clear();
        self.merges.extend(symbols.windows(2).map(|w| pair(&w[0], &w[1])));
        self.steps += self.merges.len() as u64;
        loop {
            let mut best = usize::MAX;
            let mut priority = u32::MAX;
            for (i, merge) in self.merges.iter().enumerate() {
                if let Some(merge) = merge
                    && (merge.priority < priority || best == usize::MAX)
                {
                    (best, priority) = (i, merge.priority);
                }
            }
            let Some(&Some(merge)) = self.merges.get(best) else { return };
            symbols[best].id = merge.id;
            symbols[best].end = symbols[best + 1].end;
            symbols.remove(best + 1);
            self.merges.remove(best);
            if best > 0 {
                self.merges[best - 1] = pair(&symbols[best - 1], &symbols[best]);
            }
            if best < self.merges.len() {
                self.merges[best] = pair(&symbols[best], &symbols[best + 1]);
            }
            self.steps += 2;
        }
    }

    fn heap(&mut self, pair: impl Fn(&Symbol, &Symbol) -> Option<Merge>) {
        let n = self.symbols.len();
        self.previous.clear();
        self.previous.extend((0..n as u32).map(|i| i.wrapping_sub(1)));
        self.next.clear();
        self.next.extend(1..=n as u32);
        let mut heap = std::mem::take(&mut self.heap).into_vec();
        heap.extend((1..n as u32).filter_map(|i| self.candidate(i - 1, i, &pair)));
        self.heap = BinaryHeap::from(heap);
        self.steps += n as u64;
        while let Some(Reverse(candidate)) = self.heap.pop() {
            self.steps += 1;
            let left = candidate.left as usize;
            let right = self.next[left] as usize;
            if self.symbols[left].end != candidate.mid
                || right == n
                || self.symbols[right].end != candidate.end
            {
                continue;
            }
            self.symbols[left].end = candidate.end;
            self.symbols[left].id = candidate.id;
            // A dead symbol ends nowhere, so no candidate fits it any more.
            self.symbols[right].end = u32::MAX;
            let after = self.next[right];
            self.next[left] = after;
            if (after as usize) < n {
                self.previous[after as usize] = left as u32;
                let candidate = self.candidate(left as u32, after, &pair);
                self.heap.extend(candidate);
            }
            let before = self.previous[left];
            if before != u32::MAX {
                let candidate = self.candidate(before, left as u32, &pair);
                self.heap.extend(candidate);
            }
            self.steps += 2;
        }
        self.symbols.retain(|symbol| symbol.end != u32::MAX);
    }

    fn candidate(
        &self,
        left: u32,
        right: u32,
        pair: impl Fn(&Symbol, &Symbol) -> Option<Merge>,
    ) -> Option<Reverse<Candidate>> {
        let (l, r) = (&self.symbols[left as usize], &self.symbols[right as usize]);
        let Merge { priority, id } = pair(l, r)?;
        Some(Reverse(Candidate { priority, left, mid: l.end, end: r.end, id }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up grammar: two neighbours merge if their ids sum to a multiple of three.
    fn pair(left: &Symbol, right: &Symbol) -> Option<Merge> {
        let sum = left.id + right.id;
        sum.is_multiple_of(3).then_some(Merge { priority: sum / 6, id: sum / 3 + 1 })
    }

    fn word(n: usize, seed: u32) -> Vec<Symbol> {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        (0..n as u32)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Symbol { id: (state >> 16) % 50, start: i, end: i + 1 }
            })
            .collect()
    }

    #[test]
    fn scan_and_heap_merge_the_same() {
        for seed in 0..300 {
            let symbols = word(2 + seed as usize % 200, seed);
            let mut scanned = Merger { symbols: symbols.clone(), ..Merger::default() };
            scanned.scan(pair);
            let mut heaped = Merger { symbols, ..Merger::default() };
            heaped.heap(pair);
            let ids = |m: &Merger| m.symbols.iter().map(|s| (s.id, s.end)).collect::<Vec<_>>();
            assert_eq!(ids(&scanned), ids(&heaped), "seed {seed}");
        }
    }

    #[test]
    fn a_million_equal_symbols_are_not_quadratic() {
        let n = 1_000_000u32;
        let symbols = (0..n).map(|i| Symbol { id: 0, start: i, end: i + 1 }).collect();
        let mut merger = Merger { symbols, ..Merger::default() };
        // Equal neighbours merge, so the tokens are runs of doubling length.
        merger.run(|l, r| (l.id == r.id).then_some(Merge { priority: l.id, id: l.id + 1 }));
        assert!(merger.symbols.len() < 32);
        assert!(merger.steps < 8 * u64::from(n), "{} steps", merger.steps);
    }
}
