//! A file of any format to documents: decompresses it, finds out what it is by its bytes and its
//! name, and hands it to the reader of that format.
//!
//! It opens no file. Nothing in a file is an error of the caller's: what cannot be read comes out
//! as [`Item::Skipped`], with the reason.

use crate::archive;
use crate::compression::Budget;
use crate::document::{Document, Encoding, Item, Sink, SkipReason};
use crate::format::{self, Format, HEAD_BYTES};
use crate::input::{Input, ReadOptions, ReadSeek, read_whole};
use crate::{cut, encoding, html, jsonl, licence, parquet, pdf, text};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Archives within archives, at most.
const DEPTH_MAX: usize = 5;

/// Reads the file that the caller calls `path`, and hands what is in it to `sink`, in the order of
/// its bytes. False if the sink wanted no more.
///
/// ```
/// use wright_data::{Input, Item, ReadOptions, read};
///
/// let lines = "{\"text\": \"One.\", \"license\": \"MIT\"}\n{\"text\": \"Two.\"}\nno JSON\n";
/// let (mut texts, mut skipped) = (Vec::new(), 0);
/// let input = Input::Stream(&mut lines.as_bytes());
/// read("notes.jsonl", input, &ReadOptions::default(), &mut |item| {
///     match item {
///         Item::Document(document) => texts.push((document.text, document.licence)),
///         Item::Skipped { .. } => skipped += 1,
///         _ => {}
///     }
///     true
/// });
/// assert_eq!(texts, [("One.".into(), Some("MIT".into())), ("Two.".into(), None)]);
/// assert_eq!(skipped, 1);
/// ```
pub fn read(path: &str, input: Input<'_>, options: &ReadOptions, sink: &mut Sink<'_>) -> bool {
    let path: Arc<str> = path.into();
    let budget = Budget::default();
    let reader = Reader { options, budget: &budget };
    match input {
        Input::Stream(from) => reader.stream(&path, &path, &mut budget.raw(from), 0, sink),
        Input::File(file) => match magic(file, &path) {
            Ok(Format::Zip) => reader.zip(&path, &mut &mut *file, 0, sink),
            Ok(Format::Parquet) => parquet::read(&path, file, &budget, options, sink),
            Ok(_) => reader.stream(&path, &path, &mut budget.raw(file), 0, sink),
            Err(error) => sink(Item::unreadable(&path, &error, false)),
        },
    }
}

/// What the first four bytes say: enough to know the formats that are read from their end.
fn magic(file: &mut dyn ReadSeek, path: &str) -> io::Result<Format> {
    let mut head = Vec::new();
    Read::take(&mut *file, 4).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(format::detect(path, &head))
}

/// Reads one file, with all layers that are in it.
struct Reader<'a> {
    options: &'a ReadOptions,
    budget: &'a Budget,
}

impl Reader<'_> {
    /// A file or member called `path`; `name` is what tells its format, if its bytes do not.
    fn stream(
        &self,
        path: &Arc<str>,
        name: &str,
        from: &mut dyn Read,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        let mut head = Vec::new();
        let read = Read::take(&mut *from, HEAD_BYTES as u64).read_to_end(&mut head);
        let format = match read {
            Err(error) if head.is_empty() => return sink(Item::unreadable(path, &error, false)),
            // The reader of the format meets the same error again, after what could be read.
            _ => format::detect(name, &head),
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
        match format {
            Format::Compressed(_) | Format::Tar | Format::Zip if depth >= DEPTH_MAX => {
                sink(skip(SkipReason::Unsupported, "archives nested too deeply"))
            }
            Format::Compressed(compression) => {
                let inner = compression.open(&mut all, self.options.window_bytes);
                let mut inner = self.budget.unpacked(inner);
                self.stream(path, &compression.inner_name(name), &mut inner, depth + 1, sink)
            }
            Format::Tar => archive::tar(path, &mut all, sink, &mut self.member(depth)),
            Format::Text => text::read(path, &mut all, order, self.options, sink),
            Format::Jsonl => jsonl::read(path, &mut all, self.options, sink),
            Format::Empty => sink(skip(SkipReason::Empty, "")),
            Format::Binary => sink(skip(SkipReason::Binary, "")),
            Format::Unsupported(what) => sink(skip(SkipReason::Unsupported, what)),
            Format::Zip
            | Format::Parquet
            | Format::Json
            | Format::Html
            | Format::Pdf
            | Format::Licence => match read_whole(path, &mut all, self.options.file_bytes) {
                Ok(bytes) => self.whole(path, format, bytes, depth, sink),
                Err(skipped) => sink(*skipped),
            },
        }
    }

    /// What reads a member of an archive that lies `depth` archives deep.
    fn member(
        &self,
        depth: usize,
    ) -> impl FnMut(&Arc<str>, &str, &mut dyn Read, &mut Sink<'_>) -> bool {
        move |path, name, from, sink| self.stream(path, name, from, depth + 1, sink)
    }

    fn zip<R: Read + Seek>(
        &self,
        path: &Arc<str>,
        from: &mut R,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        archive::zip(path, from, self.budget, sink, &mut self.member(depth))
    }

    /// A file that is held in memory.
    fn whole(
        &self,
        path: &Arc<str>,
        format: Format,
        bytes: Vec<u8>,
        depth: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        let options = self.options;
        match format {
            Format::Zip => self.zip(path, &mut Cursor::new(bytes), depth, sink),
            Format::Parquet => {
                parquet::read(path, &mut Cursor::new(bytes), self.budget, options, sink)
            }
            Format::Json => jsonl::read_json(path, &bytes, options, sink),
            Format::Licence => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
                let licence = licence::of_licence_file(&encoding::decode(&bytes).0);
                sink(Item::Licence { folder, licence })
            }
            _ => self.page(path, format, &bytes, sink),
        }
    }

    /// A PDF or an HTML file.
    fn page(&self, path: &Arc<str>, format: Format, bytes: &[u8], sink: &mut Sink<'_>) -> bool {
        let no_text = |detail: &str| Item::Skipped {
            path: Arc::clone(path),
            reason: SkipReason::NoText,
            detail: detail.to_owned(),
        };
        let (text, title, stated, encoding) = match format {
            Format::Pdf => match pdf::text(bytes, self.options.document_bytes) {
                Ok(found) => (found.text, found.title, None, Encoding::Utf8),
                Err(why) => return sink(no_text(why)),
            },
            _ => {
                let (source, encoding) = encoding::decode(bytes);
                let page = html::text(&source);
                (page.text, page.title, page.licence, encoding)
            }
        };
        if text.trim().is_empty() {
            return sink(no_text("no text in it"));
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
        encoding: Encoding,
        sink: &mut Sink<'_>,
    ) -> bool {
        let most = self.options.document_bytes;
        let licence = stated.or_else(|| licence::spdx_line(&text));
        let pieces = match text.len() > most {
            true => cut::pieces(&text, most / 2),
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
