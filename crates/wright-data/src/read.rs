//! A file of any kind to documents: unpacks, finds out what it is by its bytes and its name, and
//! hands it to the reader of that kind.
//!
//! It opens no file. Nothing that it meets is an error of the caller's: what cannot be read comes
//! out as [`Item::Skipped`], with the reason.

use crate::document::{Document, Item, Sink, SkipReason};
use crate::unpack::{Budget, Packing};
use crate::{encoding, html, jsonl, licence, parquet, pdf, text};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Archives within archives, at most.
const DEPTH_MAX: usize = 5;
/// What is looked at to find out what a file is.
const HEAD_BYTES: usize = 4096;

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The line that stands between documents of a text; `<|endoftext|>` if there is none.
    pub separator: Option<String>,
    /// Fields of JSONL that hold the text, joined by blank lines; if none, the first of `text`,
    /// `content`, `body` and `document`.
    pub fields: Vec<String>,
    /// Longer documents are cut.
    pub document_bytes: usize,
    /// HTML, PDF and JSON files, a page of Parquet, and archives and tables within others, are held
    /// in memory up to this size.
    pub file_bytes: u64,
    /// Memory that a compressed stream may ask for.
    pub window_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            separator: None,
            fields: Vec::new(),
            document_bytes: 16 << 20,
            file_bytes: 256 << 20,
            window_bytes: 256 << 20,
        }
    }
}

/// A file that can be read from anywhere.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Where bytes come from.
pub enum Input<'a> {
    Stream(&'a mut dyn Read),
    File(&'a mut dyn ReadSeek),
}

/// What a file is, when it is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Packed(Packing),
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

/// The first bytes of `text`, at most `n`, up to a whole character.
pub(crate) fn head(text: &str, n: usize) -> &str {
    let mut end = text.len().min(n);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn kind(name: &str, head: &[u8]) -> Kind {
    let name = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if head.is_empty() {
        return Kind::Empty;
    }
    if let Some(packing) = Packing::of(head) {
        return Kind::Packed(packing);
    }
    if let Some(kind) = by_magic(head, ending) {
        return kind;
    }
    if encoding::is_binary(head) {
        return Kind::Binary;
    }
    let begin = String::from_utf8_lossy(&head[..head.len().min(256)]).to_ascii_lowercase();
    let begin = begin.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match ending {
        "jsonl" | "ndjson" => Kind::Jsonl,
        "json" => Kind::Json,
        "html" | "htm" | "xhtml" => Kind::Html,
        _ if licence::is_licence_file(&name) => Kind::Licence,
        _ if begin.starts_with("<!doctype html") || begin.starts_with("<html") => Kind::Html,
        "" if jsonl::begins(head) => Kind::Jsonl,
        _ => Kind::Text,
    }
}

/// By bytes that nothing else has.
fn by_magic(head: &[u8], ending: &str) -> Option<Kind> {
    match head {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => match ending {
            "zip" | "epub" | "" => Some(Kind::Zip),
            _ => Some(Kind::Unsupported("an office document, a package or a program")),
        },
        _ if head.starts_with(parquet::MAGIC) => Some(Kind::Parquet),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Kind::Unsupported("bzip2; unpack it first")),
        [b'7', b'z', 0xbc, 0xaf, ..] => Some(Kind::Unsupported("7z; unpack it first")),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Some(Kind::Unsupported("an old office document")),
        _ if head.windows(5).take(1024).any(|five| five == b"%PDF-") => Some(Kind::Pdf),
        _ if head.get(257..262) == Some(b"ustar") => Some(Kind::Tar),
        _ => None,
    }
}

/// Reads the file that the caller calls `path`. False if the sink wanted no more.
pub fn read(path: &str, input: Input<'_>, options: &Options, sink: &mut Sink<'_>) -> bool {
    let path: Arc<str> = path.into();
    let budget = Budget::default();
    let reading = Reading { options, budget: &budget };
    match input {
        Input::Stream(from) => reading.stream(&path, &path, &mut budget.raw(from), 0, sink),
        Input::File(file) => match magic(file, &path) {
            Ok(Kind::Zip) => reading.zip(&path, &mut &mut *file, 0, sink),
            Ok(Kind::Parquet) => parquet::read(&path, file, &budget, options, sink),
            Ok(_) => reading.stream(&path, &path, &mut budget.raw(file), 0, sink),
            Err(error) => sink(text::skipped(&path, &error, false)),
        },
    }
}

/// What the first bytes say that it is: enough for what is read from its end.
fn magic(file: &mut dyn ReadSeek, path: &str) -> io::Result<Kind> {
    let mut head = Vec::new();
    Read::take(&mut *file, 4).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(kind(path, &head))
}

/// A file at work.
pub(crate) struct Reading<'a> {
    pub options: &'a Options,
    pub budget: &'a Budget,
}

impl Reading<'_> {
    /// A file or member called `path`, whose kind `name` may tell.
    pub(crate) fn stream(
        &self,
        path: &Arc<str>,
        name: &str,
        from: &mut dyn Read,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        let mut head = Vec::new();
        let read = Read::take(&mut *from, HEAD_BYTES as u64).read_to_end(&mut head);
        let kind = match read {
            Err(error) if head.is_empty() => return sink(text::skipped(path, &error, false)),
            // The reader of the kind meets the same error again, after what could be read.
            _ => kind(name, &head),
        };
        let order = encoding::utf16_mark(&head);
        let failed = read.err();
        let mut rest = Failing { failed, from };
        let mut all = Cursor::new(head).chain(&mut rest);
        let skip = |reason, detail: &str| Item::Skipped {
            path: Arc::clone(path),
            reason,
            detail: detail.to_owned(),
        };
        match kind {
            Kind::Packed(_) | Kind::Tar | Kind::Zip if depth >= DEPTH_MAX => {
                sink(skip(SkipReason::Unsupported, "archives within archives, too deep"))
            }
            Kind::Packed(packing) => {
                let inner = packing.open(&mut all, self.options.window_bytes);
                let mut inner = self.budget.unpacked(inner);
                self.stream(path, &packing.inner_name(name), &mut inner, depth + 1, sink)
            }
            Kind::Tar => self.tar(path, &mut all, depth, sink),
            Kind::Zip => self.zip_stream(path, &mut all, depth, sink),
            Kind::Parquet => match self.whole(path, &mut all, self.options.file_bytes) {
                Ok(bytes) => {
                    parquet::read(path, &mut Cursor::new(bytes), self.budget, self.options, sink)
                }
                Err(skipped) => sink(*skipped),
            },
            Kind::Text => text::read(path, &mut all, order, self.options, sink),
            Kind::Jsonl => jsonl::read(path, &mut all, self.options, sink),
            Kind::Empty => sink(skip(SkipReason::Empty, "")),
            Kind::Binary => sink(skip(SkipReason::Binary, "")),
            Kind::Unsupported(what) => sink(skip(SkipReason::Unsupported, what)),
            Kind::Json | Kind::Html | Kind::Pdf | Kind::Licence => {
                match self.whole(path, &mut all, self.options.file_bytes) {
                    Ok(bytes) => self.file(path, kind, &bytes, sink),
                    Err(skipped) => sink(*skipped),
                }
            }
        }
    }

    /// All of a stream, if it is not too long.
    pub(crate) fn whole(
        &self,
        path: &Arc<str>,
        from: &mut dyn Read,
        most: u64,
    ) -> Result<Vec<u8>, Box<Item>> {
        let mut bytes = Vec::new();
        match from.take(most.saturating_add(1)).read_to_end(&mut bytes) {
            Err(error) => Err(Box::new(text::skipped(path, &error, false))),
            Ok(n) if n as u64 > most => {
                let detail = format!("more than {} MB, which one such file may have", most >> 20);
                let path = Arc::clone(path);
                Err(Box::new(Item::Skipped { path, reason: SkipReason::TooLarge, detail }))
            }
            Ok(_) => Ok(bytes),
        }
    }

    /// A file that is read as a whole.
    fn file(&self, path: &Arc<str>, kind: Kind, bytes: &[u8], sink: &mut Sink<'_>) -> bool {
        let (text, title, stated, encoding) = match kind {
            Kind::Json => return jsonl::read_json(path, bytes, self.options, sink),
            Kind::Licence => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                let licence = licence::of_licence_file(&encoding::decode(bytes).0);
                return sink(Item::Licence { folder, licence });
            }
            Kind::Pdf => match pdf::text(bytes, self.options.document_bytes) {
                Ok(found) => (found.text, found.title, None, encoding::decode(b"").1),
                Err(why) => {
                    let (path, detail) = (Arc::clone(path), why.to_owned());
                    return sink(Item::Skipped { path, reason: SkipReason::NoText, detail });
                }
            },
            _ => {
                let (source, encoding) = encoding::decode(bytes);
                let page = html::text(&source);
                (page.text, page.title, page.licence, encoding)
            }
        };
        if text.trim().is_empty() {
            let (path, detail) = (Arc::clone(path), "no text in it".to_owned());
            return sink(Item::Skipped { path, reason: SkipReason::NoText, detail });
        }
        self.document(path, text, title, stated, encoding, sink)
    }

    /// One document, or several if it is too long.
    fn document(
        &self,
        path: &Arc<str>,
        text: String,
        title: Option<String>,
        stated: Option<String>,
        encoding: crate::Encoding,
        sink: &mut Sink<'_>,
    ) -> bool {
        let most = self.options.document_bytes;
        let licence = stated.or_else(|| licence::spdx_line(&text));
        let pieces = match text.len() > most {
            true => crate::cut::pieces(&text, most / 2),
            false => vec![(0, text.len())],
        };
        for (number, &(from, to)) in pieces.iter().enumerate() {
            let document = Document {
                path: Arc::clone(path),
                number: number as u64,
                text: text[from..to].trim().to_owned(),
                title: title.clone(),
                licence: licence.clone(),
                source: None,
                encoding,
            };
            if !document.text.is_empty() && !sink(Item::Document(document)) {
                return false;
            }
        }
        true
    }
}

/// A reader that begins with an error, if there was one.
struct Failing<'a> {
    failed: Option<io::Error>,
    from: &'a mut dyn Read,
}

impl Read for Failing<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.from.read(to),
        }
    }
}
