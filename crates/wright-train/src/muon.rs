//! Muon: momentum whose matrix is made orthogonal before it steps (Jordan et al. 2024), by the
//! five polynomials of Polar Express (Amsel et al. 2025, arXiv 2505.16932), which bring every
//! singular value near 1 without computing any.

use wright_kernels::Pool;
use wright_kernels::backward::{axpy, scale, sum_of_squares};
use wright_kernels::gemm::{Into, Operand, gemm};

/// X becomes a X + (b A + c A²) X with A = X Xᵀ, five times.
const POLAR_EXPRESS: [[f32; 3]; 5] = [
    [8.156_554, -22.483_293, 15.878_77],
    [4.042_93, -2.808_917_5, 0.500_017_8],
    [3.891_668, -2.772_484_2, 0.506_064_83],
    [3.285_753_7, -2.368_129_5, 0.464_490_24],
    [2.346_541_4, -1.709_782_8, 0.423_235_5],
];

/// Buffers that are kept between steps.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    x: Vec<f32>,
    next: Vec<f32>,
    square: Vec<f32>,
    polynomial: Vec<f32>,
}

/// The orthogonal matrix nearest to `g` (rows, cols), about: what is returned lies in `scratch`.
pub(crate) fn orthogonal<'s>(
    pool: &Pool,
    g: &[f32],
    rows: usize,
    cols: usize,
    scratch: &'s mut Scratch,
) -> &'s [f32] {
    let norm = sum_of_squares(pool, g).sqrt() as f32;
    // The smaller side gives the smaller square matrix.
    let wide = rows <= cols;
    let n = rows.min(cols);
    let Scratch { x, next, square, polynomial } = scratch;
    x.clear();
    x.extend_from_slice(g);
    next.resize(g.len(), 0.0);
    square.resize(n * n, 0.0);
    polynomial.resize(n * n, 0.0);
    scale(pool, 1.0 / (norm * 1.02 + 1e-6), x);
    for [a, b, c] in POLAR_EXPRESS {
        let plain = Operand::new(x, cols);
        let across = Operand::transposed(x, cols);
        let (left, right) = if wide { (plain, across) } else { (across, plain) };
        gemm(pool, (n, n, rows.max(cols)), left, right, square, n, Into::Overwrite);
        let a2 = Operand::new(square, n);
        gemm(pool, (n, n, n), a2, a2, polynomial, n, Into::Overwrite);
        scale(pool, c, polynomial);
        axpy(pool, b, square, polynomial);
        let p = Operand::new(polynomial, n);
        let (left, right) = if wide { (p, plain) } else { (plain, p) };
        gemm(pool, (rows, cols, n), left, right, next, cols, Into::Overwrite);
        axpy(pool, a, x, next);
        std::mem::swap(x, next);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    #[test]
    fn what_comes_out_is_nearly_orthogonal() {
        for (rows, cols) in [(24, 60), (60, 24), (32, 32)] {
            let g: Vec<f32> = (0..(rows * cols) as u64).map(|i| normal(3, i)).collect();
            let mut scratch = Scratch::default();
            let x = orthogonal(&Pool::new(2), &g, rows, cols, &mut scratch);
            // Frobenius norm of an orthogonal matrix: sqrt of its smaller side.
            let square: f32 = x.iter().map(|x| x * x).sum();
            let n = rows.min(cols) as f32;
            assert!((square / n - 1.0).abs() < 0.2, "{square} for {n}");
            // It points where g points.
            let along: f32 = x.iter().zip(&g).map(|(x, g)| x * g).sum();
            assert!(along > 0.0);
        }
    }
}
