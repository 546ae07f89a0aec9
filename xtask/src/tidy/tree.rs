//! The files that the rules look at: what git tracks or would track, as text.
//!
//! Without a `.git` (a source archive) it walks the folder instead. Files that are not UTF-8
//! are left out: golden data, pictures.

use crate::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Files by path relative to the root, with `/` between parts.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the tree at `root`.
    pub fn read(root: &Path) -> Result<Self, Failure> {
        let paths = match listed_by_git(root)? {
            Some(paths) => paths,
            None => {
                let mut paths = Vec::new();
                walk(root, "", &mut paths)?;
                paths
            }
        };
        let mut files = BTreeMap::new();
        for path in paths {
            let on_disk = root.join(&path);
            if !on_disk.is_file() {
                continue; // deleted but still in the index
            }
            let bytes = fs::read(&on_disk).map_err(|e| format!("{path}: {e}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.insert(path, text);
            }
        }
        Ok(Self { files })
    }

    /// A tree made of pairs of path and text.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
        Self { files }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(p, t)| (p.as_str(), t.as_str()))
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }
}

/// Tracked files and those that git would add; `None` where there is no repository.
fn listed_by_git(root: &Path) -> Result<Option<Vec<String>>, Failure> {
    if !root.join(".git").exists() {
        return Ok(None);
    }
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("git ls-files: {e}"))?;
    if !listed.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)).into());
    }
    let text = String::from_utf8(listed.stdout)?;
    Ok(Some(text.split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect()))
}

fn walk(root: &Path, under: &str, paths: &mut Vec<String>) -> Result<(), Failure> {
    for entry in fs::read_dir(root.join(under))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name == ".git" || name.starts_with("target") {
            continue;
        }
        let path = if under.is_empty() { name } else { format!("{under}/{name}") };
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}
