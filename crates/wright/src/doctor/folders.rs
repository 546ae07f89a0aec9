//! Folders, disk, models, and what fetching needs.

use super::Check;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal::progress::Terminal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wright_host::{disk, machine, units};
use wright_hub::catalogue::Entry;
use wright_hub::find::{self, Meaning};
use wright_hub::gguf_file;
use wright_hub::pull::{self, hash_file};
use wright_hub::{other_caches, receipt};

/// Less than this makes a pull of a usual model fail.
const DISK_BYTES_MIN: u64 = 2 << 30;

/// # Errors
/// On Ctrl-C while hashing.
pub fn checks(context: &Context, hash: bool) -> Result<Vec<Check>, Failure> {
    let models = &context.home.models;
    let mut checks = vec![writable("models", models)];
    if let Some(folder) = context.home.settings.parent() {
        checks.push(writable("settings", folder));
    }
    checks.push(space(models));
    checks.push(unfinished(models));
    checks.push(default(context));
    for path in find::kept_files(models) {
        checks.push(model(context, &path, hash)?);
    }
    checks.push(others());
    checks.push(network());
    checks.push(pip());
    Ok(checks)
}

/// The nearest folder of a path that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn writable(name: &'static str, folder: &Path) -> Check {
    let there = existing(folder);
    let probe = there.join(format!(".wright-probe-{}", std::process::id()));
    let wrote = fs::write(&probe, b"probe");
    let _ = fs::remove_file(&probe);
    match wrote {
        Ok(()) if there == folder => Check::good(name, folder.display().to_string()),
        Ok(()) => Check::good(name, format!("{} (created when needed)", folder.display())),
        Err(error) => Check::broken(
            name,
            format!("{} is not writable: {error}", there.display()),
            "check its owner and the free space, or set WRIGHT_HOME to another folder",
        ),
    }
}

fn space(models: &Path) -> Check {
    let Some(free) = disk::free_bytes(&existing(models)) else {
        return Check::good("disk", "not available on this system");
    };
    let seen = format!("{} free for models", units::bytes(free));
    match free < DISK_BYTES_MIN {
        false => Check::good("disk", seen),
        true => Check::broken(
            "disk",
            seen,
            "`wright models du` shows what takes space and what removing it would free",
        ),
    }
}

fn unfinished(models: &Path) -> Check {
    let bytes = pull::unfinished_bytes(models);
    match bytes {
        0 => Check::good("unfinished", "no unfinished downloads"),
        bytes => Check::slow(
            "unfinished",
            format!("{} of unfinished downloads", units::bytes(bytes)),
            "`wright pull` resumes them; `wright models remove --partial` deletes them",
        ),
    }
}

fn default(context: &Context) -> Check {
    let (name, from) = context.default_model();
    match find::meaning(&context.known(), &name) {
        Ok(Meaning::Here(located)) => {
            Check::good("default", format!("{name} ({from}): {}", located.path.display()))
        }
        Ok(Meaning::Fetchable(_) | Meaning::Elsewhere(_)) => {
            Check::good("default", format!("{name} ({from}), downloaded on first use"))
        }
        Ok(Meaning::Folder(_)) | Err(_) => Check::broken(
            "default",
            format!("{name} ({from}) does not exist"),
            match from {
                "WRIGHT_MODEL" => "unset WRIGHT_MODEL, or set it to a name from `wright models`",
                _ => "wright models default NAME",
            },
        ),
    }
}

/// Whether a model's file is whole, what it should be, and fits into memory.
fn model(context: &Context, path: &Path, hash: bool) -> Result<Check, Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let again = format!("wright models remove {file}, then pull it again");
    if let Err(error) = gguf_file::parse(path) {
        return Ok(Check::broken("model", error.to_string(), again));
    }
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let seen = format!("{file}, {}", units::bytes(bytes));
    let entry = context.catalogue.entries.iter().find(|entry| entry.file == file);
    let about = receipt::of(&context.home.models, &file);
    let known = |entry: &Entry| (entry.bytes, entry.sha256.clone());
    let known = entry.map(known).or_else(|| about.map(|about| (about.bytes, about.sha256)));
    if let Some((length, _)) = &known
        && *length != bytes
    {
        let seen = format!("{seen}: expected {length} bytes");
        return Ok(Check::broken("model", seen, again));
    }
    if let Some((_, wanted)) = known.filter(|(_, wanted)| hash && !wanted.is_empty()) {
        let found = hash_file(path, bytes, &context.interrupt, &Terminal)?;
        if found != wanted {
            let seen = format!("{seen}: SHA-256 is {found}, expected {wanted}");
            return Ok(Check::broken("model", seen, again));
        }
    }
    Ok(match machine::available_memory() {
        Some(free) if free < bytes => Check::slow(
            "model",
            format!("{seen}: larger than the free memory ({})", units::bytes(free)),
            "close other programs, or use `wright quantize` to make it smaller",
        ),
        _ => Check::good("model", seen),
    })
}

fn others() -> Check {
    let found = other_caches::find();
    if found.is_empty() {
        return Check::good("elsewhere", "no models of other programs found");
    }
    let bytes = found.iter().map(|found| found.bytes).sum();
    let mut stores: Vec<&str> = found.iter().map(|found| found.store).collect();
    stores.dedup();
    let (size, n) = (units::bytes(bytes), units::number_of(found.len() as u64, "model"));
    Check::good("elsewhere", format!("{n} ({size}) of {}", stores.join(", ")))
}

/// Settings of the environment that change where models come from. No token is shown.
fn network() -> Check {
    let names = [
        "HF_ENDPOINT",
        "HF_TOKEN",
        "OLLAMA_REGISTRY",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "NO_PROXY",
    ];
    let set: Vec<&str> =
        names.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    match set.is_empty() {
        true => Check::good("network", "no endpoint, token or proxy set"),
        false => Check::good("network", format!("set: {}", set.join(", "))),
    }
}

fn pip() -> Check {
    let said = |program: &str| {
        let mut command = Command::new(program);
        command.args(["-m", "pip", "--version"]).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(text.split(" from ").next().unwrap_or_default().trim().to_owned())
    };
    match said("python3").or_else(|| said("python")) {
        Some(version) => Check::good("pip", version),
        None => Check::slow(
            "pip",
            "not installed: models from PyPI cannot be downloaded",
            "install Python's pip (Debian and Ubuntu: apt install python3-pip)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn an_unwritable_folder_is_reported_as_broken() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("a/b");
        assert_eq!(writable("models", &new).verdict, Verdict::Good);
        assert!(!new.exists(), "looking makes nothing");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(writable("models", Path::new("/proc/self")).verdict, Verdict::Broken);
    }
}
