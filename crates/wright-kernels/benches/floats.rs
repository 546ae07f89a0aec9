//! How fast float weights meet a prompt: `cargo bench -p wright-kernels --bench floats`.
//!
//! Prints giga multiply-adds a second of each thread, the best of many short runs, for one thread
//! and for two. Arguments filter: `-- F16 "2 threads"`.

use std::time::Instant;
use wright_kernels::{DType, Matrix, Pool, linear_f32};

/// (N, K) of SmolLM2 and of a 7B model.
const SHAPES: [(usize, usize); 5] =
    [(576, 576), (192, 576), (1536, 576), (576, 1536), (1024, 4096)];
const ROWS: usize = 512;
const TIMES: usize = 40;

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    for threads in [1, 2] {
        let pool = Pool::new(threads);
        for dtype in [DType::F16, DType::BF16, DType::F32] {
            for (n, k) in SHAPES {
                let line = format!("{:5}{n:>6} x {k:4}, {threads} threads", dtype.name());
                if filters.iter().all(|f| line.contains(f.as_str())) {
                    println!("{line}{:>8.1}", rate(&pool, dtype, n, k));
                }
            }
        }
    }
}

/// Giga multiply-adds a second and thread.
fn rate(pool: &Pool, dtype: DType, n: usize, k: usize) -> f64 {
    let len = dtype.row_bytes(k).expect("whole numbers") * n;
    // Exponents near 0 in each format: small numbers, none of them subnormal.
    let bytes: Vec<u8> = (0..len).map(|i| if i % 2 == 1 { 0x3c } else { i as u8 }).collect();
    let w = Matrix::new(dtype, n, k, &bytes).expect("whole rows");
    let x: Vec<f32> = (0..ROWS * k).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let mut y = vec![0.0; ROWS * n];
    let seconds = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            linear_f32(pool, &w, &x, &mut y);
            start.elapsed().as_secs_f64()
        })
        .fold(f64::MAX, f64::min);
    (ROWS * n * k) as f64 / seconds / 1e9 / pool.threads() as f64
}
