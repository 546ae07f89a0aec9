//! Refuses files whose tensors overlap: they would let a small file stand for a model of any size.

use crate::Error;
use std::ops::Range;

/// Checks ranges of bytes, given with their tensors' names, in any order.
///
/// # Errors
/// If two of them overlap; both are named.
pub(crate) fn check<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a Range<usize>)>,
) -> Result<(), Error> {
    let mut ranges: Vec<(usize, usize, &str)> = tensors
        .map(|(name, at)| (at.start, at.end, name))
        .filter(|(from, to, _)| from < to)
        .collect();
    ranges.sort_unstable();
    let overlap = ranges.windows(2).find(|pair| pair[1].0 < pair[0].1);
    match overlap {
        Some([(.., first), (.., second)]) => {
            let short = |name: &str| name.chars().take(200).collect::<String>();
            let why = format!("it overlaps tensor {}", short(first));
            Err(Error::malformed(format!("tensor {}", short(second)), why))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_tensors_pass_and_overlapping_ones_are_named() {
        let check =
            |all: &[(&str, Range<usize>)]| super::check(all.iter().map(|(name, at)| (*name, at)));
        check(&[("b", 4..8), ("a", 0..4), ("none", 2..2), ("c", 9..10)]).unwrap();
        for other in [0..4, 3..5, 1..2, 0..9] {
            let error = check(&[("a", 0..4), ("b", other)]).unwrap_err().to_string();
            assert!(error.contains("tensor a") && error.contains("tensor b"), "{error}");
        }
    }
}
