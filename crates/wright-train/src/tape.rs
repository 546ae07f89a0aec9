//! The training executor: the same forward pass as inference, remembered for the way back.
//!
//! Each operation computes in f32 and leaves a note of itself; `backward` walks the notes from
//! the end and adds up gradients. A value is kept only while a handle to it lives or a note needs
//! it. Results of norms and gates are cheap and large, so they are not kept but computed again;
//! where memory is short, so is everything in a layer but its input. What is computed again has
//! the same bytes. The head is not run: its loss and gradients come from one pass over chunks of
//! rows.

use crate::Error;
use crate::parameters::Parameters;
use std::rc::{Rc, Weak};
use wright_kernels::attention_train::AttentionShape;
use wright_kernels::backward::{Curve, NormKind, NormShape, RopeTable};
use wright_kernels::head_loss::{Head, HeadGradients, Targets, head_loss};
use wright_kernels::{Activation, Pool};
use wright_model::config::{Heads, Temperature};
use wright_model::exec::Qkv;
use wright_model::network::{Bank, Experts, Linear, Norm, Projections};
use wright_model::{Exec, Model, Rows, WeightId};

mod backward;
mod compute;

/// Which value; alive as long as the forward pass holds it.
pub(crate) type Handle = Rc<usize>;

/// Buffers that go from step to step.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    free: Vec<Vec<f32>>,
    pub(crate) logits: Vec<f32>,
    /// Values in all buffers that were ever made; none is ever given back to the system.
    pub(crate) n_values: usize,
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
            None => {
                self.n_values += len;
                vec![0.0; len]
            }
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
    Embed {
        table: WeightId,
        scale: f32,
    },
    Positions {
        table: WeightId,
    },
    Linear {
        x: usize,
        linear: Linear,
    },
    Norm {
        x: usize,
        norm: Norm,
    },
    Rope {
        x: usize,
        rope: usize,
        head_dim: usize,
    },
    /// With the log-sum-exp of its scores, (rows, n_head).
    Attend {
        q: usize,
        k: usize,
        v: usize,
        shape: AttentionShape,
        lse: Vec<f32>,
    },
    Activate {
        x: usize,
        curve: Curve,
    },
    Gated {
        gate: usize,
        up: usize,
        curve: Curve,
    },
    Add {
        a: usize,
        b: usize,
    },
    Mul {
        a: usize,
        b: usize,
    },
    Scale {
        x: usize,
        by: f32,
    },
    Columns {
        x: usize,
        start: usize,
    },
    Wanted {
        x: usize,
    },
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
    /// Whether layers that are done leave their input alone.
    recompute: bool,
    /// The inputs of layers, in order.
    inputs: Vec<usize>,
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
            () if block.feed_forward.experts.is_some() => "it has experts",
            () if block.attention.clamp.is_some() => "its queries and keys are clamped",
            () if block.attention.temperature.is_some() => "its queries have a temperature",
            () if matches!(block.attention.projections, Projections::Latent(_)) => {
                "its keys and values are compressed"
            }
            () if heads.chunked => "its attention is chunked",
            () if block
                .feed_forward
                .mlp
                .as_ref()
                .is_none_or(|m| curve_of(m.activation).is_none()) =>
            {
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
        recompute: bool,
    ) -> Self {
        let spans = rows.spans.iter().map(|s| s.rows.clone()).collect();
        let (values, inputs) = (Vec::new(), Vec::new());
        Tape {
            model,
            pool,
            rows,
            parameters,
            ropes,
            arena,
            spans,
            values,
            head: None,
            recompute,
            inputs,
        }
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

    /// Notes `op` and computes its value; `in_place` as for [`Tape::compute`].
    fn make(&mut self, op: Op, cols: usize, in_place: bool) -> Handle {
        self.sweep();
        let id = self.values.len();
        let handle = Rc::new(id);
        let weak = Rc::downgrade(&handle);
        self.values.push(Value { op, cols, data: None, handle: weak, needed: false });
        self.compute(id, in_place);
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

    /// Whether nobody will ask for what `handle`, the caller's own, stands for.
    fn is_used_up(&self, handle: &Handle) -> bool {
        let value = &self.values[**handle];
        !value.needed && value.handle.strong_count() == 1
    }

    /// Forgets what the layer before the one that begins with `x` kept, but for its input.
    fn forget_layer(&mut self, x: usize) {
        self.need(x);
        if let Some(&last) = self.inputs.last() {
            for value in &mut self.values[last + 1..x] {
                self.arena.give(value.data.take().unwrap_or_default());
                if let Op::Attend { lse, .. } = &mut value.op {
                    self.arena.give(std::mem::take(lse));
                }
            }
        }
        self.inputs.push(x);
    }
}

impl Exec for Tape<'_> {
    type Tensor = Handle;

    fn begin_layer(&mut self, x: &Handle) {
        if self.recompute {
            self.forget_layer(**x);
        }
    }

    fn embed(&mut self, table: WeightId, scale: f32) -> Handle {
        let cols = self.model.matrix(table).k;
        self.make(Op::Embed { table, scale }, cols, false)
    }

    fn embed_positions(&mut self, table: WeightId) -> Handle {
        let cols = self.model.matrix(table).k;
        self.make(Op::Positions { table }, cols, false)
    }

    fn embed_types(&mut self, _table: WeightId) -> Handle {
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

    fn scale_by_position(&mut self, _x: Handle, _by: Temperature) -> Handle {
        refused()
    }

    fn head_columns(&mut self, _x: &Handle, _dim: usize, _start: usize, _len: usize) -> Handle {
        refused()
    }

    fn join_heads(&mut self, _a: &Handle, _b: &Handle, _n_head: usize) -> Handle {
        refused()
    }

    fn linear(&mut self, x: &Handle, linear: &Linear) -> Handle {
        // What a norm or a gate gave is computed again on the way back.
        if !matches!(self.values[**x].op, Op::Norm { .. } | Op::Gated { .. }) {
            self.need(**x);
        }
        self.make(Op::Linear { x: **x, linear: *linear }, linear.n_out, false)
    }

    fn norm(&mut self, x: &Handle, norm: &Norm) -> Handle {
        self.need(**x);
        let cols = self.values[**x].cols;
        self.make(Op::Norm { x: **x, norm: *norm }, cols, false)
    }

    fn rope(&mut self, x: Handle, rope: usize, head_dim: usize) -> Handle {
        let cols = self.values[*x].cols;
        let in_place = self.is_used_up(&x);
        self.make(Op::Rope { x: *x, rope, head_dim }, cols, in_place)
    }

    fn attend(
        &mut self,
        _layer: usize,
        Qkv { q, k, v }: Qkv<Handle>,
        heads: &Heads,
        _sinks: Option<WeightId>,
    ) -> Handle {
        let shape = AttentionShape {
            n_head: heads.n_head,
            n_kv_head: heads.n_kv_head,
            key_dim: heads.key_dim,
            value_dim: heads.value_dim,
            scale: heads.scale,
            window: heads.window.map(|w| w as usize),
        };
        [&q, &k, &v].into_iter().for_each(|x| self.need(**x));
        let op = Op::Attend { q: *q, k: *k, v: *v, shape, lse: Vec::new() };
        let handle = self.make(op, heads.out_width(), false);
        self.need(*handle);
        handle
    }

    fn activate(&mut self, x: Handle, activation: Activation) -> Handle {
        let (curve, cols) = (curve(activation), self.values[*x].cols);
        self.need(*x);
        self.make(Op::Activate { x: *x, curve }, cols, false)
    }

    fn add(&mut self, a: Handle, b: &Handle) -> Handle {
        let cols = self.values[*a].cols;
        let in_place = self.is_used_up(&a);
        self.make(Op::Add { a: *a, b: **b }, cols, in_place)
    }

    fn mul(&mut self, a: Handle, b: &Handle) -> Handle {
        let cols = self.values[*a].cols;
        self.need(*a);
        self.need(**b);
        self.make(Op::Mul { a: *a, b: **b }, cols, false)
    }

    fn scale(&mut self, x: Handle, by: f32) -> Handle {
        if let Some(head) = self.head.as_mut().filter(|head| head.x == *x) {
            head.scale *= by;
            return x;
        }
        let cols = self.values[*x].cols;
        let in_place = self.is_used_up(&x);
        self.make(Op::Scale { x: *x, by }, cols, in_place)
    }

    fn soft_cap(&mut self, x: Handle, cap: f32) -> Handle {
        let head = self.head.as_mut().filter(|head| head.x == *x);
        head.expect("only logits are capped outside of attention").soft_cap = Some(cap);
        x
    }

    fn columns(&mut self, x: &Handle, start: usize, len: usize) -> Handle {
        self.make(Op::Columns { x: **x, start }, len, false)
    }

    fn wanted_rows(&mut self, x: Handle) -> Handle {
        if self.rows.wanted.len() == self.rows.len() {
            return x;
        }
        let cols = self.values[*x].cols;
        self.make(Op::Wanted { x: *x }, cols, false)
    }

    fn gated(&mut self, gate: Handle, up: &Handle, activation: Activation) -> Handle {
        let (curve, cols) = (curve(activation), self.values[*gate].cols);
        self.need(*gate);
        self.need(**up);
        self.make(Op::Gated { gate: *gate, up: **up, curve }, cols, false)
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
