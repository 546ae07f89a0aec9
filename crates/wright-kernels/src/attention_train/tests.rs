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

/// The definition, in f64, one query at a time.
fn plain(
    shape: &AttentionShape,
    spans: &[Range<usize>],
    q: &[f64],
    k: &[f64],
    v: &[f64],
) -> Vec<f64> {
    let [qw, kw, vw, ow] = shape.widths();
    let mut out = vec![0.0; q.len() / qw * ow];
    for span in spans {
        for row in span.clone() {
            for head in 0..shape.n_head {
                let kv = head * shape.n_kv_head / shape.n_head;
                let first = shape.window.map_or(span.start, |w| (row + 1).saturating_sub(w));
                let keys = first.max(span.start)..row + 1;
                let score = |key: usize| -> f64 {
                    let dot = |i| {
                        q[row * qw + head * shape.key_dim + i]
                            * k[key * kw + kv * shape.key_dim + i]
                    };
                    (0..shape.key_dim).map(dot).sum::<f64>() * f64::from(shape.scale)
                };
                let sum: f64 = keys.clone().map(|key| score(key).exp()).sum();
                for key in keys {
                    let p = score(key).exp() / sum;
                    for i in 0..shape.value_dim {
                        out[row * ow + head * shape.value_dim + i] +=
                            p * v[key * vw + kv * shape.value_dim + i];
                    }
                }
            }
        }
    }
    out
}

fn relative(got: &[f32], want: &[f64]) -> f64 {
    let error: f64 = got.iter().zip(want).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum();
    (error / want.iter().map(|w| w * w).sum::<f64>()).sqrt()
}

fn shapes() -> [(AttentionShape, Vec<Range<usize>>); 3] {
    let shape = AttentionShape {
        n_head: 4,
        n_kv_head: 2,
        key_dim: 8,
        value_dim: 8,
        scale: 0.35,
        window: None,
    };
    [
        (shape, vec![0..5, 5..60, 60..61]),
        (AttentionShape { window: Some(7), ..shape }, vec![0..53, 53..61]),
        (
            AttentionShape { n_head: 3, n_kv_head: 1, key_dim: 10, value_dim: 6, ..shape },
            std::iter::once(0..61).collect(),
        ),
    ]
}

#[test]
fn forward_and_backward_follow_the_definition() {
    for (shape, spans) in shapes() {
        let [qw, kw, vw, ow] = shape.widths();
        let x = [noise(61 * qw, 1), noise(61 * kw, 2), noise(61 * vw, 3)];
        let dout = noise(61 * ow, 4);
        let pool = Pool::new(2);
        let (mut out, mut lse) = (vec![0.0; 61 * ow], vec![0.0; 61 * shape.n_head]);
        let inputs = Inputs { q: &x[0], k: &x[1], v: &x[2] };
        attention(&pool, &shape, &spans, inputs, &mut out, &mut lse);
        let exact = x.clone().map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
        let eval = |x: &[Vec<f64>; 3]| plain(&shape, &spans, &x[0], &x[1], &x[2]);
        assert!(relative(&out, &eval(&exact)) < 1e-6);
        let mut grads = x.clone();
        let [dq, dk, dv] = &mut grads;
        let gradients = Gradients { dq, dk, dv };
        let outputs = Outputs { out: &out, lse: &lse };
        attention_backward(&pool, &shape, &spans, inputs, outputs, &dout, gradients);
        for which in 0..3 {
            let slope = |i: usize| {
                let at = |h: f64| -> f64 {
                    let mut x = exact.clone();
                    x[which][i] += h;
                    eval(&x).iter().zip(&dout).map(|(o, &d)| o * f64::from(d)).sum()
                };
                (at(1e-5) - at(-1e-5)) / 2e-5
            };
            let some: Vec<usize> = (0..grads[which].len()).step_by(17).collect();
            let want: Vec<f64> = some.iter().map(|&i| slope(i)).collect();
            let got: Vec<f32> = some.iter().map(|&i| grads[which][i]).collect();
            let error = relative(&got, &want);
            assert!(error < 2e-6, "input {which} of {shape:?}: {error}");
        }
    }
}

#[test]
fn threads_and_instruction_sets_do_not_affect_results() {
    for (shape, spans) in shapes() {
        let [qw, kw, vw, ow] = shape.widths();
        let x = [noise(61 * qw, 1), noise(61 * kw, 2), noise(61 * vw, 3)];
        let dout = noise(61 * ow, 4);
        let all = |pool: &Pool| {
            let (mut out, mut lse) = (vec![0.0; 61 * ow], vec![0.0; 61 * shape.n_head]);
            let inputs = Inputs { q: &x[0], k: &x[1], v: &x[2] };
            attention(pool, &shape, &spans, inputs, &mut out, &mut lse);
            let mut grads = x.clone();
            let [dq, dk, dv] = &mut grads;
            let outputs = Outputs { out: &out, lse: &lse };
            let gradients = Gradients { dq, dk, dv };
            attention_backward(pool, &shape, &spans, inputs, outputs, &dout, gradients);
            (out, lse, grads)
        };
        let truth = all(&Pool::with_isa(1, Isa::Scalar));
        assert_eq!(truth, all(&Pool::new(1)));
        assert_eq!(truth, all(&Pool::new(2)));
    }
}
