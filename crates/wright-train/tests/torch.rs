//! Fifty steps from the same weights and batches as PyTorch: `golden/make.py` made its losses,
//! from the Hugging Face export that `dump` writes, so the export's layout is checked as well.

use std::path::Path;
use std::sync::Arc;
use wright_model::{Rows, SeqId};
use wright_train::{Family, ModelShape, OptimizerOptions, Parameters, Trainer, hugging_face};

const FAMILIES: [Family; 4] = Family::ALL;
const STEPS: usize = 50;
const ROWS: usize = 4;
const T: usize = 32;
const RATE: f32 = 3e-3;

fn shape(family: Family) -> ModelShape {
    ModelShape {
        family,
        n_layer: 2,
        n_embd: 64,
        n_head: 4,
        n_kv_head: if family == Family::Gpt2 { 4 } else { 2 },
        head_dim: 16,
        n_ff: 128,
        n_vocab: 128,
        n_ctx: T,
        tied: true,
        rope_base: 10_000.0,
        norm_eps: 1e-6,
    }
}

/// Row `row` of step `step`: T + 1 ids of a sequence that can be learnt.
fn ids(step: usize, row: usize) -> Vec<u32> {
    let mut x = (step * ROWS + row) * 37 % 128;
    let mut all = Vec::new();
    for i in 0..T + 1 {
        all.push(x as u32);
        x = (x * 5 + 3 + (i * row) % 3) % 128;
    }
    all
}

fn trainer(family: Family) -> Trainer {
    let shape = shape(family);
    let model = Arc::new(shape.skeleton().unwrap());
    let mut specs = shape.tensors();
    // Larger than usual, so that every operation matters from the first step.
    specs.iter_mut().filter_map(|s| s.deviation.as_mut()).for_each(|d| *d = 0.08);
    let parameters = Parameters::initial(&model, &specs, 11);
    Trainer::new(model, parameters, OptimizerOptions::default(), T, 2).unwrap()
}

fn losses(family: Family) -> Vec<f64> {
    let mut trainer = trainer(family);
    let weights = vec![1.0 / (ROWS * T) as f32; ROWS * T];
    let step = |step| {
        let (mut rows, mut targets) = (Rows::default(), Vec::new());
        for row in 0..ROWS {
            let ids = ids(step, row);
            rows.push(SeqId(row as u32), 0, &ids[..T], 0..T);
            targets.extend(&ids[1..]);
        }
        let loss = trainer.accumulate(&rows, &targets, &weights);
        trainer.step(RATE).unwrap();
        loss
    };
    (0..STEPS).map(step).collect()
}

#[test]
fn losses_are_those_of_pytorch() {
    let golden = include_str!("golden/losses.json");
    let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
    for family in FAMILIES {
        let theirs = golden[family.name()].as_array().unwrap();
        assert_eq!(theirs.len(), STEPS);
        let mut worst = 0.0f64;
        for (ours, theirs) in losses(family).iter().zip(theirs) {
            worst = worst.max((ours - theirs.as_f64().unwrap()).abs());
        }
        println!("{}: losses differ by at most {worst:.1e}", family.name());
        assert!(worst < 1e-3, "{family:?}: {worst}");
    }
}

#[test]
fn dump() {
    let Ok(folder) = std::env::var("WRIGHT_GOLDEN") else {
        println!("skipped: golden/make.py names the folder to write to in WRIGHT_GOLDEN");
        return;
    };
    for family in FAMILIES {
        let to = Path::new(&folder).join(family.name());
        std::fs::create_dir_all(&to).unwrap();
        let config = hugging_face::config(&shape(family), None, None);
        std::fs::write(to.join("config.json"), config.to_string()).unwrap();
        let mut bytes = Vec::new();
        let trainer = trainer(family);
        hugging_face::write_safetensors(&mut bytes, &shape(family), &trainer.parameters).unwrap();
        std::fs::write(to.join("model.safetensors"), bytes).unwrap();
    }
    let all: Vec<Vec<Vec<u32>>> =
        (0..STEPS).map(|step| (0..ROWS).map(|row| ids(step, row)).collect()).collect();
    let text = serde_json::to_string(&all).unwrap();
    std::fs::write(Path::new(&folder).join("batches.json"), text).unwrap();
}
