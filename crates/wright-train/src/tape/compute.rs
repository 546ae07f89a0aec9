//! Values of the tape's operations: on the way forward, and again on the way back.

use super::{Op, Tape};
use wright_kernels::attention_train::{AttentionShape, Inputs, attention};
use wright_kernels::backward::{Curve, Direction, activate, axpy, gated, norm, rotate, scale};
use wright_kernels::gemm::{Into, Operand, gemm};
use wright_model::WeightId;
use wright_model::network::{Linear, Norm};

impl Tape<'_> {
    /// Computes value `id` from those that it is made of. `in_place`: the first of these is used
    /// up, and its buffer may become the new value's.
    pub(super) fn compute(&mut self, id: usize, in_place: bool) {
        let rows = self.rows;
        let data = match self.values[id].op {
            Op::Embed { table, scale } => self.lookup(table, &rows.ids, scale),
            Op::Positions { table } => self.lookup(table, &rows.positions, 1.0),
            Op::Linear { x, linear } => self.run_linear(x, &linear),
            Op::Norm { x, norm } => self.run_norm(x, &norm),
            Op::Rope { x, rope, head_dim } => {
                let mut y = self.buffer_of(x, in_place);
                let table = &self.ropes[rope];
                rotate(self.pool, table, Direction::Forward, &rows.positions, head_dim, &mut y);
                y
            }
            Op::Attend { q, k, v, shape, .. } => self.run_attend(id, [q, k, v], &shape),
            Op::Activate { x, curve } => {
                let mut y = self.arena.take(self.data(x).len());
                activate(self.pool, curve, self.data(x), &mut y);
                y
            }
            Op::Gated { gate, up, curve } => self.run_gated(gate, up, curve),
            Op::Add { a, b } => {
                let mut y = self.buffer_of(a, in_place);
                axpy(self.pool, 1.0, self.data(b), &mut y);
                y
            }
            Op::Mul { a, b } => {
                let mut y = self.buffer_of(a, in_place);
                y.iter_mut().zip(self.data(b)).for_each(|(y, b)| *y *= b);
                y
            }
            Op::Scale { x, by } => {
                let mut y = self.buffer_of(x, in_place);
                scale(self.pool, by, &mut y);
                y
            }
            Op::Columns { x, start } => self.run_columns(id, x, start),
            Op::Wanted { x } => self.run_wanted(x),
        };
        self.values[id].data = Some(data);
    }

    /// Computes again what the layer between two inputs kept, given the first of them.
    pub(super) fn compute_again(&mut self, input: usize, next: usize) {
        let mut last_use = vec![0; next - input];
        for id in input + 1..next {
            for from in self.values[id].op.inputs().into_iter().flatten().filter(|&x| x > input) {
                last_use[from - input] = id;
            }
        }
        for id in input + 1..next {
            let inputs = self.values[id].op.inputs();
            let done = |tape: &Self, x: usize| {
                x > input && last_use[x - input] == id && !tape.values[x].needed
            };
            let in_place = inputs[0].is_some_and(|x| done(self, x));
            self.compute(id, in_place);
            for x in inputs.into_iter().flatten() {
                if done(self, x) {
                    self.arena.give(self.values[x].data.take().unwrap_or_default());
                }
            }
        }
    }

    /// The buffer of a value that is used up, or a copy where it is still needed.
    fn buffer_of(&mut self, x: usize, in_place: bool) -> Vec<f32> {
        if in_place {
            return self.values[x].data.take().expect("a value in use is kept");
        }
        let mut copy = self.arena.take(self.data(x).len());
        let from = self.data(x);
        self.pool.for_chunks(&mut copy, 1 << 15, |i, part| {
            part.copy_from_slice(&from[i << 15..][..part.len()]);
        });
        copy
    }

    fn lookup(&mut self, table: WeightId, indices: &[u32], scale: f32) -> Vec<f32> {
        let cols = self.model.matrix(table).k;
        let mut out = self.arena.take(indices.len() * cols);
        let weights = self.parameters.of(table);
        self.pool.for_chunks(&mut out, 64 * cols, |task, out| {
            for (row, &index) in out.chunks_exact_mut(cols).zip(&indices[task * 64..]) {
                let from = &weights[index as usize * cols..][..cols];
                row.iter_mut().zip(from).for_each(|(o, w)| *o = w * scale);
            }
        });
        out
    }

    fn run_linear(&mut self, x: usize, linear: &Linear) -> Vec<f32> {
        let rows = self.n_rows(x);
        let (n, k) = (linear.n_out, linear.n_in);
        let mut y = self.arena.take(rows * n);
        let a = Operand::new(self.data(x), k);
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
        y
    }

    pub(super) fn run_norm(&mut self, x: usize, n: &Norm) -> Vec<f32> {
        let mut y = self.arena.take(self.data(x).len());
        let weight = n.weight.map(|id| self.parameters.of(id));
        let bias = n.bias.map(|id| self.parameters.of(id));
        norm(self.pool, super::norm_shape(n), self.data(x), weight, bias, &mut y);
        y
    }

    pub(super) fn run_gated(&mut self, gate: usize, up: usize, curve: Curve) -> Vec<f32> {
        let mut y = self.arena.take(self.data(gate).len());
        gated(self.pool, curve, self.data(gate), self.data(up), &mut y);
        y
    }

    fn run_attend(&mut self, id: usize, [q, k, v]: [usize; 3], shape: &AttentionShape) -> Vec<f32> {
        let (rows, cols) = (self.n_rows(q), self.values[id].cols);
        let mut out = self.arena.take(rows * cols);
        let mut all = self.arena.take(rows * shape.n_head);
        let inputs = Inputs { q: self.data(q), k: self.data(k), v: self.data(v) };
        attention(self.pool, shape, &self.spans, inputs, &mut out, &mut all);
        if let Op::Attend { lse, .. } = &mut self.values[id].op {
            *lse = all;
        }
        out
    }

    fn run_columns(&mut self, id: usize, x: usize, start: usize) -> Vec<f32> {
        let (len, cols) = (self.values[id].cols, self.values[x].cols);
        let mut y = self.arena.take(self.n_rows(x) * len);
        for (y, x) in y.chunks_exact_mut(len).zip(self.data(x).chunks_exact(cols)) {
            y.copy_from_slice(&x[start..start + len]);
        }
        y
    }

    fn run_wanted(&mut self, x: usize) -> Vec<f32> {
        let (cols, wanted) = (self.values[x].cols, &self.rows.wanted);
        let mut y = self.arena.take(wanted.len() * cols);
        for (y, &row) in y.chunks_exact_mut(cols).zip(wanted) {
            y.copy_from_slice(&self.data(x)[row as usize * cols..][..cols]);
        }
        y
    }
}

impl Op {
    /// The values that it is made of; the first may lend its buffer.
    pub(super) fn inputs(&self) -> [Option<usize>; 3] {
        match *self {
            Op::Embed { .. } | Op::Positions { .. } => [None; 3],
            Op::Attend { q, k, v, .. } => [Some(q), Some(k), Some(v)],
            Op::Gated { gate: a, up: b, .. } | Op::Add { a, b } | Op::Mul { a, b } => {
                [Some(a), Some(b), None]
            }
            Op::Linear { x, .. }
            | Op::Norm { x, .. }
            | Op::Rope { x, .. }
            | Op::Activate { x, .. }
            | Op::Scale { x, .. }
            | Op::Columns { x, .. }
            | Op::Wanted { x } => [Some(x), None, None],
        }
    }
}
