//! How fast one thread multiplies packed matrices: `cargo bench -p wright-kernels --bench quant`.
//!
//! Prints, for each format and shape, giga multiply-adds and gigabytes of weights a second. Time is
//! the processor time of this thread, so that other work on the machine disturbs little. One row
//! of activations is decoding; many rows are reading a prompt. `cold` walks through 64 MiB of
//! matrices, so that weights come from memory as they do for a model larger than the cache.
//!
//! Arguments filter: `-- Q4_1 m=1`.

use std::time::Duration;
use wright_kernels::quant::{Activations, Packed, linear_packed};
use wright_kernels::{DType, Matrix, Pool};

/// (name, N, K)
const SHAPES: [(&str, usize, usize); 4] =
    [("square", 576, 576), ("up", 1536, 576), ("down", 576, 1536), ("7B", 1024, 4096)];

/// Bytes of matrices that no cache of the machine holds.
const COLD_BYTES: usize = 64 << 20;

/// (rows of activations, weights from memory)
const CASES: [(usize, bool); 5] = [(1, true), (1, false), (4, false), (8, false), (256, false)];

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    println!("{:8}{:>8}{:>8}{:>8}{:>10}{:>10}", "format", "shape", "what", "", "GMAC/s", "GB/s");
    let pool = Pool::new(1);
    for dtype in DType::ALL.into_iter().filter(|d| !d.is_float()) {
        for (name, n, k) in SHAPES {
            let line = |what: &str, how: &str| {
                let line = format!("{:8}{name:>8}{what:>8}{how:>8}", dtype.name());
                filters.iter().all(|f| line.contains(f.as_str())).then_some(line)
            };
            if k.is_multiple_of(dtype.block_len()) {
                shape(&pool, dtype, n, k, &line);
            }
        }
    }
}

/// Packing and all products of one matrix, those that `line` has a line for.
fn shape(
    pool: &Pool,
    dtype: DType,
    n: usize,
    k: usize,
    line: &dyn Fn(&str, &str) -> Option<String>,
) {
    let cases =
        CASES.map(|(m, cold)| (m, cold, line(&format!("m={m}"), if cold { "cold" } else { "" })));
    let pack = line("pack", "");
    if pack.is_none() && cases.iter().all(|(_, _, line)| line.is_none()) {
        return;
    }
    let bytes = weights(dtype, n, k);
    let matrix = Matrix::new(dtype, n, k, &bytes).expect("whole rows");
    let Some(packed) = Packed::new(pool, matrix) else { return };
    if let Some(line) = pack {
        let mut room = packed.as_bytes().to_vec();
        let seconds = best_of(1, || Packed::write(pool, matrix, &mut room)).as_secs_f64();
        println!("{line}{:>10}{:>10.1}", "", bytes.len() as f64 / seconds / 1e9);
    }
    for (m, cold, line) in cases {
        let Some(line) = line else { continue };
        let seconds = product(pool, &packed, m, cold).as_secs_f64();
        let macs = (m * n * k) as f64 / seconds / 1e9;
        let bytes = packed.as_bytes().len() as f64 / seconds / 1e9;
        println!("{line}{macs:>10.1}{bytes:>10.1}");
    }
}

/// Bytes with small scales, whatever the format.
fn weights(dtype: DType, n: usize, k: usize) -> Vec<u8> {
    let len = dtype.row_bytes(k).expect("whole blocks") * n;
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x33).collect()
}

/// The shortest time of one product.
fn product(pool: &Pool, packed: &Packed, m: usize, cold: bool) -> Duration {
    let (n, k) = (packed.n(), packed.k());
    let x: Vec<f32> = (0..m * k).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let x = Activations::quantize(pool, &x, m, k);
    let mut y = vec![0.0; m * n];
    let copies = if cold { COLD_BYTES.div_ceil(packed.as_bytes().len()) } else { 1 };
    let many: Vec<Packed> = (0..copies).map(|_| copy(packed)).collect();
    let rounds = (40_000_000 / (m * n * k * copies)).max(1);
    let all = best_of(rounds, || {
        for packed in &many {
            linear_packed(pool, packed, &x, &mut y);
        }
    });
    all / copies as u32
}

/// The shortest time of one call, over a dozen times `rounds` calls.
fn best_of(rounds: usize, mut call: impl FnMut()) -> Duration {
    (0..12)
        .map(|_| {
            let start = thread_time();
            (0..rounds).for_each(|_| call());
            (thread_time() - start) / rounds as u32
        })
        .min()
        .expect("a dozen times")
}

/// A matrix in memory of its own.
fn copy(packed: &Packed) -> Packed {
    struct Lines(Vec<[u8; 64]>, usize);
    impl AsRef<[u8]> for Lines {
        fn as_ref(&self) -> &[u8] {
            &self.0.as_flattened()[self.1..]
        }
    }
    let bytes = packed.as_bytes();
    let mut lines = vec![[0u8; 64]; bytes.len() / 64 + 1];
    let shift = lines.as_ptr().cast::<u8>().align_offset(64);
    lines.as_flattened_mut()[shift..shift + bytes.len()].copy_from_slice(bytes);
    let owner = std::sync::Arc::new(Lines(lines, shift));
    Packed::from_bytes(owner, 0..bytes.len()).expect("a copy is as good")
}

/// Processor time of this thread.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn thread_time() -> Duration {
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    const THREAD_CPUTIME: i32 = 3;
    let mut time = [0; 2];
    // SAFETY: the C library that std links has this function; a timespec is two 64-bit numbers.
    let failed = unsafe { clock_gettime(THREAD_CPUTIME, &mut time) };
    assert_eq!(failed, 0, "threads have clocks");
    Duration::new(time[0] as u64, time[1] as u32)
}

/// Elsewhere, time on the wall.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn thread_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
