//! Gradients of the whole tape against the f64 executor, and what must not change a result.

use std::sync::Arc;
use wright_kernels::Pool;
use wright_model::exec::exact::{Exact, ExactStore};
use wright_model::kv::{BLOCK, KvTable};
use wright_model::{Model, Rows, SeqId, forward};
use wright_train::{
    Family, ModelShape, OptimizerKind, OptimizerOptions, Parameters, Trainer, gguf,
};

fn shape(family: Family, tied: bool) -> ModelShape {
    ModelShape {
        family,
        n_layer: 2,
        n_embd: 24,
        n_head: 4,
        n_kv_head: if family == Family::Gpt2 { 4 } else { 2 },
        head_dim: if family == Family::Gpt2 { 6 } else { 8 },
        n_ff: 40,
        n_vocab: 50,
        n_ctx: 32,
        tied,
        rope_base: 100.0,
        norm_eps: 1e-5,
    }
}

/// Two rows of documents, with weights that differ by token.
fn batch() -> (Rows, Vec<u32>, Vec<f32>) {
    let mut rows = Rows::default();
    let mut targets = Vec::new();
    for (seq, len) in [7usize, 12, 5].into_iter().enumerate() {
        let ids: Vec<u32> = (0..len).map(|i| (i * i * 7 + seq * 13 + i) as u32 % 50).collect();
        rows.push(SeqId(seq as u32), 0, &ids, 0..len);
        targets.extend((0..len).map(|i| (i * 11 + seq * 3) as u32 % 50));
    }
    let weights = (0..24).map(|i| if i % 7 == 3 { 0.0 } else { 0.02 + 0.01 * (i % 4) as f32 });
    (rows, targets, weights.collect())
}

/// Weights far from their start, so that nothing is nearly linear: deviations of about 0.3.
fn weights(model: &Model, shape: &ModelShape) -> Parameters {
    let mut specs = shape.tensors();
    for spec in &mut specs {
        spec.deviation = Some(0.25);
    }
    let mut all = Parameters::initial(model, &specs, 3);
    for (index, spec) in specs.iter().enumerate() {
        let shift = if spec.dims.len() == 1 { 1.0 } else { 0.0 };
        let range = all.range(index);
        for x in &mut all.values[range] {
            // A multiple of 2^-14, so that small steps away from it are exact in f32.
            *x = ((*x + shift) * 16384.0).round() / 16384.0;
        }
    }
    all
}

fn trainer(shape: &ModelShape, options: OptimizerOptions, threads: usize) -> Trainer {
    let model = Arc::new(shape.skeleton().unwrap());
    let parameters = weights(&model, shape);
    Trainer::new(model, parameters, options, shape.n_ctx, threads).unwrap()
}

/// The loss in f64, from the executor that is the oracle.
fn exact_loss(shape: &ModelShape, values: &Parameters) -> f64 {
    let mut bytes = Vec::new();
    gguf::write(&mut bytes, &gguf::header(shape, "test").unwrap(), values).unwrap();
    let model = Model::from_gguf(Arc::new(bytes)).unwrap();
    let (rows, targets, weights) = batch();
    let pool = Pool::new(1);
    let mut table = KvTable::new(3, BLOCK);
    for span in &rows.spans {
        table.extend(span.seq, span.rows.len()).unwrap();
    }
    let mut store = ExactStore::<f64>::new(&model, KvTable::n_blocks(3, BLOCK));
    let mut exact =
        Exact { model: &model, pool: &pool, rows: &rows, table: &table, store: &mut store };
    let logits = forward(&mut exact, model.network());
    let each = logits.data.chunks_exact(logits.cols).zip(&targets).zip(&weights);
    each.map(|((row, &id), &w)| {
        let sum: f64 = row.iter().map(|z| z.exp()).sum();
        f64::from(w) * (sum.ln() - row[id as usize])
    })
    .sum()
}

/// Relative L2 distance of the tape's f32 gradients from differences of the f64 loss, over every
/// tensor's values in even steps.
fn distance(shape: &ModelShape) -> f64 {
    const H: f32 = 1.0 / 512.0;
    let mut trainer = trainer(shape, OptimizerOptions::default(), 2);
    let (rows, targets, weights) = batch();
    let loss = trainer.accumulate(&rows, &targets, &weights);
    let mut values = trainer.parameters.clone();
    assert!((loss / exact_loss(shape, &values) - 1.0).abs() < 1e-6, "the loss itself");
    let (mut error, mut length) = (0.0, 0.0);
    for tensor in 0..values.n_tensors() {
        let range = values.range(tensor);
        for i in range.clone().step_by(range.len().div_ceil(12)) {
            let mut at = |h: f32| {
                let before = values.values[i];
                values.values[i] = before + h;
                let loss = exact_loss(shape, &values);
                values.values[i] = before;
                loss
            };
            // Five-point stencil: its error falls with the fourth power of the step.
            let near = at(H) - at(-H);
            let far = at(2.0 * H) - at(-2.0 * H);
            let slope = (8.0 * near - far) / (12.0 * f64::from(H));
            error += (f64::from(trainer.gradients().values[i]) - slope).powi(2);
            length += slope * slope;
        }
    }
    (error / length).sqrt()
}

#[test]
fn every_gradient_agrees_with_differences_of_the_f64_loss() {
    for (family, tied) in [
        (Family::Llama, true),
        (Family::Llama, false),
        (Family::Qwen3, true),
        (Family::Gemma3, true),
        (Family::Gpt2, true),
    ] {
        let error = distance(&shape(family, tied));
        println!("{} (tied: {tied}): relative L2 {error:.2e}", family.name());
        assert!(error < 1e-5, "{family:?}: {error}");
    }
}

#[test]
fn threads_do_not_affect_results() {
    for kind in [OptimizerKind::AdamW, OptimizerKind::Muon] {
        let run = |threads| {
            let options = OptimizerOptions { kind, ..OptimizerOptions::default() };
            let mut trainer = trainer(&shape(Family::Qwen3, true), options, threads);
            let (rows, targets, weights) = batch();
            for _ in 0..3 {
                trainer.accumulate(&rows, &targets, &weights);
                trainer.step(1e-2).unwrap();
            }
            trainer.parameters.values.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3), "{kind:?}");
    }
}

#[test]
fn gradients_of_parts_add_up_to_those_of_the_whole() {
    let shape = shape(Family::Llama, true);
    let (rows, targets, weights) = batch();
    let mut whole = trainer(&shape, OptimizerOptions::default(), 1);
    let loss = whole.accumulate(&rows, &targets, &weights);
    let mut parts = trainer(&shape, OptimizerOptions::default(), 1);
    let mut sum = 0.0;
    for span in &rows.spans {
        let mut part = Rows::default();
        part.push(SeqId(0), 0, &rows.ids[span.rows.clone()], 0..span.rows.len());
        let range = span.rows.clone();
        sum += parts.accumulate(&part, &targets[range.clone()], &weights[range]);
    }
    assert!((sum / loss - 1.0).abs() < 1e-6);
    let (a, b) = (&whole.gradients().values, &parts.gradients().values);
    let error: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let length: f64 = a.iter().map(|&a| f64::from(a).powi(2)).sum();
    assert!((error / length).sqrt() < 1e-6, "{}", (error / length).sqrt());
}

#[test]
fn both_optimizers_memorize_a_batch() {
    for kind in [OptimizerKind::AdamW, OptimizerKind::Muon] {
        let shape = shape(Family::Llama, true);
        let model = Arc::new(shape.skeleton().unwrap());
        let parameters = Parameters::initial(&model, &shape.tensors(), 1);
        let options = OptimizerOptions { kind, weight_decay: 0.0, ..OptimizerOptions::default() };
        let mut trainer = Trainer::new(model, parameters, options, 32, 2).unwrap();
        let (rows, targets, _) = batch();
        let weights = vec![1.0 / 24.0; 24];
        let first = trainer.accumulate(&rows, &targets, &weights);
        assert!((first - 50f64.ln()).abs() < 0.3, "at first every token is as likely: {first}");
        trainer.step(1e-2).unwrap();
        let mut last = first;
        for _ in 0..80 {
            last = trainer.accumulate(&rows, &targets, &weights);
            trainer.step(1e-2).unwrap();
        }
        assert!(last < 0.5, "{kind:?}: {last}");
    }
}
