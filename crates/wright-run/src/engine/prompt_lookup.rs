//! Speculative decoding by prompt lookup: the model checks several guessed tokens in one pass.
//!
//! Where the last tokens occurred before, what followed them then is proposed again (Saxena 2023,
//! "Prompt lookup decoding"; Yang et al. 2023, "Inference with Reference"). The draft is read
//! behind the token that was sampled last, and sampling continues row by row as long as it agrees:
//! a draft never changes what an answer says, only how many passes it takes.
//!
//! How many tokens to draft follows from how often drafts were accepted so far, by how much of the
//! context matched, and from the cost of another row. A second row costs little, since a pass of
//! one row waits for memory: even a single token that occurred before is worth a guess. Text that
//! does not repeat itself is left alone after a few attempts.

use std::collections::HashMap;

/// Tokens of the n-grams that are looked up; where one of this length did not occur before, a
/// shorter one is looked up.
const NGRAM_MAX: usize = 3;
/// Occurrences of such an n-gram that are compared, the latest first.
const OCCURRENCES_MAX: usize = 64;
/// Tokens that are compared at most.
const MATCH_MAX: usize = 32;
/// Lengths of drafts: with the sampled token they fill the tiles of the kernels on AVX2.
const DRAFT_LENGTHS: [usize; 6] = [1, 2, 3, 4, 9, 14];
/// Rows that are computed about as soon as memory brings the weights.
const FEW_ROWS: usize = 5;
/// The assumed cost of each of these, in passes of one row, and of each further one. On Zen 3 they
/// cost 0.16 and 0.25; but a long match tends to continue for longer than rates token by token
/// predict, and answers are faster with longer drafts: see LOG.md.
const DENSE: RowCost = RowCost { few: 0.07, further: 0.165 };
/// The same where rows choose among experts: a guess.
const EXPERTS: RowCost = RowCost { few: 0.5, further: 0.4 };
/// Tokens that the initial rate counts for.
const PRIOR_WEIGHT: f64 = 3.0;
/// Counts are halved after this many tokens, so that the rate follows the text.
const HISTORY_MAX: f64 = 64.0;
/// Rates are capped, so that a lucky run does not make every draft as long as possible.
const RATE_MAX: f64 = 0.98;
/// Matches of up to so many tokens share a rate, and its initial value.
const MATCH_LENGTHS: [(usize, f64); 6] =
    [(1, 0.12), (2, 0.25), (3, 0.5), (5, 0.65), (9, 0.8), (MATCH_MAX, 0.9)];

/// How often drafted tokens were accepted.
#[derive(Debug, Clone, Copy)]
struct AcceptanceRate {
    accepted: f64,
    drafted: f64,
}

impl AcceptanceRate {
    const fn new(initial: f64) -> AcceptanceRate {
        AcceptanceRate { accepted: PRIOR_WEIGHT * initial, drafted: PRIOR_WEIGHT }
    }

    /// The length with the most expected tokens for its cost, or 0.
    fn length(&self, cost: RowCost) -> usize {
        let p = (self.accepted / self.drafted).min(RATE_MAX);
        let gain = |n: usize| {
            let tokens: f64 = 1.0 + (1..=n as i32).map(|i| p.powi(i)).sum::<f64>();
            tokens / cost.of(1 + n)
        };
        let best = DRAFT_LENGTHS.into_iter().max_by(|a, b| gain(*a).total_cmp(&gain(*b)));
        best.filter(|&n| gain(n) > 1.0).unwrap_or(0)
    }

    fn learn(&mut self, n_accepted: usize, n_drafted: usize) {
        self.accepted += n_accepted as f64;
        self.drafted += (n_accepted + usize::from(n_accepted < n_drafted)) as f64;
        if self.drafted > HISTORY_MAX {
            (self.accepted, self.drafted) = (self.accepted / 2.0, self.drafted / 2.0);
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
    /// For a dense model, or one in which each row uses the weights of its own experts.
    pub fn new(has_experts: bool) -> RowCost {
        if has_experts { EXPERTS } else { DENSE }
    }

    /// What a pass of so many rows costs.
    fn of(self, n_rows: usize) -> f64 {
        let few = n_rows.min(FEW_ROWS);
        1.0 + self.few * (few - 1) as f64 + self.further * (n_rows - few) as f64
    }
}

/// 1 to [`NGRAM_MAX`] tokens, padded with `None`.
type Ngram = [Option<u32>; NGRAM_MAX];

/// The tokens of one sequence, and how well drafts did in it.
pub(super) struct PromptLookup {
    ids: Vec<u32>,
    /// For each n-gram, the index of what followed its last occurrence.
    after: HashMap<Ngram, usize>,
    /// For each index, the one after the previous occurrence of the [`NGRAM_MAX`] tokens before it;
    /// 0 if there was none. As long as the part of `ids` that `after` covers.
    earlier: Vec<usize>,
    cost: RowCost,
    /// By how many tokens matched: see [`MATCH_LENGTHS`].
    rates: [AcceptanceRate; MATCH_LENGTHS.len()],
    /// The rate on which the last draft was based, and its length.
    last_draft: (usize, usize),
}

impl PromptLookup {
    pub fn new(ids: &[u32], cost: RowCost) -> PromptLookup {
        PromptLookup {
            ids: ids.to_vec(),
            after: HashMap::new(),
            earlier: Vec::new(),
            cost,
            rates: MATCH_LENGTHS.map(|(_, initial)| AcceptanceRate::new(initial)),
            last_draft: (0, 0),
        }
    }

    /// The sequence goes on with `id`.
    pub fn push(&mut self, id: u32) {
        self.ids.push(id);
    }

    /// A draft of what comes next, at most `max` tokens.
    pub fn propose(&mut self, max: usize) -> Vec<u32> {
        self.last_draft = (0, 0);
        self.index();
        let Some((from, n_matching)) = self.find() else { return Vec::new() };
        let bucket = MATCH_LENGTHS.iter().position(|&(most, _)| n_matching <= most).unwrap_or(0);
        let n = self.rates[bucket].length(self.cost).min(max);
        self.last_draft = (bucket, n);
        // A copy that reaches its own start repeats it.
        let period = self.ids.len() - from;
        (0..n).map(|i| self.ids[from + i % period]).collect()
    }

    /// `n_accepted` tokens of the last draft were sampled.
    pub fn learn(&mut self, n_accepted: usize) {
        let (bucket, n) = self.last_draft;
        self.rates[bucket].learn(n_accepted, n);
    }

    /// Indexes the n-grams of what was pushed: only when a draft is wanted, so that the first token
    /// of an answer does not wait for it.
    fn index(&mut self) {
        for at in self.earlier.len()..self.ids.len() {
            let mut earlier = 0;
            for len in 1..=NGRAM_MAX.min(at) {
                let before = self.after.insert(ngram(&self.ids[at - len..at]), at);
                if len == NGRAM_MAX {
                    earlier = before.unwrap_or(0);
                }
            }
            self.earlier.push(earlier);
        }
    }

    /// The index of what followed the longest match with the end of the sequence, the latest of
    /// equals, and how many tokens matched.
    fn find(&self) -> Option<(usize, usize)> {
        let n = self.ids.len();
        let lengths = (1..=NGRAM_MAX.min(n)).rev();
        let mut ngrams = lengths.filter_map(|len| self.after.get(&ngram(&self.ids[n - len..])));
        let latest = *ngrams.next()?;
        let before = |at: &usize| Some(self.earlier[*at]).filter(|&at| at > 0);
        let candidates = std::iter::successors(Some(latest), before).take(OCCURRENCES_MAX);
        let mut best = (latest, 0);
        for at in candidates {
            let n_matching = self.n_matching(at);
            if n_matching > best.1 {
                best = (at, n_matching);
            }
        }
        Some(best)
    }

    /// Tokens before `at` that equal those at the end.
    fn n_matching(&self, at: usize) -> usize {
        let pairs = self.ids[..at].iter().rev().zip(self.ids.iter().rev());
        pairs.take(MATCH_MAX).take_while(|(a, b)| a == b).count()
    }
}

fn ngram(ids: &[u32]) -> Ngram {
    std::array::from_fn(|i| ids.get(i).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lookup with a high rate.
    fn confident(ids: &[u32]) -> PromptLookup {
        let mut lookup = PromptLookup::new(ids, DENSE);
        lookup.rates = [AcceptanceRate { accepted: 99.0, drafted: 100.0 }; MATCH_LENGTHS.len()];
        lookup
    }

    #[test]
    fn what_followed_before_is_proposed_and_copies_repeat() {
        let mut lookup = confident(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]);
        assert_eq!(lookup.propose(5), [4, 5, 6, 7, 8]);
        assert_eq!(lookup.propose(14), [4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8]);
        lookup.push(4);
        assert_eq!(lookup.propose(2), [5, 6]);
        lookup.push(77);
        assert!(lookup.propose(8).is_empty());
        lookup.push(5);
        assert_eq!(lookup.propose(2), [6, 7], "a single token is enough");
    }

    #[test]
    fn the_longest_match_is_followed() {
        let mut lookup = confident(&[8, 1, 2, 3, 40, 9, 1, 2, 3, 50, 7, 1, 2, 3, 60, 8, 1, 2, 3]);
        assert_eq!(lookup.propose(1), [40], "four match");
        lookup.push(50);
        assert_eq!(lookup.propose(1), [7]);
        let mut lookup = confident(&[1, 2, 3, 40, 1, 2, 3, 50, 1, 2, 3]);
        assert_eq!(lookup.propose(1), [50], "the latest of equals");
        let mut lookup = confident(&[2, 3, 40, 3, 50, 2, 3]);
        assert_eq!(lookup.propose(1), [40], "two match, not one");
    }

    #[test]
    fn drafts_start_with_the_first_tokens() {
        for n in 0..4 {
            let mut lookup = confident(&[5; 4][..n]);
            assert_eq!(lookup.propose(3).len(), if n < 2 { 0 } else { 3 }, "{n}");
        }
    }

    #[test]
    fn rejection_ends_drafts_and_acceptance_makes_them_longer() {
        let mut rate = AcceptanceRate::new(0.12);
        assert!(rate.length(DENSE) > 0);
        for _ in 0..8 {
            rate.learn(0, 1);
        }
        assert_eq!(rate.length(DENSE), 0);
        let mut rate = AcceptanceRate::new(0.9);
        let before = rate.length(DENSE);
        (0..20).for_each(|_| rate.learn(14, 14));
        let after = rate.length(DENSE);
        assert!(after > before && after == 14, "{before}, then {after}");
    }

    #[test]
    fn drafts_are_shorter_where_rows_cost_more() {
        assert_eq!(AcceptanceRate::new(0.25).length(EXPERTS), 0);
        let (dense, experts) =
            (AcceptanceRate::new(0.8).length(DENSE), AcceptanceRate::new(0.8).length(EXPERTS));
        assert!(experts > 0 && experts < dense, "{experts}, {dense}");
    }
}
