//! `cargo xtask parity`: is Wright right? Its peers say.
//!
//! Each check compares Wright with llama.cpp (or with the `tokenizers` crate, or Jinja2) on the
//! same files and the same text, and has a bound that was set beforehand. The table at the end
//! names all that was compared; one failure makes the whole fail. Nothing here measures speed.

mod convert;
pub mod corpus;
mod divergence;
mod exports;
mod fuzz;
mod llama;
mod perplexity;
mod templates;
mod tokens;

pub use perplexity::llama_perplexity;

use crate::Failure;
use crate::peers::Peers;
use std::path::{Path, PathBuf};

/// What came out of one comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// The numbers behind the verdict.
    pub detail: String,
}

impl Check {
    fn new(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok, detail: detail.into() }
    }
}

/// What every comparison needs.
pub struct Setting {
    pub peers: Peers,
    pub workspace: PathBuf,
    /// 100 kB of text, in a file.
    pub corpus: PathBuf,
    pub threads: usize,
}

impl Setting {
    /// Names and files of the models that are compared.
    fn models(&self) -> Result<[(&'static str, PathBuf); 2], Failure> {
        Ok([("SmolLM2", self.peers.smol()?), ("Gemma 3", self.peers.gemma()?)])
    }
}

type Comparison = fn(&Setting) -> Result<Vec<Check>, Failure>;

const COMPARISONS: &[(&str, Comparison)] = &[
    ("tokens", tokens::compare),
    ("templates", templates::compare),
    ("fuzz", fuzz::compare),
    ("perplexity", perplexity::compare),
    ("divergence", divergence::compare),
    ("exports", exports::compare),
    ("convert", convert::compare),
];

/// Runs the comparisons that `args` name, or all.
///
/// # Errors
/// If an argument is not known or the peers are not set up. A comparison that cannot run counts as
/// failed.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let known = |name: &String| COMPARISONS.iter().any(|(known, _)| known == name);
    if let Some(arg) = args.iter().find(|arg| !known(arg)) {
        let names: Vec<&str> = COMPARISONS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no comparison is called `{arg}`, only {}", names.join(", ")).into());
    }
    let peers = Peers::locate()?;
    let setting = Setting {
        corpus: corpus::write(&peers)?,
        threads: wright_host::machine::usable_processors(),
        workspace: workspace.to_owned(),
        peers,
    };
    let mut checks = Vec::new();
    for (name, compare) in COMPARISONS {
        if !args.is_empty() && !args.iter().any(|arg| arg == name) {
            continue;
        }
        eprintln!("parity: {name} …");
        match compare(&setting) {
            Ok(done) => checks.extend(done),
            Err(failure) => checks.push(Check::new(*name, false, failure.to_string())),
        }
    }
    print!("{}", table(&checks));
    Ok(checks.iter().all(|check| check.ok))
}

/// The checks, one a line, and how many of them failed.
fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let verdict = if check.ok { "ok    " } else { "FAILED" };
        let detail = check.detail.replace('\n', "\n  ");
        text.push_str(&format!("{verdict}  {:width$}  {detail}\n", check.name));
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    text.push_str(&format!("parity: {} checks, {failed} failed\n", checks.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_check_and_counts_failures() {
        let checks = [Check::new("a", true, "1 of 1"), Check::new("bcd", false, "x\ny")];
        let wanted = "ok      a    1 of 1\nFAILED  bcd  x\n  y\nparity: 2 checks, 1 failed\n";
        assert_eq!(table(&checks), wanted);
    }
}
