//! GFLOP/s of the matrix products of training: `cargo bench -p wright-kernels --bench gemm`.
//!
//! The best of many short runs, so that a busy machine does not count; each shape forward
//! (x Wᵀ), back to the input (dy W) and to the weight (dyᵀ x), for each instruction set.

use std::time::Instant;
use wright_kernels::gemm::{Into, Operand, gemm};
use wright_kernels::{Isa, Pool};

/// (rows, n_out, n_in)
const SHAPES: [(usize, usize, usize); 8] = [
    (4096, 192, 192),
    (4096, 512, 192),
    (1024, 2048, 192),
    (4096, 768, 288),
    (512, 4096, 288),
    (2048, 1536, 576),
    (2048, 576, 1536),
    (256, 8192, 576),
];

fn main() {
    for threads in [1, 2] {
        for (rows, n, k) in SHAPES {
            print!("{threads} threads, {rows:4} x {n:4} x {k:4}:");
            for isa in Isa::all().into_iter().filter(|&isa| isa != Isa::Scalar) {
                let pool = Pool::with_isa(threads, isa);
                let rates = rates(&pool, rows, n, k);
                print!("  {:6} {:6.1} {:6.1} {:6.1}", isa.name(), rates[0], rates[1], rates[2]);
            }
            println!();
        }
    }
}

/// Forward, to the input, to the weight.
fn rates(pool: &Pool, rows: usize, n: usize, k: usize) -> [f64; 3] {
    let fill = |len: usize| (0..len).map(|i| (i % 13) as f32 - 6.0).collect::<Vec<f32>>();
    let (mut x, mut w, mut y) = (fill(rows * k), fill(n * k), fill(rows * n));
    let mut best = [f64::MAX; 3];
    for _ in 0..30 {
        let mut time = |which: usize, run: &mut dyn FnMut()| {
            let start = Instant::now();
            run();
            best[which] = best[which].min(start.elapsed().as_secs_f64());
        };
        time(0, &mut || {
            let (a, b) = (Operand::new(&x, k), Operand::transposed(&w, k));
            gemm(pool, (rows, n, k), a, b, &mut y, n, Into::Overwrite);
        });
        time(1, &mut || {
            let (a, b) = (Operand::new(&y, n), Operand::new(&w, k));
            gemm(pool, (rows, k, n), a, b, &mut x, k, Into::Overwrite);
        });
        x.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0));
        time(2, &mut || {
            let (a, b) = (Operand::transposed(&y, n), Operand::new(&x, k));
            gemm(pool, (n, k, rows), a, b, &mut w, k, Into::Overwrite);
        });
        w.iter_mut().for_each(|w| *w = w.clamp(-1.0, 1.0));
    }
    best.map(|s| 2.0 * (rows * n * k) as f64 / s / 1e9)
}
