//! The way back over the tape's notes.

use super::{Op, Tape, norm_shape};
use crate::parameters::Parameters;
use wright_kernels::attention_train::{
    AttentionShape, Gradients, Inputs, Outputs, attention_backward,
};
use wright_kernels::backward::{
    Direction, activate_backward, axpy, embed_backward, gated_backward, norm_backward, rotate,
    sum_rows,
};
use wright_kernels::gemm::{Into, Operand, gemm};
use wright_model::network::{Linear, Norm};

/// Gradients of values on the tape, where there are any yet.
type Grads = Vec<Option<Vec<f32>>>;

impl Tape<'_> {
    /// The value itself, taken off the tape: computed again if it was not kept.
    pub(super) fn value(&mut self, id: usize) -> Vec<f32> {
        if let Some(data) = self.values[id].data.take() {
            return data;
        }
        match self.values[id].op {
            Op::Norm { x, ref norm } => {
                let norm = *norm;
                self.run_norm(x, &norm)
            }
            Op::Gated { gate, up, curve } => self.run_gated(gate, up, curve),
            ref op => unreachable!("{op:?} keeps its value where it is needed"),
        }
    }

    /// Adds all gradients, given that of value `last`.
    pub(super) fn backward(&mut self, last: usize, d: Vec<f32>, gradients: &mut Parameters) {
        let mut grads: Grads = Vec::new();
        grads.resize_with(self.values.len(), || None);
        grads[last] = Some(d);
        for id in (0..=last).rev() {
            self.enter_layer(id);
            if let Some(dy) = grads[id].take() {
                self.undo(id, dy, &mut grads, gradients);
            }
            // Whatever reads this value lies behind us.
            if let Some(data) = self.values[id].data.take() {
                self.arena.give(data);
            }
        }
    }

    /// Where `id` is the input of a layer, what the layer before it forgot is computed again.
    fn enter_layer(&mut self, id: usize) {
        if self.inputs.last() == Some(&id) {
            self.inputs.pop();
            if let Some(&input) = self.inputs.last() {
                self.compute_again(input, id);
            }
        }
    }

    /// Adds `d` to the gradient of value `id`.
    fn send(&mut self, grads: &mut Grads, id: usize, d: Vec<f32>) {
        match &mut grads[id] {
            Some(sum) => {
                axpy(self.pool, 1.0, &d, sum);
                self.arena.give(d);
            }
            none => *none = Some(d),
        }
    }

    /// The gradient of value `id` to add to, and whether it holds something already.
    fn open(&mut self, grads: &mut Grads, id: usize, len: usize) -> (Vec<f32>, bool) {
        match grads[id].take() {
            Some(sum) => (sum, true),
            None => (self.arena.take(len), false),
        }
    }

    // tidy: long: one arm for each operation of the tape
    fn undo(&mut self, id: usize, mut dy: Vec<f32>, grads: &mut Grads, to: &mut Parameters) {
        match &mut self.values[id].op {
            &mut Op::Embed { table, scale } => {
                let (rows, cols) = (self.rows, self.values[id].cols);
                embed_backward(self.pool, &rows.ids, &dy, scale, to.of_mut(table), cols);
                self.arena.give(dy);
            }
            &mut Op::Positions { table } => {
                let (rows, cols) = (self.rows, self.values[id].cols);
                embed_backward(self.pool, &rows.positions, &dy, 1.0, to.of_mut(table), cols);
                self.arena.give(dy);
            }
            &mut Op::Linear { x, linear } => {
                self.undo_linear(x, &linear, &dy, grads, to);
                self.arena.give(dy);
            }
            &mut Op::Norm { x, norm } => self.undo_norm(x, &norm, dy, grads, to),
            &mut Op::Rope { x, rope, head_dim } => {
                let (table, rows) = (&self.ropes[rope], self.rows);
                rotate(self.pool, table, Direction::Back, &rows.positions, head_dim, &mut dy);
                self.send(grads, x, dy);
            }
            Op::Attend { q, k, v, shape, lse } => {
                let (ids, shape, lse) = ([*q, *k, *v], *shape, std::mem::take(lse));
                self.undo_attend(id, ids, &shape, lse, dy, grads);
            }
            &mut Op::Activate { x, curve } => {
                activate_backward(self.pool, curve, self.data(x), &mut dy);
                self.send(grads, x, dy);
            }
            &mut Op::Gated { gate, up, curve } => {
                let (mut dgate, mut dup) = (self.value(gate), self.value(up));
                gated_backward(self.pool, curve, &mut dgate, &mut dup, &dy);
                self.arena.give(dy);
                self.send(grads, gate, dgate);
                self.send(grads, up, dup);
            }
            &mut Op::Add { a, b } => {
                if let Some((x, linear)) = self.only_added(b, id) {
                    self.undo_linear(x, &linear, &dy, grads, to);
                    return self.send(grads, a, dy);
                }
                let mut copy = self.arena.take(dy.len());
                self.pool.for_chunks(&mut copy, 1 << 15, |i, part| {
                    part.copy_from_slice(&dy[i << 15..][..part.len()]);
                });
                self.send(grads, b, copy);
                self.send(grads, a, dy);
            }
            &mut Op::Mul { a, b } => {
                let mut db = self.arena.take(dy.len());
                db.iter_mut().zip(&dy).zip(self.data(a)).for_each(|((d, y), a)| *d = y * a);
                dy.iter_mut().zip(self.data(b)).for_each(|(d, b)| *d *= b);
                self.send(grads, b, db);
                self.send(grads, a, dy);
            }
            &mut Op::Scale { x, by } => {
                wright_kernels::backward::scale(self.pool, by, &mut dy);
                self.send(grads, x, dy);
            }
            &mut Op::Columns { x, start } => {
                let (len, cols) = (self.values[id].cols, self.values[x].cols);
                let (mut dx, held) = self.open(grads, x, dy.len() / len * cols);
                if !held {
                    dx.fill(0.0);
                }
                for (dx, dy) in dx.chunks_exact_mut(cols).zip(dy.chunks_exact(len)) {
                    dx[start..start + len].iter_mut().zip(dy).for_each(|(x, y)| *x += y);
                }
                self.arena.give(dy);
                grads[x] = Some(dx);
            }
            &mut Op::Wanted { x } => {
                let cols = self.values[x].cols;
                let (mut dx, held) = self.open(grads, x, self.rows.len() * cols);
                if !held {
                    dx.fill(0.0);
                }
                for (dy, &row) in dy.chunks_exact(cols).zip(&self.rows.wanted) {
                    let dx = &mut dx[row as usize * cols..][..cols];
                    dx.iter_mut().zip(dy).for_each(|(x, y)| *x += y);
                }
                self.arena.give(dy);
                grads[x] = Some(dx);
            }
        }
    }

    /// The linear map that made value `b`, if nothing but the sum `id` reads that value: both have
    /// the same gradient then, and no copy of it is needed.
    fn only_added(&self, b: usize, id: usize) -> Option<(usize, Linear)> {
        let Op::Linear { x, linear } = self.values[b].op else { return None };
        let reads = |op: &Op| op.inputs().contains(&Some(b));
        let is_read = self.values[b + 1..id].iter().any(|value| reads(&value.op));
        let twice = self.values[id].op.inputs()[0] == Some(b);
        (!is_read && !twice).then_some((x, linear))
    }

    /// y = x Wᵀ + b: dW += dyᵀ x, db += sum of rows, dx = dy W.
    fn undo_linear(
        &mut self,
        x: usize,
        linear: &Linear,
        dy: &[f32],
        grads: &mut Grads,
        to: &mut Parameters,
    ) {
        let (n, k) = (linear.n_out, linear.n_in);
        let rows = dy.len() / n;
        let value = self.value(x);
        let dw = to.of_mut(linear.weight);
        let across = Operand::transposed(dy, n);
        gemm(self.pool, (n, k, rows), across, Operand::new(&value, k), dw, k, Into::Add);
        self.values[x].data = Some(value);
        if let Some(bias) = linear.bias {
            sum_rows(self.pool, dy, to.of_mut(bias));
        }
        let (mut dx, held) = self.open(grads, x, rows * k);
        let w = Operand::new(self.parameters.of(linear.weight), k);
        let into = if held { Into::Add } else { Into::Overwrite };
        gemm(self.pool, (rows, k, n), Operand::new(dy, n), w, &mut dx, k, into);
        grads[x] = Some(dx);
    }

    fn undo_norm(
        &mut self,
        x: usize,
        norm: &Norm,
        dy: Vec<f32>,
        grads: &mut Grads,
        to: &mut Parameters,
    ) {
        let (mut dx, held) = self.open(grads, x, dy.len());
        if !held {
            self.pool.for_chunks(&mut dx, 1 << 15, |_, part| part.fill(0.0));
        }
        let len = norm.group;
        let (mut dw, mut db) = (vec![0.0; len], vec![0.0; len]);
        let weight = norm.weight.map(|id| self.parameters.of(id));
        let (dw_to, db_to) = (Some(&mut dw[..]), Some(&mut db[..]));
        let shape = norm_shape(norm);
        norm_backward(self.pool, shape, self.data(x), weight, &dy, &mut dx, dw_to, db_to);
        for (id, d) in [(norm.weight, dw), (norm.bias, db)] {
            if let Some(id) = id {
                to.of_mut(id).iter_mut().zip(&d).for_each(|(sum, d)| *sum += d);
            }
        }
        grads[x] = Some(dx);
        self.arena.give(dy);
    }

    fn undo_attend(
        &mut self,
        id: usize,
        [q, k, v]: [usize; 3],
        shape: &AttentionShape,
        lse: Vec<f32>,
        dy: Vec<f32>,
        grads: &mut Grads,
    ) {
        let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| self.arena.take(self.data(x).len()));
        let inputs = Inputs { q: self.data(q), k: self.data(k), v: self.data(v) };
        let outputs = Outputs { out: self.data(id), lse: &lse };
        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        attention_backward(self.pool, shape, &self.spans, inputs, outputs, &dy, gradients);
        self.arena.give(dy);
        self.arena.give(lse);
        for (x, d) in [(q, dq), (k, dk), (v, dv)] {
            self.send(grads, x, d);
        }
    }
}
