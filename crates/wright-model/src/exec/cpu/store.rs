//! Keys and values of all layers, in blocks of 64 positions, and attention over them.
//!
//! A block of one kv head holds its keys transposed, (key_dim, 64), and its values, (64,
//! value_dim), in f16 or f32. Attention walks a sequence's blocks in ascending order with a running
//! maximum and sum, so that a result depends on absolute positions alone.

use crate::batch::Rows;
use crate::config::Heads;
use crate::kv::KvType;
use crate::kv::{BLOCK, BlockCopy, KvTable};
use crate::model::Model;
use std::ops::Range;
use wright_kernels::{Pool, f16_to_f32, f32_to_f16, math};

/// Rows of one sequence that a task attends with: a block is decoded once for all of them.
const ROWS_A_TASK: usize = 16;

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

    fn put(&mut self, at: usize, value: f32) {
        match self {
            Values::F16(all) => all[at] = f32_to_f16(value),
            Values::F32(all) => all[at] = value,
        }
    }

    fn decode(&self, at: Range<usize>, out: &mut [f32]) {
        match self {
            Values::F16(all) => {
                out.iter_mut().zip(&all[at]).for_each(|(out, &x)| *out = f16_to_f32(x));
            }
            Values::F32(all) => out.copy_from_slice(&all[at]),
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
}

/// One layer's part of the cache.
#[derive(Debug)]
pub struct LayerStore {
    /// (block, kv head, key_dim, 64)
    k: Values,
    /// (block, kv head, 64, value_dim)
    v: Values,
}

/// The cache of a session.
#[derive(Debug)]
pub struct KvStore {
    layers: Vec<LayerStore>,
    n_blocks: usize,
}

/// Where the rows of a pass look.
pub struct Look<'a> {
    pub rows: &'a Rows,
    pub table: &'a KvTable,
    pub heads: &'a Heads,
    pub sinks: Option<&'a [f32]>,
}

/// Rows of one span that one task attends with, for one kv head.
struct Tile {
    span: usize,
    rows: Range<usize>,
    kv_head: usize,
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
}

impl LayerStore {
    /// Writes the rows' keys, (T, n_kv_head * key_dim), and values, rounded to the cache's type.
    pub fn write(&mut self, rows: &Rows, table: &KvTable, heads: &Heads, k: &[f32], v: &[f32]) {
        let (dk, dv, n) = (heads.key_dim, heads.value_dim, heads.n_kv_head);
        for span in &rows.spans {
            let blocks = table.blocks(span.seq);
            for (row, pos) in span.rows.clone().zip(span.pos as usize..) {
                for head in 0..n {
                    let slot = blocks[pos / BLOCK] as usize * n + head;
                    let lane = pos % BLOCK;
                    for d in 0..dk {
                        let value = k[(row * n + head) * dk + d];
                        self.k.put((slot * dk + d) * BLOCK + lane, value);
                    }
                    for d in 0..dv {
                        let value = v[(row * n + head) * dv + d];
                        self.v.put((slot * BLOCK + lane) * dv + d, value);
                    }
                }
            }
        }
    }

    /// Attention of the rows' queries, (T, n_head * key_dim), into `out`, (T, n_head * value_dim).
    pub fn attend(&self, pool: &Pool, look: &Look<'_>, q: &[f32], out: &mut [f32]) {
        let heads = look.heads;
        let mut tiles = Vec::new();
        for (index, span) in look.rows.spans.iter().enumerate() {
            for start in span.rows.clone().step_by(ROWS_A_TASK) {
                let rows = start..span.rows.end.min(start + ROWS_A_TASK);
                tiles.extend((0..heads.n_kv_head).map(|kv_head| Tile {
                    span: index,
                    rows: rows.clone(),
                    kv_head,
                }));
            }
        }
        let width = heads.group() * heads.value_dim;
        let done: Vec<_> = tiles.iter().map(|_| std::sync::Mutex::new(Vec::new())).collect();
        pool.run(tiles.len(), &|task| {
            let result = self.attend_tile(look, &tiles[task], q);
            *done[task].lock().expect("a task runs once") = result;
        });
        for (tile, result) in tiles.iter().zip(done) {
            let result = result.into_inner().expect("a task runs once");
            for (row, from) in tile.rows.clone().zip(result.chunks_exact(width)) {
                let at = row * heads.out_width() + tile.kv_head * width;
                out[at..at + width].copy_from_slice(from);
            }
        }
    }

    /// (rows of the tile, heads of the group, value_dim)
    fn attend_tile(&self, look: &Look<'_>, tile: &Tile, q: &[f32]) -> Vec<f32> {
        let heads = look.heads;
        let (dk, dv, group) = (heads.key_dim, heads.value_dim, heads.group());
        let span = &look.rows.spans[tile.span];
        let blocks = look.table.blocks(span.seq);
        let positions = &look.rows.positions[tile.rows.clone()];
        let oldest = heads.oldest(positions[0] as usize);
        let newest = positions[positions.len() - 1] as usize;
        let mut out = vec![0.0; positions.len() * group * dv];
        let start = |head: usize| match look.sinks {
            Some(sinks) => Running { max: sinks[head], sum: 1.0 },
            None => Running { max: f32::NEG_INFINITY, sum: 0.0 },
        };
        let first_head = tile.kv_head * group;
        let mut running: Vec<Running> =
            (0..positions.len() * group).map(|i| start(first_head + i % group)).collect();
        let (mut k, mut v) = (vec![0.0; dk * BLOCK], vec![0.0; BLOCK * dv]);
        let seen_blocks = blocks.iter().enumerate().take(newest / BLOCK + 1);
        for (block, &at) in seen_blocks.skip(oldest / BLOCK) {
            let slot = at as usize * heads.n_kv_head + tile.kv_head;
            self.k.decode(slot * dk * BLOCK..(slot + 1) * dk * BLOCK, &mut k);
            self.v.decode(slot * BLOCK * dv..(slot + 1) * BLOCK * dv, &mut v);
            for (r, &pos) in positions.iter().enumerate() {
                let pos = pos as usize;
                let from = heads.oldest(pos).max(block * BLOCK);
                let to = (pos + 1).min((block + 1) * BLOCK);
                if from >= to {
                    continue;
                }
                let seen =
                    Seen { pos, first: block * BLOCK, lanes: from % BLOCK..to - block * BLOCK };
                for g in 0..group {
                    let head = first_head + g;
                    let at = ((tile.rows.start + r) * heads.n_head + head) * dk;
                    let query = Query { q: &q[at..at + dk], head, heads };
                    let o = (r * group + g) * dv;
                    running[r * group + g].step(&query, &seen, &k, &v, &mut out[o..o + dv]);
                }
            }
        }
        for (out, running) in out.chunks_exact_mut(dv).zip(&running) {
            out.iter_mut().for_each(|x| *x /= running.sum);
        }
        out
    }
}

/// One head's query.
struct Query<'a> {
    q: &'a [f32],
    head: usize,
    heads: &'a Heads,
}

/// What a query at `pos` sees of the block that begins at `first`.
struct Seen {
    pos: usize,
    first: usize,
    lanes: Range<usize>,
}

/// Softmax over the blocks so far.
#[derive(Debug, Clone, Copy)]
struct Running {
    max: f32,
    sum: f32,
}

impl Running {
    /// Takes one more block in.
    fn step(&mut self, query: &Query<'_>, seen: &Seen, k: &[f32], v: &[f32], out: &mut [f32]) {
        let heads = query.heads;
        let mut scores = [0.0f32; BLOCK];
        for (&q, k) in query.q.iter().zip(k.chunks_exact(BLOCK)) {
            for (score, &k) in scores.iter_mut().zip(k) {
                *score += q * k;
            }
        }
        let mut max = self.max;
        for lane in seen.lanes.clone() {
            let mut score = scores[lane] * heads.scale;
            if let Some(cap) = heads.soft_cap {
                score = cap * math::tanh(score / cap);
            }
            if heads.alibi_max_bias.is_some() {
                let distance = (seen.pos - seen.first - lane) as f32;
                score -= distance * heads.alibi_slope(query.head) as f32;
            }
            scores[lane] = score;
            max = if score > max { score } else { max };
        }
        let shrink = math::exp(self.max - max);
        self.sum *= shrink;
        out.iter_mut().for_each(|x| *x *= shrink);
        for lane in seen.lanes.clone() {
            let p = math::exp(scores[lane] - max);
            self.sum += p;
            let v = v.chunks_exact(out.len()).nth(lane).expect("a value for each lane");
            out.iter_mut().zip(v).for_each(|(x, &v)| *x += p * v);
        }
        self.max = max;
    }
}
