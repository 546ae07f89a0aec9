use super::*;
use crate::Isa;

/// Numbers in (-1, 1) from a linear congruential generator.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2) + 1;
    let step = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(step).collect()
}

/// Each of the four ways that two operands may lie, with gaps between rows.
fn product(
    pool: &Pool,
    (m, n, k): (usize, usize, usize),
    ta: bool,
    tb: bool,
    add: bool,
) -> Vec<f32> {
    let lies = |rows: usize, cols: usize, t: bool| if t { (cols, rows) } else { (rows, cols) };
    let (ra, ca) = lies(m, k, ta);
    let (rb, cb) = lies(k, n, tb);
    let (a, b) = (noise(ra * (ca + 3), 1), noise(rb * (cb + 1), 2));
    let a = Operand { data: &a, stride: ca + 3, transposed: ta };
    let b = Operand { data: &b, stride: cb + 1, transposed: tb };
    let mut c = noise(m * (n + 2), 3);
    gemm(pool, (m, n, k), a, b, &mut c, n + 2, if add { Into::Add } else { Into::Overwrite });
    let before = noise(m * (n + 2), 3);
    for i in 0..m {
        for j in 0..n {
            let exact: f64 =
                (0..k).map(|l| f64::from(a.at(i, l)) * f64::from(b.at(l, j))).sum::<f64>()
                    + if add { f64::from(before[i * (n + 2) + j]) } else { 0.0 };
            let got = f64::from(c[i * (n + 2) + j]);
            // k products below 1, each step rounding at most half an ulp of a sum below sqrt(k).
            let tolerance = 1e-7 * (k as f64).powf(1.0).max(4.0);
            assert!((got - exact).abs() < tolerance, "{got} for {exact} in {m}x{n}x{k}");
        }
        let gap = i * (n + 2) + n..(i + 1) * (n + 2);
        assert_eq!(c[gap.clone()], before[gap], "wrote between the rows");
    }
    c
}

const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (6, 16, 8),
    (7, 17, 9),
    (5, 15, 3),
    (1, 33, 40),
    (40, 1, 11),
    (64, 48, 385),
    (13, 31, 777),
    (100, 1040, 5),
    (145, 20, 64),
    (30, 1025, 400),
    (12, 32, 0),
];

#[test]
fn every_form_and_thread_count_gives_the_same_bytes() {
    let mut pools = vec![Pool::with_isa(1, Isa::Scalar), Pool::with_isa(3, Isa::Scalar)];
    for isa in Isa::all() {
        pools.extend([Pool::with_isa(1, isa), Pool::with_isa(2, isa)]);
    }
    for shape in SHAPES {
        for bits in 0..8 {
            let [ta, tb, add] = [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0];
            let truth = product(&pools[0], shape, ta, tb, add);
            for pool in &pools[1..] {
                let bytes = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                let other = product(pool, shape, ta, tb, add);
                assert_eq!(bytes(&truth), bytes(&other), "{shape:?} {ta} {tb} {add} {pool:?}");
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let pool = Pool::new(2);
    let (m, n, k) = (37, 50, 500);
    let (a, b) = (noise(m * k, 5), noise(n * k, 6));
    let mut all = vec![0.0; m * n];
    let weights = Operand::transposed(&b, k);
    gemm(&pool, (m, n, k), Operand::new(&a, k), weights, &mut all, n, Into::Overwrite);
    for i in 0..m {
        let mut one = vec![0.0; n];
        let row = Operand::new(&a[i * k..], k);
        gemm(&pool, (1, n, k), row, weights, &mut one, n, Into::Overwrite);
        assert_eq!(one, all[i * n..][..n]);
    }
}

#[test]
#[should_panic(expected = "B is shorter")]
fn a_short_operand_is_refused() {
    let (a, b) = ([0.0; 12], [0.0; 11]);
    let (a, b) = (Operand::new(&a, 4), Operand::new(&b, 3));
    gemm(&Pool::new(1), (3, 3, 4), a, b, &mut [0.0; 9], 3, Into::Overwrite);
}
