//! Duplicate documents: exact ones by SHA-256, near ones by MinHash.
//!
//! Near duplicates are found by one-permutation MinHash (Li, Owen and Zhang 2012) with optimal
//! densification (Shrivastava 2017) over runs of five words, in bands (Broder 1997; Indyk and
//! Motwani 1998): documents that share a band are candidates, and the overlap of their shingles is
//! then computed from the texts themselves. The first of several is kept.
//!
//! An index takes about 200 bytes of memory per document, whatever its length.

use crate::words::{mix, shingles};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Words in a run.
const WORDS: usize = 5;
const BINS: usize = 64;
const BANDS: usize = 12;
/// Bins in a band; a pair of similarity 0.8 shares one of 12 bands with a probability of 0.99.
const ROWS: usize = 5;
/// Fraction of shingles that two documents share, from which on they are near duplicates.
pub const NEAR: f64 = 0.8;

/// SHA-256 of a text.
pub type TextHash = [u8; 32];

/// The SHA-256 of a text's UTF-8.
pub fn text_hash(text: &str) -> TextHash {
    Sha256::digest(text.as_bytes()).into()
}

/// In hexadecimal digits.
pub fn hex(hash: &TextHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bands of a document: similar documents are likely to share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands([u32; BANDS]);

/// The bands of a text; none if it has no words.
pub fn bands(text: &str) -> Option<Bands> {
    let mut bins = [u64::MAX; BINS];
    for shingle in shingles(text, WORDS) {
        let bin = &mut bins[(shingle >> 58) as usize];
        *bin = (*bin).min(shingle & (u64::MAX >> 6));
    }
    if bins.iter().all(|&bin| bin == u64::MAX) {
        return None;
    }
    let filled = bins;
    for (at, bin) in bins.iter_mut().enumerate().filter(|(_, bin)| **bin == u64::MAX) {
        // An empty bin borrows from one that it meets on a walk of its own.
        let mut steps = (1u64..).map(|step| mix((at as u64) << 32 | step) as usize % BINS);
        let from = steps.find(|&from| filled[from] != u64::MAX).unwrap_or(0);
        *bin = filled[from];
    }
    let band = |band: usize| {
        let rows = &bins[band * ROWS..(band + 1) * ROWS];
        rows.iter().fold(band as u64, |sum, &row| mix(sum ^ row)) as u32
    };
    Some(Bands(std::array::from_fn(band)))
}

/// How much of the runs of two texts is in both: 0 to 1.
pub fn similarity(a: &str, b: &str) -> f64 {
    let [a, b] = [a, b].map(|text| {
        let mut all: Vec<u64> = shingles(text, WORDS).collect();
        all.sort_unstable();
        all.dedup();
        all
    });
    let (mut i, mut j, mut both) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        both += usize::from(a[i] == b[j]);
        let (x, y) = (a[i], b[j]);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    let either = a.len() + b.len() - both;
    if either == 0 { 0.0 } else { both as f64 / either as f64 }
}

/// What a document repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Duplicate {
    /// The number of the document that has the same text.
    Exact(u32),
    /// The number of one that is much like it, and how much.
    Near(u32, f64),
}

/// An index of the documents kept so far, by content.
///
/// ```
/// use wright_data::duplicates::{Duplicate, Index, bands, text_hash};
///
/// let texts = ["A fox saw ripe grapes.", "a fox saw ripe grapes!", "A crow sang in a tree."];
/// let mut index = Index::default();
/// index.insert(0, &text_hash(texts[0]), bands(texts[0]).as_ref());
/// let find = |text: &str| {
///     let earlier = |number: u32| Ok::<_, ()>(texts[number as usize].to_owned());
///     index.find(text, &text_hash(text), bands(text).as_ref(), earlier).unwrap()
/// };
/// assert_eq!(find(texts[0]), Some(Duplicate::Exact(0)));
/// assert_eq!(find(texts[1]), Some(Duplicate::Near(0, 1.0)));
/// assert_eq!(find(texts[2]), None);
/// ```
#[derive(Debug, Default)]
pub struct Index {
    hashes: HashMap<u64, u32>,
    bands: HashMap<u32, u32>,
}

impl Index {
    /// Looks for an earlier document that `text` repeats. `earlier` gives the text of a document
    /// by its number, for the last word on near duplicates.
    ///
    /// # Errors
    /// As `earlier` says.
    pub fn find<E>(
        &self,
        text: &str,
        hash: &TextHash,
        bands: Option<&Bands>,
        mut earlier: impl FnMut(u32) -> Result<String, E>,
    ) -> Result<Option<Duplicate>, E> {
        if let Some(&number) = self.hashes.get(&short(hash)) {
            return Ok(Some(Duplicate::Exact(number)));
        }
        let mut candidates: Vec<u32> = Vec::new();
        for key in bands.iter().flat_map(|bands| bands.0) {
            candidates.extend(self.bands.get(&key));
        }
        candidates.sort_unstable();
        candidates.dedup();
        for number in candidates {
            let other = earlier(number)?;
            // Sets of such different sizes cannot overlap enough.
            let (short, long) = (text.len().min(other.len()), text.len().max(other.len()));
            if short * 2 < long {
                continue;
            }
            let similarity = similarity(text, &other);
            if similarity >= NEAR {
                return Ok(Some(Duplicate::Near(number, similarity)));
            }
        }
        Ok(None)
    }

    /// Adds a document that is kept.
    pub fn insert(&mut self, number: u32, hash: &TextHash, bands: Option<&Bands>) {
        self.hashes.entry(short(hash)).or_insert(number);
        for key in bands.iter().flat_map(|bands| bands.0) {
            self.bands.entry(key).or_insert(number);
        }
    }
}

/// The first eight bytes of a SHA-256: two texts of a trillion share them by chance once in 4e-5.
pub(crate) fn short(hash: &TextHash) -> u64 {
    hash.iter().take(8).fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u64, words: usize) -> Vec<String> {
        (0..words as u64).map(|i| format!("w{}", mix(seed * 1000 + i) % 500)).collect()
    }

    #[test]
    fn copies_and_near_copies_are_found_and_others_are_not() {
        let mut index = Index::default();
        let texts: Vec<String> = (0..50).map(|seed| text(seed, 300).join(" ")).collect();
        for (number, text) in texts.iter().enumerate() {
            let (hash, bands) = (text_hash(text), bands(text));
            let found =
                index.find(text, &hash, bands.as_ref(), |n| Ok::<_, ()>(texts[n as usize].clone()));
            assert_eq!(found, Ok(None), "{number}");
            index.insert(number as u32, &hash, bands.as_ref());
        }
        let find = |text: &str| {
            let earlier = |n: u32| Ok::<_, ()>(texts[n as usize].clone());
            index.find(text, &text_hash(text), bands(text).as_ref(), earlier).unwrap()
        };
        assert_eq!(find(&texts[7]), Some(Duplicate::Exact(7)));
        let mut found = 0;
        for seed in 0..50 {
            let mut words = text(seed, 300);
            words[150] = "changed".into();
            words[20] = "too".into();
            match find(&words.join(" ")) {
                Some(Duplicate::Near(number, similarity)) => {
                    assert_eq!(u64::from(number), seed);
                    assert!((0.8..1.0).contains(&similarity));
                    found += 1;
                }
                other => assert_eq!(other, None),
            }
        }
        assert_eq!(found, 50, "of pairs of similarity 0.93");
        assert_eq!(find(&text(99, 300).join(" ")), None);
    }

    #[test]
    fn bands_estimate_what_is_shared() {
        let (a, b) = (text(1, 400), text(2, 400));
        let (a, b) = (a.join(" "), b.join(" "));
        assert!(similarity(&a, &b) < 0.01);
        assert!((similarity(&a, &a) - 1.0).abs() < 1e-12);
        assert_eq!(bands("… !"), None);
        assert_ne!(bands("one two"), bands("two one"));
        // A hash that others compute, too.
        assert_eq!(&hex(&text_hash("abc"))[..16], "ba7816bf8f01cfea");
    }
}
