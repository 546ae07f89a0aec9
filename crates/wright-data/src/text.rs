//! A stream of text to documents, line by line, in bounded memory.
//!
//! A file is a document, unless it says otherwise: a line `<|endoftext|>` (or the one that the
//! caller names) stands between documents; in a collection whose first line begins `# Title: `,
//! each such line begins one. A document longer than the limit is cut at a heading or paragraph.

use crate::cut;
use crate::document::{Document, Item, Sink, SkipReason};
use crate::encoding::{self, ByteOrder, Utf16};
use crate::front_matter;
use crate::input::ReadOptions;
use crate::licence;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

/// The line between documents, unless another is named.
pub const SEPARATOR: &str = "<|endoftext|>";
const TITLE: &str = "# Title: ";

/// Reads documents from a stream. False if the sink wants no more.
pub(crate) fn read(
    path: &Arc<str>,
    from: &mut dyn Read,
    order: Option<ByteOrder>,
    options: &ReadOptions,
    sink: &mut Sink<'_>,
) -> bool {
    let mut documents = Splitter::new(path, options, order.is_some(), sink);
    let result = match order {
        Some(order) => lines(&mut BufReader::new(Utf16::new(from, order)), &mut documents),
        None => lines(&mut BufReader::with_capacity(1 << 16, from), &mut documents),
    };
    documents.finish(result.err())
}

/// Hands each line to `documents`.
fn lines(from: &mut dyn BufRead, documents: &mut Splitter<'_, '_>) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        line.clear();
        let most = documents.options.document_bytes as u64;
        let read = Read::take(&mut *from, most).read_until(b'\n', &mut line);
        if is_first && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        is_first = false;
        if !line.is_empty() && !documents.line(&line) {
            return Ok(());
        }
        match read {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What begins a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Unknown,
    File,
    Titles,
}

struct Splitter<'a, 's> {
    path: &'a Arc<str>,
    options: &'a ReadOptions,
    sink: &'a mut Sink<'s>,
    decoder: encoding::Lines,
    text: String,
    title: Option<String>,
    begin: Begin,
    number: u64,
    separators: u64,
    cuts: u64,
    goes_on: bool,
}

impl<'a, 's> Splitter<'a, 's> {
    fn new(
        path: &'a Arc<str>,
        options: &'a ReadOptions,
        utf16: bool,
        sink: &'a mut Sink<'s>,
    ) -> Self {
        Splitter {
            path,
            options,
            sink,
            decoder: encoding::Lines::new(utf16),
            text: String::new(),
            title: None,
            begin: Begin::Unknown,
            number: 0,
            separators: 0,
            cuts: 0,
            goes_on: true,
        }
    }

    /// Takes a line with its end. False if the sink wants no more.
    fn line(&mut self, line: &[u8]) -> bool {
        let bare = line.trim_ascii();
        let separator = self.options.separator.as_deref().unwrap_or(SEPARATOR);
        if bare == separator.trim().as_bytes() {
            self.separators += 1;
            self.begin = if self.begin == Begin::Unknown { Begin::File } else { self.begin };
            self.emit();
            return self.goes_on;
        }
        if self.begin == Begin::Unknown && !bare.is_empty() {
            let titled = self.options.separator.is_none() && line.starts_with(TITLE.as_bytes());
            self.begin = if titled { Begin::Titles } else { Begin::File };
        }
        if self.begin == Begin::Titles && line.starts_with(TITLE.as_bytes()) {
            self.emit();
            let title = String::from_utf8_lossy(&line[TITLE.len()..]);
            self.title = Some(title.trim().to_owned());
        }
        self.decoder.push(line, &mut self.text);
        while self.text.len() > self.options.document_bytes && self.goes_on {
            self.cut();
        }
        self.goes_on
    }

    /// Lets the first part of a giant document go.
    fn cut(&mut self) {
        let near = self.options.document_bytes * 3 / 4;
        let at = cut::place(&self.text, near, self.options.document_bytes / 4);
        let rest = self.text.split_off(at.max(1));
        let title = self.title.clone();
        self.cuts += 1;
        self.emit();
        (self.text, self.title) = (rest, title);
    }

    /// Hands over what was gathered.
    fn emit(&mut self) {
        let encoding = self.decoder.take();
        let mut text = std::mem::take(&mut self.text);
        let title = self.title.take();
        let mut front = front_matter::FrontMatter::default();
        if self.number == 0
            && let Some((found, at)) = front_matter::read(&text)
        {
            front = found;
            text.drain(..at);
        }
        trim(&mut text);
        if text.is_empty() {
            return;
        }
        let licence = front.licence.or_else(|| licence::spdx_line(&text));
        let document = Document {
            path: Arc::clone(self.path),
            number: self.number,
            text,
            title: title.or(front.title),
            licence,
            source: front.source,
            encoding,
        };
        self.number += 1;
        self.goes_on = self.goes_on && (self.sink)(Item::Document(document));
    }

    /// The last document, and what there is to say. False if the sink wants no more.
    fn finish(mut self, error: Option<std::io::Error>) -> bool {
        self.emit();
        let path = self.path;
        let mut say = |item| self.goes_on = self.goes_on && (self.sink)(item);
        if let Some(error) = error {
            say(Item::unreadable(path, &error, self.number > 0));
        } else if self.number == 0 && self.separators == 0 {
            let detail = "only white space".to_owned();
            say(Item::Skipped { path: Arc::clone(path), reason: SkipReason::Empty, detail });
        }
        let mut note = |text| say(Item::Note { path: Arc::clone(path), text });
        if self.separators > 0 {
            let separator = self.options.separator.as_deref().unwrap_or(SEPARATOR);
            note(format!("{} documents, separated by lines `{separator}`", self.number));
        } else if self.begin == Begin::Titles && self.number > 1 {
            note(format!("{} documents, each starting with a line `{TITLE}…`", self.number));
        }
        if self.cuts > 0 {
            let most = self.options.document_bytes;
            note(format!("split {} times: a document has at most {most} bytes", self.cuts));
        }
        self.goes_on
    }
}

/// Takes blank lines from the beginning and blanks from the end.
fn trim(text: &mut String) {
    text.truncate(text.trim_end().len());
    let blank = text.len() - text.trim_start().len();
    let line = text[..blank].rfind('\n').map_or(0, |at| at + 1);
    text.drain(..line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &[u8], options: &ReadOptions) -> (Vec<Document>, Vec<String>) {
        let (mut documents, mut said) = (Vec::new(), Vec::new());
        let path: Arc<str> = "x.txt".into();
        read(&path, &mut &text[..], encoding::utf16_mark(text), options, &mut |item| {
            match item {
                Item::Document(document) => documents.push(document),
                other => said.push(format!("{other:?}")),
            }
            true
        });
        (documents, said)
    }

    fn texts(text: &str, options: &ReadOptions) -> Vec<String> {
        let documents = read_all(text.as_bytes(), options).0;
        documents.into_iter().map(|document| document.text).collect()
    }

    #[test]
    fn documents_are_what_stands_between_separators() {
        let mut options = ReadOptions::default();
        let text = "one\nmore\n<|endoftext|>\n\n<|endoftext|>\n  two\n";
        assert_eq!(texts(text, &options), ["one\nmore", "  two"]);
        options.separator = Some("--".into());
        assert_eq!(texts("a\n--\nb\n<|endoftext|>", &options), ["a", "b\n<|endoftext|>"]);
        let blank = read_all(b" \n\n", &options);
        assert!(blank.0.is_empty() && blank.1[0].contains("Empty"), "{blank:?}");
    }

    #[test]
    fn a_collection_is_cut_at_its_titles() {
        let text = "\n# Title: One\n\ntext\n## Part\n# Title: Two\nmore";
        let (documents, said) = read_all(text.as_bytes(), &ReadOptions::default());
        let titles: Vec<_> = documents.iter().map(|d| d.title.as_deref().unwrap()).collect();
        assert_eq!(titles, ["One", "Two"]);
        assert_eq!(documents[0].text, "# Title: One\n\ntext\n## Part");
        assert!(said[0].contains("2 documents"), "{said:?}");
        let later = "Preface\n# Title: One\n";
        assert_eq!(read_all(later.as_bytes(), &ReadOptions::default()).0.len(), 1);
    }

    #[test]
    fn a_giant_document_is_cut_and_nothing_of_it_is_lost() {
        let options = ReadOptions { document_bytes: 300, ..ReadOptions::default() };
        let text = "Words that go on, é and on.\n\n".repeat(100) + &"x".repeat(1000);
        let (documents, said) = read_all(text.as_bytes(), &options);
        assert!(documents.iter().all(|document| document.text.len() <= 300));
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        let joined: String = documents.iter().map(|document| plain(&document.text)).collect();
        assert_eq!(joined, plain(&text));
        assert!(said.iter().any(|said| said.contains("split 18 times")), "{said:?}");
    }

    #[test]
    fn front_matter_and_spdx_lines_tell_the_licence() {
        let text = b"---\ntitle: T\nlicence: MIT\n---\n\nBody\n";
        let document = read_all(text, &ReadOptions::default()).0.remove(0);
        assert_eq!(
            (document.title.unwrap(), document.licence.unwrap()),
            ("T".into(), "MIT".into())
        );
        assert_eq!(document.text, "Body");
        let code = b"# SPDX-License-Identifier: ISC\nprint(1)\n";
        let document = read_all(code, &ReadOptions::default()).0.remove(0);
        assert_eq!(document.licence.unwrap(), "ISC");
    }
}
