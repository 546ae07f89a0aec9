//! Bytes to text: UTF-8, UTF-16 with a byte order mark, and Windows-1252 for what is neither.
//!
//! Other encodings are not detected: text in Shift-JIS or KOI8-R becomes mojibake, which the filter
//! of that name drops with an example.

use crate::document::Encoding;
use std::io::{self, Read};

/// Windows-1252 from 0x80 to 0x9f; the five that it leaves open are control characters, as in
/// the Encoding Standard.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Text of Windows-1252; every byte is some character.
pub fn windows_1252(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| windows_1252_char(byte)).collect()
}

/// The character of a byte in Windows-1252.
pub fn windows_1252_char(byte: u8) -> char {
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte) - 0x80],
        _ => char::from(byte),
    }
}

/// The byte order of UTF-16, if `head` begins with its mark.
pub(crate) fn utf16_mark(head: &[u8]) -> Option<ByteOrder> {
    match head {
        [0xff, 0xfe, ..] => Some(ByteOrder::Little),
        [0xfe, 0xff, ..] => Some(ByteOrder::Big),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    Little,
    Big,
}

/// Whether the beginning of a file is of bytes that no text has: a NUL, or one control character
/// in ten; in what is not UTF-8, one in a hundred.
pub(crate) fn is_binary(head: &[u8]) -> bool {
    if utf16_mark(head).is_some() {
        return false;
    }
    let odd = |b: &u8| (*b < 32 && !matches!(b, b'\t'..=b'\r' | 0x1b)) || *b == 127;
    // A character may be cut at the end of what is looked at.
    let is_utf8 = std::str::from_utf8(head).map_or_else(|e| e.error_len().is_none(), |_| true);
    let one_in = if is_utf8 { 10 } else { 100 };
    head.contains(&0) || head.iter().filter(|b| odd(b)).count() * one_in > head.len()
}

/// UTF-16 as UTF-8; what is not a character becomes U+FFFD.
pub(crate) struct Utf16<R> {
    from: R,
    order: ByteOrder,
    /// An odd byte at the end of what was read last.
    odd: Option<u8>,
    /// The first half of a character.
    high: Option<u16>,
    text: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl<R: Read> Utf16<R> {
    pub fn new(from: R, order: ByteOrder) -> Self {
        let text = Vec::new();
        Utf16 { from, order, odd: None, high: None, text, taken: 0, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let at = usize::from(self.odd.is_some());
        if let Some(odd) = self.odd.take() {
            bytes[0] = odd;
        }
        let n = self.from.read(&mut bytes[at..])?;
        self.ended = n == 0;
        let n = n + at;
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        for pair in bytes[..n & !1].chunks_exact(2) {
            let pair = [pair[0], pair[1]];
            units.push(match self.order {
                ByteOrder::Little => u16::from_le_bytes(pair),
                ByteOrder::Big => u16::from_be_bytes(pair),
            });
        }
        if n % 2 == 1 {
            self.odd = (!self.ended).then_some(bytes[n - 1]);
        }
        if !self.ended && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            self.high = units.pop();
        }
        let chars = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        let text: String = chars.filter(|&c| c != '\u{feff}').collect();
        self.text = text.into_bytes();
        self.taken = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.text.len() && !self.ended {
            self.fill()?;
        }
        let n = to.len().min(self.text.len() - self.taken);
        to[..n].copy_from_slice(&self.text[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}

/// Decodes lines one by one, and remembers which encodings they had.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    utf16: bool,
    utf8: bool,
    other: bool,
}

impl Lines {
    pub fn new(utf16: bool) -> Self {
        Lines { utf16, ..Lines::default() }
    }

    /// Appends a line to `text`, with `\n` for whatever ended it.
    pub fn push(&mut self, line: &[u8], text: &mut String) {
        let start = text.len();
        match std::str::from_utf8(line) {
            Ok(line) => {
                self.utf8 |= !line.is_ascii();
                text.push_str(line);
            }
            Err(_) => {
                self.other = true;
                text.extend(line.iter().map(|&byte| windows_1252_char(byte)));
            }
        }
        if text.ends_with("\r\n") {
            text.truncate(text.len() - 2);
            text.push('\n');
        }
        if text.as_bytes()[start..].contains(&b'\r') {
            let old = text.split_off(start).replace('\r', "\n");
            text.push_str(&old);
        }
    }

    /// What the lines since the last call were in.
    pub fn take(&mut self) -> Encoding {
        let encoding = match (self.utf16, self.utf8, self.other) {
            (true, ..) => Encoding::Utf16,
            (_, _, false) => Encoding::Utf8,
            (_, false, true) => Encoding::Windows1252,
            (_, true, true) => Encoding::Mixed,
        };
        (self.utf8, self.other) = (false, false);
        encoding
    }
}

/// A whole text.
pub(crate) fn decode(bytes: &[u8]) -> (String, Encoding) {
    if let Some(order) = utf16_mark(bytes) {
        let mut text = String::new();
        // Reading from memory does not fail, and what comes out is UTF-8.
        let _ = Utf16::new(bytes, order).read_to_string(&mut text);
        return (text, Encoding::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Encoding::Utf8),
        Err(_) => (windows_1252(bytes), Encoding::Windows1252),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_gives_its_characters() {
        assert_eq!(decode("né€".as_bytes()), ("né€".into(), Encoding::Utf8));
        assert_eq!(decode(b"\xef\xbb\xbfa").0, "a");
        assert_eq!(decode(b"n\xe9 \x80 \x93x\x94"), ("né € “x”".into(), Encoding::Windows1252));
        let text = "né 🦀 end".repeat(1000);
        for big in [false, true] {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            let bytes: Vec<u8> =
                units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
            assert_eq!(decode(&bytes), (text.clone(), Encoding::Utf16));
            assert!(!is_binary(&bytes));
        }
        assert_eq!(decode(b"\xff\xfea\0\x00\xd8").0, "a\u{fffd}");
    }

    #[test]
    fn lines_end_alike_and_each_is_decoded_by_itself() {
        let (mut lines, mut text) = (Lines::new(false), String::new());
        for line in [&b"a\xe9\r\n"[..], "é\n".as_bytes(), b"old\rmac"] {
            lines.push(line, &mut text);
        }
        assert_eq!(text, "aé\né\nold\nmac");
        assert_eq!(lines.take(), Encoding::Mixed);
        assert_eq!(lines.take(), Encoding::Utf8);
    }

    #[test]
    fn binary_is_told_from_text() {
        assert!(is_binary(b"\x7fELF\x02\x01\0"));
        assert!(!is_binary("plain\n\x1b[1mbold é".as_bytes()));
        assert!(is_binary(b"\xe9\x01\xb3\x1d of bytes \xff that are not text"));
        assert!(!is_binary(b"caf\xe9 \x93au lait\x94"));
        assert!(!is_binary(b""));
    }
}
