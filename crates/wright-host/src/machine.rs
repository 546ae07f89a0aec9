//! Facts about the machine: processors and memory, with the limits of a container.
//!
//! A fact that the system does not tell is `None`. Memory limits come from control groups, version
//! 1 and 2; those of processors are in what the standard library counts.

use std::fs;
use std::path::{Path, PathBuf};

/// Logical processors that this program may use, at least 1: those of the machine, fewer under a
/// container's limit or an affinity.
pub fn usable_processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Logical processors of the machine.
pub fn all_processors() -> Option<usize> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    Some(text.lines().filter(|line| line.starts_with("processor")).count())
}

/// What the processor calls itself, or its architecture.
pub fn processor_name() -> String {
    cpu_info("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// A line of /proc/cpuinfo.
fn cpu_info(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Instruction sets that matter to arithmetic, of those that the processor has.
#[cfg(target_arch = "x86_64")]
pub fn instruction_sets() -> Vec<&'static str> {
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
pub fn instruction_sets() -> Vec<&'static str> {
    let has_dotprod = std::arch::is_aarch64_feature_detected!("dotprod");
    if has_dotprod { vec!["NEON", "dotprod"] } else { vec!["NEON"] }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn instruction_sets() -> Vec<&'static str> {
    Vec::new()
}

/// Processes that want to run, averaged over the last minute.
pub fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// How the system chooses the processor's frequency, such as "performance".
pub fn frequency_governor() -> Option<String> {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Bytes of memory that this program may use at most: the machine's, or a container's limit.
pub fn total_memory() -> Option<u64> {
    let total = memory_info("MemTotal:")?;
    Some(limits().into_iter().map(|limit| limit.max).fold(total, u64::min))
}

/// Bytes of memory that may be used without pushing others out, with a container's limit in mind.
pub fn available_memory() -> Option<u64> {
    let free = memory_info("MemAvailable:")?;
    Some(limits().into_iter().map(|limit| limit.free()).fold(free, u64::min))
}

/// The most memory that this process ever held, in bytes.
pub fn peak_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes of a line of /proc/meminfo.
fn memory_info(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

fn limits() -> Vec<MemoryLimit> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    memory_limits(Path::new("/sys/fs/cgroup"), &own)
}

/// A control group's limit of memory and what its processes hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MemoryLimit {
    max: u64,
    used: u64,
    /// Of what is used: pages of files that were not read lately, which the kernel drops first.
    droppable: u64,
}

impl MemoryLimit {
    fn free(self) -> u64 {
        self.max.saturating_sub(self.used.saturating_sub(self.droppable))
    }

    /// Reads the files of version 2 (`memory.max` …) or 1 (`memory.limit_in_bytes` …).
    fn of(folder: &Path, [max, used]: [&str; 2]) -> Option<MemoryLimit> {
        let number =
            |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        // Version 1 has a line for the group alone and one for those below it, too.
        let droppable = ["total_inactive_file ", "inactive_file "].iter().find_map(|key| {
            let line = statistics.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().parse().ok()
        });
        let (max, used) = (number(max)?, number(used)?);
        Some(MemoryLimit { max, used, droppable: droppable.unwrap_or(0) })
    }
}

/// Every limit that holds for the process whose /proc/self/cgroup says `own`: that of its group
/// and of all groups above it, as far as they are visible below `root`.
fn memory_limits(root: &Path, own: &str) -> Vec<MemoryLimit> {
    const VERSION_2: [&str; 2] = ["memory.max", "memory.current"];
    const VERSION_1: [&str; 2] = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
    let mut found = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (top, files) = match controllers {
            "" => (root.to_owned(), VERSION_2),
            _ if controllers.split(',').any(|c| c == "memory") => (root.join("memory"), VERSION_1),
            _ => continue,
        };
        // In a container the path may be one of the host's, of which only the top is visible.
        let group = PathBuf::from(group.trim_start_matches('/'));
        found.extend(group.ancestors().filter_map(|at| MemoryLimit::of(&top.join(at), files)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, each with its text.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_limit_above_a_process_counts() {
        let root = tree(&[
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "400\n"),
            ("a/memory.stat", "anon 200\ninactive_file 150\nactive_file 50\n"),
            ("a/b/memory.max", "max\n"),
            ("a/b/memory.current", "300\n"),
            ("other/memory.max", "1\n"),
            ("other/memory.current", "1\n"),
        ]);
        let found = memory_limits(root.path(), "0::/a/b\n");
        assert_eq!(found, [MemoryLimit { max: 1000, used: 400, droppable: 150 }]);
        assert_eq!(found[0].free(), 750);
    }

    #[test]
    fn a_container_sees_its_own_limit_at_the_top() {
        let root = tree(&[("memory.max", "500\n"), ("memory.current", "600\n")]);
        for own in ["0::/\n", "0::/kubepods/pod7\n"] {
            let found = memory_limits(root.path(), own);
            assert_eq!(found.len(), 1, "{own}");
            assert_eq!(found[0].free(), 0);
        }
    }

    #[test]
    fn limits_of_version_1_are_read_and_no_limit_is_none() {
        let root = tree(&[
            ("memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/x/memory.usage_in_bytes", "10\n"),
            ("memory/memory.limit_in_bytes", "100\n"),
            ("memory/memory.usage_in_bytes", "50\n"),
            ("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 20\n"),
        ]);
        let own = "5:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/x\n";
        let free: Vec<u64> =
            memory_limits(root.path(), own).iter().map(|limit| limit.free()).collect();
        assert_eq!(free, [9_223_372_036_854_771_702, 70]);
        assert_eq!(memory_limits(root.path(), "0::/\n"), []);
        assert_eq!(memory_limits(root.path(), "odd\n\n"), []);
    }

    #[test]
    fn this_machine_has_a_processor_and_no_more_is_free_than_there_is() {
        assert!(usable_processors() >= 1);
        assert!(!processor_name().is_empty());
        if let (Some(free), Some(total)) = (available_memory(), total_memory()) {
            assert!(free <= total);
        }
    }
}
