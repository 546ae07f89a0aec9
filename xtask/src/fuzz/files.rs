//! Files of all kinds that `wright pack` reads: sound ones, and what is done with an input.

use super::Try;
use std::io::{Cursor, Write};
use wright_data::{Input, Item, ReadOptions, quality};

/// What stands in each of them.
const STORY: &str = "Once upon a time there was a fox who saw some grapes. The grapes were high, \
    and the fox was small.";

/// The story three times, packed by `xz --lzma2=preset=6,dict=64KiB --check=crc32`.
const XZ: &str = "\
    fd377a585a0000016922de360200210108000000d80f2313e0012900575d00279b88666eb2dd534a8ecbde2c\
    c1fdc3576d32e190ed33efe733ae757f4580a28593e7142407e8b84aa4777e285dada04aabc387103731f686\
    7d73ccc7fc3f51287cc25faadc2e971fef7c6ba36beb35a2223da58b000000008cba943100016faa02000000\
    ee2669aa3e300d8b020000000001595a";
/// The same by `zstd -19`.
const ZSTD: &str = "\
    28b52ffd642a007d020062051011a0edf0c774e8996cd508035472b1df3323e042295dfdd66578c3f48151e2\
    ef5b792617bd4e1ffaaed697da6f2c3fdbb9be557edf32fcae04af67cdc56f6123030043335054ab11f044d9\
    03438272c2";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap_or(0) as u8;
    hex.as_bytes().chunks(2).map(|two| digit(two[0]) << 4 | digit(two[two.len() - 1])).collect()
}

pub const HTML_WORDS: &[&str] = &[
    "<nav>",
    "</nav>",
    "<script>",
    "</script",
    "<pre>",
    "<!--",
    "-->",
    "<a href=\"",
    "&#x1f98a;",
    "&#99999999999;",
    "&amp",
    "<title>",
    "<li>",
    "charset=utf-16",
    "\u{feff}",
    "<svg/>",
    "='",
];

pub fn html_seeds() -> Vec<Vec<u8>> {
    let page = format!(
        "<!DOCTYPE html><html><head><title>A &amp; B</title><link rel=license href='x/by/4.0/'>\
         </head><body><nav><ul><li><a href=/>Home</a></ul></nav><h1>The Fox</h1><p>{STORY}<br>\
         &eacute;&#233;</p><pre>a\n  b</pre><script>if (a < b) x()</script><table><tr><td>1\
         </table></body></html>"
    );
    vec![page.into_bytes()]
}

pub const JSONL_WORDS: &[&str] = &[
    "{\"text\":\"",
    "\"}\n",
    "[[[[[[[[",
    "{\"a\":{\"a\":",
    "\\ud800",
    "\\u0000",
    "1e999",
    "null",
    "\"meta\":{\"license\":\"MIT\"}",
    "\n\n",
    "<|endoftext|>\n",
    "# Title: ",
    "---\n",
    "\r",
];

pub fn jsonl_seeds() -> Vec<Vec<u8>> {
    let line = format!("{{\"text\":\"{STORY}\",\"license\":\"MIT\",\"meta\":{{\"url\":\"u\"}}}}\n");
    let text = format!("---\ntitle: T\n---\n# Title: One\n{STORY}\n<|endoftext|>\nTwo\n");
    vec![line.repeat(3).into_bytes(), format!("[{}]", line.trim()).into_bytes(), text.into_bytes()]
}

pub const PDF_WORDS: &[&str] = &[
    " 0 obj",
    "endobj",
    "stream\n",
    "endstream",
    "<<",
    ">>",
    "/Kids [3 0 R]",
    "/Length 99999999",
    "/Filter /FlateDecode",
    "/DecodeParms << /Predictor 15 /Columns 99999999 >>",
    "trailer",
    "/W [0 4294967295 1]",
    "beginbfrange <00> <ffffffff> <0041> endbfrange",
    "(",
    "[",
    "BT",
    "Tf",
    "/F Do",
    "-1e300",
    " Tm ",
    " Tj ",
    "/Type /ObjStm /N 3 /First 10",
    "5 0 R",
];

pub fn pdf_seeds() -> Vec<Vec<u8>> {
    let content =
        format!("BT /F 12 Tf 72 700 Td ({STORY}) Tj 0 -14 Td [(a) -300 <0001>] TJ ET /X Do");
    let file = format!(
        "%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n\
         2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n\
         3 0 obj << /Type /Page /Contents 5 0 R /Resources << /Font << /F 4 0 R >> /XObject \
         << /X 8 0 R >> >> >> endobj\n\
         4 0 obj << /Type /Font /Subtype /Type0 /DescendantFonts [6 0 R] /ToUnicode 7 0 R >> \
         endobj\n6 0 obj << /DW 1000 /W [0 [500 600] 3 9 250] >> endobj\n\
         5 0 obj << /Length {} >>\nstream\n{content}\nendstream endobj\n\
         7 0 obj << /Length 60 >>\nstream\n1 beginbfchar <0001> <0041> endbfchar 1 beginbfrange \
         <4F6E> <7a7a> <0061> endbfrange\nendstream endobj\n\
         8 0 obj << /Subtype /Form /Matrix [1 0 0 1 5 5] /Length 20 >>\nstream\nBT (form) Tj ET \
         /X Do\nendstream endobj\ntrailer << /Root 1 0 R >>\n%%EOF",
        content.len()
    );
    vec![file.into_bytes()]
}

pub const PARQUET_WORDS: &[&str] = &["PAR1", "PARE", "text", "license", "meta", "url"];

/// Tables as other programs wrote them, in every encoding and packing that is read.
pub fn parquet_seeds() -> Vec<Vec<u8>> {
    macro_rules! tables {
        ($($name:literal)*) => {
            vec![$(include_bytes!(concat!(
                "../../../crates/wright-data/tests/golden/parquet/", $name, ".parquet"
            ))
            .to_vec()),*]
        };
    }
    tables! {
        "pyarrow-snappy" "pyarrow-zstd-v2" "pyarrow-gzip-sums" "pyarrow-lz4-small" "pyarrow-delta"
        "pyarrow-delta-v2" "pyarrow-required" "pyarrow-overflow" "duckdb-v2" "polars"
    }
}

pub const ARCHIVE_WORDS: &[&str] = &[
    "ustar\0",
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "../../x",
    "x.txt",
    "LICENSE",
    "././@LongLink",
    "99999999999",
    "\0\0\0\0\0\0\0\0",
];

/// Packed streams and archives, one within the other.
pub fn archive_seeds() -> Vec<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in ["a/b.txt", "LICENSE"] {
        let _ = zip.start_file(name, options);
        let _ = zip.write_all(STORY.repeat(3).as_bytes());
    }
    let zip = zip.finish().map(Cursor::into_inner).unwrap_or_default();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("a/b.txt", STORY.as_bytes()), ("c.zip", &zip)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let _ = tar.append_data(&mut header, name, content);
    }
    let tar = tar.into_inner().unwrap_or_default();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let _ = gzip.write_all(&tar);
    let gzip = gzip.finish().unwrap_or_default();
    vec![zip, tar, gzip, bytes_of(XZ), bytes_of(ZSTD)]
}

/// Reads an input as a file of this name, and looks at each document; sound if there is one.
pub fn reading(name: &'static str) -> Try {
    let options = ReadOptions {
        document_bytes: 1 << 20,
        file_bytes: 1 << 20,
        window_bytes: 1 << 20,
        ..ReadOptions::default()
    };
    Box::new(move |input| {
        let mut n = 0;
        let mut sink = |item| {
            if let Item::Document(document) = item {
                let _ = quality::judge(&document.text);
                let _ = wright_data::duplicates::bands(&document.text);
                let _ = wright_data::boilerplate::hashes(&document.text);
                n += 1;
            }
            n < 1000
        };
        let mut from = Cursor::new(input);
        wright_data::read(name, Input::File(&mut from), &options, &mut sink);
        n > 0
    })
}
