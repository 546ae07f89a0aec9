//! `wright doctor`: what this machine gives, what is slow or broken and why, and how to fix it.
//!
//! Nothing is changed, and nothing leaves the machine. Each check says what it saw; one that saw
//! something wrong says what to do. The checks of the machine are in [`machine`], those of folders
//! and models in [`folders`].

mod folders;
pub mod machine;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use serde::Serialize;
use serde_json::json;

/// Check this machine, its folders and its models
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Verify the hash of every model whose hash is known; takes a second or more per gigabyte
    #[arg(long)]
    hash: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    /// It works, and could be better.
    Slow,
    /// Something does not work.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub verdict: Verdict,
    pub seen: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    fn good(name: &'static str, seen: impl Into<String>) -> Check {
        Check { name, verdict: Verdict::Good, seen: seen.into(), fix: None }
    }

    fn slow(name: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Check {
        let fix = Some(fix.into());
        Check { name, verdict: Verdict::Slow, seen: seen.into(), fix }
    }

    fn broken(name: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Check {
        Check { verdict: Verdict::Broken, ..Check::slow(name, seen, fix) }
    }
}

pub fn main(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut checks = machine::checks();
    checks.extend(folders::checks(context, args.hash)?);
    let worst = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Good);
    let text = match args.json {
        true => {
            let version = env!("CARGO_PKG_VERSION");
            json!({ "version": version, "worst": worst, "checks": checks }).to_string() + "\n"
        }
        false => table(&checks, worst),
    };
    match args.json {
        true => terminal::print(&text)?,
        false => terminal::print_text(&text)?,
    };
    Ok(if worst == Verdict::Broken { Exit::Failed } else { Exit::Done })
}

fn table(checks: &[Check], worst: Verdict) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let mark = match check.verdict {
            Verdict::Good => "ok    ",
            Verdict::Slow => "slow  ",
            Verdict::Broken => "BROKEN",
        };
        text += &format!("{mark}  {:width$}  {}\n", check.name, check.seen);
        if let Some(fix) = &check.fix {
            text += &format!("{:width$}  fix: {fix}\n", "", width = width + 8);
        }
    }
    text + match worst {
        Verdict::Good => "Everything is fine.\n",
        Verdict::Slow => "Everything works; the items marked slow could be faster.\n",
        Verdict::Broken => "Something is broken: see the fix next to it.\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_check_says_how_to_fix_it() {
        let checks = [
            Check::good("a", "fine"),
            Check::slow("bb", "meh", "do this"),
            Check::broken("c", "bad", "do that"),
        ];
        let text = table(&checks, Verdict::Broken);
        assert!(text.contains("BROKEN  c   bad") && text.contains("fix: do that"), "{text}");
        assert!(checks.iter().all(|c| (c.verdict == Verdict::Good) == c.fix.is_none()));
        assert!(machine::checks().iter().all(|c| !c.seen.is_empty()));
    }
}
