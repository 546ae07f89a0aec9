//! Runs of the two programs in turn, and what they tell.

use crate::Failure;
use crate::peers::Peers;
use crate::wright::said;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Tokens of a prompt, read.
    Read(u32),
    /// Tokens of an answer, written one by one.
    Write(u32),
}

impl Test {
    fn name(self, depth: u32) -> String {
        let name = match self {
            Test::Read(n) => format!("pp{n}"),
            Test::Write(n) => format!("tg{n}"),
        };
        if depth > 0 { format!("{name}@d{depth}") } else { name }
    }

    /// Tokens to read and tokens to write.
    fn tokens(self) -> (u32, u32) {
        match self {
            Test::Read(n) => (n, 0),
            Test::Write(n) => (0, n),
        }
    }
}

/// Results of one comparison, pair by pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub model: String,
    pub test: String,
    pub unit: &'static str,
    pub ours: Vec<f64>,
    pub theirs: Vec<f64>,
    /// Less is better: the ratio is then theirs to ours.
    pub less_is_better: bool,
}

impl Measured {
    /// Nothing yet.
    pub fn new(model: &str, test: &str, unit: &'static str, less_is_better: bool) -> Measured {
        let (ours, theirs) = (Vec::new(), Vec::new());
        let (model, test) = (model.to_owned(), test.to_owned());
        Measured { model, test, unit, ours, theirs, less_is_better }
    }
}

/// The two programs, and how they are run.
pub struct Bench {
    pub wright: PathBuf,
    pub peers: Peers,
    pub pairs: usize,
    pub threads: usize,
}

impl Bench {
    /// Tokens per second of each test, after `depth` tokens in the cache.
    ///
    /// # Errors
    /// If a program fails or writes something else than its results.
    pub fn rates(
        &self,
        model: &str,
        path: &Path,
        tests: &[Test],
        depth: u32,
    ) -> Result<Vec<Measured>, Failure> {
        let mut measured: Vec<Measured> =
            tests.iter().map(|t| Measured::new(model, &t.name(depth), "tok/s", false)).collect();
        for pair in 0..self.pairs {
            for (test, into) in tests.iter().zip(&mut measured) {
                eprint!(
                    "\rbench-peers: {model} {}: pair {} of {}   ",
                    into.test,
                    pair + 1,
                    self.pairs
                );
                let ours = self.wright_rate(path, *test, depth)?;
                let theirs = self.llama_rate(path, *test, depth)?;
                into.ours.push(ours);
                into.theirs.push(theirs);
            }
        }
        eprintln!();
        Ok(measured)
    }

    fn wright_rate(&self, path: &Path, test: Test, depth: u32) -> Result<f64, Failure> {
        let (read, write) = test.tokens();
        let mut command = Command::new(&self.wright);
        command.args(["bench", "--json", "--reps", "1", "-m"]).arg(path);
        command.args(["--threads", &self.threads.to_string()]);
        command.args(["-p", &read.to_string(), "-n", &write.to_string()]);
        if depth > 0 {
            command.args(["-d", &depth.to_string()]);
        }
        let (stdout, _) = said(&mut command)?;
        wright_result(&stdout, &test.name(depth))
    }

    fn llama_rate(&self, path: &Path, test: Test, depth: u32) -> Result<f64, Failure> {
        let (read, write) = test.tokens();
        let (stdout, _) = said(
            Command::new(self.peers.program("llama-bench")?)
                .args(["-o", "json", "-r", "1", "-m"])
                .arg(path)
                .args(["-t", &self.threads.to_string(), "-d", &depth.to_string()])
                .args(["-p", &read.to_string(), "-n", &write.to_string()]),
        )?;
        llama_result(&stdout)
    }

    /// Tokens per second of `n_seq` sequences that are written together.
    ///
    /// # Errors
    /// If a program fails or writes something else than its results.
    pub fn batch(&self, model: &str, path: &Path, n_seq: u32) -> Result<Measured, Failure> {
        let test = format!("tg128, {n_seq} together");
        let mut measured = Measured::new(model, &test, "tok/s", false);
        for _ in 0..self.pairs {
            let threads = self.threads.to_string();
            let (stdout, _) = said(
                Command::new(&self.wright)
                    .args(["bench", "--json", "--reps", "1", "--threads", &threads, "-m"])
                    .arg(path)
                    .args(["-p", "0", "-n", "128", "--batch", &n_seq.to_string()]),
            )?;
            measured.ours.push(only_result(&stdout)?);
            let (stdout, _) = said(
                Command::new(self.peers.program("llama-batched-bench")?)
                    .args(["--output-format", "jsonl", "-c", "2048", "-npp", "8", "-ntg", "128"])
                    .args(["-npl", &n_seq.to_string(), "-t", &threads, "-m"])
                    .arg(path),
            )?;
            measured.theirs.push(batched_result(&stdout)?);
        }
        Ok(measured)
    }
}

/// `tok_s` of the line of `wright bench --json` for `test`.
fn wright_result(stdout: &str, test: &str) -> Result<f64, Failure> {
    for line in stdout.lines() {
        let object: Value = serde_json::from_str(line)?;
        if object["test"] == test {
            return Ok(object["tok_s"].as_f64().ok_or("`wright bench --json` told no tok_s")?);
        }
    }
    Err(format!("`wright bench --json` told nothing of {test}").into())
}

/// `tok_s` of the only line.
fn only_result(stdout: &str) -> Result<f64, Failure> {
    let object: Value = serde_json::from_str(stdout.trim())?;
    Ok(object["tok_s"].as_f64().ok_or("`wright bench --json` told no tok_s")?)
}

/// `avg_ts` of the only result of `llama-bench -o json`.
fn llama_result(stdout: &str) -> Result<f64, Failure> {
    let results: Value = serde_json::from_str(stdout)?;
    let only =
        results.as_array().filter(|r| r.len() == 1).ok_or("llama-bench told no one result")?;
    Ok(only[0]["avg_ts"].as_f64().ok_or("llama-bench told no avg_ts")?)
}

/// `speed_tg` of the only result of `llama-batched-bench --output-format jsonl`.
fn batched_result(stdout: &str) -> Result<f64, Failure> {
    let line = stdout.lines().find(|line| line.starts_with('{'));
    let object: Value = serde_json::from_str(line.ok_or("llama-batched-bench told no result")?)?;
    Ok(object["speed_tg"].as_f64().ok_or("llama-batched-bench told no speed_tg")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_by_name() {
        let lines = "{\"test\":\"pp512\",\"tok_s\":10.5}\n{\"test\":\"tg128\",\"tok_s\":2}\n";
        assert_eq!(wright_result(lines, "tg128").expect("told"), 2.0);
        assert!(wright_result(lines, "pp64").is_err());
        assert!(only_result(lines).is_err());
        assert_eq!(llama_result("[{\"n_gen\":1,\"avg_ts\":7.25}]").expect("told"), 7.25);
        assert!(llama_result("[]").is_err());
        let lines = "warming up\n{\"pl\": 8, \"speed_tg\": 31.5}\n";
        assert_eq!(batched_result(lines).expect("told"), 31.5);
    }
}
