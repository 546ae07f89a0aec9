//! The kernels' tests on AArch64, wherever one is: on another processor, under emulation.
//!
//! The tests hold each NEON form against its scalar twin, byte for byte. Emulation says nothing
//! about speed. The program is linked statically, so that the emulator needs no other system's
//! folders.

use crate::{Failure, workspace_root};
use std::path::Path;
use std::process::{Command, Stdio};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
/// A test that starts itself as a program, which emulated ones cannot.
const NOT_EMULATED: &str = "a_panic_in_a_task_ends_the_process_with_its_message";

/// Builds the tests of `wright-kernels` for AArch64 and runs them; `args` go to the tests.
///
/// # Errors
/// If something that this needs is not there: the message says how to get it.
pub fn run(args: &[String]) -> Result<bool, Failure> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--package", "wright-kernels", "--lib"]).current_dir(workspace_root());
    let mut skipped: &[&str] = &[];
    if !cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        let missing = missing()?;
        if !missing.is_empty() {
            return Err(missing.join("\n").into());
        }
        command
            .args(["--target", TARGET])
            .env(setting("LINKER"), LINKER)
            .env(setting("RUNNER"), EMULATOR)
            .env(setting("RUSTFLAGS"), "-C target-feature=+crt-static");
        skipped = &["--skip", NOT_EMULATED];
    }
    Ok(command.arg("--").args(skipped).args(args).status()?.success())
}

/// The variable in which Cargo looks for a setting of the target.
fn setting(name: &str) -> String {
    format!("CARGO_TARGET_{}_{name}", TARGET.replace('-', "_").to_uppercase())
}

/// What is not there, each with a hint.
fn missing() -> Result<Vec<String>, Failure> {
    let mut missing = Vec::new();
    if !has_standard_library()? {
        missing.push(format!("no standard library for {TARGET}\nhint: rustup target add {TARGET}"));
    }
    if !starts(LINKER) {
        let packages = "gcc-aarch64-linux-gnu libc6-dev-arm64-cross";
        missing.push(format!("no linker {LINKER}\nhint: on Debian, apt-get install {packages}"));
    }
    if !starts(EMULATOR) {
        missing.push(format!("no emulator {EMULATOR}\nhint: on Debian, apt-get install qemu-user"));
    }
    Ok(missing)
}

fn has_standard_library() -> Result<bool, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(workspace_root())
        .output()
        .map_err(|error| format!("rustc does not start: {error}"))?;
    Ok(Path::new(String::from_utf8_lossy(&said.stdout).trim()).is_dir())
}

fn starts(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_as_cargo_reads_them() {
        assert_eq!(setting("RUNNER"), "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER");
    }

    #[test]
    fn a_program_that_is_not_there_does_not_start() {
        assert!(starts(env!("CARGO")));
        assert!(!starts("no-such-program-anywhere"));
    }
}
