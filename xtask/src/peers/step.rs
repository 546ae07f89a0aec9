//! One run of somebody else's program, with its output in a log.

use crate::Failure;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A command about to run as a named step.
pub struct Step {
    name: String,
    log: PathBuf,
    command: Command,
}

impl Step {
    pub fn new(name: &str, program: &Path, log: &Path) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { name: name.to_owned(), log: log.to_owned(), command }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn arg(mut self, path: &Path) -> Self {
        self.command.arg(path);
        self
    }

    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Runs it, with everything that it says in the log.
    ///
    /// # Errors
    /// If it cannot start or fails.
    pub fn run(mut self) -> Result<(), Failure> {
        eprintln!("peers: {} …", self.name);
        let log = File::create(&self.log).map_err(|e| format!("{}: {e}", self.log.display()))?;
        self.command.stdout(log.try_clone()?).stderr(log);
        let status = self.command.status().map_err(|e| self.cannot_start(&e))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{} failed ({status}); see {}", self.name, self.log.display()).into())
    }

    /// Runs it and returns what it writes to stdout.
    ///
    /// # Errors
    /// If it cannot start or fails.
    pub fn output(mut self) -> Result<String, Failure> {
        let done = self.command.output().map_err(|e| self.cannot_start(&e))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        Err(format!("{} failed ({}): {said}", self.name, done.status).into())
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        format!("{}: {}: {error}", self.name, self.command.get_program().display()).into()
    }
}

/// `path`, if there is something there.
///
/// # Errors
/// If not; the message says which command makes it.
pub fn must_exist(path: PathBuf) -> Result<PathBuf, Failure> {
    if path.exists() {
        return Ok(path);
    }
    Err(format!("{} is not there\nhint: cargo xtask peers", path.display()).into())
}
