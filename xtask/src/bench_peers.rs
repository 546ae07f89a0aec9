//! `cargo xtask bench-peers`: how fast is Wright beside llama.cpp?
//!
//! Both programs run in turn, on the same file with the same number of threads, so that a machine
//! that grows warm or busy does it to both. What counts is the ratio of the medians over at least
//! five such pairs; the spread is told with it. Timings of a machine that does other work are
//! noise, and nothing here can tell: run it on a quiet one.
//!
//! Nothing is written unless `--write` asks for `bench/RESULTS.md`, where new rows take the place
//! of this machine's old ones.

mod draft_tasks;
mod drafts;
mod files;
mod goals;
mod measure;
mod random;
pub mod report;
mod whole;

use crate::Failure;
use crate::peers::Peers;
use crate::wright;
use measure::{Bench, Measured, Test};
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "\
usage: cargo xtask bench-peers [--pairs N] [--threads N] [--write] [CASE…]

cases: models formats types seven depth batch start prefix memory drafts, or a format, such as
Q4_0 (all, if none is named)";
const CASES: &[&str] = &[
    "models", "formats", "types", "seven", "depth", "batch", "start", "prefix", "memory", "drafts",
];
const PAIRS_MIN: usize = 5;
/// What llama-quantize makes of SmolLM2 to compare formats.
const FORMATS: &[&str] = &["Q4_0", "Q4_K", "Q5_0", "Q5_K", "Q6_K", "Q8_0", "F16", "BF16"];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    pairs: usize,
    threads: usize,
    write: bool,
    cases: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let threads = wright_host::machine::usable_processors();
        let mut options = Self { pairs: PAIRS_MIN, threads, write: false, cases: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || -> Result<usize, Failure> {
                let value = args.next().ok_or_else(|| format!("{arg} wants a number"))?;
                Ok(value.parse().map_err(|_| format!("{arg} wants a number, not `{value}`"))?)
            };
            match arg.as_str() {
                "--pairs" => options.pairs = number()?,
                "--threads" => options.threads = number()?,
                "--write" => options.write = true,
                case if CASES.contains(&case) || FORMATS.contains(&case) => {
                    options.cases.push(arg.clone())
                }
                _ => return Err(format!("`{arg}` is not known\n\n{USAGE}").into()),
            }
        }
        if options.pairs < PAIRS_MIN || options.threads == 0 {
            return Err(format!("at least {PAIRS_MIN} pairs and one thread").into());
        }
        Ok(options)
    }

    fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|c| c == case)
    }
}

/// Runs the comparisons and prints a table.
///
/// # Errors
/// If the peers are not set up, a program fails, or what it writes is not understood.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let options = Options::parse(args)?;
    let peers = Peers::locate()?;
    let bench = Bench {
        wright: wright::build(workspace)?,
        peers: peers.clone(),
        pairs: options.pairs,
        threads: options.threads,
    };
    let mut rows = rates(&bench, &options)?;
    rows.extend(whole_runs(&bench, &options)?);
    if options.wants("drafts") {
        rows.extend(bench.drafts("SmolLM2 Q4_1", &peers.smol()?)?);
    }
    finish(workspace, &options, &rows)
}

/// Tokens per second.
fn rates(bench: &Bench, options: &Options) -> Result<Vec<Measured>, Failure> {
    let peers = &bench.peers;
    let mut rows = Vec::new();
    let usual = [Test::Read(512), Test::Write(128)];
    if options.wants("models") {
        for (name, path) in both(peers)? {
            rows.extend(bench.rates(name, &path, &usual, 0)?);
        }
    }
    for format in FORMATS.iter().filter(|f| options.wants("formats") || options.wants(f)) {
        let path = files::requantised(peers, format)?;
        rows.extend(bench.rates(&format!("SmolLM2 {format}"), &path, &usual, 0)?);
    }
    for dtype in random::TYPES.into_iter().filter(|_| options.wants("types")) {
        let path = random::of_type(peers, dtype)?;
        let tests = [Test::Read(128), Test::Write(32)];
        rows.extend(bench.rates(&format!("110M shape {}", dtype.name()), &path, &tests, 0)?);
    }
    if options.wants("seven") {
        let tests = [Test::Read(128), Test::Write(16)];
        rows.extend(bench.rates("7B shape Q4_K_M", &random::seven(peers)?, &tests, 0)?);
    }
    if options.wants("depth") {
        let smol = peers.smol()?;
        rows.extend(bench.rates("SmolLM2 Q4_1", &smol, &[Test::Read(4096)], 0)?);
        rows.extend(bench.rates("SmolLM2 Q4_1", &smol, &[Test::Write(128)], 4096)?);
    }
    if options.wants("batch") {
        rows.push(bench.batch("SmolLM2 Q4_1", &peers.smol()?, 8)?);
    }
    Ok(rows)
}

/// What whole runs take.
fn whole_runs(bench: &Bench, options: &Options) -> Result<Vec<Measured>, Failure> {
    let mut rows = Vec::new();
    if !["start", "prefix", "memory"].iter().any(|case| options.wants(case)) {
        return Ok(rows);
    }
    for (name, path) in both(&bench.peers)? {
        if options.wants("start") {
            rows.extend(bench.start(name, &path)?);
        }
        if options.wants("prefix") {
            rows.push(bench.prefix(name, &path)?);
        }
        if options.wants("memory") {
            rows.push(bench.memory(name, &path)?);
        }
    }
    Ok(rows)
}

fn both(peers: &Peers) -> Result<[(&'static str, PathBuf); 2], Failure> {
    Ok([("SmolLM2 Q4_1", peers.smol()?), ("Gemma 3 Q4_K_M", peers.gemma()?)])
}

fn finish(workspace: &Path, options: &Options, rows: &[Measured]) -> Result<bool, Failure> {
    println!("{}", report::table(rows)?);
    if options.write {
        let path = workspace.join("bench/RESULTS.md");
        let page = report::merged(&fs::read_to_string(&path)?, options.threads, rows)?;
        fs::write(&path, page)?;
        println!("written to bench/RESULTS.md");
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Failure> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_read_and_bounded() {
        let options = parse("--pairs 7 depth --threads 1 --write start").expect("fine");
        assert_eq!((options.pairs, options.threads, options.write), (7, 1, true));
        assert!(options.wants("depth") && options.wants("start") && !options.wants("models"));
        assert!(parse("").expect("fine").wants("batch"));
        for wrong in ["--pairs 4", "--pairs", "--pairs x", "--threads 0", "everything"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
