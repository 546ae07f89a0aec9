//! The values of a column, one after the other, page by page.

use super::bits::{Differences, Runs};
use super::footer::{Chunk, Leaf};
use super::page::{Head, Kind, Pages};
use super::{damaged, unsupported};
use std::io;
use std::ops::Range;

/// Values of a page at most. A run of nulls takes no bytes, so that a lie about them costs time.
const VALUES_MAX: u64 = 1 << 24;

/// A column within a group of rows.
pub(super) struct Column {
    chunk: Chunk,
    level: u32,
    dictionary: Dictionary,
    page: Page,
    /// Values of the page that are still to come.
    left: u64,
}

/// Values that pages name by their number.
#[derive(Default)]
struct Dictionary {
    bytes: Vec<u8>,
    values: Vec<Range<u32>>,
}

/// A page at work.
struct Page {
    bytes: Vec<u8>,
    /// None where every value is there.
    levels: Option<Runs>,
    values: Values,
}

/// How values are written.
enum Values {
    /// Each behind its length; where the next one begins.
    Plain(usize),
    /// Numbers in the dictionary.
    Numbers(Runs),
    /// All lengths, then all bytes; where the next ones begin.
    Lengths(Differences, usize),
    /// How much each has in common with the last, the lengths of the rest, then all rests.
    Rests { common: Differences, lengths: Differences, at: usize, last: Vec<u8> },
}

impl Column {
    pub fn new(leaf: &Leaf, chunk: Chunk) -> Column {
        let page = Page { bytes: Vec::new(), levels: None, values: Values::Plain(0) };
        Column { chunk, level: leaf.level, dictionary: Dictionary::default(), page, left: 0 }
    }

    /// The value of the next row, if it has one.
    pub fn next(&mut self, pages: &mut Pages<'_>) -> io::Result<Option<&[u8]>> {
        while self.left == 0 {
            self.turn(pages)?;
        }
        self.left -= 1;
        if let Some(levels) = &mut self.page.levels
            && levels.next(&self.page.bytes)? != u64::from(self.level)
        {
            return Ok(None);
        }
        self.page.value(&self.dictionary).map(Some)
    }

    /// The next page.
    fn turn(&mut self, pages: &mut Pages<'_>) -> io::Result<()> {
        if self.chunk.from >= self.chunk.to {
            return Err(damaged("a column with fewer values than rows"));
        }
        let (head, bytes, next) = pages.next(self.chunk.from, self.chunk.to, self.chunk.codec)?;
        self.chunk.from = next;
        match head.kind {
            Kind::Dictionary => self.dictionary = Dictionary::read(bytes, &head)?,
            Kind::Data | Kind::Data2 { .. } => {
                if head.values > VALUES_MAX {
                    return Err(damaged("a page with too many values"));
                }
                pages.budget.spend(head.values)?;
                self.page = Page::read(bytes, &head, self.level)?;
                self.left = head.values;
            }
            Kind::Other => {}
        }
        Ok(())
    }
}

impl Dictionary {
    fn read(bytes: Vec<u8>, head: &Head) -> io::Result<Dictionary> {
        // 2 is what the first version calls plain values in a dictionary.
        if !matches!(head.encoding, 0 | 2) {
            return Err(unsupported("Parquet with a dictionary that is not plain-encoded"));
        }
        let (mut at, mut values) = (0, Vec::new());
        for _ in 0..head.values {
            let value = plain(&bytes, &mut at)?;
            // A page has at most some hundred megabytes.
            values.push(value.start as u32..value.end as u32);
        }
        Ok(Dictionary { bytes, values })
    }

    fn value(&self, number: u64) -> io::Result<&[u8]> {
        let range = usize::try_from(number).ok().and_then(|number| self.values.get(number));
        let range = range.ok_or_else(|| damaged("a value that is not in the dictionary"))?;
        Ok(&self.bytes[range.start as usize..range.end as usize])
    }
}

/// Where a plain value stands, whose length stands at `at`.
fn plain(bytes: &[u8], at: &mut usize) -> io::Result<Range<usize>> {
    let length = bytes.get(*at..).and_then(|rest| rest.first_chunk::<4>());
    let length = u32::from_le_bytes(*length.ok_or_else(short)?) as usize;
    let from = *at + 4;
    *at = from + length;
    match *at <= bytes.len() {
        true => Ok(from..*at),
        false => Err(short()),
    }
}

fn short() -> io::Error {
    damaged("a page whose values are truncated")
}

impl Page {
    fn read(bytes: Vec<u8>, head: &Head, level: u32) -> io::Result<Page> {
        let width = u32::BITS - level.leading_zeros();
        let (levels, at) = match head.kind {
            Kind::Data2 { levels } => {
                let end = usize::try_from(levels).map_err(|_| short())?;
                (0..end.min(bytes.len()), end)
            }
            _ if level == 0 => (0..0, 0),
            _ if head.level_encoding != 3 => {
                return Err(unsupported("Parquet with version 1 levels"));
            }
            _ => {
                let mut at = 0;
                let levels = plain(&bytes, &mut at)?;
                (levels, at)
            }
        };
        let runs = (level > 0).then(|| Runs::new(levels.start, levels.end, width)).transpose()?;
        let values = Values::read(&bytes, at, head)?;
        Ok(Page { bytes, levels: runs, values })
    }

    fn value<'p>(&'p mut self, dictionary: &'p Dictionary) -> io::Result<&'p [u8]> {
        let bytes = self.bytes.as_slice();
        match &mut self.values {
            Values::Plain(at) => Ok(&bytes[plain(bytes, at)?]),
            Values::Numbers(runs) => dictionary.value(runs.next(bytes)?),
            Values::Lengths(lengths, at) => next_bytes(bytes, lengths, at),
            Values::Rests { common, lengths, at, last } => {
                let common = usize::try_from(common.next(bytes)?).map_err(|_| short())?;
                if common > last.len() {
                    return Err(damaged("a value whose prefix is longer than the previous value"));
                }
                last.truncate(common);
                last.extend_from_slice(next_bytes(bytes, lengths, at)?);
                Ok(last)
            }
        }
    }
}

/// As many bytes as the next length says.
fn next_bytes<'p>(
    page: &'p [u8],
    lengths: &mut Differences,
    at: &mut usize,
) -> io::Result<&'p [u8]> {
    let length = usize::try_from(lengths.next(page)?).map_err(|_| short())?;
    let to = at.checked_add(length).ok_or_else(short)?;
    let value = page.get(*at..to).ok_or_else(short)?;
    *at = to;
    Ok(value)
}

impl Values {
    fn read(page: &[u8], at: usize, head: &Head) -> io::Result<Values> {
        let differences = |at| {
            let all = Differences::new(page, at)?;
            match all.left() <= head.values {
                true => Ok(all),
                false => Err(damaged("more values than the page declares")),
            }
        };
        match head.encoding {
            0 => Ok(Values::Plain(at)),
            2 | 8 => {
                // A page of nulls has no numbers, and perhaps no width of them.
                let width = page.get(at).copied().unwrap_or(0);
                let at = (at + 1).min(page.len());
                Ok(Values::Numbers(Runs::new(at, page.len(), u32::from(width))?))
            }
            _ if at >= page.len() => Ok(Values::Plain(at)),
            6 => {
                let lengths = differences(at)?;
                let at = lengths.end(page)?;
                Ok(Values::Lengths(lengths, at))
            }
            7 => {
                let common = differences(at)?;
                let lengths = differences(common.end(page)?)?;
                let at = lengths.end(page)?;
                Ok(Values::Rests { common, lengths, at, last: Vec::new() })
            }
            _ => Err(unsupported("Parquet with an encoding that is not for text")),
        }
    }
}
