use super::rows::K_BLOCK;
use super::*;
use crate::Isa;
use crate::float16::{f32_to_bf16, f32_to_f16};
use crate::tests::{assert_close, assert_same, bytes, floats};

/// Weights of a format, with tame scales: (N, K) in f32 and as stored.
fn weights(dtype: DType, n: usize, k: usize, seed: u64) -> (Vec<f32>, Vec<u8>) {
    let plain = floats(n * k, seed);
    let stored: Vec<u8> = match dtype {
        DType::F32 => plain.iter().flat_map(|x| x.to_le_bytes()).collect(),
        DType::F16 => plain.iter().flat_map(|&x| f32_to_f16(x).to_le_bytes()).collect(),
        DType::BF16 => plain.iter().flat_map(|&x| f32_to_bf16(x).to_le_bytes()).collect(),
        _ => {
            let mut blocks = bytes(n * dtype.row_bytes(k).unwrap(), seed);
            for block in blocks.chunks_exact_mut(dtype.block_bytes()) {
                let at = if dtype == DType::Q6K { 208 } else { 0 };
                block[at..at + 2].copy_from_slice(&f32_to_f16(0.01).to_le_bytes());
                if matches!(dtype, DType::Q4_1 | DType::Q4K) {
                    block[2..4].copy_from_slice(&f32_to_f16(0.02).to_le_bytes());
                }
            }
            blocks
        }
    };
    let mut decoded = vec![0.0; n * k];
    crate::dequantize(dtype, &stored, &mut decoded);
    (decoded, stored)
}

fn truth(w: &[f32], n: usize, k: usize, x: &[f32]) -> Vec<f32> {
    let dot = |x: &[f32], w: &[f32]| -> f64 {
        x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum()
    };
    x.chunks(k).flat_map(|x| (0..n).map(|j| dot(x, &w[j * k..][..k]) as f32)).collect()
}

fn run(pool: &Pool, w: &Matrix<'_>, x: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; x.len() / w.k * w.n];
    linear_f32(pool, w, x, &mut y);
    y
}

/// (M, N, K)
const SHAPES: [(usize, usize, usize); 5] =
    [(1, 1, 1), (1, 7, 31), (2, 19, 64), (5, 50, 257), (71, 13, 48)];

#[test]
fn every_format_agrees_with_f64_and_in_every_byte_with_itself() {
    let (plain, fast, threads) =
        (Pool::with_isa(1, Isa::Scalar), Pool::new(1), Pool::with_isa(3, Isa::detect()));
    for (seed, dtype) in (1..).zip([
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::Q8_0,
        DType::Q4_1,
        DType::Q4K,
        DType::Q6K,
    ]) {
        for (m, n, k) in SHAPES {
            let k = k.next_multiple_of(dtype.block_len());
            let (decoded, stored) = weights(dtype, n, k, seed);
            let w = Matrix::new(dtype, n, k, &stored).unwrap();
            let x = floats(m * k, 9);
            let y = run(&plain, &w, &x);
            assert_close(&y, &truth(&decoded, n, k, &x), 3e-6);
            assert_same(&y, &run(&fast, &w, &x));
            assert_same(&y, &run(&threads, &w, &x));
        }
    }
}

/// Rows alone take the direct path, rows together the one over decoded weights, and long rows
/// more than one block of K.
#[test]
fn a_row_alone_and_among_others_gives_the_same_bytes() {
    let pool = Pool::new(2);
    for dtype in [DType::F32, DType::F16, DType::BF16, DType::Q8_0] {
        let (m, n, k) = (67, 31, 2 * K_BLOCK + 32);
        let (decoded, stored) = weights(dtype, n, k, 4);
        let w = Matrix::new(dtype, n, k, &stored).unwrap();
        let x = floats(m * k, 5);
        let together = run(&pool, &w, &x);
        assert_close(&together[..n], &truth(&decoded, n, k, &x[..k]), 3e-6);
        for (row, want) in x.chunks(k).zip(together.chunks(n)) {
            assert_same(&run(&pool, &w, row), want);
        }
        for rows in [2, 3, 4, 5, 66] {
            assert_same(&run(&pool, &w, &x[..rows * k]), &together[..rows * n]);
        }
    }
}

/// One call shares out the outputs of all, of any formats and any numbers of outputs.
#[test]
fn matrices_that_share_a_call_get_what_each_gets_alone() {
    let (k, pool) = (288, Pool::new(3));
    let shapes = [(DType::F16, 1000), (DType::F32, 7), (DType::BF16, 65), (DType::Q8_0, 33)];
    let stored = shapes.map(|(dtype, n)| weights(dtype, n, k, n as u64).1);
    let matrices: [Matrix<'_>; 4] =
        std::array::from_fn(|i| Matrix::new(shapes[i].0, shapes[i].1, k, &stored[i]).unwrap());
    for m in [1, 3, 5, 130] {
        let x = floats(m * k, m as u64);
        let mut ys = matrices.map(|w| vec![f32::NAN; m * w.n]);
        let products = matrices.iter().zip(&mut ys).map(|(&w, y)| Product { w, y });
        linear_f32_each(&pool, &mut products.collect::<Vec<_>>(), &x);
        for (w, y) in matrices.iter().zip(&ys) {
            assert_same(y, &run(&pool, w, &x));
        }
    }
}

#[test]
fn what_is_not_finite_reaches_its_own_outputs_only() {
    let (m, n, k) = (6, 9, 40);
    let (_, stored) = weights(DType::F16, n, k, 6);
    let w = Matrix::new(DType::F16, n, k, &stored).unwrap();
    let mut x = floats(m * k, 7);
    x[2 * k + 39] = f32::NAN;
    x[4 * k] = f32::INFINITY;
    let y = run(&Pool::new(1), &w, &x);
    assert_same(&y, &run(&Pool::with_isa(1, Isa::Scalar), &w, &x));
    for (i, row) in y.chunks(n).enumerate() {
        assert!(row.iter().all(|y| y.is_finite() != (i == 2 || i == 4)), "row {i}");
    }
}

#[test]
fn nothing_times_nothing_is_nothing() {
    let w = Matrix::new(DType::F32, 0, 8, &[]).unwrap();
    linear_f32(&Pool::new(1), &w, &[1.0; 8], &mut []);
    let w = Matrix::new(DType::F32, 3, 0, &[]).unwrap();
    let mut y = [1.0; 3];
    linear_f32(&Pool::new(1), &w, &[], &mut y);
    assert_eq!(y, [0.0; 3]);
    linear_f32_each(&Pool::new(1), &mut [], &[1.0]);
}
