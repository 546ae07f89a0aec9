//! Honest long texts, of many kinds, are not loops.

#[path = "../examples/loop_stop/texts.rs"]
mod texts;

use std::collections::HashMap;
use wright_run::LoopDetector;

/// Ids as a tokenizer gives them that knows every word, with single digits: words with the space
/// before them, and every other character on its own.
fn ids<'t>(text: &'t str, known: &mut HashMap<&'t str, u32>) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.strip_prefix(' ').unwrap_or(rest);
        let n_letters = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
        let len =
            if n_letters > 0 { rest.len() - word.len() + n_letters } else { first.len_utf8() };
        let (token, after) = rest.split_at(len);
        let next = known.len() as u32;
        ids.push(*known.entry(token).or_insert(next));
        rest = after;
    }
    ids
}

#[test]
fn honest_texts_are_never_cut() {
    let texts = texts::all();
    assert!(texts.len() >= 80);
    let mut known = HashMap::new();
    for (kind, text) in &texts {
        let ids = ids(text, &mut known);
        assert!(ids.len() >= 500, "{kind}: {} tokens are not long", ids.len());
        let mut detector = LoopDetector::default();
        let cut = ids.iter().position(|&id| detector.push(id));
        assert_eq!(cut, None, "{kind}, {} tokens", ids.len());
    }
}

#[test]
fn the_same_texts_are_cut_once_they_repeat_without_end() {
    let mut known = HashMap::new();
    for (kind, text) in &texts::all() {
        let mut ids = ids(text, &mut known);
        let block = ids[ids.len() - 40..].to_vec();
        let n_honest = ids.len();
        (0..20).for_each(|_| ids.extend_from_slice(&block));
        let mut detector = LoopDetector::default();
        let cut = ids.iter().position(|&id| detector.push(id)).expect(kind);
        // The block stands for the third time two blocks after the honest text.
        assert!(cut > n_honest && cut <= n_honest + 2 * 40 + 300, "{kind}: {cut}");
    }
}
