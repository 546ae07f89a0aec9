//! Packages from PyPI, through whatever pip this machine has.
//!
//! Wright itself speaks to no index: pip does, with the person's own settings (mirror, proxy,
//! certificates). Only wheels are taken, which are plain archives: no code of a package runs. Pip
//! writes below the staging folder, and the progress bar is drawn from the bytes that appear
//! there, which works with any version of pip.

use super::staging::Staging;
use crate::catalogue::PypiPart;
use crate::error::{Error, ErrorKind, Hint};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use wright_host::{Count, Interrupt, Reporter};

/// The ways to call pip, tried in order until one is there.
pub const PROGRAMS: [&[&str]; 5] = [
    &["python3", "-m", "pip"],
    &["python", "-m", "pip"],
    &["pip3"],
    &["pip"],
    &["py", "-m", "pip"],
];

/// Packages to fetch.
pub struct Job<'a> {
    pub label: &'a str,
    pub parts: &'a [PypiPart],
    /// Expected size of all packages, for the bar.
    pub bytes: u64,
    pub pips: &'a [&'a [&'a str]],
}

impl Job<'_> {
    /// Downloads every part's wheel; the paths come back in the order of the parts.
    ///
    /// # Errors
    /// If there is no pip, pip fails, or Ctrl-C.
    pub fn fetch(
        &self,
        staging: &Staging,
        interrupt: &Interrupt,
        reporter: &dyn Reporter,
    ) -> Result<Vec<PathBuf>, Error> {
        let wheels = staging.file("wheels");
        let log = staging.file("pip.log");
        for pip in self.pips {
            let Some(child) = self.start(pip, staging, &wheels, &log)? else { continue };
            let status = self.watch(child, staging, interrupt, reporter)?;
            let said = fs::read_to_string(&log).unwrap_or_default();
            if status.success() {
                return self.parts.iter().map(|part| find_wheel(&wheels, part)).collect();
            }
            if !said.contains("No module named pip") {
                return Err(pip_failed(&said, status));
            }
        }
        Err(Error::new(
            ErrorKind::Download,
            "pip, which is needed to download it, is not installed",
        )
        .advise(Hint::OtherFile(
            "install Python's pip (Debian and Ubuntu: `apt install python3-pip`)",
        )))
    }

    /// Starts pip; `None` if this machine does not have this one.
    fn start(
        &self,
        pip: &[&str],
        staging: &Staging,
        wheels: &Path,
        log: &Path,
    ) -> Result<Option<Child>, Error> {
        let Some((program, first)) = pip.split_first() else { return Ok(None) };
        let output = File::create(log).map_err(|error| Error::io("make", log, error))?;
        let errors = output.try_clone().map_err(|error| Error::io("make", log, error))?;
        let temporary = staging.file("tmp");
        fs::create_dir_all(&temporary).map_err(|e| Error::io("make", &temporary, e))?;
        let wanted = self.parts.iter().map(|part| match part.version.as_str() {
            "" => part.package.clone(),
            version => format!("{}=={version}", part.package),
        });
        let spawned = Command::new(program)
            .args(first)
            .args(["download", "--no-deps", "--only-binary", ":all:"])
            .args(["--no-cache-dir", "--progress-bar", "off"])
            .args(["--no-input", "--disable-pip-version-check", "--dest"])
            .arg(wheels)
            .args(wanted)
            .env("TMPDIR", &temporary)
            .env("TEMP", &temporary)
            .env("TMP", &temporary)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        match spawned {
            Ok(child) => Ok(Some(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let what = format!("cannot start {}: {error}", pip.join(" "));
                Err(Error::new(ErrorKind::Download, what))
            }
        }
    }

    /// Draws the bar until pip has ended.
    fn watch(
        &self,
        mut child: Child,
        staging: &Staging,
        interrupt: &Interrupt,
        reporter: &dyn Reporter,
    ) -> Result<ExitStatus, Error> {
        let mut progress = reporter.start(self.label, self.bytes, Count::Bytes);
        let mut most = 0;
        let ended = loop {
            if interrupt.is_set() {
                let _ = child.kill();
                let _ = child.wait();
                break Err(Error::Interrupted);
            }
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) => {}
                Err(error) => {
                    break Err(Error::new(
                        ErrorKind::Download,
                        format!("cannot wait for pip: {error}"),
                    ));
                }
            }
            // Moving a finished wheel from one folder to the other must not set the bar back.
            most = staging.bytes().max(most);
            progress.set(most);
            thread::sleep(Duration::from_millis(100));
        };
        progress.finish();
        ended
    }
}

/// The wheel of `part` among what pip put into `folder`.
fn find_wheel(folder: &Path, part: &PypiPart) -> Result<PathBuf, Error> {
    let version = if part.version.is_empty() { "" } else { &format!("{}-", part.version) };
    let start = format!("{}-{version}", part.package.replace(['-', '.'], "_")).to_lowercase();
    let files = fs::read_dir(folder).map_err(|error| Error::io("read", folder, error))?;
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        name.replace("-", "_").starts_with(&start.replace('-', "_")) && name.ends_with(".whl")
    };
    files.flatten().map(|entry| entry.path()).find(is_it).ok_or_else(|| {
        let what = format!("pip downloaded no wheel of {} {}", part.package, part.version);
        Error::new(ErrorKind::Download, what)
    })
}

/// What pip's own words mean.
fn pip_failed(said: &str, status: ExitStatus) -> Error {
    let offline = ["NewConnectionError", "NameResolutionError", "ConnectTimeout", "ProxyError"];
    let full = ["No space left on device", "Errno 28"];
    if full.iter().any(|sign| said.contains(sign)) {
        return Error::new(ErrorKind::Io, "the disk is full").advise(Hint::OtherDisk);
    }
    let reason = match said.lines().rev().find_map(|line| line.trim().strip_prefix("ERROR:")) {
        _ if offline.iter().any(|sign| said.contains(sign)) => {
            "pip cannot reach a package index".to_owned()
        }
        Some(reason) => format!("pip reports: {}", reason.trim()),
        None => match said.lines().rev().find(|line| !line.trim().is_empty()) {
            Some(line) => format!("pip failed ({status}): {}", line.trim()),
            None => format!("pip failed ({status})"),
        },
    };
    Error::new(ErrorKind::Download, reason).advise(Hint::OtherFile(
        "check the network and pip's own settings (`pip config list`), then try again",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn pips_words_are_understood() {
        let failed = |said: &str| pip_failed(said, ExitStatus::from_raw(256));
        let offline = failed("WARNING: Retrying NewConnectionError\nERROR: No matching …");
        assert_eq!(offline.kind(), ErrorKind::Download);
        assert_eq!(offline.to_string(), "pip cannot reach a package index");
        let full = failed("ERROR: Could not install: [Errno 28] No space left on device");
        assert_eq!(full.kind(), ErrorKind::Io);
        let other = failed("noise\nERROR: No matching distribution found for x==1\n");
        assert_eq!(other.to_string(), "pip reports: No matching distribution found for x==1");
        assert!(failed("").to_string().contains("exit status: 1"));
    }

    #[test]
    fn a_wheel_is_found_by_its_normalised_name() {
        let folder = tempfile::tempdir().unwrap();
        let part = PypiPart {
            package: "gemma3-270m".into(),
            version: "1.0.0".into(),
            member: String::new(),
        };
        assert_eq!(find_wheel(folder.path(), &part).unwrap_err().kind(), ErrorKind::Download);
        let wheel = folder.path().join("gemma3_270m-1.0.0-py3-none-any.whl");
        fs::write(folder.path().join("gemma3_270m_part1-1.0.0-py3-none-any.whl"), "").unwrap();
        fs::write(&wheel, "").unwrap();
        assert_eq!(find_wheel(folder.path(), &part).unwrap(), wheel);
    }
}
