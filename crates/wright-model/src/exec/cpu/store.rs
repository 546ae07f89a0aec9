//! Keys and values of all layers, in blocks of 64 positions as the attention kernel reads them.
//!
//! A block holds, layer after layer, the keys of each kv head transposed, (key_dim, 64), and then
//! its values, (64, value_dim), in f16 or f32. That a block's layers lie together is for the sake
//! of large pages: a sequence that grows fills one after another, and a short one takes few.

use super::memory;
use crate::Error;
use crate::kv::{BLOCK, BlockCopy, KvType, PIECE};
use crate::model::Model;
use memmap2::MmapMut;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use wright_kernels::Pool;
use wright_kernels::attention::{Cells, CellsMut, KV_BLOCK, KvLayout};

const _: () = assert!(BLOCK == KV_BLOCK, "a block of the table is one of the kernel");
const _: () = assert!(BLOCK.is_multiple_of(PIECE), "a block is whole pieces");

/// Keys or values of a layer, in a block. (rows, 64, unit)
#[derive(Debug, Clone, Copy)]
struct Side {
    /// Numbers before them.
    at: usize,
    /// Of keys the channels of all heads, of values the heads.
    rows: usize,
    /// Numbers of a position in a row: of keys 1, of values all channels of the head.
    unit: usize,
}

impl Side {
    fn end(&self) -> usize {
        self.at + self.rows * BLOCK * self.unit
    }

    /// Where the positions from `start` on are, `PIECE` of them, row by row.
    fn piece(self, start: usize) -> impl Iterator<Item = Range<usize>> {
        (0..self.rows).map(move |row| {
            let at = self.at + (row * BLOCK + start) * self.unit;
            at..at + PIECE * self.unit
        })
    }
}

/// The cache of a session.
#[derive(Debug)]
pub struct KvStore {
    kv: KvType,
    /// (blocks, numbers of a block), and zeros to a whole page
    memory: MmapMut,
    /// Numbers of a block.
    block_len: usize,
    /// Keys and values of each layer.
    layers: Vec<[Side; 2]>,
}

impl KvStore {
    /// Zeros, which take no memory before they are written.
    ///
    /// # Errors
    /// If there is no room for them.
    pub fn new(model: &Model, kv: KvType, n_blocks: usize) -> Result<KvStore, Error> {
        let mut block_len = 0;
        let mut side = |rows: usize, unit: usize| {
            let side = Side { at: block_len, rows, unit };
            block_len = side.end();
            side
        };
        let layers = model.config().layers.iter().map(|layer| {
            let heads = &layer.heads;
            [side(heads.k_width(), 1), side(heads.n_kv_head, heads.value_dim)]
        });
        let layers = layers.collect();
        let n_bytes = block_len.checked_mul(kv.value_bytes()).and_then(|n| n.checked_mul(n_blocks));
        let memory = memory::zeroed(n_bytes.unwrap_or(usize::MAX), "the cache")?;
        Ok(KvStore { kv, memory, block_len, layers })
    }

    /// Where a layer's keys and values are.
    pub fn place(&self, layer: usize) -> KvLayout {
        let [k, v] = self.layers[layer];
        KvLayout { stride: self.block_len, k: k.at, v: v.at }
    }

    pub fn cells(&self) -> Cells<'_> {
        match self.kv {
            KvType::F16 => Cells::f16(&self.memory),
            KvType::F32 => Cells::f32(&self.memory),
        }
    }

    pub fn cells_mut(&mut self) -> CellsMut<'_> {
        match self.kv {
            KvType::F16 => CellsMut::f16(&mut self.memory),
            KvType::F32 => CellsMut::f32(&mut self.memory),
        }
    }

    /// Copies a block's contents.
    pub fn copy_block(&mut self, copy: BlockCopy) {
        let len = self.block_bytes();
        let from = copy.from as usize * len;
        self.memory.copy_within(from..from + len, copy.to as usize * len);
    }

    fn block_bytes(&self) -> usize {
        self.block_len * self.kv.value_bytes()
    }

    /// Bytes of 16 positions, in every layer.
    pub fn piece_bytes(&self) -> usize {
        self.block_bytes() / BLOCK * PIECE
    }

    /// What a block holds of the 16 positions from its `start` on: layer by layer, keys before
    /// values, in the order of bytes of this machine.
    pub fn export_piece(&self, block: u32, start: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.piece_bytes());
        let (len, size) = (self.block_bytes(), self.kv.value_bytes());
        let block = &self.memory[block as usize * len..][..len];
        for side in self.layers.iter().flatten() {
            for at in side.piece(start) {
                bytes.extend_from_slice(&block[at.start * size..at.end * size]);
            }
        }
        bytes
    }

    /// Takes what [`KvStore::export_piece`] gave, by the threads of `pool`: `read(i)` is to go to
    /// `places[i]`, a block and where in it. Returns how many there were before one that `read`
    /// did not have, or that is not a piece of this cache.
    pub fn import_pieces(
        &mut self,
        pool: &Pool,
        places: &[(u32, usize)],
        read: &(dyn Fn(usize) -> Option<Vec<u8>> + Sync),
    ) -> usize {
        let (len, piece_len, size) =
            (self.block_bytes(), self.piece_bytes(), self.kv.value_bytes());
        let mut of_block = vec![Vec::new(); self.memory.len() / len];
        for (index, &(block, start)) in places.iter().enumerate() {
            of_block[block as usize].push((index, start));
        }
        let n_good = AtomicUsize::new(places.len());
        let layers = &self.layers;
        pool.for_chunks(&mut self.memory[..of_block.len() * len], len, |block, to| {
            for &(index, start) in &of_block[block] {
                if index >= n_good.load(Ordering::Relaxed) {
                    continue;
                }
                match read(index).filter(|bytes| bytes.len() == piece_len) {
                    Some(bytes) => scatter(layers, &bytes, start, size, to),
                    None => _ = n_good.fetch_min(index, Ordering::Relaxed),
                }
            }
        });
        n_good.into_inner()
    }
}

/// Puts a piece where it belongs in a block.
fn scatter(layers: &[[Side; 2]], mut bytes: &[u8], start: usize, size: usize, to: &mut [u8]) {
    for side in layers.iter().flatten() {
        for at in side.piece(start) {
            let (row, rest) = bytes.split_at(at.len() * size);
            to[at.start * size..at.end * size].copy_from_slice(row);
            bytes = rest;
        }
    }
}
