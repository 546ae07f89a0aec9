//! Tables that other programs wrote give the documents that the same rows give as JSONL, and
//! damaged ones give a reason. `golden/make_parquet.py` made them.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use wright_data::{Document, Input, Item, ReadOptions, SkipReason, read};

fn golden(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet");
    fs::read(folder.join(name)).unwrap()
}

/// Everything that reading gives.
fn items(name: &str, bytes: &[u8], options: &ReadOptions) -> Vec<Item> {
    let mut items = Vec::new();
    let goes_on = read(name, Input::File(&mut Cursor::new(bytes)), options, &mut |item| {
        items.push(item);
        true
    });
    assert!(goes_on);
    items
}

/// What matters of documents, and how many rows had no text.
fn documents(name: &str, options: &ReadOptions) -> (Vec<[Option<String>; 4]>, String) {
    let (mut documents, mut bad) = (Vec::new(), String::new());
    for (number, item) in items(name, &golden(name), options).into_iter().enumerate() {
        match item {
            Item::Document(Document { text, title, licence, source, number: n, .. }) => {
                assert_eq!(n, number as u64, "{name}: documents are counted");
                documents.push([Some(text), title, licence, source]);
            }
            Item::Skipped { reason: SkipReason::BadLine, detail, .. } => bad = detail,
            other => panic!("{name}: {other:?}"),
        }
    }
    (documents, bad)
}

#[test]
fn tables_of_all_writers_give_what_jsonl_gives() {
    let options = ReadOptions::default();
    let (wanted, bad) = documents("rows.jsonl", &options);
    assert!(wanted.len() > 80 && bad.starts_with("8 lines; the first is line 8"), "{bad}");
    let about = |at: usize| wanted.iter().filter(|document| document[at].is_some()).count();
    assert!((1..4).all(|at| about(at) > 10), "titles, licences and sources are in it");
    for name in [
        "pyarrow-snappy",
        "pyarrow-plain",
        "pyarrow-zstd-v2",
        "pyarrow-gzip-sums",
        "pyarrow-lz4-small",
        "pyarrow-v2-plain",
        "pyarrow-delta",
        "pyarrow-delta-v2",
        "pyarrow-overflow",
        "duckdb-snappy",
        "duckdb-zstd",
        "duckdb-v2",
        "polars",
    ] {
        let (read, said) = documents(&format!("{name}.parquet"), &options);
        assert_eq!(read, wanted, "{name}");
        assert_eq!(said, bad.replace("line", "row"), "{name}");
    }
}

#[test]
fn columns_that_must_be_there_have_no_levels() {
    let (wanted, _) = documents("rows.jsonl", &ReadOptions::default());
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter(|document| document[0].as_deref() != Some(""))
        .map(|[text, _, licence, _]| [text, None, licence, None])
        .collect();
    assert_eq!(documents("pyarrow-required.parquet", &ReadOptions::default()).0, wanted);
}

#[test]
fn chosen_columns_are_joined_and_others_named() {
    let options =
        ReadOptions { fields: vec!["title".into(), "text".into()], ..ReadOptions::default() };
    let wanted = documents("rows.jsonl", &options).0;
    assert!(wanted.len() > 20, "{}", wanted.len());
    assert_eq!(documents("pyarrow-snappy.parquet", &options).0, wanted);
    let options = ReadOptions { fields: vec!["verse".into()], ..ReadOptions::default() };
    let [Item::Skipped { reason: SkipReason::NoText, detail, .. }] =
        &items("x", &golden("polars.parquet"), &options)[..]
    else {
        panic!("no such column")
    };
    let has = "no text in `verse`; it has text in `text`, `license`, `meta.url`, `title`";
    assert!(detail.starts_with(has), "{detail}");
}

#[test]
fn unreadable_input_is_reported_with_the_reason() {
    let reason = |name: &str, bytes: &[u8]| match items(name, bytes, &ReadOptions::default()).pop()
    {
        Some(Item::Skipped { reason, detail, .. }) => (reason, detail),
        other => panic!("{name}: {other:?}"),
    };
    let (why, detail) = reason("b", &golden("pyarrow-brotli.parquet"));
    assert!(why == SkipReason::Unsupported && detail.contains("Brotli"), "{detail}");
    let (why, detail) = reason("n", &golden("pyarrow-numbers.parquet"));
    assert!(why == SkipReason::NoText && detail.starts_with("no text in `text`"), "{detail}");
    let whole = golden("pyarrow-gzip-sums.parquet");
    let (why, detail) = reason("half", &whole[..whole.len() / 2]);
    assert!(why == SkipReason::Damaged && detail.contains("incomplete"), "{detail}");
    let has_sum = (100..whole.len()).step_by(100).any(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        let (why, detail) = reason("sum", &flipped);
        why == SkipReason::Damaged && detail.contains("checksum")
    });
    assert!(has_sum, "pages are compared with their checksums");
    let mut locked = whole;
    let end = locked.len() - 1;
    locked[end] = b'E';
    assert_eq!(reason("locked", &locked).0, SkipReason::Unsupported);
}

#[test]
fn one_long_text_for_many_rows_is_stopped() {
    let file = golden("pyarrow-long.parquet");
    let mut items = items("long", &file, &ReadOptions::default());
    let last = items.pop();
    assert!(matches!(last, Some(Item::Skipped { reason: SkipReason::Bomb, .. })), "{last:?}");
    let bytes: usize = items
        .iter()
        .map(|item| match item {
            Item::Document(document) => document.text.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert!(bytes > 10 << 20, "what came before is kept: {bytes}");
    assert!(bytes < (16 << 20) + 200 * file.len(), "{bytes} of {}", file.len());
}

#[test]
fn damage_anywhere_gives_documents_or_a_reason() {
    let whole = golden("pyarrow-delta.parquet");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] = damaged[at].wrapping_add(1 + (at % 255) as u8);
        items("damaged", &damaged, &ReadOptions::default());
        items("cut", &whole[..at], &ReadOptions::default());
    }
}

#[test]
fn a_table_in_an_archive_or_a_pipe_is_read_too() {
    let bytes = golden("duckdb-zstd.parquet");
    let wanted = documents("duckdb-zstd.parquet", &ReadOptions::default()).0.len();
    let mut found = 0;
    read("-", Input::Stream(&mut &bytes[..]), &ReadOptions::default(), &mut |item| {
        found += usize::from(matches!(item, Item::Document(_)));
        true
    });
    assert_eq!(found, wanted);
}
