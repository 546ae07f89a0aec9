//! Keys and values into the blocks of the cache, rounded to its type.

use super::{Attention, CellsMut, KV_BLOCK, Span};
use crate::float16::to_f16_slice;
use crate::pool::Parts;
use crate::{Isa, Pool};

/// Rows worth sharing out to threads.
const MANY_ROWS: usize = 16;

/// Writes the rows' keys, (T, n_kv_head, key_dim), and values, (T, n_kv_head, value_dim), to their
/// positions' blocks. `k` is (blocks, n_kv_head, key_dim, 64) and `v` (blocks, n_kv_head, 64,
/// value_dim).
///
/// # Panics
/// If lengths do not fit or a block is outside of the cache.
pub fn write_kv(
    pool: &Pool,
    attention: &Attention<'_>,
    (k, v): (CellsMut<'_>, CellsMut<'_>),
    spans: &[Span<'_>],
    (new_k, new_v): (&[f32], &[f32]),
) {
    match k {
        CellsMut::F16(k) => write_side(pool, attention, k, spans, new_k, Side::Keys),
        CellsMut::F32(k) => write_side(pool, attention, k, spans, new_k, Side::Keys),
    }
    match v {
        CellsMut::F16(v) => write_side(pool, attention, v, spans, new_v, Side::Values),
        CellsMut::F32(v) => write_side(pool, attention, v, spans, new_v, Side::Values),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// (dim, 64)
    Keys,
    /// (64, dim)
    Values,
}

/// A number of the cache that can be made of an f32.
trait Rounded: Copy + Send + Default {
    fn round(isa: Isa, from: &[f32], to: &mut [Self]);
}

impl Rounded for f32 {
    fn round(_: Isa, from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

impl Rounded for u16 {
    fn round(isa: Isa, from: &[f32], to: &mut [u16]) {
        to_f16_slice(isa, from, to);
    }
}

fn write_side<C: Rounded>(
    pool: &Pool,
    attention: &Attention<'_>,
    cells: &mut [C],
    spans: &[Span<'_>],
    new: &[f32],
    side: Side,
) {
    let n_head = attention.n_kv_head;
    let dim = if side == Side::Keys { attention.key_dim } else { attention.value_dim };
    let n_rows: usize = spans.iter().map(|span| span.n_rows).sum();
    let cells = Parts::new(cells);
    let write_head = |head: usize| {
        for span in spans {
            for i in 0..span.n_rows {
                let pos = span.pos + i;
                let from = &new[((span.row + i) * n_head + head) * dim..][..dim];
                let slot = span.blocks[pos / KV_BLOCK] as usize * n_head + head;
                // SAFETY: a block's kv head is written by that head's task alone.
                let block = unsafe { cells.slice(slot * dim * KV_BLOCK, dim * KV_BLOCK) };
                put(pool.isa(), side, pos % KV_BLOCK, from, block);
            }
        }
    };
    if n_rows < MANY_ROWS {
        (0..n_head).for_each(write_head);
    } else {
        pool.run(n_head, &write_head);
    }
}

fn put<C: Rounded>(isa: Isa, side: Side, lane: usize, from: &[f32], block: &mut [C]) {
    if side == Side::Values {
        return C::round(isa, from, &mut block[lane * from.len()..][..from.len()]);
    }
    for (from, columns) in from.chunks(64).zip(block.chunks_mut(64 * KV_BLOCK)) {
        let mut rounded = [C::default(); 64];
        C::round(isa, from, &mut rounded[..from.len()]);
        for (column, &cell) in columns.chunks_exact_mut(KV_BLOCK).zip(&rounded) {
            column[lane] = cell;
        }
    }
}
