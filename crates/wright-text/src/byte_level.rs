//! The alphabet of byte-level vocabularies.
//!
//! GPT-2 wrote its vocabulary as printable text: a byte that is a visible character of Latin-1
//! stands for itself, and the other 68, in order, are the characters from U+0100 on. A space is
//! `Ġ`, a newline `Ċ`. Files still carry tokens and merges in that alphabet.

/// First character after the alphabet: 256 + 68 stand-ins.
const END: usize = 0x144;

/// Byte of each character below [`END`], or -1.
const BYTES: [i16; END] = byte_table();

const fn is_visible(byte: usize) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

const fn byte_table() -> [i16; END] {
    let mut table = [-1; END];
    let mut stand_in = 0x100;
    let mut byte = 0;
    while byte < 256 {
        if is_visible(byte) {
            table[byte] = byte as i16;
        } else {
            table[stand_in] = byte as i16;
            stand_in += 1;
        }
        byte += 1;
    }
    table
}

/// Appends the bytes that `text` stands for. False, with nothing appended, if a character is not of
/// the alphabet or `text` is not UTF-8.
pub(crate) fn decode(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut i = 0;
    while i < text.len() {
        let (code, n) = match text[i] {
            ascii @ 0..=0x7f => (ascii as usize, 1),
            lead @ 0xc2..=0xc5 => match text.get(i + 1) {
                Some(&tail @ 0x80..=0xbf) => ((lead as usize & 31) << 6 | tail as usize & 63, 2),
                _ => (END, 1),
            },
            _ => (END, 1),
        };
        match BYTES.get(code) {
            Some(&byte @ 0..) => out.push(byte as u8),
            _ => {
                out.truncate(start);
                return false;
            }
        }
        i += n;
    }
    true
}

/// All bytes in the order of their letters: the order in which vocabularies begin.
pub(crate) const ALPHABET: [u8; 256] = alphabet();

const fn alphabet() -> [u8; 256] {
    let mut all = [0; 256];
    let (mut n, mut letter) = (0, 0);
    while letter < END {
        if BYTES[letter] >= 0 {
            all[n] = BYTES[letter] as u8;
            n += 1;
        }
        letter += 1;
    }
    all
}

/// The letters of the 256 bytes.
const LETTERS: [char; 256] = letters();

const fn letters() -> [char; 256] {
    let mut all = ['\0'; 256];
    let mut letter = 0;
    while letter < END {
        if BYTES[letter] >= 0 {
            // Below U+0144 every number is a character.
            if let Some(c) = char::from_u32(letter as u32) {
                all[BYTES[letter] as usize] = c;
            }
        }
        letter += 1;
    }
    all
}

/// `bytes` in the alphabet.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| LETTERS[usize::from(byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabet_is_a_bijection_with_known_landmarks() {
        assert_eq!(encode(b"! \n\xad"), "!ĠĊŃ");
        assert_eq!((ALPHABET[0], ALPHABET[255]), (b'!', 0xad));
        for byte in 0..=255 {
            let mut out = vec![7];
            assert!(decode(encode(&[byte]).as_bytes(), &mut out));
            assert_eq!(out, [7, byte]);
        }
    }

    #[test]
    fn foreign_characters_are_refused() {
        for text in ["a b", "▁", "漢", "\u{144}", "\u{ad}"] {
            let mut out = vec![7];
            assert!(!decode(text.as_bytes(), &mut out), "{text}");
            assert_eq!(out, [7]);
        }
        assert!(!decode(b"\xc4", &mut Vec::new()));
    }
}
