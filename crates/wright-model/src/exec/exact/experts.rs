//! Matrices of heads and experts, written out plainly.

use super::{Exact, Mat, Real, dot};
use crate::exec::Exec;
use crate::exec::routing::visits;
use crate::network::{Bank, Experts};
use wright_kernels::{Activation, dequantize};

impl<R: Real> Exact<'_, R> {
    /// `x`, (rows, n_in), times one matrix of a bank.
    fn of_bank(&self, x: &Mat<R>, bank: &Bank, index: usize) -> Mat<R> {
        let matrix = self.model.matrix_of(bank, index);
        let bias = self.model.bias_of(bank, index);
        let rows = x.rows();
        let mut y = Mat::zeros(rows, bank.n_out);
        let mut raw = vec![0.0; bank.n_in];
        for n in 0..bank.n_out {
            dequantize(matrix.dtype, matrix.row(n), &mut raw);
            let weights: Vec<R> = raw.iter().map(|&w| R::from_f32(w)).collect();
            for (row, x) in x.data.chunks_exact(x.cols).enumerate() {
                let bias = R::from_f32(bias.map_or(0.0, |b| b[n]));
                y.data[row * bank.n_out + n] = dot(x, &weights) + bias;
            }
        }
        y
    }

    pub(super) fn each_head(&mut self, x: &Mat<R>, bank: &Bank) -> Mat<R> {
        let mut y = Mat::zeros(x.rows(), bank.n * bank.n_out);
        for head in 0..bank.n {
            let part = self.columns(x, head * bank.n_in, bank.n_in);
            let part = self.of_bank(&part, bank, head);
            let rows = y.data.chunks_exact_mut(y.cols).zip(part.data.chunks_exact(bank.n_out));
            for (y, part) in rows {
                y[head * bank.n_out..][..bank.n_out].copy_from_slice(part);
            }
        }
        y
    }

    pub(super) fn meet_experts(
        &mut self,
        x: &Mat<R>,
        scores: &Mat<R>,
        experts: &Experts,
    ) -> Mat<R> {
        let routing = &experts.routing;
        let bias = experts.choice_bias.map(|id| self.model.vector(id));
        let mut out = Mat::zeros(x.rows(), experts.down.n_out);
        for visit in visits(routing, bias, scores.data.iter().map(|s| s.to_f64())) {
            let mut input = Mat { data: Vec::new(), cols: x.cols };
            for &(row, weight) in &visit.rows {
                let by = if routing.weighs_input { R::of(weight) } else { R::of(1.0) };
                let row = &x.data[row * x.cols..(row + 1) * x.cols];
                input.data.extend(row.iter().map(|&x| x * by));
            }
            let hidden = self.expert_hidden(&input, experts, visit.expert);
            let y = self.of_bank(&hidden, &experts.down, visit.expert);
            for (&(row, weight), y) in visit.rows.iter().zip(y.data.chunks_exact(y.cols)) {
                let by = if routing.weighs_input { R::of(1.0) } else { R::of(weight) };
                let out = &mut out.data[row * y.len()..(row + 1) * y.len()];
                out.iter_mut().zip(y).for_each(|(out, &y)| *out += y * by);
            }
        }
        out
    }

    /// What an expert's `down` reads.
    fn expert_hidden(&mut self, input: &Mat<R>, experts: &Experts, expert: usize) -> Mat<R> {
        let up = self.of_bank(input, &experts.up, expert);
        let Some(gate) = &experts.gate else { return self.activate(up, experts.activation) };
        let gate = self.of_bank(input, gate, expert);
        if !experts.routing.clamped_gates {
            let gate = self.activate(gate, experts.activation);
            return self.mul(gate, &up);
        }
        let limit = R::of(7.0);
        let gate = gate.map(|x| if x > limit { limit } else { x });
        let gate = self.activate(gate, Activation::GeluQuick);
        let up = self.clamp(up, 7.0).map(|x| x + R::of(1.0));
        self.mul(gate, &up)
    }
}
