//! Tokens guessed from what a sequence already says: the model checks several in one pass.
//!
//! Where the last tokens occurred before, what followed them then is proposed again ("prompt
//! lookup": Saxena 2023; Yang et al., "Inference with Reference", 2023). A proposal is read behind
//! the token that was sampled last, and sampling goes on row by row as long as it agrees: what an
//! answer says never depends on a proposal, only how many passes it takes.
//!
//! How many tokens to propose follows from how often proposals were right so far, told apart by
//! how much of the past agreed, and from what a row more costs. Text that does not repeat itself
//! is left alone after a few attempts.

use std::collections::HashMap;

/// Tokens that have to agree before anything is proposed.
const GRAM: usize = 3;
/// Tokens that are compared at most.
const MATCH_MAX: usize = 16;
/// Lengths worth a pass: with the sampled token they fill the tiles of the kernels on AVX2.
const LENGTHS: [usize; 5] = [1, 4, 9, 14, 19];
/// What a row more costs, in passes of one row: for a small model 0.1 to 0.2, see LOG.md.
const ROW_COST: f64 = 0.15;
/// Old experience counts half after this many tokens.
const MEMORY: f64 = 64.0;

/// How often proposals were right, with a guess to begin with.
#[derive(Debug, Clone, Copy)]
struct Odds {
    right: f64,
    tried: f64,
}

impl Odds {
    const fn new(guess: f64) -> Odds {
        Odds { right: 4.0 * guess, tried: 4.0 }
    }

    /// The length that promises most tokens for the cost, or 0.
    fn length(&self) -> usize {
        let p = self.right / self.tried;
        let worth = |n: usize| {
            let tokens: f64 = 1.0 + (1..=n as i32).map(|i| p.powi(i)).sum::<f64>();
            tokens / (1.0 + ROW_COST * n as f64)
        };
        let best = LENGTHS.into_iter().max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
        best.filter(|&n| worth(n) > 1.0).unwrap_or(0)
    }

    fn learn(&mut self, n_right: usize, n_proposed: usize) {
        self.right += n_right as f64;
        self.tried += (n_right + usize::from(n_right < n_proposed)) as f64;
        if self.tried > MEMORY {
            (self.right, self.tried) = (self.right / 2.0, self.tried / 2.0);
        }
    }
}

/// The past of one sequence, and what was learnt about it.
pub(super) struct Drafter {
    ids: Vec<u32>,
    /// For each run of [`GRAM`] tokens, the index of what followed its last occurrence.
    after: HashMap<[u32; GRAM], usize>,
    /// By how many tokens agreed.
    odds: [Odds; 4],
    /// Which odds the last proposal stood on, and its length.
    proposed: (usize, usize),
}

impl Drafter {
    pub fn new(ids: &[u32]) -> Drafter {
        let mut drafter = Drafter {
            ids: Vec::with_capacity(ids.len()),
            after: HashMap::with_capacity(ids.len()),
            odds: [0.35, 0.5, 0.7, 0.85].map(Odds::new),
            proposed: (0, 0),
        };
        ids.iter().for_each(|&id| drafter.push(id));
        drafter
    }

    /// The sequence goes on with `id`.
    pub fn push(&mut self, id: u32) {
        if let Some(gram) = self.ids.last_chunk::<GRAM>() {
            self.after.insert(*gram, self.ids.len());
        }
        self.ids.push(id);
    }

    /// What may come next, at most `max` tokens.
    pub fn propose(&mut self, max: usize) -> Vec<u32> {
        self.proposed = (0, 0);
        let gram = self.ids.last_chunk::<GRAM>();
        let Some(&from) = gram.and_then(|gram| self.after.get(gram)) else { return Vec::new() };
        let past = self.ids[..from].iter().rev();
        let alike = past.zip(self.ids.iter().rev()).take(MATCH_MAX).take_while(|(a, b)| a == b);
        let which = match alike.count() {
            ..=3 => 0,
            4..=5 => 1,
            6..=9 => 2,
            _ => 3,
        };
        let n = self.odds[which].length().min(max);
        self.proposed = (which, n);
        // A copy that reaches its own beginning goes round.
        let period = self.ids.len() - from;
        (0..n).map(|i| self.ids[from + i % period]).collect()
    }

    /// `n_right` tokens of the last proposal came true.
    pub fn learn(&mut self, n_right: usize) {
        let (which, n) = self.proposed;
        self.odds[which].learn(n_right, n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_before_is_proposed_and_copies_go_round() {
        let mut drafter = Drafter::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]);
        drafter.odds = [Odds { right: 99.0, tried: 100.0 }; 4];
        assert_eq!(drafter.propose(5), [4, 5, 6, 7, 8]);
        assert_eq!(drafter.propose(15), [4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        drafter.push(4);
        assert_eq!(drafter.propose(2), [5, 6]);
        drafter.push(77);
        assert!(drafter.propose(8).is_empty());
    }

    #[test]
    fn failure_ends_proposals_and_success_makes_them_longer() {
        let mut odds = Odds::new(0.35);
        assert!(odds.length() > 0);
        for _ in 0..8 {
            odds.learn(0, 1);
        }
        assert_eq!(odds.length(), 0);
        let mut odds = Odds::new(0.85);
        let before = odds.length();
        (0..20).for_each(|_| odds.learn(19, 19));
        assert!(odds.length() > before && odds.length() == 19, "{before}, then {}", odds.length());
    }
}
