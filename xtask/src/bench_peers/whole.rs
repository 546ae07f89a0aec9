//! What a whole run of a program takes: from its start to its first token, and memory.
//!
//! Both programs get the same text, threads and context. llama.cpp runs without its pass to warm
//! up, which Wright has not either. One run of each comes first and does not count: it fills the
//! page cache.

use super::measure::{Bench, Measured};
use crate::Failure;
use crate::peers::Peers;
use crate::wright::said;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// 20 tokens.
const PROMPT: &str = "The quick brown fox jumps over the lazy dog and then it runs away through \
                      the old gate";
/// About 2,000 tokens of either model.
const PREFIX_BYTES: usize = 6_600;
const N_CTX: &str = "4096";
/// Runs a command and tells its peak memory in bytes: the standard library does not.
const PEAK_PY: &str = "\
import resource, subprocess, sys
quiet = subprocess.DEVNULL
subprocess.run(sys.argv[1:], check=True, stdin=quiet, stdout=quiet, stderr=quiet)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
";

/// One run of each program.
struct Run<'a> {
    path: &'a Path,
    prompt: &'a str,
    n_tokens: &'a str,
    /// Where what was read is kept from run to run, if it is.
    kept: Option<&'a Path>,
}

impl Bench {
    /// Milliseconds from the start of the process to its end after one token, for 20 tokens of
    /// prompt and for one, which is what loading takes.
    ///
    /// # Errors
    /// If a program fails.
    pub fn start(&self, model: &str, path: &Path) -> Result<Vec<Measured>, Failure> {
        let tests = [("start to first token", PROMPT), ("load, and one token", "a")];
        let one = |(test, prompt): (&str, &str)| {
            let run = Run { path, prompt, n_tokens: "1", kept: None };
            let mut measured = Measured::new(model, test, "ms", true);
            for pair in 0..=self.pairs {
                let ours = wall_ms(&mut self.ours(&run))?;
                measured.push_after_first(pair, ours, wall_ms(&mut self.theirs(&run)?)?);
            }
            Ok(measured)
        };
        tests.into_iter().map(one).collect()
    }

    /// Milliseconds from the start of the process to its end after one token, where another
    /// process has read all of the prompt but its last line. llama.cpp does so by `--prompt-cache`.
    ///
    /// # Errors
    /// If a program fails.
    pub fn prefix(&self, model: &str, path: &Path) -> Result<Measured, Failure> {
        let text = fs::read_to_string(crate::parity::corpus::write(&self.peers)?)?;
        let end = (0..=PREFIX_BYTES).rev().find(|&n| text.is_char_boundary(n)).unwrap_or(0);
        let kept = self.peers.path("kept");
        let mut measured =
            Measured::new(model, "2,000 tokens read before: first token", "ms", true);
        // What another day's run left would make the first run a second one.
        if kept.is_dir() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(&kept)?;
        for pair in 0..=self.pairs {
            let prompt = format!("{}\n\nIn {} words:", &text[..end], pair + 10);
            let run = Run { path, prompt: &prompt, n_tokens: "1", kept: Some(&kept) };
            let ours = wall_ms(&mut self.ours(&run))?;
            let mut theirs = self.theirs(&run)?;
            if pair > 0 {
                theirs.arg("--prompt-cache-ro");
            }
            measured.push_after_first(pair, ours, wall_ms(&mut theirs)?);
        }
        Ok(measured)
    }

    /// Megabytes of memory at most, reading 20 tokens and writing 64 with room for 4,096.
    ///
    /// # Errors
    /// If a program fails.
    pub fn memory(&self, model: &str, path: &Path) -> Result<Measured, Failure> {
        let run = Run { path, prompt: PROMPT, n_tokens: "64", kept: None };
        let mut measured = Measured::new(model, "peak memory", "MB", true);
        for pair in 0..=self.pairs {
            let ours = peak_mb(&self.peers, &self.ours(&run))?;
            let theirs = peak_mb(&self.peers, &self.theirs(&run)?)?;
            measured.push_after_first(pair, ours, theirs);
        }
        Ok(measured)
    }

    fn ours(&self, run: &Run<'_>) -> Command {
        let mut command = Command::new(&self.wright);
        command.args(["run", "--raw", "--temperature", "0", "--ctx", N_CTX]);
        command.args(["--max-tokens", run.n_tokens, "--threads", &self.threads.to_string()]);
        match run.kept {
            Some(folder) => command.env("WRIGHT_HOME", folder),
            None => command.arg("--no-prefix-cache"),
        };
        command.arg("-m").arg(run.path).arg(run.prompt);
        command
    }

    fn theirs(&self, run: &Run<'_>) -> Result<Command, Failure> {
        let mut command = Command::new(self.peers.program("llama-completion")?);
        command.args(["-no-cnv", "--no-warmup", "--temp", "0", "-c", N_CTX]);
        command.args(["-n", run.n_tokens, "-t", &self.threads.to_string()]);
        if let Some(folder) = run.kept {
            command.arg("--prompt-cache").arg(kept_by_llama(folder));
        }
        command.arg("-m").arg(run.path).args(["-p", run.prompt]);
        Ok(command)
    }
}

fn kept_by_llama(folder: &Path) -> PathBuf {
    folder.join("prompt.llama")
}

impl Measured {
    /// A pair, but for the first.
    fn push_after_first(&mut self, pair: usize, ours: f64, theirs: f64) {
        if pair > 0 {
            self.ours.push(ours);
            self.theirs.push(theirs);
        }
    }
}

fn wall_ms(command: &mut Command) -> Result<f64, Failure> {
    command.stdin(Stdio::null());
    let started = Instant::now();
    said(command)?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn peak_mb(peers: &Peers, command: &Command) -> Result<f64, Failure> {
    let mut python = Command::new(peers.python()?);
    python.args(["-c", PEAK_PY]).arg(command.get_program()).args(command.get_args());
    let (stdout, _) = said(&mut python)?;
    let bytes: f64 = stdout.trim().parse()?;
    Ok(bytes / 1e6)
}
