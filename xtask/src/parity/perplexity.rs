//! Perplexity on 100 kB of text: `wright perplexity` beside `llama-perplexity`, with the same
//! windows of 512 tokens of which each the second half is scored.

use super::{Check, Setting};
use crate::Failure;
use crate::peers::Peers;
use crate::wright::{build, said};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const WINDOW: &str = "512";
const PERCENT_MAX: f64 = 0.5;

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let wright = build(&setting.workspace)?;
    let mut checks = Vec::new();
    for (name, path) in setting.models()? {
        let theirs =
            llama_perplexity(&setting.peers, &setting.corpus, setting.threads, &path, None)?;
        let ours = wright_perplexity(setting, &wright, &path)?;
        let percent = 100.0 * (ours / theirs - 1.0);
        let detail = format!(
            "Wright {ours:.4}, llama.cpp {theirs:.4}: {percent:+.3} % (at most {PERCENT_MAX} %)"
        );
        let name = format!("perplexity, {name}");
        checks.push(Check::new(name, percent.abs() <= PERCENT_MAX, detail));
    }
    Ok(checks)
}

fn wright_perplexity(setting: &Setting, wright: &Path, model: &Path) -> Result<f64, Failure> {
    let (stdout, _) = said(
        Command::new(wright).arg("perplexity").arg(&setting.corpus).arg("-m").arg(model).args([
            "--ctx",
            WINDOW,
            "--threads",
            &setting.threads.to_string(),
            "--json",
        ]),
    )?;
    let report: Value = serde_json::from_str(&stdout)?;
    Ok(report["perplexity"].as_f64().ok_or("`wright perplexity --json` told no perplexity")?)
}

/// What llama.cpp says of a model on a text, on all of its windows or the first so many.
///
/// # Errors
/// If the program is not there or fails.
pub fn llama_perplexity(
    peers: &Peers,
    corpus: &Path,
    threads: usize,
    model: &Path,
    windows: Option<usize>,
) -> Result<f64, Failure> {
    let mut command = Command::new(peers.program("llama-perplexity")?);
    command.arg("-m").arg(model).arg("-f").arg(corpus);
    command.args(["-c", WINDOW, "-b", WINDOW, "-t", &threads.to_string()]);
    if let Some(windows) = windows {
        command.args(["--chunks", &windows.to_string()]);
    }
    let (stdout, stderr) = said(&mut command)?;
    estimate(&stdout)
        .or_else(|| estimate(&stderr))
        .ok_or_else(|| "llama-perplexity told no final estimate".into())
}

/// The number in `Final estimate: PPL = 12.3456 +/- 0.1234`.
fn estimate(said: &str) -> Option<f64> {
    let (_, after) = said.split_once("Final estimate: PPL =")?;
    after.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_estimate_is_read() {
        assert_eq!(estimate("[1]3.0\nFinal estimate: PPL = 12.5 +/- 0.2\n"), Some(12.5));
        assert_eq!(estimate("[1]3.0\n"), None);
    }
}
