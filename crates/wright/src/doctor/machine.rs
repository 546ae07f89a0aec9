//! Processor, threads and memory.

use super::Check;
use std::time::Instant;
use wright_host::{machine, units};
use wright_model::Pool;

pub fn checks() -> Vec<Check> {
    vec![build(), processor(), threads(), load(), governor(), memory(), bandwidth()]
}

fn build() -> Check {
    let seen = format!("wright {} for {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    match cfg!(debug_assertions) {
        false => Check::good("program", seen),
        true => Check::slow(
            "program",
            format!("{seen}, built without optimization"),
            "use cargo build --release or cargo install --path crates/wright",
        ),
    }
}

fn processor() -> Check {
    let name = machine::processor_name();
    let used = Pool::new(1).isa().name();
    let seen = format!("{name}; has {}; uses {used}", machine::instruction_sets().join(", "));
    match used == "scalar" {
        false => Check::good("processor", seen),
        true => Check::slow(
            "processor",
            format!("{seen}: no SIMD instructions that Wright can use"),
            "use a processor with AVX2, FMA and F16C (2013 or later); in a virtual machine, \
             expose the host's processor features",
        ),
    }
}

fn threads() -> Check {
    let usable = machine::usable_processors();
    let all = machine::all_processors().unwrap_or(usable);
    let seen = format!("{usable} of {all} logical processors usable");
    match usable < all {
        false => Check::good("threads", seen),
        true => Check::slow(
            "threads",
            seen,
            "a container limit or CPU affinity excludes the others: see `docker run --cpus`, \
             `taskset`",
        ),
    }
}

fn load() -> Check {
    let usable = machine::usable_processors() as f64;
    match machine::load_average() {
        Some(load) if load > 0.5 * usable => Check::slow(
            "load",
            format!("load average {load:.1} on {usable} processors"),
            "stop other busy programs (see `top`), or use fewer --threads",
        ),
        Some(load) => Check::good("load", format!("load average {load:.1}")),
        None => Check::good("load", "not available on this system"),
    }
}

fn governor() -> Check {
    match machine::frequency_governor() {
        Some(name) if name == "powersave" || name == "conservative" => Check::slow(
            "frequency",
            format!("CPU governor: {name}"),
            "for full speed, run `cpupower frequency-set -g performance` or connect a power supply",
        ),
        Some(name) => Check::good("frequency", format!("CPU governor: {name}")),
        None => Check::good("frequency", "not available on this system"),
    }
}

fn memory() -> Check {
    let (Some(total), Some(free)) = (machine::total_memory(), machine::available_memory()) else {
        return Check::good("memory", "not available on this system");
    };
    let seen = format!("{} of {} free", units::bytes(free), units::bytes(total));
    match free < 1 << 30 {
        false => Check::good("memory", seen),
        true => Check::slow(
            "memory",
            seen,
            "close other programs or use a smaller model: one that does not fit is read from disk \
             for every token",
        ),
    }
}

/// Adds up words, read in four streams as the kernels do: memory gives more to these than to one.
fn sum_in_streams(words: &[u64]) -> u64 {
    const LINE: usize = 8;
    let mut quarters = words.chunks(words.len().div_ceil(4).max(1));
    let [a, b, c, d] = std::array::from_fn(|_| quarters.next().unwrap_or(&[]).chunks(LINE));
    let lines = a.zip(b).zip(c).zip(d);
    lines.fold(0, |sum, (((a, b), c), d)| {
        let line = a.iter().zip(b).zip(c).zip(d);
        line.fold(sum, |sum: u64, (((a, b), c), d)| {
            sum.wrapping_add(*a).wrapping_add(*b).wrapping_add(*c).wrapping_add(*d)
        })
    })
}

/// How fast memory is read, which bounds how fast tokens are written.
fn bandwidth() -> Check {
    const BYTES: usize = 128 << 20;
    let pool = Pool::new(machine::usable_processors());
    let mut data = vec![1u64; BYTES / 8];
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let sums = std::sync::atomic::AtomicU64::new(0);
        pool.for_chunks(&mut data, 1 << 17, |_, chunk| {
            sums.fetch_add(sum_in_streams(chunk), std::sync::atomic::Ordering::Relaxed);
        });
        std::hint::black_box(sums.into_inner());
        best = best.min(start.elapsed().as_secs_f64());
    }
    let rate = BYTES as f64 / best;
    let seen = format!(
        "{}/s memory read speed: a 1 GB model generates at most {:.0} tokens per second",
        units::bytes(rate as u64),
        rate / 1e9
    );
    match rate < 4e9 {
        false => Check::good("bandwidth", seen),
        true => Check::slow(
            "bandwidth",
            seen,
            "use a model in a smaller type (Q4_K_M); check whether the machine is busy or has a \
             single memory channel",
        ),
    }
}
