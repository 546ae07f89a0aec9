//! Muon: momentum whose matrix is made orthogonal before it steps (Jordan et al. 2024), by the
//! five polynomials of Polar Express (Amsel et al. 2025, arXiv 2505.16932), which bring every
//! singular value near 1 without computing any; its rows are brought to one length over time, and
//! weights decay where the step agrees.

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

/// What each row (an output) of `x` is multiplied with, so that over the steps all rows come to
/// move as far: `v`, one value a row, is the running mean of their squares. The length of the
/// whole stays what it was (Li et al. 2025, "NorMuon", arXiv 2510.05491).
pub(crate) fn even_rows(pool: &Pool, x: &[f32], cols: usize, beta: f32, v: &mut [f32]) -> Vec<f32> {
    let mut squares = vec![0.0f32; v.len()];
    pool.for_chunks(&mut squares, ROWS_A_TASK, |task, squares| {
        let rows = x[task * ROWS_A_TASK * cols..].chunks_exact(cols);
        squares.iter_mut().zip(rows).for_each(|(sum, row)| *sum = mean_square(row));
    });
    let mut scales = Vec::with_capacity(v.len());
    for (v, &square) in v.iter_mut().zip(&squares) {
        *v = v.mul_add(beta, (1.0 - beta) * square);
        scales.push(1.0 / (v.sqrt() + 1e-10));
    }
    let before: f32 = squares.iter().sum();
    let after: f32 = squares.iter().zip(&scales).map(|(square, s)| square * s * s).sum();
    let same = (before / after.max(1e-20)).sqrt();
    scales.iter_mut().for_each(|s| *s *= same);
    scales
}

const ROWS_A_TASK: usize = 32;

/// In sixteen lanes, added in order.
fn mean_square(row: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for part in row.chunks(16) {
        lanes.iter_mut().zip(part).for_each(|(sum, x)| *sum = x.mul_add(*x, *sum));
    }
    lanes.iter().sum::<f32>() / row.len() as f32
}

/// A step of a matrix along `x` (rows, cols), each row times its length and the rate.
pub(crate) struct MatrixStep<'a> {
    pub x: &'a [f32],
    pub lengths: &'a [f32],
    pub rate: f32,
    /// Part of a weight that is lost where the step makes it smaller anyway (Chen et al. 2025,
    /// "Cautious weight decay", arXiv 2510.12402).
    pub decay: f32,
}

impl MatrixStep<'_> {
    pub(crate) fn take(&self, pool: &Pool, w: &mut [f32]) {
        let cols = w.len() / self.lengths.len();
        pool.for_chunks(w, ROWS_A_TASK * cols, |task, w| {
            let rows = w.chunks_exact_mut(cols).zip(task * ROWS_A_TASK..);
            for (w, row) in rows {
                let (x, by) = (&self.x[row * cols..][..cols], self.rate * self.lengths[row]);
                for (w, x) in w.iter_mut().zip(x) {
                    let keep = if *w * x > 0.0 { 1.0 - self.decay } else { 1.0 };
                    *w = x.mul_add(-by, *w * keep);
                }
            }
        });
    }
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

    #[test]
    fn rows_come_to_move_as_far_and_the_whole_keeps_its_length() {
        let pool = Pool::new(2);
        let (rows, cols) = (70, 24);
        // Rows of very different lengths.
        let x: Vec<f32> =
            (0..rows * cols).map(|i| normal(5, i as u64) * (1.0 + (i / cols) as f32)).collect();
        let mut v = vec![0.0; rows];
        let mut scales = Vec::new();
        (0..200).for_each(|_| scales = even_rows(&pool, &x, cols, 0.95, &mut v));
        let lengths: Vec<f32> =
            x.chunks_exact(cols).zip(&scales).map(|(row, s)| mean_square(row).sqrt() * s).collect();
        for length in &lengths {
            assert!((length / lengths[0] - 1.0).abs() < 1e-3, "{lengths:?}");
        }
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
        let before = square(&mut x.iter().copied());
        let after = square(&mut lengths.iter().map(|l| l * (cols as f32).sqrt()));
        assert!((after / before - 1.0).abs() < 1e-3, "{after} for {before}");
        let again = |threads| even_rows(&Pool::new(threads), &x, cols, 0.95, &mut v.clone());
        assert_eq!(again(1), again(3));
    }

    #[test]
    fn weights_decay_only_where_the_step_makes_them_smaller() {
        let step =
            MatrixStep { x: &[1.0, 1.0, -1.0, 0.0], lengths: &[1.0, 2.0], rate: 0.1, decay: 0.5 };
        let mut w = [2.0f32, -2.0, -2.0, 2.0];
        step.take(&Pool::new(1), &mut w);
        assert_eq!(w, [1.0 - 0.1, -2.0 - 0.1, -1.0 + 0.2, 2.0]);
    }
}
