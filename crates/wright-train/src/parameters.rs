//! The weights being trained: one run of f32, with a place for each tensor of the model.

use crate::random::{mix, normal};
use crate::shape::TensorSpec;
use std::ops::Range;
use wright_kernels::{Pool, dequantize};
use wright_model::{Model, WeightId};

/// A value for every weight: the weights themselves, or their gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    pub values: Vec<f32>,
    ranges: Vec<Range<usize>>,
    /// Rows of matrices; 1 for vectors.
    rows: Vec<usize>,
}

impl Parameters {
    /// Zeros for each tensor of `model`.
    pub fn zeros(model: &Model) -> Parameters {
        let mut end = 0;
        let mut ranges = Vec::new();
        let mut rows = Vec::new();
        for tensor in model.tensors() {
            let n: usize = tensor.dims.iter().product();
            ranges.push(end..end + n);
            rows.push(if tensor.dims.len() > 1 { n / tensor.dims[0] } else { 1 });
            end += n;
        }
        Parameters { values: vec![0.0; end], ranges, rows }
    }

    /// The weights of a model as its file has them.
    pub fn read(model: &Model) -> Parameters {
        let mut all = Parameters::zeros(model);
        for index in 0..all.ranges.len() {
            let tensor = &model.tensors()[index];
            let id = model.weight_ids().nth(index).expect("a range for each tensor");
            let matrix = model.matrix(id);
            dequantize(tensor.dtype, matrix.bytes, &mut all.values[all.ranges[index].clone()]);
        }
        all
    }

    /// Weights to start from: a function of the seed and of each tensor's name.
    pub fn initial(model: &Model, specs: &[TensorSpec], seed: u64) -> Parameters {
        const A_TASK: usize = 1 << 15;
        let pool = Pool::new(std::thread::available_parallelism().map_or(1, usize::from));
        let mut all = Parameters::zeros(model);
        for (spec, range) in specs.iter().zip(all.ranges.clone()) {
            let stream = spec.name.bytes().fold(seed, |s, b| mix(s, u64::from(b)));
            pool.for_chunks(&mut all.values[range], A_TASK, |task, part| match spec.deviation {
                Some(d) => {
                    let numbered = part.iter_mut().zip((task * A_TASK) as u64..);
                    numbered.for_each(|(x, i)| *x = d * normal(stream, i));
                }
                None => part.fill(1.0),
            });
        }
        all
    }

    pub fn n_tensors(&self) -> usize {
        self.ranges.len()
    }

    /// Where a tensor lies in `values`.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.ranges[index].clone()
    }

    /// Rows of a matrix, 1 for a vector.
    pub fn rows(&self, index: usize) -> usize {
        self.rows[index]
    }

    pub fn of(&self, id: WeightId) -> &[f32] {
        &self.values[self.ranges[id.index()].clone()]
    }

    pub fn of_mut(&mut self, id: WeightId) -> &mut [f32] {
        &mut self.values[self.ranges[id.index()].clone()]
    }

    pub fn fill(&mut self, pool: &Pool, value: f32) {
        pool.for_chunks(&mut self.values, 1 << 16, |_, part| part.fill(value));
    }
}
