//! `cargo xtask fuzz`: millions of hostile inputs through every reader of files from strangers.
//!
//! Inputs are sound files, changed in the ways in which files lie: bits and bytes, numbers that
//! are just too large, runs cut out, doubled or moved, words of the format in wrong places. Each is
//! made from its number alone, so that one that fails can be made again:
//! `cargo xtask fuzz gguf --from NUMBER --inputs 1`. With `--guided`, inputs that reach code which
//! none had reached before are kept and changed further (`guided`). An input fails if it panics,
//! takes longer than ten seconds, or makes the program hold more than 16 MiB and four times its
//! length at any time: the allocator counts, and refuses what goes beyond, which ends the program.
//! Runs unoptimised code with overflow checks on.

mod coverage;
mod files;
mod folders;
pub mod guided;
mod logs;
mod mutate;
mod targets;

use crate::Failure;
use cap::Cap;
use coverage::Coverage;
use mutate::{Mutator, Random};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// Tries an input; says whether it was taken for sound.
type Try = Box<dyn Fn(&[u8]) -> bool>;

#[global_allocator]
static ALLOCATOR: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// What an input may make the program hold, beside a multiple of its own length.
const BYTES_MAX: usize = 16 << 20;
const TIMES_MAX: usize = 4;
const SECONDS_MAX: u64 = 10;

const USAGE: &str = "usage: cargo xtask fuzz [--inputs N] [--from NUMBER] [--each | --guided] \
                     [--file PATH] [TARGET…]";

/// The input at work, for the thread that watches over its time.
static AT_WORK: AtomicU64 = AtomicU64::new(u64::MAX);

struct Options {
    inputs: u64,
    from: u64,
    /// Say the number of each input, and keep it, before it is tried: one may end the program.
    each: bool,
    /// Keep what reaches new code, and go on from it.
    guided: bool,
    /// Try this file alone.
    file: Option<String>,
    targets: Vec<&'static Target>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let mut options = Options {
            inputs: 1_000_000,
            from: 0,
            each: false,
            guided: false,
            file: None,
            targets: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--file" {
                options.file = Some(args.next().ok_or("--file wants a path")?.clone());
                continue;
            }
            let mut number = || -> Result<u64, Failure> {
                let number = args.next().and_then(|value| value.parse().ok());
                Ok(number.ok_or_else(|| format!("{arg} wants a number"))?)
            };
            match arg.as_str() {
                "--inputs" => options.inputs = number()?,
                "--from" => options.from = number()?,
                "--each" => options.each = true,
                "--guided" => options.guided = true,
                name => {
                    let target = TARGETS.iter().find(|target| target.name == name);
                    options.targets.push(target.ok_or_else(|| {
                        let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
                        format!("`{name}` is not a target of {}\n\n{USAGE}", names.join(", "))
                    })?);
                }
            }
        }
        if options.targets.is_empty() {
            options.targets = TARGETS.iter().collect();
        }
        Ok(options)
    }
}

/// Runs the targets, one after the other.
///
/// # Errors
/// For arguments that are not understood.
pub fn run(args: &[String]) -> Result<bool, Failure> {
    let options = Options::parse(args)?;
    let mut coverage = None;
    if options.guided {
        coverage = Coverage::of_this_program();
        if coverage.is_none() && cfg!(target_os = "linux") && !is_counted_build() {
            return guided::in_counted_build(args);
        }
        if coverage.is_none() {
            return Err("--guided needs counters that can be read, which is so on Linux".into());
        }
    }
    std::thread::spawn(watch);
    // A backtrace takes more memory than an input may.
    std::panic::set_hook(Box::new(|panic| {
        let _ = ALLOCATOR.set_limit(usize::MAX);
        eprintln!("{panic}");
    }));
    let mut all_passed = true;
    for target in &options.targets {
        all_passed &= match (&options.file, &mut coverage) {
            (Some(path), _) => {
                let trial = try_input(target, &(target.make)(), &std::fs::read(path)?, 0)?;
                println!("{} {path}: {trial:?}", target.name);
                trial != Trial::Panicked
            }
            (None, Some(coverage)) => guided::run_target(target, &options, coverage)?,
            (None, None) => run_target(target, &options)?,
        };
    }
    Ok(all_passed)
}

/// Whether this program lies where the build with counters puts it.
fn is_counted_build() -> bool {
    std::env::current_exe().is_ok_and(|path| path.parent().is_some_and(|p| p.ends_with("fuzz")))
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    Passed { is_sound: bool },
    Panicked,
}

/// Tries one input within its bounds of time and memory; one that panics is kept as a file.
fn try_input(target: &Target, try_one: &Try, input: &[u8], number: u64) -> Result<Trial, Failure> {
    AT_WORK.store(number, Ordering::Relaxed);
    let before = ALLOCATOR.allocated();
    let limit = before + BYTES_MAX + TIMES_MAX * input.len();
    if ALLOCATOR.set_limit(limit).is_err() {
        return Err("the limit is below what is held".into());
    }
    let result = catch_unwind(AssertUnwindSafe(|| try_one(input)));
    let _ = ALLOCATOR.set_limit(usize::MAX);
    AT_WORK.store(u64::MAX, Ordering::Relaxed);
    match result {
        Ok(is_sound) => Ok(Trial::Passed { is_sound }),
        Err(_) => {
            let path = format!("fuzz-{}-{number}.bin", target.name);
            std::fs::write(&path, input)?;
            println!("{} PANICKED at input {number}, kept as {path}", target.name);
            Ok(Trial::Panicked)
        }
    }
}

fn run_target(target: &Target, options: &Options) -> Result<bool, Failure> {
    let started = Instant::now();
    let mutator = Mutator { seeds: (target.seeds)(), words: target.words };
    let try_one = (target.make)();
    let mut n_sound = 0u64;
    let last = options.from + options.inputs;
    for number in options.from..last {
        let mut random = Random::new(target.name, number);
        let input = mutator.input(&mut random);
        if options.each {
            eprintln!("{} {number}: {} bytes", target.name, input.len());
            std::fs::write(format!("fuzz-{}.bin", target.name), &input)?;
        }
        match try_input(target, &try_one, &input, number)? {
            Trial::Passed { is_sound } => n_sound += u64::from(is_sound),
            Trial::Panicked => return Ok(false),
        }
        if (number + 1).is_multiple_of(100_000) {
            eprintln!("{}: {} inputs", target.name, number + 1);
        }
    }
    println!(
        "{:12} {} inputs in {:.0} s, {n_sound} of them still sound: no panic, no hang, no more \
         than 16 MiB + 4 × the input",
        target.name,
        options.inputs,
        started.elapsed().as_secs_f64()
    );
    Ok(true)
}

/// Ends the program when one input takes too long.
fn watch() {
    let mut seen = (u64::MAX, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = AT_WORK.load(Ordering::Relaxed);
        if now != seen.0 || now == u64::MAX {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() > Duration::from_secs(SECONDS_MAX) {
            println!("input {now} takes longer than {SECONDS_MAX} s");
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_targets_seeds_are_sound_and_a_few_hundred_inputs_pass() {
        for target in TARGETS {
            let try_one = (target.make)();
            let seeds = (target.seeds)();
            assert!(seeds.iter().all(|seed| try_one(seed)), "{}", target.name);
            let mutator = Mutator { seeds, words: target.words };
            for number in 0..300 {
                try_one(&mutator.input(&mut Random::new(target.name, number)));
            }
        }
    }

    #[test]
    fn an_input_depends_on_its_number_alone() {
        let mutator = Mutator { seeds: vec![vec![7; 100]], words: &["word"] };
        let make = |number| mutator.input(&mut Random::new("x", number));
        assert_eq!(make(5), make(5));
        assert_ne!(make(5), make(6));
    }
}
