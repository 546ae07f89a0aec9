//! Files, folders and standard input as text, piece by piece: no file is in memory whole.

use crate::exit::Exit;
use crate::failure::Failure;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Read at once.
const BLOCK_BYTES: usize = 4 << 20;
const STDIN: &str = "-";
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Where text comes from, in the order in which it is read.
pub struct Texts {
    sources: Vec<Source>,
}

struct Source {
    path: PathBuf,
    n_bytes: u64,
    /// Named by the person: then it must be text.
    is_named: bool,
}

/// Why a source gave no more text.
enum Trouble {
    Read(io::Error),
    NotText { at: u64 },
    Stop(Failure),
}

impl Texts {
    /// Everything at `paths`; of folders all files within, by name, without hidden ones.
    ///
    /// # Errors
    /// If something is not there or a folder cannot be read.
    pub fn find(paths: &[PathBuf]) -> Result<Texts, Failure> {
        let mut sources = Vec::new();
        for path in paths {
            if path == Path::new(STDIN) {
                sources.push(Source { path: path.clone(), n_bytes: 0, is_named: true });
            } else {
                collect(path, true, &mut sources)?;
            }
        }
        Ok(Texts { sources })
    }

    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Bytes of all files together; 0 if standard input makes that unknown.
    pub fn n_bytes(&self) -> u64 {
        let is_endless = |source: &Source| source.path == Path::new(STDIN);
        match self.sources.iter().any(is_endless) {
            true => 0,
            false => self.sources.iter().map(|source| source.n_bytes).sum(),
        }
    }

    /// Hands all text to `each`; how many files of folders were left out as no text.
    ///
    /// # Errors
    /// If something cannot be read, a file that was named is no text, or `each` says so.
    pub fn each(
        &self,
        each: &mut dyn FnMut(&str) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut skipped = 0;
        for source in &self.sources {
            let read = match source.path == Path::new(STDIN) {
                true => read_pieces(&mut io::stdin().lock(), BLOCK_BYTES, each),
                false => File::open(&source.path)
                    .map_err(Trouble::Read)
                    .and_then(|mut file| read_pieces(&mut file, BLOCK_BYTES, each)),
            };
            match read {
                Ok(()) => {}
                Err(Trouble::NotText { .. }) if !source.is_named => skipped += 1,
                Err(trouble) => return Err(failure(&source.path, trouble)),
            }
        }
        Ok(skipped)
    }
}

fn failure(path: &Path, trouble: Trouble) -> Failure {
    let name = match path == Path::new(STDIN) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    match trouble {
        Trouble::Read(error) => Failure::io("read", path, &error),
        Trouble::NotText { at } => {
            let what = format!("{name} is not UTF-8 text: byte {at} cannot be");
            Failure::new(Exit::BadInput, what)
                .hint("convert it first, for instance: iconv -f latin1 -t utf-8 FILE")
        }
        Trouble::Stop(failure) => failure,
    }
}

fn collect(path: &Path, is_named: bool, sources: &mut Vec<Source>) -> Result<(), Failure> {
    let about = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    if !about.is_dir() {
        sources.push(Source { path: path.to_owned(), n_bytes: about.len(), is_named });
        return Ok(());
    }
    let fail = |error: io::Error| Failure::io("read", path, &error);
    let entries = fs::read_dir(path).map_err(fail)?;
    let mut names = entries.collect::<io::Result<Vec<_>>>().map_err(fail)?;
    names.sort_by_key(fs::DirEntry::file_name);
    for entry in names {
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(fail)?;
        // A link may lead round in a circle; what it leads to is read where it is.
        if !is_hidden && (kind.is_dir() || kind.is_file()) {
            collect(&entry.path(), false, sources)?;
        }
    }
    Ok(())
}

/// Text from `from` in pieces of about `block` bytes, cut where no word is.
fn read_pieces(
    from: &mut dyn Read,
    block: usize,
    each: &mut dyn FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Trouble> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut before = 0u64;
    loop {
        let n = from.take(block as u64).read_to_end(&mut buffer).map_err(Trouble::Read)?;
        let is_end = n < block;
        let end = if is_end { buffer.len() } else { last_cut(&buffer) };
        let not_text = |at: usize| Trouble::NotText { at: before + at as u64 };
        let text = str::from_utf8(&buffer[..end]).map_err(|e| not_text(e.valid_up_to()))?;
        if let Some(at) = text.find('\0') {
            return Err(not_text(at));
        }
        let text = if before == 0 { text.trim_start_matches(BYTE_ORDER_MARK) } else { text };
        each(text).map_err(Trouble::Stop)?;
        if is_end {
            return Ok(());
        }
        before += end as u64;
        buffer.drain(..end);
    }
}

/// The last space between two letters, where every pre-tokenizer begins a word; 0 if there is none.
fn last_cut(bytes: &[u8]) -> usize {
    let is_place =
        |w: &[u8]| w[0].is_ascii_lowercase() && w[1] == b' ' && w[2].is_ascii_alphabetic();
    bytes.windows(3).rposition(is_place).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(bytes: &[u8], block: usize) -> Result<Vec<String>, Trouble> {
        let mut all = Vec::new();
        read_pieces(&mut &bytes[..], block, &mut |text| {
            all.push(text.to_owned());
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn text_is_cut_between_words() {
        let all = pieces("\u{feff}one two é three".as_bytes(), 8).ok().unwrap();
        assert_eq!(all.concat(), "one two é three");
        assert!(all.contains(&" two é three".to_owned()), "{all:?}");
        for (bytes, at) in [(&b"ab\xff"[..], 2), (b"one two\0", 7), (b"a b c d\xc3", 7)] {
            let trouble = pieces(bytes, 4).err();
            assert!(matches!(trouble, Some(Trouble::NotText { at: found }) if found == at));
        }
    }

    #[test]
    fn folders_are_read_in_order_without_what_is_no_text() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for (name, text) in [("c", "three"), ("b/x", "two"), ("a", "one"), (".h", "no")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::write(folder.path().join("d.bin"), [0, 159, 7]).unwrap();
        let texts = Texts::find(&[folder.path().to_owned()]).unwrap();
        let mut all = String::new();
        let skipped = texts.each(&mut |text| {
            all.push_str(text);
            Ok(())
        });
        assert_eq!((skipped.unwrap(), all.as_str()), (1, "onetwothree"));
        assert_eq!((texts.len(), texts.n_bytes()), (4, 14));
        assert!(Texts::find(&["/no/such".into()]).is_err());
    }
}
