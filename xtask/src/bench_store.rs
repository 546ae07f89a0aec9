//! `cargo xtask bench-store`: how fast the memory is with a million turns, beside `llm`.
//!
//! The memory is made once and kept in the cache folder. Each search runs in a process of its own,
//! newest first, ten turns; `llm` searches an export of the same memory.

use crate::Failure;
use crate::llm_log::{Llm, example};
use std::fs;
use std::path::Path;

const USAGE: &str = "usage: cargo xtask bench-store [--turns N] [--without-llm]";

/// Searches that `llm` is timed with: common, common and rare words.
const LLM_SEARCHES: &[&str] = &["rareword1", "rareword2", "rareword3"];

/// Runs the benchmark.
///
/// # Errors
/// For arguments that are not understood, or if something cannot be set up or run.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let (mut n_turns, mut with_llm) = (1_000_000_u64, true);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--turns" => {
                let number = args.next().and_then(|value| value.parse().ok());
                n_turns = number.ok_or("--turns needs a number")?;
            }
            "--without-llm" => with_llm = false,
            other => return Err(format!("`{other}` is not known\n\n{USAGE}").into()),
        }
    }
    let llm = Llm::set_up(workspace)?;
    let path = |name: &str| llm.folder.join(name).display().to_string();
    let memory = path(&format!("memory-{n_turns}.db"));
    if !Path::new(&memory).exists() {
        let part = path("memory.part");
        let _ = fs::remove_file(&part);
        example(workspace, "bench_store", &["generate", &part, &n_turns.to_string()])?;
        fs::rename(&part, &memory)?;
    }
    print!("{}", example(workspace, "bench_store", &["search", &memory])?);
    print!("{}", example(workspace, "bench_store", &["log", &memory])?);
    if with_llm {
        let exported = path(&format!("exported-{n_turns}.db"));
        if !Path::new(&exported).exists() {
            example(workspace, "llm_log", &["export", &memory, &exported])?;
        }
        let search = [&["search", exported.as_str()], LLM_SEARCHES].concat();
        let (is_passed, text) = llm.run(&search)?;
        print!("milliseconds of `llm logs -q` on the same turns:\n{text}");
        return Ok(is_passed);
    }
    Ok(true)
}
