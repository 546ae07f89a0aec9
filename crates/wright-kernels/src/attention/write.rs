//! Keys and values into the blocks of the cache, rounded to its type.

use super::{Attention, CellsMut, KV_BLOCK, KvLayout, Span};
use crate::lanes::{Lanes, each_isa};
use crate::pool::Parts;
use crate::{Isa, Pool};

/// Rows worth sharing out to threads.
const MANY_ROWS: usize = 16;

/// Writes the rows' keys, (T, n_kv_head, key_dim), and values, (T, n_kv_head, value_dim), to their
/// positions' blocks, at the layer's `layout`.
///
/// # Panics
/// If lengths do not fit or a block is outside of the cache.
pub fn write_kv(
    pool: &Pool,
    attention: &Attention<'_>,
    (mut cells, layout): (CellsMut<'_>, KvLayout),
    spans: &[Span<'_>],
    (new_k, new_v): (&[f32], &[f32]),
) {
    let keys = Side { dim: attention.key_dim, at: layout.k, is_keys: true, new: new_k };
    let values = Side { dim: attention.value_dim, at: layout.v, is_keys: false, new: new_v };
    for side in [keys, values] {
        match &mut cells {
            CellsMut::F16(cells) => side.write(pool, attention, cells, layout, spans),
            CellsMut::F32(cells) => side.write(pool, attention, cells, layout, spans),
        }
    }
}

/// Keys or values.
struct Side<'a> {
    /// Channels of a head.
    dim: usize,
    /// Where in a block they are.
    at: usize,
    /// A head of a block is (dim, 64) of keys, (64, dim) of values.
    is_keys: bool,
    /// (T, n_kv_head, dim)
    new: &'a [f32],
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
        to_f16(isa, from, to);
    }
}

impl Side<'_> {
    fn write<C: Rounded>(
        &self,
        pool: &Pool,
        attention: &Attention<'_>,
        cells: &mut [C],
        layout: KvLayout,
        spans: &[Span<'_>],
    ) {
        let (n_head, dim) = (attention.n_kv_head, self.dim);
        let n_rows: usize = spans.iter().map(|span| span.n_rows).sum();
        let cells = Parts::new(cells);
        let write_head = |head: usize| {
            for span in spans {
                for i in 0..span.n_rows {
                    let pos = span.pos + i;
                    let from = &self.new[((span.row + i) * n_head + head) * dim..][..dim];
                    let start = span.blocks[pos / KV_BLOCK] as usize * layout.stride + self.at;
                    let len = dim * KV_BLOCK;
                    // SAFETY: a block's kv head is written by that head's task alone.
                    let block = unsafe { cells.slice(start + head * len, len) };
                    self.put(pool.isa(), pos % KV_BLOCK, from, block);
                }
            }
        };
        if n_rows < MANY_ROWS {
            (0..n_head).for_each(write_head);
        } else {
            pool.run(n_head, &write_head);
        }
    }

    fn put<C: Rounded>(&self, isa: Isa, lane: usize, from: &[f32], block: &mut [C]) {
        if !self.is_keys {
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
}

each_isa! {
    fn to_f16(src: &[f32], dst: &mut [u16]) = to_f16_lanes;
}

#[inline(always)]
fn to_f16_lanes<V: Lanes>(src: &[f32], dst: &mut [u16]) {
    for (src, dst) in src.chunks(16).zip(dst.chunks_mut(16)) {
        let halves = V::load_some(src, 0.0).to_f16();
        dst.copy_from_slice(&halves[..dst.len()]);
    }
}
