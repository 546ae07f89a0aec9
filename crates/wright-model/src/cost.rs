//! Runs no arithmetic: counts what a pass would do and move.
//!
//! FLOPs count a multiply-add as two. Bytes are those that a pass must read at least once from
//! memory: every weight that it uses (a whole matrix, but single rows of an embedding), the part of
//! the cache that it sees, and activations as f32, written once and read once.

use crate::batch::Rows;
use crate::config::{Heads, Temperature};
use crate::exec::{Exec, Qkv};
use crate::forward::forward;
use crate::model::Model;
use crate::network::{Bank, Experts, Linear, Norm, WeightId};
use std::ops::Add;
use wright_kernels::Activation;

/// The cost of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    pub flops: u64,
    /// Bytes of weights read, as they are stored in the file.
    pub weights_bytes: u64,
    /// Bytes of keys and values read and written.
    pub kv_bytes: u64,
    /// Bytes of activations read and written.
    pub activation_bytes: u64,
}

impl Cost {
    /// All bytes moved.
    pub fn bytes(&self) -> u64 {
        self.weights_bytes + self.kv_bytes + self.activation_bytes
    }

    /// What one pass over `rows` costs, with a cache of `kv_value_bytes` bytes a value.
    pub fn of(model: &Model, rows: &Rows, kv_value_bytes: usize) -> Cost {
        let mut counter = Counter { model, rows, kv_value_bytes, cost: Cost::default() };
        let logits = forward(&mut counter, model.network());
        counter.cost.activation_bytes += logits.bytes();
        counter.cost
    }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            flops: self.flops + other.flops,
            weights_bytes: self.weights_bytes + other.weights_bytes,
            kv_bytes: self.kv_bytes + other.kv_bytes,
            activation_bytes: self.activation_bytes + other.activation_bytes,
        }
    }
}

/// The executor that counts.
struct Counter<'p> {
    model: &'p Model,
    rows: &'p Rows,
    kv_value_bytes: usize,
    cost: Cost,
}

/// (rows, cols) of activations that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    rows: usize,
    cols: usize,
}

impl Size {
    fn len(self) -> u64 {
        self.rows as u64 * self.cols as u64
    }

    fn bytes(self) -> u64 {
        4 * self.len()
    }
}

impl Counter<'_> {
    /// `flops` for each value of `x`, which is read and written.
    fn each(&mut self, x: Size, flops: u64) -> Size {
        self.cost.flops += flops * x.len();
        self.cost.activation_bytes += 2 * x.bytes();
        x
    }

    fn lookup(&mut self, table: WeightId) -> Size {
        let matrix = self.model.matrix(table);
        let out = Size { rows: self.rows.len(), cols: matrix.k };
        self.cost.weights_bytes += (out.rows * matrix.row_bytes()) as u64;
        self.cost.activation_bytes += out.bytes();
        out
    }

    fn whole(&mut self, weight: Option<WeightId>) {
        let bytes = weight.map_or(0, |id| self.model.matrix(id).bytes.len());
        self.cost.weights_bytes += bytes as u64;
    }
}

/// Positions of the cache that the rows of a pass look at, each row counted.
fn seen(rows: &Rows, window: Option<u32>) -> u64 {
    let seen = |&pos: &u32| u64::from((pos + 1).min(window.unwrap_or(u32::MAX)));
    rows.positions.iter().map(seen).sum()
}

/// Positions of the cache that a pass reads, each once a span.
fn read(rows: &Rows, window: Option<u32>) -> u64 {
    let spans = rows.spans.iter().map(|span| {
        let n_new = span.rows.len() as u64;
        let reach = window.map_or(u64::MAX, |w| u64::from(w.saturating_sub(1)));
        u64::from(span.pos).min(reach) + n_new
    });
    spans.sum()
}

impl Exec for Counter<'_> {
    type Tensor = Size;

    fn embed(&mut self, table: WeightId, _scale: f32) -> Size {
        self.lookup(table)
    }

    fn embed_positions(&mut self, table: WeightId) -> Size {
        self.lookup(table)
    }

    fn embed_types(&mut self, table: WeightId) -> Size {
        self.lookup(table)
    }

    fn linear_heads(&mut self, x: &Size, bank: &Bank) -> Size {
        let y = Size { rows: x.rows, cols: bank.n * bank.n_out };
        self.whole((x.rows > 0).then_some(bank.weight));
        self.cost.flops += 2 * x.len() * bank.n_out as u64;
        self.cost.activation_bytes += x.bytes() + y.bytes();
        y
    }

    fn experts(&mut self, x: &Size, scores: &Size, experts: &Experts) -> Size {
        let routing = &experts.routing;
        // Rows meet experts as if by chance: those that none meets are not read.
        let missed = 1.0 - routing.n_used as f64 / routing.n_expert as f64;
        let met = 1.0 - missed.powi(i32::try_from(x.rows).unwrap_or(i32::MAX));
        let pairs = (x.rows * routing.n_used) as u64;
        for bank in [experts.gate, Some(experts.up), Some(experts.down)].into_iter().flatten() {
            let bytes = self.model.matrix(bank.weight).bytes.len() as f64 * met;
            self.cost.weights_bytes += bytes as u64;
            self.cost.flops += 2 * pairs * (bank.n_in * bank.n_out) as u64;
            self.cost.activation_bytes += 4 * pairs * (bank.n_in + bank.n_out) as u64;
        }
        self.cost.flops += 8 * scores.len();
        Size { rows: x.rows, cols: experts.down.n_out }
    }

    fn linear(&mut self, x: &Size, linear: &Linear) -> Size {
        let y = Size { rows: x.rows, cols: linear.n_out };
        // A pass whose rows are all unwanted never reads the head.
        if x.rows > 0 {
            self.whole(Some(linear.weight));
            self.whole(linear.bias);
        }
        self.cost.flops += 2 * x.len() * linear.n_out as u64;
        self.cost.activation_bytes += x.bytes() + y.bytes();
        y
    }

    fn norm(&mut self, x: &Size, norm: &Norm) -> Size {
        self.whole(norm.weight);
        self.whole(norm.bias);
        self.each(*x, 4)
    }

    fn rope(&mut self, x: Size, _rope: usize, _head_dim: usize) -> Size {
        self.each(x, 3)
    }

    fn attend(
        &mut self,
        _layer: usize,
        qkv: Qkv<Size>,
        heads: &Heads,
        sinks: Option<WeightId>,
    ) -> Size {
        self.whole(sinks);
        let out = Size { rows: qkv.q.rows, cols: heads.out_width() };
        let pairs = seen(self.rows, heads.window);
        let a_pair = 2 * heads.n_head * (heads.key_dim + heads.value_dim) + 4 * heads.n_head;
        self.cost.flops += pairs * a_pair as u64;
        let moved = read(self.rows, heads.window) + qkv.k.rows as u64;
        let width = heads.k_width() + heads.v_width();
        self.cost.kv_bytes += moved * (width * self.kv_value_bytes) as u64;
        let all = [qkv.q, qkv.k, qkv.v, out];
        self.cost.activation_bytes += all.map(Size::bytes).iter().sum::<u64>();
        out
    }

    fn activate(&mut self, x: Size, _activation: Activation) -> Size {
        self.each(x, 8)
    }

    fn add(&mut self, a: Size, _b: &Size) -> Size {
        self.cost.activation_bytes += a.bytes();
        self.each(a, 1)
    }

    fn mul(&mut self, a: Size, _b: &Size) -> Size {
        self.cost.activation_bytes += a.bytes();
        self.each(a, 1)
    }

    fn scale(&mut self, x: Size, _by: f32) -> Size {
        self.each(x, 1)
    }

    fn soft_cap(&mut self, x: Size, _cap: f32) -> Size {
        self.each(x, 8)
    }

    fn clamp(&mut self, x: Size, _limit: f32) -> Size {
        self.each(x, 2)
    }

    fn scale_rows(&mut self, x: Size, _by: &Size) -> Size {
        self.each(x, 1)
    }

    fn scale_by_position(&mut self, x: Size, _by: Temperature) -> Size {
        self.each(x, 1)
    }

    fn head_columns(&mut self, x: &Size, head_dim: usize, _start: usize, len: usize) -> Size {
        self.each(Size { rows: x.rows, cols: x.cols / head_dim * len }, 0)
    }

    fn join_heads(&mut self, a: &Size, b: &Size, _n_head: usize) -> Size {
        self.each(Size { rows: a.rows, cols: a.cols + b.cols }, 0)
    }

    fn columns(&mut self, x: &Size, _start: usize, len: usize) -> Size {
        self.each(Size { rows: x.rows, cols: len }, 0)
    }

    fn wanted_rows(&mut self, x: Size) -> Size {
        let wanted = Size { rows: self.rows.wanted.len(), cols: x.cols };
        self.each(wanted, 0)
    }
}
