//! `cargo xtask bench-peers`: how fast is Wright beside llama.cpp?
//!
//! Both programs run in turn, on the same file with the same number of threads, so that a machine
//! that grows warm or busy does it to both. What counts is the ratio of the medians over at least
//! five such pairs; the spread is told with it. Timings of a machine that does other work are
//! noise, and nothing here can tell: run it on a quiet one.
//!
//! Nothing is written unless `--write` asks for `bench/RESULTS.md`.

mod files;
mod measure;
pub mod report;
mod seven;

use crate::Failure;
use crate::peers::Peers;
use crate::wright;
use measure::{Bench, Measured, Test};
use std::path::{Path, PathBuf};

const USAGE: &str = "\
usage: cargo xtask bench-peers [--pairs N] [--threads N] [--write] [CASE…]

cases: models formats seven depth batch start (all, if none is named)";
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
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
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
                "models" | "formats" | "seven" | "depth" | "batch" | "start" => {
                    options.cases.push(arg.clone());
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
    let mut rows = Vec::new();
    let (smol, gemma) = (peers.smol()?, peers.gemma()?);
    let both = [("SmolLM2 Q4_1", &smol), ("Gemma 3 Q4_K_M", &gemma)];
    if options.wants("models") {
        for (name, path) in both {
            rows.extend(bench.rates(name, path, &[Test::Read(512), Test::Write(128)], 0)?);
        }
    }
    if options.wants("formats") {
        for (name, path) in formats(&peers)? {
            rows.extend(bench.rates(&name, &path, &[Test::Read(512), Test::Write(128)], 0)?);
        }
    }
    if options.wants("seven") {
        let path = seven::model(&peers)?;
        let tests = [Test::Read(128), Test::Write(16)];
        rows.extend(bench.rates("7B shape Q4_K_M", &path, &tests, 0)?);
    }
    if options.wants("depth") {
        rows.extend(bench.rates("SmolLM2 Q4_1", &smol, &[Test::Read(4096)], 0)?);
        rows.extend(bench.rates("SmolLM2 Q4_1", &smol, &[Test::Write(128)], 4096)?);
    }
    if options.wants("batch") {
        rows.push(bench.batch("SmolLM2 Q4_1", &smol, 8)?);
    }
    if options.wants("start") {
        for (name, path) in both {
            rows.push(bench.start(name, path)?);
        }
    }
    finish(workspace, &options, &rows)
}

fn formats(peers: &Peers) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut made = Vec::new();
    for format in FORMATS {
        made.push((format!("SmolLM2 {format}"), files::requantised(peers, format)?));
    }
    Ok(made)
}

fn finish(workspace: &Path, options: &Options, rows: &[Measured]) -> Result<bool, Failure> {
    let table = report::table(rows);
    println!("{table}");
    if options.write {
        let path = workspace.join("bench/RESULTS.md");
        let page = report::page(&table, options.threads, options.pairs)?;
        std::fs::create_dir_all(workspace.join("bench"))?;
        std::fs::write(&path, page)?;
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
