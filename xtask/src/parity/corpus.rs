//! 100 kB of text that everybody who has the peers also has: pages of llama.cpp's documentation.

use crate::Failure;
use crate::peers::Peers;
use std::fs;
use std::path::PathBuf;

const BYTES: usize = 100_000;
const PAGES: &[&str] = &[
    "docs/build.md",
    "docs/speculative.md",
    "docs/function-calling.md",
    "docs/development/HOWTO-add-model.md",
];

/// Writes the text beside the peers, and returns where.
///
/// # Errors
/// If the pages are not there, or fewer than they were.
pub fn write(peers: &Peers) -> Result<PathBuf, Failure> {
    let mut text = String::new();
    for page in PAGES {
        text.push_str(&fs::read_to_string(peers.source(page)?)?);
    }
    if text.len() < BYTES {
        return Err(format!("the pages hold {} bytes, not {BYTES}", text.len()).into());
    }
    text.truncate((0..=BYTES).rev().find(|&n| text.is_char_boundary(n)).unwrap_or(0));
    // llama.cpp drops one line end from the end of a file that it reads as a prompt.
    let text = text.trim_end();
    let path = peers.path("corpus.txt");
    fs::write(&path, text)?;
    Ok(path)
}
