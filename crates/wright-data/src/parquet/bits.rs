//! Packed integers: varints, runs (levels and indices), and differences (lengths).
//!
//! Readers hold places in a page, not the page: each call is given the bytes. Source: "Encodings"
//! of the Parquet format specification.

use super::damaged;
use std::io;

fn short() -> io::Error {
    damaged("a page whose values are truncated")
}

/// An unsigned LEB128, and its length in bytes.
pub(super) fn varint(bytes: &[u8]) -> io::Result<(u64, usize)> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32).unwrap_or(0);
        if byte < 0x80 {
            return Ok((value, at + 1));
        }
    }
    match bytes.len() < 10 {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Err(damaged("an integer longer than ten bytes")),
    }
}

/// 0, -1, 1, -2 … from 0, 1, 2, 3 …
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// `width` bits (at most 64) from bit `at` on, the lowest first.
fn packed(bytes: &[u8], at: usize, width: usize) -> io::Result<u64> {
    if width == 0 {
        return Ok(0);
    }
    let (from, to) = (at / 8, (at + width).div_ceil(8));
    let mut word = [0; 16];
    let taken = bytes.get(from..to).ok_or_else(short)?;
    word[..taken.len()].copy_from_slice(taken);
    let mask = (1u128 << width) - 1;
    Ok((u128::from_le_bytes(word) >> (at % 8) & mask) as u64)
}

/// Runs of one value and runs of packed ones, in turn.
#[derive(Debug)]
pub(super) struct Runs {
    at: usize,
    end: usize,
    width: usize,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Same { value: u64, left: u64 },
    Packed { bit: usize, left: u64 },
}

impl Runs {
    /// Those in `at..end` of a page.
    pub fn new(at: usize, end: usize, width: u32) -> io::Result<Self> {
        match width <= 32 && at <= end {
            true => {
                let run = Run::Same { value: 0, left: 0 };
                Ok(Runs { at, end, width: width as usize, run })
            }
            false => Err(damaged("integers wider than 32 bits")),
        }
    }

    pub fn next(&mut self, page: &[u8]) -> io::Result<u64> {
        loop {
            match &mut self.run {
                Run::Same { left: 0, .. } | Run::Packed { left: 0, .. } => self.begin(page)?,
                Run::Same { value, left } => {
                    *left -= 1;
                    return Ok(*value);
                }
                Run::Packed { bit, left } => {
                    let value = packed(page, *bit, self.width)?;
                    *bit += self.width;
                    *left -= 1;
                    return Ok(value);
                }
            }
        }
    }

    fn begin(&mut self, page: &[u8]) -> io::Result<()> {
        if self.width == 0 && self.at == self.end {
            // Nothing tells them apart, and some writers spare the run.
            self.run = Run::Same { value: 0, left: u64::MAX };
            return Ok(());
        }
        let bytes = page.get(self.at..self.end).filter(|b| !b.is_empty()).ok_or_else(short)?;
        let (head, read) = varint(bytes)?;
        self.at += read;
        let n = head >> 1;
        if head & 1 == 0 {
            let value = packed(&page[..self.end], self.at * 8, self.width.next_multiple_of(8))?;
            self.at += self.width.div_ceil(8);
            self.run = Run::Same { value, left: n };
        } else {
            let long = usize::try_from(n).ok().and_then(|n| n.checked_mul(self.width));
            // Eight values take as many bytes as one takes bits.
            let to = long.and_then(|long| long.checked_add(self.at)).filter(|&to| to <= self.end);
            let left = n.checked_mul(8).ok_or_else(short)?;
            self.run = Run::Packed { bit: self.at * 8, left };
            self.at = to.ok_or_else(short)?;
        }
        Ok(())
    }
}

/// Integers as differences from one to the next, in blocks of packed ones (DELTA_BINARY_PACKED).
#[derive(Debug, Clone)]
pub(super) struct Differences {
    /// Where the next miniblock, or block, begins.
    at: usize,
    left: u64,
    value: i64,
    is_first: bool,
    least: i64,
    /// Where the widths of this block's miniblocks stand.
    widths: usize,
    miniblock: usize,
    miniblocks: usize,
    /// Values of a miniblock.
    values: usize,
    bit: usize,
    bit_end: usize,
    width: usize,
}

impl Differences {
    pub fn new(page: &[u8], at: usize) -> io::Result<Self> {
        let mut at = at;
        let mut head = [0; 4];
        for value in &mut head {
            let (read, bytes) = varint(page.get(at..).ok_or_else(short)?)?;
            (*value, at) = (read, at + bytes);
        }
        let [block, miniblocks, left, first] = head;
        let is_sane = (1..=1 << 20).contains(&block)
            && (1..=block).contains(&miniblocks)
            && block.is_multiple_of(miniblocks)
            && (block / miniblocks).is_multiple_of(8);
        if !is_sane {
            return Err(damaged("delta blocks of an invalid size"));
        }
        let (miniblocks, values) = (miniblocks as usize, (block / miniblocks) as usize);
        Ok(Differences {
            at,
            left,
            value: zigzag(first),
            is_first: true,
            least: 0,
            widths: at,
            miniblock: miniblocks,
            miniblocks,
            values,
            bit: 0,
            bit_end: 0,
            width: 0,
        })
    }

    /// How many are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn next(&mut self, page: &[u8]) -> io::Result<i64> {
        self.left = self.left.checked_sub(1).ok_or_else(short)?;
        if std::mem::take(&mut self.is_first) {
            return Ok(self.value);
        }
        if self.bit >= self.bit_end {
            self.begin(page)?;
        }
        // Widths of 0 take no bits: `bit` counts values then.
        let difference = packed(page, self.bit, self.width)? as i64;
        self.bit += self.width.max(1);
        self.value = self.value.wrapping_add(self.least).wrapping_add(difference);
        Ok(self.value)
    }

    /// The next miniblock.
    fn begin(&mut self, page: &[u8]) -> io::Result<()> {
        self.miniblock += 1;
        if self.miniblock >= self.miniblocks {
            let (least, read) = varint(page.get(self.at..).ok_or_else(short)?)?;
            self.least = zigzag(least);
            self.widths = self.at + read;
            self.at = self.widths + self.miniblocks;
            self.miniblock = 0;
        }
        self.width = usize::from(*page.get(self.widths + self.miniblock).ok_or_else(short)?);
        if self.width > 64 {
            return Err(damaged("deltas wider than 64 bits"));
        }
        self.bit = self.at * 8;
        self.bit_end = self.bit + self.values * self.width.max(1);
        self.at += self.values / 8 * self.width;
        match self.at <= page.len() {
            true => Ok(()),
            false => Err(short()),
        }
    }

    /// Where the bytes after the last value begin.
    pub fn end(&self, page: &[u8]) -> io::Result<usize> {
        let mut all = self.clone();
        while all.left > 0 {
            all.next(page)?;
        }
        Ok(all.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_both_kinds() {
        // Four times 5 as a run of 3-bit values, then 0..8 packed (the specification's example).
        let page = [8, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let mut runs = Runs::new(0, page.len(), 3).unwrap();
        let read: Vec<u64> = (0..12).map(|_| runs.next(&page).unwrap()).collect();
        assert_eq!(read, [5, 5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(runs.next(&page).is_err());
    }

    #[test]
    fn differences_of_the_specification() {
        // 7, 5, 3, 1, 2, 3, 4, 5: one block of 128 in four miniblocks, least -2, widths 2, 0, 0, 0.
        let page = [128, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0x3f, 0, 0, 0, 0, 0, 0, b'x'];
        let mut all = Differences::new(&page, 0).unwrap();
        assert_eq!(all.end(&page).unwrap(), page.len() - 1);
        let read: Vec<i64> = (0..8).map(|_| all.next(&page).unwrap()).collect();
        assert_eq!(read, [7, 5, 3, 1, 2, 3, 4, 5]);
        assert!(all.next(&page).is_err());
    }

    #[test]
    fn integers_that_do_not_end_are_refused() {
        assert_eq!(varint(&[0xac, 2]).unwrap(), (300, 2));
        assert!(varint(&[0xff; 9]).is_err() && varint(&[0xff; 12]).is_err());
        assert_eq!([0, 1, 2, 3].map(zigzag), [0, -1, 1, -2]);
        assert!(Runs::new(0, 1, 3).unwrap().next(&[0xfe]).is_err());
        assert!(Differences::new(&[128, 1, 3, 8, 14], 0).is_err());
    }
}
