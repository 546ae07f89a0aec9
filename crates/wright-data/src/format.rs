//! What a file is, by its first bytes and its name.

use crate::compression::Compression;
use crate::{encoding, jsonl, licence, parquet};

/// As many first bytes as [`detect`] looks at.
pub(crate) const HEAD_BYTES: usize = 4096;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Compressed(Compression),
    Tar,
    Zip,
    Parquet,
    Pdf,
    Html,
    Jsonl,
    Json,
    Licence,
    Text,
    Empty,
    Binary,
    Unsupported(&'static str),
}

/// The format of a file, by its name and its first [`HEAD_BYTES`].
pub(crate) fn detect(name: &str, head: &[u8]) -> Format {
    let name = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if head.is_empty() {
        return Format::Empty;
    }
    if let Some(compression) = Compression::of(head) {
        return Format::Compressed(compression);
    }
    if let Some(format) = by_magic(head, ending) {
        return format;
    }
    if encoding::is_binary(head) {
        return Format::Binary;
    }
    let begin = String::from_utf8_lossy(&head[..head.len().min(256)]).to_ascii_lowercase();
    let begin = begin.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match ending {
        "jsonl" | "ndjson" => Format::Jsonl,
        "json" => Format::Json,
        "html" | "htm" | "xhtml" => Format::Html,
        _ if licence::is_licence_file(&name) => Format::Licence,
        _ if begin.starts_with("<!doctype html") || begin.starts_with("<html") => Format::Html,
        "" if jsonl::begins(head) => Format::Jsonl,
        _ => Format::Text,
    }
}

/// By bytes that no other format begins with.
fn by_magic(head: &[u8], ending: &str) -> Option<Format> {
    match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => match ending {
            "zip" | "epub" | "" => Some(Format::Zip),
            _ => Some(Format::Unsupported("an office document, a package or a program")),
        },
        _ if head.starts_with(parquet::MAGIC) => Some(Format::Parquet),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Format::Unsupported("bzip2; unpack it first")),
        [b'7', b'z', 0xbc, 0xaf, ..] => Some(Format::Unsupported("7z; unpack it first")),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some(Format::Unsupported("an old office document")),
        _ if head.windows(5).take(1024).any(|five| five == b"%PDF-") => Some(Format::Pdf),
        _ if head.get(257..262) == Some(b"ustar") => Some(Format::Tar),
        _ => None,
    }
}
