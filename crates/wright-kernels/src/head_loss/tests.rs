use super::*;
use crate::Isa;

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2) + 1;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(step).collect()
}

/// Chunks of 1024 rows at this vocabulary: three of them.
const ROWS: usize = 2100;
const V: usize = 37;
const C: usize = 12;

struct Case {
    w: Vec<f32>,
    x: Vec<f32>,
    ids: Vec<u32>,
    weights: Vec<f32>,
}

fn case() -> Case {
    let ids = (0..ROWS).map(|i| (i * 7 % V) as u32).collect();
    let weights = (0..ROWS).map(|i| if i % 5 == 0 { 0.0 } else { 1.0 / (1 + i % 3) as f32 });
    Case { w: noise(V * C, 1), x: noise(ROWS * C, 2), ids, weights: weights.collect() }
}

fn run(case: &Case, pool: &Pool, scale: f32, soft_cap: Option<f32>) -> [Vec<f32>; 3] {
    let head = Head { weight: &case.w, n_vocab: V, n_embd: C, scale, soft_cap };
    let (mut losses, mut dx, mut dw) = (vec![0.0; ROWS], vec![9.0; ROWS * C], vec![0.0; V * C]);
    let targets = Targets { ids: &case.ids, weights: &case.weights };
    let gradients = Some(HeadGradients { dx: &mut dx, dweight: &mut dw });
    head_loss(pool, &head, &case.x, targets, &mut losses, gradients, &mut Vec::new());
    let mut alone = vec![0.0; ROWS];
    head_loss(pool, &head, &case.x, targets, &mut alone, None, &mut Vec::new());
    assert_eq!(losses, alone, "losses are the same with and without gradients");
    [losses, dx, dw]
}

/// Loss of one row in f64.
fn loss(w: &[f64], x: &[f64], id: u32, scale: f64, cap: Option<f64>) -> f64 {
    let logit = |row: &[f64]| {
        let z = row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() * scale;
        cap.map_or(z, |cap| cap * (z / cap).tanh())
    };
    let logits: Vec<f64> = w.chunks_exact(C).map(logit).collect();
    logits.iter().map(|z| z.exp()).sum::<f64>().ln() - logits[id as usize]
}

#[test]
fn losses_and_gradients_follow_the_definition() {
    let case = case();
    for (scale, cap) in [(1.0, None), (0.5, None), (2.0, Some(1.5))] {
        let [losses, dx, dw] = run(&case, &Pool::new(2), scale, cap);
        let w: Vec<f64> = case.w.iter().map(|&x| f64::from(x)).collect();
        let x: Vec<f64> = case.x.iter().map(|&x| f64::from(x)).collect();
        let (scale, cap) = (f64::from(scale), cap.map(f64::from));
        let row = |w: &[f64], x: &[f64], r: usize| loss(w, &x[..C], case.ids[r], scale, cap);
        for r in (0..ROWS).step_by(97) {
            assert!((f64::from(losses[r]) - row(&w, &x[r * C..], r)).abs() < 2e-6);
        }
        for i in (0..ROWS * C).step_by(501) {
            let r = i / C;
            let at = |h: f64| {
                let mut x = x[r * C..][..C].to_vec();
                x[i % C] += h;
                f64::from(case.weights[r]) * row(&w, &x, r)
            };
            let want = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((f64::from(dx[i]) - want).abs() < 1e-6, "{} for {want}", dx[i]);
        }
        for i in (0..V * C).step_by(31) {
            let at = |h: f64| -> f64 {
                let mut w = w.clone();
                w[i] += h;
                (0..ROWS).map(|r| f64::from(case.weights[r]) * row(&w, &x[r * C..], r)).sum()
            };
            let want = (at(1e-5) - at(-1e-5)) / 2e-5;
            let tolerance = 1e-5 * want.abs().max(10.0);
            assert!((f64::from(dw[i]) - want).abs() < tolerance, "{} for {want}", dw[i]);
        }
    }
}

#[test]
fn threads_and_instruction_sets_do_not_affect_results() {
    let case = case();
    for (scale, cap) in [(1.0, None), (2.0, Some(1.5))] {
        let truth = run(&case, &Pool::with_isa(1, Isa::Scalar), scale, cap);
        assert_eq!(truth, run(&case, &Pool::new(1), scale, cap));
        assert_eq!(truth, run(&case, &Pool::new(2), scale, cap));
    }
}
