//! Fifty steps from the same weights and batches as PyTorch: `golden/make.py` made its losses,
//! from the Hugging Face export that the example `export_golden` writes, so the export's layout is
//! checked as well.

#[path = "golden/run.rs"]
mod run;

use run::{FAMILIES, RATE, ROWS, STEPS, T, ids, trainer};
use wright_model::{Rows, SeqId};
use wright_train::Family;

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
