//! Against the product in f64 of what the file's bytes decode to.

use super::*;

/// The product that `y` stands for, from the file's bytes, in f64.
fn exact_product(matrix: Matrix<'_>, x: &[f32], m: usize) -> Vec<f64> {
    let mut w = vec![0.0f32; matrix.n * matrix.k];
    crate::dequantize(matrix.dtype, matrix.bytes, &mut w);
    let mut y = Vec::new();
    for x in x.chunks_exact(matrix.k).take(m) {
        for w in w.chunks_exact(matrix.k) {
            y.push(w.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum());
        }
    }
    y
}

/// All weights at one end of their range, all activations at 127 or -127: where 16 bits would
/// saturate or wrap if they ever did.
#[test]
fn sums_of_extremes_are_exact() {
    let (n, k) = (16, 512);
    for dtype in formats() {
        for byte in [0x00, 0xff, 0x80, 0x7f, 0xf0, 0x0f] {
            let bytes = matrix_bytes(dtype, n, k, || byte);
            let matrix = Matrix::new(dtype, n, k, &bytes).unwrap();
            for signs in [[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]] {
                let x: Vec<f32> = (0..5 * k).map(|i| signs[i % 2] * 1.27).collect();
                let pools = pools();
                let packed = Packed::new(&pools[0], matrix).unwrap();
                let truth = product(&pools[0], &packed, &x, 5);
                let name = format!("{dtype}, bytes {byte:#x}, signs {signs:?}");
                for pool in &pools[1..] {
                    assert_eq!(bits(&product(pool, &packed, &x, 5)), bits(&truth), "{name}");
                }
                // These activations are whole in 8 bits, so only f32 rounding is left.
                let exact = exact_product(matrix, &x, 5);
                let largest = exact.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
                let bound = 1e-4 * largest + 1e-3;
                for (y, exact) in truth.iter().zip(exact) {
                    assert!((f64::from(*y) - exact).abs() <= bound, "{name}: {y} {exact}");
                }
            }
        }
    }
}

/// Against the exact product of what the file says, nothing is lost but the rounding of
/// activations to 8 bits: half a step each, independent of each other.
#[test]
fn products_are_as_near_as_activations_of_8_bits_allow() {
    let (n, k, m) = (24, 1024, 6);
    let pool = Pool::new(1);
    for dtype in formats() {
        let bytes = random_matrix(dtype, n, k);
        let matrix = Matrix::new(dtype, n, k, &bytes).unwrap();
        let x = random_rows(m, k);
        let mut w = vec![0.0f32; n * k];
        crate::dequantize(dtype, &bytes, &mut w);
        let y = product(&pool, &Packed::new(&pool, matrix).unwrap(), &x, m);
        let exact = exact_product(matrix, &x, m);
        for (i, (y, exact)) in y.iter().zip(exact).enumerate() {
            let (row, out) = (i / n, i % n);
            let (x, w) = (&x[row * k..][..k], &w[out * k..][..k]);
            let mut variance = 0.0;
            for (x, w) in x.chunks(BLOCK).zip(w.chunks(BLOCK)) {
                let step = f64::from(x.iter().fold(0.0f32, |max, v| max.max(v.abs()))) / 127.0;
                let norm: f64 = w.iter().map(|&w| f64::from(w).powi(2)).sum();
                variance += norm * step * step / 12.0;
            }
            let error = (f64::from(*y) - exact).abs();
            assert!(error < 6.0 * variance.sqrt(), "{dtype} at {i}: {y} for {exact}");
        }
    }
}
