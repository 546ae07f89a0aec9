//! Weights in the form that the fast executor multiplies with.

use crate::model::Model;
use crate::network::{Bank, Gate, Linear, Mlp, Network, Projections, WeightId};
use std::ops::Range;
use wright_kernels::Pool;
use wright_kernels::quant::Packed;

/// For each weight, its repacked form if it has one; the others are read from the file.
#[derive(Debug, Default)]
pub struct CpuWeights {
    packed: Vec<Option<Packed>>,
    /// The same for matrices of heads and experts, one for each.
    banks: Vec<Vec<Packed>>,
}

impl CpuWeights {
    /// Every weight as it lies in the file: products in f32, and nothing to prepare.
    pub fn in_place(model: &Model) -> CpuWeights {
        let n = model.tensors().len();
        CpuWeights { packed: (0..n).map(|_| None).collect(), banks: vec![Vec::new(); n] }
    }

    /// Repacks each matrix of a linear map whose format has an integer kernel. `release` is told
    /// the range of the file (of a split model, of its first part) that each lay in as soon as it
    /// is done. Single rows of a tied embedding are still read from there.
    pub fn repack(model: &Model, pool: &Pool, release: &dyn Fn(Range<usize>)) -> CpuWeights {
        let mut weights = CpuWeights::in_place(model);
        let done = |weight: WeightId| {
            let tensor = &model.tensors()[weight.index()];
            if tensor.part == 0 {
                release(tensor.at.clone());
            }
        };
        for linear in linears(model.network()) {
            let slot = &mut weights.packed[linear.weight.index()];
            if slot.is_none() {
                *slot = Packed::new(pool, model.matrix(linear.weight));
                slot.iter().for_each(|_| done(linear.weight));
            }
        }
        for bank in banks(model.network()) {
            let all = (0..bank.n).map(|i| Packed::new(pool, model.matrix_of(&bank, i)));
            if let Some(all) = all.collect::<Option<_>>() {
                weights.banks[bank.weight.index()] = all;
                done(bank.weight);
            }
        }
        weights
    }

    pub fn packed(&self, weight: WeightId) -> Option<&Packed> {
        self.packed[weight.index()].as_ref()
    }

    /// The matrix of one head or expert.
    pub fn packed_of(&self, bank: &Bank, index: usize) -> Option<&Packed> {
        self.banks[bank.weight.index()].get(index)
    }

    /// Bytes that the repacked forms take.
    pub fn n_bytes(&self) -> usize {
        let all = self.packed.iter().flatten().chain(self.banks.iter().flatten());
        all.map(|p| p.as_bytes().len()).sum()
    }
}

/// Every linear map of a network.
fn linears(network: &Network) -> Vec<Linear> {
    let mut all = vec![network.head];
    for block in &network.blocks {
        match &block.attention.projections {
            Projections::Split { q, k, v } => all.extend([q, k, v]),
            Projections::Fused(linear) => all.push(*linear),
            Projections::Latent(latent) => {
                all.extend(latent.q_a.map(|(linear, _)| linear));
                all.extend([latent.q, latent.kv_a]);
            }
        }
        all.push(block.attention.out);
        if let Some(Mlp { gate, up, down, .. }) = &block.feed.mlp {
            if let Gate::Split(gate) = gate {
                all.push(*gate);
            }
            all.extend([up, down]);
        }
    }
    all
}

/// Every bank of matrices.
fn banks(network: &Network) -> Vec<Bank> {
    let mut all = Vec::new();
    for block in &network.blocks {
        if let Projections::Latent(latent) = &block.attention.projections {
            all.extend([latent.k_b, latent.v_b]);
        }
        if let Some(experts) = &block.feed.experts {
            all.extend(experts.gate);
            all.extend([experts.up, experts.down]);
        }
    }
    all
}
