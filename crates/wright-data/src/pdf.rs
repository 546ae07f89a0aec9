//! The text of a PDF, in the order in which its pages draw it.
//!
//! It is lenient: objects are found by scanning, so a broken cross-reference table does no harm,
//! and what cannot be read is skipped. It renders and decrypts nothing, and a scan without a text
//! layer yields no text.
//!
//! ISO 32000-1: objects (7.3), filters (7.4), pages (7.7), text (9).

mod content;
mod font;
mod glyphs;
mod layout;
mod object;
mod store;

use content::Interpreter;
use object::{Dict, Object};
use std::collections::HashSet;
use store::Store;

/// Pages of pages, at most.
const DEPTH_MAX: usize = 40;
const PAGES_MAX: usize = 100_000;

/// What a file gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub text: String,
    pub title: Option<String>,
}

/// Reads a file. At most `most` bytes of text come out, and about as many are unpacked at a time.
///
/// # Errors
/// If there is no text to be had, in words.
pub fn text(bytes: &[u8], most: usize) -> Result<Found, &'static str> {
    let store = Store::read(bytes, most);
    if store.is_encrypted() {
        return Err("it is encrypted");
    }
    let mut pages = Vec::new();
    let mut seen = HashSet::new();
    if let Some(catalog) = store.catalog() {
        collect(&store, catalog.get("Pages"), &Dict::default(), 0, &mut seen, &mut pages);
    }
    if pages.is_empty() {
        pages = store.of_type("Page").into_iter().map(|page| (page, Dict::default())).collect();
    }
    let mut interpreter = Interpreter::new(&store, most);
    for (page, inherited) in &pages {
        let resources = store.dict(page.get("Resources")).unwrap_or_else(|| inherited.clone());
        let content = contents(&store, page.get("Contents"));
        interpreter.page(&content, &resources);
        if interpreter.is_full() {
            break;
        }
    }
    let text = interpreter.finish();
    match (pages.is_empty(), text.trim().is_empty()) {
        (true, _) => Err("it contains no pages"),
        (_, true) => Err("its pages contain no text: it may be a scan"),
        _ => Ok(Found { text, title: store.title() }),
    }
}

/// The pages below a node, with the resources that they inherit.
fn collect(
    store: &Store<'_>,
    node: Option<&Object>,
    inherited: &Dict,
    depth: usize,
    seen: &mut HashSet<u32>,
    pages: &mut Vec<(Dict, Dict)>,
) {
    if let Some(Object::Reference(number)) = node
        && !seen.insert(*number)
    {
        return;
    }
    let Some(node) = store.dict(node) else { return };
    if depth > DEPTH_MAX || pages.len() >= PAGES_MAX {
        return;
    }
    let own = store.dict(node.get("Resources"));
    let resources = own.as_ref().unwrap_or(inherited);
    match store.resolve(node.get("Kids")) {
        Some(Object::Array(kids)) => {
            for kid in &kids {
                collect(store, Some(kid), resources, depth + 1, seen, pages);
            }
        }
        _ => pages.push((node, resources.clone())),
    }
}

/// The content of a page: one stream, or several that count as one.
fn contents(store: &Store<'_>, contents: Option<&Object>) -> Vec<u8> {
    match store.resolve(contents) {
        Some(Object::Array(parts)) => {
            let mut all = Vec::new();
            for part in &parts {
                all.extend(store.stream(Some(part)).unwrap_or_default());
                all.push(b'\n');
                if all.len() > store.most {
                    break;
                }
            }
            all
        }
        _ => store.stream(contents).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut to = ZlibEncoder::new(Vec::new(), Compression::default());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn stream(number: u32, dict: &str, bytes: &[u8]) -> Vec<u8> {
        let head = format!("{number} 0 obj\n<< {dict} /Length {} >>\nstream\n", bytes.len());
        [head.as_bytes(), bytes, b"\nendstream\nendobj\n"].concat()
    }

    /// A file of one page with a font that has no map to Unicode, its objects packed.
    fn file(content: &str) -> Vec<u8> {
        let objects = [
            (1, "<< /Type /Catalog /Pages 2 0 R >>"),
            (2, "<< /Type /Pages /Kids [3 0 R] /Count 1 /Resources << /Font << /F 4 0 R >> >> >>"),
            (3, "<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>"),
            (4, "<< /Type /Font /Subtype /Type1 /Encoding << /Differences [1 /fi /emdash] >> >>"),
        ];
        let (mut index, mut body) = (String::new(), String::new());
        for (number, object) in objects {
            index.push_str(&format!("{number} {} ", body.len()));
            body.push_str(object);
            body.push('\n');
        }
        let inner = packed(format!("{index}{body}").as_bytes());
        let dict = format!("/Type /ObjStm /N 4 /First {} /Filter /FlateDecode", index.len());
        let mut all = b"%PDF-1.5\n".to_vec();
        all.extend(stream(9, &dict, &inner));
        all.extend(stream(5, "/Filter [/FlateDecode]", &packed(content.as_bytes())));
        all.extend(b"6 0 obj\n<< /Title (A \\(small\\) day) >>\nendobj\n");
        all.extend(b"trailer\n<< /Root 1 0 R /Info 6 0 R >>\n%%EOF");
        all
    }

    #[test]
    fn a_page_gives_its_lines_and_words() {
        let found = text(
            &file(
                "BT /F 12 Tf 72 700 Td (Once upon a time there was a wolf who ate ) Tj\n\
                 0 -14 Td [(gr) -20 (apes) -300 (and \\001gs )] TJ T* (\\222tis ) ' ET\n\
                 BT /F 12 Tf 1 0 0 1 72 600 Tm <4E6577> Tj ET",
            ),
            1 << 20,
        );
        let found = found.unwrap();
        assert_eq!(found.title.as_deref(), Some("A (small) day"));
        let words: Vec<&str> = found.text.split_whitespace().collect();
        let wanted = "Once upon a time there was a wolf who ate grapes and figs ’tis New";
        assert_eq!(words.join(" "), wanted);
        assert!(found.text.ends_with("\n\nNew"), "{:?}", found.text);
    }

    #[test]
    fn what_has_no_text_says_so() {
        assert!(text(&file("0 0 m 1 1 l S"), 1 << 20).unwrap_err().contains("scan"));
        assert!(text(b"%PDF-1.4\nnothing", 1 << 20).unwrap_err().contains("no page"));
        let locked = [&file("")[..], b"\ntrailer << /Encrypt 7 0 R >>"].concat();
        assert!(text(&locked, 1 << 20).unwrap_err().contains("encrypted"));
    }
}
