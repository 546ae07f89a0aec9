//! Weights in the form that the fast executor multiplies with.

use crate::model::Model;
use crate::network::{Gate, Linear, Network, Projections, WeightId};
use std::ops::Range;
use wright_kernels::Pool;
use wright_kernels::quant::Packed;

/// For each weight, its repacked form if it has one; the others are read from the file.
#[derive(Debug, Default)]
pub struct CpuWeights {
    packed: Vec<Option<Packed>>,
}

impl CpuWeights {
    /// Every weight as it lies in the file: products in f32, and nothing to prepare.
    pub fn in_place(model: &Model) -> CpuWeights {
        CpuWeights { packed: model.tensors().iter().map(|_| None).collect() }
    }

    /// Repacks each matrix of a linear map whose format has an integer kernel.
    pub fn repack(model: &Model, pool: &Pool) -> CpuWeights {
        let mut weights = CpuWeights::in_place(model);
        for linear in linears(model.network()) {
            let slot = &mut weights.packed[linear.weight.index()];
            if slot.is_none() {
                *slot = Packed::new(pool, model.matrix(linear.weight));
            }
        }
        weights
    }

    pub fn packed(&self, weight: WeightId) -> Option<&Packed> {
        self.packed[weight.index()].as_ref()
    }

    /// Bytes that the repacked forms take.
    pub fn n_bytes(&self) -> usize {
        self.packed.iter().flatten().map(|p| p.as_bytes().len()).sum()
    }

    /// Ranges of the file that were repacked and need not stay in memory. Single rows of a tied
    /// embedding are still read from there.
    pub fn released(&self, model: &Model) -> Vec<Range<usize>> {
        let tensors = model.tensors().iter().zip(&self.packed);
        tensors.filter(|(_, packed)| packed.is_some()).map(|(t, _)| t.at.clone()).collect()
    }
}

/// Every linear map of a network.
fn linears(network: &Network) -> Vec<Linear> {
    let mut all = vec![network.head];
    for block in &network.blocks {
        match block.attention.projections {
            Projections::Split { q, k, v } => all.extend([q, k, v]),
            Projections::Fused(linear) => all.push(linear),
        }
        if let Gate::Split(gate) = block.mlp.gate {
            all.push(gate);
        }
        all.extend([block.attention.out, block.mlp.up, block.mlp.down]);
    }
    all
}
