//! A quick measurement of this machine's speed, for predictions, not for comparisons.
//!
//! The clock is the caller's. Two numbers are taken with the kernels that run models: bytes of
//! weights read a second when one row meets a matrix too large for the caches, and operations a
//! second when many rows meet a small one.

use crate::cost::Cost;
use wright_kernels::quant::{Activations, Packed, linear_packed};
use wright_kernels::{DType, Matrix, Pool};

/// Inputs and outputs of the large matrix: 71 MB as Q8_0, more than most caches hold.
const LARGE: (usize, usize) = (4096, 16384);
/// Inputs and outputs of the small one, and rows that meet it.
const SMALL: (usize, usize, usize) = (2048, 2048, 128);
/// The best of so many counts: others on the machine only make it slower.
const TRIES: usize = 4;

/// The measured speed of a machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Bytes of weights that decoding reads.
    pub bytes_per_s: f64,
    /// Operations of a prompt, a multiply-add being two.
    pub flops_per_s: f64,
}

impl Speed {
    /// Measures with `threads` threads; takes some tenths of a second.
    pub fn measure(threads: usize, clock: &dyn Fn() -> f64) -> Speed {
        let pool = Pool::new(threads);
        let (k, n) = LARGE;
        let (bytes, s) = best(&pool, DType::Q8_0, (k, n, 1), clock);
        let bytes_per_s = bytes as f64 / s;
        let (k, n, m) = SMALL;
        let (_, s) = best(&pool, DType::Q4_1, (k, n, m), clock);
        Speed { bytes_per_s, flops_per_s: 2.0 * (k * n * m) as f64 / s }
    }

    /// Seconds that a pass of this cost takes at best: it reads and computes at once.
    pub fn seconds(&self, cost: &Cost) -> f64 {
        let read = (cost.weights_bytes + cost.kv_bytes) as f64 / self.bytes_per_s;
        read.max(cost.flops as f64 / self.flops_per_s)
    }
}

/// Bytes of the matrix, and seconds of the fastest product.
fn best(
    pool: &Pool,
    dtype: DType,
    (k, n, m): (usize, usize, usize),
    clock: &dyn Fn() -> f64,
) -> (usize, f64) {
    let row = dtype.row_bytes(k).expect("whole blocks");
    let bytes = vec![0x11; row * n];
    let matrix = Matrix::new(dtype, n, k, &bytes).expect("whole rows");
    let packed = Packed::new(pool, matrix).expect("a format with an integer kernel");
    drop(bytes);
    let x = Activations::quantize(pool, &vec![0.5; m * k], m, k);
    let mut y = vec![0.0; m * n];
    let tries = (0..TRIES).map(|_| {
        let begin = clock();
        linear_packed(pool, &packed, &x, &mut y);
        clock() - begin
    });
    let s = tries.fold(f64::INFINITY, f64::min);
    (row * n, s.max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_takes_as_long_as_its_slower_half() {
        let speed = Speed { bytes_per_s: 10.0, flops_per_s: 100.0 };
        let cost = Cost { flops: 1000, weights_bytes: 20, kv_bytes: 10, activation_bytes: 5 };
        assert_eq!(speed.seconds(&cost), 10.0);
        assert_eq!(speed.seconds(&Cost { flops: 1, ..cost }), 3.0);
    }
}
