//! Choice of the held-out text: by content, not by position.
//!
//! The units are whole documents; of one that is much larger than a part of the held-out text, the
//! units are sections, cut at headings and paragraphs. Units are taken in the order of their
//! hashes. A unit is skipped if a fifth of its eight-word sequences also occur elsewhere, since it
//! would measure memorization. So adding a document hardly changes the choice, and no near
//! duplicate straddles the split, not even a story that appears in two books.
//!
//! A section of a book whose other sections are trained on is easier than a new book, since its
//! people and places are known. For a harder measure, provide more or smaller documents.

use crate::cut;
use crate::duplicates::{TextHash, short, text_hash};
use crate::words::{mix, shingles};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Words in a run.
const WORDS: usize = 8;
/// Runs of a unit that may stand elsewhere, too.
pub const ELSEWHERE_MAX: f64 = 0.2;
/// Units of the held-out text that one document should not outweigh.
const UNITS: u64 = 8;
/// Shorter sections have too little context to be predicted by.
const SECTION_BYTES_MIN: u64 = 4096;
/// Minimum bytes of text for training and evaluation.
pub const TEXT_BYTES_MIN: u64 = 1024;
/// Candidates beyond this are looked at by a sample of their runs, so that memory is bounded.
const SAMPLED_BYTES: u64 = 64 << 20;

/// A document or a section of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// The hash of its text, by which units are chosen.
    pub order: u64,
    /// Its document's number.
    pub document: u32,
    /// Bytes of the document's text.
    pub from: usize,
    pub to: usize,
}

impl Unit {
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

/// How much is to be held out of a text, and how large documents are divided for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub target: u64,
    pub section: usize,
}

impl Sizes {
    /// For `total` bytes, of which the part `holdout` (0 to 1) is to be held out.
    pub fn new(total: u64, holdout: f64) -> Sizes {
        let target = ((total as f64 * holdout) as u64).max(1);
        let least = SECTION_BYTES_MIN.min(total / UNITS).max(TEXT_BYTES_MIN / 2);
        Sizes { target, section: usize::try_from((target / UNITS).max(least)).unwrap_or(1 << 30) }
    }

    /// Whether a document of so many bytes is divided into sections.
    pub fn divides(&self, len: usize) -> bool {
        len >= 2 * self.section
    }

    /// The one unit of a document that is not divided.
    pub fn whole(document: u32, len: usize, hash: &TextHash) -> Unit {
        Unit { order: short(hash), document, from: 0, to: len }
    }

    /// The sections of one that is.
    pub fn sections(&self, document: u32, text: &str) -> Vec<Unit> {
        let unit = |(from, to): (usize, usize)| {
            let order = short(&text_hash(&text[from..to]));
            Unit { order, document, from, to }
        };
        cut::pieces(text, self.section).into_iter().map(unit).collect()
    }
}

/// A run of a candidate: whose it is, and whether it stands elsewhere, too.
#[derive(Debug)]
struct Run {
    candidate: u32,
    elsewhere: AtomicBool,
}

/// Units that may be held out, until it is known whether they repeat.
#[derive(Debug)]
pub struct Candidates {
    sizes: Sizes,
    n_units: usize,
    units: Vec<Unit>,
    runs: HashMap<u64, Run>,
    /// Distinct runs of each, and how many of them it shares with a candidate before it.
    counts: Vec<(usize, usize)>,
    stride: u64,
}

impl Candidates {
    /// Those that come first in the order of hashes, with `times` the text that is needed.
    pub fn new(mut units: Vec<Unit>, sizes: Sizes, times: u64) -> Candidates {
        units.sort_unstable();
        let n_units = units.len();
        let mut bytes = 0u64;
        let n = units.iter().take_while(|unit| {
            let goes_on = bytes < times.saturating_mul(sizes.target);
            bytes += unit.len() as u64;
            goes_on
        });
        let n = n.count().max(2);
        units.truncate(n);
        let stride = bytes / SAMPLED_BYTES + 1;
        Candidates { sizes, n_units, units, runs: HashMap::new(), counts: Vec::new(), stride }
    }

    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    fn sampled<'t>(&self, text: &'t str) -> impl Iterator<Item = u64> + use<'t> {
        let stride = self.stride;
        shingles(text, WORDS).filter(move |run| stride == 1 || mix(*run).is_multiple_of(stride))
    }

    /// Takes note of the text of the next of [`units`](Self::units).
    pub fn learn(&mut self, text: &str) {
        let candidate = self.counts.len() as u32;
        let (mut distinct, mut shared) = (0, 0);
        let runs: Vec<u64> = self.sampled(text).collect();
        for hash in runs {
            match self.runs.get_mut(&hash) {
                None => {
                    self.runs.insert(hash, Run { candidate, elsewhere: AtomicBool::new(false) });
                    distinct += 1;
                }
                Some(run) if run.candidate == candidate => {}
                Some(run) => {
                    *run.elsewhere.get_mut() = true;
                    distinct += 1;
                    shared += 1;
                }
            }
        }
        self.counts.push((distinct, shared));
    }

    /// Takes note of the runs of candidates that also stand in the rest of a document: all of it
    /// but its own candidates.
    pub fn look_in(&self, document: u32, text: &str) {
        let own = self.units.iter().filter(|unit| unit.document == document);
        let mut own: Vec<(usize, usize)> = own.map(|unit| (unit.from, unit.to)).collect();
        own.sort_unstable();
        own.push((text.len(), text.len()));
        let mut at = 0;
        for (from, to) in own {
            for run in self.sampled(text.get(at..from).unwrap_or_default()) {
                if let Some(run) = self.runs.get(&run) {
                    run.elsewhere.store(true, Ordering::Relaxed);
                }
            }
            at = to;
        }
    }

    /// What to hold out.
    pub fn choose(self) -> Choice {
        let mut elsewhere = vec![0usize; self.units.len()];
        for run in self.runs.values().filter(|run| run.elsewhere.load(Ordering::Relaxed)) {
            elsewhere[run.candidate as usize] += 1;
        }
        let repeats = |k: usize| {
            let (distinct, shared) = self.counts.get(k).copied().unwrap_or_default();
            (elsewhere[k] + shared) as f64 > ELSEWHERE_MAX * distinct as f64
        };
        let (mut chosen, mut bytes, mut passed) = (Vec::new(), 0u64, 0);
        for (k, unit) in self.units.iter().enumerate() {
            if bytes >= self.sizes.target || chosen.len() + 1 >= self.n_units {
                break;
            }
            let with = bytes + unit.len() as u64;
            if repeats(k) {
                passed += 1;
            } else if chosen.is_empty() || with <= self.sizes.target * 4 / 3 {
                bytes = with;
                chosen.push(*unit);
            }
        }
        let is_enough = bytes >= self.sizes.target / 2;
        if chosen.is_empty() && self.n_units > 1 {
            chosen.extend(self.units.first());
        }
        Choice { units: chosen, passed_over: passed, is_enough }
    }
}

/// The units that are held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub units: Vec<Unit>,
    /// Candidates that were passed over because they repeat.
    pub passed_over: usize,
    /// Whether the candidates were enough; if not, more of them may be.
    pub is_enough: bool,
}

/// A part of a document that is packed as one, and whether it is held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub from: usize,
    pub to: usize,
    pub held_out: bool,
}

/// The parts of a document of `len` bytes, given the units of it that are held out.
pub fn parts(len: usize, held_out: &[Unit]) -> Vec<Part> {
    let mut held: Vec<(usize, usize)> = held_out.iter().map(|unit| (unit.from, unit.to)).collect();
    held.sort_unstable();
    let mut parts = Vec::new();
    let mut at = 0;
    for (from, to) in held {
        parts.push(Part { from: at, to: from, held_out: false });
        parts.push(Part { from, to, held_out: true });
        at = to;
    }
    parts.push(Part { from: at, to: len, held_out: false });
    parts.retain(|part| part.from < part.to);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of words that nothing else has.
    fn texts(n: u64, words: u64) -> Vec<String> {
        let word = |at: u64| format!("w{:x}", mix(at) >> 40);
        let text = |t: u64| (0..words).map(|w| word(t * words + w)).collect::<Vec<_>>().join(" ");
        (0..n).map(text).collect()
    }

    fn choose(texts: &[String], holdout: f64) -> (Vec<Unit>, usize) {
        let few = choose_of(texts, holdout, 2);
        let choice = if few.is_enough { few } else { choose_of(texts, holdout, 16) };
        (choice.units, choice.passed_over)
    }

    fn choose_of(texts: &[String], holdout: f64, times: u64) -> Choice {
        let total = texts.iter().map(|text| text.len() as u64).sum();
        let sizes = Sizes::new(total, holdout);
        let units =
            texts.iter().enumerate().flat_map(|(number, text)| match sizes.divides(text.len()) {
                true => sizes.sections(number as u32, text),
                false => vec![Sizes::whole(number as u32, text.len(), &text_hash(text))],
            });
        let mut candidates = Candidates::new(units.collect(), sizes, times);
        for unit in candidates.units().to_vec() {
            candidates.learn(&texts[unit.document as usize][unit.from..unit.to]);
        }
        for (number, text) in texts.iter().enumerate() {
            candidates.look_in(number as u32, text);
        }
        candidates.choose()
    }

    #[test]
    fn small_documents_are_held_out_whole_in_any_order() {
        let mut all = texts(400, 100);
        let (units, passed) = choose(&all, 0.02);
        let total: usize = all.iter().map(String::len).sum();
        let bytes: usize = units.iter().map(Unit::len).sum();
        assert!((0.015..0.03).contains(&(bytes as f64 / total as f64)), "{bytes} of {total}");
        assert!(units.iter().all(|unit| unit.len() == all[unit.document as usize].len()));
        assert_eq!(passed, 0);
        let said = |all: &[String], units: &[Unit]| {
            units.iter().map(|unit| all[unit.document as usize].clone()).collect::<Vec<_>>()
        };
        let before = said(&all, &units);
        all.reverse();
        assert_eq!(said(&all, &choose(&all, 0.02).0), before);
    }

    #[test]
    fn large_documents_are_held_out_by_sections() {
        let all = texts(3, 40_000);
        let (units, _) = choose(&all, 0.02);
        assert!((3..=6).contains(&units.len()), "{units:?}");
        let parts = parts(all[0].len(), &[units[0]]);
        assert_eq!(parts.iter().map(|part| part.to - part.from).sum::<usize>(), all[0].len());
        assert_eq!(parts.iter().filter(|part| part.held_out).count(), 1);
    }

    #[test]
    fn text_that_also_occurs_elsewhere_is_not_held_out() {
        // Each text twice but for its end, and a few that stand alone.
        let mut all = texts(60, 100);
        let copies: Vec<String> = all[..50].iter().map(|text| format!("{text} again")).collect();
        all.extend(copies);
        let (units, passed) = choose(&all, 0.03);
        assert!(passed > 0);
        assert!(units.iter().all(|unit| (50..60).contains(&unit.document)), "{units:?}");
    }

    #[test]
    fn something_is_held_out_and_something_is_learnt() {
        for all in [texts(2, 200), texts(1, 500), vec!["the same again ".repeat(300); 2]] {
            let total: usize = all.iter().map(String::len).sum();
            let (units, _) = choose(&all, 0.01);
            let held: usize = units.iter().map(Unit::len).sum();
            assert!(held > 0 && held < total, "{held} of {total}");
        }
    }
}
