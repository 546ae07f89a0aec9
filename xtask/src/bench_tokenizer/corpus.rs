//! The texts to train on: 12 MB of stories, and 100 MB of text from packages.

use crate::Failure;
use crate::peers::Peers;
use crate::wright::said;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Taken of each of the three sources of packages.
const SOURCE_BYTES: usize = 33_500_000;
/// Files out of this range are tables and stubs.
const FILE_BYTES: std::ops::Range<u64> = 500..500_000;
/// Folders of the Rust documentation, books before references.
const BOOKS: &[&str] = &[
    "book",
    "rust-by-example",
    "reference",
    "nomicon",
    "cargo",
    "rustc",
    "rustdoc",
    "edition-guide",
    "embedded-book",
    "error_codes",
    "clippy",
    "style-guide",
    "unstable-book",
    "core",
    "std",
];

/// The books in `path`, plain or compressed by xz, or `None` if the file does not exist.
///
/// # Errors
/// If the file cannot be read, or the program `xz` cannot unpack it.
pub fn stories(path: &Path) -> Result<Option<Vec<String>>, Failure> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = match path.extension().is_some_and(|suffix| suffix == "xz") {
        true => said(Command::new("xz").args(["-dc"]).arg(path))?.0,
        false => fs::read_to_string(path)?,
    };
    let mut starts: Vec<usize> = text.match_indices("# Title: ").map(|(at, _)| at).collect();
    starts.push(text.len());
    Ok(Some(starts.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect()))
}

/// About 100 MB: pages of the Rust documentation without their tags, the peers' Python packages,
/// and what cargo has unpacked of packages; each a third, files in order of their paths.
///
/// # Errors
/// If one of them is not there, or holds less.
pub fn packages(peers: &Peers) -> Result<Option<Vec<String>>, Failure> {
    let (sysroot, _) = said(Command::new("rustc").args(["--print", "sysroot"]))?;
    let html = Path::new(sysroot.trim()).join("share/doc/rust/html");
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cargo = std::env::var_os("CARGO_HOME")
        .map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from);
    let books: Vec<PathBuf> = BOOKS.iter().map(|book| html.join(book)).collect();
    let mut all = Vec::new();
    take(&books, &["html"], &mut all)?;
    take(&[peers.path("venv/lib")], &["py", "pyi", "md", "rst", "txt"], &mut all)?;
    take(&[cargo.join("registry/src")], &["rs", "md"], &mut all)?;
    Ok(Some(all))
}

/// [`SOURCE_BYTES`] of texts out of `folders`.
fn take(folders: &[PathBuf], suffixes: &[&str], all: &mut Vec<String>) -> Result<(), Failure> {
    let mut n = 0;
    for folder in folders {
        let mut paths = Vec::new();
        collect(folder, suffixes, &mut paths)?;
        for path in paths {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let text = if suffixes == ["html"] { without_tags(&text) } else { text };
            n += text.len();
            all.push(text);
            if n >= SOURCE_BYTES {
                return Ok(());
            }
        }
    }
    Err(format!("{folders:?} hold only {n} bytes of text, not {SOURCE_BYTES}").into())
}

fn collect(folder: &Path, suffixes: &[&str], paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        if kind.is_dir() {
            collect(&path, suffixes, paths)?;
        } else if kind.is_file()
            && suffix.is_some_and(|suffix| suffixes.contains(&suffix))
            && FILE_BYTES.contains(&entry.metadata()?.len())
        {
            paths.push(path);
        }
    }
    Ok(())
}

/// The text of a page: scripts and styles left out, then tags; the usual entities are characters.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let close = ["script", "style"].iter().find(|name| tag.starts_with(**name));
        let end = close.map_or(Some(0), |name| tag.find(&format!("</{name}")));
        let Some(end) = end.and_then(|at| Some(at + tag[at..].find('>')?)) else {
            rest = "";
            break;
        };
        rest = &tag[end + 1..];
    }
    text.push_str(rest);
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")]
    {
        text = text.replace(entity, character);
    }
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lose_their_tags() {
        let html = "<p class=a>One &lt;two&gt;</p><script>if (a<b) {}</script> &amp;amp; three";
        assert_eq!(without_tags(html), "One <two> &amp; three");
        assert_eq!(without_tags("a <b"), "a ");
    }
}
