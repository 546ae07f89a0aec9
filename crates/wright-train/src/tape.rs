//! The training executor: the same forward pass as inference, remembered for the way back.
//!
//! Each operation computes in f32 and leaves a note of itself; `backward` walks the notes from
//! the end and adds up gradients. A value is kept only while a handle to it lives or a note needs
//! it. Results of norms and gates are cheap and large, so they are not kept but computed again.
//! The head is not run: its loss and gradients come from one pass over chunks of rows.

use crate::Error;
use crate::parameters::Parameters;
use std::rc::{Rc, Weak};
use wright_kernels::attention_train::{Inputs, Shape, attention};
use wright_kernels::backward::{
    Curve, Direction, NormKind, NormShape, RopeTable, activate, axpy, gated, norm, rotate,
};
use wright_kernels::gemm::{Into, Operand, gemm};
use wright_kernels::head_loss::{Head, HeadGradients, Targets, head_loss};
use wright_kernels::{Activation, Pool};
use wright_model::config::{Heads, Temperature};
use wright_model::exec::Qkv;
use wright_model::network::{Bank, Experts, Gate, Linear, Mlp, Norm, Projections};
use wright_model::{Exec, Model, Rows, WeightId};

mod backward;

/// Which value; alive as long as the forward pass holds it.
pub(crate) type Handle = Rc<usize>;

/// Buffers that go from step to step.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    free: Vec<Vec<f32>>,
    pub(crate) logits: Vec<f32>,
}

impl Arena {
    /// A buffer of `len` values; what they are does not matter.
    fn take(&mut self, len: usize) -> Vec<f32> {
        let fits = |b: &Vec<f32>| b.capacity() >= len && b.capacity() <= len + len / 4;
        match self.free.iter().position(fits) {
            Some(at) => {
                let mut buffer = self.free.swap_remove(at);
                buffer.resize(len, 0.0);
                buffer
            }
            None => vec![0.0; len],
        }
    }

    fn give(&mut self, buffer: Vec<f32>) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }
}

/// What is needed to undo an operation. Numbers are values of the tape.
#[derive(Debug)]
enum Op {
    Embed { table: WeightId, scale: f32 },
    Positions { table: WeightId },
    Linear { x: usize, linear: Linear },
    Norm { x: usize, norm: Norm },
    Rope { x: usize, rope: usize, head_dim: usize },
    Attend { q: usize, k: usize, v: usize, shape: Shape, lse: Vec<f32> },
    Activate { x: usize, curve: Curve },
    Gated { gate: usize, up: usize, curve: Curve },
    Add { a: usize, b: usize },
    Mul { a: usize, b: usize },
    Scale { x: usize, by: f32 },
    Columns { x: usize, start: usize },
    Wanted { x: usize },
}

#[derive(Debug)]
struct Value {
    op: Op,
    cols: usize,
    data: Option<Vec<f32>>,
    handle: Weak<usize>,
    /// Whether a note reads it on the way back.
    needed: bool,
}

/// The head, whose logits are never made.
#[derive(Debug, Clone, Copy)]
struct HeadOf {
    x: usize,
    linear: Linear,
    scale: f32,
    soft_cap: Option<f32>,
}

/// One pass, forward and back.
pub(crate) struct Tape<'p> {
    model: &'p Model,
    pool: &'p Pool,
    rows: &'p Rows,
    parameters: &'p Parameters,
    ropes: &'p [RopeTable],
    arena: &'p mut Arena,
    spans: Vec<std::ops::Range<usize>>,
    values: Vec<Value>,
    head: Option<HeadOf>,
}

/// The tables that rotations need for rows of up to `n_positions`.
pub(crate) fn rope_tables(model: &Model, n_positions: usize) -> Vec<RopeTable> {
    let one = |rope: &wright_model::rope::Rope| {
        RopeTable::new(rope.pairing, &rope.inv_freq, rope.magnitude, n_positions)
    };
    model.network().ropes.iter().map(one).collect()
}

/// Refuses models with an operation that has no gradient here.
pub(crate) fn check_trainable(model: &Model) -> Result<(), Error> {
    for block in &model.network().blocks {
        let heads = &block.attention.heads;
        let what = match () {
            () if heads.soft_cap.is_some() => "its attention scores are capped",
            () if heads.alibi_max_bias.is_some() => "its attention uses ALiBi",
            () if block.attention.sinks.is_some() => "its attention has sinks",
            () if !heads.causal => "it is an encoder",
            () if block.feed.experts.is_some() => "it has experts",
            () if block.attention.clamp.is_some() => "its queries and keys are clamped",
            () if block.attention.temperature.is_some() => "its queries have a temperature",
            () if matches!(block.attention.projections, Projections::Latent(_)) => {
                "its keys and values are compressed"
            }
            () if heads.chunked => "its attention is chunked",
            () if block.feed.mlp.as_ref().is_none_or(|m| curve_of(m.activation).is_none()) => {
                "its activation has no gradient"
            }
            () => continue,
        };
        return Err(Error::Unsupported(what.into()));
    }
    if model.network().head.bias.is_some() {
        return Err(Error::Unsupported("its head has a bias".into()));
    }
    Ok(())
}

fn curve_of(activation: Activation) -> Option<Curve> {
    match activation {
        Activation::Silu => Some(Curve::Silu),
        Activation::GeluTanh => Some(Curve::GeluTanh),
        Activation::ReluSquared => Some(Curve::ReluSquared),
        _ => None,
    }
}

/// An operation of a model that [`check_trainable`] refuses.
fn refused() -> ! {
    unreachable!("a model is checked before it is trained")
}

fn curve(activation: Activation) -> Curve {
    curve_of(activation).expect("a model is checked before it is trained")
}

fn norm_shape(norm: &Norm) -> NormShape {
    let kind = match norm.kind {
        wright_model::config::NormKind::Rms => NormKind::Rms,
        wright_model::config::NormKind::Layer => NormKind::Layer,
    };
    NormShape { kind, group: norm.group, eps: norm.eps }
}

impl<'p> Tape<'p> {
    pub(crate) fn new(
        model: &'p Model,
        pool: &'p Pool,
        rows: &'p Rows,
        parameters: &'p Parameters,
        ropes: &'p [RopeTable],
        arena: &'p mut Arena,
    ) -> Self {
        let spans = rows.spans.iter().map(|s| s.rows.clone()).collect();
        let values = Vec::new();
        Tape { model, pool, rows, parameters, ropes, arena, spans, values, head: None }
    }

    /// Losses of the wanted rows in nats and, where `gradients` is given, adds to it the
    /// gradients of the sum of weight × loss. Call it once, after `forward`.
    pub(crate) fn finish(
        mut self,
        ids: &[u32],
        weights: &[f32],
        gradients: Option<&mut Parameters>,
    ) -> Vec<f32> {
        let head_of = self.head.expect("forward has run");
        let mut losses = vec![0.0; ids.len()];
        let weight = self.parameters.of(head_of.linear.weight);
        let head = Head {
            weight,
            n_vocab: head_of.linear.n_out,
            n_embd: head_of.linear.n_in,
            scale: head_of.scale,
            soft_cap: head_of.soft_cap,
        };
        let x = self.value(head_of.x);
        let targets = Targets { ids, weights };
        let mut scratch = std::mem::take(&mut self.arena.logits);
        match gradients {
            None => head_loss(self.pool, &head, &x, targets, &mut losses, None, &mut scratch),
            Some(gradients) => {
                let mut dx = self.arena.take(x.len());
                let dweight = gradients.of_mut(head_of.linear.weight);
                let to = Some(HeadGradients { dx: &mut dx, dweight });
                head_loss(self.pool, &head, &x, targets, &mut losses, to, &mut scratch);
                self.arena.give(x);
                self.backward(head_of.x, dx, gradients);
            }
        }
        self.arena.logits = scratch;
        for value in self.values.drain(..) {
            self.arena.give(value.data.unwrap_or_default());
        }
        losses
    }

    fn data(&self, id: usize) -> &[f32] {
        self.values[id].data.as_deref().expect("a value in use is kept")
    }

    fn n_rows(&self, id: usize) -> usize {
        self.data(id).len() / self.values[id].cols
    }

    fn need(&mut self, id: usize) {
        self.values[id].needed = true;
    }

    /// Notes that `op` made `data`.
    fn push(&mut self, op: Op, cols: usize, data: Vec<f32>) -> Handle {
        self.sweep();
        let handle = Rc::new(self.values.len());
        let weak = Rc::downgrade(&handle);
        self.values.push(Value { op, cols, data: Some(data), handle: weak, needed: false });
        handle
    }

    /// Frees values that nobody holds and nothing needs.
    fn sweep(&mut self) {
        // Handles live a layer or so: older values were swept before.
        let recent = self.values.len().saturating_sub(64);
        for value in &mut self.values[recent..] {
            if !value.needed && value.handle.strong_count() == 0 {
                self.arena.give(value.data.take().unwrap_or_default());
            }
        }
    }

    /// The buffer of a value that is used up, or a copy where it is still needed.
    fn reuse(&mut self, handle: &Handle) -> Vec<f32> {
        let value = &mut self.values[**handle];
        if !value.needed && value.handle.strong_count() == 1 {
            return value.data.take().expect("a value in use is kept");
        }
        let mut copy = self.arena.take(self.data(**handle).len());
        let from = self.data(**handle);
        self.pool.for_chunks(&mut copy, 1 << 15, |i, part| {
            part.copy_from_slice(&from[i << 15..][..part.len()]);
        });
        copy
    }

    fn lookup(&mut self, table: WeightId, indices: &[u32], scale: f32) -> (Vec<f32>, usize) {
        let cols = self.model.matrix(table).k;
        let mut out = self.arena.take(indices.len() * cols);
        let weights = self.parameters.of(table);
        self.pool.for_chunks(&mut out, 64 * cols, |task, out| {
            for (row, &index) in out.chunks_exact_mut(cols).zip(&indices[task * 64..]) {
                let from = &weights[index as usize * cols..][..cols];
                row.iter_mut().zip(from).for_each(|(o, w)| *o = w * scale);
            }
        });
        (out, cols)
    }

    fn run_norm(&mut self, x: usize, n: &Norm) -> Vec<f32> {
        let mut y = self.arena.take(self.data(x).len());
        let weight = n.weight.map(|id| self.parameters.of(id));
        let bias = n.bias.map(|id| self.parameters.of(id));
        norm(self.pool, norm_shape(n), self.data(x), weight, bias, &mut y);
        y
    }

    fn run_gated(&mut self, gate: usize, up: usize, curve: Curve) -> Vec<f32> {
        let mut y = self.arena.take(self.data(gate).len());
        gated(self.pool, curve, self.data(gate), self.data(up), &mut y);
        y
    }

    fn gate(&mut self, gate: &Handle, up: &Handle, activation: Activation) -> Handle {
        let (curve, cols) = (curve(activation), self.values[**gate].cols);
        let y = self.run_gated(**gate, **up, curve);
        self.need(**gate);
        self.need(**up);
        self.push(Op::Gated { gate: **gate, up: **up, curve }, cols, y)
    }
}

impl Exec for Tape<'_> {
    type Tensor = Handle;

    fn embed(&mut self, table: WeightId, scale: f32) -> Handle {
        let rows = self.rows;
        let (out, cols) = self.lookup(table, &rows.ids, scale);
        self.push(Op::Embed { table, scale }, cols, out)
    }

    fn embed_positions(&mut self, table: WeightId) -> Handle {
        let rows = self.rows;
        let (out, cols) = self.lookup(table, &rows.positions, 1.0);
        self.push(Op::Positions { table }, cols, out)
    }

    fn embed_first(&mut self, _table: WeightId) -> Handle {
        refused()
    }

    fn linear_heads(&mut self, _x: &Handle, _bank: &Bank) -> Handle {
        refused()
    }

    fn experts(&mut self, _x: &Handle, _scores: &Handle, _experts: &Experts) -> Handle {
        refused()
    }

    fn clamp(&mut self, _x: Handle, _limit: f32) -> Handle {
        refused()
    }

    fn scale_rows(&mut self, _x: Handle, _by: &Handle) -> Handle {
        refused()
    }

    fn warm(&mut self, _x: Handle, _by: Temperature) -> Handle {
        refused()
    }

    fn head_columns(&mut self, _x: &Handle, _dim: usize, _start: usize, _len: usize) -> Handle {
        refused()
    }

    fn join_heads(&mut self, _a: &Handle, _b: &Handle, _n_head: usize) -> Handle {
        refused()
    }

    fn linear(&mut self, x: &Handle, linear: &Linear) -> Handle {
        let rows = self.n_rows(**x);
        let (n, k) = (linear.n_out, linear.n_in);
        let mut y = self.arena.take(rows * n);
        let a = Operand::new(self.data(**x), k);
        let w = Operand::transposed(self.parameters.of(linear.weight), k);
        gemm(self.pool, (rows, n, k), a, w, &mut y, n, Into::Overwrite);
        if let Some(bias) = linear.bias {
            let bias = self.parameters.of(bias);
            self.pool.for_chunks(&mut y, 32 * n, |_, y| {
                for row in y.chunks_exact_mut(n) {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            });
        }
        // What a norm or a gate gave is computed again on the way back.
        if !matches!(self.values[**x].op, Op::Norm { .. } | Op::Gated { .. }) {
            self.need(**x);
        }
        self.push(Op::Linear { x: **x, linear: *linear }, n, y)
    }

    fn norm(&mut self, x: &Handle, norm: &Norm) -> Handle {
        let y = self.run_norm(**x, norm);
        self.need(**x);
        let cols = self.values[**x].cols;
        self.push(Op::Norm { x: **x, norm: *norm }, cols, y)
    }

    fn rope(&mut self, x: Handle, rope: usize, head_dim: usize) -> Handle {
        let cols = self.values[*x].cols;
        let mut y = self.reuse(&x);
        let (table, rows) = (&self.ropes[rope], self.rows);
        rotate(self.pool, table, Direction::Forward, &rows.positions, head_dim, &mut y);
        self.push(Op::Rope { x: *x, rope, head_dim }, cols, y)
    }

    fn attend(
        &mut self,
        _layer: usize,
        Qkv { q, k, v }: Qkv<Handle>,
        heads: &Heads,
        _sinks: Option<WeightId>,
    ) -> Handle {
        let shape = Shape {
            n_head: heads.n_head,
            n_kv_head: heads.n_kv_head,
            key_dim: heads.key_dim,
            value_dim: heads.value_dim,
            scale: heads.scale,
            window: heads.window.map(|w| w as usize),
        };
        let rows = self.n_rows(*q);
        let mut out = self.arena.take(rows * heads.out_width());
        let mut lse = self.arena.take(rows * heads.n_head);
        let inputs = Inputs { q: self.data(*q), k: self.data(*k), v: self.data(*v) };
        attention(self.pool, &shape, &self.spans, inputs, &mut out, &mut lse);
        [&q, &k, &v].into_iter().for_each(|x| self.need(**x));
        let op = Op::Attend { q: *q, k: *k, v: *v, shape, lse };
        let handle = self.push(op, heads.out_width(), out);
        self.need(*handle);
        handle
    }

    fn activate(&mut self, x: Handle, activation: Activation) -> Handle {
        let (curve, cols) = (curve(activation), self.values[*x].cols);
        let mut y = self.arena.take(self.data(*x).len());
        activate(self.pool, curve, self.data(*x), &mut y);
        self.need(*x);
        self.push(Op::Activate { x: *x, curve }, cols, y)
    }

    fn add(&mut self, a: Handle, b: &Handle) -> Handle {
        let cols = self.values[*a].cols;
        let mut y = self.reuse(&a);
        axpy(self.pool, 1.0, self.data(**b), &mut y);
        self.push(Op::Add { a: *a, b: **b }, cols, y)
    }

    fn mul(&mut self, a: Handle, b: &Handle) -> Handle {
        let cols = self.values[*a].cols;
        self.need(*a);
        self.need(**b);
        let mut y = self.reuse(&a);
        y.iter_mut().zip(self.data(**b)).for_each(|(y, b)| *y *= b);
        self.push(Op::Mul { a: *a, b: **b }, cols, y)
    }

    fn scale(&mut self, x: Handle, by: f32) -> Handle {
        if let Some(head) = self.head.as_mut().filter(|head| head.x == *x) {
            head.scale *= by;
            return x;
        }
        let cols = self.values[*x].cols;
        let mut y = self.reuse(&x);
        wright_kernels::backward::scale(self.pool, by, &mut y);
        self.push(Op::Scale { x: *x, by }, cols, y)
    }

    fn soft_cap(&mut self, x: Handle, cap: f32) -> Handle {
        let head = self.head.as_mut().filter(|head| head.x == *x);
        head.expect("only logits are capped outside of attention").soft_cap = Some(cap);
        x
    }

    fn columns(&mut self, x: &Handle, start: usize, len: usize) -> Handle {
        let cols = self.values[**x].cols;
        let mut y = self.arena.take(self.n_rows(**x) * len);
        for (y, x) in y.chunks_exact_mut(len).zip(self.data(**x).chunks_exact(cols)) {
            y.copy_from_slice(&x[start..start + len]);
        }
        self.push(Op::Columns { x: **x, start }, len, y)
    }

    fn wanted_rows(&mut self, x: Handle) -> Handle {
        if self.rows.wanted.len() == self.rows.len() {
            return x;
        }
        let cols = self.values[*x].cols;
        let mut y = self.arena.take(self.rows.wanted.len() * cols);
        for (y, &row) in y.chunks_exact_mut(cols).zip(&self.rows.wanted) {
            y.copy_from_slice(&self.data(*x)[row as usize * cols..][..cols]);
        }
        self.push(Op::Wanted { x: *x }, cols, y)
    }

    fn gated_mlp(&mut self, x: &Handle, norm: Option<&Norm>, mlp: &Mlp) -> Handle {
        let hidden = match &mlp.gate {
            Gate::None => {
                let [up] = self.norm_linears(x, norm, [&mlp.up]);
                self.activate(up, mlp.activation)
            }
            Gate::Split(gate) => {
                let [gate, up] = self.norm_linears(x, norm, [gate, &mlp.up]);
                self.gate(&gate, &up, mlp.activation)
            }
            Gate::FusedWithUp => {
                let [both] = self.norm_linears(x, norm, [&mlp.up]);
                let gate = self.columns(&both, 0, mlp.down.n_in);
                let up = self.columns(&both, mlp.down.n_in, mlp.down.n_in);
                self.gate(&gate, &up, mlp.activation)
            }
        };
        self.linear(&hidden, &mlp.down)
    }

    /// Only what goes into the head; [`Tape::finish`] does the rest.
    fn head(&mut self, x: &Handle, norm: Option<&Norm>, linear: &Linear) -> Handle {
        let x = match norm {
            Some(norm) => self.norm(x, norm),
            None => Rc::clone(x),
        };
        self.need(*x);
        self.head = Some(HeadOf { x: *x, linear: *linear, scale: 1.0, soft_cap: None });
        x
    }
}
