//! This machine's peak performance: the speed of our own matrix product on a favourable shape, as a
//! reference for the speed of a training run.

use crate::Trainer;
use wright_kernels::gemm::{Into, Operand, gemm};

/// Rows, columns and length of the sums: packed panels fit the caches.
const SHAPE: (usize, usize, usize) = (768, 1024, 384);
/// Products at least and at most, and the seconds after which no further one begins.
const PRODUCTS: (usize, usize, f64) = (3, 1000, 0.2);

impl Trainer {
    /// Floating-point operations a second in f32 on the trainer's threads: the best of some
    /// products within a fifth of a second. `clock` gives seconds.
    pub fn peak_flops(&self, clock: &dyn Fn() -> f64) -> f64 {
        let (m, n, k) = SHAPE;
        let (a, b) = (vec![1.0; m * k], vec![1.0; k * n]);
        let mut c = vec![0.0; m * n];
        let (least, most, most_s) = PRODUCTS;
        let (start, mut best) = (clock(), f64::INFINITY);
        for done in 1..=most {
            let before = clock();
            let (a, b) = (Operand::new(&a, k), Operand::new(&b, n));
            gemm(self.pool(), SHAPE, a, b, &mut c, n, Into::Overwrite);
            let now = clock();
            best = best.min(now - before);
            if done >= least && now - start > most_s {
                break;
            }
        }
        2.0 * (m * n * k) as f64 / best.max(1e-9)
    }
}
