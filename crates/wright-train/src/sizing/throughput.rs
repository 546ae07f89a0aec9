//! How long a step takes: a law of two terms, fitted to steps that were timed.
//!
//! A step's seconds are a sum over its products (operations at the rate of products) and over
//! its values that pass through memory and curves (norms, activations, the optimizer). Small
//! widths have more of the second for each of the first; two timed widths tell the two rates.

use crate::RunConfig;
use crate::memory::floats_per_token;
use crate::shape::ModelShape;
use crate::trainer::OptimizerKind;

/// What a step consists of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Operations of products: forward, backward, and Muon's.
    pub flops: f64,
    /// Values that are read and written outside of products.
    pub values: f64,
}

/// Operations of one token of a training step: six for each weight in a product, and those of
/// attention, each query of which sees half of the row.
pub fn flops_per_token(shape: &ModelShape) -> f64 {
    let seen = shape.n_ctx as f64 / 2.0;
    let attention = 2.0 * seen * (shape.n_head * shape.head_dim) as f64;
    6.0 * (weights_in_products(shape) as f64 + shape.n_layer as f64 * attention)
}

/// Weights that a token meets in products: those in layers, and the head.
pub fn weights_in_products(shape: &ModelShape) -> usize {
    hidden(shape).map(|(rows, cols)| rows * cols).sum::<usize>() + shape.n_embd * shape.n_vocab
}

/// Rows and columns of the matrices in layers.
fn hidden(shape: &ModelShape) -> impl Iterator<Item = (usize, usize)> {
    let matrices =
        shape.tensors().into_iter().filter(|t| t.dims.len() == 2 && t.name.starts_with("blk."));
    matrices.map(|t| (t.dims[1], t.dims[0]))
}

/// Operations of Muon's five polynomials over every matrix in layers.
fn muon_flops(shape: &ModelShape) -> f64 {
    let one = |(rows, cols): (usize, usize)| {
        let (small, large) = (rows.min(cols) as f64, rows.max(cols) as f64);
        5.0 * (4.0 * small * small * large + 2.0 * small.powi(3))
    };
    hidden(shape).map(one).sum()
}

/// Values that the optimizer touches for a weight, beside those of a token's pass.
const VALUES_PER_WEIGHT: f64 = 12.0;

impl Work {
    /// One step of `batch` rows.
    pub fn of(shape: &ModelShape, batch: usize, optimizer: OptimizerKind) -> Work {
        let tokens = (batch * shape.n_ctx) as f64;
        let (kept, working) = floats_per_token(shape);
        let layers = (kept + working) as f64 * shape.n_layer as f64;
        let muon = match optimizer {
            OptimizerKind::AdamW => 0.0,
            OptimizerKind::Muon => muon_flops(shape),
        };
        // The head's logits pass once through a curve.
        let values = tokens * (layers + 2.0 * shape.n_vocab as f64)
            + VALUES_PER_WEIGHT * shape.n_parameters() as f64;
        Work { flops: tokens * flops_per_token(shape) + muon, values }
    }

    /// A step of the run that `config` describes.
    pub fn of_run(config: &RunConfig, shape: &ModelShape) -> Work {
        Work::of(shape, config.train.batch, config.train.optimizer)
    }
}

/// Seconds for an operation and for a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    pub seconds_per_flop: f64,
    pub seconds_per_value: f64,
}

impl Throughput {
    /// The throughput nearest to steps that took so many seconds, by least squares of relative
    /// errors; neither rate is below 0. None without a step.
    pub fn fit(timed: &[(Work, f64)]) -> Option<Throughput> {
        let rows: Vec<[f64; 2]> = timed.iter().map(|(w, s)| [w.flops / s, w.values / s]).collect();
        let dot = |i: usize, j: usize| rows.iter().map(|r| r[i] * r[j]).sum::<f64>();
        let one = |i: usize| rows.iter().map(|r| r[i]).sum::<f64>();
        let (aa, ab, bb) = (dot(0, 0), dot(0, 1), dot(1, 1));
        if aa <= 0.0 {
            return None;
        }
        let det = aa * bb - ab * ab;
        let (a, b) = match det > 1e-9 * aa * bb {
            true => ((one(0) * bb - one(1) * ab) / det, (one(1) * aa - one(0) * ab) / det),
            false => (0.0, -1.0),
        };
        let (seconds_per_flop, seconds_per_value) = match (a > 0.0, b > 0.0) {
            (true, true) => (a, b),
            (false, true) => (0.0, one(1) / bb),
            _ => (one(0) / aa, 0.0),
        };
        Some(Throughput { seconds_per_flop, seconds_per_value })
    }

    pub fn seconds(&self, work: Work) -> f64 {
        work.flops * self.seconds_per_flop + work.values * self.seconds_per_value
    }

    /// The throughput at which `work` takes so many seconds, the two rates in the same proportion.
    #[must_use]
    pub fn scaled_to(self, work: Work, seconds: f64) -> Throughput {
        let by = seconds / self.seconds(work);
        Throughput {
            seconds_per_flop: self.seconds_per_flop * by,
            seconds_per_value: self.seconds_per_value * by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, preset};

    #[test]
    fn a_token_costs_six_operations_for_each_weight_and_attention() {
        let shape = preset("0.5m").unwrap();
        let weights = 4 * (96 * 96 * 2 + 96 * 32 * 2 + 3 * 96 * 256) + 96 * 1024;
        assert_eq!(weights_in_products(&shape), weights);
        let attention = 4.0 * 6.0 * 256.0 * 96.0;
        assert_eq!(flops_per_token(&shape), 6.0 * weights as f64 + attention);
        let gpt2 = ModelShape { family: Family::Gpt2, n_kv_head: 3, ..shape };
        assert!(flops_per_token(&gpt2) > 0.0);
    }

    #[test]
    fn a_pace_is_found_again_from_what_it_predicts() {
        let true_pace = Throughput { seconds_per_flop: 5e-12, seconds_per_value: 3e-10 };
        let timed: Vec<(Work, f64)> = ["0.5m", "2m", "7m"]
            .iter()
            .map(|name| Work::of(&preset(name).unwrap(), 8, OptimizerKind::Muon))
            .map(|work| (work, true_pace.seconds(work)))
            .collect();
        let found = Throughput::fit(&timed).unwrap();
        assert!((found.seconds_per_flop / 5e-12 - 1.0).abs() < 1e-6, "{found:?}");
        assert!((found.seconds_per_value / 3e-10 - 1.0).abs() < 1e-6, "{found:?}");
        // One step tells one rate; nothing tells none.
        let single = Throughput::fit(&timed[..1]).unwrap();
        assert!((single.seconds(timed[0].0) / timed[0].1 - 1.0).abs() < 1e-9);
        assert_eq!(Throughput::fit(&[]), None);
        let slow = found.scaled_to(timed[0].0, 2.0 * timed[0].1);
        assert!((slow.seconds(timed[1].0) / timed[1].1 - 2.0).abs() < 1e-6);
    }

    #[test]
    fn rates_are_never_negative() {
        let [small, large] =
            ["0.5m", "7m"].map(|n| Work::of(&preset(n).unwrap(), 8, OptimizerKind::AdamW));
        for timed in [[(small, 1.0), (large, 1.1)], [(small, 0.01), (large, 9.0)]] {
            let throughput = Throughput::fit(&timed).unwrap();
            assert!(
                throughput.seconds_per_flop >= 0.0 && throughput.seconds_per_value >= 0.0,
                "{throughput:?}"
            );
        }
    }
}
