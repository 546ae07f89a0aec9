//! What a file contains and what running it costs, as numbers.

use crate::batch::{Rows, SeqId};
use crate::cost::Cost;
use crate::kv::{BLOCK, KvType};
use crate::model::Model;
use wright_kernels::DType;

/// The tensors of one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatSummary {
    pub dtype: DType,
    pub n_tensors: usize,
    pub n_values: u64,
    pub n_bytes: u64,
}

/// Memory that a session needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Weights, as they are in the file; repacked ones are as large.
    pub weights: u64,
    /// Keys and values of all positions of all sequences.
    pub kv: u64,
    /// Activations of one pass, at most.
    pub activations: u64,
}

impl Memory {
    pub fn total(&self) -> u64 {
        self.weights + self.kv + self.activations
    }
}

impl Model {
    /// Parameters: values of all tensors.
    pub fn n_parameters(&self) -> u64 {
        self.tensors().iter().map(|t| t.n_values() as u64).sum()
    }

    /// Tensors by format, those with the most bytes first.
    pub fn formats(&self) -> Vec<FormatSummary> {
        let mut formats: Vec<FormatSummary> = Vec::new();
        for t in self.tensors() {
            let one = FormatSummary {
                dtype: t.dtype,
                n_tensors: 1,
                n_values: t.n_values() as u64,
                n_bytes: t.at.len() as u64,
            };
            match formats.iter_mut().find(|f| f.dtype == t.dtype) {
                None => formats.push(one),
                Some(f) => {
                    f.n_tensors += 1;
                    f.n_values += one.n_values;
                    f.n_bytes += one.n_bytes;
                }
            }
        }
        formats.sort_by_key(|f| std::cmp::Reverse(f.n_bytes));
        formats
    }

    /// The format of most of the weights, which names a file: `Q4_1`.
    pub fn main_format(&self) -> DType {
        let most = self.formats().into_iter().max_by_key(|f| f.n_values);
        most.map_or(DType::F32, |f| f.dtype)
    }

    /// Bytes of the cache a position, over all layers.
    pub fn kv_bytes_per_position(&self, kv: KvType) -> u64 {
        let width: usize =
            self.config().layers.iter().map(|l| l.heads.k_width() + l.heads.v_width()).sum();
        (width * kv.value_bytes()) as u64
    }

    /// Memory for `n_seq` sequences of `n_ctx` positions, in passes of `n_batch` tokens.
    pub fn memory(&self, n_ctx: usize, n_seq: usize, n_batch: usize, kv: KvType) -> Memory {
        let n_positions = (n_ctx.div_ceil(BLOCK) * BLOCK * n_seq) as u64;
        let widest = self.config().layers.iter().map(|l| {
            let heads = &l.heads;
            // The residual, its norm, and the largest set of buffers alive at a time.
            let attention = heads.q_width() + heads.k_width() + heads.v_width() + heads.out_width();
            2 * self.config().n_embd + attention.max(3 * l.n_ff)
        });
        let floats = widest.max().unwrap_or(0) * n_batch + self.n_vocab();
        Memory {
            weights: self.tensors().iter().map(|t| t.at.len() as u64).sum(),
            kv: n_positions.saturating_mul(self.kv_bytes_per_position(kv)),
            activations: 4 * floats as u64,
        }
    }

    /// What one new token costs when the context holds `n_past`.
    pub fn cost_of_token(&self, n_past: u32, kv: KvType) -> Cost {
        self.cost_of_tokens(n_past, 1, kv)
    }

    /// What a pass over a prompt of `n` tokens costs, of which the last one's logits are wanted.
    pub fn cost_of_prompt(&self, n: u32, kv: KvType) -> Cost {
        self.cost_of_tokens(0, n, kv)
    }

    fn cost_of_tokens(&self, n_past: u32, n: u32, kv: KvType) -> Cost {
        let mut rows = Rows::default();
        let n = n as usize;
        rows.push(SeqId(0), n_past, &vec![0; n], n.saturating_sub(1)..n);
        Cost::of(self, &rows, kv.value_bytes())
    }
}
