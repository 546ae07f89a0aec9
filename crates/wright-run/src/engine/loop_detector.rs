//! Detects answers that repeat themselves without end, from their token ids alone.
//!
//! A text loops with period p where its tokens equal those p places before. The detector keeps a
//! score for every period up to [`PERIOD_MAX`]: a token that repeats the one p places before adds
//! one, any other takes [`MISMATCH`] away, so that a loop in which a word or a number changes now
//! and then is still found. A score of 2p means that the same p tokens stand there for the third
//! time. The answer is a loop once some score is [`MARGIN`] above that.
//!
//! The margin is what separates a loop from honest repetition: a refrain, a row of dashes, a table
//! or a log repeats itself, too, but not verbatim for so long. Text with a constant structure stays
//! below the limit if at least one token in 17 changes, as in a numbered list of short lines.
//!
//! The result depends on the ids of the answer and nothing else, so it is the same with speculative
//! decoding or without, alone or in a batch. The work per token is bounded by [`PERIOD_MAX`].

/// The longest period that is found, in tokens.
const PERIOD_MAX: usize = 2048;
/// Repeated tokens, after the third occurrence of a period, that make a loop.
const MARGIN: u32 = 256;
/// What a token that breaks the repetition takes from the score of a period.
const MISMATCH: u32 = 16;

/// Watches the tokens of one answer for loops.
///
/// A text loops with period p where its tokens equal those p places before. It counts as a loop
/// 256 tokens after the same p tokens stand there for the third time, for any p up to 2048; a token
/// that differs now and then delays that, and one in 17 prevents it.
///
/// ```
/// let mut detector = wright_run::LoopDetector::default();
/// let honest = 0..1000;
/// assert!(!honest.into_iter().any(|id| detector.push(id)));
/// let stuck = [7, 8, 9].iter().cycle().take(400);
/// assert!(stuck.into_iter().any(|&id| detector.push(id)));
/// ```
#[derive(Debug, Default)]
pub struct LoopDetector {
    ids: Vec<u32>,
    /// For each period from 1 on: how well the latest tokens repeat those so many places before.
    scores: Vec<u32>,
}

impl LoopDetector {
    /// Takes the next token of the answer. Returns whether the answer is a loop by now.
    pub fn push(&mut self, id: u32) -> bool {
        if self.scores.len() < self.ids.len().min(PERIOD_MAX) {
            self.scores.push(0);
        }
        let mut is_loop = false;
        for (period, (score, &before)) in
            (1..).zip(self.scores.iter_mut().zip(self.ids.iter().rev()))
        {
            *score = if before == id { *score + 1 } else { score.saturating_sub(MISMATCH) };
            is_loop |= *score >= 2 * period + MARGIN;
        }
        self.ids.push(id);
        is_loop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many tokens a text is called a loop.
    fn found(ids: impl IntoIterator<Item = u32>) -> Option<usize> {
        let mut detector = LoopDetector::default();
        ids.into_iter().position(|id| detector.push(id)).map(|at| at + 1)
    }

    #[test]
    fn a_loop_ends_within_300_tokens_of_its_third_occurrence() {
        for period in [1, 2, 3, 7, 50, 333, 1000, 2048] {
            for lead in [0, 5, 400] {
                let text = (0..lead).map(|i| 10_000 + i).chain((0..period).cycle());
                let n = found(text.take(9000)).unwrap();
                let third = lead as usize + 3 * period as usize;
                assert!(n >= third && n <= third + 300, "period {period} after {lead}: {n}");
            }
        }
    }

    #[test]
    fn a_loop_with_a_change_now_and_then_is_found() {
        // A paragraph of 60 tokens in which one differs each time.
        let text = (0..6000).map(|i| if i % 60 == 13 { 1000 + i } else { i % 60 });
        assert!(found(text).unwrap() < 60 * 12);
    }

    #[test]
    fn repetition_below_the_limit_is_no_loop() {
        assert_eq!(found(0..20_000), None);
        // 200 equal tokens, as in a long rule; a block of 90 tokens five times over.
        assert_eq!(found(std::iter::repeat_n(5, 200).chain(10..500)), None);
        assert_eq!(found((0..90).cycle().take(450).chain(100..500)), None);
        // A refrain of 40 tokens after each new verse of 60.
        let song = (0..10_000).map(|i| if i % 100 < 40 { i % 100 } else { 1000 + i });
        assert_eq!(found(song), None);
        // A numbered list: 12 tokens a line, one of them counts.
        let list = (0..12_000).map(|i| if i % 12 == 0 { 1000 + i / 12 } else { i % 12 });
        assert_eq!(found(list), None);
    }
}
