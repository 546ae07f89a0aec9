//! Which parts of the readers an input reaches: the counters that `-C instrument-coverage` puts
//! into the code, read while the program runs.
//!
//! They lie in the section `__llvm_prf_cnts` of the program, eight bytes each. Where that is, the
//! program's own file says, and where the file lies in memory, the system; both are read as files,
//! so that nothing unsafe is needed. Linux only.

use std::fs::{self, File};

/// Counters of eight bytes, and what they have shown so far.
pub struct Coverage {
    memory: File,
    at: u64,
    bytes: Vec<u8>,
    /// Values after the last input.
    last: Vec<u64>,
    /// Of each counter the ranges of counts that inputs have led to, one bit a range.
    seen: Vec<u8>,
}

impl Coverage {
    /// The counters of this program; None if it has none, or this system does not tell.
    pub fn of_this_program() -> Option<Coverage> {
        let (address, len) = section(&fs::read("/proc/self/exe").ok()?, "__llvm_prf_cnts")?;
        let at = base()?.checked_add(address)?;
        let memory = File::open("/proc/self/mem").ok()?;
        let n = usize::try_from(len / 8).ok()?;
        let mut coverage =
            Coverage { memory, at, bytes: vec![0; n * 8], last: vec![0; n], seen: vec![0; n] };
        coverage.read().then_some(coverage)
    }

    /// How many counters there are, and how many of them an input has moved.
    pub fn reached(&self) -> (usize, usize) {
        (self.seen.len(), self.seen.iter().filter(|&&ranges| ranges != 0).count())
    }

    /// Takes what has run since the last call for nobody's.
    pub fn forget(&mut self) {
        self.read();
        for (last, now) in self.last.iter_mut().zip(self.bytes.chunks_exact(8)) {
            *last = number(now);
        }
    }

    /// Whether what has run since the last call is new: a counter that moved for the first time, or
    /// that moved by another order of magnitude than before.
    pub fn is_new(&mut self) -> bool {
        self.read();
        let mut is_new = false;
        let counters = self.last.iter_mut().zip(&mut self.seen);
        for ((last, seen), now) in counters.zip(self.bytes.chunks_exact(8)) {
            let now = number(now);
            if now != *last {
                let range = range(now.wrapping_sub(*last));
                is_new |= *seen & range == 0;
                *seen |= range;
                *last = now;
            }
        }
        is_new
    }

    #[cfg(unix)]
    fn read(&mut self) -> bool {
        use std::os::unix::fs::FileExt;
        self.memory.read_exact_at(&mut self.bytes, self.at).is_ok()
    }

    #[cfg(not(unix))]
    fn read(&mut self) -> bool {
        false
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// The bit of a number's range: 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more.
fn range(n: u64) -> u8 {
    1 << match n {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4..=7 => 3,
        8..=15 => 4,
        16..=31 => 5,
        32..=127 => 6,
        _ => 7,
    }
}

/// Address and length of a section of a 64-bit ELF file (little-endian).
fn section(file: &[u8], name: &str) -> Option<(u64, u64)> {
    let field = |at: usize, len: usize| -> Option<u64> {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(file.get(at..at.checked_add(len)?)?);
        Some(u64::from_le_bytes(bytes))
    };
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size) = (field(0x28, 8)? as usize, field(0x3a, 2)? as usize);
    let (n, names) = (field(0x3c, 2)? as usize, field(0x3e, 2)? as usize);
    let names = field(table + names * size + 0x18, 8)? as usize;
    (0..n).map(|i| table + i * size).find_map(|header| {
        let start = names + field(header, 4)? as usize;
        let is_it = file.get(start..)?.split(|&byte| byte == 0).next()? == name.as_bytes();
        is_it.then_some((field(header + 0x10, 8)?, field(header + 0x20, 8)?))
    })
}

/// Where this program's file begins in memory.
fn base() -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(&*program.to_string_lossy()))?;
    let mut words = line.split_whitespace();
    let (range, offset) = (words.next()?, words.nth(1)?);
    let is_begin = u64::from_str_radix(offset, 16) == Ok(0);
    u64::from_str_radix(range.split('-').next()?, 16).ok().filter(|_| is_begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fall_into_eight_ranges() {
        let of: Vec<u8> = [1, 2, 3, 5, 9, 20, 100, 1000].map(range).to_vec();
        assert_eq!(of, [1, 2, 4, 8, 16, 32, 64, 128]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn sections_of_this_program_are_found() {
        let file = fs::read("/proc/self/exe").unwrap();
        let (address, len) = section(&file, ".text").unwrap();
        assert!(address > 0 && len > 1000);
        assert_eq!(section(&file, "no such section"), None);
        assert_eq!(section(&file[..50], ".text"), None);
        assert_eq!(section(b"MZ", ".text"), None);
        assert!(base().is_some());
    }
}
