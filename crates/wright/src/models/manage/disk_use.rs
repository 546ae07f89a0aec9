//! `wright models du`: bytes on the disk, by file; what is shared, and what removing would free.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::open::context::Context;
use crate::terminal;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use wright_host::units;
use wright_hub::pull::{bytes_below, partial_folders, unfinished_bytes};
use wright_hub::{find, other_caches};

/// A file or folder that takes space.
struct Row {
    path: PathBuf,
    /// Whose it is.
    owner: &'static str,
    bytes: u64,
    /// What removing this alone gives back.
    freed: u64,
    /// The same bytes under another name, as one file.
    shared_with: Option<PathBuf>,
}

pub fn report(context: &Context, as_json: bool) -> Result<Exit, Failure> {
    let rows = rows(context);
    if as_json {
        let objects = rows.iter().map(|row| {
            json!({
                "path": row.path,
                "owner": row.owner,
                "bytes": row.bytes,
                "freed": row.freed,
                "shared_with": row.shared_with,
            })
        });
        terminal::print(&(Value::from_iter(objects).to_string() + "\n"))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for row in &rows {
        let (size, freed) = (units::bytes(row.bytes), units::bytes(row.freed));
        text += &format!("{size:>9}  frees {freed:>9}  {:12}  {}", row.owner, row.path.display());
        if let Some(other) = &row.shared_with {
            text += &format!("  (the same file as {})", other.display());
        }
        text.push('\n');
    }
    let of = |owner: &str| rows.iter().filter(|r| r.owner == owner).map(|r| r.bytes).sum::<u64>();
    text += &format!(
        "{:>9}  in {}\n",
        units::bytes(of("Wright") + of("unfinished")),
        context.home.models.display()
    );
    if terminal::print(&text)? && of("unfinished") > 0 {
        terminal::note(
            "unfinished: `wright pull` resumes it; `wright models remove --partial` deletes it",
        );
    }
    Ok(Exit::Done)
}

fn rows(context: &Context) -> Vec<Row> {
    let models = &context.home.models;
    let row = |path: PathBuf, owner| {
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let freed = freed(&path);
        Row { path, owner, bytes, freed, shared_with: None }
    };
    let mut rows: Vec<Row> =
        find::kept_files(models).into_iter().map(|path| row(path, "Wright")).collect();
    rows.extend(partial_folders(models).into_iter().map(|path| {
        let bytes = bytes_below(&path);
        Row { path, owner: "unfinished", bytes, freed: bytes, shared_with: None }
    }));
    rows.extend(other_caches::find().into_iter().map(|found| row(found.path, found.store)));
    let marks: Vec<Option<(u64, u64)>> = rows.iter().map(|row| identity(&row.path)).collect();
    for index in 0..rows.len() {
        let same = (0..index).find(|&other| marks[other].is_some() && marks[other] == marks[index]);
        rows[index].shared_with = same.map(|other| rows[other].path.clone());
    }
    rows
}

pub fn remove_partial(models: &Path) -> Result<Exit, Failure> {
    let bytes = unfinished_bytes(models);
    for folder in partial_folders(models) {
        fs::remove_dir_all(&folder).map_err(|error| Failure::io("remove", &folder, &error))?;
    }
    terminal::note(&format!("{} freed", units::bytes(bytes)));
    Ok(Exit::Done)
}

/// Bytes that removing this name gives back: none while the file has another name.
pub fn freed(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| match links(&metadata) {
        1 => metadata.len(),
        _ => 0,
    })
}

#[cfg(unix)]
fn links(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn links(_: &fs::Metadata) -> u64 {
    1
}

/// What two names of one file have in common.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| (m.dev(), m.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_with_two_names_frees_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a.gguf"), folder.path().join("b.gguf"));
        fs::write(&a, "12345").unwrap();
        assert_eq!(freed(&a), 5);
        fs::hard_link(&a, &b).unwrap();
        assert_eq!((freed(&a), freed(&b)), (0, 0));
        assert_eq!(identity(&a), identity(&b));
    }

    #[test]
    fn what_unfinished_pulls_left_is_found_and_freed() {
        let models = tempfile::tempdir().unwrap();
        let partial = models.path().join(".partial-x");
        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("0.part"), "123").unwrap();
        fs::write(models.path().join("x.gguf"), "GGUF").unwrap();
        assert_eq!(partial_folders(models.path()), std::slice::from_ref(&partial));
        remove_partial(models.path()).unwrap();
        assert!(!partial.exists() && models.path().join("x.gguf").exists());
    }
}
