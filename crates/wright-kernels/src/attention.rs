//! Attention over a KV cache of paged blocks.
//!
//! A block holds 64 positions of one kv head: keys transposed, (key_dim, 64), so that in scores a
//! lane is a position, and values, (64, value_dim), so that in outputs a lane is a channel. The
//! query heads of a kv head, and the rows of a tile, share what is loaded of it.
//!
//! The softmax runs online (Milakov and Gimelshein 2018; Dao et al., "FlashAttention", 2022): block
//! after block within a span of 256 positions, then span after span, ascending. Blocks and spans
//! are anchored at absolute positions, so a row's bytes depend on its query, its position and the
//! cache alone: not on the chunk it came in, its neighbours or the number of threads, even where
//! the spans of one row are shared out to several.

mod block;
mod write;

pub use write::write_kv;

use crate::lanes::{Lanes, each_isa};
use crate::math::exp_lanes;
use crate::pool::Parts;
use crate::scratch::with_floats;
use crate::{Isa, Pool};
use block::{Cell, Tile, fold_block};
use std::ops::Range;

/// Positions in a block of the cache.
pub const KV_BLOCK: usize = 64;
/// Blocks whose partial results are merged before they meet those of the span before.
const SPAN_BLOCKS: usize = 4;
/// Queries, times heads of a kv head, that share a task: four register tiles of six.
const TILE_ROWS: usize = 24;

/// What attends to what, and how.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    pub n_head: usize,
    /// Divides `n_head`; query head h reads kv head `h / (n_head / n_kv_head)`.
    pub n_kv_head: usize,
    /// Channels of a query and a key.
    pub key_dim: usize,
    /// Channels of a value.
    pub value_dim: usize,
    /// Multiplies scores, mostly `1 / sqrt(key_dim)`.
    pub scale: f32,
    /// Whether a row sees nothing that comes after it; else it sees all of its sequence.
    pub causal: bool,
    /// Positions that a row sees at most, its own among them; older ones are hidden.
    pub window: Option<usize>,
    /// The window's positions are those since the last multiple of it, instead.
    pub chunked: bool,
    /// Scores become `cap * tanh(score / cap)`.
    pub soft_cap: Option<f32>,
    /// (n_head): scores lose `slope * distance` (ALiBi).
    pub alibi: Option<&'a [f32]>,
    /// (n_head): a score of no position, which takes its part of the sum (attention sinks).
    pub sinks: Option<&'a [f32]>,
}

/// Numbers of a cache.
#[derive(Debug, Clone, Copy)]
pub enum Cells<'a> {
    /// In half precision.
    F16(&'a [u16]),
    F32(&'a [f32]),
}

impl<'a> Cells<'a> {
    /// Bytes as numbers in half precision.
    ///
    /// # Panics
    /// If they are not whole numbers, or begin at no multiple of their size in memory.
    pub fn f16(bytes: &'a [u8]) -> Cells<'a> {
        Cells::F16(numbers(bytes))
    }

    /// Bytes as numbers in single precision.
    ///
    /// # Panics
    /// As [`Cells::f16`].
    pub fn f32(bytes: &'a [u8]) -> Cells<'a> {
        Cells::F32(numbers(bytes))
    }
}

/// Numbers of a cache, to be written.
#[derive(Debug)]
pub enum CellsMut<'a> {
    /// In half precision.
    F16(&'a mut [u16]),
    F32(&'a mut [f32]),
}

impl<'a> CellsMut<'a> {
    /// As [`Cells::f16`].
    ///
    /// # Panics
    /// As [`Cells::f16`].
    pub fn f16(bytes: &'a mut [u8]) -> CellsMut<'a> {
        CellsMut::F16(numbers_mut(bytes))
    }

    /// As [`Cells::f32`].
    ///
    /// # Panics
    /// As [`Cells::f16`].
    pub fn f32(bytes: &'a mut [u8]) -> CellsMut<'a> {
        CellsMut::F32(numbers_mut(bytes))
    }
}

const WHOLE: &str = "bytes of a cache are whole numbers where numbers may lie";

fn numbers<C: Cell>(bytes: &[u8]) -> &[C] {
    // SAFETY: cells are u16 and f32, for which every pattern of bits is a value.
    let (before, numbers, after) = unsafe { bytes.align_to() };
    assert!(before.is_empty() && after.is_empty(), "{WHOLE}");
    numbers
}

fn numbers_mut<C: Cell>(bytes: &mut [u8]) -> &mut [C] {
    // SAFETY: as above, and every value of theirs is made of bytes.
    let (before, numbers, after) = unsafe { bytes.align_to_mut() };
    assert!(before.is_empty() && after.is_empty(), "{WHOLE}");
    numbers
}

/// Where a layer's keys and values are in a cache whose blocks hold those of all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvLayout {
    /// Numbers from one block to the next.
    pub stride: usize,
    /// Where in a block the keys are, (n_kv_head, key_dim, 64).
    pub k: usize,
    /// Where in a block the values are, (n_kv_head, 64, value_dim).
    pub v: usize,
}

/// Rows of one sequence, at consecutive positions.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// First row in the batch.
    pub row: usize,
    pub n_rows: usize,
    /// Position of the first row.
    pub pos: usize,
    /// Where in the cache each 64 positions of the sequence are, from position 0 to the last row's.
    pub blocks: &'a [u32],
}

/// Each row's mix of the values that it sees: q is (T, n_head, key_dim), `out` (T, n_head,
/// value_dim). The layer's keys and values are at `layout` of the cache, those of the rows
/// themselves among them.
///
/// Rows of `out` that no span names are left alone.
///
/// # Panics
/// If lengths do not fit, or a block is outside of the cache.
pub fn attend(
    pool: &Pool,
    attention: &Attention<'_>,
    (cells, layout): (Cells<'_>, KvLayout),
    spans: &[Span<'_>],
    q: &[f32],
    out: &mut [f32],
) {
    let rows = spans.iter().map(|s| s.row + s.n_rows).max().unwrap_or(0);
    assert!(q.len() >= rows * attention.n_head * attention.key_dim, "a query for each row");
    assert!(out.len() >= rows * attention.n_head * attention.value_dim, "room for each row");
    match cells {
        Cells::F16(cells) => run(pool, attention, (cells, layout), spans, q, out),
        Cells::F32(cells) => run(pool, attention, (cells, layout), spans, q, out),
    }
}

impl Attention<'_> {
    /// Query heads of a kv head.
    fn group(&self) -> usize {
        self.n_head / self.n_kv_head
    }

    fn check(&self, n_cells: usize, layout: KvLayout, spans: &[Span<'_>]) {
        assert!(self.n_kv_head > 0 && self.n_head.is_multiple_of(self.n_kv_head), "whole groups");
        assert!(self.key_dim > 0 && self.value_dim > 0, "heads have channels");
        let k_end = layout.k + self.n_kv_head * self.key_dim * KV_BLOCK;
        let v_end = layout.v + self.n_kv_head * self.value_dim * KV_BLOCK;
        assert!(k_end.max(v_end) <= layout.stride, "keys and values inside of a block");
        let n_blocks = n_cells / layout.stride;
        for span in spans {
            let len = span.pos + span.n_rows;
            assert!(span.blocks.len() >= len.div_ceil(KV_BLOCK), "a block for each position");
            assert!(span.blocks.iter().all(|&b| (b as usize) < n_blocks), "block in the cache");
        }
        let per_head = [self.alibi, self.sinks].into_iter().flatten();
        per_head.for_each(|x| assert_eq!(x.len(), self.n_head, "a number for each head"));
    }

    /// The positions that a row at `pos` sees, of a sequence of `len`.
    #[inline(always)]
    fn seen(&self, pos: usize, len: usize) -> Range<usize> {
        let end = if self.causal { pos + 1 } else { len };
        let oldest = match self.window {
            None => 0,
            Some(chunk) if self.chunked => pos - pos % chunk.max(1),
            Some(window) => (pos + 1).saturating_sub(window),
        };
        oldest.min(end)..end
    }
}

/// Some rows of a span, for one kv head: what one task works on.
struct WorkItem {
    span: usize,
    /// Rows of the span.
    rows: Range<usize>,
    kv_head: usize,
    /// Spans of the cache that some of the rows see.
    parts: Range<usize>,
}

/// Floats that hold a row's partial result: the maximum, the sum, and (value_dim) not yet
/// divided by it.
fn partial_len(attention: &Attention<'_>) -> usize {
    attention.value_dim + 2
}

fn plan(attention: &Attention<'_>, spans: &[Span<'_>]) -> Vec<WorkItem> {
    let queries = (TILE_ROWS / attention.group()).max(1);
    let mut plan = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        let len = span.pos + span.n_rows;
        for start in (0..span.n_rows).step_by(queries) {
            let rows = start..span.n_rows.min(start + queries);
            let first = attention.seen(span.pos + rows.start, len);
            let last = attention.seen(span.pos + rows.end - 1, len);
            let of = KV_BLOCK * SPAN_BLOCKS;
            let parts = first.start / of..last.end.div_ceil(of);
            plan.extend((0..attention.n_kv_head).map(|kv_head| WorkItem {
                span: index,
                rows: rows.clone(),
                kv_head,
                parts: parts.clone(),
            }));
        }
    }
    plan
}

fn run<C: Cell>(
    pool: &Pool,
    attention: &Attention<'_>,
    (cells, layout): (&[C], KvLayout),
    spans: &[Span<'_>],
    q: &[f32],
    out: &mut [f32],
) {
    attention.check(cells.len(), layout, spans);
    let plan = plan(attention, spans);
    let out = Parts::new(out);
    let pass = Pass { attention, cells, layout, spans, q, isa: pool.isa() };
    let n_parts: usize = plan.iter().map(|item| item.parts.len()).sum();
    if plan.len() >= 2 * pool.threads() || n_parts == plan.len() || pool.threads() == 1 {
        pool.run(plan.len(), &|item| pass.whole(&plan[item], &out));
        return;
    }
    // Few rows that see much: spans of the cache are shared out too, and merged after.
    let row_len = partial_len(attention);
    let mut tasks = Vec::with_capacity(n_parts);
    let mut at = 0;
    let mut starts = Vec::with_capacity(plan.len());
    for item in &plan {
        starts.push(at);
        for part in item.parts.clone() {
            tasks.push((item, part, at));
            at += item.rows.len() * attention.group() * row_len;
        }
    }
    let mut partials = vec![0.0; at];
    let parts = Parts::new(&mut partials);
    pool.run(tasks.len(), &|item| {
        let (item, part, at) = &tasks[item];
        let len = item.rows.len() * attention.group() * row_len;
        // SAFETY: each task has its own range.
        pass.part(item, *part, unsafe { parts.slice(*at, len) });
    });
    pool.run(plan.len(), &|item| pass.merge_stored(&plan[item], &partials[starts[item]..], &out));
}

/// All that the tasks of a call share.
struct Pass<'a, C> {
    attention: &'a Attention<'a>,
    cells: &'a [C],
    layout: KvLayout,
    spans: &'a [Span<'a>],
    q: &'a [f32],
    isa: Isa,
}

impl<C: Cell> Pass<'_, C> {
    /// All spans of the cache, one after another.
    fn whole(&self, item: &WorkItem, out: &Parts<'_, f32>) {
        let n_rows = item.rows.len() * self.attention.group();
        let len = n_rows * partial_len(self.attention);
        with_floats(2 * len, |floats| {
            let (total, part) = floats.split_at_mut(len);
            for (i, index) in item.parts.clone().enumerate() {
                if i == 0 {
                    self.part(item, index, total);
                } else {
                    self.part(item, index, part);
                    merge(self.isa, total, part, n_rows);
                }
            }
            self.finish(item, total, out);
        });
    }

    /// Merges what the tasks of the item's cache spans left behind.
    fn merge_stored(&self, item: &WorkItem, stored: &[f32], out: &Parts<'_, f32>) {
        let n_rows = item.rows.len() * self.attention.group();
        let len = n_rows * partial_len(self.attention);
        with_floats(len, |total| {
            total.copy_from_slice(&stored[..len]);
            for part in stored.chunks_exact(len).take(item.parts.len()).skip(1) {
                merge(self.isa, total, part, n_rows);
            }
            self.finish(item, total, out);
        });
    }

    /// The partial results of the item's rows over one span of the cache, (rows, partial_len).
    fn part(&self, item: &WorkItem, index: usize, partials: &mut [f32]) {
        let (a, span) = (self.attention, &self.spans[item.span]);
        let len = span.pos + span.n_rows;
        let group = a.group();
        let n_rows = item.rows.len() * group;
        clear(partials, n_rows);
        with_floats(n_rows * (a.key_dim + KV_BLOCK), |floats| {
            let (queries, scores) = floats.split_at_mut(n_rows * a.key_dim);
            for (t, rows) in item.rows.clone().zip(queries.chunks_exact_mut(group * a.key_dim)) {
                let head = (span.row + t) * a.n_head + item.kv_head * group;
                rows.copy_from_slice(&self.q[head * a.key_dim..][..group * a.key_dim]);
            }
            let last = span.blocks.len().min((index + 1) * SPAN_BLOCKS);
            let (k_len, v_len) = (a.key_dim * KV_BLOCK, a.value_dim * KV_BLOCK);
            for block in index * SPAN_BLOCKS..last {
                let start = |block: u32| block as usize * self.layout.stride;
                let cells = &self.cells[start(span.blocks[block])..];
                let next = span.blocks[..last].get(block + 1);
                let tile = Tile {
                    attention: a,
                    k: &cells[self.layout.k + item.kv_head * k_len..][..k_len],
                    v: &cells[self.layout.v + item.kv_head * v_len..][..v_len],
                    q: queries,
                    first_head: item.kv_head * group,
                    first_pos: span.pos + item.rows.start,
                    n_queries: item.rows.len(),
                    block_pos: block * KV_BLOCK,
                    len,
                    next: next.map_or(std::ptr::null(), |&next| {
                        let at = start(next) + self.layout.k + item.kv_head * k_len;
                        self.cells.as_ptr().wrapping_add(at)
                    }),
                };
                fold_block::<C>(self.isa, &tile, scores, partials);
            }
        });
    }

    /// Sinks, the division by the sum, and the way out.
    fn finish(&self, item: &WorkItem, total: &[f32], out: &Parts<'_, f32>) {
        let a = self.attention;
        let row = self.spans[item.span].row;
        let (group, first_head) = (a.group(), item.kv_head * a.group());
        for (r, total) in total.chunks_exact(partial_len(a)).enumerate() {
            let head = first_head + r % group;
            let at = (row + item.rows.start + r / group) * a.n_head + head;
            // SAFETY: a row's head belongs to one task.
            let out = unsafe { out.slice(at * a.value_dim, a.value_dim) };
            divide(self.isa, total, a.sinks.map(|sinks| sinks[head]), out);
        }
    }
}

fn clear(partials: &mut [f32], n_rows: usize) {
    let row_len = partials.len() / n_rows;
    partials.fill(0.0);
    partials.chunks_exact_mut(row_len).for_each(|row| row[0] = f32::NEG_INFINITY);
}

each_isa! {
    /// `total` and `part` are (rows, partial_len); `part` is of later positions.
    fn merge(total: &mut [f32], part: &[f32], n_rows: usize) = merge_lanes;
}

#[inline(always)]
fn merge_lanes<V: Lanes>(total: &mut [f32], part: &[f32], n_rows: usize) {
    let row_len = total.len() / n_rows;
    for (total, part) in total.chunks_exact_mut(row_len).zip(part.chunks_exact(row_len)) {
        if part[0] == f32::NEG_INFINITY {
            continue;
        }
        if total[0] == f32::NEG_INFINITY {
            total.copy_from_slice(part);
            continue;
        }
        let max = if part[0] > total[0] { part[0] } else { total[0] };
        let (a, b) = (exp_lanes(total[0] - max), exp_lanes(part[0] - max));
        total[0] = max;
        total[1] = total[1].mul_add(a, part[1] * b);
        let (a, b) = (V::splat(a), V::splat(b));
        for (total, part) in total[2..].chunks_mut(16).zip(part[2..].chunks(16)) {
            let scaled = V::load_some(part, 0.0).mul(b);
            V::load_some(total, 0.0).mul_add(a, scaled).store_some(total);
        }
    }
}

each_isa! {
    fn divide(total: &[f32], sink: Option<f32>, out: &mut [f32]) = divide_lanes;
}

#[inline(always)]
fn divide_lanes<V: Lanes>(total: &[f32], sink: Option<f32>, out: &mut [f32]) {
    let (mut sum, mut factor) = (total[1], 1.0);
    if let Some(sink) = sink {
        let max = if sink > total[0] { sink } else { total[0] };
        factor = exp_lanes(total[0] - max);
        sum = sum.mul_add(factor, exp_lanes(sink - max));
    }
    let factor = V::splat(factor / sum);
    for (total, out) in total[2..].chunks(16).zip(out.chunks_mut(16)) {
        V::load_some(total, 0.0).mul(factor).store_some(out);
    }
}

#[cfg(test)]
mod tests;
