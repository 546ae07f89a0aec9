//! "Training data": the report that `wright pack` wrote next to the shards, or what the shards
//! themselves show.

use super::Facts;
use std::collections::BTreeMap;
use wright_data::report::{Amount, Boilerplate, Report, Skipped, largest_first};
use wright_host::units;
use wright_report::{Align, Page, Table};
use wright_train::Shard;

/// Rows of a table that may have any number, and examples of one kind of loss.
const ROWS_MAX: usize = 100;
const EXAMPLES_MAX: usize = 5;

pub fn section(page: &mut Page, facts: &Facts<'_>) {
    let plan = facts.plan;
    let (train, held_out) = (amount(&plan.train), amount(&plan.validation));
    page.section("What went in");
    let seen = facts.tokens_learnt() as f64 / train.1.max(1) as f64;
    let in_words = |(documents, tokens)| format!("{documents}, {} tokens", units::count(tokens));
    let mut rows = vec![("training documents", in_words(train))];
    if held_out.0 > 0 {
        rows.push(("held-out documents", in_words(held_out)));
    }
    rows.push(("epochs", format!("{seen:.2}")));
    page.facts(&rows);
    if let Some(report) = facts.data_report {
        packed(page, report);
    }
}

/// Documents and tokens.
fn amount(shards: &[Shard]) -> (u64, u64) {
    let of = |shard: &Shard| (shard.n_docs() as u64, shard.n_ids() as u64);
    shards.iter().map(of).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

/// What `report.json` tells.
fn packed(page: &mut Page, report: &Report) {
    page.note(&format!("Held out: {}.", report.split.how));
    amounts(page, "By licence", &report.licences, true);
    amounts(page, "By source", &report.sources, false);
    dropped(page, report);
    boilerplate(page, &report.boilerplate);
    skipped(page, &report.skipped);
}

/// A table of names with documents, bytes and tokens, the largest first.
fn amounts(page: &mut Page, title: &str, amounts: &BTreeMap<String, Amount>, open: bool) {
    let rows = largest_first(amounts);
    if rows.is_empty() {
        return;
    }
    let numbers = ["documents", "text", "tokens"].map(|name| (name, Align::Right));
    let mut table = Table::new([("", Align::Left)].into_iter().chain(numbers));
    for (name, amount) in rows.iter().take(ROWS_MAX) {
        let bytes = units::bytes(amount.bytes);
        let (documents, tokens) = (amount.documents.to_string(), units::count(amount.tokens));
        table.push([(*name).to_owned(), documents, bytes, tokens]);
    }
    if rows.len() > ROWS_MAX {
        table.note = format!("… and {} more.", rows.len() - ROWS_MAX);
    }
    page.details(title, &rows.len().to_string(), open, |page| {
        page.table(&table);
    });
}

/// What was dropped, with examples.
fn dropped(page: &mut Page, report: &Report) {
    let sum: u64 = report.dropped.iter().map(|dropped| dropped.documents).sum();
    if sum == 0 {
        return;
    }
    let found = report.found.documents;
    page.subsection(&format!("What was left out: {sum} of {found} documents"));
    for kind in report.dropped.iter().filter(|kind| kind.documents > 0) {
        let amount = format!("{}, {}", kind.documents, units::bytes(kind.bytes));
        page.details(&kind.meaning, &amount, false, |page| {
            for example in kind.examples.iter().take(EXAMPLES_MAX) {
                page.quote(&example.text, Some(&example.source));
            }
        });
    }
}

/// Paragraphs that were taken out, with examples.
fn boilerplate(page: &mut Page, gone: &Boilerplate) {
    if gone.documents == 0 {
        return;
    }
    let amount = format!("{}, {}", gone.documents, units::bytes(gone.bytes));
    let paragraphs = units::number_of(gone.paragraphs, "paragraph");
    let what = format!("removed: {paragraphs} that several documents share");
    page.details(&what, &amount, false, |page| {
        for repeat in gone.examples.iter().take(EXAMPLES_MAX) {
            let times = units::number_of(repeat.times, "time");
            page.quote(&repeat.text, Some(&format!("{times}; kept in {}", repeat.source)));
        }
    });
}

/// Files that could not be read.
fn skipped(page: &mut Page, all: &[Skipped]) {
    for kind in all {
        let what = format!("skipped: {}", kind.reason.name());
        page.details(&what, &kind.files.to_string(), false, |page| {
            for example in kind.examples.iter().take(EXAMPLES_MAX) {
                page.quote(example, None);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_of_data_is_shown_and_never_obeyed() {
        let evil = "<b onclick=x>&";
        let amount = json!({ "documents": 3, "bytes": 2000, "tokens": 500 });
        let half = json!({ "documents": 3, "bytes": 1, "tokens": 1, "shards": [] });
        let report = json!({
            "format": "wright-data", "version": 1, "program": evil, "files": 1, "file_bytes": 1,
            "settings": { "paths": [evil], "holdout": 0.1, "fields": [], "filters": true,
                "keep_duplicates": false },
            "found": { "documents": 5, "bytes": 1 }, "encodings": {}, "notes": [evil],
            "licences": { "MIT": amount, evil: { "documents": 1, "bytes": 9000 } },
            "sources": { "a.txt": amount },
            "dropped": [
                { "reason": "too-short", "meaning": evil, "documents": 2, "bytes": 10,
                  "examples": [{ "source": evil, "number": 0, "bytes": 1, "text": evil }] },
                { "reason": "mojibake", "meaning": "unseen", "documents": 0, "bytes": 0,
                  "examples": [] },
            ],
            "boilerplate": { "paragraphs": 1, "documents": 4, "bytes": 3000, "examples": [
                { "source": evil, "number": 0, "times": 4, "bytes": 3000, "text": evil }] },
            "skipped": [{ "reason": "binary", "files": 1, "examples": [evil] }],
            "split": { "holdout": 0.1, "how": evil, "sections": 0, "passed_over": 0 },
            "train": half, "validation": half,
            "tokenizer": { "n_vocab": 1, "hash": evil, "from": evil, "trained_on_bytes": 0 },
        });
        let mut page = Page::new("t");
        packed(&mut page, &Report::parse(&report.to_string()).unwrap());
        let out = page.to_html();
        assert!(!out.contains("<b "), "{out}");
        assert!(out.contains("2 of 5 documents") && out.contains("2.0 kB"), "{out}");
        assert!(out.contains("1 paragraph that several") && out.contains("4, 3.0 kB"), "{out}");
        assert!(!out.contains("unseen"), "{out}");
        let (evil_at, mit_at) = (out.find("&lt;b onclick=x&gt;&amp;</td>"), out.find("MIT"));
        assert!(evil_at.unwrap() < mit_at.unwrap(), "the largest first");
    }
}
