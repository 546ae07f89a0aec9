//! The fusions that the fast executor overrides give the bytes of the operations one by one.

mod tiny;

use std::sync::Arc;
use tiny::{Random, Tiny};
use wright_kernels::{Activation, DType, Pool};
use wright_model::config::{Heads, Temperature};
use wright_model::exec::Qkv;
use wright_model::exec::cpu::store::KvStore;
use wright_model::exec::cpu::weights::CpuWeights;
use wright_model::exec::cpu::{Cpu, CpuState};
use wright_model::kv::KvTable;
use wright_model::network::{Bank, Experts, Linear, Norm};
use wright_model::{Exec, KvType, Model, Rows, SeqId, WeightId, forward};

/// Hands primitives on and keeps the default fusions.
struct Composed<E>(E);

impl<E: Exec> Exec for Composed<E> {
    type Tensor = E::Tensor;

    fn embed(&mut self, table: WeightId, scale: f32) -> E::Tensor {
        self.0.embed(table, scale)
    }
    fn embed_positions(&mut self, table: WeightId) -> E::Tensor {
        self.0.embed_positions(table)
    }
    fn embed_types(&mut self, table: WeightId) -> E::Tensor {
        self.0.embed_types(table)
    }
    fn linear_heads(&mut self, x: &E::Tensor, bank: &Bank) -> E::Tensor {
        self.0.linear_heads(x, bank)
    }
    fn experts(&mut self, x: &E::Tensor, scores: &E::Tensor, experts: &Experts) -> E::Tensor {
        self.0.experts(x, scores, experts)
    }
    fn clamp(&mut self, x: E::Tensor, limit: f32) -> E::Tensor {
        self.0.clamp(x, limit)
    }
    fn scale_rows(&mut self, x: E::Tensor, by: &E::Tensor) -> E::Tensor {
        self.0.scale_rows(x, by)
    }
    fn scale_by_position(&mut self, x: E::Tensor, by: Temperature) -> E::Tensor {
        self.0.scale_by_position(x, by)
    }
    fn head_columns(&mut self, x: &E::Tensor, dim: usize, start: usize, len: usize) -> E::Tensor {
        self.0.head_columns(x, dim, start, len)
    }
    fn join_heads(&mut self, a: &E::Tensor, b: &E::Tensor, n_head: usize) -> E::Tensor {
        self.0.join_heads(a, b, n_head)
    }
    fn linear(&mut self, x: &E::Tensor, linear: &Linear) -> E::Tensor {
        self.0.linear(x, linear)
    }
    fn norm(&mut self, x: &E::Tensor, norm: &Norm) -> E::Tensor {
        self.0.norm(x, norm)
    }
    fn rope(&mut self, x: E::Tensor, rope: usize, head_dim: usize) -> E::Tensor {
        self.0.rope(x, rope, head_dim)
    }
    fn attend(
        &mut self,
        layer: usize,
        qkv: Qkv<E::Tensor>,
        heads: &Heads,
        sinks: Option<WeightId>,
    ) -> E::Tensor {
        self.0.attend(layer, qkv, heads, sinks)
    }
    fn activate(&mut self, x: E::Tensor, activation: Activation) -> E::Tensor {
        self.0.activate(x, activation)
    }
    fn add(&mut self, a: E::Tensor, b: &E::Tensor) -> E::Tensor {
        self.0.add(a, b)
    }
    fn mul(&mut self, a: E::Tensor, b: &E::Tensor) -> E::Tensor {
        self.0.mul(a, b)
    }
    fn scale(&mut self, x: E::Tensor, by: f32) -> E::Tensor {
        self.0.scale(x, by)
    }
    fn soft_cap(&mut self, x: E::Tensor, cap: f32) -> E::Tensor {
        self.0.soft_cap(x, cap)
    }
    fn columns(&mut self, x: &E::Tensor, start: usize, len: usize) -> E::Tensor {
        self.0.columns(x, start, len)
    }
    fn wanted_rows(&mut self, x: E::Tensor) -> E::Tensor {
        self.0.wanted_rows(x)
    }
}

fn logits(model: &Model, packed: bool, composed: bool) -> Vec<f32> {
    let pool = Pool::new(2);
    let mut table = KvTable::new(1, 128);
    let mut rows = Rows::default();
    rows.push(SeqId(0), 0, &Random(1).ids(100, model.n_vocab()), 90..100);
    table.extend(SeqId(0), 100).unwrap();
    let weights = match packed {
        true => CpuWeights::repack(model, &pool, &|_| {}).unwrap(),
        false => CpuWeights::in_place(model),
    };
    assert_eq!(packed, weights.n_bytes() > 0);
    let store = KvStore::new(model, KvType::F16, KvTable::n_blocks(1, 128)).unwrap();
    let mut state = CpuState::new(weights, store);
    let cpu = Cpu::new(model, &pool, &rows, &table, &mut state);
    let out = if composed {
        forward(&mut Composed(cpu), model.network()).into_data()
    } else {
        let mut cpu = cpu;
        forward(&mut cpu, model.network()).into_data()
    };
    assert_eq!(out.len(), 10 * model.n_vocab());
    out
}

#[test]
fn overridden_fusions_give_the_composed_bytes() {
    let tinies = [Tiny::llama, Tiny::gemma3, Tiny::everything, Tiny::experts];
    for (index, tiny) in tinies.into_iter().enumerate() {
        for (dtype, packed) in [(DType::Q4_1, true), (DType::Q4K, true), (DType::F16, false)] {
            let model: Arc<Model> = tiny(dtype).model();
            let fused = logits(&model, packed, false);
            assert!(fused == logits(&model, packed, true), "tiny {index} {dtype}");
        }
    }
}
