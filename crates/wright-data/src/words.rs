//! Words of any language as hashes, from which duplicates are detected.
//!
//! A word is a run of letters and digits without regard to case; where a script writes no spaces
//! (Chinese, Japanese, Thai …), each character is one. Punctuation, layout and markup do not count.

const K: u64 = 0x9e37_79b9_7f4a_7c15;

/// Scrambles a number (SplitMix64's finish).
pub(crate) fn mix(x: u64) -> u64 {
    let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether a script writes its words without spaces.
fn stands_alone(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x2e80..=0x9fff
        | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// Each letter and digit of ASCII in lower case; 0 for all else.
const FOLDED: [u8; 128] = {
    let (mut table, mut byte) = ([0; 128], 0u8);
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// A word's hash with one more character.
fn with(hash: u64, c: u64) -> u64 {
    (hash.rotate_left(5) ^ c).wrapping_mul(K) | 1
}

/// The hash of each word of `text`, in order.
pub(crate) fn words(text: &str) -> impl Iterator<Item = u64> + '_ {
    let mut at = 0;
    let mut ahead: Option<u64> = None;
    std::iter::from_fn(move || {
        if let Some(word) = ahead.take() {
            return Some(word);
        }
        let mut hash = 0u64;
        while let Some(&byte) = text.as_bytes().get(at) {
            if byte < 128 {
                at += 1;
                match FOLDED[usize::from(byte)] {
                    0 if hash == 0 => {}
                    0 => return Some(mix(hash)),
                    folded => hash = with(hash, folded.into()),
                }
                continue;
            }
            let c = text[at..].chars().next()?;
            at += c.len_utf8();
            let in_word = c.is_alphanumeric();
            if in_word && !stands_alone(c) {
                hash = with(hash, c.to_lowercase().next().unwrap_or(c).into());
                continue;
            }
            let alone = in_word.then(|| mix(u64::from(c)));
            match (hash, alone) {
                (0, None) => {}
                (0, Some(word)) => return Some(word),
                (word, alone) => {
                    ahead = alone;
                    return Some(mix(word));
                }
            }
        }
        (hash != 0).then(|| mix(hash))
    })
}

/// The hash of each run of `n` words; of all words together, if there are fewer.
pub(crate) fn shingles(text: &str, n: usize) -> impl Iterator<Item = u64> + '_ {
    let last = (1..n).fold(1u64, |power, _| power.wrapping_mul(K));
    let mut ring = vec![0u64; n.max(1)];
    let (mut count, mut sum, mut slot) = (0usize, 0u64, 0);
    let mut all = words(text);
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended {
            let Some(word) = all.next() else {
                ended = true;
                return (0 < count && count < n).then(|| mix(sum));
            };
            sum = sum.wrapping_sub(ring[slot].wrapping_mul(last)).wrapping_mul(K);
            sum = sum.wrapping_add(word);
            ring[slot] = word;
            slot = if slot + 1 == ring.len() { 0 } else { slot + 1 };
            count += 1;
            if count >= n {
                return Some(mix(sum));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_punctuation_do_not_count_and_letters_do() {
        let all = |text: &str| words(text).collect::<Vec<_>>();
        assert_eq!(all("The fox, the FOX!"), all("the\nfox -- the Fox"));
        assert_ne!(all("the fox"), all("the box"));
        assert_eq!(all("狐狸和葡萄").len(), 5);
        assert_eq!(all("abc狐1"), [all("abc"), all("狐"), all("1")].concat());
        assert!(all("… — !").is_empty());
    }

    #[test]
    fn a_shingle_depends_on_its_own_words_alone() {
        let of = |text: &str| shingles(text, 3).collect::<Vec<_>>();
        let all = of("a b c d e f");
        assert_eq!(all.len(), 4);
        assert_eq!(all[2..3], of("c d e")[..]);
        assert_eq!(of("a b").len(), 1);
        assert_ne!(of("a b"), of("b a"));
        assert!(of("").is_empty());
    }
}
