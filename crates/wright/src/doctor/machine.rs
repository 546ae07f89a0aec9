//! Processor, threads and memory.

use super::Check;
use crate::units;
use std::fs;
use std::time::Instant;
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
            format!("{seen}, built without optimisation"),
            "cargo build --release, or cargo install --path crates/wright",
        ),
    }
}

/// A line of /proc/cpuinfo.
fn cpu_info(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Instruction sets that matter to arithmetic, of those that the processor has.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let all = [
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("F16C", is_x86_feature_detected!("f16c")),
        ("AVX-512", is_x86_feature_detected!("avx512f")),
        ("AVX-512 VNNI", is_x86_feature_detected!("avx512vnni")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<&'static str> {
    let has_dotprod = std::arch::is_aarch64_feature_detected!("dotprod");
    if has_dotprod { vec!["NEON", "dotprod"] } else { vec!["NEON"] }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

/// What the processor calls itself.
pub fn processor_name() -> String {
    cpu_info("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn processor() -> Check {
    let name = processor_name();
    let used = Pool::new(1).isa().name();
    let seen = format!("{name}; has {}; uses {used}", features().join(", "));
    match used == "scalar" {
        false => Check::good("processor", seen),
        true => Check::slow(
            "processor",
            format!("{seen}: it computes one number at a time"),
            "take a processor with AVX2, FMA and F16C (since 2013); in a virtual machine, pass \
             the host's processor through",
        ),
    }
}

fn threads() -> Check {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let all = fs::read_to_string("/proc/cpuinfo")
        .map_or(usable, |text| text.lines().filter(|l| l.starts_with("processor")).count());
    let seen = format!("{usable} of {all} logical processors may be used");
    match usable < all {
        false => Check::good("threads", seen),
        true => Check::slow(
            "threads",
            seen,
            "a container's limit or an affinity holds the others back: see `docker run --cpus`, \
             `taskset`",
        ),
    }
}

fn load() -> Check {
    let usable = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match text.split(' ').next().and_then(|number| number.parse::<f64>().ok()) {
        Some(load) if load > 0.5 * usable => Check::slow(
            "load",
            format!("{load:.1} processes want to run, on {usable} processors"),
            "stop what else computes (`top` says what it is), or give wright fewer --threads",
        ),
        Some(load) => Check::good("load", format!("{load:.1} processes want to run")),
        None => Check::good("load", "this system does not tell"),
    }
}

fn governor() -> Check {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    match fs::read_to_string(path).map(|text| text.trim().to_owned()) {
        Ok(name) if name == "powersave" || name == "conservative" => Check::slow(
            "frequency",
            format!("the processor's governor is {name}"),
            "for full speed: cpupower frequency-set -g performance; or plug the machine in",
        ),
        Ok(name) => Check::good("frequency", format!("the processor's governor is {name}")),
        Err(_) => Check::good("frequency", "this system does not tell"),
    }
}

/// Bytes of a line of /proc/meminfo.
fn memory_info(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Bytes of memory that the machine has.
pub fn total_memory() -> Option<u64> {
    memory_info("MemTotal:")
}

/// The most memory that this process ever held, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Bytes that may be used without pushing others out, with a container's limit in mind.
pub fn available_memory() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let in_limit = limit.map(|(max, used)| max.saturating_sub(used));
    let free = memory_info("MemAvailable:")?;
    Some(in_limit.map_or(free, |limit| limit.min(free)))
}

fn memory() -> Check {
    let (Some(total), Some(free)) = (total_memory(), available_memory()) else {
        return Check::good("memory", "this system does not tell");
    };
    let seen = format!("{} of {} free", units::bytes(free), units::bytes(total));
    match free < 1 << 30 {
        false => Check::good("memory", seen),
        true => Check::slow(
            "memory",
            seen,
            "close other programs, or take a smaller model: one that does not fit is read from \
             disk again for every token",
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
    let pool = Pool::new(std::thread::available_parallelism().map_or(1, usize::from));
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
        "memory is read at {}/s: a model of 1 GB writes at most {:.0} tokens a second",
        units::bytes(rate as u64),
        rate / 1e9
    );
    match rate < 4e9 {
        false => Check::good("bandwidth", seen),
        true => Check::slow(
            "bandwidth",
            seen,
            "take a model in a smaller type (Q4_K_M): fewer bytes a token; is the machine busy, or \
             has it only one bank of memory?",
        ),
    }
}
