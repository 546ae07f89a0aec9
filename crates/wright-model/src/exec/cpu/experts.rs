//! Matrices of heads and experts by the kernels.
//!
//! The rows that meet an expert are brought together and multiplied as one matrix; a row's result
//! does not depend on its company, since no kernel's does, and is added up by ascending expert.

use super::Cpu;
use super::buffers::Buf;
use crate::exec::Exec;
use crate::exec::routing::{Visit, visits};
use crate::network::{Bank, Experts};
use wright_kernels::quant::{PackedProduct, linear_packed_each};
use wright_kernels::{Activation, elementwise, gated, linear_f32};

impl<'p> Cpu<'p> {
    pub(super) fn each_head(&mut self, x: &Buf<'p>, bank: &Bank) -> Buf<'p> {
        let mut out = self.buffers.take(x.rows(), bank.n * bank.n_out);
        for head in 0..bank.n {
            let part = self.columns(x, head * bank.n_in, bank.n_in);
            let [part] = self.of_banks(&part, [bank], head);
            let width = out.cols;
            let rows = out.chunks_exact_mut(width).zip(part.chunks_exact(bank.n_out));
            for (out, part) in rows {
                out[head * bank.n_out..][..bank.n_out].copy_from_slice(part);
            }
        }
        out
    }

    /// `x` times matrix `index` of each bank.
    fn of_banks<const N: usize>(
        &mut self,
        x: &Buf<'p>,
        banks: [&Bank; N],
        index: usize,
    ) -> [Buf<'p>; N] {
        let mut outs = banks.map(|bank| self.buffers.take(x.rows(), bank.n_out));
        let packed = banks.map(|bank| self.weights.packed_of(bank, index));
        if packed.iter().all(Option::is_some) {
            self.rounded.set(self.pool, x, x.rows(), x.cols);
            let mut parts: Vec<PackedProduct<'_>> = packed
                .into_iter()
                .flatten()
                .zip(&mut outs)
                .map(|(weights, out)| PackedProduct { weights, y: out })
                .collect();
            linear_packed_each(self.pool, &mut parts, self.rounded);
        } else {
            let matrices = banks.map(|bank| self.model.matrix_of(bank, index));
            self.multiply_floats(matrices, x, &mut outs);
        }
        for (bank, out) in banks.iter().zip(&mut outs) {
            self.add_bias_of(out, bank, index);
        }
        outs
    }

    fn add_bias_of(&self, y: &mut Buf<'p>, bank: &Bank, index: usize) {
        if let Some(bias) = self.model.bias_of(bank, index) {
            elementwise::add_bias(self.pool, y, bias);
        }
    }

    pub(super) fn meet_experts(
        &mut self,
        x: &Buf<'p>,
        scores: &Buf<'p>,
        experts: &Experts,
    ) -> Buf<'p> {
        let bias = experts.choice_bias.map(|id| self.model.vector(id));
        let scores = scores.iter().map(|&score| f64::from(score));
        let visits = visits(&experts.routing, bias, scores);
        let mut out = self.buffers.take(x.rows(), experts.down.n_out);
        out.fill(0.0);
        if x.rows() == 1 && !experts.routing.weighs_input {
            self.meet_alone(x, &visits, experts, &mut out);
            return out;
        }
        for visit in &visits {
            let mut input = self.buffers.take(visit.rows.len(), x.cols);
            let places = input.chunks_exact_mut(x.cols);
            for (to, &(row, weight)) in places.zip(&visit.rows) {
                to.copy_from_slice(&x[row * x.cols..(row + 1) * x.cols]);
                if experts.routing.weighs_input {
                    to.iter_mut().for_each(|x| *x *= weight as f32);
                }
            }
            let (gate, up) = match &experts.gate {
                Some(gate) => {
                    let [gate, up] = self.of_banks(&input, [gate, &experts.up], visit.expert);
                    (Some(gate), up)
                }
                None => {
                    let [up] = self.of_banks(&input, [&experts.up], visit.expert);
                    (None, up)
                }
            };
            self.finish_expert(gate, up, visit, experts, &mut out);
        }
        out
    }

    /// One row: it is rounded once for all of its experts, and they share a call of the pool.
    fn meet_alone(&mut self, x: &Buf<'p>, visits: &[Visit], experts: &Experts, out: &mut Buf<'p>) {
        let first = [experts.gate, Some(experts.up)];
        let mut products: Vec<[Option<Buf<'p>>; 2]> = visits
            .iter()
            .map(|_| first.map(|bank| bank.map(|b| self.buffers.take(1, b.n_out))))
            .collect();
        let mut parts = Vec::new();
        for (visit, products) in visits.iter().zip(&mut products) {
            for (bank, product) in first.iter().zip(products) {
                let (Some(bank), Some(product)) = (bank, product) else { continue };
                match self.weights.packed_of(bank, visit.expert) {
                    Some(weights) => parts.push(PackedProduct { weights, y: product }),
                    None => {
                        let matrix = self.model.matrix_of(bank, visit.expert);
                        linear_f32(self.pool, &matrix, x, product);
                    }
                }
            }
        }
        if !parts.is_empty() {
            self.rounded.set(self.pool, x, 1, x.cols);
            linear_packed_each(self.pool, &mut parts, self.rounded);
        }
        for (visit, products) in visits.iter().zip(products) {
            let [mut gate, up] = products;
            let mut up = up.expect("experts have an up");
            self.add_bias_of(&mut up, &experts.up, visit.expert);
            if let (Some(gate), Some(bank)) = (&mut gate, &experts.gate) {
                self.add_bias_of(gate, bank, visit.expert);
            }
            self.finish_expert(gate, up, visit, experts, out);
        }
    }

    /// From an expert's gate and up to its part of the output.
    fn finish_expert(
        &mut self,
        gate: Option<Buf<'p>>,
        mut up: Buf<'p>,
        visit: &Visit,
        experts: &Experts,
        out: &mut Buf<'p>,
    ) {
        let hidden = match gate {
            None => self.activate(up, experts.activation),
            Some(mut gate) => {
                let mut activation = experts.activation;
                if experts.routing.clamped_gates {
                    gate.iter_mut().for_each(|x| *x = x.min(7.0));
                    up.iter_mut().for_each(|x| *x = x.clamp(-7.0, 7.0) + 1.0);
                    activation = Activation::GeluQuick;
                }
                let mut hidden = self.buffers.take(gate.rows(), gate.cols);
                gated(self.pool, activation, &gate, &up, &mut hidden);
                hidden
            }
        };
        let [y] = self.of_banks(&hidden, [&experts.down], visit.expert);
        for (&(row, weight), y) in visit.rows.iter().zip(y.chunks_exact(y.cols)) {
            let by = if experts.routing.weighs_input { 1.0 } else { weight as f32 };
            let out = &mut out[row * y.len()..(row + 1) * y.len()];
            out.iter_mut().zip(y).for_each(|(out, &y)| *out = y.mul_add(by, *out));
        }
    }
}
