use super::*;
use crate::{Isa, Pairing, Pool};

fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2) + 1;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(step).collect()
}

fn relative(got: &[f32], want: &[f64]) -> f64 {
    let error: f64 = got.iter().zip(want).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum();
    (error / want.iter().map(|w| w * w).sum::<f64>()).sqrt()
}

/// Slopes of `f(x) · d` by differences in f64.
fn slopes(x: &[f32], d: &[f32], f: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let at = |i: usize, h: f64| -> f64 {
        let mut x = x.clone();
        x[i] += h;
        f(&x).iter().zip(d).map(|(y, &d)| y * f64::from(d)).sum()
    };
    (0..x.len()).map(|i| (at(i, 1e-5) - at(i, -1e-5)) / 2e-5).collect()
}

fn curve(kind: Curve, x: f64) -> f64 {
    match kind {
        Curve::Silu => x / (1.0 + (-x).exp()),
        Curve::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Curve::ReluSquared => x.max(0.0).powi(2),
    }
}

#[test]
fn curves_and_gates_have_the_slopes_of_their_definition() {
    let pool = Pool::new(2);
    let scaled = |n, seed| noise(n, seed).into_iter().map(|x| 4.0 * x).collect::<Vec<f32>>();
    let (x, up, d) = (scaled(100, 1), scaled(100, 2), noise(100, 3));
    for kind in [Curve::Silu, Curve::GeluTanh, Curve::ReluSquared] {
        let each = |x: &[f64]| x.iter().map(|&x| curve(kind, x)).collect::<Vec<_>>();
        let exact: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let mut y = vec![0.0; 100];
        activate(&pool, kind, &x, &mut y);
        assert!(relative(&y, &each(&exact)) < 1e-6);
        let mut dx = d.clone();
        activate_backward(&pool, kind, &x, &mut dx);
        assert!(relative(&dx, &slopes(&x, &d, &each)) < 1e-6, "{kind:?}");
        let gate = |x: &[f64]| -> Vec<f64> {
            each(x).iter().zip(&up).map(|(y, &u)| y * f64::from(u)).collect()
        };
        gated(&pool, kind, &x, &up, &mut y);
        assert!(relative(&y, &gate(&exact)) < 1e-6);
        let (mut dgate, mut dup) = (x.clone(), up.clone());
        gated_backward(&pool, kind, &mut dgate, &mut dup, &d);
        assert!(relative(&dgate, &slopes(&x, &d, &gate)) < 1e-6);
        let by_up = |u: &[f64]| -> Vec<f64> {
            u.iter().zip(&exact).map(|(u, &x)| u * curve(kind, x)).collect()
        };
        assert!(relative(&dup, &slopes(&up, &d, &by_up)) < 1e-6);
    }
}

fn plain_norm(shape: NormShape, x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let n = shape.group as f64;
    let group = |x: &[f64]| {
        let mean = if shape.kind == NormKind::Layer { x.iter().sum::<f64>() / n } else { 0.0 };
        let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (var + f64::from(shape.eps)).sqrt();
        (0..shape.group).map(|i| (x[i] - mean) * scale * w[i] + b[i]).collect::<Vec<_>>()
    };
    x.chunks_exact(shape.group).flat_map(group).collect()
}

#[test]
fn norms_follow_their_definition_forward_and_back() {
    let pool = Pool::new(2);
    for (kind, group) in [(NormKind::Rms, 24), (NormKind::Layer, 24), (NormKind::Rms, 5)] {
        let shape = NormShape { kind, group, eps: 1e-5 };
        let (x, d) = (noise(group * 9, 1), noise(group * 9, 2));
        let (w, b) = (noise(group, 3), noise(group, 4));
        let [x64, w64, b64] =
            [&x, &w, &b].map(|v| v.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>());
        let mut y = vec![0.0; x.len()];
        norm(&pool, shape, &x, Some(&w), Some(&b), &mut y);
        assert!(relative(&y, &plain_norm(shape, &x64, &w64, &b64)) < 1e-6);
        let (mut dx, mut dw, mut db) = (d.clone(), vec![0.0; group], vec![0.0; group]);
        norm_backward(&pool, shape, &x, Some(&w), &d, &mut dx, Some(&mut dw), Some(&mut db));
        let mut want = slopes(&x, &d, &|x| plain_norm(shape, x, &w64, &b64));
        want.iter_mut().zip(&d).for_each(|(w, &d)| *w += f64::from(d));
        assert!(relative(&dx, &want) < 2e-6, "{kind:?}");
        assert!(relative(&dw, &slopes(&w, &d, &|w| plain_norm(shape, &x64, w, &b64))) < 2e-6);
        assert!(relative(&db, &slopes(&b, &d, &|b| plain_norm(shape, &x64, &w64, b))) < 2e-6);
    }
}

#[test]
fn a_turn_back_undoes_a_turn_and_pairs_are_as_named() {
    let pool = Pool::new(2);
    for pairing in [Pairing::Interleaved, Pairing::Halves] {
        let table = RopeTable::new(pairing, &[1.0, 0.1], 1.0, 8);
        let positions = [0, 3, 7];
        let x = noise(3 * 12, 1);
        let mut y = x.clone();
        rotate(&pool, &table, Direction::Forward, &positions, 6, &mut y);
        let (a, b) = if pairing == Pairing::Interleaved { (2, 3) } else { (1, 3) };
        let (sin, cos) = 0.3f64.sin_cos();
        let want = f64::from(x[18 + a]) * cos - f64::from(x[18 + b]) * sin;
        assert!((f64::from(y[18 + a]) - want).abs() < 1e-6);
        assert_eq!(y[12 + 4..12 + 6], x[12 + 4..12 + 6], "values beyond the pairs stay");
        rotate(&pool, &table, Direction::Back, &positions, 6, &mut y);
        assert!(y.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn rows_are_gathered_where_they_came_from() {
    let pool = Pool::new(2);
    let dy = noise(4 * 70, 1);
    let mut table = vec![1.0; 3 * 70];
    embed_backward(&pool, &[2, 0, 2, 2], &dy, 0.5, &mut table, 70);
    for j in 0..70 {
        let at = |r: usize| 0.5 * dy[r * 70 + j];
        assert_eq!(table[j], 1.0 + at(1));
        assert_eq!(table[70 + j], 1.0);
        assert!((table[140 + j] - (1.0 + at(0) + at(2) + at(3))).abs() < 1e-6);
    }
    let mut sum = vec![0.0; 70];
    sum_rows(&pool, &dy, &mut sum);
    let want: Vec<f64> = (0..70).map(|j| (0..4).map(|r| f64::from(dy[r * 70 + j])).sum()).collect();
    assert!(relative(&sum, &want) < 1e-6);
}

#[test]
fn adamw_follows_its_paper() {
    let step = AdamW {
        rate: 0.01,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.1,
        correction1: 1.0 - 0.9f32.powi(3),
        correction2: 1.0 - 0.99f32.powi(3),
        gradient_scale: 0.5,
    };
    let (mut w, g) = (noise(50, 1), noise(50, 2));
    let (mut m, v) = (noise(50, 3), noise(50, 4));
    let mut v: Vec<f32> = v.iter().map(|v| v.abs()).collect();
    let (w0, m0, v0) = (w.clone(), m.clone(), v.clone());
    adamw(&Pool::new(2), &step, &mut w, &g, &mut m, &mut v);
    for i in 0..50 {
        let [w0, g, m0, v0] = [w0[i], g[i] * 0.5, m0[i], v0[i]].map(f64::from);
        let (m1, v1) = (0.9 * m0 + 0.1 * g, 0.99 * v0 + 0.01 * g * g);
        let hat = (m1 / (1.0 - 0.9f64.powi(3))) / ((v1 / (1.0 - 0.99f64.powi(3))).sqrt() + 1e-8);
        let want = w0 - 0.01 * 0.1 * w0 - 0.01 * hat;
        assert!((f64::from(w[i]) - want).abs() < 1e-6);
        assert!((f64::from(m[i]) - m1).abs() < 1e-6 && (f64::from(v[i]) - v1).abs() < 1e-6);
    }
}

#[test]
fn threads_and_instruction_sets_do_not_affect_results() {
    let n = 100_003;
    let everything = |pool: &Pool| {
        let (x, mut y) = (noise(n, 1), noise(n, 2));
        activate(pool, Curve::GeluTanh, &x, &mut y);
        activate_backward(pool, Curve::Silu, &x, &mut y);
        let (mut m, mut v) = (noise(n, 3), vec![0.1; n]);
        gated_backward(pool, Curve::Silu, &mut m, &mut v, &x);
        v.iter_mut().for_each(|v| *v = v.abs());
        let step = AdamW {
            rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            correction1: 0.5,
            correction2: 0.5,
            gradient_scale: 0.7,
        };
        adamw(pool, &step, &mut y, &x, &mut m, &mut v);
        let shape = NormShape { kind: NormKind::Layer, group: 24, eps: 1e-5 };
        let (whole, w) = (n / 24 * 24, noise(24, 5));
        let (mut dw, mut db) = (vec![0.0; 24], vec![0.0; 24]);
        let (d, dx) = (&y[..whole], &mut m[..whole]);
        norm_backward(pool, shape, &x[..whole], Some(&w), d, dx, Some(&mut dw), Some(&mut db));
        let table = RopeTable::new(Pairing::Interleaved, &[1.0, 0.1, 0.01], 1.0, n / 24);
        let positions: Vec<u32> = (0..(n / 24) as u32).collect();
        rotate(pool, &table, Direction::Forward, &positions, 8, &mut v[..whole]);
        let sum = sum_of_squares(pool, &x);
        axpy(pool, 0.3, &x, &mut y);
        (y, m, v, dw, db, sum)
    };
    let truth = everything(&Pool::with_isa(1, Isa::Scalar));
    for pool in [Pool::new(1), Pool::new(2), Pool::with_isa(3, Isa::Scalar)] {
        assert!(truth == everything(&pool), "{pool:?}");
    }
}
