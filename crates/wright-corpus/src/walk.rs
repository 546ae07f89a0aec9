//! Paths to files, in an order that depends on their names alone.

use crate::data_folder::DataFolder;
use crate::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wright_data::{Item, SkipReason, licence};

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, with its length.
    File(PathBuf, u64),
    Stdin,
    /// What is not looked at, and why.
    Skipped(PathBuf, SkipReason, &'static str),
}

/// What reports call a path: as it was given, with `/` between its parts.
pub(crate) fn name(path: &Path) -> String {
    path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

/// The files of `paths`: folders with all that is below them, sorted by name, without what is
/// hidden, linked folders and what is not a file. What is made of them, `outs`, is left out
/// wherever it lies.
///
/// # Errors
/// If one of `paths` is not there.
pub fn find(paths: &[PathBuf], outs: &[&Path]) -> Result<Vec<Source>, Error> {
    let outs: Vec<PathBuf> = outs.iter().filter_map(|out| fs::canonicalize(out).ok()).collect();
    let mut found = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            found.push(Source::Stdin);
            continue;
        }
        let metadata = fs::metadata(path).map_err(|error| Error::io("read", path, error))?;
        if metadata.is_dir() {
            folder(path, &outs, &mut found);
        } else {
            licences_beside(path, &mut found);
            found.push(Source::File(path.clone(), metadata.len()));
        }
    }
    Ok(found)
}

/// Licence files in the folder of a file that was named by itself.
fn licences_beside(path: &Path, found: &mut Vec<Source>) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut licences: Vec<PathBuf> = fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| licence::is_licence_file(&entry.file_name().to_string_lossy()))
        // A bare name stays bare, so that its folder is the file's.
        .map(|entry| folder.map_or(PathBuf::from(entry.file_name()), |_| entry.path()))
        .filter(|beside| beside.is_file() && beside != path)
        .collect();
    licences.sort();
    for licence in licences {
        let bytes = fs::metadata(&licence).map_or(0, |metadata| metadata.len());
        let source = Source::File(licence, bytes);
        if !found.contains(&source) {
            found.push(source);
        }
    }
}

/// Everything below a folder.
fn folder(path: &Path, outs: &[PathBuf], found: &mut Vec<Source>) {
    let mut open = vec![path.to_owned()];
    // Folders wait in reverse order, so that the walk is in the order of names.
    while let Some(path) = open.pop() {
        let skip = |reason, why| Source::Skipped(path.clone(), reason, why);
        if is_one_of(outs, &path) || DataFolder::is_one(&path) {
            found.push(skip(SkipReason::Unsupported, "a folder of packed data"));
            continue;
        }
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(_) => {
                found.push(skip(SkipReason::Unreadable, "the folder cannot be read"));
                continue;
            }
        };
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        let mut below = Vec::new();
        for path in entries {
            match kind(&path) {
                Entry::Folder => below.push(path),
                Entry::Source(Source::File(path, _)) if is_one_of(outs, &path) => {
                    found.push(Source::Skipped(
                        path,
                        SkipReason::Unsupported,
                        "generated from the other files",
                    ));
                }
                Entry::Source(source) => found.push(source),
            }
        }
        open.extend(below.into_iter().rev());
    }
}

/// Whether a path, however it is spelt, is one of `outs`.
fn is_one_of(outs: &[PathBuf], path: &Path) -> bool {
    let is_named_so = outs.iter().any(|out| out.file_name() == path.file_name());
    is_named_so && fs::canonicalize(path).is_ok_and(|path| outs.contains(&path))
}

/// What a folder holds.
enum Entry {
    Folder,
    Source(Source),
}

fn kind(path: &Path) -> Entry {
    let skip = |reason, why| Entry::Source(Source::Skipped(path.to_owned(), reason, why));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') {
        return skip(SkipReason::Hidden, "");
    }
    let Ok(own) = fs::symlink_metadata(path) else {
        return skip(SkipReason::Unreadable, "");
    };
    if own.is_dir() {
        return Entry::Folder;
    }
    let Ok(metadata) = fs::metadata(path) else {
        return skip(SkipReason::Unreadable, "a broken or circular link");
    };
    if metadata.is_dir() {
        return skip(SkipReason::NoFile, "a link to a folder; name the folder itself to read it");
    }
    match metadata.is_file() {
        true => Entry::Source(Source::File(path.to_owned(), metadata.len())),
        false => skip(SkipReason::NoFile, "a device, a socket or a pipe"),
    }
}

/// What a source that is not looked at is called in the report.
pub(crate) fn skipped(path: &Path, reason: SkipReason, why: &str) -> Item {
    let path: Arc<str> = name(path).into();
    Item::Skipped { path, reason, detail: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn folders_are_walked_in_order_without_following_cycles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        for (name, text) in [("z.txt", "z"), ("a.txt", "a"), ("b/c/d.txt", "d"), (".h", "h")] {
            fs::write(root.join(name), text).unwrap();
        }
        symlink(root, root.join("b/loop")).unwrap();
        symlink(root.join("self"), root.join("self")).unwrap();
        symlink(root.join("a.txt"), root.join("b/link.txt")).unwrap();
        let found = find(&[root.to_owned()], &[Path::new("nowhere")]).unwrap();
        let said: Vec<String> = found
            .iter()
            .map(|source| match source {
                Source::File(path, n) => format!("{} {n}", name(path.strip_prefix(root).unwrap())),
                Source::Skipped(path, reason, _) => {
                    format!("{} {}", name(path.strip_prefix(root).unwrap()), reason.name())
                }
                Source::Stdin => "-".into(),
            })
            .collect();
        let wanted = [
            ".h hidden",
            "a.txt 1",
            "self unreadable",
            "z.txt 1",
            "b/link.txt 1",
            "b/loop no-file",
            "b/c/d.txt 1",
        ];
        assert_eq!(said, wanted);
        let made = find(&[root.to_owned()], &[&root.join("a.txt"), &root.join("b")]).unwrap();
        let left = made.iter().filter(|s| matches!(s, Source::File(..))).count();
        assert_eq!(left, 1, "what is made of the input is not read: {made:?}");
        assert!(find(&[root.join("nothing")], &[]).is_err());
    }
}
