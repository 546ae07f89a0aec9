//! Paragraphs that many documents have: licence headers, notices, navigation, footers.
//!
//! A paragraph is the text between lines without a letter. Only its letters and digits are
//! compared, so layout, comment markers and case do not matter. One of at least [`LETTERS_MIN`]
//! letters that [`DOCUMENTS_MIN`] documents share is kept in the first of them and removed from the
//! others; shorter ones (headings, dialogue, refrains) are removed only between two removed
//! paragraphs, and only if they are repeated as often.
//!
//! Why these limits: cut into 2,902 pieces, 38 children's classics repeat no paragraph of more than
//! 95 letters in three pieces, and refrains and "Yes." up to that; the documentation of Python
//! packages repeats what nobody wrote twice (licences, notes of generated files, whole options)
//! mostly above it, while short repeats are headings and imports, which belong where they are.
//!
//! Counting takes bounded memory: of more than a few million different paragraphs, those that were
//! seen least are forgotten, so that some repeats may stay.

use std::collections::HashMap;
use std::ops::Range;

/// Minimum letters and digits of a paragraph to be removed on its own.
pub const LETTERS_MIN: usize = 150;
/// Minimum number of documents that contain it.
pub const DOCUMENTS_MIN: u64 = 3;
/// Marks of comments that stand alone on a line between two paragraphs of one comment.
const MARKS: &[&[u8]] = &[b"#", b"//", b"///", b"//!", b"*", b"--", b";", b";;", b"%", b"..", b"!"];

/// A paragraph of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paragraph {
    from: usize,
    /// Where the next thing begins: blank lines and bare marks of comments behind it are its own.
    to: usize,
    /// Of letters and digits; the lowest bit says whether it is long enough to go by itself.
    hash: u64,
}

impl Paragraph {
    fn is_long(&self) -> bool {
        is_long(self.hash)
    }
}

fn is_long(hash: u64) -> bool {
    hash & 1 == 1
}

/// Letters and digits of a line, which `hash` goes over.
fn letters(line: &[u8], hash: &mut u64) -> usize {
    let mut n = 0;
    for &byte in line {
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            *hash = (*hash ^ u64::from(byte | 0x20)).wrapping_mul(0x0000_0100_0000_01b3);
            // Of a character beyond ASCII only the first byte counts.
            n += usize::from(byte & 0xc0 != 0x80);
        }
    }
    n
}

/// The paragraphs of a text, in order.
pub fn paragraphs(text: &str) -> Vec<Paragraph> {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    let mut all: Vec<Paragraph> = Vec::new();
    let (mut at, mut hash, mut n) = (0, START, 0);
    // Whether lines before this one go on in it, and whether those behind the last are its own.
    let (mut is_open, mut is_own) = (false, false);
    let close = |all: &mut Vec<Paragraph>, hash: u64, n: usize| {
        if let Some(last) = all.last_mut() {
            last.hash = crate::words::mix(hash) & !1 | u64::from(n >= LETTERS_MIN);
        }
    };
    for line in text.split_inclusive('\n') {
        let found = letters(line.as_bytes(), &mut hash);
        let end = at + line.len();
        if found > 0 {
            if !is_open {
                all.push(Paragraph { from: at, to: end, hash: 0 });
            }
            (is_open, is_own) = (true, true);
            n += found;
        } else {
            if is_open {
                close(&mut all, hash, n);
            }
            (is_open, hash, n) = (false, START, 0);
            let bare = line.as_bytes().trim_ascii();
            is_own = is_own && (bare.is_empty() || MARKS.contains(&bare));
        }
        if is_own && let Some(last) = all.last_mut() {
            last.to = end;
        }
        at = end;
    }
    if is_open {
        close(&mut all, hash, n);
    }
    all
}

/// The hashes that a document adds to [`Counts`]: each of its paragraphs once.
pub fn hashes(text: &str) -> Vec<u64> {
    let mut all: Vec<u64> = paragraphs(text).iter().map(|paragraph| paragraph.hash).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Paragraphs with the same place in the table of counts.
const WAYS: usize = 8;
const BUCKETS_MAX: usize = 1 << 19;
/// Bytes of text for each of which there is a place.
const TEXT_BYTES_A_WAY: u64 = 64;
/// Bits of an entry that count; the others tell the paragraph.
const COUNT_BITS: u64 = 0xff;

/// How many documents have a paragraph, for as many paragraphs as memory may be taken for.
#[derive(Debug)]
pub struct Counts {
    /// Entries from the oldest; 0 is free.
    buckets: Vec<[u64; WAYS]>,
}

impl Counts {
    /// For so many bytes of text. Takes at most 32 MiB.
    pub fn new(text_bytes: u64) -> Counts {
        let wanted = text_bytes / (TEXT_BYTES_A_WAY * WAYS as u64);
        let wanted = usize::try_from(wanted).unwrap_or(BUCKETS_MAX).clamp(16, BUCKETS_MAX);
        Counts { buckets: vec![[0; WAYS]; wanted.next_power_of_two()] }
    }

    /// Records the [`hashes`] of a document.
    pub fn add(&mut self, hashes: &[u64]) {
        let mask = self.buckets.len() as u64 - 1;
        for &hash in hashes {
            let entry = entry(hash);
            let bucket = &mut self.buckets[(hash >> 32 & mask) as usize];
            match bucket.iter_mut().find(|known| **known & !COUNT_BITS == entry) {
                Some(known) if *known & COUNT_BITS < COUNT_BITS => *known += 1,
                Some(_) => {}
                None => {
                    // The oldest of those that were seen least makes room.
                    let least = (0..WAYS).min_by_key(|&way| bucket[way] & COUNT_BITS).unwrap_or(0);
                    bucket[least..].rotate_left(1);
                    bucket[WAYS - 1] = entry | 1;
                }
            }
        }
    }

    /// The paragraphs that so many documents have.
    pub fn repeated(self) -> Repeated {
        let entries = self.buckets.into_iter().flatten();
        let often = entries.filter(|entry| entry & COUNT_BITS >= DOCUMENTS_MIN);
        Repeated { all: often.map(|entry| (entry & !COUNT_BITS, Repeat::default())).collect() }
    }
}

/// A hash without the bits that count; the one that tells long paragraphs is moved above them.
fn entry(hash: u64) -> u64 {
    hash & !(COUNT_BITS << 1 | 1) | (hash & 1) << 8
}

/// A paragraph that goes from all documents but the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeat {
    /// The document that keeps it, and where it stands there.
    pub kept: Option<(u32, usize, usize)>,
    /// Times that it went, and bytes of those, with what stood between two such.
    pub times: u64,
    pub bytes: u64,
}

/// The paragraphs that go, and what became of each so far.
#[derive(Debug)]
pub struct Repeated {
    all: HashMap<u64, Repeat>,
}

impl Repeated {
    /// Whether there are none that go by themselves.
    pub fn is_empty(&self) -> bool {
        !self.all.keys().any(|&entry| entry >> 8 & 1 == 1)
    }

    /// What goes of the next document: byte ranges in order. To be called for one document after
    /// the other, in the order of the input.
    pub fn cuts(&mut self, document: u32, paragraphs: &[Paragraph]) -> Vec<Range<usize>> {
        let mut cuts: Vec<Range<usize>> = Vec::new();
        // The end of the last one that goes, while all since are repeated, too.
        let mut open: Option<usize> = None;
        for paragraph in paragraphs {
            let Some(repeat) = self.all.get_mut(&entry(paragraph.hash)) else {
                open = None;
                continue;
            };
            if !paragraph.is_long() {
                continue;
            }
            let (owner, ..) = *repeat.kept.get_or_insert((document, paragraph.from, paragraph.to));
            if owner == document {
                open = None;
                continue;
            }
            let from = open.unwrap_or(paragraph.from);
            repeat.times += 1;
            repeat.bytes += (paragraph.to - from) as u64;
            match cuts.last_mut().filter(|cut| cut.end == from) {
                Some(cut) => cut.end = paragraph.to,
                None => cuts.push(from..paragraph.to),
            }
            open = Some(paragraph.to);
        }
        cuts
    }

    /// Those that went, by the bytes that were saved, the most first.
    pub fn gone(&self) -> Vec<Repeat> {
        let mut all: Vec<(u64, Repeat)> =
            self.all.iter().filter(|(_, r)| r.times > 0).map(|(k, r)| (*k, *r)).collect();
        all.sort_by_key(|(key, repeat)| (std::cmp::Reverse(repeat.bytes), *key));
        all.into_iter().map(|(_, repeat)| repeat).collect()
    }
}

/// `text` without `cuts`, without blanks at its ends.
pub fn without(text: &str, cuts: &[Range<usize>]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut at = 0;
    for cut in cuts {
        rest.push_str(&text[at..cut.start]);
        at = cut.end;
    }
    rest.push_str(&text[at..]);
    let blank = rest.len() - rest.trim_start_matches('\n').len();
    rest.drain(..blank);
    rest.truncate(rest.trim_end().len());
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of each of `texts`.
    fn left(texts: &[String]) -> Vec<String> {
        let mut counts = Counts::new(texts.iter().map(|text| text.len() as u64).sum());
        texts.iter().for_each(|text| counts.add(&hashes(text)));
        let mut repeated = counts.repeated();
        let cut = |(number, text): (usize, &String)| {
            without(text, &repeated.cuts(number as u32, &paragraphs(text)))
        };
        texts.iter().enumerate().map(cut).collect()
    }

    fn notice(mark: &str) -> String {
        let line = "Permission is given to read, keep and hand on this work wherever you are,\n";
        let lines = line.repeat(2) + "provided that this very notice stands in every copy of it.\n";
        lines.lines().map(|line| format!("{mark}{line}\n")).collect()
    }

    #[test]
    fn a_notice_stays_in_the_first_document_and_goes_from_the_others() {
        let text = |n: usize| format!("{}\nStory {n} is told here.\n\n{}", notice(""), notice("x"));
        let texts: Vec<String> = (0..4).map(text).collect();
        let left = left(&texts);
        assert_eq!(left[0], texts[0].trim_end());
        assert_eq!(left[3], "Story 3 is told here.");
        let two = texts[..2].to_vec();
        assert_eq!(self::left(&two)[1], two[1].trim_end(), "two documents are not many");
    }

    #[test]
    fn layout_comment_marks_and_case_do_not_matter_and_comments_stay_closed() {
        let other = notice("").to_uppercase().replace("THIS WORK", "THIS\n// WORK");
        let texts = [
            format!("# Mine, 2020\n#\n{}#\n# See there.\n\ncode one", notice("# ")),
            format!("// Mine, 2021\n//\n{other}//\n// See there.\n\ncode two"),
            format!("/*\n{} */\ncode three", notice(" * ")),
        ];
        let left = left(&texts);
        assert_eq!(left[0], texts[0]);
        assert_eq!(left[1], "// Mine, 2021\n//\n// See there.\n\ncode two");
        assert_eq!(left[2], "/*\n */\ncode three");
    }

    #[test]
    fn what_is_short_stays_unless_it_stands_between_what_goes() {
        let (one, two) = (notice("One. "), notice("Two. "));
        let refrain = "\"Who are you, and why do you seek me?\"\n";
        let text = |n| {
            format!("Usage\n\n{refrain}\n{one}\nThere:\n\n{two}\nUsage\n\nTale {n}.\n\n{refrain}")
        };
        let left = left(&(0..5).map(text).collect::<Vec<_>>());
        let wanted = format!("Usage\n\n{refrain}\nUsage\n\nTale 4.\n\n{}", refrain.trim_end());
        assert_eq!(left[4], wanted);
    }

    #[test]
    fn a_refrain_within_one_document_is_its_own() {
        let text = |n: usize| format!("{}\nTale {n}.\n\n", notice("")).repeat(5);
        let texts: Vec<String> = vec![text(1)];
        assert_eq!(left(&texts)[0], texts[0].trim_end());
    }

    #[test]
    fn what_many_have_is_found_among_more_than_memory_holds() {
        let mut counts = Counts::new(0);
        let hash = |n: u64| crate::words::mix(n) | 1;
        for document in 0..2000u64 {
            let mut all = vec![hash(1)];
            all.extend((0..20).map(|n| hash(document * 20 + n + 10)));
            counts.add(&all);
        }
        let repeated = counts.repeated();
        assert_eq!(repeated.all.len(), 1, "{:?}", repeated.all.keys());
    }

    #[test]
    fn paragraphs_lie_in_order_within_any_text() {
        for text in ["", "\n\n", "é", "a\n\n\nb", "#\n#\n", "a\n---\n\n\nb\n", "\u{2028}x\r\n\r\ny"]
        {
            let all = paragraphs(text);
            let mut at = 0;
            for paragraph in &all {
                assert!(at <= paragraph.from && paragraph.from < paragraph.to, "{text:?}: {all:?}");
                at = paragraph.to;
            }
            assert!(at <= text.len());
            assert_eq!(without(text, &[]), text.trim_start_matches('\n').trim_end());
        }
    }
}
