//! Inputs that grow: what reaches something new is kept, and what comes next is made of it.
//!
//! The readers are compiled with counters (`-C instrument-coverage`) in a build of their own, with
//! this very program standing before the compiler to add that flag where it is wanted. What was
//! kept lies under `target/`, and the next run begins with it. An input depends on all that were
//! kept before it, so one that fails is tried again from its file: `--file PATH TARGET`. The input
//! at work is always in a file beside what was kept, for those that end the program.

use super::coverage::Coverage;
use super::mutate::{Mutator, Random};
use super::targets::Target;
use super::{Options, Trial, try_input};
use crate::{Failure, workspace_root};
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Set where this program is run in the compiler's place.
const WRAPS: &str = "XTASK_FUZZ_WRAPS";
/// The crates whose code is counted: the readers, and what they are made of.
const COUNTED: &[&str] = &[
    "wright_text",
    "wright_model",
    "wright_run",
    "wright_data",
    "minijinja",
    "tar",
    "zip",
    "ruzstd",
    "lzma_rust2",
    "snap",
    "lz4_flex",
];
/// Kept inputs at most.
const KEPT_MAX: usize = 1 << 14;

/// Whether this program stands in the compiler's place.
pub fn is_wrapper() -> bool {
    std::env::var_os(WRAPS).is_some()
}

/// Runs the compiler that `args` name, with counters where they are wanted.
///
/// # Errors
/// If there is none.
pub fn wrap(args: &[String]) -> Result<bool, Failure> {
    let (compiler, args) = args.split_first().ok_or("no compiler is named")?;
    let mut names = args.iter().skip_while(|arg| *arg != "--crate-name").skip(1);
    let is_counted = names.next().is_some_and(|name| COUNTED.contains(&name.as_str()));
    let mut command = Command::new(compiler);
    command.args(args);
    if is_counted {
        command.arg("-Cinstrument-coverage");
    }
    Ok(command.status()?.success())
}

/// Builds this program again with counters, and runs it.
///
/// # Errors
/// If it cannot be built.
pub(super) fn in_counted_build(args: &[String]) -> Result<bool, Failure> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "fuzz", "--package", "xtask"])
        .current_dir(workspace_root())
        .env("RUSTC_WRAPPER", std::env::current_exe()?)
        .env(WRAPS, "1")
        .status()?;
    if !built.success() {
        return Err("the build with counters failed".into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace_root().join("target"));
    let status = Command::new(target.join("fuzz").join("xtask"))
        .arg("fuzz")
        .args(args)
        // What the counters would write at the end is of no use here.
        .env("LLVM_PROFILE_FILE", "/dev/null")
        .status()?;
    Ok(status.success())
}

/// What a target's earlier runs kept.
fn folder(target: &Target) -> PathBuf {
    workspace_root().join("target/fuzz-corpus").join(target.name)
}

fn kept(target: &Target) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder(target)).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).take(KEPT_MAX).collect()
}

/// The input at work, in a file: one that takes too much time or memory ends the program.
struct AtWork {
    path: PathBuf,
    file: File,
}

impl AtWork {
    fn new(target: &Target) -> Result<AtWork, Failure> {
        let path = folder(target).with_extension("at-work");
        let file = File::create(&path)?;
        Ok(AtWork { path, file })
    }

    fn keep(&mut self, input: &[u8]) -> Result<(), Failure> {
        self.file.rewind()?;
        self.file.write_all(input)?;
        Ok(self.file.set_len(input.len() as u64)?)
    }

    fn forget(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Runs one target.
///
/// # Errors
/// If what is kept cannot be written.
pub(super) fn run_target(
    target: &Target,
    options: &Options,
    coverage: &mut Coverage,
) -> Result<bool, Failure> {
    let started = Instant::now();
    let mut mutator = Mutator { seeds: (target.seeds)(), words: target.words };
    let try_one = (target.make)();
    coverage.forget();
    let from_seeds = mutator.seeds.len();
    for (number, input) in (0..).zip(mutator.seeds.clone().iter().chain(&kept(target))) {
        if try_input(target, &try_one, input, number)? == Trial::Panicked {
            return Ok(false);
        }
        if coverage.is_new() && !mutator.seeds.contains(input) {
            mutator.seeds.push(input.clone());
        }
    }
    let begun_with = mutator.seeds.len();
    fs::create_dir_all(folder(target))?;
    let mut at_work = AtWork::new(target)?;
    for number in options.from..options.from + options.inputs {
        let input = mutator.input_of_late(&mut Random::new(target.name, number));
        at_work.keep(&input)?;
        if try_input(target, &try_one, &input, number)? == Trial::Panicked {
            return Ok(false);
        }
        if coverage.is_new() && mutator.seeds.len() < KEPT_MAX {
            let name = format!("{:06}.bin", mutator.seeds.len() - from_seeds);
            fs::write(folder(target).join(name), &input)?;
            mutator.seeds.push(input);
        }
        if (number + 1).is_multiple_of(100_000) {
            let n = mutator.seeds.len();
            eprintln!("{}: {} inputs, {n} kept", target.name, number + 1);
        }
    }
    at_work.forget();
    let (all, reached) = coverage.reached();
    println!(
        "{:12} {} inputs in {:.0} s, {} kept beside {begun_with}, {reached} of {all} places \
         reached: no panic, no hang, no more than 16 MiB + 4 × the input",
        target.name,
        options.inputs,
        started.elapsed().as_secs_f64(),
        mutator.seeds.len() - begun_with
    );
    Ok(true)
}
