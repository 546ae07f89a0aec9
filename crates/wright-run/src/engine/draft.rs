//! Tokens guessed from what a sequence already says: the model checks several in one pass.
//!
//! Where the last tokens occurred before, what followed them then is proposed again ("prompt
//! lookup": Saxena 2023; Yang et al., "Inference with Reference", 2023). A proposal is read behind
//! the token that was sampled last, and sampling goes on row by row as long as it agrees: what an
//! answer says never depends on a proposal, only how many passes it takes.
//!
//! How many tokens to propose follows from how often proposals were right so far, told apart by
//! how much of the past agreed, and from what a row more costs. A second row costs little, since a
//! pass of one waits for memory: even a single token that occurred before is worth a guess.
//! Text that does not repeat itself is left alone after a few attempts.

use std::collections::HashMap;

/// Tokens of the runs that are looked up, at most; where a run of so many did not occur before, a
/// shorter one is looked for.
const GRAM: usize = 3;
/// Occurrences of such a run that are compared, the latest first.
const OCCURRENCES_MAX: usize = 64;
/// Tokens that are compared at most.
const MATCH_MAX: usize = 32;
/// Lengths worth a pass: with the sampled token they fill the tiles of the kernels on AVX2.
const LENGTHS: [usize; 6] = [1, 2, 3, 4, 9, 14];
/// Rows that are computed about as soon as memory brings the weights.
const FEW_ROWS: usize = 5;
/// What each of these is taken to cost, in passes of one row, and what each further one is. On
/// Zen 3 they cost 0.16 and 0.25; but what agrees for long mostly goes on to agree, more than odds
/// token by token tell, and answers come faster where more is tried: see LOG.md.
const DENSE: RowCost = RowCost { few: 0.07, further: 0.165 };
/// The same where rows choose among experts: a guess.
const MIXTURE: RowCost = RowCost { few: 0.5, further: 0.4 };
/// Proposals that a guess of the odds counts for.
const GUESS_WEIGHT: f64 = 3.0;
/// Old experience counts half after this many tokens.
const MEMORY: f64 = 64.0;
/// Nothing is as sure as it looks: longer proposals are not promised more than this.
const ODDS_MAX: f64 = 0.98;
/// Matches of up to so many tokens share their odds, and how often these are right at first.
const KINDS: [(usize, f64); 6] =
    [(1, 0.12), (2, 0.25), (3, 0.5), (5, 0.65), (9, 0.8), (MATCH_MAX, 0.9)];

/// How often proposals were right, with a guess to begin with.
#[derive(Debug, Clone, Copy)]
struct Odds {
    right: f64,
    tried: f64,
}

impl Odds {
    const fn new(guess: f64) -> Odds {
        Odds { right: GUESS_WEIGHT * guess, tried: GUESS_WEIGHT }
    }

    /// The length that promises most tokens for the cost, or 0.
    fn length(&self, cost: RowCost) -> usize {
        let p = (self.right / self.tried).min(ODDS_MAX);
        let worth = |n: usize| {
            let tokens: f64 = 1.0 + (1..=n as i32).map(|i| p.powi(i)).sum::<f64>();
            tokens / cost.of(1 + n)
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

/// What rows beside the first cost, in passes of one: those up to [`FEW_ROWS`], and further ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowCost {
    few: f64,
    further: f64,
}

impl RowCost {
    /// Where every row meets the same weights, or, in a mixture, those of its own experts.
    pub fn new(is_mixture: bool) -> RowCost {
        if is_mixture { MIXTURE } else { DENSE }
    }

    /// What a pass of so many rows costs.
    fn of(self, n_rows: usize) -> f64 {
        let few = n_rows.min(FEW_ROWS);
        1.0 + self.few * (few - 1) as f64 + self.further * (n_rows - few) as f64
    }
}

/// A run of 1 to [`GRAM`] tokens; what it is short of is no token.
type Run = [Option<u32>; GRAM];

/// The past of one sequence, and what was learnt about it.
pub(super) struct Drafter {
    ids: Vec<u32>,
    /// For each run, the index of what followed its last occurrence.
    after: HashMap<Run, usize>,
    /// For each index, the one that followed the occurrence before of the [`GRAM`] tokens before
    /// it; 0 if there was none. As long as the part of `ids` that `after` knows.
    earlier: Vec<usize>,
    cost: RowCost,
    /// By how many tokens agreed: see [`KINDS`].
    odds: [Odds; KINDS.len()],
    /// Which odds the last proposal stood on, and its length.
    proposed: (usize, usize),
}

impl Drafter {
    pub fn new(ids: &[u32], cost: RowCost) -> Drafter {
        Drafter {
            ids: ids.to_vec(),
            after: HashMap::new(),
            earlier: Vec::new(),
            cost,
            odds: KINDS.map(|(_, guess)| Odds::new(guess)),
            proposed: (0, 0),
        }
    }

    /// The sequence goes on with `id`.
    pub fn push(&mut self, id: u32) {
        self.ids.push(id);
    }

    /// What may come next, at most `max` tokens.
    pub fn propose(&mut self, max: usize) -> Vec<u32> {
        self.proposed = (0, 0);
        self.index();
        let Some((from, n_alike)) = self.find() else { return Vec::new() };
        let kind = KINDS.iter().position(|&(most, _)| n_alike <= most).unwrap_or(0);
        let n = self.odds[kind].length(self.cost).min(max);
        self.proposed = (kind, n);
        // A copy that reaches its own beginning goes round.
        let period = self.ids.len() - from;
        (0..n).map(|i| self.ids[from + i % period]).collect()
    }

    /// `n_right` tokens of the last proposal came true.
    pub fn learn(&mut self, n_right: usize) {
        let (kind, n) = self.proposed;
        self.odds[kind].learn(n_right, n);
    }

    /// Notes the runs of what was pushed. Not done before something is to be proposed: the first
    /// token of an answer does not wait for it.
    fn index(&mut self) {
        for at in self.earlier.len()..self.ids.len() {
            let mut earlier = 0;
            for len in 1..=GRAM.min(at) {
                let before = self.after.insert(run(&self.ids[at - len..at]), at);
                if len == GRAM {
                    earlier = before.unwrap_or(0);
                }
            }
            self.earlier.push(earlier);
        }
    }

    /// The index of what followed the past that is most like the present, the latest of equals,
    /// and how many tokens before it agree.
    fn find(&self) -> Option<(usize, usize)> {
        let n = self.ids.len();
        let lengths = (1..=GRAM.min(n)).rev();
        let mut runs = lengths.filter_map(|len| self.after.get(&run(&self.ids[n - len..])));
        let latest = *runs.next()?;
        let before = |at: &usize| Some(self.earlier[*at]).filter(|&at| at > 0);
        let candidates = std::iter::successors(Some(latest), before).take(OCCURRENCES_MAX);
        let mut best = (latest, 0);
        for at in candidates {
            let n_alike = self.n_alike(at);
            if n_alike > best.1 {
                best = (at, n_alike);
            }
        }
        Some(best)
    }

    /// Tokens before `at` that are those at the end.
    fn n_alike(&self, at: usize) -> usize {
        let pairs = self.ids[..at].iter().rev().zip(self.ids.iter().rev());
        pairs.take(MATCH_MAX).take_while(|(a, b)| a == b).count()
    }
}

fn run(ids: &[u32]) -> Run {
    std::array::from_fn(|i| ids.get(i).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A drafter that is sure of itself.
    fn sure(ids: &[u32]) -> Drafter {
        let mut drafter = Drafter::new(ids, DENSE);
        drafter.odds = [Odds { right: 99.0, tried: 100.0 }; KINDS.len()];
        drafter
    }

    #[test]
    fn what_followed_before_is_proposed_and_copies_go_round() {
        let mut drafter = sure(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]);
        assert_eq!(drafter.propose(5), [4, 5, 6, 7, 8]);
        assert_eq!(drafter.propose(14), [4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8]);
        drafter.push(4);
        assert_eq!(drafter.propose(2), [5, 6]);
        drafter.push(77);
        assert!(drafter.propose(8).is_empty());
        drafter.push(5);
        assert_eq!(drafter.propose(2), [6, 7], "a single token is enough");
    }

    #[test]
    fn the_past_that_is_most_like_the_present_is_followed() {
        let mut drafter = sure(&[8, 1, 2, 3, 40, 9, 1, 2, 3, 50, 7, 1, 2, 3, 60, 8, 1, 2, 3]);
        assert_eq!(drafter.propose(1), [40], "four agree");
        drafter.push(50);
        assert_eq!(drafter.propose(1), [7]);
        let mut drafter = sure(&[1, 2, 3, 40, 1, 2, 3, 50, 1, 2, 3]);
        assert_eq!(drafter.propose(1), [50], "the latest of equals");
        let mut drafter = sure(&[2, 3, 40, 3, 50, 2, 3]);
        assert_eq!(drafter.propose(1), [40], "two agree, not one");
    }

    #[test]
    fn proposals_begin_with_the_first_tokens() {
        for n in 0..4 {
            let mut drafter = sure(&[5; 4][..n]);
            assert_eq!(drafter.propose(3).len(), if n < 2 { 0 } else { 3 }, "{n}");
        }
    }

    #[test]
    fn failure_ends_proposals_and_success_makes_them_longer() {
        let mut odds = Odds::new(0.12);
        assert!(odds.length(DENSE) > 0);
        for _ in 0..8 {
            odds.learn(0, 1);
        }
        assert_eq!(odds.length(DENSE), 0);
        let mut odds = Odds::new(0.9);
        let before = odds.length(DENSE);
        (0..20).for_each(|_| odds.learn(14, 14));
        let after = odds.length(DENSE);
        assert!(after > before && after == 14, "{before}, then {after}");
    }

    #[test]
    fn where_rows_are_dear_less_is_proposed() {
        assert_eq!(Odds::new(0.25).length(MIXTURE), 0);
        let (dense, mixture) = (Odds::new(0.8).length(DENSE), Odds::new(0.8).length(MIXTURE));
        assert!(mixture > 0 && mixture < dense, "{mixture}, {dense}");
    }
}
