//! Keys and values of all layers, in blocks of 64 positions as the attention kernel reads them.
//!
//! A block of one kv head holds its keys transposed, (key_dim, 64), and its values, (64,
//! value_dim), in f16 or f32.

use crate::kv::{BLOCK, BlockCopy, KvType};
use crate::model::Model;
use std::ops::Range;
use wright_kernels::attention::{Cells, CellsMut, KV_BLOCK};

const _: () = assert!(BLOCK == KV_BLOCK, "a block of the table is one of the kernel");

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

/// One layer's part of the cache.
#[derive(Debug)]
pub struct LayerStore {
    /// (block, kv head, key_dim, 64)
    k: Values,
    /// (block, kv head, 64, value_dim)
    v: Values,
}

impl LayerStore {
    /// Keys and values.
    pub fn cells(&self) -> (Cells<'_>, Cells<'_>) {
        (self.k.cells(), self.v.cells())
    }

    /// Keys and values, to be written.
    pub fn cells_mut(&mut self) -> (CellsMut<'_>, CellsMut<'_>) {
        (self.k.cells_mut(), self.v.cells_mut())
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
            k: Values::new(kv, n_blocks * BLOCK * layer.heads.k_width()),
            v: Values::new(kv, n_blocks * BLOCK * layer.heads.v_width()),
        });
        KvStore { layers: layers.collect(), n_blocks }
    }

    pub fn layer(&mut self, layer: usize) -> &mut LayerStore {
        &mut self.layers[layer]
    }

    /// Copies a block's contents in every layer.
    pub fn copy_block(&mut self, copy: BlockCopy) {
        for layer in &mut self.layers {
            for side in [&mut layer.k, &mut layer.v] {
                let len = side.len() / self.n_blocks;
                let from = copy.from as usize * len;
                side.copy(from..from + len, copy.to as usize * len);
            }
        }
    }

    /// Bytes of one block, in every layer.
    pub fn block_bytes(&self) -> usize {
        let sides = self.layers.iter().flat_map(|layer| [&layer.k, &layer.v]);
        sides.map(|side| side.len() / self.n_blocks * side.value_bytes()).sum()
    }

    /// A block's contents: layer by layer, keys before values.
    pub fn export_block(&self, block: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.block_bytes());
        for side in self.layers.iter().flat_map(|layer| [&layer.k, &layer.v]) {
            let len = side.len() / self.n_blocks;
            side.write(block as usize * len..(block as usize + 1) * len, &mut bytes);
        }
        bytes
    }

    /// Fills a block with what [`KvStore::export_block`] gave.
    ///
    /// # Panics
    /// If it is not [`KvStore::block_bytes`] long.
    pub fn import_block(&mut self, block: u32, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.block_bytes(), "the bytes of one block");
        let mut rest = bytes;
        for side in self.layers.iter_mut().flat_map(|layer| [&mut layer.k, &mut layer.v]) {
            let len = side.len() / self.n_blocks;
            rest = side.read(block as usize * len..(block as usize + 1) * len, rest);
        }
    }
}
