//! Keys and values of all layers, in blocks of 64 positions as the attention kernel reads them.
//!
//! A block of one kv head holds its keys transposed, (key_dim, 64), and its values, (64,
//! value_dim), in f16 or f32.

use crate::kv::{BLOCK, BlockCopy, KvType, PIECE};
use crate::model::Model;
use std::ops::Range;
use wright_kernels::attention::{Cells, CellsMut, KV_BLOCK};

const _: () = assert!(BLOCK == KV_BLOCK, "a block of the table is one of the kernel");
const _: () = assert!(BLOCK.is_multiple_of(PIECE), "a block is whole pieces");

/// Numbers of the cache.
#[derive(Debug)]
enum Values {
    F16(Vec<u16>),
    F32(Vec<f32>),
}

impl Values {
    fn new(kv: KvType, len: usize) -> Values {
        match kv {
            KvType::F16 => Values::F16(vec![0; len]),
            KvType::F32 => Values::F32(vec![0.0; len]),
        }
    }

    fn cells(&self) -> Cells<'_> {
        match self {
            Values::F16(all) => Cells::F16(all),
            Values::F32(all) => Cells::F32(all),
        }
    }

    fn cells_mut(&mut self) -> CellsMut<'_> {
        match self {
            Values::F16(all) => CellsMut::F16(all),
            Values::F32(all) => CellsMut::F32(all),
        }
    }

    fn len(&self) -> usize {
        match self {
            Values::F16(all) => all.len(),
            Values::F32(all) => all.len(),
        }
    }

    fn copy(&mut self, from: Range<usize>, to: usize) {
        match self {
            Values::F16(all) => all.copy_within(from, to),
            Values::F32(all) => all.copy_within(from, to),
        }
    }

    /// Appends the values of `range`, little-endian.
    fn write(&self, range: Range<usize>, out: &mut Vec<u8>) {
        match self {
            Values::F16(all) => out.extend(all[range].iter().flat_map(|v| v.to_le_bytes())),
            Values::F32(all) => out.extend(all[range].iter().flat_map(|v| v.to_le_bytes())),
        }
    }

    /// Takes the values of `range` from the front of `bytes`, and returns what is left.
    fn read<'b>(&mut self, range: Range<usize>, bytes: &'b [u8]) -> &'b [u8] {
        let (mine, rest) = bytes.split_at(range.len() * self.value_bytes());
        match self {
            Values::F16(all) => {
                for (to, from) in all[range].iter_mut().zip(mine.as_chunks().0) {
                    *to = u16::from_le_bytes(*from);
                }
            }
            Values::F32(all) => {
                for (to, from) in all[range].iter_mut().zip(mine.as_chunks().0) {
                    *to = f32::from_le_bytes(*from);
                }
            }
        }
        rest
    }

    fn value_bytes(&self) -> usize {
        match self {
            Values::F16(_) => 2,
            Values::F32(_) => 4,
        }
    }
}

/// Keys or values of a layer. (block, rows, 64, unit)
#[derive(Debug)]
struct Side {
    values: Values,
    /// Of keys the channels of all heads, of values the heads.
    rows: usize,
    /// Numbers of a position in a row: of keys 1, of values all channels of the head.
    unit: usize,
}

impl Side {
    fn new(kv: KvType, n_blocks: usize, rows: usize, unit: usize) -> Side {
        Side { values: Values::new(kv, n_blocks * rows * BLOCK * unit), rows, unit }
    }

    /// Where the positions from `start` on of a block are, `PIECE` of them, row by row.
    fn piece(&self, block: u32, start: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, unit) = (self.rows, self.unit);
        let first = block as usize * rows;
        (first..first + rows).map(move |row| {
            let at = (row * BLOCK + start) * unit;
            at..at + PIECE * unit
        })
    }

    fn piece_bytes(&self) -> usize {
        self.rows * PIECE * self.unit * self.values.value_bytes()
    }
}

/// One layer's part of the cache.
#[derive(Debug)]
pub struct LayerStore {
    /// (block, kv head, key_dim, 64)
    k: Side,
    /// (block, kv head, 64, value_dim)
    v: Side,
}

impl LayerStore {
    /// Keys and values.
    pub fn cells(&self) -> (Cells<'_>, Cells<'_>) {
        (self.k.values.cells(), self.v.values.cells())
    }

    /// Keys and values, to be written.
    pub fn cells_mut(&mut self) -> (CellsMut<'_>, CellsMut<'_>) {
        (self.k.values.cells_mut(), self.v.values.cells_mut())
    }
}

/// The cache of a session.
#[derive(Debug)]
pub struct KvStore {
    layers: Vec<LayerStore>,
    n_blocks: usize,
}

impl KvStore {
    /// Zeros, which take no memory before they are written.
    pub fn new(model: &Model, kv: KvType, n_blocks: usize) -> KvStore {
        let layers = model.config().layers.iter().map(|layer| LayerStore {
            k: Side::new(kv, n_blocks, layer.heads.k_width(), 1),
            v: Side::new(kv, n_blocks, layer.heads.n_kv_head, layer.heads.value_dim),
        });
        KvStore { layers: layers.collect(), n_blocks }
    }

    pub fn layer(&mut self, layer: usize) -> &mut LayerStore {
        &mut self.layers[layer]
    }

    /// Copies a block's contents in every layer.
    pub fn copy_block(&mut self, copy: BlockCopy) {
        for layer in &mut self.layers {
            for side in [&mut layer.k.values, &mut layer.v.values] {
                let len = side.len() / self.n_blocks;
                let from = copy.from as usize * len;
                side.copy(from..from + len, copy.to as usize * len);
            }
        }
    }

    /// Bytes of 16 positions, in every layer.
    pub fn piece_bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.k.piece_bytes() + layer.v.piece_bytes()).sum()
    }

    /// What a block holds of the 16 positions from its `start` on: layer by layer, keys before
    /// values.
    pub fn export_piece(&self, block: u32, start: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.piece_bytes());
        for side in self.layers.iter().flat_map(|layer| [&layer.k, &layer.v]) {
            side.piece(block, start).for_each(|range| side.values.write(range, &mut bytes));
        }
        bytes
    }

    /// Takes what [`KvStore::export_piece`] gave.
    ///
    /// # Panics
    /// If it is not [`KvStore::piece_bytes`] long.
    pub fn import_piece(&mut self, block: u32, start: usize, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.piece_bytes(), "the bytes of one piece");
        let mut rest = bytes;
        for side in self.layers.iter_mut().flat_map(|layer| [&mut layer.k, &mut layer.v]) {
            for range in side.piece(block, start) {
                rest = side.values.read(range, rest);
            }
        }
    }
}
