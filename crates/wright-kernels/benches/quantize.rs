//! How fast one thread writes blocks: `cargo bench -p wright-kernels --bench quantize`.
//!
//! Prints millions of values a second for each format, without and with importance. Arguments
//! filter: `-- Q4_K`.

use std::time::Instant;
use wright_kernels::{DType, Isa, quantize};

const ROW: usize = 4096;
const ROWS: usize = 16;

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    // About normal: sums of four numbers from a multiplicative sequence.
    let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5;
    let x: Vec<f32> =
        (0..ROW * ROWS).map(|i| (0..4).map(|j| noise(4 * i + j)).sum::<f32>() * 0.02).collect();
    let importance: Vec<f32> = (0..ROW).map(|i| noise(i).abs() + 0.01).collect();
    println!("{:8}{:>12}{:>12}   million values/s", "format", "plain", "importance");
    for dtype in DType::ALL {
        let name = dtype.name();
        if !filters.iter().all(|f| name.contains(f.as_str())) {
            continue;
        }
        let mut out = vec![0; dtype.row_bytes(ROW).expect("whole blocks") * ROWS];
        let mut rate = |importance: Option<&[f32]>| {
            let seconds = (0..12).map(|_| {
                let start = Instant::now();
                quantize(Isa::detect(), dtype, ROW, &x, importance, &mut out).expect("finite");
                start.elapsed().as_secs_f64()
            });
            x.len() as f64 / seconds.fold(f64::MAX, f64::min) / 1e6
        };
        println!("{name:8}{:>12.1}{:>12.1}", rate(None), rate(Some(&importance)));
    }
}
