//! Weights in the form that the fast executor multiplies with.
//!
//! All repacked matrices lie in one piece of memory, in large pages where the system has them.

use super::memory;
use crate::Error;
use crate::model::Model;
use crate::network::{Bank, Gate, Linear, Mlp, Network, Projections, WeightId};
use std::ops::Range;
use std::sync::Arc;
use wright_kernels::quant::Packed;
use wright_kernels::{Matrix, Pool};

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
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn repack(
        model: &Model,
        pool: &Pool,
        release: &dyn Fn(Range<usize>),
    ) -> Result<CpuWeights, Error> {
        let mut weights = CpuWeights::in_place(model);
        let places = places(model);
        let Some(last) = places.last() else { return Ok(weights) };
        let mut memory = memory::zeroed(last.range.end, "the repacked weights")?;
        for (i, place) in places.iter().enumerate() {
            Packed::write(pool, place.matrix(model), &mut memory[place.range.clone()]);
            let tensor = &model.tensors()[place.weight.index()];
            let is_done = places.get(i + 1).is_none_or(|next| next.weight != place.weight);
            if is_done && tensor.part == 0 {
                release(tensor.at.clone());
            }
        }
        let memory: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(memory);
        for place in places {
            let packed = Packed::from_bytes(Arc::clone(&memory), place.range);
            let packed = packed.expect("what was just written");
            match place.of {
                None => weights.packed[place.weight.index()] = Some(packed),
                Some(_) => weights.banks[place.weight.index()].push(packed),
            }
        }
        Ok(weights)
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

/// A matrix that is repacked, and where to.
struct Place {
    weight: WeightId,
    /// Which of which bank, if it is of one.
    of: Option<(Bank, usize)>,
    range: Range<usize>,
}

impl Place {
    fn matrix<'m>(&self, model: &'m Model) -> Matrix<'m> {
        match &self.of {
            None => model.matrix(self.weight),
            Some((bank, index)) => model.matrix_of(bank, *index),
        }
    }
}

/// Each matrix that has an integer kernel once, one behind the other.
fn places(model: &Model) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut add = |weight: WeightId, of: Option<(Bank, usize)>| {
        let start = places.last().map_or(0, |place| place.range.end);
        let mut place = Place { weight, of, range: start..start };
        let known = of.is_none() && places.iter().any(|p| p.weight == weight);
        if let Some(n) = Packed::bytes_needed(place.matrix(model)).filter(|_| !known) {
            place.range.end += n;
            places.push(place);
        }
    };
    linears(model.network()).iter().for_each(|linear| add(linear.weight, None));
    for bank in banks(model.network()) {
        (0..bank.n).for_each(|i| add(bank.weight, Some((bank, i))));
    }
    places
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
        if let Some(Mlp { gate, up, down, .. }) = &block.feed_forward.mlp {
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
        if let Some(experts) = &block.feed_forward.experts {
            all.extend(experts.gate);
            all.extend([experts.up, experts.down]);
        }
    }
    all
}
