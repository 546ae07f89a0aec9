//! Standard input as data: all of it, as UTF-8, if it comes from a pipe or a file.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// More text than any context holds.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Everything on standard input; `None` if that is a terminal or holds nothing but blanks.
///
/// # Errors
/// If it is not UTF-8, too long, or cannot be read.
pub fn piped() -> Result<Option<String>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let text = read_text(&mut stdin.lock(), "standard input")?;
    Ok((!text.trim().is_empty()).then_some(text))
}

/// A text file.
///
/// # Errors
/// If it is not there, not UTF-8 or too long.
pub fn file(path: &Path) -> Result<String, Failure> {
    let mut file = File::open(path).map_err(|error| Failure::io("open", path, &error))?;
    read_text(&mut file, &path.display().to_string())
}

/// # Errors
/// If what `from` holds is not UTF-8, too long, or cannot be read.
fn read_text(from: &mut dyn Read, name: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(Exit::Io, format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        let what = format!("{name} is larger than {} MiB", TEXT_BYTES_MAX >> 20);
        return Err(Failure::new(Exit::BadInput, what).hint("split it into smaller pieces"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(Exit::BadInput, format!("{name} is not valid UTF-8 (byte {at})"))
            .hint("convert it first, for example with iconv -f latin1 -t utf-8 FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_bytes_are_refused() {
        assert_eq!(read_text(&mut "é\n".as_bytes(), "x").unwrap(), "é\n");
        let failure = read_text(&mut &b"ab\xff"[..], "x").unwrap_err();
        assert_eq!(failure.exit, Exit::BadInput);
        assert!(failure.what.contains("byte 2"));
        let endless = &mut io::repeat(b'a');
        assert_eq!(read_text(endless, "x").unwrap_err().exit, Exit::BadInput);
    }
}
