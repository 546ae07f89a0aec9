//! What one forward pass computes: ragged pieces of sequences, and the rows whose logits are
//! wanted. One shape for training, prefill, decode, scoring and serving.

use std::ops::Range;

/// A sequence in a session's cache, `0..n_seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqId(pub u32);

/// The tokens of a segment whose logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    None,
    Last,
    All,
    /// Those from this index of the segment on.
    From(usize),
}

impl Want {
    /// Indices within a segment of `len` tokens.
    pub fn rows(self, len: usize) -> Range<usize> {
        match self {
            Want::None => len..len,
            Want::Last => len.saturating_sub(1)..len,
            Want::All => 0..len,
            Want::From(from) => from.min(len)..len,
        }
    }
}

/// The next tokens of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    pub seq: SeqId,
    /// Position of the first token: what the cache holds of the sequence comes before it.
    pub pos: u32,
    pub ids: &'a [u32],
    pub want: Want,
}

/// Segments of different sequences, computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    pub segments: &'a [Segment<'a>],
}

impl Batch<'_> {
    /// Tokens in all segments.
    pub fn n_tokens(&self) -> usize {
        self.segments.iter().map(|s| s.ids.len()).sum()
    }

    /// Rows of logits that come back.
    pub fn n_wanted(&self) -> usize {
        self.segments.iter().map(|s| s.want.rows(s.ids.len()).len()).sum()
    }
}

/// A part of a pass's rows that belongs to one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub seq: SeqId,
    pub rows: Range<usize>,
    /// Position of the first row.
    pub pos: u32,
}

/// A batch laid out in rows, as executors see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Token of each row.
    pub ids: Vec<u32>,
    /// Position of each row in its sequence.
    pub positions: Vec<u32>,
    pub spans: Vec<Span>,
    /// Rows whose logits are wanted, ascending.
    pub wanted: Vec<u32>,
    /// Position from which on tokens belong to a second text; None where there is one.
    pub second_at: Option<u32>,
}

impl Rows {
    pub fn clear(&mut self) {
        self.ids.clear();
        self.positions.clear();
        self.spans.clear();
        self.wanted.clear();
        self.second_at = None;
    }

    /// Type of each row: 1 in a second text, else 0.
    pub fn types(&self) -> Vec<u32> {
        let is_second = |pos: u32| self.second_at.is_some_and(|at| pos >= at);
        self.positions.iter().map(|&pos| u32::from(is_second(pos))).collect()
    }

    /// Appends tokens of a sequence; `wanted` are indices within `ids`.
    pub fn push(&mut self, seq: SeqId, pos: u32, ids: &[u32], wanted: Range<usize>) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.positions.extend((pos..).take(ids.len()));
        self.spans.push(Span { seq, rows: start..self.ids.len(), pos });
        self.wanted.extend(wanted.map(|i| (start + i) as u32));
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
