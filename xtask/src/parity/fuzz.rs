//! Token ids of 100,000 fuzzed lines are those of the crate `tokenizers`: the long form of a test
//! that `wright-text` has, which knows how to build the same tokenizer twice.

use super::{Check, Setting};
use crate::Failure;
use crate::wright::said;
use std::process::Command;

const LINES: &str = "100000";
const TEST: &str = "fuzzed_lines_equal_the_reference";

pub fn compare(setting: &Setting) -> Result<Vec<Check>, Failure> {
    let run = said(
        Command::new(env!("CARGO"))
            .args(["test", "--quiet", "--package", "wright-text", "--test", "tokens"])
            .args(["--", "--nocapture", "--exact", TEST])
            .env("WRIGHT_FUZZ_LINES", LINES)
            .current_dir(&setting.workspace),
    );
    let name = format!("tokens, {LINES} fuzzed lines");
    Ok(vec![match run {
        Ok((stdout, _)) if stdout.contains("1 passed") => {
            // Characters that one side's Unicode knows and the other's does not.
            let exceptions = stdout.lines().find(|line| line.starts_with("exceptions: "));
            Check::new(name, true, format!("equal; {}", exceptions.unwrap_or("none told")))
        }
        Ok(_) => Check::new(name, false, format!("there is no test `{TEST}` in wright-text")),
        Err(failure) => Check::new(name, false, failure.to_string()),
    }])
}
