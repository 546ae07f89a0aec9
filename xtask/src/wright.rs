//! The program under test, as a user would build and run it.

use crate::Failure;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the release form of `wright` and returns where it is.
///
/// # Errors
/// If it does not build. Only a release build of this program may ask: it lies in the same folder.
pub fn build(workspace: &Path) -> Result<PathBuf, Failure> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--package", "wright"])
        .current_dir(workspace)
        .status()?;
    if !status.success() {
        return Err("`cargo build --release --package wright` failed".into());
    }
    let name = format!("wright{}", std::env::consts::EXE_SUFFIX);
    let program = std::env::current_exe()?.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("{} is not there after the build", program.display()).into())
}

/// Runs a program to its end and returns what it wrote to stdout and to stderr.
///
/// # Errors
/// If it does not start, or fails: then with the end of what it said.
pub fn said(command: &mut Command) -> Result<(String, String), Failure> {
    let name = command.get_program().display().to_string();
    let done = command.output().map_err(|e| format!("{name}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    if done.status.success() {
        return Ok((stdout, stderr));
    }
    let from = stderr.lines().count().saturating_sub(5);
    let end: Vec<&str> = stderr.lines().skip(from).collect();
    Err(format!("{name} failed ({}): {}", done.status, end.join("\n")).into())
}
