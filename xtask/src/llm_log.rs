//! `cargo xtask llm-log`: does `llm` itself find its log unchanged after it has been in Wright's
//! memory?
//!
//! `xtask/peers/llm_log.py` makes a log with everything that one can hold. It is imported and
//! exported again; then the real package re-hashes every message, rows are compared table by table,
//! and `llm logs` shows both under each of its filters.

use crate::Failure;
use crate::peers::{Peers, Step};
use crate::wright::said;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions that are compared with.
const PACKAGES: &[&str] = &["llm==0.36", "llm-echo==0.5"];

/// A Python environment with `llm`, set up where it is missing.
pub struct Llm {
    python: PathBuf,
    script: PathBuf,
    /// Folder for logs and for the settings of `llm`, apart from those of whoever runs this.
    pub folder: PathBuf,
}

impl Llm {
    /// # Errors
    /// If the environment cannot be set up.
    pub fn set_up(workspace: &Path) -> Result<Self, Failure> {
        let peers = Peers::locate()?;
        let (venv, folder) = (peers.path("llm-venv"), peers.path("llm"));
        fs::create_dir_all(&folder)?;
        let python = venv.join("bin/python");
        let log = folder.join("packages.log");
        if !python.is_file() {
            Step::new("llm-venv", "python3".as_ref(), &log)
                .args(["-m", "venv"])
                .arg(&venv)
                .run()?;
            Step::new("llm", &python, &log).args(["-m", "pip", "install"]).args(PACKAGES).run()?;
        }
        Ok(Llm { python, script: workspace.join("xtask/peers/llm_log.py"), folder })
    }

    /// Runs a verb of the script; what it says, and whether all was as it should be.
    ///
    /// # Errors
    /// If it cannot start.
    pub fn run(&self, args: &[&str]) -> Result<(bool, String), Failure> {
        let done = Command::new(&self.python)
            .arg(&self.script)
            .args(args)
            .env("LLM_USER_PATH", self.folder.join("user"))
            .output()?;
        let said = [done.stdout, done.stderr].concat();
        Ok((done.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }
}

/// Runs an example of `wright-store`, built for release.
///
/// # Errors
/// If it fails: then with the end of what it said.
pub fn example(workspace: &Path, name: &str, args: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--release", "--package", "wright-store", "--example", name]);
    command.arg("--").args(args).current_dir(workspace);
    Ok(said(&mut command)?.0)
}

/// Runs the comparison.
///
/// # Errors
/// If something cannot be set up or run.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    if let Some(arg) = args.first() {
        return Err(format!("llm-log takes no arguments, and got `{arg}`").into());
    }
    let llm = Llm::set_up(workspace)?;
    let folder = llm.folder.join("log");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let path = |name: &str| folder.join(name).display().to_string();
    let (theirs, memory, ours) = (path("logs.db"), path("memory.db"), path("exported.db"));
    let (is_made, text) = llm.run(&["make", &folder.display().to_string()])?;
    print!("{text}");
    if !is_made {
        return Ok(false);
    }
    print!("{}", example(workspace, "llm_log", &["import", &memory, &theirs])?);
    print!("{}", example(workspace, "llm_log", &["export", &memory, &ours])?);
    let mut all_passed = true;
    for args in [&["verify", &ours][..], &["compare", &theirs, &ours], &["filters", &theirs, &ours]]
    {
        let (is_passed, text) = llm.run(args)?;
        print!("{text}");
        all_passed &= is_passed;
    }
    Ok(all_passed)
}
