//! Stop strings: found across pieces, never shown, not even in part.
//!
//! Each string runs its own Knuth–Morris–Pratt automaton over the bytes, so the work per byte does
//! not grow with the length of a string, and what must be held back is the longest of their states.

/// One stop string with its failure function.
#[derive(Debug)]
struct Pattern {
    bytes: Vec<u8>,
    /// `fallback[n]`: the longest proper border of the first n bytes. (len + 1)
    fallback: Vec<usize>,
    /// How many bytes at the end of the text are a beginning of the pattern.
    matched: usize,
}

impl Pattern {
    fn new(pattern: &str) -> Self {
        let bytes = pattern.as_bytes().to_vec();
        let mut fallback = vec![0; bytes.len() + 1];
        let mut border = 0;
        for i in 1..bytes.len() {
            while border > 0 && bytes[i] != bytes[border] {
                border = fallback[border];
            }
            border += usize::from(bytes[i] == bytes[border]);
            fallback[i + 1] = border;
        }
        Pattern { bytes, fallback, matched: 0 }
    }

    /// Whether the pattern ends with this byte.
    fn step(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.bytes[self.matched] != byte {
            self.matched = self.fallback[self.matched];
        }
        self.matched += usize::from(self.bytes[self.matched] == byte);
        self.matched == self.bytes.len()
    }
}

/// Lets text through up to the first stop string.
#[derive(Debug)]
pub(crate) struct StopStrings {
    patterns: Vec<Pattern>,
    held: String,
}

impl StopStrings {
    /// Empty strings would match everywhere and are left out; options refuse them before.
    pub fn new(stop: &[String]) -> Self {
        let patterns = stop.iter().filter(|s| !s.is_empty()).map(|s| Pattern::new(s)).collect();
        StopStrings { patterns, held: String::new() }
    }

    /// What may be shown after `text`, and whether a stop string has appeared: the one that ends
    /// first, and of several that end together the longest. After that, everything is swallowed.
    pub fn push(&mut self, text: &str) -> (String, bool) {
        let before = self.held.len();
        self.held.push_str(text);
        for (i, &byte) in text.as_bytes().iter().enumerate() {
            let mut longest = 0;
            for pattern in &mut self.patterns {
                if pattern.step(byte) {
                    longest = longest.max(pattern.bytes.len());
                }
            }
            if longest > 0 {
                self.patterns.clear();
                let mut said = std::mem::take(&mut self.held);
                said.truncate(before + i + 1 - longest);
                return (said, true);
            }
        }
        let hold = self.patterns.iter().map(|p| p.matched).max().unwrap_or(0);
        // A pattern begins with a character's first byte, so this is between characters.
        let rest = self.held.split_off(self.held.len() - hold);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back: no stop string can come of it any more.
    pub fn flush(&mut self) -> String {
        for pattern in &mut self.patterns {
            pattern.matched = 0;
        }
        std::mem::take(&mut self.held)
    }
}
